// One connection to a vote server from TCP to its end (qnetd.md §1.4, §3.3): what is sent in which order, and what may be received
// when. It records a fault instead of acting on it; its owner closes the connection. It must never start a vote of its own.
import { type RingId, sameRing } from "../../world.ts";
import {
  algorithms,
  encodeMessage,
  supportedMessages,
  supportedOptions,
  type Heuristics,
  type Message,
  type NodeInfo,
  type Vote,
} from "../../qnetd/session/message.ts";
import type { VoterView } from "../quorum/voter.ts";
import type { DeviceSettings } from "./device-settings.ts";
import type { DeviceAction } from "./events.ts";
import {
  checkInitReply,
  errorText,
  incomplete,
  isFault,
  tlsDecision,
  type Fault,
  type ServerTerms,
} from "./handshake.ts";
import { MessageStream } from "./stream.ts";

/** Of requests; it goes on over all connections (§1.4). */
export class SequenceCounter {
  #value = 1;

  get current(): number {
    return this.#value;
  }

  next(): number {
    this.#value = this.#value >= 0xffff_ffff ? 1 : this.#value + 1;
    return this.#value;
  }
}

/** What the cluster looks like from here. */
export interface Facts {
  readonly membership: { readonly ring: RingId; readonly members: readonly number[] } | undefined;
  readonly quorum: { readonly quorate: boolean; readonly voters: readonly VoterView[] } | undefined;
  /** The newest result. */
  readonly heuristics: Heuristics | undefined;
}

export interface SessionOwner {
  readonly settings: DeviceSettings;
  facts(): Facts;
  /** The server took us; `sendAll` is due as soon as heuristics have a result. */
  accepted(now: number, out: DeviceAction[]): void;
  /** The server's vote for the ring that was reported to it last. */
  voted(vote: Vote, ring: RingId, now: number, out: DeviceAction[]): void;
}

/** `lists`: init is accepted, the node lists wait for the first heuristics result. */
type Stage = "connecting" | "preinit" | "init" | "lists" | "connected";

export class Session {
  readonly id: number;
  readonly #owner: SessionOwner;
  readonly #counter: SequenceCounter;
  readonly #stream: MessageStream;
  #stage: Stage = "connecting";
  #fault: Fault | undefined;
  #terms: ServerTerms | undefined;
  /** In the last init or membership list. */
  #sentRing: RingId | undefined;
  /** Of the request whose reply must carry it. */
  #seq = 0;
  #echoSeq = 0;
  #echoHeard = 0;
  #echoAt: number | undefined;
  #since = 0;
  #hasCertificate = false;
  #tls = { active: false, sentCertificate: false };

  constructor(id: number, owner: SessionOwner, counter: SequenceCounter) {
    this.id = id;
    this.#owner = owner;
    this.#counter = counter;
    this.#stream = new MessageStream(owner.settings.advanced.netInitialMsgReceiveSize);
  }

  /** Why this connection must end; undefined: it may go on. */
  get fault(): Fault | undefined {
    return this.#fault;
  }
  get stage(): Stage {
    return this.#stage;
  }
  /** TCP stood once: the next attempt waits a random while. */
  get wasConnected(): boolean {
    return this.#stage !== "connecting";
  }
  get isAccepted(): boolean {
    return this.#stage === "lists" || this.#stage === "connected";
  }
  get terms(): ServerTerms | undefined {
    return this.#terms;
  }
  get tls(): { readonly active: boolean; readonly sentCertificate: boolean } {
    return this.#tls;
  }
  /** Monotonic time of the init reply and of the last echo. */
  get times(): { readonly since: number; readonly echoAt: number | undefined } {
    return { since: this.#since, echoAt: this.#echoAt };
  }

  /** `hasCertificate`: this node has one for its vote server. */
  connected(hasCertificate: boolean, out: DeviceAction[]): void {
    this.#hasCertificate = hasCertificate;
    this.#stage = "preinit";
    this.#seq = this.#counter.current;
    const { clusterName } = this.#owner.settings;
    this.#send({ kind: "preinit", seq: this.#seq, clusterName }, out);
  }

  secured(sentCertificate: boolean): void {
    this.#tls = { active: true, sentCertificate };
  }

  received(bytes: Uint8Array, now: number, out: DeviceAction[]): void {
    this.#stream.push(bytes);
    while (this.#fault === undefined) {
      const next = this.#stream.next();
      switch (next.kind) {
        case "more":
          return;
        case "fault":
          this.#fault = {
            reason: `the vote server sent what cannot be read: ${next.reason}`,
            mayRetrySoon: next.fault !== "unknownType",
          };
          return;
        case "message":
          this.#fault ??= this.#heard(next.message, now, out);
          break;
        default:
          next satisfies never;
      }
    }
  }

  #heard(message: Message, now: number, out: DeviceAction[]): Fault | undefined {
    const { kind } = message;
    const stage = this.#stage;
    if (kind === "preinitReply" && stage === "preinit") return this.#preinitReply(message, out);
    if (kind === "initReply" && stage === "init") return this.#initReply(message, now, out);
    if (kind === "echoReply" && this.isAccepted) return this.#echoReply(message, now);
    if (kind === "serverError") {
      if (message.errorCode === undefined) return incomplete("error message");
      const reason = `the vote server reports an error: ${errorText(message.errorCode)}`;
      return { reason, mayRetrySoon: false };
    }
    if (stage === "lists" && kind === "voteInfo") return this.#earlyVote(message, out);
    if (stage !== "connected") return unexpected(kind);
    switch (kind) {
      case "setOptionReply":
        return undefined;
      case "nodeListReply":
      case "askForVoteReply":
      case "heuristicsChangeReply":
        return this.#vote(message, now, out);
      case "voteInfo": {
        const { seq } = message;
        if (seq === undefined) return incomplete("vote info");
        const fault = this.#vote(message, now, out);
        if (fault === undefined) this.#send({ kind: "voteInfoReply", seq }, out);
        return fault;
      }
      default:
        return unexpected(kind);
    }
  }

  #preinitReply(message: Message, out: DeviceAction[]): Fault | undefined {
    if (message.tlsSupport === undefined || message.clientCertificateRequired === undefined) {
      return incomplete("preinit reply");
    }
    if (message.seq !== this.#seq) return unexpected("preinit reply");
    const { nodeid, algorithm, heartbeatMs, tieBreaker, tls, advanced } = this.#owner.settings;
    const decision = tlsDecision(message.tlsSupport, tls, {
      hasCertificate: this.#hasCertificate,
      isPlaintextAllowed: advanced.netAllowPlaintext,
    });
    if (typeof decision !== "string") return decision;
    if (decision === "tls") {
      this.#send({ kind: "startTls", seq: this.#counter.next() }, out);
      out.push({ kind: "startTls", id: this.id });
    }
    const ring = this.#owner.facts().membership?.ring ?? { rep: nodeid, seq: 0 };
    this.#stage = "init";
    this.#sentRing = ring;
    this.#seq = this.#counter.next();
    const init: Message = {
      kind: "init",
      seq: this.#seq,
      supportedMessages,
      supportedOptions,
      nodeId: nodeid,
      algorithm: algorithms.indexOf(algorithm),
      heartbeatMs,
      tieBreaker,
      ring,
    };
    this.#send(init, out);
    return undefined;
  }

  #initReply(message: Message, now: number, out: DeviceAction[]): Fault | undefined {
    const terms = checkInitReply(message, this.#seq, this.#owner.settings);
    if (isFault(terms)) return terms;
    this.#terms = terms;
    this.#stream.bytesMax = terms.replyBytesMax;
    this.#stage = "lists";
    this.#since = now;
    this.#owner.accepted(now, out);
    return undefined;
  }

  #echoReply(message: Message, now: number): Fault | undefined {
    if (message.seq !== this.#echoSeq || this.#echoHeard === this.#echoSeq) {
      return { reason: "an echo reply that was not asked for", mayRetrySoon: true };
    }
    this.#echoHeard = this.#echoSeq;
    this.#echoAt = now;
    return undefined;
  }

  /** corosync-qnetd may vote for a client that is new, before our lists are out. It is confirmed; the answer to our lists counts. */
  #earlyVote({ seq }: Message, out: DeviceAction[]): Fault | undefined {
    if (seq === undefined) return incomplete("vote info");
    this.#send({ kind: "voteInfoReply", seq }, out);
    return undefined;
  }

  /** A vote counts for the ring that we reported to the server last; any other answers an earlier question. */
  #vote(message: Message, now: number, out: DeviceAction[]): Fault | undefined {
    const { vote, ring } = message;
    if (vote === undefined || ring === undefined) return incomplete(message.kind);
    if (this.#sentRing !== undefined && sameRing(this.#sentRing, ring)) {
      this.#owner.voted(vote, ring, now, out);
    }
    return undefined;
  }

  /** Everything that the server needs of a new client, without waiting for replies. */
  sendAll(out: DeviceAction[]): void {
    this.#stage = "connected";
    if (this.#terms?.takesKeepActivePartition === true) {
      const { keepActivePartition } = this.#owner.settings;
      this.#send({ kind: "setOption", seq: this.#counter.next(), keepActivePartition }, out);
    }
    this.sendConfig("initialConfig", out);
    this.sendMembership(out);
    this.sendQuorum(out);
  }

  sendConfig(nodeListType: "initialConfig" | "changedConfig", out: DeviceAction[]): void {
    const { nodes, configVersion } = this.#owner.settings;
    const message: Message = {
      kind: "nodeList",
      seq: this.#counter.next(),
      nodeListType,
      ...(configVersion > 0 ? { configVersion } : {}),
      nodes: nodes.map(({ nodeid, dataCenterId }) => ({
        nodeId: nodeid,
        ...(dataCenterId > 0 ? { dataCenterId } : {}),
      })),
    };
    this.#send(message, out);
  }

  /** From here on only a vote for this ring counts. */
  sendMembership(out: DeviceAction[]): void {
    const { membership, heuristics } = this.#owner.facts();
    if (membership === undefined) return;
    const { ring } = membership;
    this.#sentRing = ring;
    const message: Message = {
      kind: "nodeList",
      seq: this.#counter.next(),
      nodeListType: "membership",
      ring,
      nodes: membership.members.map((nodeId) => ({ nodeId })),
      ...(heuristics === undefined ? {} : { heuristics }),
    };
    this.#send(message, out);
  }

  sendQuorum(out: DeviceAction[]): void {
    const { quorum } = this.#owner.facts();
    if (quorum === undefined) return;
    const nodes: NodeInfo[] = quorum.voters
      .filter((voter) => voter.nodeid !== 0)
      .map((voter) => ({ nodeId: voter.nodeid, state: voter.state }));
    const isQuorate = quorum.quorate;
    const seq = this.#counter.next();
    this.#send({ kind: "nodeList", seq, nodeListType: "quorum", isQuorate, nodes }, out);
  }

  sendHeuristics(heuristics: Heuristics, out: DeviceAction[]): void {
    this.#send({ kind: "heuristicsChange", seq: this.#counter.next(), heuristics }, out);
  }

  /** At most one echo request is unanswered at any time. */
  heartbeat(out: DeviceAction[]): void {
    if (this.#echoHeard === this.#echoSeq) {
      this.#echoSeq += 1;
      return this.#send({ kind: "echoRequest", seq: this.#echoSeq }, out);
    }
    const { heartbeatMs } = this.#owner.settings;
    const reason = `the vote server did not answer a heartbeat within ${heartbeatMs} ms`;
    this.#fault ??= { reason, mayRetrySoon: true };
  }

  #send(message: Message, out: DeviceAction[]): void {
    const bytes = encodeMessage(message);
    const { netInitialMsgSendSize } = this.#owner.settings.advanced;
    const bytesMax = this.#terms?.requestBytesMax ?? netInitialMsgSendSize;
    if (bytes.length <= bytesMax) return void out.push({ kind: "send", id: this.id, bytes });
    const reason = `our ${message.kind} message has ${bytes.length} bytes, the vote server takes ${bytesMax}`;
    this.#fault ??= { reason, mayRetrySoon: false };
  }
}

function unexpected(kind: string): Fault {
  return { reason: `the vote server sent an unexpected ${kind}`, mayRetrySoon: false };
}
