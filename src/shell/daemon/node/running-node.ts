// A node from start to stop. Its parts start in the order in which they may fail without harm (database with its lock, ring, API, mount)
// and end in reverse.
import { hostname } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ConfigurationTree } from "../../../fs/fs.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import type { Cluster } from "../../../node/thread/cluster.ts";
import type { LogAction } from "../../../world.ts";
import { CommandFailure, exitFailed, exitOk } from "../../exit.ts";
import { RecentLog } from "../../monitor/recent-log.ts";
import { TaskFiles } from "../../task/task-files.ts";
import { Tasks } from "../../task/tasks.ts";
import { DeviceFiles } from "../device-files.ts";
import { Leaving } from "../leave/leaving.ts";
import { ownDirectory } from "../own-directory.ts";
import { ServiceManager } from "../service-notify.ts";
import { releaseStartupMemory } from "../startup-memory.ts";
import { clusterLogger } from "./cluster-log.ts";
import { NodeMount } from "./mount.ts";
import { NodeOperations } from "./node-operations.ts";
import type { End, Log, NodeOptions, NodeParts, NodeService, Stop } from "./parts.ts";
import { plansOf } from "./plans.ts";
import { clusterInfo, NodeRing } from "./ring.ts";
import { serveApi, serveDeviceTool } from "./serve.ts";
import { StandaloneCluster, standaloneNodeid } from "./standalone.ts";
import type { StartMode } from "./start-mode.ts";
import { ensureNodeDirectories, openTree } from "./tree.ts";

/** A node's ring has formed by then, unless others are away. */
const settledMs = 3000;

export class RunningNode {
  readonly #options: NodeOptions;
  readonly #recentLog = new RecentLog();
  readonly #mode: StartMode;
  readonly #manager: ServiceManager;
  readonly #mount: NodeMount;
  readonly #startedAt = nowS();
  readonly #ended = Promise.withResolvers<End>();
  readonly #ending = new AbortController();
  #isRestart = false;
  /** Somebody ends this process while it gives everything back: it begins nothing anew then. */
  #stopSignal: NodeJS.Signals | undefined;
  /** What was started, to be stopped in reverse order. */
  readonly #undo: Stop[] = [];

  constructor(options: NodeOptions, mode: StartMode) {
    const log = (line: LogAction): void => {
      this.#recentLog.add(line, Date.now());
      options.log(line);
    };
    this.#options = { ...options, log };
    this.#mode = mode;
    this.#mount = new NodeMount(options.mount, this.#log);
    this.#manager = new ServiceManager({
      environment: process.env,
      pid: process.pid,
      onFailure: (sentence) => this.#log("warning", sentence),
    });
  }

  /** Resolves when it has ended and given everything back; throws CommandFailure when it cannot run. */
  async run(): Promise<End> {
    const end = await this.#startToEnd();
    const signal = this.#stopSignal;
    if (signal === undefined || end.isRestart !== true) return end;
    this.#log("notice", `${signal}: it does not begin anew`);
    return { code: end.code, reason: end.reason };
  }

  async #startToEnd(): Promise<End> {
    try {
      await this.#start();
      return await this.#untilEnd();
    } finally {
      await this.#stop();
    }
  }

  async #start(): Promise<void> {
    this.#catchSignals();
    switch (this.#mode.kind) {
      case "cluster":
        return this.#startMember(this.#mode);
      case "standalone":
        return this.#startAlone(this.#mode);
    }
    this.#mode satisfies never;
  }

  async #untilEnd(): Promise<End> {
    const end = await this.#ended.promise;
    this.#isRestart = end.isRestart === true;
    if (end.reason !== "") this.#log(end.code === exitOk ? "notice" : "error", end.reason);
    return end;
  }

  async #stop(): Promise<void> {
    this.#ending.abort(new Error("the node is ending"));
    const how = this.#mode.kind === "cluster" ? "leaving the cluster" : "stopping";
    if (this.#isRestart) this.#manager.reloading(`restarting in place: ${how}`);
    else this.#manager.stopping(how);
    for (const undo of this.#undo.toReversed()) await undo();
    this.#undo.length = 0;
  }

  async #startMember({ settings }: StartMode & { readonly kind: "cluster" }): Promise<void> {
    const directoryName = this.#directoryName(settings.name);
    const { options, manager, log, end } = this.#context();
    const ring = new NodeRing({ options, settings, manager, log, end });
    // Stopped last: the tree leaves its groups through it.
    this.#undo.push(() => ring.stop());
    let deviceFiles: DeviceFiles | undefined;
    const { nodeid } = settings;
    const address = settings.nodes.find((node) => node.nodeid === nodeid)?.addresses[0];
    const tree = await openTree(options, {
      nodeid,
      nodeName: directoryName,
      groups: ring.cluster.groups,
      cluster: clusterInfo(settings),
      onFatal: (reason) => end({ code: exitFailed, reason }),
      onCorosyncConf: (written) => {
        deviceFiles?.follow();
        ring.confWritten(written);
      },
      ...(address === undefined ? {} : { address }),
    });
    this.#undo.push(() => tree.stop());
    // The certificate for the vote server lies in the tree; the ring thread reads this machine's copy.
    const files = new DeviceFiles({
      files: tree,
      treeStatus: () => tree.status(),
      directory: options.paths.deviceDir,
      log: options.log,
    });
    deviceFiles = files;
    this.#undo.push(async () => files.stop());
    await this.#mount.check();
    await ring.start(tree);
    await this.#startServices(tree, ring.cluster, directoryName, [serveDeviceTool]);
    // With an address that is not there yet too: who waits for this service would wait for the network instead.
    manager.ready(`ring started${ring.absentText()}`);
    const { version } = options;
    log("notice", `node ${settings.name} (${nodeid}) is running, version ${version}`);
    this.#releaseSoon();
  }

  async #startAlone(mode: StartMode & { readonly kind: "standalone" }): Promise<void> {
    const { name, fault, hasLeft } = mode;
    const directoryName = this.#directoryName(name);
    const { options, manager, log, end } = this.#context();
    const tree = await openTree(options, {
      nodeid: standaloneNodeid,
      nodeName: directoryName,
      groups: undefined,
      cluster: undefined,
      onFatal: (reason) => end({ code: exitFailed, reason }),
      onCorosyncConf: () => undefined,
    });
    this.#undo.push(() => tree.stop());
    if (hasLeft) {
      const removed = await tree.remove(corosyncConfPath);
      if (removed.ok || removed.errno === "ENOENT") new Leaving(options.paths).arrived();
    }
    const conf = tree.stat(corosyncConfPath);
    if (conf.ok && conf.value.type === "file" && fault === "") {
      throw new CommandFailure(
        "the tree got the corosync.conf of a cluster while this node was starting without one: start it again, as a member",
      );
    }
    await this.#mount.check();
    const made = await ensureNodeDirectories(tree, directoryName);
    if (!made.ok) throw new CommandFailure(made.reason);
    await this.#startServices(tree, new StandaloneCluster(name, nowS), directoryName);
    manager.ready("standalone: in no cluster");
    log(
      "notice",
      `node ${name} is running standalone (no corosync.conf), version ${options.version}`,
    );
    this.#releaseSoon();
  }

  /** Once the ring has formed and the tree is synchronised, as far as that needs no other node. */
  #releaseSoon(): void {
    const timer = setTimeout(() => {
      const kept = releaseStartupMemory();
      if (kept !== undefined) this.#log("debug", `memory of the start is kept: ${kept}`);
    }, settledMs);
    this.#undo.push(async () => clearTimeout(timer));
  }

  /** What runs beside the tree, in this order. `own`: of this kind of node alone. */
  async #startServices(
    tree: ConfigurationTree,
    cluster: Cluster,
    directoryName: string,
    own: readonly NodeService[] = [],
  ): Promise<void> {
    const clusterLog = clusterLogger(tree);
    const tasks = new Tasks({
      files: new TaskFiles(this.#options.paths.taskDir),
      node: () => directoryName,
      logging: { cluster: clusterLog, warn: (text) => this.#log("warning", text, "TASK") },
    });
    const { operationDir } = this.#options.paths;
    const operations = new NodeOperations({
      ...{ operationDir, tasks, ending: this.#ending.signal },
      warn: (text) => this.#log("warning", text, "TASK"),
    });
    const parts: NodeParts = {
      ...this.#context(),
      mode: this.#mode.kind,
      ...{ cluster, tree, directoryName, tasks, operations, clusterLog },
      startedAt: this.#startedAt,
      recentLog: this.#recentLog,
      startFault: this.#mode.kind === "standalone" ? this.#mode.fault : "",
      mount: () => this.#mount.place,
    };
    const mount: NodeService = (all) => this.#mount.start(all);
    for (const start of [serveApi, ...own, mount, feedWatchdog]) {
      this.#undo.push(await start(parts));
    }
    // What is under way ends, for now, before anything that it uses.
    this.#undo.push(() => operations.suspended());
    operations.resume(plansOf(parts));
    // Whatever goes on with a task of an earlier daemon has taken it up by now.
    tasks.settle();
  }

  #context(): Pick<NodeParts, "options" | "manager" | "log" | "end" | "restart" | "ending"> {
    const { resolve } = this.#ended;
    return {
      options: this.#options,
      manager: this.#manager,
      log: this.#log,
      end: resolve,
      restart: (reason) =>
        resolve({ code: exitOk, reason: `restarting in place: ${reason}`, isRestart: true }),
      ending: this.#ending.signal,
    };
  }

  #directoryName(name: string): string {
    const own = ownDirectory(hostname(), name, this.#options.name !== undefined);
    if (own.remark !== "") this.#log("notice", own.remark);
    return own.name;
  }

  #catchSignals(): void {
    // Undone last.
    const handlers: (readonly [NodeJS.Signals, () => void])[] = [];
    this.#undo.push(async () => {
      // One that came during a long turn is told in the next: it would be lost.
      await nextTurn();
      for (const [signal, handler] of handlers) process.off(signal, handler);
    });
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      const handler = (): void => {
        this.#stopSignal = signal;
        this.#ended.resolve({ code: exitOk, reason: `${signal}: stopping` });
      };
      process.on(signal, handler);
      handlers.push([signal, handler]);
    }
  }

  readonly #log: Log = (level, text, subsystem = "MAIN") =>
    this.#options.log({ kind: "log", level, subsystem, text });
}

/** One WATCHDOG covers both threads: it is sent only after the ring thread has answered. */
async function feedWatchdog({ manager, cluster, log }: NodeParts): Promise<Stop> {
  const everyMs = manager.watchdogMs;
  if (everyMs === undefined) return () => Promise.resolve();
  manager.watchdog();
  const timer = setInterval(() => {
    cluster.snapshot().then(
      () => manager.watchdog(),
      (error: unknown) => log("error", `the ring thread is silent: ${String(error)}`),
    );
  }, everyMs);
  return async () => clearInterval(timer);
}

/** Unix seconds. */
function nowS(): number {
  return Math.floor(Date.now() / 1000);
}
