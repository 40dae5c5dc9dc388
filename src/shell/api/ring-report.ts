// Ring, votes and links of one node as one plain object (services.md §7): what the tools under corosync's names and `quorate links`, `quorum`
// and `ring` print, and GET /v1/ring answers. Fields are only ever added.
import type { LinkSnapshot } from "../../node/link/events.ts";
import type { QuorumView } from "../../node/member/events.ts";
import type { RingCounters } from "../../node/ring/events.ts";
import type { VoterView } from "../../node/quorum/voter.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import { ringText } from "../../world.ts";
import { linkFaults } from "./link-faults.ts";
import { quorumMeaning } from "./status.ts";

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
    /** What the votes mean, in a sentence. */
    readonly meaning: string;
  };
  readonly ring: {
    readonly id: string;
    readonly state: string;
    readonly synchronising: boolean;
    readonly members: readonly number[];
    readonly counters: RingCounters;
    /** Times between two visits of the token where an idle token was not held in between, microseconds; 0: unknown. */
    readonly rotationUs: { readonly p50: number; readonly p99: number };
    readonly queuedMessages: number;
    /** Of each member, as it said last. */
    readonly configVersions: readonly { readonly nodeid: number; readonly version: number }[];
  };
  /** As corosync.conf lists them. */
  readonly nodes: readonly RingNode[];
  /** To every other node, by node and link number. */
  readonly links: readonly LinkReport[];
}

export interface LinkReport extends LinkSnapshot {
  /** What is wrong with it, as sentences with what to do. */
  readonly faults: readonly string[];
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
      meaning: quorumMeaning(quorum),
    },
    ring: {
      id: ringText(member.ring),
      state: member.state,
      synchronising: member.synchronising,
      members: member.members,
      counters: member.counters,
      rotationUs: snapshot.rotationUs,
      queuedMessages: member.queuedMessages,
      configVersions: member.configVersions,
    },
    nodes: settings.nodes.map(({ nodeid, name, addresses }) => ({
      nodeid,
      name,
      addresses: addresses.map((address) => address ?? null),
      isLocal: nodeid === settings.nodeid,
      isReachable: nodeid === settings.nodeid || reachable.includes(nodeid),
    })),
    links: links.map((link) => ({
      ...link,
      faults: linkFaults(link, nodeText(settings.nodes, link.nodeid)),
    })),
  };
}

function nodeText(nodes: NodeSettings["nodes"], nodeid: number): string {
  const name = nodes.find((node) => node.nodeid === nodeid)?.name ?? "";
  return name === "" ? `node ${nodeid}` : `${name} (node ${nodeid})`;
}

function highestExpected({ voters, expectedVotes }: QuorumView): number {
  const present = voters.filter(({ state }) => state === "member");
  if (present.length === 0) return expectedVotes;
  return Math.max(...present.map((voter) => voter.expectedVotes));
}
