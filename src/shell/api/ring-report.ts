// Ring, votes and links of one node as one plain object (services.md §7): what the tools under corosync's names and `quorate links`, `quorum`
// and `ring` print, and GET /v1/ring answers. Fields are only ever added.
import type { LinkSnapshot } from "../../node/link/events.ts";
import type { QuorumView } from "../../node/member/events.ts";
import type { VoterView } from "../../node/quorum/voter.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import { ringText } from "../../world.ts";

export interface RingReport {
  readonly nodeid: number;
  readonly transport: string;
  readonly quorum: {
    /** "" without one: then there are no votes. */
    readonly provider: string;
    readonly quorate: boolean;
    /** Of the last synchronised ring: representative in decimal, sequence in hex, "1.2f". */
    readonly ring: string;
    /** Ascending. */
    readonly members: readonly number[];
    readonly expectedVotes: number;
    /** The most that a member expects. */
    readonly highestExpected: number;
    readonly totalVotes: number;
    /** Votes needed. */
    readonly quorum: number;
    /** In the order of corosync-quorumtool. */
    readonly flags: readonly string[];
    /** Every node that has stated its votes since start, ascending. */
    readonly voters: readonly VoterView[];
    readonly deviceVotes: number;
    /** "": nobody named one. */
    readonly deviceName: string;
  };
  readonly ring: {
    readonly id: string;
    readonly state: string;
    readonly synchronising: boolean;
    readonly members: readonly number[];
  };
  /** As corosync.conf lists them. */
  readonly nodes: readonly RingNode[];
  /** To every other node, by node and link number. */
  readonly links: readonly LinkSnapshot[];
}

export interface RingNode {
  readonly nodeid: number;
  /** "" when corosync.conf gives none. */
  readonly name: string;
  /** By link number; null where the node has no such link. */
  readonly addresses: readonly (string | null)[];
  readonly isLocal: boolean;
  /** Has at least one usable link; our own node has. */
  readonly isReachable: boolean;
}

export function ringReport(settings: NodeSettings, snapshot: RingSnapshot): RingReport {
  const { member, links, reachable } = snapshot;
  const { quorum } = member;
  return {
    nodeid: settings.nodeid,
    transport: settings.transport,
    quorum: {
      provider: settings.quorum.provider ? "corosync_votequorum" : "",
      quorate: quorum.quorate,
      ring: ringText(quorum.ring),
      members: quorum.members.toSorted((a, b) => a - b),
      expectedVotes: quorum.expectedVotes,
      highestExpected: highestExpected(quorum),
      totalVotes: quorum.totalVotes,
      quorum: quorum.quorum,
      flags: quorum.flags,
      voters: quorum.voters,
      deviceVotes: quorum.deviceVotes,
      deviceName: quorum.deviceName ?? "",
    },
    ring: {
      id: ringText(member.ring),
      state: member.state,
      synchronising: member.synchronising,
      members: member.members,
    },
    nodes: settings.nodes.map(({ nodeid, name, addresses }) => ({
      nodeid,
      name,
      addresses: addresses.map((address) => address ?? null),
      isLocal: nodeid === settings.nodeid,
      isReachable: nodeid === settings.nodeid || reachable.includes(nodeid),
    })),
    links,
  };
}

function highestExpected({ voters, expectedVotes }: QuorumView): number {
  const present = voters.filter(({ state }) => state === "member");
  if (present.length === 0) return expectedVotes;
  return Math.max(...present.map((voter) => voter.expectedVotes));
}
