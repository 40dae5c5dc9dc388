// A new ring is installed (totem.md §3.7, "Enter OPERATIONAL"): what RECOVERY brought is unwrapped, the old ring's messages are
// lined up around the transitional configuration, then comes the regular one. This order is what extended virtual synchrony
// promises and must never change.
import { ringText, sameRing } from "../../world.ts";
import { serialBefore, serialPlus } from "./serial.ts";
import { judgeDeaths, seek } from "./deaths.ts";
import { lineUpOldAgreed, lineUpOldRest } from "./deliver.ts";
import type { RingAction } from "./events.ts";
import { decodeMessage, encapsulations, mcastHeaderBytes } from "./message.ts";
import { log, refuse, type RingState } from "./state.ts";
import { becomeOperational } from "./transitions.ts";

/** The caller delivers what is lined up here. */
export function enterOperational(state: RingState, now: number, out: RingAction[]): void {
  log(out, "debug", "entering OPERATIONAL state.");
  unwrapAll(state, now, out);
  const along = new Set(state.transMembers);
  const left = state.members.filter((nodeid) => !along.has(nodeid));
  const joined = state.newMembers.filter((nodeid) => !along.has(nodeid));
  const ring = state.ring;
  const change = { kind: "configured", ring } as const;
  lineUpOldAgreed(state);
  state.upward.push({
    ...change,
    type: "transitional",
    members: state.transMembers,
    left,
    joined: [],
  });
  lineUpOldRest(state);
  state.upward.push({ ...change, type: "regular", members: state.newMembers, left: [], joined });
  logMembership(state, left, joined, out);
  judgeDeaths(state, now, out);
  becomeOperational(state);
  seek(state, out);
  state.counters.memberships += 1;
}

/** Takes from the recovery queue what belongs to our old ring and is missing there. */
function unwrapAll(state: RingState, now: number, out: RingAction[]): void {
  const { recovery, regular } = state;
  if (recovery.aru !== 0) {
    log(out, "debug", `recovery to regular 1-${recovery.aru.toString(16)}`);
  }
  for (let seq = 1; ; seq = serialPlus(seq, 1)) {
    const stored = recovery.get(seq);
    if (stored === undefined) return;
    const bytes = stored.bytes.subarray(mcastHeaderBytes);
    const inner = decodeMessage(bytes);
    if (!inner.ok || inner.value.kind !== "mcast") {
      refuse(state, "A recovered message is not a multicast message.", now, out);
      continue;
    }
    const mcast = inner.value;
    if (!sameRing(mcast.ring, state.installed)) continue;
    if (mcast.encapsulated !== encapsulations.plain) continue;
    if (!regular.isInWindow(mcast.seq) || regular.get(mcast.seq) !== undefined) continue;
    if (serialBefore(mcast.seq, serialPlus(state.highDelivered, 1))) continue;
    regular.put(mcast.seq, { bytes, from: mcast.from, source: mcast.nodeid });
  }
}

function logMembership(
  state: RingState,
  left: readonly number[],
  joined: readonly number[],
  out: RingAction[],
): void {
  let text = `A new membership (${ringText(state.ring)}) was formed. Members`;
  if (joined.length > 0) text += ` joined: ${joined.join(" ")}`;
  if (left.length > 0) text += ` left: ${left.join(" ")}`;
  log(out, "notice", text);
  const lost = left.filter((nodeid) => !state.leaving.has(nodeid));
  if (lost.length > 0) {
    log(out, "notice", `Failed to receive the leave message. failed: ${lost.join(" ")}`);
  }
}
