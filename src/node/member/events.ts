// Events and actions of one member of the cluster: ring plus services (sync, groups, votes, configuration version) without
// any transport. The ring thread and the simulator are its two hosts.
import type {
  EndedPeer,
  GroupRequest,
  LogAction,
  PortEvent,
  TimerAction,
  RingId,
} from "../../world.ts";
import type { LinksEvent } from "../link/events.ts";
import type { DeviceRequest, DeviceStatus } from "../device/events.ts";
import type { Refusal, RingCounters, RingTimer } from "../ring/events.ts";
import type { VoterView } from "../quorum/voter.ts";
import type { NodeSettings } from "../settings/settings.ts";

export type MemberTimer =
  RingTimer | "lastManStanding" | "deviceTimeout" | "configurationBehind" | "leaving";

export type MemberEvent =
  | { readonly kind: "started" }
  | { readonly kind: "received"; readonly bytes: Uint8Array }
  | { readonly kind: "timedOut"; readonly timer: MemberTimer }
  /** A local process (ours) joins, leaves or sends to a closed process group. */
  | { readonly kind: "requested"; readonly pid: number; readonly request: GroupRequest }
  /** Operator: expected votes of the cluster (services.md §4.11); answered by `replied` with the same id. */
  | { readonly kind: "expectedVotesSet"; readonly id: number; readonly votes: number }
  /** Operator: running votes of one node (services.md §4.11); answered by `replied`. */
  | {
      readonly kind: "votesSet";
      readonly id: number;
      readonly nodeid: number;
      readonly votes: number;
    }
  /** Operator: a member is to end at once (services.md §7.2); answered by `replied`. `reason`: for its log. */
  | {
      readonly kind: "killAsked";
      readonly id: number;
      readonly nodeid: number;
      readonly reason: string;
    }
  /** Operator: stop waiting for all nodes. */
  | { readonly kind: "waitForAllCancelled"; readonly id: number }
  /** Operator: all nodes are to read their corosync.conf again; comes back as `reloadRequested` with the same id. */
  | { readonly kind: "reloadAsked"; readonly id: number }
  /** The local client of a quorum device (services.md §4.8); answered by `deviceAnswered`. */
  | { readonly kind: "deviceAsked"; readonly request: DeviceRequest }
  /**
   * A new corosync.conf is in force (after its order in the ring). `changesKey`: packets can be opened with the new key or
   * crypto from now on, and are still sealed with the old one until `keyPhase` says otherwise.
   */
  | { readonly kind: "reconfigured"; readonly settings: NodeSettings; readonly changesKey: boolean }
  /** All watched members whose process has ended, as far as their machines' refusals show. */
  | { readonly kind: "ended"; readonly peers: readonly EndedPeer[] }
  /** corosync.conf does not name us any more: the others neither send to us nor hear us. */
  | { readonly kind: "notListed" }
  /** Graceful stop: groups left, LEAVE sent; ends in `finished`. */
  | { readonly kind: "stopped" };

export type MemberAction =
  | { readonly kind: "unicast"; readonly nodeid: number; readonly bytes: Uint8Array }
  /** As the ring's. */
  | { readonly kind: "multicast"; readonly bytes: Uint8Array; readonly isStored?: true }
  | TimerAction<MemberTimer>
  | { readonly kind: "persistRing"; readonly ringSeq: number }
  /** For the links: whose refusals mean something (ring/deaths.ts). */
  | Extract<LinksEvent, { readonly kind: "watched" }>
  /** With expected_votes_tracking: the floor of expected votes (file ev_tracking: u32, services.md §4.10). */
  | { readonly kind: "persistTracking"; readonly expectedVotes: number }
  | PortEvent
  /** votequorum's node list: a synchronisation began; an alive quorum device must poll for this ring. */
  | { readonly kind: "nodeListChanged"; readonly ring: RingId; readonly members: readonly number[] }
  | { readonly kind: "quorumChanged"; readonly quorum: QuorumView }
  | {
      readonly kind: "deviceAnswered";
      readonly request: DeviceRequest["kind"];
      readonly answer: DeviceStatus;
    }
  | {
      readonly kind: "replied";
      readonly id: number;
      readonly ok: boolean;
      readonly reason: string;
    }
  /** Node `nodeid` asked all nodes to read their corosync.conf again. `id`: of our own operator's question. */
  | {
      readonly kind: "reloadRequested";
      readonly nodeid: number;
      readonly id: number | undefined;
    }
  /** All nodes can open the new key (phase 1: send with it); all nodes send with it (phase 2: forget the old one). */
  | { readonly kind: "keyPhase"; readonly phase: 1 | 2 }
  /** The member is done: a clean stop, or a reason to end the process (configuration version too old, …). */
  | ({ readonly kind: "finished" } & MemberEnd)
  | LogAction;

export interface MemberEnd {
  readonly clean: boolean;
  readonly reason: string;
  /** This node's corosync.conf is to blame: another start would end, and disturb the ring, in the same way. */
  readonly isConfiguration?: true;
}

export interface QuorumView {
  readonly quorate: boolean;
  readonly ring: RingId;
  readonly members: readonly number[];
  readonly expectedVotes: number;
  readonly totalVotes: number;
  readonly quorum: number;
  /** As corosync-quorumtool prints them: "2Node", "Quorate", "WaitForAll", … */
  readonly flags: readonly string[];
  readonly voters: readonly VoterView[];
  readonly deviceVotes: number;
  /** The quorum device's name as the cluster knows it, a byte string; absent: nobody named one. */
  readonly deviceName?: string;
}

/** Plain data for the API, the page, the simulator's checkers and bug reports. */
export interface MemberSnapshot {
  readonly state: "starting" | "operational" | "gather" | "commit" | "recovery" | "stopped";
  readonly ring: RingId;
  readonly members: readonly number[];
  /** Packets of that ring up to here have been received. */
  readonly aru: number;
  readonly synchronising: boolean;
  readonly quorum: QuorumView;
  readonly counters: RingCounters;
  /** How often in a row the consensus timeout has brought it back to GATHER. */
  readonly continuousGathers: number;
  /** When the token was here last, monotonic milliseconds; 0: never. */
  readonly tokenReceivedAt: number;
  readonly queuedMessages: number;
  readonly refusal: Refusal | undefined;
  /** config_version of each member as exchanged (services.md §2.4). */
  readonly configVersions: readonly { readonly nodeid: number; readonly version: number }[];
  readonly groups: readonly {
    readonly group: string;
    readonly nodeid: number;
    readonly pid: number;
  }[];
  /** Every node that formed a ring with this one since start. */
  readonly pastMembers: readonly PastMember[];
  readonly messages: readonly MessageCount[];
  /** Undefined without a quorum provider. */
  readonly voteMap?: VoteMap;
}

export interface PastMember {
  readonly nodeid: number;
  readonly isJoined: boolean;
  readonly joinCount: number;
  /** At its first join, by link number; undefined where it has no such link. */
  readonly addresses: readonly (string | undefined)[];
  /** config_version as it said last, 0: it has none; undefined: it has said nothing yet. */
  readonly configVersion: number | undefined;
}

/** Messages of one kind that a service has sent and received, our own included. */
export interface MessageCount {
  readonly service: "cmap" | "cfg" | "cpg" | "votequorum";
  /** corosync's number of the kind within its service. */
  readonly fn: number;
  readonly received: number;
  readonly sent: number;
}

/** votequorum's keys of the configuration map (services.md §6.1); what is absent was never set since start. */
export interface VoteMap {
  readonly twoNode: boolean;
  readonly expectedVotesBarrier: number;
  /** Of the last membership that was quorate. */
  readonly ends?: { readonly lowest: number; readonly highest: number };
  readonly isWaitingForAll?: boolean;
  readonly trackingBarrier?: number;
  /** 0 none, 1 lowest, 2 highest, 3 a list. */
  readonly tieBreaker?: 0 | 1 | 2 | 3;
  readonly isDeviceAllowed?: boolean;
  readonly masterWins?: boolean;
}
