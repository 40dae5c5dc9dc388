// Events and actions of the quorum device client (qnetd.md §3): what comes from the cluster, the vote server and the clock, and what
// it asks of them. The client knows no socket and no votequorum: its host carries everything between them.
import type { LogAction, TimerAction, RingId } from "../../world.ts";
import type { VoterView } from "../quorum/voter.ts";
import type { HeuristicsCommand } from "./command-line.ts";
import type { NodeSettings } from "../settings/settings.ts";
import type { Heuristics } from "../../qnetd/session/message.ts";
import type { DeviceNode } from "./device-settings.ts";

export type DeviceTimer = "connect" | "reconnect" | "heartbeat" | "castVote" | "heuristics";

/** What a local device client asks of votequorum (services.md §4.8). */
export type DeviceRequest =
  | { readonly kind: "register"; readonly name: string }
  | { readonly kind: "unregister"; readonly name: string }
  | {
      readonly kind: "poll";
      readonly name: string;
      readonly ring: RingId;
      readonly castsVote: boolean;
    }
  | { readonly kind: "masterWins"; readonly name: string; readonly isAllowed: boolean };

/** How votequorum answers a request; a registration is answered when its message was delivered. */
export type DeviceStatus =
  "ok" | "otherName" | "notRegistered" | "wrongRing" | "notAllowed" | "badName";

export type DeviceEvent =
  /** votequorum's node list callback: a synchronisation began and waits for our poll with this ring. */
  | { readonly kind: "nodeListChanged"; readonly ring: RingId; readonly members: readonly number[] }
  /** votequorum's quorum callback. */
  | {
      readonly kind: "quorumChanged";
      readonly ring: RingId;
      readonly quorate: boolean;
      readonly voters: readonly VoterView[];
    }
  | {
      readonly kind: "answered";
      readonly request: DeviceRequest["kind"];
      readonly answer: DeviceStatus;
    }
  /**
   * TCP stands. `id` is that of the `connect` action in this and the next four; other ids are ignored. `hasCertificate`: this node has
   * one for its vote server.
   */
  | { readonly kind: "connected"; readonly id: number; readonly hasCertificate: boolean }
  | { readonly kind: "secured"; readonly id: number; readonly sentCertificate: boolean }
  | { readonly kind: "received"; readonly id: number; readonly bytes: Uint8Array }
  /** Could not connect, or the connection ended; `mayRetrySoon` is false when only an operator can help. */
  | {
      readonly kind: "closed";
      readonly id: number;
      readonly reason: string;
      readonly mayRetrySoon: boolean;
    }
  /** The commands of `run` have ended, or their time has. */
  | { readonly kind: "heuristicsDone"; readonly run: number; readonly result: Heuristics }
  | { readonly kind: "reconfigured"; readonly settings: NodeSettings }
  | { readonly kind: "timedOut"; readonly timer: DeviceTimer }
  /** Unregisters, closes, and is silent from then on. */
  | { readonly kind: "stopped" };

export type DeviceAction =
  | { readonly kind: "ask"; readonly request: DeviceRequest }
  | {
      readonly kind: "connect";
      readonly id: number;
      readonly host: string;
      readonly port: number;
      /** 0: any, in the resolver's order. */
      readonly ipVersion: 0 | 4 | 6;
      /** For all addresses of the name together; each gets its share. */
      readonly timeoutMs: number;
      /** The name that the vote server's certificate must carry. */
      readonly serverName: string;
      /** More than this unsent: the server does not read. */
      readonly unsentBytesMax: number;
    }
  | { readonly kind: "send"; readonly id: number; readonly bytes: Uint8Array }
  /** Everything sent after this goes through TLS; what was sent before must be out in the clear first. */
  | { readonly kind: "startTls"; readonly id: number }
  | { readonly kind: "close"; readonly id: number }
  /** Runs all commands at once, without a shell; a run still under way is ended first. */
  | {
      readonly kind: "runHeuristics";
      readonly run: number;
      readonly commands: readonly HeuristicsCommand[];
      readonly timeoutMs: number;
    }
  | { readonly kind: "endHeuristics" }
  | TimerAction<DeviceTimer>
  | LogAction;

/** For status: plain data. Times in milliseconds; undefined: never, or not now. */
export interface DeviceSnapshot {
  readonly model: "net";
  readonly host: string;
  readonly port: number;
  readonly ipVersion: 0 | 4 | 6;
  readonly algorithm: string;
  readonly tieBreaker: string;
  readonly votes: number;
  readonly isRegistered: boolean;
  readonly state: "Connected" | "Connecting" | "Connect failed" | "Disconnected";
  /** Why it is not connected, or not used; "" when all is well. */
  readonly problem: string;
  readonly tls: {
    readonly mode: string;
    readonly active: boolean;
    readonly sentCertificate: boolean;
  };
  /** In the words of the original's tool. */
  readonly keepActivePartition:
    | "Enabled"
    | "Disabled"
    | "Unsupported by QNetd"
    | "Algorithm hard-coded"
    | "Unsupported by algorithm";
  /** The vote in force; undefined while the server's answer is awaited. */
  readonly vote: "ack" | "nack" | undefined;
  readonly heuristics: {
    readonly mode: "off" | "on" | "sync";
    readonly last: Heuristics | undefined;
    readonly regular: Heuristics | undefined;
    readonly membership: Heuristics | undefined;
    readonly connect: Heuristics | undefined;
  };
  readonly heartbeatMs: number;
  readonly connectMs: number;
  readonly castVoteMs: number;
  /** How long votequorum waits for a silent client, at other times and while services are synchronised. */
  readonly timeoutMs: number;
  readonly syncTimeoutMs: number;
  /** What is wrong with this device in this cluster; absent: nothing. */
  readonly warning?: string;
  /** What this client reports to the vote server of its cluster; undefined before the first callback of votequorum. */
  readonly cluster: {
    readonly name: string;
    readonly nodeid: number;
    readonly configVersion: number;
    readonly nodes: readonly DeviceNode[];
    readonly ring: RingId | undefined;
    readonly members: readonly number[];
    readonly quorate: boolean | undefined;
    readonly voters: readonly Pick<VoterView, "nodeid" | "state">[];
    readonly expectedVotes: number | undefined;
  };
  readonly connectedForMs: number | undefined;
  readonly lastEchoAgoMs: number | undefined;
  readonly lastPoll: { readonly agoMs: number; readonly castsVote: boolean } | undefined;
}
