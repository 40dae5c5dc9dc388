// Events and actions of the link core (kronosnet): hosts, links, heartbeats, path MTU, duplicate window, fragments. Spec: knet.md.
// Packets here are clear: the ring host (src/node/thread/thread.ts) seals and opens them.
import type { EndedPeer, LogAction, TimerAction } from "../../world.ts";
import type { LinkChange, PingRecord } from "./history.ts";
import type { PathReport } from "./pmtud.ts";
import type { Amount, TrafficCounts } from "./traffic.ts";
import type { LinksConfiguration } from "./configuration.ts";

/** `probe`: the host then steps `probed` with what came of the probes. */
export type LinksTimer = "tick" | "probe";

export type LinksEvent =
  | { readonly kind: "started" }
  /** A packet that passed authentication. `address` is the source IP as text, `link` the local socket's link number. */
  | {
      readonly kind: "received";
      readonly link: number;
      readonly address: string;
      readonly packet: Uint8Array;
    }
  /** A totem message to send: `nodeid` 0 is a multicast, to every reachable peer, and back to ourselves unless `isStored`. */
  | {
      readonly kind: "sent";
      readonly nodeid: number;
      readonly message: Uint8Array;
      readonly isStored?: boolean;
    }
  | { readonly kind: "timedOut"; readonly timer: "tick" }
  /** New nodes, addresses, timers or modes. Links whose two addresses and port stay the same keep their state. */
  | { readonly kind: "reconfigured"; readonly configuration: LinksConfiguration }
  /** Another key, cipher or hash is used for sending. */
  | { readonly kind: "keyChanged" }
  /**
   * Peers whose process may be found ended, and of these the ones that are to be heard now. `isForming`: multicasts are repeated until all have
   * answered, and need not go to a peer while it is searched for.
   */
  | {
      readonly kind: "watched";
      readonly nodeids: readonly number[];
      readonly sought: readonly number[];
      readonly isForming: boolean;
    }
  /** The timer `probe` ran; refusals of probes since the last time, each the machine's own answer to one of them. */
  | { readonly kind: "probed"; readonly refusals: readonly Target[] }
  /**
   * The kernel refused a packet as too large (`bytes`: its UDP payload; absent when a router said so), or reported a port
   * closed. A socket does not learn whose port: the ring host then names every node that it talks to on that link.
   */
  | {
      readonly kind: "refused";
      readonly nodeid: number;
      readonly link: number;
      readonly why: "tooLarge" | "unreachable";
      readonly bytes?: number;
    };

export type LinksAction =
  | {
      readonly kind: "transmit";
      readonly nodeid: number;
      readonly link: number;
      readonly packet: Uint8Array;
    }
  /** A packet like any other, but from a socket that learns who refuses it. */
  | {
      readonly kind: "probe";
      readonly nodeid: number;
      readonly link: number;
      readonly packet: Uint8Array;
    }
  /** All watched peers that are silent while their machines refuse our packets on these links; told when it changes. */
  | { readonly kind: "ended"; readonly peers: readonly EndedPeer[] }
  /** A totem message for the ring (from the network or our own loopback). */
  | { readonly kind: "received"; readonly message: Uint8Array }
  | TimerAction<LinksTimer>
  | LogAction;

/** One link of one peer. */
export interface Target {
  readonly nodeid: number;
  readonly link: number;
}

export interface LinkSnapshot {
  readonly nodeid: number;
  readonly link: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly enabled: boolean;
  readonly connected: boolean;
  /** Largest user data of one fragment (data_mtu), bytes. */
  readonly mtu: number;
  readonly latencyUs: number;
  /** Lowest and highest of all answers since the link exists; absent: there was none. */
  readonly latencyUsRange?: { readonly min: number; readonly max: number } | undefined;
  /** How many answers the mean covers. */
  readonly latencySamples: number;
  readonly downCount: number;
  readonly upCount: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly sent: TrafficCounts;
  readonly received: TrafficCounts;
  /** Of the last minute or so, since the link came up. */
  readonly recent: PingRecord;
  /** Ups and downs since the link exists, the newest first; the last few. */
  readonly changes: readonly LinkChange[];
  readonly path: PathReport;
}

/** What no single link counts. */
export interface LinksTraffic {
  /** Messages that came back to ourselves without a link. */
  readonly loopback: Amount;
  /** Messages that came compressed: how many, their bytes on the way and their bytes once opened. */
  readonly compressed: {
    readonly packets: number;
    readonly bytes: number;
    readonly openedBytes: number;
  };
}
