// What the alerts' core is told, and what it asks for.
import type { Level } from "../../world.ts";
import type { AlertKind, ChannelName, Condition } from "./condition.ts";
import type { Ledger } from "./ledger.ts";
import type { QuietWindow } from "./quiet.ts";

export interface AlertRules {
  /** How long a condition must hold, and be gone; milliseconds. A quarter of it for quorum. */
  readonly delayMs: number;
  readonly clearMs: number;
  /** An open alert is told again after this; 0: never. */
  readonly repeatMs: number;
  readonly quiet: readonly QuietWindow[];
  /** These pass quiet times. */
  readonly urgent: readonly AlertKind[];
  /** Not told until then, Unix milliseconds: a kind, or one alert's name. */
  readonly mutes: ReadonlyMap<string, number>;
  /** Those that are set up. */
  readonly channels: readonly ChannelName[];
}

export interface AlertNode {
  readonly nodeid: number;
  readonly name: string;
}

/** How it is, once every second or two. */
export interface Look {
  readonly kind: "look";
  /** Unix milliseconds. */
  readonly wallMs: number;
  /** Of the local week (quiet.ts). */
  readonly minute: number;
  readonly self: AlertNode;
  readonly isQuorate: boolean;
  /** This node's tree is the cluster's. */
  readonly isSynced: boolean;
  /** nodeids of this part, ours among them. */
  readonly members: readonly number[];
  /** nodeids that answer this one on a link, ours among them: a member that does not is about to be none. */
  readonly reachable: readonly number[];
  /** Of corosync.conf; of a standalone node itself. */
  readonly nodes: readonly AlertNode[];
  /** What this node sees. */
  readonly conditions: readonly Condition[];
  /** What nodes have told by the status store; the same bytes as long as it is the same. */
  readonly told: ReadonlyMap<number, Told>;
  readonly rules: AlertRules;
}

export interface Told {
  readonly sighting: Uint8Array | undefined;
  readonly ledger: Uint8Array | undefined;
}

export type AlertEvent =
  | Look
  /** What was on disk. */
  | { readonly kind: "remembered"; readonly ledger: Uint8Array }
  | {
      readonly kind: "sent";
      readonly channel: ChannelName;
      /** Unix milliseconds. */
      readonly wallMs: number;
    }
  | { readonly kind: "failed"; readonly channel: ChannelName; readonly reason: string };

/** One alert of a message. */
export interface Item {
  readonly id: string;
  readonly serial: number;
  /** "over" may be the first that is told of it: it came and went while nothing could be sent. */
  readonly state: "open" | "still" | "over";
  /** Unix milliseconds; `until` 0: it is open. */
  readonly since: number;
  readonly until: number;
  /** What is so, a sentence; of one that is over what was so. */
  readonly what: string;
  readonly times: number;
}

export type AlertAction =
  | { readonly kind: "publish"; readonly what: "sighting" | "ledger"; readonly value: Uint8Array }
  /** On this node's disk. */
  | { readonly kind: "store"; readonly ledger: Ledger }
  /** Answered by `sent` or `failed`; one at a time for each channel. */
  | { readonly kind: "send"; readonly channel: ChannelName; readonly items: readonly Item[] }
  /** For this node's log; `isForAll`: for that of the cluster too. */
  | {
      readonly kind: "log";
      readonly level: Level;
      readonly text: string;
      readonly isForAll: boolean;
    };
