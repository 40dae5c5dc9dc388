// All routes of a node's network API, a line for each resource, and who is let in (pvecm.md §4.2, §4.3).
import type { Cluster } from "../../node/thread/cluster.ts";
import type { Access } from "../access/access.ts";
import { accessRoutes, authenticateWith } from "../access/access-routes.ts";
import { certificateInfoRoute } from "../certificates/certificate-info.ts";
import { clusterRoutes } from "../api/cluster/cluster-routes.ts";
import type { Authenticate, Forward, Route } from "../api/route.ts";
import { forwarding } from "../door/forwarding.ts";
import { taskRoutes } from "../task/task-routes.ts";
import { qdeviceStatusText } from "../tool/qdevice-socket-text.ts";
import { identity } from "../version.ts";
import { clusterAddress } from "./certificates.ts";
import type { NodeParts } from "./node/parts.ts";
import { toldByOthers } from "./node/task-broadcast.ts";

export interface NodeRoutes {
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  /** Calls of other nodes. */
  readonly forward: Forward;
}

/** Where other nodes listen, when this one listens nowhere. */
const apiPort = 8006;

/** `more`: of parts that have a state of their own. */
export function nodeRoutes(parts: NodeParts, access: Access, more: readonly Route[]): NodeRoutes {
  const { tree, tasks, directoryName: nodeName, options } = parts;
  const { version, commit } = identity;
  const address = () => clusterAddress(tree, nodeName);
  return {
    routes: [
      ...accessRoutes({ access, files: tree }),
      certificateInfoRoute(tree),
      ...clusterRoutes({
        ...{ files: tree, nodeName, version, commit, address },
        deviceText: () => deviceText(parts.cluster),
      }),
      ...taskRoutes({ tasks, nodeName, told: () => toldByOthers(parts) }),
      ...more,
    ],
    authenticate: authenticateWith(access),
    forward: forwarding({
      files: tree,
      nodeName,
      port: options.api?.port ?? apiPort,
      credentials: (user) => access.proofOf(user),
    }),
  };
}

async function deviceText(cluster: Cluster): Promise<string> {
  const { device } = await cluster.snapshot();
  if (device === undefined) return "";
  return qdeviceStatusText(device, { isVerbose: true, now: Date.now() });
}
