// How corosync.conf decides about votes (services.md §4.9): own votes, expected votes and the modes in force, at start and
// again after each change of the file. Pure; refusals at start are readSettings' work, what remains here is switched off.
import type { Level } from "../../world.ts";
import type { NodeSettings } from "../settings/settings.ts";

/** PROCESSOR_COUNT_MAX. */
const nodesMax = 384;

export type TieBreaker =
  | { readonly kind: "lowest" }
  | { readonly kind: "highest" }
  | { readonly kind: "list"; readonly nodes: readonly number[] };

export interface Rules {
  readonly twoNode: boolean;
  readonly waitForAll: boolean;
  readonly lastManStanding: boolean;
  readonly lastManStandingWindowMs: number;
  readonly tieBreaker: TieBreaker | undefined;
  readonly expectedVotesTracking: boolean;
  readonly allowDownscale: boolean;
  /** Ours. */
  readonly votes: number;
  /** By the file alone. */
  readonly expectedVotes: number;
  /** What expected votes can be at most in any cluster of such nodes: a stored floor above it is none. */
  readonly expectedVotesMax: number;
  readonly deviceVotes: number;
  readonly deviceTimeoutMs: number;
  readonly deviceSyncTimeoutMs: number;
  /** False: the file makes a quorum device impossible. */
  readonly isDeviceAllowed: boolean;
}

export interface Notice {
  readonly level: Level;
  readonly text: string;
}

export interface Evaluation {
  readonly rules: Rules;
  readonly notices: readonly Notice[];
}

export interface RunningState {
  readonly rules: Rules;
  readonly isDeviceRegistered: boolean;
}

/**
 * `running` is undefined at start. At run time wait_for_all (unless it follows two_node), last_man_standing, the tie breaker,
 * tracking and downscale keep the values the node started with.
 */
export function evaluate(settings: NodeSettings, running: RunningState | undefined): Evaluation {
  const { quorum, nodes } = settings;
  const notices: Notice[] = [];
  const say = (level: Level, text: string): void => void notices.push({ level, text });
  const own = nodes.find((node) => node.nodeid === settings.nodeid);
  const sum = own === undefined ? 0 : nodes.reduce((total, node) => total + node.votes, 0);
  const start = running?.rules;
  const lastManStanding = start?.lastManStanding ?? quorum.lastManStanding;
  let tieBreaker =
    start === undefined ? startTieBreaker(settings, say) : (start.tieBreaker ?? undefined);
  let twoNode = quorum.twoNode;
  let isDeviceAllowed = true;
  if (twoNode && quorum.device !== undefined) {
    if (running?.isDeviceRegistered === true) {
      say("error", "quorum device is registered, disabling two_node");
      twoNode = false;
    } else {
      say("error", "quorum device is not registered, allowing two_node");
      isDeviceAllowed = false;
    }
  }
  const waitForAll =
    quorum.waitForAll === undefined ? twoNode : (start?.waitForAll ?? quorum.waitForAll);
  if (twoNode && tieBreaker !== undefined) {
    say("error", "two_node and auto_tie_breaker are both specified but are not compatible.");
    say("error", "two_node has been disabled, please fix your corosync.conf");
    twoNode = false;
  }
  if (tieBreaker !== undefined && sum % 2 === 1 && !waitForAll) {
    say("error", "auto_tie_breaker is set and the cluster has an odd number of nodes.");
    say("error", "wait_for_all needs to be set for this configuration but it is missing");
    say("error", "Therefore auto_tie_breaker has been disabled. Please fix your corosync.conf");
    tieBreaker = undefined;
  }
  const device = deviceVotes(settings, sum);
  const modes = { lastManStanding, tieBreaker, allowDownscale: quorum.allowDownscale };
  if (quorum.device !== undefined && !fitsDevice(device, quorum.expectedVotes, sum, modes)) {
    say("error", "disabling quorum device operations");
    isDeviceAllowed = false;
  }
  const votesOfDevice = device ?? 0;
  const listed = own === undefined ? 0 : sum + votesOfDevice;
  if (own === undefined && quorum.expectedVotes === undefined) {
    say("error", "configuration error: nodelist or quorum.expected_votes must be configured!");
  }
  return {
    rules: {
      twoNode,
      waitForAll,
      lastManStanding,
      lastManStandingWindowMs: start?.lastManStandingWindowMs ?? quorum.lastManStandingWindowMs,
      tieBreaker,
      expectedVotesTracking: start?.expectedVotesTracking ?? tracksExpected(settings),
      allowDownscale: start?.allowDownscale ?? quorum.allowDownscale,
      votes: own?.votes ?? quorum.votes ?? 1,
      // Never 0: the first nodeinfo must not give the others an empty cluster (services.md §8.3, 13).
      expectedVotes: Math.max(1, quorum.expectedVotes ?? listed),
      expectedVotesMax: Math.max(
        quorum.expectedVotes ?? 0,
        nodesMax * nodes.reduce((most, node) => Math.max(most, node.votes), 1) + votesOfDevice,
      ),
      deviceVotes: votesOfDevice,
      deviceTimeoutMs: quorum.device?.timeoutMs ?? 10_000,
      deviceSyncTimeoutMs: quorum.device?.syncTimeoutMs ?? 30_000,
      isDeviceAllowed,
    },
    notices,
  };
}

/** allow_downscale implies tracking (services.md §4.7). */
function tracksExpected(settings: NodeSettings): boolean {
  return settings.quorum.expectedVotesTracking || settings.quorum.allowDownscale;
}

function startTieBreaker(
  settings: NodeSettings,
  say: (level: Level, text: string) => void,
): TieBreaker | undefined {
  const { autoTieBreaker, autoTieBreakerNode } = settings.quorum;
  if (!autoTieBreaker) return undefined;
  const parsed = parseTieBreaker(autoTieBreakerNode);
  if (parsed === undefined) {
    say(
      "warning",
      "auto_tie_breaker_nodes is not valid. It must be 'lowest', 'highest' or a space-separated list of node IDs. auto_tie_breaker is disabled",
    );
  }
  return parsed;
}

/** `lowest`, `highest` or node ids separated by blanks; undefined for anything else. */
export function parseTieBreaker(text: string): TieBreaker | undefined {
  const words = text.split(/[ \t]+/).filter((word) => word !== "");
  if (words.length === 0 || (words.length === 1 && words[0] === "lowest")) {
    return { kind: "lowest" };
  }
  if (words.length === 1 && words[0] === "highest") return { kind: "highest" };
  if (!words.every((word) => /^[0-9]{1,10}$/.test(word))) return undefined;
  const nodes = words.map(Number);
  return nodes.every((nodeid) => nodeid > 0) ? { kind: "list", nodes } : undefined;
}

/** Undefined: the file does not say enough to give the device votes. */
function deviceVotes(settings: NodeSettings, sum: number): number | undefined {
  const { device, expectedVotes } = settings.quorum;
  if (device === undefined) return 0;
  if (device.votes !== undefined) return device.votes;
  if (expectedVotes !== undefined || sum === 0) return undefined;
  return settings.nodes.every((node) => node.votes === 1) ? settings.nodes.length - 1 : undefined;
}

function fitsDevice(
  votes: number | undefined,
  expectedVotes: number | undefined,
  sum: number,
  modes: Pick<Rules, "lastManStanding" | "tieBreaker" | "allowDownscale">,
): boolean {
  if (modes.lastManStanding || modes.tieBreaker !== undefined || modes.allowDownscale) {
    return false;
  }
  return votes !== undefined && (expectedVotes ?? sum + votes) - votes >= 2;
}
