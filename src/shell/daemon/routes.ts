// All routes of a node's network API, a line for each resource, and who is let in (pvecm.md §4.2, §4.3).
import type { Cluster } from "../../node/thread/cluster.ts";
import { accessRoutes, authenticateWith } from "../access/access-routes.ts";
import { certificateRoutes } from "../certificates/certificate-routes.ts";
import { ensureCertificates } from "../certificates/cluster-certificates.ts";
import { userManagementRoutes } from "../api/access/routes.ts";
import { clusterRoutes } from "../api/cluster/cluster-routes.ts";
import { indexRoutes } from "../api/cluster/index-routes.ts";
import { machineRoutes } from "../api/nodes/machine-routes.ts";
import type { Authenticate, Forward, Route } from "../api/route.ts";
import { forwarding } from "../door/forwarding.ts";
import { openApiRoute } from "../openapi/openapi-route.ts";
import { taskRoutes } from "../task/task-routes.ts";
import { qdeviceStatusText } from "../tool/qdevice-socket-text.ts";
import { identity } from "../version.ts";
import { certificatePorts, clusterAddress } from "./certificates.ts";
import { nodeSource } from "./machine.ts";
import { leaveRoutes } from "./leave/leave-host.ts";
import { operationRoutes } from "./node/changes.ts";
import { creationRoutes } from "./node/creation.ts";
import type { Joining } from "./node/joining.ts";
import type { Logins } from "./node/logins.ts";
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

/** `joining`: what a member does for nodes that join has a state of its own. */
export function nodeRoutes(
  parts: NodeParts,
  logins: Logins,
  joining: Pick<Joining, "routes">,
): NodeRoutes {
  const { access, users, hash, setSystemPassword } = logins;
  const { tree, tasks, directoryName: nodeName, options } = parts;
  const { paths } = options;
  const { version, commit } = identity;
  const address = () => clusterAddress(tree, nodeName);
  const routes = [
    ...accessRoutes({ access, users, files: tree }),
    ...userManagementRoutes({
      ...{ files: tree, users, hash, setSystemPassword },
      isQuorate: () => tree.isWritable,
      now: () => Math.floor(Date.now() / 1000),
      reauthenticate: (...of) => access.reauthenticate(...of),
      clusterLog: (user, message) => parts.clusterLog({ user, message }),
    }),
    ...clusterRoutes({
      ...{ files: tree, nodeName, version, commit, address },
      deviceText: () => deviceText(parts.cluster),
      logged: () => tree.statusStore.store.logEntries(),
    }),
    ...machineRoutes(nodeSource(parts)),
    ...taskRoutes({ tasks, nodeName, told: () => toldByOthers(parts) }),
    ...joining.routes,
    ...operationRoutes(parts),
    ...creationRoutes(parts),
    ...leaveRoutes(parts),
    ...certificateRoutes((how) =>
      ensureCertificates(certificatePorts({ files: tree, nodeName, paths }), how),
    ),
  ];
  const all = [...routes, ...indexRoutes(routes)];
  return {
    routes: [...all, openApiRoute(all, version)],
    authenticate: authenticateWith(access, users),
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
