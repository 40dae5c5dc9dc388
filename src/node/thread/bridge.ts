// Typed messages between the main thread and the ring thread (a Worker). One post a turn: the main thread's requests, the ring thread's
// log lines, events and credit; only what must keep its place among the events (quorum, reload) or answers a question is a post of
// its own. Messages of groups cross in one buffer that is handed over (batch.ts), everything else by structured clone; shared are only the
// count of what the main thread has posted (post-count.ts) and receipts (receipts.ts). If either side dies the process ends.
import type { GroupRequest, LogAction, PortEvent } from "../../world.ts";
import type { Batch } from "./batch.ts";
import type { DeviceSnapshot } from "../device/events.ts";
import type { MemberEnd, MemberSnapshot, QuorumView } from "../member/events.ts";
import type { PeerFault } from "./key-watch.ts";
import type { LinkSnapshot, LinksTraffic } from "../link/events.ts";
import type { KeyOnDisk, NodeSettings } from "../settings/settings.ts";

/** Packets since start that were protected, and what that has added to them. */
export interface SealCounts {
  readonly sealed: number;
  readonly opened: number;
  readonly addedBytes: number;
}

/** From the main thread to the ring thread. */
export type ToRing =
  | {
      readonly kind: "start";
      readonly settings: NodeSettings;
      /** Directory of ringid_<nodeid>. */
      readonly stateDir: string;
      /** Directory of the original's certificates for a vote server. */
      readonly deviceDir: string;
      /** corosync.conf and the default key file; without them a new key waits for `reconfigure`. */
      readonly configPaths?: { readonly conf: string; readonly authkey: string };
      readonly pid: number;
      /** What is counted in shared memory (receipts.ts). */
      readonly receipts?: { readonly group: string; readonly memory: SharedArrayBuffer };
    }
  | { readonly kind: "requests"; readonly requests: Batch<GroupRequest> }
  | { readonly kind: "ask"; readonly id: number; readonly question: RingQuestion }
  | { readonly kind: "stop" };

export type RingQuestion =
  | { readonly kind: "snapshot" }
  /** Answered behind all events so far. */
  | { readonly kind: "catchUp" }
  | { readonly kind: "expectedVotes"; readonly votes: number }
  /** Running votes of one node. */
  | { readonly kind: "votes"; readonly nodeid: number; readonly votes: number }
  /** A member of the ring is to end at once. `reason`: for its log. */
  | { readonly kind: "kill"; readonly nodeid: number; readonly reason: string }
  | { readonly kind: "cancelWaitForAll" }
  /** The quorum device's client ends; a reload of corosync.conf starts it again. */
  | { readonly kind: "stopDevice" }
  /** corosync.conf does not name this node any more: the others neither send to it nor hear it. */
  | { readonly kind: "notListed" }
  /** All nodes are to read corosync.conf again; answered by `reloadRequested` with this question's id, or refused. */
  | { readonly kind: "reload" }
  /** Settings that were checked (reload-rules.ts): they are in force when this is answered by `done`. */
  | { readonly kind: "reconfigure"; readonly settings: NodeSettings };

export type FromRing =
  | { readonly kind: "loaded" }
  /** Sockets are bound, the ring is starting. */
  | { readonly kind: "started" }
  /** Of one turn. `taken`: bytes of earlier `requests` that the member has taken over, credit for new ones. */
  | {
      readonly kind: "turn";
      readonly lines: readonly LogAction[];
      readonly events: Batch<PortEvent> | undefined;
      readonly taken: number;
    }
  | { readonly kind: "quorum"; readonly quorum: QuorumView }
  /**
   * A reload was delivered, in its order among the events. `id`: of our own question, to be answered when it is done. `key`: as on
   * disk at that moment; undefined when it could not be used.
   */
  | {
      readonly kind: "reloadRequested";
      readonly nodeid: number;
      readonly id: number | undefined;
      readonly key: KeyOnDisk | undefined;
    }
  | { readonly kind: "answer"; readonly id: number; readonly answer: RingAnswer }
  | ({ readonly kind: "finished" } & MemberEnd);

export type RingAnswer =
  | { readonly kind: "snapshot"; readonly snapshot: RingSnapshot }
  | { readonly kind: "done" }
  | { readonly kind: "refused"; readonly reason: string };

export interface RingSnapshot {
  readonly member: MemberSnapshot;
  readonly links: readonly LinkSnapshot[];
  /** Hosts with at least one usable link. */
  readonly reachable: readonly number[];
  /** Times of the last few thousand token rotations in which no idle token was held, microseconds; 0 when unknown. */
  readonly rotationUs: { readonly p50: number; readonly p99: number };
  readonly counts: {
    /** Mean time between the last hundred visits of the token, held or not, milliseconds. */
    readonly rotationMeanMs: number;
    /** Since the token was here, milliseconds; undefined: it never was. */
    readonly tokenAgeMs: number | undefined;
    readonly traffic: LinksTraffic;
    readonly crypto: SealCounts;
    /** When the ring thread got no processor for too long, newest first. */
    readonly schedulingMisses: readonly { readonly agoMs: number; readonly delayMs: number }[];
  };
  /** Peers that send what cannot be opened here, with the reason; ascending. */
  readonly peerFaults: readonly PeerFault[];
  /** Why a message of the ring was refused in the last minute; "": none was. */
  readonly refusal: string;
  readonly packetsDropped: Readonly<Record<string, number>>;
  /** Undefined: no quorum device of model net is in use here. */
  readonly device: DeviceSnapshot | undefined;
}

/** The buffers of a message that are handed over with it. */
export function handedOver(message: ToRing | FromRing): ArrayBuffer[] {
  if (message.kind === "requests") return [message.requests.bytes];
  return message.kind === "turn" && message.events !== undefined ? [message.events.bytes] : [];
}

/** What a request costs in the credit between the two threads. */
export function requestBytes(request: GroupRequest): number {
  const overhead = 64;
  return request.kind === "send" ? request.message.length + overhead : overhead;
}
