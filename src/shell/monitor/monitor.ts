// Watches one node: looks at it once a second, keeps what happened and how it was, and shares one look among all who ask, so that requests never
// ask the ring thread more often than a few times a second.
import type { ConfigurationTree } from "../../fs/fs.ts";
import { isLockPath } from "../../fs/tree/rules.ts";
import type { QuorumView } from "../../node/member/events.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import type { Cluster } from "../../node/thread/cluster.ts";
import { reasonOf } from "../../result.ts";
import type { Clock } from "../../world.ts";
import { userPaths } from "../access/user-files.ts";
import { textOfPath } from "../api/path-text.ts";
import type { EventLine } from "../upgrade/record.ts";
import { deviceEvents, linkEvents, quorumEvents, upgradeEvents } from "./changes.ts";
import type { NodeEvent } from "./event.ts";
import { EventRing } from "./event-ring.ts";
import { History } from "./history.ts";
import { readHistory, writeHistory } from "./history-file.ts";
import { historyValues, type WriteCount } from "./history-values.ts";
import { EventStreams } from "./streams.ts";

const lookMs = 1000;
/** Looks from one sample of the history to the next. */
const looksOfSample = 10;
/** Between two writes of the history: what a crash may lose. */
const writeMs = 600_000;
/** A look that is not older serves whoever asks. */
const sharedMs = 250;
/** Changes of the tree within this time are one event. */
const gatherMs = 100;
/** More objects than these, or longer names: "all may be others now". */
const pathsMax = 100;
const pathCharactersMax = 8192;

export interface MonitorOptions {
  readonly cluster: Cluster;
  /** False: it is in no cluster, and nothing happens to its quorum. */
  readonly isMember: boolean;
  readonly tree: Pick<ConfigurationTree, "counts" | "onChanged">;
  readonly upgradeEvent: () => EventLine | undefined;
  /** Where the history lies between two runs. */
  readonly historyFile: string;
  readonly clock: Clock;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
  readonly log: (level: "notice" | "warning", text: string) => void;
}

export class Monitor {
  readonly ring: EventRing;
  readonly streams: EventStreams;
  readonly #options: MonitorOptions;
  #history = new History();
  #quorum: QuorumView | undefined;
  #seen: RingSnapshot | undefined;
  /** Null: nobody has looked yet. */
  #upgrade: EventLine | undefined | null = null;
  #looks = 0;
  #writes: WriteCount | undefined;
  #shared: { readonly at: number; readonly look: Promise<RingSnapshot> } | undefined;
  /** Byte strings; undefined: all. */
  #changed: Set<string> | undefined = new Set();
  #changedCharacters = 0;
  #isGathering = false;
  #isAsking = false;
  #isStopped = false;
  #isSilent = false;
  #fault = "";
  #cancelLook: () => void = () => undefined;
  #cancelWrite: () => void = () => undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: MonitorOptions) {
    this.#options = options;
    const { clock, wallMs, log } = options;
    this.ring = new EventRing(Math.floor(wallMs()).toString(36));
    this.streams = new EventStreams({ ring: this.ring, clock, log });
  }

  get history(): History {
    return this.#history;
  }

  /** Begins to watch. */
  start(): void {
    const { cluster, isMember, tree } = this.#options;
    this.#reading = this.#read();
    if (isMember) cluster.onQuorum((quorum) => this.#quorumIs(quorum));
    tree.onChanged((paths) => this.#treeChanged(paths));
    this.#lookLater();
    this.#writeLater();
  }

  /** Streams end, the history is written. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelLook();
    this.#cancelWrite();
    this.streams.end("the node is ending");
    await this.#reading;
    await this.#write();
  }

  /** How the ring is, at most a quarter of a second ago. Rejects when the ring thread gives no answer. */
  look(): Promise<RingSnapshot> {
    const now = this.#options.clock.now();
    if (this.#shared !== undefined && now - this.#shared.at < sharedMs) return this.#shared.look;
    const look = this.#options.cluster.snapshot();
    const shared = { at: now, look };
    this.#shared = shared;
    // A failure is for whoever asked, and for nobody after.
    look.catch(() => {
      if (this.#shared === shared) this.#shared = undefined;
    });
    return look;
  }

  /** The same, not from before this call: after a change. */
  lookAnew(): Promise<RingSnapshot> {
    this.#shared = undefined;
    return this.look();
  }

  #publish(events: readonly NodeEvent[]): void {
    if (events.length === 0) return;
    for (const event of events) this.ring.append(event);
    this.streams.published();
  }

  #quorumIs(quorum: QuorumView): void {
    this.#shared = undefined;
    const before = this.#quorum;
    this.#quorum = quorum;
    this.#publish(quorumEvents(before, quorum, this.#nameOf, this.#options.wallMs()));
  }

  readonly #nameOf = (nodeid: number): string => {
    const node = this.#options.cluster.settings.nodes.find((each) => each.nodeid === nodeid);
    return node === undefined || node.name === ""
      ? `node ${nodeid}`
      : `${node.name} (node ${nodeid})`;
  };

  /** A second is all that somebody who is refused from now on may read on. */
  #rightsChanged(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#options.clock.after(gatherMs, () => {
      this.#isAsking = false;
      if (!this.#isStopped) this.streams.askAgain();
    });
  }

  #treeChanged(paths: readonly string[] | undefined): void {
    if (paths?.some(isOfRights) !== false) this.#rightsChanged();
    if (paths === undefined) this.#changed = undefined;
    for (const given of paths ?? []) {
      const path = plainPath(given);
      if (isPassing(path) || this.#changed?.has(path) !== false) continue;
      this.#changed.add(path);
      this.#changedCharacters += path.length;
      if (this.#changed.size > pathsMax || this.#changedCharacters > pathCharactersMax) {
        this.#changed = undefined;
      }
    }
    if (this.#isGathering || this.#changed?.size === 0) return;
    this.#isGathering = true;
    this.#options.clock.after(gatherMs, () => this.#tellChanged());
  }

  #tellChanged(): void {
    const changed = this.#changed;
    this.#isGathering = false;
    this.#changed = new Set();
    this.#changedCharacters = 0;
    if (this.#isStopped) return;
    const paths = [...(changed ?? [])].map(textOfPath);
    const [first = ""] = paths;
    const text =
      changed === undefined
        ? "many objects of the tree, or all, have changed"
        : paths.length === 1
          ? `/${first} has changed`
          : `${paths.length} objects of the tree have changed`;
    const facts = { paths, isAll: changed === undefined };
    this.#publish([{ kind: "tree", at: this.#options.wallMs(), text, facts }]);
  }

  #lookLater(): void {
    this.#cancelLook = this.#options.clock.after(lookMs, () => {
      void this.#lookNow().finally(() => {
        if (!this.#isStopped) this.#lookLater();
      });
    });
  }

  async #lookNow(): Promise<void> {
    try {
      const snapshot = await this.lookAnew();
      if (this.#isStopped) return;
      this.#isSilent = false;
      this.#compare(snapshot);
    } catch (error) {
      // Once; the node ends by itself when its ring thread has.
      if (!this.#isSilent && !this.#isStopped) {
        this.#options.log("warning", `nothing is seen of the ring: ${reasonOf(error)}`);
      }
      this.#isSilent = true;
    }
  }

  #compare(snapshot: RingSnapshot): void {
    const { wallMs, tree, upgradeEvent } = this.#options;
    const at = wallMs();
    const before = this.#seen;
    this.#seen = snapshot;
    const device = before === undefined ? null : before.device;
    this.#publish([
      ...linkEvents(before?.links ?? [], snapshot.links, this.#nameOf, at),
      ...deviceEvents(device, snapshot.device, at),
    ]);
    if (this.#looks % looksOfSample === 0) {
      const event = upgradeEvent();
      this.#publish(upgradeEvents(this.#upgrade, event, at));
      this.#upgrade = event;
      const { writes } = tree.counts();
      const since = this.#writes;
      this.#writes = { writes, at: this.#options.clock.now() };
      this.#history.record(at / 1000, historyValues(snapshot, since, this.#writes));
    }
    this.#looks += 1;
  }

  async #read(): Promise<void> {
    const read = await readHistory(this.#options.historyFile);
    if (read.ok) this.#history = read.value;
    else this.#options.log("warning", read.reason);
  }

  #writeLater(): void {
    this.#cancelWrite = this.#options.clock.after(writeMs, () => {
      void this.#write().finally(() => {
        if (!this.#isStopped) this.#writeLater();
      });
    });
  }

  async #write(): Promise<void> {
    const fault = await writeHistory(this.#options.historyFile, this.#history);
    // A disk that stays full is told once.
    if (fault !== "" && fault !== this.#fault) this.#options.log("warning", fault);
    this.#fault = fault;
  }
}

function plainPath(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "")
    .join("/");
}

/** Who there is, and who may what; secrets of tokens. */
function isOfRights(path: string): boolean {
  const plain = plainPath(path);
  return plain === userPaths.config || plain === userPaths.tokens;
}

/**
 * What is written beside a file before it gets its name, by us and by Proxmox's tools, and their locks: nobody reads a draft under its name, and every
 * change of a file under a lock would be three.
 */
function isPassing(path: string): boolean {
  return /\.tmp\.\d+(?:\.\d+)?$/.test(path) || isLockPath(path);
}
