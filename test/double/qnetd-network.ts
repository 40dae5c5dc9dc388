// A small world for the vote server's safety (engineering.md §9, Q3): nodes whose cluster network splits and heals, clients that
// vote as qdevice does (qnetd.md §3.3–3.6), links that stall, and a server that may restart. One seed gives one history.
import { type RingId, sameRing } from "../../src/world.ts";
import {
  algorithms,
  decodeMessage,
  encodeMessage,
  type AlgorithmName,
  type Heuristics,
  type Message,
  type TieBreaker,
} from "../../src/qnetd/session/message.ts";
import { VoteServer } from "../../src/qnetd/session/qnetd-core.ts";
import { plainConfiguration } from "./qnetd-host.ts";
import type { VoteServerAction, VoteServerEvent } from "../../src/qnetd/session/events.ts";

const heartbeatMs = 1000;

/** mulberry32. */
export function seededRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

type Item = Uint8Array | "end";

/** One TCP connection: in order, never lost, but stalled while the link is down. */
interface Pipe {
  readonly id: number;
  readonly node: Node;
  readonly up: Item[];
  readonly down: Item[];
  isServerOpen: boolean;
  isClientOpen: boolean;
}

export class Node {
  readonly id: number;
  ring: RingId;
  members: readonly number[];
  /** What it casts into its votequorum. */
  vote: "none" | "ack" | "nack" = "none";
  heuristics: Heuristics | undefined;
  isLinked = true;
  pipe: Pipe | undefined;
  seq = 0;
  isEchoOpen = false;
  echoSeq = 0;

  constructor(id: number, ring: RingId, members: readonly number[]) {
    this.id = id;
    this.ring = ring;
    this.members = members;
  }
}

export interface WorldOptions {
  readonly algorithm: AlgorithmName;
  readonly nodes: number;
  readonly tieBreaker: TieBreaker;
  readonly seed: number;
  /** With a server that restarts and, for that, waits after its start. */
  readonly isRestarting: boolean;
}

export class World {
  readonly nodes: readonly Node[];
  readonly history: string[] = [];
  readonly random: (limit: number) => number;
  readonly #options: WorldOptions;
  #server: VoteServer;
  #epoch = 0;
  #ringSeq = 4;
  #pipes = 0;
  #now = 0;
  #order = 0;
  readonly #agenda: { readonly at: number; readonly act: () => void }[] = [];
  readonly #byConnection = new Map<number, Pipe>();
  readonly #timers = new Map<string, number>();
  violation: string | undefined;
  /** No message is late any more. */
  isCalm = false;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed);
    const ids = Array.from({ length: options.nodes }, (_, i) => i + 1);
    this.nodes = ids.map((id) => new Node(id, { rep: 1, seq: this.#ringSeq }, ids));
    this.#server = this.#newServer();
    for (const node of this.nodes) this.#connectSoon(node);
  }

  /** Runs what is due within `ms`. */
  run(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#agenda[0];
      if (next === undefined || next.at > until || this.violation !== undefined) break;
      this.#agenda.shift();
      this.#now = next.at;
      next.act();
      this.#check();
    }
    this.#now = Math.max(this.#now, until);
  }

  #later(ms: number, act: () => void): void {
    const entry = { at: this.#now + ms, act };
    const behind = this.#agenda.findLastIndex(({ at }) => at <= entry.at);
    this.#agenda.splice(behind + 1, 0, entry);
  }

  #say(text: string): void {
    this.history.push(`${this.#now.toFixed(0).padStart(7)} ${text}`);
  }

  /** Q3: never two partitions with the vote that share no node, as their own nodes see them. */
  #check(): void {
    const holders = this.nodes.filter(({ vote }) => vote === "ack");
    for (const a of holders) {
      const apart = holders.find((b) => !b.members.some((id) => a.members.includes(id)));
      if (apart === undefined) continue;
      this.violation = `nodes ${a.id} {${a.members.join()}} and ${apart.id} {${apart.members.join()}} both have the vote`;
    }
  }

  // The cluster network.

  /** Splits the nodes into groups; each forms a ring of its own, at slightly different times. */
  partition(groupOf: (node: Node) => number): void {
    const groups = Map.groupBy(this.nodes, groupOf);
    this.#ringSeq += 4;
    for (const group of groups.values()) {
      const members = group.map(({ id }) => id);
      const ring = { rep: Math.min(...members), seq: this.#ringSeq };
      this.#say(`ring ${ring.rep}.${ring.seq} {${members.join()}}`);
      for (const node of group)
        this.#later(this.random(120), () => this.#changeRing(node, ring, members));
    }
  }

  #changeRing(node: Node, ring: RingId, members: readonly number[]): void {
    if (ring.seq <= node.ring.seq) return;
    node.ring = ring;
    node.members = members;
    // Voting pauses until the vote server has answered for this ring; a node that is not connected has lost the vote.
    node.vote = node.pipe === undefined ? "nack" : "none";
    if (node.pipe === undefined) return;
    this.sendMembership(node);
    this.#later(this.random(200), () => this.sendQuorum(node));
  }

  sendMembership(node: Node): void {
    if (node.pipe === undefined) return;
    node.vote = "none";
    this.#say(`n${node.id} reports {${node.members.join()}}`);
    this.#send(node, {
      kind: "nodeList",
      nodeListType: "membership",
      ring: node.ring,
      nodes: node.members.map((nodeId) => ({ nodeId })),
      ...(node.heuristics === undefined ? {} : { heuristics: node.heuristics }),
    });
  }
  sendQuorum(node: Node): void {
    const nodes = node.members.map((nodeId) => ({ nodeId, state: "member" as const }));
    this.#send(node, { kind: "nodeList", nodeListType: "quorum", isQuorate: true, nodes });
  }
  changeHeuristics(node: Node): void {
    node.heuristics = this.random(2) === 0 ? "pass" : "fail";
    this.#say(`n${node.id} heuristics ${node.heuristics}`);
    this.#send(node, { kind: "heuristicsChange", heuristics: node.heuristics });
  }

  // The client.

  #connectSoon(node: Node): void {
    this.#later(this.random(450), () => this.#connect(node));
  }

  #connect(node: Node): void {
    if (node.pipe !== undefined) return;
    // Connecting fails by its timeout.
    if (!node.isLinked) return this.#later(heartbeatMs, () => this.#connect(node));
    this.#pipes += 1;
    const id = this.#pipes;
    const pipe: Pipe = { id, node, up: [], down: [], isServerOpen: true, isClientOpen: true };
    node.pipe = pipe;
    node.isEchoOpen = false;
    this.#byConnection.set(id, pipe);
    this.#step({ kind: "connected", connection: id, address: `10.0.0.${node.id}`, port: id });
    this.#send(node, { kind: "preinit", clusterName: "c" });
    this.#send(node, {
      kind: "init",
      nodeId: node.id,
      algorithm: algorithms.indexOf(this.#options.algorithm),
      heartbeatMs,
      tieBreaker: this.#options.tieBreaker,
      ring: node.ring,
    });
  }

  #introduce(node: Node, pipe: Pipe): void {
    this.#send(node, { kind: "setOption", keepActivePartition: true });
    const nodes = this.nodes.map(({ id }) => ({ nodeId: id }));
    this.#send(node, { kind: "nodeList", nodeListType: "initialConfig", nodes });
    this.sendMembership(node);
    this.sendQuorum(node);
    this.#tick(node, pipe);
  }

  #tick(node: Node, pipe: Pipe): void {
    this.#later(heartbeatMs, () => {
      if (node.pipe !== pipe) return;
      if (node.isEchoOpen) return this.disconnect(node);
      node.isEchoOpen = true;
      this.#send(node, { kind: "echoRequest" });
      this.#tick(node, pipe);
    });
  }

  #send(node: Node, message: Message): void {
    const { pipe } = node;
    if (pipe === undefined) return;
    node.seq += 1;
    this.#push(pipe, "up", encodeMessage({ ...message, seq: message.seq ?? node.seq }));
  }

  /** The client gives up its vote first, then its connection. */
  disconnect(node: Node): void {
    const { pipe } = node;
    if (pipe === undefined) return;
    this.#say(`n${node.id} disconnects`);
    node.vote = "nack";
    node.pipe = undefined;
    pipe.isClientOpen = false;
    this.#push(pipe, "up", "end");
    this.#connectSoon(node);
  }

  #clientReceives(pipe: Pipe, item: Item): void {
    const { node } = pipe;
    if (!pipe.isClientOpen || node.pipe !== pipe) return;
    if (item === "end") return this.disconnect(node);
    const decoded = decodeMessage(item);
    if (!decoded.ok) throw new Error(decoded.reason);
    const { kind, vote, ring, seq, errorCode } = decoded.value;
    if (kind === "initReply" && errorCode !== 0) return this.disconnect(node);
    if (kind === "serverError") throw new Error(`the server refuses: ${errorCode}`);
    if (kind === "initReply") return this.#introduce(node, pipe);
    if (kind === "echoReply") node.isEchoOpen = false;
    if (kind === "voteInfo" && seq !== undefined) this.#send(node, { kind: "voteInfoReply", seq });
    if (vote === undefined || ring === undefined || !sameRing(ring, node.ring)) return;
    this.#say(`n${node.id} ${kind} ${vote}`);
    if (vote === "ack" || vote === "nack") node.vote = vote;
    else if (vote !== "noChange") node.vote = "none";
  }

  // The network to the vote server.

  /** Cuts or repairs a node's link to the vote server; what is on its way waits. */
  setLink(node: Node, isLinked: boolean): void {
    if (node.isLinked === isLinked) return;
    this.#say(`n${node.id} ${isLinked ? "sees" : "does not see"} the server`);
    node.isLinked = isLinked;
    if (!isLinked) return;
    for (const pipe of this.#byConnection.values()) {
      if (pipe.node !== node) continue;
      for (const direction of ["up", "down"] as const) {
        for (const _ of pipe[direction])
          this.#later(this.random(2000), () => this.#deliver(pipe, direction));
      }
    }
  }

  #push(pipe: Pipe, direction: "up" | "down", item: Item): void {
    pipe[direction].push(item);
    const delayMs = !this.isCalm && this.random(20) === 0 ? this.random(900) : this.random(40);
    this.#later(delayMs, () => this.#deliver(pipe, direction));
  }

  /** The oldest item arrives, whichever was pushed for this moment: order is kept. */
  #deliver(pipe: Pipe, direction: "up" | "down"): void {
    if (!pipe.node.isLinked) return;
    const item = pipe[direction].shift();
    if (item === undefined) return;
    if (direction === "down") return this.#clientReceives(pipe, item);
    if (!pipe.isServerOpen) {
      // RST: the server knows nothing of this connection.
      if (item !== "end") this.#push(pipe, "down", "end");
      return;
    }
    if (item !== "end") return this.#step({ kind: "received", connection: pipe.id, bytes: item });
    pipe.isServerOpen = false;
    this.#step({ kind: "closed", connection: pipe.id, isPeerAware: true });
  }

  // The server.

  #newServer(): VoteServer {
    return new VoteServer({
      configuration: { ...plainConfiguration, isWaitingAfterStart: this.#options.isRestarting },
      startedAt: this.#now,
    });
  }

  restart(): void {
    this.#say("the server restarts");
    this.#epoch += 1;
    this.#timers.clear();
    for (const pipe of this.#byConnection.values()) {
      if (pipe.isServerOpen) this.#push(pipe, "down", "end");
      pipe.isServerOpen = false;
    }
    this.#server = this.#newServer();
  }

  #step(event: VoteServerEvent): void {
    const out: VoteServerAction[] = [];
    this.#server.step(event, this.#now, out);
    for (const action of out) this.#carryOut(action);
  }

  #carryOut(action: VoteServerAction): void {
    if (action.kind === "log" || action.kind === "startTls") return;
    if (action.kind === "arm") {
      const generation = (this.#order += 1);
      const epoch = this.#epoch;
      const { timer } = action;
      this.#timers.set(timer, generation);
      return this.#later(Math.max(0, action.at - this.#now), () => {
        if (this.#timers.get(timer) !== generation || this.#epoch !== epoch) return;
        this.#timers.delete(timer);
        this.#step({ kind: "timedOut", timer });
      });
    }
    if (action.kind === "disarm") return void this.#timers.delete(action.timer);
    const pipe = this.#byConnection.get(action.connection);
    if (pipe === undefined) return;
    if (action.kind === "send") return this.#push(pipe, "down", action.bytes);
    this.#say(`the server closes n${pipe.node.id}: ${action.why}`);
    pipe.isServerOpen = false;
    this.#push(pipe, "down", "end");
  }

  summary(): string {
    return this.nodes.map(({ vote }) => vote).join(" ");
  }
  /** Why, as the server says it. */
  reasons(): string[] {
    const [cluster] = this.#server.snapshot(this.#now).clusters;
    return cluster?.nodes.map(({ why }) => why) ?? [];
  }
}
