// The ring thread seen from the main thread: starts the Worker, exchanges the bridge's messages, ends when it ends.
// A Worker that dies is never restarted in place: the process ends and the service manager starts a clean one.
import { systemClock } from "../../deadlines.ts";
import type {
  Clock,
  GroupMember,
  GroupPort,
  GroupRequest,
  LogAction,
  PortEvent,
} from "../../world.ts";
import { packRequests, unpackEvents } from "./batch.ts";
import {
  type FromRing,
  handedOver,
  requestBytes,
  type RingAnswer,
  type RingQuestion,
  type RingSnapshot,
  type ToRing,
} from "./bridge.ts";
import type { RingCluster } from "./cluster.ts";
import { SharedReceipts } from "./receipts.ts";
import type { MemberEnd, QuorumView } from "../member/events.ts";
import type { SettingsResult } from "../settings/read-settings.ts";
import type { ConfigurationKey } from "../settings/configuration-keys.ts";
import { PostCount } from "./post-count.ts";
import { Reloader, type ReloadOutcome } from "./reloader.ts";
import type { NodeSettings } from "../settings/settings.ts";

/**
 * Bounds the requests that are not the member's yet, here, on the way and in the ring host; beyond it `request` refuses and its
 * caller waits for `whenRoom`. One message always fits.
 */
const requestBytesMax = 4 * 1024 * 1024;
const answerMsMax = 5000;
/** A reload goes around the ring, which may be forming; what comes then, reading the file, takes as long as it does. */
const reloadMsMax = 30_000;
const stopMsMax = 15_000;

/** The way to a ring thread and back; messages keep their order. */
export interface RingChannel {
  readonly post: (message: ToRing) => void;
  /** The thread is ended if it has not ended itself. */
  readonly close: () => void;
}

/** What this side finds around it. */
export interface ClientMachine {
  readonly clock: Clock;
  /** Unix seconds. */
  readonly wallS: () => number;
  /** Runs `act` at the end of what is done now. */
  readonly soon: (act: () => void) => void;
  /** Starts a ring thread. */
  readonly open: (port: {
    readonly received: (message: FromRing) => void;
    readonly failed: (reason: string) => void;
  }) => RingChannel;
}

export interface ClusterOptions {
  readonly settings: NodeSettings;
  /** Directory of ringid_<nodeid>; it must exist. */
  readonly stateDir: string;
  /** Directory of the certificates for a vote server, as the original has it. */
  readonly deviceDir: string;
  /** As in the start order of the ring thread. */
  readonly configPaths?: { readonly conf: string; readonly authkey: string };
  readonly pid: number;
  /** Byte string of the group whose receipts are wanted. */
  readonly receiptsOf?: string;
  /** Reads corosync.conf for a reload; without it reloads are refused. */
  readonly load?: () => Promise<SettingsResult>;
  /** The settings of a file with these keys; without it they cannot be changed one by one. */
  readonly loadKeys?: (keys: readonly ConfigurationKey[]) => Promise<SettingsResult>;
  readonly log: (line: LogAction) => void;
  /** Default: this process and a Worker in it. */
  readonly machine?: ClientMachine;
}

/** A question of ours is answered by the ring thread, or on this side once a reload is done. */
type Answer = RingAnswer | { readonly kind: "reloaded"; readonly outcome: ReloadOutcome };

interface Question {
  readonly resolve: (answer: Answer) => void;
  /** No longer limited in time. */
  readonly extend: () => void;
}

/** A ring thread that waits for its orders. The Worker's file is beside this one, from source and in the executable. */
export function newRingThread(): Worker {
  return new Worker(new URL("./thread.ts", import.meta.url).href);
}

const realMachine: ClientMachine = {
  clock: systemClock,
  wallS: () => Math.floor(Date.now() / 1000),
  soon: queueMicrotask,
  open: ({ received, failed }) => {
    const worker = newRingThread();
    const posts = new PostCount();
    worker.addEventListener("message", (event: MessageEvent<FromRing>) => {
      if (event.data.kind === "loaded") worker.postMessage(posts.shared);
      received(event.data);
    });
    worker.addEventListener("error", (event) => failed(`the ring thread failed: ${event.message}`));
    worker.addEventListener("close", () => failed("the ring thread ended"));
    return {
      post: (message) => {
        worker.postMessage(message, handedOver(message));
        posts.posted();
      },
      close: () => worker.terminate(),
    };
  },
};

/** A ring thread that may be asked to join groups before it is started: requests wait until then. */
export class RingThreadClient implements RingCluster {
  readonly groups: GroupPort;
  readonly finished: Promise<MemberEnd>;
  #quorum: QuorumView | undefined;
  readonly #options: ClusterOptions;
  readonly #reloader: Reloader;
  readonly #receipts: SharedReceipts | undefined;
  #settings: NodeSettings;
  readonly #machine: ClientMachine;
  #channel: RingChannel | undefined;
  readonly #finish: (end: MemberEnd) => void;
  readonly #started = Promise.withResolvers<string>();
  readonly #quorumListeners: ((quorum: QuorumView) => void)[] = [];
  readonly #reloadListeners: ((settings: NodeSettings) => void)[] = [];
  readonly #questions = new Map<number, Question>();
  #questionId = 0;
  #groupListener: ((events: readonly PortEvent[]) => void) | undefined;
  /** Events that came before anybody listened. */
  #early: PortEvent[] = [];
  #waitingBytes = 0;
  /** Who was refused and wants to be called once there is room. */
  #wantRoom: (() => void)[] = [];
  #pending: GroupRequest[] = [];
  #isStarted = false;
  #ended = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#machine = options.machine ?? realMachine;
    this.#settings = options.settings;
    const finished = Promise.withResolvers<MemberEnd>();
    this.finished = finished.promise;
    this.#finish = finished.resolve;
    this.#reloader = new Reloader({
      load: options.load ?? (async () => ({ ok: false, reason: "this program cannot reload" })),
      running: () => this.#settings,
      apply: (settings, isReload) => this.#apply(settings, isReload),
      notListed: async () => void (await this.#command({ kind: "notListed" })),
      wallS: this.#machine.wallS,
      log: options.log,
    });
    const { receiptsOf } = options;
    this.#receipts = receiptsOf === undefined ? undefined : new SharedReceipts(receiptsOf);
    const self: GroupMember = { nodeid: options.settings.nodeid, pid: options.pid };
    this.groups = {
      self,
      request: (request) => this.#request(request),
      whenRoom: (act) => void this.#wantRoom.push(act),
      caughtUp: async () => void (await this.#ask({ kind: "catchUp" })),
      listen: (listener) => this.#listen(listener),
      ...(this.#receipts && { receipts: this.#receipts }),
    };
  }

  get settings(): NodeSettings {
    return this.#settings;
  }

  get quorum(): QuorumView | undefined {
    return this.#quorum;
  }

  /** "" once the sockets are bound, otherwise why not. `settings` may be newer than those of the constructor. */
  start(settings: NodeSettings): Promise<string> {
    this.#settings = settings;
    this.#channel = this.#machine.open({
      received: (message) => this.#received(message),
      failed: (reason) => this.#end({ clean: false, reason }),
    });
    return this.#started.promise;
  }

  onQuorum(listener: (quorum: QuorumView) => void): void {
    this.#quorumListeners.push(listener);
    if (this.#quorum !== undefined) listener(this.#quorum);
  }

  async snapshot(): Promise<RingSnapshot> {
    const answer = await this.#ask({ kind: "snapshot" });
    if (answer.kind === "snapshot") return answer.snapshot;
    throw new Error(answer.kind === "refused" ? answer.reason : "the ring thread gave no snapshot");
  }

  setExpectedVotes(votes: number): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return this.#command({ kind: "expectedVotes", votes });
  }

  setVotes(
    nodeid: number,
    votes: number,
  ): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return this.#command({ kind: "votes", nodeid, votes });
  }

  killNode(
    nodeid: number,
    reason: string,
  ): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return this.#command({ kind: "kill", nodeid, reason });
  }

  cancelWaitForAll(): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return this.#command({ kind: "cancelWaitForAll" });
  }

  stopDevice(): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return this.#command({ kind: "stopDevice" });
  }

  get lastReload(): ReloadOutcome | undefined {
    return this.#reloader.last;
  }

  onReloaded(listener: (settings: NodeSettings) => void): void {
    this.#reloadListeners.push(listener);
  }

  async reload(): Promise<ReloadOutcome> {
    const answer = await this.#ask({ kind: "reload" }, reloadMsMax);
    if (answer.kind === "reloaded") return answer.outcome;
    const reason = answer.kind === "refused" ? answer.reason : "the ring thread did not reload";
    return this.#reloader.refused(reason);
  }

  async changeConfiguration(
    keys: readonly ConfigurationKey[],
  ): Promise<{ readonly ok: boolean; readonly reason: string }> {
    const { loadKeys } = this.#options;
    const reason = await this.#reloader.change(
      loadKeys === undefined
        ? async () => ({ ok: false, reason: "this program cannot change its configuration" })
        : () => loadKeys(keys),
    );
    return { ok: reason === "", reason };
  }

  /** Reads corosync.conf again on this node alone. */
  reloadHere(): Promise<ReloadOutcome> {
    return this.#reloader.reload(this.#settings.nodeid);
  }

  async #apply(settings: NodeSettings, isReload: boolean): Promise<string> {
    const { ok, reason } = await this.#command({ kind: "reconfigure", settings });
    if (!ok) return reason;
    this.#settings = settings;
    if (isReload) for (const listener of this.#reloadListeners) listener(settings);
    return "";
  }

  async #reloadRequested({
    nodeid,
    id,
    key,
  }: Extract<FromRing, { kind: "reloadRequested" }>): Promise<void> {
    if (id !== undefined) this.#questions.get(id)?.extend();
    const outcome = await this.#reloader.reload(nodeid, key);
    if (id !== undefined) this.#answered(id, { kind: "reloaded", outcome });
  }

  async stop(): Promise<void> {
    if (this.#ended) return;
    if (this.#channel === undefined) return this.#end({ clean: true, reason: "" });
    this.#post({ kind: "stop" });
    const cancel = this.#machine.clock.after(stopMsMax, () =>
      this.#end({ clean: false, reason: `the ring thread did not stop within ${stopMsMax} ms` }),
    );
    await this.finished;
    cancel();
  }

  #post(message: ToRing): void {
    this.#channel?.post(message);
  }

  async #command(
    question: RingQuestion,
  ): Promise<{ readonly ok: boolean; readonly reason: string }> {
    const answer = await this.#ask(question);
    return {
      ok: answer.kind !== "refused",
      reason: answer.kind === "refused" ? answer.reason : "",
    };
  }

  #ask(question: RingQuestion, answerMs = answerMsMax): Promise<Answer> {
    if (this.#ended)
      return Promise.resolve({ kind: "refused", reason: "the ring thread has ended" });
    this.#questionId += 1;
    const id = this.#questionId;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const reason = `the ring thread gave no answer in ${answerMs} ms`;
    const extend = this.#machine.clock.after(answerMs, () =>
      this.#answered(id, { kind: "refused", reason }),
    );
    this.#questions.set(id, { resolve, extend });
    this.#post({ kind: "ask", id, question });
    return promise;
  }

  #answered(id: number, answer: Answer): void {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    question?.extend();
    question?.resolve(answer);
  }

  #request(request: GroupRequest): boolean {
    const size = requestBytes(request);
    if (this.#ended) return false;
    if (this.#waitingBytes > 0 && this.#waitingBytes + size > requestBytesMax) return false;
    this.#waitingBytes += size;
    this.#pending.push(request);
    if (this.#pending.length === 1) this.#machine.soon(() => this.#flush());
    return true;
  }

  #flush(): void {
    if (!this.#isStarted || this.#ended || this.#pending.length === 0) return;
    const requests = this.#pending;
    this.#pending = [];
    this.#post({ kind: "requests", requests: packRequests(requests) });
  }

  /** Not before half of the credit is back: a caller for every message would be a turn for every message. */
  #tellRoom(): void {
    if (this.#waitingBytes > requestBytesMax / 2) return;
    const told = this.#wantRoom;
    this.#wantRoom = [];
    for (const act of told) act();
  }

  #listen(listener: (events: readonly PortEvent[]) => void): void {
    this.#groupListener = listener;
    const early = this.#early;
    this.#early = [];
    if (early.length > 0) this.#heard(early, listener);
  }

  #heard(events: readonly PortEvent[], listener: (events: readonly PortEvent[]) => void): void {
    listener(events);
    this.#receipts?.passed(events);
  }

  #postStart(): void {
    const { stateDir, deviceDir, configPaths, pid } = this.#options;
    const receipts = this.#receipts;
    this.#post({
      kind: "start",
      ...{ settings: this.#settings, stateDir, deviceDir, pid },
      ...(configPaths && { configPaths }),
      ...(receipts && { receipts: { group: receipts.group, memory: receipts.memory } }),
    });
  }

  #received(message: FromRing): void {
    switch (message.kind) {
      case "loaded":
        return this.#postStart();
      case "started":
        this.#isStarted = true;
        this.#flush();
        this.#started.resolve("");
        return;
      case "turn":
        return this.#turn(message);
      case "quorum":
        this.#quorum = message.quorum;
        for (const listener of this.#quorumListeners) listener(message.quorum);
        this.#receipts?.passedOne();
        return;
      case "answer":
        this.#answered(message.id, message.answer);
        return;
      case "reloadRequested":
        void this.#reloadRequested(message);
        return;
      case "finished":
        this.#end(message);
        return;
      default:
        message satisfies never;
    }
  }

  #turn({ lines, events: batch, taken }: Extract<FromRing, { kind: "turn" }>): void {
    for (const line of lines) this.#options.log(line);
    if (batch !== undefined) {
      const events = unpackEvents(batch);
      if (this.#groupListener === undefined) this.#early.push(...events);
      else this.#heard(events, this.#groupListener);
    }
    if (taken === 0) return;
    this.#waitingBytes -= taken;
    this.#tellRoom();
  }

  #end(end: MemberEnd): void {
    if (this.#ended) return;
    const { reason } = end;
    this.#ended = true;
    this.#receipts?.end();
    for (const id of this.#questions.keys()) this.#answered(id, { kind: "refused", reason });
    this.#started.resolve(reason);
    this.#channel?.close();
    this.#finish(end);
  }
}
