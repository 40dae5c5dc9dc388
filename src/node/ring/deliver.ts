// Delivery (totem.md §2.5, §3.8): stored mcasts go up in agreed order as soon as nothing is missing before them. What a ring change
// has put in order (old messages, transitional configuration, what lies behind holes, regular configuration) stands in
// `upward` and goes first. It must never deliver a message twice, nor anything of the new ring before its configuration.
import { serialDistance, serialPlus } from "./serial.ts";
import type { RingAction } from "./events.ts";
import { mcastHeaderBytes } from "./message.ts";
import { decodePacket } from "./packing.ts";
import type { StoredMcast } from "./queue.ts";
import { refuse, type RingState, type Upward } from "./state.ts";

/**
 * Delivers what is in order. While services synchronise it stops behind each packet that completes a message: that message may
 * be the one that ends synchronisation, and decides where the next packet belongs (events.ts, `paused`).
 */
export function deliverAgreed(state: RingState, now: number, out: RingAction[]): void {
  for (;;) {
    const next = takeNext(state);
    if (next === undefined) return;
    if (next.kind === "configured") {
      configure(state, next);
      out.push(next);
      continue;
    }
    const count = handUp(state, next.stored, now, out);
    if (count === 0) continue;
    state.deliveries += count;
    if (next.seq !== undefined) {
      state.unstable.push({ seq: next.seq, deliveries: state.deliveries });
    }
    if (!state.isSynchronising) continue;
    if (state.upward.length > 0 || peekStored(state) !== undefined) out.push({ kind: "paused" });
    return;
  }
}

function takeNext(state: RingState): Upward | undefined {
  const waiting = state.upward.shift();
  if (waiting !== undefined) return waiting;
  const stored = peekStored(state);
  if (stored === undefined) return undefined;
  state.highDelivered = serialPlus(state.highDelivered, 1);
  return { kind: "stored", stored, seq: state.highDelivered };
}

/** Only an OPERATIONAL ring delivers; in the other states messages wait for the new ring. */
function peekStored(state: RingState): StoredMcast | undefined {
  if (state.phase !== "operational") return undefined;
  return state.regular.get(serialPlus(state.highDelivered, 1));
}

/** A configuration takes effect on what is delivered behind it. */
function configure(state: RingState, change: Extract<RingAction, { kind: "configured" }>): void {
  if (change.type === "transitional") {
    state.applicationAssembly.drop(change.left);
    state.syncAssembly.drop(change.left);
    return;
  }
  // The original uses the second set of buffers from the transitional configuration on and so loses every message that began
  // before the hole. Each of them is whole, since its originator is a transitional member and received all of it: it stays where it began.
  state.configuredRing = change.ring;
  state.isSynchronising = true;
  state.syncAssembly.dropThrowing();
}

/** Lines up the old ring's messages without a gap: they belong before the transitional configuration. */
export function lineUpOldAgreed(state: RingState): void {
  for (;;) {
    const seq = serialPlus(state.highDelivered, 1);
    const stored = state.regular.get(seq);
    if (stored === undefined) return;
    state.highDelivered = seq;
    state.upward.push({ kind: "stored", stored });
  }
}

/**
 * Lines up the old messages behind holes that nobody can fill, which belong behind the transitional configuration: only those of
 * nodes that come along, since a message of a lost node may follow one of its own that is lost.
 */
export function lineUpOldRest(state: RingState): void {
  const count = serialDistance(state.highDelivered, state.regular.highest);
  for (let i = 0; i < count; i += 1) {
    const seq = serialPlus(state.highDelivered, 1);
    const stored = state.regular.get(seq);
    state.highDelivered = seq;
    if (stored !== undefined && state.transMembers.includes(stored.from)) {
      state.upward.push({ kind: "stored", stored });
    }
  }
}

/** Returns how many logical messages the packet completed. */
function handUp(state: RingState, stored: StoredMcast, now: number, out: RingAction[]): number {
  const { source, bytes } = stored;
  const packet = decodePacket(bytes.subarray(mcastHeaderBytes));
  if (!packet.ok) {
    const reason = `Message (totempg_mcast) received from node ${source} ${packet.reason}`;
    refuse(state, reason, now, out);
    return 0;
  }
  const assembly = state.isSynchronising ? state.syncAssembly : state.applicationAssembly;
  const messages = assembly.accept(source, packet.value);
  if (messages === undefined) {
    const reason = `A message of node ${source} is larger than any node may send (1 MiB) and was dropped.`;
    refuse(state, reason, now, out);
    return 0;
  }
  for (const message of messages) out.push({ kind: "delivered", nodeid: source, message });
  return messages.length;
}
