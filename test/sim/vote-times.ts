// How long the rules allow until a vote is where it belongs after the last fault (qnetd.md §1.7, §3.4, §3.6): sums of the timers in
// the way, none of them a guess.
import { simulatedSettings } from "./settings.ts";

/** How long a silent node's vote stays outstanding, in heartbeats (src/qnetd/vote/outstanding-votes.ts), and dead peer detection. */
const holdHeartbeats = 2.1;
const deadHeartbeats = 1.5;
/** Clocks of a percent more or less, segments that are sent again, some turns of the token. */
const slackMs = 3000;

export function tuningMs(
  nodes: number,
  timeoutMs: number,
): { readonly tokenMs: number; readonly settledMs: number } {
  const { tokenMs, consensusMs } = simulatedSettings(1, { nodes }).tuning;
  const heartbeatMs = Math.max(1000, timeoutMs * 0.8);
  const castMs = timeoutMs * 0.5;
  /** The ring that will stand (L1). */
  const ringMs = 4 * tokenMs + consensusMs;
  /** A node that must find out that its connection is dead, is refused while the server believes in it, and connects again. */
  const connectMs = 2 * heartbeatMs + deadHeartbeats * heartbeatMs + castMs + heartbeatMs;
  return {
    tokenMs,
    settledMs: (ringMs + connectMs + holdHeartbeats * heartbeatMs) * 1.02 + slackMs,
  };
}
