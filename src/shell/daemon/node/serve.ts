// What a running node answers at: its API, on the local socket and on the network, and where corosync-qdevice-tool asks.
import { join } from "node:path";
import { buildApi } from "../../api/api.ts";
import { listen, withNetworkApi } from "../../api/api-socket.ts";
import { Refusal } from "../../api/refusal.ts";
import type { Leftover } from "../../operation/operation-record.ts";
import { leftoverFile } from "../../operation/operation-store.ts";
import { ringReport } from "../../api/ring-report.ts";
import type { RingSource } from "../../api/ring-routes.ts";
import { ConfigurationMap } from "../../cmap/configuration-map.ts";
import { groupListing } from "../../cmap/group-listing.ts";
import { nodeStatus, type NodeStatus, nodeWarnings, type StatusSource } from "../../api/status.ts";
import { exitOk } from "../../exit.ts";
import { lastUpgradeEvent } from "../../upgrade/last-event.ts";
import { upgradePlaces } from "../../upgrade/places.ts";
import { TreeConfWatch } from "../check-conf.ts";
import { NodeCertificates } from "../certificates.ts";
import { NodeApi } from "../door.ts";
import { tellLoad } from "../machine.ts";
import { Monitoring } from "../monitoring.ts";
import { QdeviceSocket } from "../qdevice-socket.ts";
import { nodeRoutes } from "../routes.ts";
import { Joining } from "./joining.ts";
import { openLogins } from "./logins.ts";
import { confWarning, treeConfProblem } from "./conf-checks.ts";
import { keepKey } from "../key/key-keeper.ts";
import { removalPorts, RemovalWatch } from "../leave/removal-watch.ts";
import type { NodeParts, Stop } from "./parts.ts";
import { tellTasks } from "./task-broadcast.ts";

/** Only root reaches the local API; so Proxmox's log calls who logs in as root. */
const operator = "root@pam";

export async function serveApi(parts: NodeParts): Promise<Stop> {
  const { options, tree, cluster, directoryName: nodeName } = parts;
  const { paths } = options;
  const log = (level: "notice" | "warning", text: string) => parts.log(level, text, "API");
  tellTasks(parts);
  keepKey(parts);
  const untold = tellLoad(parts);
  const joining = new Joining(parts);
  const logins = openLogins({ paths, tree, clusterLog: parts.clusterLog, log: parts.log });
  const removal = new RemovalWatch(removalPorts(parts));
  const source = statusSource(parts, {
    network: () => network.faults,
    membership: () => removal.problem,
  });
  const status = () => nodeStatus(source);
  const monitoring = new Monitoring(parts, {
    status,
    warnings: (snapshot) => nodeWarnings(source, snapshot),
    door: () => network.door,
  });
  const network: NodeApi = new NodeApi({
    ...nodeRoutes(parts, logins, joining, monitoring),
    listen: options.api,
    certificates: new NodeCertificates({ paths, tree, cluster, nodeName, log }),
    log,
  });
  network.open();
  monitoring.monitor.start();
  void monitoring.alerting.start();
  const own = localApi(parts, status);
  const socket = listen(withNetworkApi(own, network.localApp()), paths.socket);
  return async () => {
    removal.stop();
    await untold();
    joining.stop();
    monitoring.alerting.stop();
    await monitoring.monitor.stop();
    await socket.close();
    await network.close();
    await logins.stop();
  };
}

function statusSource(
  parts: NodeParts,
  faults: { readonly network: () => readonly string[]; readonly membership: () => string },
): StatusSource {
  const { options, mode, cluster, tree } = parts;
  const { paths, version } = options;
  const upgradeLog = upgradePlaces(paths.root, process.execPath).log;
  const confWatch = new TreeConfWatch();
  return {
    version,
    mode,
    cluster,
    tree: () => tree.status(),
    confWarning: () => confWarning(parts, confWatch),
    networkFaults: faults.network,
    membershipFault: faults.membership,
    upgrade: () => lastUpgradeEvent(upgradeLog),
    mount: parts.mount,
    operations: () => {
      const { underway, leftover, faults: ofRecords } = parts.operations.report();
      const file = join(paths.operationDir, leftoverFile);
      return {
        ...(underway === undefined ? {} : { operation: underway }),
        ...(leftover === undefined ? {} : { leftover: { ...leftoverFacts(leftover), file } }),
        faults: ofRecords,
      };
    },
    pid: process.pid,
    startedAt: parts.startedAt,
  };
}

function localApi(
  parts: NodeParts,
  status: () => Promise<NodeStatus>,
): ReturnType<typeof buildApi> {
  const { mode, cluster, tree } = parts;
  return buildApi({
    files: tree,
    lostTrees: tree.lostTrees,
    status,
    restart: () => parts.restart("asked for on the local socket"),
    ...ringSource(parts),
    ringMap: {
      map: mode === "cluster" ? new ConfigurationMap(cluster, Date.now) : undefined,
      groups: async () =>
        groupListing((await cluster.snapshot()).member.groups, cluster.settings.nodes),
    },
    confProblem: (content) => treeConfProblem(parts, content),
    logToCluster: ({ tag, priority, message }) =>
      tree.statusStore.log({
        ident: operator,
        tag,
        priority,
        message: new TextEncoder().encode(message),
      }),
  });
}

function leftoverFacts(leftover: Leftover): Omit<Leftover, "format"> {
  const { kind, id, endedAtMs, reason, obstacle, left } = leftover;
  return { kind, id, endedAtMs, reason, obstacle, left };
}

function ringSource({ mode, cluster, end }: NodeParts): RingSource {
  return {
    ring: async () => {
      if (mode === "cluster") return ringReport(cluster.settings, await cluster.snapshot());
      const reason = "this node is standalone: it is in no cluster, and has no ring";
      throw new Refusal({ errno: "ENOENT", reason }, 404);
    },
    setExpectedVotes: (votes) => cluster.setExpectedVotes(votes),
    setVotes: (nodeid, votes) => cluster.setVotes(nodeid, votes),
    cancelWaitForAll: () => cluster.cancelWaitForAll(),
    stopDevice: () => cluster.stopDevice(),
    killNode: (nodeid, reason) => cluster.killNode(nodeid, reason),
    reload: () => cluster.reload(),
    shutdown: (reason) => end({ code: exitOk, reason }),
  };
}

export async function serveDeviceTool({ options, cluster, log }: NodeParts): Promise<Stop> {
  const socket = new QdeviceSocket({
    cluster,
    path: options.paths.deviceSocket,
    log: (level, text) => log(level, text, "QDEVICE"),
  });
  void socket.update();
  cluster.onReloaded(() => void socket.update());
  return () => socket.close();
}
