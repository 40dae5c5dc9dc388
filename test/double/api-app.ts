// A test helper: the network API of a node with all of its routes, over a tree on disk and tasks of its own, without ring, socket and mount.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Api2, type Api2Options, buildApi2 } from "../../src/shell/api/api2.ts";
import type { Authenticate, Route } from "../../src/shell/api/route.ts";
import type { Cluster } from "../../src/node/thread/cluster.ts";
import { corosyncConfPath } from "../../src/fs/tree/rules.ts";
import type { GroupPort } from "../../src/world.ts";
import { nodeRoutes } from "../../src/shell/daemon/routes.ts";
import { clusterLogger } from "../../src/shell/daemon/node/cluster-log.ts";
import { Joining } from "../../src/shell/daemon/node/joining.ts";
import { openLogins } from "../../src/shell/daemon/node/logins.ts";
import { NodeOperations } from "../../src/shell/daemon/node/node-operations.ts";
import type { NodeOptions, NodeParts } from "../../src/shell/daemon/node/parts.ts";
import { clusterInfo } from "../../src/shell/daemon/node/ring.ts";
import { StandaloneCluster } from "../../src/shell/daemon/node/standalone.ts";
import { ensureNodeDirectories, openTree } from "../../src/shell/daemon/node/tree.ts";
import { ServiceManager } from "../../src/shell/daemon/service-notify.ts";
import { RecentLog } from "../../src/shell/monitor/recent-log.ts";
import { Monitoring } from "../../src/shell/daemon/monitoring.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { TaskFiles } from "../../src/shell/task/task-files.ts";
import { Tasks } from "../../src/shell/task/tasks.ts";
import { confOf, healthyCluster } from "./map-cluster.ts";

/** A ring that tells nothing, so that no quorum either. */
function silentGroups(nodeid: number): GroupPort {
  return {
    self: { nodeid, pid: process.pid },
    request: () => true,
    whenRoom: () => undefined,
    caughtUp: () => Promise.resolve(),
    listen: () => undefined,
  };
}

function clusterOf(kind: NodeParts["mode"] | "noQuorum", wallS: () => number): Cluster {
  if (kind === "standalone") return new StandaloneCluster(apiNodeName, wallS);
  const healthy = healthyCluster();
  if (kind === "cluster") return healthy;
  const { quorum } = healthy;
  if (quorum === undefined) throw new Error("a ring of three has a quorum");
  return { ...healthy, quorum: { ...quorum, quorate: false, members: [1], totalVotes: 1 } };
}

/** Of the node; in a cluster the other two are n2 and n3. */
export const apiNodeName = "n1";

export interface ApiNode {
  readonly routes: readonly Route[];
  readonly parts: NodeParts;
  /** Who comes in by a login. */
  readonly authenticate: Authenticate;
  /** The same routes, for whom `authenticate` says; without `forward` calls for other nodes are this one's. */
  appFor(
    authenticate: Authenticate,
    onFault?: Api2Options["onFault"],
    forward?: Api2Options["forward"],
  ): Api2;
  close(): Promise<void>;
}

/**
 * "cluster": one of three, all there; its tree is this node's alone, and can be written. "noQuorum": the same one, cut off from the
 * other two. `files`: what its tree has, by path.
 */
export async function openApiNode(
  kind: NodeParts["mode"] | "noQuorum",
  files: Readonly<Record<string, string>> = {},
): Promise<ApiNode> {
  const mode = kind === "standalone" ? kind : "cluster";
  const root = mkdtempSync(join(tmpdir(), "quorate-api-"));
  const ending = new AbortController();
  const options: NodeOptions = {
    paths: nodePaths(root),
    name: apiNodeName,
    mount: undefined,
    durability: "normal",
    api: undefined,
    version: "0.0.0-test",
    log: () => undefined,
  };
  mkdirSync(join(root, "run"));
  const now = () => Math.floor(Date.now() / 1000);
  const cluster = clusterOf(kind, now);
  const open = (groups: GroupPort | undefined) =>
    openTree(options, {
      nodeid: cluster.settings.nodeid,
      nodeName: apiNodeName,
      groups,
      cluster: mode === "cluster" ? clusterInfo(cluster.settings) : undefined,
      onFatal: (reason) => {
        throw new Error(reason);
      },
      onCorosyncConf: () => undefined,
    });
  let tree = await open(undefined);
  const made = await ensureNodeDirectories(tree, apiNodeName);
  if (!made.ok) throw new Error(made.reason);
  const conf = mode === "cluster" ? { [corosyncConfPath]: confOf(3) } : {};
  for (const [path, text] of Object.entries({ ...conf, ...files })) {
    const put = await tree.replace(path, new TextEncoder().encode(text));
    if (!put.ok) throw new Error(`${path}: ${put.reason}`);
  }
  if (kind === "noQuorum") {
    await tree.stop();
    tree = await open(silentGroups(cluster.settings.nodeid));
  }
  const clusterLog = clusterLogger(tree);
  const tasks = new Tasks({
    files: new TaskFiles(options.paths.taskDir),
    node: () => apiNodeName,
    logging: { cluster: clusterLog, warn: () => undefined },
  });
  const operations = new NodeOperations({
    operationDir: options.paths.operationDir,
    tasks,
    warn: () => undefined,
    ending: ending.signal,
  });
  const log = () => undefined;
  const parts: NodeParts = {
    ...{ options, mode, cluster, tree, tasks, operations, clusterLog, log },
    recentLog: new RecentLog(),
    directoryName: apiNodeName,
    manager: new ServiceManager({ environment: {}, pid: process.pid, onFailure: log }),
    startedAt: now(),
    mount: () => ({ target: "", reason: "a test mounts nothing" }),
    end: log,
    restart: log,
    startFault: "",
    ending: ending.signal,
  };
  const joining = new Joining(parts);
  const logins = openLogins({ paths: options.paths, tree, clusterLog, log });
  const status = () => Promise.reject(new Error("a test has no status"));
  const warnings = async () => ["a warning of the test"];
  const monitoring = new Monitoring(parts, { status, warnings, door: () => undefined });
  monitoring.monitor.start();
  const { routes, authenticate, isQuorate, nodeName, metrics } = nodeRoutes(
    parts,
    logins,
    joining,
    monitoring,
  );
  return {
    ...{ routes, parts, authenticate },
    appFor: (known, onFault, forward) =>
      buildApi2({
        ...{ routes, isQuorate, nodeName, authenticate: known, metrics },
        ...(onFault === undefined ? {} : { onFault }),
        ...(forward === undefined ? {} : { forward }),
      }),
    close: async () => {
      ending.abort(new Error("the test ends"));
      joining.stop();
      await monitoring.monitor.stop();
      await operations.suspended();
      await logins.stop();
      await tree.stop();
      rmSync(root, { recursive: true });
    },
  };
}
