// A host for the vote server's core in tests: time that stands still between steps, timers by name, and clients in the manner of
// the recorded ones (test/golden/qnetd/replay/sim.ts), which answer every vote info at once unless they are told to hold it.
import { type RingId, sameRing } from "../../src/world.ts";
import { byteStringOfText } from "../../src/bytes.ts";
import {
  defaultConfiguration,
  type VoteServerConfiguration,
} from "../../src/qnetd/server/configuration.ts";
import type {
  VoteServerAction,
  VoteServerEvent,
  VoteServerTimer,
} from "../../src/qnetd/session/events.ts";
import {
  algorithms,
  decodeMessage,
  encodeMessage,
  supportedMessages,
  supportedOptions,
  type AlgorithmName,
  type Heuristics,
  type Message,
  type TieBreaker,
} from "../../src/qnetd/session/message.ts";
import { VoteServer } from "../../src/qnetd/session/qnetd-core.ts";

/** As the recorded original: without TLS, and it does not wait after its start. */
export const plainConfiguration: VoteServerConfiguration = {
  ...defaultConfiguration,
  tls: "off",
  isWaitingAfterStart: false,
};

export interface Line {
  /** Bytes for the client. */
  received(bytes: Uint8Array): void;
  closed(): void;
}

export class Lab {
  readonly server: VoteServer;
  readonly timers = new Map<VoteServerTimer, number>();
  readonly log: string[] = [];
  readonly handshakes: number[] = [];
  now = 0;
  readonly #lines = new Map<number, Line>();
  readonly #queue: VoteServerEvent[] = [];
  #connections = 0;

  constructor(configuration: Partial<VoteServerConfiguration> = {}) {
    this.server = new VoteServer({
      configuration: { ...plainConfiguration, ...configuration },
      startedAt: 0,
    });
  }

  connect(line: Line, address = "::ffff:127.0.0.1", port = 40_001 + this.#connections): number {
    this.#connections += 1;
    const connection = this.#connections;
    this.#lines.set(connection, line);
    this.step({ kind: "connected", connection, address, port });
    return connection;
  }

  /** Queues bytes of a client; they arrive in the order of all clients' calls, at the next `settle`. */
  write(connection: number, bytes: Uint8Array): void {
    this.#queue.push({ kind: "received", connection, bytes });
  }
  end(connection: number, isPeerAware = true): void {
    this.#queue.push({ kind: "closed", connection, isPeerAware });
  }

  settle(): void {
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      this.step(event);
    }
  }

  /** Lets time pass; timers fire at their time. */
  sleep(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      this.settle();
      const due = [...this.timers].filter(([, at]) => at <= until);
      const [first] = due.toSorted((a, b) => a[1] - b[1]);
      if (first === undefined) break;
      this.now = Math.max(this.now, first[1]);
      this.fire(first[0]);
    }
    this.now = until;
  }

  fire(timer: VoteServerTimer): void {
    this.timers.delete(timer);
    this.step({ kind: "timedOut", timer });
  }

  step(event: VoteServerEvent): VoteServerAction[] {
    const out: VoteServerAction[] = [];
    this.server.step(event, this.now, out);
    if (event.kind === "closed") this.#finish(event.connection);
    for (const action of out) this.#carryOut(action);
    return out;
  }

  #carryOut(action: VoteServerAction): void {
    switch (action.kind) {
      case "send":
        return this.#lines.get(action.connection)?.received(action.bytes);
      case "close":
        return this.#finish(action.connection);
      case "startTls":
        this.handshakes.push(action.connection);
        return;
      case "arm":
        this.timers.set(action.timer, action.at);
        return;
      case "disarm":
        this.timers.delete(action.timer);
        return;
      case "log":
        this.log.push(action.text);
        return;
    }
    action satisfies never;
  }

  #finish(connection: number): void {
    const line = this.#lines.get(connection);
    this.#lines.delete(connection);
    line?.closed();
  }
}

export interface ClientOptions {
  readonly algorithm?: AlgorithmName;
  readonly heartbeatMs?: number;
  readonly tieBreaker?: TieBreaker;
  readonly keepActivePartition?: boolean;
  readonly cluster?: string;
}

/** What came: the message, or "closed". */
export type Receipt = Message | "closed";

export class TestClient implements Line {
  readonly lab: Lab;
  readonly nodeId: number;
  readonly options: ClientOptions;
  receipts: Receipt[] = [];
  /** The vote that a real client would cast now. */
  vote = "none";
  ring: RingId = { rep: 0, seq: 0 };
  isHolding = false;
  isClosed = false;
  connection = 0;
  seq = 0;
  readonly #unsentConfirmations: number[] = [];

  constructor(lab: Lab, nodeId: number, options: ClientOptions = {}) {
    this.lab = lab;
    this.nodeId = nodeId;
    this.options = options;
  }

  received(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) throw new Error(`the server sent nonsense: ${decoded.reason}`);
    const message = decoded.value;
    this.receipts.push(message);
    const { vote } = message;
    if (vote !== undefined && message.ring !== undefined && sameRing(message.ring, this.ring)) {
      if (vote !== "noChange") this.vote = vote;
    }
    if (message.kind !== "voteInfo") return;
    const seq = message.seq ?? 0;
    if (this.isHolding) this.#unsentConfirmations.push(seq);
    else this.#confirm(seq);
  }
  closed(): void {
    this.isClosed = true;
    this.receipts.push("closed");
  }

  /** Sends the confirmations that were held back, and holds no more. */
  release(): void {
    this.isHolding = false;
    for (const seq of this.#unsentConfirmations.splice(0)) this.#confirm(seq);
  }
  #confirm(seq: number): void {
    this.write(encodeMessage({ kind: "voteInfoReply", seq }));
  }

  write(bytes: Uint8Array): void {
    this.lab.write(this.connection, bytes);
  }
  send(message: Message): void {
    this.seq += 1;
    this.write(encodeMessage({ ...message, seq: this.seq }));
  }

  open(): void {
    this.isClosed = false;
    this.connection = this.lab.connect(this);
  }
  preinit(): void {
    const name = this.options.cluster ?? "sim";
    this.send({ kind: "preinit", clusterName: byteStringOfText(name) });
  }
  init(ring: RingId = { rep: this.nodeId, seq: 1 }): void {
    this.ring = ring;
    this.send({
      kind: "init",
      supportedMessages,
      supportedOptions,
      nodeId: this.nodeId,
      algorithm: algorithms.indexOf(this.options.algorithm ?? "ffsplit"),
      heartbeatMs: this.options.heartbeatMs ?? 8000,
      tieBreaker: this.options.tieBreaker ?? { mode: "lowest" },
      ring,
    });
    const keepActivePartition = this.options.keepActivePartition ?? true;
    this.send({ kind: "setOption", keepActivePartition });
  }
  /** Everything up to the set option, settled. */
  join(ring?: RingId): void {
    this.open();
    this.preinit();
    this.init(ring);
    this.lab.settle();
  }

  config(ids: readonly number[], isChanged = false): void {
    this.send({
      kind: "nodeList",
      nodeListType: isChanged ? "changedConfig" : "initialConfig",
      configVersion: 1,
      nodes: ids.map((nodeId) => ({ nodeId })),
    });
  }
  membership(ring: RingId, ids: readonly number[], heuristics?: Heuristics): void {
    this.ring = ring;
    this.vote = "none";
    this.send({
      kind: "nodeList",
      nodeListType: "membership",
      ring,
      nodes: ids.map((nodeId) => ({ nodeId })),
      ...(heuristics === undefined ? {} : { heuristics }),
    });
  }
  quorum(isQuorate: boolean, ids: readonly number[]): void {
    const nodes = ids.map((nodeId) => ({ nodeId, state: "member" as const }));
    this.send({ kind: "nodeList", nodeListType: "quorum", isQuorate, nodes });
  }
  heuristics(heuristics: Heuristics): void {
    this.send({ kind: "heuristicsChange", heuristics });
  }
  ask(): void {
    this.send({ kind: "askForVote" });
  }
  /** Ends the connection as a client does that knows it. */
  close(): void {
    this.lab.end(this.connection);
  }
}

/** All join on one ring with all configured nodes as members, as the recorded scenarios begin. */
export function bringUp(clients: readonly TestClient[], heuristics?: Heuristics): void {
  const ids = clients.map(({ nodeId }) => nodeId);
  const ring = { rep: ids[0] ?? 0, seq: 10 };
  for (const client of clients) client.join(ring);
  for (const client of clients) client.config(ids);
  for (const client of clients) client.lab.settle();
  for (const client of clients) client.membership(ring, ids, heuristics);
  for (const client of clients) client.lab.settle();
}

export function votesOf(clients: readonly TestClient[]): string {
  return clients.map(({ vote }) => vote).join(" ");
}
