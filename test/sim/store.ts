// The simulated tree of one node: the real state machine and tree, and a disk that loses what was not flushed.
import { createHash } from "node:crypto";
import { Acknowledgements } from "../../src/fs/acknowledgement.ts";
import { Dcdb, type DcdbAction } from "../../src/fs/dcdb.ts";
import { Dfsm } from "../../src/fs/dfsm.ts";
import type { DfsmAction, DfsmEvent, DfsmTimer } from "../../src/fs/dfsm-events.ts";
import type { TreeChange, TreeEntry, TreeOperation } from "../../src/fs/entry.ts";
import { encodeOperation } from "../../src/fs/message.ts";
import { Tree } from "../../src/fs/tree.ts";
import type { GroupEvent, GroupMember, GroupRequest } from "../../src/world.ts";
import type { Agenda } from "./agenda.ts";
import type { SeededRandom } from "./random.ts";
import { SimTimers } from "./timers.ts";

const sha256 = (pieces: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return new Uint8Array(hash.digest());
};

/** What survives a crash: rows that were flushed. Row 0 has the name "". */
export type Disk = Map<number, TreeEntry>;

export function freshDisk(): Disk {
  const root = { inode: 0, parent: 0, version: 1, writer: 0, mtime: 1, type: 4, name: "" } as const;
  return new Map([[0, { ...root, data: new Uint8Array(0) }]]);
}

export interface StoreOptions {
  readonly self: GroupMember;
  readonly disk: Disk;
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly now: () => number;
  readonly delayUntil: (at: number) => number;
  readonly request: (request: GroupRequest) => boolean;
  /** The caller of this token may be told: agreed, stable, durable, with or without success. */
  readonly acknowledged: (token: number, ok: boolean) => void;
  readonly failed: (reason: string) => void;
}

interface Batch {
  readonly change: TreeChange;
  readonly replaceAll: boolean;
  readonly durable: (() => void) | undefined;
}

interface Answer {
  readonly token: number;
  readonly ok: boolean;
}

export class SimStore {
  readonly #options: StoreOptions;
  readonly #dcdb: Dcdb<Tree>;
  readonly #dfsm: Dfsm<DcdbAction>;
  readonly #timers: SimTimers<DfsmTimer>;
  readonly #acknowledgements: Acknowledgements<Answer>;
  #waiting: Batch[] = [];
  #flushing = false;
  #deliveries = 0;
  #stopped = false;
  quorate = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    const loaded = Tree.load(options.disk.values(), { sha256, rootName: "" });
    if (!loaded.ok) throw new Error(`the simulated disk does not load: ${loaded.reason}`);
    this.#dcdb = new Dcdb({
      tree: loaded.value,
      load: (rows, before) =>
        Tree.load(rows, { sha256, rootName: "", guestCounters: before.guestCounters }),
      now: options.now(),
    });
    this.#acknowledgements = new Acknowledgements(({ token, ok }, verdict) =>
      options.acknowledged(token, ok && verdict === "held"),
    );
    this.#dfsm = new Dfsm({ replica: this.#dcdb, self: options.self });
    this.#timers = new SimTimers({
      agenda: options.agenda,
      delayUntil: options.delayUntil,
      fire: (timer) => this.#step({ kind: "timedOut", timer, timeS: this.#timeS() }),
    });
  }

  get tree(): Tree {
    return this.#dcdb.tree;
  }
  get synced(): boolean {
    return this.#dfsm.mode === "synced";
  }
  get settled(): boolean {
    return this.#waiting.length === 0 && !this.#flushing;
  }

  start(): void {
    this.#step({ kind: "started", timeS: this.#timeS() });
  }

  stop(): void {
    this.#stopped = true;
    this.#timers.stop();
  }

  event(event: GroupEvent): void {
    if (event.kind === "delivered") this.#deliveries += 1;
    this.#step({ kind: "groupEvent", event, timeS: this.#timeS() });
  }

  /** The first `count` group deliveries are held by every member. */
  stable(count: number): void {
    this.#acknowledgements.stable(count);
  }

  quorumChanged(quorate: boolean): void {
    this.quorate = quorate;
    this.#step({ kind: "quorumChanged", quorate, timeS: this.#timeS() });
    this.#acknowledgements.quorate(quorate);
  }

  write(token: number, operation: TreeOperation): void {
    const { subtype, body } = encodeOperation(operation);
    this.#step({ kind: "sendRequested", token, subtype, body, timeS: this.#timeS() });
  }

  #timeS(): number {
    return 1_700_000_000 + Math.floor(this.#options.now() / 1000);
  }

  #step(event: DfsmEvent): void {
    if (this.#stopped) return;
    const out: (DfsmAction | DcdbAction)[] = [];
    this.#dfsm.step(event, this.#options.now(), out);
    for (const action of out) this.#carryOut(action);
  }

  #carryOut(action: DfsmAction | DcdbAction): void {
    switch (action.kind) {
      case "request":
        return this.#request(action.request, action.token);
      case "arm":
        return this.#timers.arm(action.timer, action.at);
      case "disarm":
        return this.#timers.disarm(action.timer);
      case "executed":
        return this.#executed(action);
      case "store":
        if (action.replaceAll) this.#acknowledgements.replaced();
        return this.#store({
          change: action.change,
          replaceAll: action.replaceAll,
          durable: undefined,
        });
      case "aborted":
        return this.#options.acknowledged(action.token, false);
      case "fatal":
        return this.#options.failed(action.reason);
      case "verified":
        if (!action.isEqual) throw new Error("this tree differs from that of the lowest nodeid");
        return;
      case "modeChanged":
        return this.#acknowledgements.synced(action.mode === "synced");
      case "corosyncConfChanged":
      case "log":
        return;
      default:
        action satisfies never;
    }
  }

  #request(request: GroupRequest, token: number | undefined): void {
    if (this.#options.request(request)) return;
    this.#step({ kind: "sendGivenUp", token, timeS: this.#timeS() });
  }

  #executed({ result, token }: Extract<DcdbAction, { kind: "executed" }>): void {
    const durable =
      token === undefined
        ? undefined
        : this.#acknowledgements.executed({ token, ok: result.ok }, this.#deliveries);
    const change = result.ok ? result.change : { stored: [], deleted: [] };
    this.#store({ change, replaceAll: false, durable });
  }

  #store(batch: Batch): void {
    this.#waiting.push(batch);
    if (!this.#flushing) this.#flush();
  }

  /** One flush at a time takes everything that waits, as the journal does. */
  #flush(): void {
    const batches = this.#waiting;
    this.#waiting = [];
    this.#flushing = true;
    this.#options.agenda.after(this.#options.random.between(0.2, 12), () => {
      if (this.#stopped) return;
      this.#flushing = false;
      for (const batch of batches) {
        this.#apply(batch);
        batch.durable?.();
      }
      if (this.#waiting.length > 0) this.#flush();
    });
  }

  #apply(batch: Batch): void {
    const { disk } = this.#options;
    if (batch.replaceAll) disk.clear();
    for (const inode of batch.change.deleted) disk.delete(inode);
    for (const entry of batch.change.stored) {
      disk.set(entry.inode, entry.inode === 0 ? { ...entry, name: "", type: 4 } : entry);
    }
  }
}
