// The ring of a member: the ring thread, and how it follows corosync.conf. The tree is told of quorum and of a new configuration; a new
// corosync.conf of the tree reaches the ring (pmxcfs.md §2.8).
import { printConf } from "../../../conf.ts";
import type { ConfigurationTree } from "../../../fs/fs.ts";
import { dcdbGroup } from "../../../fs/replica/message.ts";
import type { ClusterInfo } from "../../../fs/tree-options.ts";
import { absentBindings } from "../../../node/link/own-addresses.ts";
import { confOfKeys } from "../../../node/settings/configuration-keys.ts";
import { loadSettings, settingsOfText } from "../../../node/settings/load-settings.ts";
import type { NodeSettings } from "../../../node/settings/settings.ts";
import { RingThreadClient } from "../../../node/thread/client.ts";
import type { QuorumView } from "../../../node/member/events.ts";
import { expectedOverride, quorumMeaning } from "../../api/status.ts";
import { CommandFailure, exitConfiguration, exitFailed, exitOk } from "../../exit.ts";
import type { ServiceManager } from "../service-notify.ts";
import type { End, Log, NodeOptions } from "./parts.ts";
import { settingsOf } from "./start-mode.ts";

/** From a write of corosync.conf until the ring is asked to reload: every node has written its copy by then. */
const reloadAfterMs = 1000;
/** An override is told of once it has lasted: between the reloads of two nodes one has votes that the other does not know of. */
const overrideAfterMs = 2000;
/** How long a node waits for that reload before it helps itself. */
const catchUpAfterMs = 10_000;

export interface NodeRingOptions {
  readonly options: NodeOptions;
  /** Of the corosync.conf on disk. */
  readonly settings: NodeSettings;
  readonly manager: ServiceManager;
  readonly log: Log;
  readonly end: (end: End) => void;
}

type Configured = Pick<NodeSettings, "configVersion">;

/**
 * The corosync.conf of this version that was written when `before` was in force is not in force yet. Of two parts of a cluster both may have written a
 * version: only a reload since then has read this one. A reload of the version before may have been under way, and tells nothing.
 */
export function isOvertaken(version: number, before: Configured, now: Configured): boolean {
  const isRead = now !== before && now.configVersion >= version;
  return !isRead && before.configVersion <= version;
}

export class NodeRing {
  readonly cluster: RingThreadClient;
  readonly #options: NodeRingOptions;
  #settings: NodeSettings;
  #warned: ReadonlySet<string> = new Set();
  /** The tree wrote a newer corosync.conf before the ring was started. */
  #confChanged = false;
  #isStarted = false;
  /** Expected votes of the override that was told last; undefined: there is none. */
  #overriddenTo: number | undefined;
  #quorum: QuorumView | undefined;
  #overrideTimer: ReturnType<typeof setTimeout> | undefined;
  #reloadTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: NodeRingOptions) {
    this.#options = options;
    this.#settings = options.settings;
    const { paths, name, log } = options.options;
    this.cluster = new RingThreadClient({
      settings: options.settings,
      stateDir: paths.stateDir,
      deviceDir: paths.deviceDir,
      configPaths: { conf: paths.conf, authkey: paths.authkey },
      pid: process.pid,
      // The kernel keeps what it read of the tree.
      receiptsOf: dcdbGroup,
      load: () => loadSettings(paths, name, this.cluster.settings),
      loadKeys: (keys) =>
        settingsOfText(printConf(confOfKeys(keys)), paths, name, this.cluster.settings),
      log,
    });
  }

  /**
   * The tree has replaced the local corosync.conf. Before the ring starts it is read again; later the writer asks all nodes to
   * reload when each has had the time to write its copy (pmxcfs.md §2.8). A node that got the file otherwise, or whose writer
   * died meanwhile, would run with the old one until its next start: it reloads by itself.
   */
  confWritten({ version, reload }: { readonly version: number; readonly reload: boolean }): void {
    if (!this.#isStarted) {
      this.#confChanged = true;
      return;
    }
    clearTimeout(this.#reloadTimer);
    const before = this.cluster.settings;
    this.#reloadTimer = setTimeout(
      () => {
        if (reload) void this.cluster.reload();
        else if (isOvertaken(version, before, this.cluster.settings)) {
          void this.cluster.reloadHere();
        }
      },
      reload ? reloadAfterMs : catchUpAfterMs,
    );
  }

  /** Resolves when the sockets are bound; throws CommandFailure. */
  async start(tree: ConfigurationTree): Promise<void> {
    if (this.#confChanged) await this.#readAgain(tree);
    const { manager, end } = this.#options;
    this.cluster.onQuorum((quorum) => {
      const meaning = quorumMeaning(quorum);
      tree.setQuorum({ ...quorum, ringSeq: quorum.ring.seq }, meaning);
      manager.status(`${meaning}${this.absentText()}`);
      this.#quorum = quorum;
      this.#lookAtOverride();
    });
    this.cluster.onReloaded((settings) => {
      tree.setCluster(clusterInfo(settings));
      this.#lookAtOverride();
    });
    this.#warnOf(this.#settings);
    this.cluster.onReloaded((settings) => this.#warnOf(settings));
    this.#isStarted = true;
    const reason = await this.cluster.start(this.#settings);
    if (reason !== "") throw new CommandFailure(reason);
    void this.cluster.finished.then(({ clean, reason: why, isConfiguration }) => {
      const failed = isConfiguration === true ? exitConfiguration : exitFailed;
      end({ code: clean ? exitOk : failed, reason: why });
      // What is under way ends before the node does, and may be waiting for the ring's answer to a change.
      tree.abandon(
        why === "" ? "the ring has ended; the change may or may not have been made" : why,
      );
    });
  }

  async stop(): Promise<void> {
    clearTimeout(this.#reloadTimer);
    clearTimeout(this.#overrideTimer);
    await this.cluster.stop();
  }

  /** For the service manager's status line; "" when all own addresses are there. */
  absentText(): string {
    const absent = absentBindings(this.cluster.settings);
    if (absent.length === 0) return "";
    return `; no interface has ${absent.map(({ address }) => address).join(", ")} yet`;
  }

  async #readAgain(tree: ConfigurationTree): Promise<void> {
    const before = this.#settings.nodeid;
    const { options } = this.#options;
    this.#settings = await settingsOf(options);
    if (this.#settings.nodeid !== before) {
      throw new CommandFailure(
        `the corosync.conf of the tree calls this node ${this.#settings.nodeid}, the local one called it ${before}: decide which is right and correct ${options.paths.conf}`,
        exitConfiguration,
      );
    }
    tree.setCluster(clusterInfo(this.#settings));
  }

  #lookAtOverride(): void {
    clearTimeout(this.#overrideTimer);
    this.#overrideTimer = setTimeout(() => this.#tellOverride(), overrideAfterMs);
  }

  /** Loud on every node, not only where it was typed. */
  #tellOverride(): void {
    if (this.#quorum === undefined) return;
    const quorum = this.#quorum;
    const { expectedVotes } = quorum;
    const override = expectedOverride(this.cluster.settings, quorum);
    if (override === "") {
      if (this.#overriddenTo !== undefined) {
        this.#options.log(
          "notice",
          `the expected votes are ${expectedVotes} again: the override is over`,
        );
      }
      this.#overriddenTo = undefined;
      return;
    }
    if (this.#overriddenTo !== expectedVotes) this.#options.log("warning", override);
    this.#overriddenTo = expectedVotes;
  }

  #warnOf({ warnings = [] }: NodeSettings): void {
    for (const warning of warnings) {
      if (!this.#warned.has(warning)) this.#options.log("warning", warning);
    }
    this.#warned = new Set(warnings);
  }
}

export function clusterInfo(settings: NodeSettings): ClusterInfo {
  return {
    name: settings.clusterName,
    configVersion: settings.configVersion,
    nodes: settings.nodes.map(({ nodeid, name, addresses }) => ({
      nodeid,
      name: name || (addresses[0] ?? `node${nodeid}`),
    })),
  };
}
