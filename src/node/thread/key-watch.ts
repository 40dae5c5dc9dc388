// Tells of peers whose packets cannot be opened here: another key, another cipher, crypto on one side only. It warns and never ends a
// node, since anybody can send junk with a peer's address. Memory and log lines are bounded by the node list.
import { canonicalAddress } from "../link/address.ts";
import type { NodeSettings } from "../settings/settings.ts";

/** So many packets that cannot be opened over such a time are no accident, and the links have noticed what is gone. */
const packetsMin = 5;
const failingMsMin = 5_000;
/** After this silence it is over: a peer that is there pings more often. */
const silenceMs = 60_000;
/** One line a node in this time, as long as it goes on; and when the reason has changed, which is looked at this often. */
const complainEveryMs = 600_000;
const lookEveryMs = 10_000;

export interface WatchedPeer {
  readonly nodeid: number;
  readonly name: string;
}

/** Looked at only when a sentence is due. */
export interface FailureFacts {
  /** What the packet shows, and what to do. */
  readonly why: () => string;
  /** Whether other packets of the node are good at the same time. */
  readonly isReachable: (nodeid: number) => boolean;
}

export interface PeerFault {
  readonly nodeid: number;
  /** A sentence with the reason and what to do. */
  readonly reason: string;
}

interface Failing {
  readonly firstAt: number;
  packets: number;
  lastAt: number;
  lookedAt: number;
  saidAt: number;
  wasReachable: boolean | undefined;
  reason: string;
}

function failingSince(now: number): Failing {
  const never = Number.NEGATIVE_INFINITY;
  const marks = { firstAt: now, lastAt: now, lookedAt: never, saidAt: never };
  return { ...marks, packets: 0, wasReachable: undefined, reason: "" };
}

/** The other nodes by each address of theirs. */
export function peersByAddress(settings: NodeSettings): Map<string, WatchedPeer> {
  const peers = new Map<string, WatchedPeer>();
  for (const { nodeid, name, addresses } of settings.nodes) {
    if (nodeid === settings.nodeid) continue;
    for (const address of addresses) {
      if (address === undefined) continue;
      peers.set(canonicalAddress(address) ?? address, { nodeid, name: name || `node ${nodeid}` });
    }
  }
  return peers;
}

export class KeyWatch {
  #peers: ReadonlyMap<string, WatchedPeer>;
  readonly #failing = new Map<number, Failing>();

  /** `peers`: by source address. */
  constructor(peers: ReadonlyMap<string, WatchedPeer>) {
    this.#peers = peers;
  }

  reconfigured(peers: ReadonlyMap<string, WatchedPeer>): void {
    this.#peers = peers;
    const nodeids = new Set([...peers.values()].map((peer) => peer.nodeid));
    for (const nodeid of this.#failing.keys()) {
      if (!nodeids.has(nodeid)) this.#failing.delete(nodeid);
    }
  }

  /** A packet that nothing of ours opens, at monotonic `now`. Returns a line for the log when one is due. */
  failed(address: string, now: number, facts: FailureFacts): string | undefined {
    const peer = this.#peers.get(address);
    if (peer === undefined) return undefined;
    let failing = this.#failing.get(peer.nodeid);
    if (failing === undefined || now - failing.lastAt > silenceMs) {
      failing = failingSince(now);
      this.#failing.set(peer.nodeid, failing);
    }
    failing.packets += 1;
    failing.lastAt = now;
    if (failing.packets < packetsMin || now - failing.firstAt < failingMsMin) return undefined;
    if (now - failing.lookedAt < lookEveryMs) return undefined;
    failing.lookedAt = now;
    const isReachable = facts.isReachable(peer.nodeid);
    const isNews = isReachable !== failing.wasReachable;
    if (!isNews && now - failing.saidAt < complainEveryMs) return undefined;
    failing.saidAt = now;
    failing.wasReachable = isReachable;
    const cause = isReachable
      ? "packets with its address cannot be opened, while others of it are good: somebody else sends with that address, or packets are damaged on the way. They are dropped"
      : `none of its packets can be opened: ${facts.why()}`;
    failing.reason = `${peer.name} (${address}): ${cause}`;
    return failing.reason;
  }

  /** After each step of the links: a peer that they hear has the right key by now, and what was said of it is over. */
  heard(reachable: () => readonly number[]): void {
    for (const [nodeid, { wasReachable }] of this.#failing) {
      if (wasReachable === false && reachable().includes(nodeid)) this.#failing.delete(nodeid);
    }
  }

  /** The peers of which this is true now, ascending. */
  faults(now: number): PeerFault[] {
    return [...this.#failing]
      .filter(([, { lastAt, reason }]) => reason !== "" && now - lastAt <= silenceMs)
      .map(([nodeid, { reason }]) => ({ nodeid, reason }))
      .toSorted((a, b) => a.nodeid - b.nodeid);
  }
}
