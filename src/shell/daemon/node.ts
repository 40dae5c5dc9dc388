// `quorate node`: one member of the cluster in the foreground, start to stop. It only puts the parts together, in the order in
// which they may fail without harm: configuration, database (locked), ring, API, mount; and takes them down in reverse.
import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { onScarceDescriptors } from "../../listening.ts";
import { groupId } from "../../libc.ts";
import { type ClusterInfo, ConfigurationTree } from "../../fs/fs.ts";
import type { Errno } from "../../fs/tree/files.ts";
import { FuseMount, prepareMountPoint } from "../../fs/fuse/mount.ts";
import { absentBindings } from "../../node/link/own-addresses.ts";
import { loadSettings } from "../../node/settings/load-settings.ts";
import { RingThreadClient } from "../../node/thread/client.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import { ServiceManager } from "./service-notify.ts";
import type { LogAction } from "../../world.ts";
import { buildApi } from "../api/api.ts";
import { corosyncConfPath } from "../../fs/tree/rules.ts";
import { readConf } from "../../fs/disk/conf-file.ts";
import { type ConfContext, confProblem, TreeConfWatch } from "./check-conf.ts";
import { isAnswered, listen, withNetworkApi } from "../api/api-socket.ts";
import { DeviceFiles } from "./device-files.ts";
import { CommandFailure, exitConfiguration, exitFailed, exitOk } from "../exit.ts";
import { type ApiAddress, NodeApi } from "./door.ts";
import { ownDirectory } from "./own-directory.ts";
import type { NodePaths } from "../paths.ts";
import { QdeviceSocket } from "./qdevice-socket.ts";
import { nodeStatus, quorumMeaning } from "../api/status.ts";
import { lastUpgradeEvent } from "../upgrade/last-event.ts";
import { upgradePlaces } from "../upgrade/places.ts";

export interface NodeOptions {
  readonly paths: NodePaths;
  /** Our name in the nodelist, and of our directory in the tree, when they are not the host's. */
  readonly name: string | undefined;
  /** Where to mount the tree; undefined: not at all. */
  readonly mount: string | undefined;
  readonly durability: "full" | "normal";
  /** Where the network API listens; undefined: nowhere. */
  readonly api: ApiAddress | undefined;
  readonly version: string;
  readonly log: (line: LogAction) => void;
}

/** From a write of corosync.conf until the ring is asked to reload: every node has written its copy by then. */
const reloadAfterMs = 1000;
/** How long a node waits for that reload before it helps itself. */
const catchUpAfterMs = 10_000;

/** Only root reaches the local API; so Proxmox's log calls who logs in as root. */
const operator = "root@pam";

/** Why a running node ends. */
interface End {
  readonly code: number;
  readonly reason: string;
}

/** Resolves with the exit code after a graceful stop; throws CommandFailure when the node cannot start. */
export async function nodeCommand(options: NodeOptions): Promise<number> {
  process.umask(0o027);
  const { paths } = options;
  const settings = await settingsOf(options);
  if (await isAnswered(paths.socket)) {
    throw new CommandFailure(
      `a node is already running with ${paths.root} (it answers at ${paths.socket}): stop it first, or choose another --root`,
    );
  }
  onScarceDescriptors((text) =>
    options.log({ kind: "log", level: "warning", subsystem: "MAIN", text }),
  );
  const node = new RunningNode(options, settings);
  try {
    await node.start();
    return await node.untilEnd();
  } finally {
    await node.stop();
  }
}

async function settingsOf(options: NodeOptions): Promise<NodeSettings> {
  const loaded = await loadSettings(options.paths, options.name);
  if (!loaded.ok) throw new CommandFailure(loaded.reason, exitConfiguration);
  return loaded.value;
}

class RunningNode {
  readonly #options: NodeOptions;
  readonly #cluster: RingThreadClient;
  readonly #manager: ServiceManager;
  readonly #startedAt = Math.floor(Date.now() / 1000);
  readonly #end = Promise.withResolvers<End>();
  /** What was started, to be stopped in reverse order. */
  readonly #undo: (() => Promise<void>)[] = [];
  #settings: NodeSettings;
  #warned: ReadonlySet<string> = new Set();
  /** The tree wrote a newer corosync.conf before the ring was started. */
  #confChanged = false;
  #ringStarted = false;
  readonly #confWatch = new TreeConfWatch();
  #deviceFiles: DeviceFiles | undefined;
  #reloadTimer: ReturnType<typeof setTimeout> | undefined;
  #mount: FuseMount | undefined;
  #mountReason = "";

  constructor(options: NodeOptions, settings: NodeSettings) {
    this.#options = options;
    this.#settings = settings;
    this.#cluster = new RingThreadClient({
      settings,
      stateDir: options.paths.stateDir,
      deviceDir: options.paths.deviceDir,
      configPaths: { conf: options.paths.conf, authkey: options.paths.authkey },
      pid: process.pid,
      load: () => loadSettings(options.paths, options.name, this.#cluster.settings),
      log: options.log,
    });
    this.#manager = new ServiceManager({
      environment: process.env,
      pid: process.pid,
      onFailure: (sentence) => this.#log("warning", sentence),
    });
  }

  async start(): Promise<void> {
    this.#catchSignals();
    const tree = await this.#openTree();
    await this.#checkMountPoint();
    await this.#startRing(tree);
    this.#serveApi(tree);
    this.#serveDeviceTool();
    await this.#mountTree(tree);
    this.#feedWatchdog();
    // With an address that is not there yet too: who waits for this service would wait for the network instead.
    this.#manager.ready(`ring started${this.#absentText()}`);
    this.#log(
      "notice",
      `node ${this.#settings.name} (${this.#settings.nodeid}) is running, version ${this.#options.version}`,
    );
  }

  /** For the service manager's status line; "" when all own addresses are there. */
  #absentText(): string {
    const absent = absentBindings(this.#cluster.settings);
    if (absent.length === 0) return "";
    return `; no interface has ${absent.map(({ address }) => address).join(", ")} yet`;
  }

  async untilEnd(): Promise<number> {
    const end = await this.#end.promise;
    if (end.reason !== "") this.#log(end.code === exitOk ? "notice" : "error", end.reason);
    return end.code;
  }

  async stop(): Promise<void> {
    this.#manager.stopping("leaving the cluster");
    for (const undo of this.#undo.toReversed()) await undo();
    this.#undo.length = 0;
  }

  #catchSignals(): void {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      const handler = (): void =>
        this.#end.resolve({ code: exitOk, reason: `${signal}: stopping` });
      process.on(signal, handler);
      this.#undo.push(async () => void process.off(signal, handler));
    }
  }

  async #openTree(): Promise<ConfigurationTree> {
    const { paths, durability, log } = this.#options;
    const { nodeid, name, nodes } = this.#settings;
    mkdirSync(paths.treeDir, { recursive: true, mode: 0o750 });
    const gid = groupId("www-data");
    const own = ownDirectory(hostname(), name, this.#options.name !== undefined);
    if (own.remark !== "") this.#log("notice", own.remark);
    const address = nodes.find((node) => node.nodeid === nodeid)?.addresses[0];
    const opened = await ConfigurationTree.open({
      directory: paths.treeDir,
      nodeid,
      nodeName: own.name,
      pid: process.pid,
      groups: this.#cluster.groups,
      cluster: clusterInfo(this.#settings),
      corosyncConfPath: paths.conf,
      durability,
      wallS: () => Math.floor(Date.now() / 1000),
      log,
      onFatal: (reason) => this.#end.resolve({ code: exitFailed, reason }),
      onCorosyncConf: (written) => this.#confWritten(written),
      ...(gid === undefined ? {} : { gid }),
      ...(address === undefined ? {} : { address }),
    });
    if (!opened.ok) throw new CommandFailure(opened.reason, exitConfiguration);
    this.#undo.push(() => opened.value.stop());
    this.#followDeviceFiles(opened.value);
    return opened.value;
  }

  /** The certificate for the vote server lies in the tree; the ring thread reads this machine's copy. */
  #followDeviceFiles(tree: ConfigurationTree): void {
    const files = new DeviceFiles({
      files: tree,
      treeStatus: () => tree.status(),
      directory: this.#options.paths.deviceDir,
      log: this.#options.log,
    });
    this.#deviceFiles = files;
    this.#undo.push(async () => files.stop());
  }

  /**
   * The tree has replaced the local corosync.conf. Before the ring starts it is read again; later the writer asks all nodes to
   * reload when each has had the time to write its copy (pmxcfs.md §2.8). A node that got the file otherwise, or whose writer
   * died meanwhile, would run with the old one until its next start: it reloads by itself.
   */
  #confWritten({ version, reload }: { readonly version: number; readonly reload: boolean }): void {
    this.#deviceFiles?.follow();
    if (!this.#ringStarted) {
      this.#confChanged = true;
      return;
    }
    clearTimeout(this.#reloadTimer);
    this.#reloadTimer = setTimeout(
      () => {
        if (reload) void this.#cluster.reload();
        else if (this.#cluster.settings.configVersion < version) void this.#cluster.reloadHere();
      },
      reload ? reloadAfterMs : catchUpAfterMs,
    );
  }

  async #startRing(tree: ConfigurationTree): Promise<void> {
    if (this.#confChanged) {
      const before = this.#settings.nodeid;
      this.#settings = await settingsOf(this.#options);
      if (this.#settings.nodeid !== before) {
        throw new CommandFailure(
          `the corosync.conf of the tree calls this node ${this.#settings.nodeid}, the local one called it ${before}: decide which is right and correct ${this.#options.paths.conf}`,
          exitConfiguration,
        );
      }
      tree.setCluster(clusterInfo(this.#settings));
    }
    this.#cluster.onQuorum((quorum) => {
      const meaning = quorumMeaning(quorum);
      tree.setQuorate(quorum.quorate, meaning);
      this.#manager.status(`${meaning}${this.#absentText()}`);
    });
    this.#cluster.onReloaded((settings) => tree.setCluster(clusterInfo(settings)));
    this.#warnOf(this.#settings);
    this.#cluster.onReloaded((settings) => this.#warnOf(settings));
    this.#ringStarted = true;
    this.#undo.push(async () => clearTimeout(this.#reloadTimer));
    const reason = await this.#cluster.start(this.#settings);
    if (reason !== "") throw new CommandFailure(reason);
    // Stopped after the tree has left its groups: the tree is undone before the ring.
    this.#undo.unshift(() => this.#cluster.stop());
    void this.#cluster.finished.then(({ clean, reason: why, isConfiguration }) => {
      const failed = isConfiguration === true ? exitConfiguration : exitFailed;
      this.#end.resolve({ code: clean ? exitOk : failed, reason: why });
    });
  }

  #confContext(tree: ConfigurationTree): ConfContext {
    const { paths, name } = this.#options;
    const present = presentConfs(tree, paths.conf);
    return { running: this.#cluster.settings, paths, name, present };
  }

  async #confWarning(tree: ConfigurationTree): Promise<string> {
    // While it starts the tree may be an old one. One that is kept apart must not get the file: it would replace the cluster's.
    if (!["synced", "updating"].includes(tree.status().mode)) return "";
    const stored = tree.read(corosyncConfPath);
    const content = stored.ok ? stored.value : undefined;
    return this.#confWatch.warning(content, this.#confContext(tree));
  }

  #serveApi(tree: ConfigurationTree): void {
    const { paths, version } = this.#options;
    const upgradeLog = upgradePlaces(paths.root, process.execPath).log;
    const network = this.#openNetworkApi(tree);
    const socket = listen(
      withNetworkApi(
        buildApi({
          files: tree,
          status: () =>
            nodeStatus({
              version,
              cluster: this.#cluster,
              tree: () => tree.status(),
              confWarning: () => this.#confWarning(tree),
              upgrade: () => lastUpgradeEvent(upgradeLog),
              mount: () => ({ target: this.#mount?.target ?? "", reason: this.#mountReason }),
              pid: process.pid,
              startedAt: this.#startedAt,
            }),
          setExpectedVotes: (votes) => this.#cluster.setExpectedVotes(votes),
          cancelWaitForAll: () => this.#cluster.cancelWaitForAll(),
          reload: () => this.#cluster.reload(),
          confProblem: (content) => confProblem(content, this.#confContext(tree)),
          logToCluster: ({ tag, priority, message }) =>
            tree.statusStore.log({
              ident: operator,
              tag,
              priority,
              message: new TextEncoder().encode(message),
            }),
        }),
        network.localApp(),
      ),
      paths.socket,
    );
    this.#undo.push(() => socket.close());
  }

  #openNetworkApi(tree: ConfigurationTree): NodeApi {
    const { paths, api: listenAt, log } = this.#options;
    const nodeName = ownDirectory(
      hostname(),
      this.#settings.name,
      this.#options.name !== undefined,
    ).name;
    const api = new NodeApi({ paths, files: tree, nodeName, listen: listenAt, log });
    this.#undo.push(() => api.close());
    api.open();
    return api;
  }

  #serveDeviceTool(): void {
    const socket = new QdeviceSocket({
      cluster: this.#cluster,
      path: this.#options.paths.deviceSocket,
      log: (level, text) => this.#options.log({ kind: "log", level, subsystem: "QDEVICE", text }),
    });
    this.#undo.push(() => socket.close());
    void socket.update();
    this.#cluster.onReloaded(() => void socket.update());
  }

  /** What could not be mounted on would else be found after the node has joined its cluster. */
  async #checkMountPoint(): Promise<void> {
    const target = this.#options.mount;
    if (target === undefined) return;
    const point = await prepareMountPoint(target, (level, text) => this.#logFuse(level, text));
    if (!point.ok && !isWithoutRight(point.errno)) throw new CommandFailure(point.reason);
  }

  /** Without the right to mount the node runs all the same (`quorate fs` works); any other obstacle is an error. */
  async #mountTree(tree: ConfigurationTree): Promise<void> {
    const target = this.#options.mount;
    if (target === undefined) {
      this.#mountReason = "--no-mount was given";
      return;
    }
    const mounted = await FuseMount.mount({
      target,
      files: tree,
      gid: groupId("www-data") ?? 0,
      log: (level, text) => this.#logFuse(level, text),
    });
    if (mounted.ok) {
      this.#mount = mounted.value;
      this.#undo.push(() => mounted.value.unmount());
      tree.onChanged((paths, isOwn) => mounted.value.changed(paths, isOwn));
      // The owner's write bit of `local` is the quorum probe of all Proxmox code: it must not be up to a second old.
      this.#cluster.onQuorum(() => mounted.value.invalidate("local"));
      void mounted.value.ended.then((reason) => this.#end.resolve({ code: exitFailed, reason }));
      return;
    }
    if (!isWithoutRight(mounted.errno)) throw new CommandFailure(mounted.reason);
    this.#mountReason = mounted.reason;
    this.#log("warning", `${mounted.reason}; the tree is served by "quorate fs" only`);
  }

  /** One WATCHDOG covers both threads: it is sent only after the ring thread has answered. */
  #feedWatchdog(): void {
    const everyMs = this.#manager.watchdogMs;
    if (everyMs === undefined) return;
    const timer = setInterval(() => {
      this.#cluster.snapshot().then(
        () => this.#manager.watchdog(),
        (error: unknown) => this.#log("error", `the ring thread is silent: ${String(error)}`),
      );
    }, everyMs);
    this.#undo.push(async () => clearInterval(timer));
  }

  #warnOf({ warnings = [] }: NodeSettings): void {
    for (const warning of warnings) {
      if (!this.#warned.has(warning)) this.#log("warning", warning);
    }
    this.#warned = new Set(warnings);
  }

  #logFuse(level: LogAction["level"], text: string): void {
    this.#options.log({ kind: "log", level, subsystem: "FUSE", text });
  }

  #log(level: LogAction["level"], text: string): void {
    this.#options.log({ kind: "log", level, subsystem: "MAIN", text });
  }
}

function isWithoutRight(errno: Errno): boolean {
  return errno === "EACCES" || errno === "ENOSYS";
}

function clusterInfo(settings: NodeSettings): ClusterInfo {
  return {
    name: settings.clusterName,
    configVersion: settings.configVersion,
    nodes: settings.nodes.map(({ nodeid, name, addresses }) => ({
      nodeid,
      name: name || (addresses[0] ?? `node${nodeid}`),
    })),
  };
}

/** What the tree and this machine have as corosync.conf. */
function presentConfs(tree: ConfigurationTree, path: string): readonly Uint8Array[] {
  const stored = tree.read(corosyncConfPath);
  return [stored.ok ? stored.value : undefined, readConf(path)].filter(
    (conf) => conf !== undefined,
  );
}
