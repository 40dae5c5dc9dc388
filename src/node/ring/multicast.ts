// An mcast or a merge detection arrives (totem.md §3.3): ours is stored and delivered, a foreign one shows that there is another
// ring. The sort queue keeps the message as it came, a view of its packet: it fills nearly all of it.
import { sameRing } from "../../world.ts";
import { deliverAgreed } from "./deliver.ts";
import type { RingAction } from "./events.ts";
import { foreignerHeard } from "./gather.ts";
import {
  decodeMessage,
  encapsulations,
  mcastHeaderBytes,
  type Mcast,
  type MergeDetect,
} from "./message.ts";
import type { SortQueue } from "./queue.ts";
import { type RingState } from "./state.ts";

/** `bytes` is the whole message of which `mcast` is the reading. */
export function mcastArrived(
  state: RingState,
  mcast: Mcast,
  bytes: Uint8Array,
  now: number,
  out: RingAction[],
): void {
  if (!sameRing(mcast.ring, state.ring)) {
    foreignerHeard(state, mcast.from, { operational: 7, gather: 8 }, now, out);
    return;
  }
  const isWrapper = mcast.encapsulated === encapsulations.wrapper;
  switch (state.phase) {
    case "operational":
      if (!isWrapper && store(state, state.regular, mcast, bytes)) deliverAgreed(state, now, out);
      return;
    case "gather":
    case "commit":
      // The regular queue belongs to the installed ring: nothing of a ring that did not come about may enter it.
      if (!isWrapper && sameRing(state.ring, state.installed)) {
        store(state, state.regular, mcast, bytes);
      }
      return;
    case "recovery":
      // A plain message here is one of a node that is OPERATIONAL before us; we ask for it again when we are.
      if (isWrapper && store(state, state.recovery, mcast, bytes)) forgetOriginal(state, mcast);
      return;
    case "starting":
    case "stopped":
      return;
  }
  state.phase satisfies never;
}

/** False when we have it, had it, or could not keep it. */
function store(state: RingState, queue: SortQueue, mcast: Mcast, bytes: Uint8Array): boolean {
  if (!queue.isInWindow(mcast.seq) || queue.get(mcast.seq) !== undefined) return false;
  queue.put(mcast.seq, { bytes, from: mcast.from, source: mcast.nodeid });
  state.counters.messagesReceived += 1;
  return true;
}

/** What another node has wrapped already reaches everybody before the ring is installed: ours need not follow. */
function forgetOriginal(state: RingState, wrapper: Mcast): void {
  if (state.originate.size === 0 || wrapper.body.length < mcastHeaderBytes) return;
  const inner = decodeMessage(wrapper.body);
  if (!inner.ok || inner.value.kind !== "mcast") return;
  if (sameRing(inner.value.ring, state.installed)) state.originate.delete(inner.value.seq);
}

export function mergeDetectArrived(
  state: RingState,
  merge: MergeDetect,
  now: number,
  out: RingAction[],
): void {
  if (sameRing(merge.ring, state.ring)) return;
  foreignerHeard(state, merge.from, { operational: 9, gather: 10 }, now, out);
}
