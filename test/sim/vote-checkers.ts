// The invariants of votes (engineering.md §9): Q1 never two primary components, Q2 a vote counts for the ring it was given for, Q3 at
// most one partition counts the device's vote, Q4 no vote survives its connection. All by votequorum's own view of each node;
// a node whose ring is in doubt or synchronises serves nobody and is left out, and so is, until its token must have been missed, a
// ring that one of its members has left: its token goes around no more, and nothing is stable in it.
import { voterFlags } from "../../src/node/quorum/message.ts";
import type { QuorumView } from "../../src/node/member/events.ts";
import { BrokenRings, InvariantBroken, isWholeRing } from "./checkers.ts";
import type { SimNode } from "./sim-node.ts";
import type { VoteCluster } from "./vote-cluster.ts";

/** The view of a node that serves: operational and synchronised. */
export function servingView(node: SimNode): QuorumView | undefined {
  const { member } = node;
  if (member === undefined) return undefined;
  const { state, synchronising, quorum } = member;
  return state === "operational" && !synchronising ? quorum : undefined;
}

export function countsVote(view: QuorumView, nodeid: number): boolean {
  const own = view.voters.find((voter) => voter.nodeid === nodeid);
  return own !== undefined && (own.flags & voterFlags.deviceCastVote) !== 0;
}

const ringName = (view: QuorumView): string => `${view.ring.rep}.${view.ring.seq}`;

export class VoteChecker {
  /** "host ring" of every ACK that left the server. */
  readonly #given = new Set<string>();
  /** Since when a host's client has no accepted connection. */
  readonly #lostAt = new Map<string, number>();
  readonly #broken = new BrokenRings();

  given(host: string, rep: number, seq: number): void {
    this.#given.add(`${host} ${rep}.${seq}`);
  }

  /** Q1, Q2 and Q3, to be called whenever a node's view changes, and often enough to see when a ring breaks. */
  changed(cluster: VoteCluster, now: number): void {
    const quorate = new Map<string, number>();
    const holders = new Map<string, number>();
    for (const node of cluster.nodes) {
      const view = servingView(node);
      if (view === undefined || this.#isBroken(cluster, view, now)) continue;
      if (view.quorate) quorate.set(ringName(view), node.nodeid);
      if (!countsVote(view, node.nodeid)) continue;
      holders.set(ringName(view), node.nodeid);
      if (!this.#given.has(`${cluster.host(node.nodeid)} ${ringName(view)}`)) {
        const text = `${cluster.host(node.nodeid)} counts a vote for ring ${ringName(view)} that nobody gave`;
        throw new InvariantBroken("Q2", text);
      }
    }
    // The cause before its effect: with a second vote often comes a second primary component.
    // A node that waits for all keeps the vote without its server, and nobody else can become quorate meanwhile (§3.5).
    if (holders.size > 1 && !cluster.rules.waitsForAll) {
      throw apart("Q3", "two partitions count the vote", cluster, holders);
    }
    if (quorate.size > 1) throw apart("Q1", "two primary components", cluster, quorate);
  }

  #isBroken(cluster: VoteCluster, view: QuorumView, now: number): boolean {
    const name = `${cluster.name} ${ringName(view)}`;
    const isWhole = isWholeRing(view, cluster.nodes);
    return this.#broken.mayStillServe(name, isWhole, now, cluster.times.tokenMs);
  }

  /** Q4, to be called now and then. */
  passed(cluster: VoteCluster, now: number): void {
    for (const node of cluster.nodes) {
      const host = cluster.host(node.nodeid);
      if (node.device === undefined || node.device.state === "Connected") {
        this.#lostAt.delete(host);
        continue;
      }
      const since = this.#lostAt.get(host) ?? now;
      this.#lostAt.set(host, since);
      const { algorithm, waitsForAll, timeoutMs } = cluster.rules;
      // What the original's client keeps on purpose (qnetd.md §3.5).
      if (algorithm === "lms" && waitsForAll) continue;
      const view = servingView(node);
      if (view === undefined || !countsVote(view, node.nodeid)) continue;
      if (now - since > timeoutMs * 1.02) {
        const text = `${host} counts the vote of a connection that it lost ${(now - since).toFixed(0)} ms ago`;
        throw new InvariantBroken("Q4", text);
      }
    }
  }
}

function apart(
  invariant: string,
  what: string,
  cluster: VoteCluster,
  rings: ReadonlyMap<string, number>,
): InvariantBroken {
  const parts = [...rings].map(([ring, nodeid]) => `${cluster.host(nodeid)} on ring ${ring}`);
  return new InvariantBroken(invariant, `${what}: ${parts.join(", ")}`);
}
