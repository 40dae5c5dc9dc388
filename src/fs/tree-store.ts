// The tree of this node and everything that keeps it: the replica and its group, the journal's queue, the callers that wait.
// Spec: pmxcfs.md §1.6, §2.10, §4; design.md "How a write flows". Local mode is the same path without the group: every
// operation is delivered to ourselves at once. A caller is answered when what it asked for is promised (acknowledgement.ts), never before.
import type { Clock, GroupEvent, GroupMember, GroupPort, LogAction } from "../world.ts";
import { Answers } from "./answers.ts";
import { CommitQueue, type CommitQueueOptions, type JournalCounts } from "./disk/commit-queue.ts";
import type { JournalChange } from "./disk/batch.ts";
import type { Needs } from "./disk/acknowledgement.ts";
import { isAwaited, mustAsk } from "./epoch/awaited.ts";
import { EpochHost } from "./epoch/epoch-host.ts";
import type { QuorumOfRing } from "./epoch/events.ts";
import { type Lineage, unknownLineage } from "./epoch/lineage.ts";
import { HeldVersion } from "./epoch/held-version.ts";
import { lostChanges, type LostTree } from "./epoch/lost-changes.ts";
import { Dcdb, type DcdbAction } from "./replica/dcdb.ts";
import type { Mode } from "./replica/dfsm-events.ts";
import { Dfsm } from "./replica/dfsm.ts";
import type { TreeOperation } from "./tree/entry.ts";
import type { Errno, Outcome, Promised, TreeStatus } from "./tree/files.ts";
import { GroupHost, type HostedAction } from "./replica/group-host.ts";
import { type Body, encodeOperation } from "./replica/message.ts";
import { FileCounters } from "./plugin/version.ts";
import { Tree } from "./tree/tree.ts";
import { refused } from "./tree/view.ts";
import type { Durability } from "./tree-options.ts";
import { modeWord, reasons } from "./words.ts";

export interface TreeStoreOptions {
  readonly tree: Tree;
  readonly options: Parameters<typeof Tree.load>[1];
  /** Undefined: local mode. */
  readonly groups: GroupPort | undefined;
  readonly commit: CommitQueueOptions["commit"];
  /** What the tree descends from, as the database has it. */
  readonly lineage: Lineage;
  /** `normal`: what `commit` has stored may not survive a power failure. */
  readonly durability: Durability;
  readonly clock: Clock;
  /** Unix seconds. */
  readonly wallS: () => number;
  readonly log: (line: LogAction) => void;
  /** The member cannot go on; called once. */
  readonly onFatal: (reason: string) => void;
  /** Objects changed: those of `paths`, or (undefined) all. `isOwn`: a caller of `change` on this node wanted it. */
  readonly onChanged: (paths: readonly string[] | undefined, isOwn: boolean) => void;
  /** It begins or ends to be compared with the trees of others. */
  readonly onMode?: () => void;
  /** Another member's tree is about to replace ours, which has what that one lacks. */
  readonly onLost: (lost: LostTree) => void;
  /** `corosync.conf` of the tree may have changed; it is durable. */
  readonly onCorosyncConf: (isOwn: boolean) => void;
}

/** Sender of operations in local mode: no node wrote them. */
const nobody: GroupMember = { nodeid: 0, pid: 0 };

export class TreeStore {
  readonly files = new FileCounters();
  readonly #options: TreeStoreOptions;
  readonly #dcdb: Dcdb<Tree>;
  readonly #dfsm: Dfsm<DcdbAction> | undefined;
  readonly #host: GroupHost<DcdbAction> | undefined;
  readonly #epochs: EpochHost | undefined;
  readonly #queue: CommitQueue;
  readonly #answers: Answers;
  /** Group deliveries so far, of all groups. */
  #deliveries = 0;
  #held: HeldVersion;
  /** Of the tree's group. */
  #members: readonly GroupMember[] = [];
  /** To be stored with the first change of local mode, after which the tree is of no epoch of a cluster. */
  #localLineage: Lineage | undefined;
  /** Trees of this process so far: a commit that was begun for an earlier one says nothing of this one. */
  #generation = 0;
  #writes = 0;
  #mode: Mode = "start";
  #verified: TreeStatus["verified"];
  #quorate = false;
  #quorumReason = "the node has just started and does not know its quorum yet";
  #fatal: string | undefined;
  #stopped = false;

  constructor(options: TreeStoreOptions) {
    this.#options = options;
    const load = options.options;
    const { groups } = options;
    this.#held = new HeldVersion(options.tree.version);
    this.#dcdb = new Dcdb<Tree>({
      tree: options.tree,
      load: (rows, before) =>
        Tree.load(rows, { ...load, rootName: "", guestCounters: before.guestCounters }),
      now: options.clock.now(),
      rank: (exchange, members) => this.#epochs?.rank(exchange, members) ?? "byVersion",
    });
    this.#queue = new CommitQueue({
      commit: (changes) => this.#commit(changes),
      onFailed: (reason) => this.#failed(reason),
      clock: options.clock,
    });
    this.#answers = new Answers({
      durability: options.durability,
      whenStored: (settled) => this.#queue.add(undefined, settled),
      askOthers: () => this.#epochs?.step({ kind: "asked", version: this.tree.version }),
      version: () => this.tree.version,
      refusal: () => this.refusal(),
    });
    this.files.allChanged();
    if (groups === undefined) {
      this.#beLocal();
      return;
    }
    this.#epochs = new EpochHost({
      groups,
      ...{ lineage: options.lineage, log: options.log },
      flushes: options.durability !== "normal",
      ...{ version: options.tree.version, clock: options.clock },
      store: (lineage, settled) => this.#queue.add({ stored: [], deleted: [], lineage }, settled),
      hurry: () => this.#queue.hurry(),
      onStanding: (standing) => this.#answers.standing(standing),
      planAgain: () => this.#host?.step({ kind: "planAgain" }),
    });
    this.#dfsm = new Dfsm<DcdbAction>({ replica: this.#dcdb, self: groups.self });
    this.#host = new GroupHost<DcdbAction>({
      dfsm: this.#dfsm,
      groups,
      clock: options.clock,
      wallS: options.wallS,
      perform: (action) => this.#perform(action),
    });
  }

  get tree(): Tree {
    return this.#dcdb.tree;
  }
  get isLocal(): boolean {
    return this.#dfsm === undefined;
  }
  get isWritable(): boolean {
    return this.#quorate;
  }

  #beLocal(): void {
    this.#quorate = true;
    this.#dcdb.quorumChanged(true);
    this.#answers.synced(true);
    this.#answers.quorate(true);
    this.#answers.standing({ isAgreed: true, majority: undefined });
    const { mark, promised } = this.#options.lineage;
    if (mark.number > 0) this.#localLineage = unknownLineage(promised, true);
  }

  /** Joins the group. */
  start(): void {
    this.#epochs?.start();
    this.#host?.step({ kind: "started" });
  }

  /** Leaves the group and waits until everything delivered is durable. Callers still waiting get EBUSY. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#host?.step({ kind: "stopped" });
    this.#epochs?.stop();
    await this.#queue.drained();
    this.#host?.close();
    this.#answers.refuseAll(
      "EBUSY",
      "the node is stopping; the change may or may not have been made",
    );
  }

  /** The ring has ended and answers nobody any more: nor does anybody here wait for it. */
  abandon(reason: string): void {
    if (!this.#stopped) this.#end(reason);
  }

  /** Events of every group come here, in order: all count for `stable`. */
  groupEvent(event: GroupEvent): void {
    if (event.kind === "delivered") this.#deliveries += 1;
    this.#epochs?.groupEvent(event);
    this.#host?.groupEvent(event);
  }

  /** The first `deliveries` group deliveries were received by every member of the ring. */
  stable(deliveries: number): void {
    this.#held.stable(deliveries);
    this.#answers.stable(deliveries);
  }

  /** `reason`: a sentence that names the missing votes; shown to whoever wants to write. */
  setQuorum(view: QuorumOfRing, reason: string): void {
    if (this.isLocal) return;
    const { quorate } = view;
    if (!quorate) this.#held.unknown();
    else if (this.#mode === "synced") this.#held.agreed(this.#deliveries, this.tree.version);
    this.#quorate = quorate;
    this.#quorumReason = reason;
    this.#host?.step({ kind: "quorumChanged", quorate });
    this.#epochs?.step({ kind: "quorumChanged", view });
    this.#answers.quorate(quorate);
  }

  /**
   * Resolves when the change is what `promised` says, with what every node made of it (bytes of a write). `executed` is called as soon as
   * it was carried out or refused here; `asked`: what its caller waits for in the end.
   */
  change(
    operation: TreeOperation,
    promised: Promised = "durable",
    executed?: () => void,
    asked = promised,
  ): Promise<Outcome<number>> {
    const refusal = this.refusal();
    if (refusal !== undefined) return Promise.resolve(refusal);
    const { token, outcome } = this.#answers.add(promised, executed);
    const answered = this.#answers.answeredWhen(asked);
    this.#send({ ...encodeOperation(operation), answered }, token);
    return outcome;
  }

  /**
   * Operations that leave together, to be carried out in this order with nothing lost in the middle: all, or those up to some place.
   * Resolves when the last is what `promised` says, or with the first refusal.
   */
  async changes(
    operations: readonly TreeOperation[],
    promised: Promised = "durable",
  ): Promise<Outcome<number>> {
    const refusal = this.refusal();
    if (refusal !== undefined) return refusal;
    let unit: number | undefined;
    const outcomes: Promise<Outcome<number>>[] = [];
    for (const [i, operation] of operations.entries()) {
      const isLast = i === operations.length - 1;
      const { token, outcome } = this.#answers.add(isLast ? promised : "ordered");
      unit ??= token;
      outcomes.push(outcome);
      // Nobody waits for those before the last.
      const answered = isLast ? this.#answers.answeredWhen(promised) : undefined;
      this.#send({ ...encodeOperation(operation), answered, unit }, token);
    }
    const settled = await Promise.all(outcomes);
    return settled.find(({ ok }) => !ok) ?? settled.at(-1) ?? { ok: true, value: 0 };
  }

  /** How often a tree of another part replaced this one, which had something that the other lacks. */
  get losses(): number {
    return this.#answers.losses;
  }

  /** As `Answers.sync`. */
  sync(
    promised: Exclude<Promised, "ordered"> = "durable",
    since?: number,
  ): Promise<Outcome<number>> {
    return this.#answers.sync(promised, since);
  }

  /** Asks the lowest nodeid to free a lock when it is old enough; nobody waits for it (pmxcfs.md §2.9). */
  requestUnlock(path: string, checksum: Uint8Array): void {
    if (this.refusal() !== undefined) return;
    this.#send(encodeOperation({ kind: "unlockRequest", path, checksum }), undefined);
  }

  status(): Omit<TreeStatus, "digest"> {
    const reason = this.#notWritable();
    return {
      mode: this.#statusMode(),
      writable: reason === "",
      reason,
      version: this.tree.version,
      entries: this.tree.size,
      bytes: this.tree.totalBytes,
      writes: this.#writes,
      members: this.#dfsm?.members.map(({ nodeid }) => nodeid) ?? [],
      ...(this.#verified === undefined ? {} : { verified: this.#verified }),
      ...(this.#epochs === undefined ? {} : { promise: this.#epochs.status }),
    };
  }

  /** The members have agreed on the epoch of what they have in common; always in local mode. */
  get isAgreed(): boolean {
    return this.#epochs?.status.isAgreed ?? true;
  }

  /** nodeids of the group once all have the same tree; empty before. */
  get synced(): readonly number[] {
    if (this.#mode !== "synced") return [];
    return this.#dfsm?.members.map(({ nodeid }) => nodeid) ?? [];
  }

  /** Of the disk, since the start. */
  get journal(): JournalCounts {
    return this.#queue.counts;
  }

  async #commit(changes: Parameters<CommitQueueOptions["commit"]>[0]) {
    // All that is applied waits for the disk from the same turn on: this batch is everything up to here.
    const { version } = this.tree;
    const generation = this.#generation;
    const stored = await this.#options.commit(changes);
    if (stored.ok && generation === this.#generation) {
      this.#epochs?.step({ kind: "durable", version });
    }
    return stored;
  }

  #send(body: Body, token: number | undefined): void {
    if (this.#host !== undefined) return this.#host.step({ kind: "sendRequested", token, ...body });
    const out: DcdbAction[] = [];
    const executed = this.#dcdb.deliver(
      {
        sender: nobody,
        ...body,
        timeS: this.#options.wallS(),
        isOwn: true,
        isLowest: true,
        token,
      },
      this.#options.clock.now(),
      out,
    );
    for (const action of out) this.#perform(action);
    if (executed.kind === "done" && executed.send !== undefined) {
      this.#send(executed.send, undefined);
    }
  }

  #perform(action: HostedAction | DcdbAction): void {
    switch (action.kind) {
      case "executed":
        return this.#executed(action);
      case "store":
        return this.#replaced(action);
      case "membersChanged":
        return this.#membersChanged(action.members);
      case "exchangeBegan":
      case "led":
        return this.#epochs?.step(action);
      case "synced":
        if (this.#quorate) this.#held.agreed(this.#deliveries, action.version);
        return this.#epochs?.step(action);
      case "corosyncConfChanged":
        if (this.isLocal) return;
        return this.#queue.add(undefined, () => this.#options.onCorosyncConf(action.isOwn));
      case "aborted":
        return this.#answers.answer(action.token, refused(action.errno, action.reason));
      case "modeChanged":
        this.#mode = action.mode;
        this.#answers.synced(action.mode === "synced");
        return this.#options.onMode?.();
      case "verified":
        this.#verified = {
          at: this.#options.wallS(),
          equal: action.isEqual,
          digest: action.digest,
        };
        return;
      case "fatal":
        return this.#end(action.reason);
      case "log":
        return this.#options.log(action);
    }
    action satisfies never;
  }

  /** Whoever comes need not have what this ring's members had, also if a ring broke and was whole again before anything was said of it. */
  #membersChanged(members: readonly GroupMember[]): void {
    const isKnown = (member: GroupMember): boolean =>
      this.#members.some(({ nodeid, pid }) => nodeid === member.nodeid && pid === member.pid);
    if (!members.every(isKnown)) this.#held.unknown();
    this.#members = members;
    this.#epochs?.step({ kind: "treeConfigured", members });
  }

  /** What only our tree has is kept before it is given up. */
  #replaced({ change, replaceAll, before }: DcdbAction & { readonly kind: "store" }): void {
    this.#generation += 1;
    const epochs = this.#epochs;
    const lineages = epochs?.lineages;
    const after = this.tree.entries();
    const held = this.#held.version;
    const lost = lineages && lostChanges({ before, after, ...lineages, held });
    if (lost !== undefined) this.#options.onLost(lost);
    this.#held = new HeldVersion(this.tree.version);
    this.files.allChanged();
    this.#options.onChanged(undefined, false);
    this.#answers.replaced(lost !== undefined);
    epochs?.step({ kind: "durable", version: undefined });
    const lineage = epochs?.adopt();
    const { stored, deleted } = change;
    this.#queue.add(
      {
        stored,
        deleted,
        replaceAll,
        fromSync: true,
        ...(lineage === undefined ? {} : { lineage }),
      },
      () => lineage && epochs?.adopted(lineage),
    );
  }

  #executed({
    operation,
    result,
    token,
    writer,
  }: DcdbAction & { readonly kind: "executed" }): void {
    if (result.ok) this.#held.executed(this.#deliveries, this.tree.version);
    const place = { delivery: this.#deliveries, version: this.tree.version };
    const answering = this.#answers.executed(token, !result.ok, place);
    if (!result.ok) {
      const outcome = this.#refusedBy(result.errno);
      // Nothing was changed and there may be no quorum for long: no reason to wait for anybody.
      if (!this.#quorate) return this.#answers.answer(token, outcome);
      return this.#store(undefined, answering?.answer(outcome));
    }
    this.files.executed(operation);
    const { value, change } = result;
    const isEmpty = change.stored.length === 0 && change.deleted.length === 0;
    if (!isEmpty) {
      this.#writes += 1;
      const { path } = operation;
      const paths = operation.kind === "rename" ? [path, operation.to] : [path];
      this.#options.onChanged(paths, token !== undefined);
    }
    const lineage = isEmpty ? undefined : this.#localLineage;
    if (lineage !== undefined) this.#localLineage = undefined;
    // Behind `onChanged`: whoever is told of a change reads no older one.
    const settled = answering?.answer({ ok: true, value });
    const stored = { ...change, ...(lineage === undefined ? {} : { lineage }) };
    this.#store(isEmpty ? undefined : stored, settled);
    this.#tellAwaited(operation, writer, answering?.needs);
  }

  #store(change: JournalChange | undefined, settled: (() => void) | undefined): void {
    if (change !== undefined || settled !== undefined) this.#queue.add(change, settled);
  }

  /** Whose disk is waited for: a change says by its kind whether its writer waits for the others', or the writer asks them. */
  #tellAwaited(operation: TreeOperation, writer: number, needs: Needs | undefined): void {
    const { version } = this.tree;
    if (writer !== this.#options.groups?.self.nodeid) {
      if (isAwaited(operation)) this.#epochs?.step({ kind: "awaited", version, writer });
    } else if (needs?.majority === true && mustAsk(operation)) {
      this.#epochs?.step({ kind: "asked", version });
    }
  }

  #refusedBy(errno: Errno): Outcome<number> {
    // The only EACCES that says nothing about the object: quorum went between the question and its delivery.
    if (errno === "EACCES" && !this.#quorate) return refused(errno, this.#notWritable());
    return refused(errno, reasons[errno] ?? "the change was refused");
  }

  /** The disk refused a batch: what is in memory cannot be kept, so this member must not be one. */
  #failed(reason: string): void {
    this.#host?.step({ kind: "failed", reason });
    this.#end(reason);
  }

  #end(reason: string): void {
    if (this.#fatal !== undefined) return;
    this.#fatal = reason;
    this.#answers.refuseAll("EIO", reason);
    this.#options.onFatal(reason);
  }

  /** What stops every change now: a failure, the end, no quorum. Undefined: nothing. */
  refusal(): Outcome<never> | undefined {
    if (this.#fatal !== undefined) return refused("EIO", this.#fatal);
    if (this.#stopped) return refused("EBUSY", "the node is stopping");
    return this.#quorate ? undefined : refused("EACCES", this.#notWritable());
  }

  #notWritable(): string {
    if (this.#fatal !== undefined) return this.#fatal;
    return this.#quorate ? "" : this.#quorumReason;
  }

  #statusMode(): TreeStatus["mode"] {
    if (this.#fatal !== undefined) return "error";
    if (this.isLocal) return "local";
    return modeWord(this.#mode);
  }
}
