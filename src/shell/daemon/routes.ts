// All routes of a node's network API, a line for each resource, and who is let in (pvecm.md §4.2, §4.3).
import type { Cluster } from "../../node/thread/cluster.ts";
import { accessRoutes, authenticateWith } from "../access/access-routes.ts";
import { sessionRoutes } from "../access/session-routes.ts";
import { certificateRoutes } from "../certificates/certificate-routes.ts";
import { ensureCertificates } from "../certificates/cluster-certificates.ts";
import { userManagementRoutes } from "../api/access/routes.ts";
import { clusterRoutes } from "../api/cluster/cluster-routes.ts";
import { indexRoutes } from "../api/cluster/index-routes.ts";
import { machineRoutes } from "../api/nodes/machine-routes.ts";
import type { Metrics } from "../api/api2.ts";
import type { Authenticate, Forward, Route } from "../api/route.ts";
import { operationsRoute } from "../api/v1/operations.ts";
import { forwarding } from "../door/forwarding.ts";
import { openApiRoute } from "../openapi/openapi-route.ts";
import { taskRoutes } from "../task/task-routes.ts";
import { qdeviceStatusText } from "../tool/qdevice-socket-text.ts";
import { identity } from "../version.ts";
import { certificatePorts, clusterAddress } from "./certificates.ts";
import { nodeSource } from "./machine.ts";
import { keyRoutes } from "./key/key-host.ts";
import { leaveRoutes } from "./leave/leave-host.ts";
import { quorumDeviceRoutes } from "./qdevice/device-host.ts";
import { operationRoutes } from "./node/changes.ts";
import { creationRoutes } from "./node/creation.ts";
import type { Joining } from "./node/joining.ts";
import type { Logins } from "./node/logins.ts";
import type { Monitoring } from "./monitoring.ts";
import type { NodeParts } from "./node/parts.ts";
import { toldByOthers } from "./node/task-broadcast.ts";

export interface NodeRoutes {
  /** Answers GET /metrics, and sees to who asks. */
  readonly metrics: Metrics;
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  /** Calls of other nodes. */
  readonly forward: Forward;
  readonly isQuorate: () => boolean;
  /** Of this node in the tree. */
  readonly nodeName: string;
}

/** Where other nodes listen, when this one listens nowhere. */
const apiPort = 8006;

/** What a member does for nodes that join, and what is watched of it, have a state of their own. */
export function nodeRoutes(
  parts: NodeParts,
  logins: Logins,
  joining: Pick<Joining, "routes">,
  monitoring: Pick<Monitoring, "routes" | "metricsPage">,
): NodeRoutes {
  const { access, users, hash, setSystemPassword } = logins;
  const { tree, tasks, directoryName: nodeName, options } = parts;
  const { paths } = options;
  const { version, commit } = identity;
  const authenticate = authenticateWith(access, users);
  const address = () => clusterAddress(tree, nodeName);
  const routes = [
    ...accessRoutes({ access, users, files: tree }),
    ...sessionRoutes({ access, users, files: tree, authenticate, nodeName }),
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
    ...keyRoutes(parts),
    ...quorumDeviceRoutes(parts),
    ...certificateRoutes((how) =>
      ensureCertificates(certificatePorts({ files: tree, nodeName, paths }), how),
    ),
    ...monitoring.routes(authenticate),
  ];
  const ours = [...routes, operationsRoute(routes, () => tasks.active())];
  const all = [...ours, ...indexRoutes(ours)];
  return {
    routes: [...all, openApiRoute(all, version)],
    authenticate,
    metrics: monitoring.metricsPage,
    nodeName,
    // Whatever needs quorum writes into the tree.
    isQuorate: () => tree.isWritable,
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
