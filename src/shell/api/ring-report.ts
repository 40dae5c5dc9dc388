// Ring, votes and links of one node as one plain object (services.md §7; answers/status.ts): what the tools under corosync's names and `quorate links`, `quorum`
// and `ring` print, and GET /v1/ring answers.
import type * as v from "valibot";
import type { QuorumView } from "../../node/member/events.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import { ringText } from "../../world.ts";
import type { ringAnswer } from "../answers/status.ts";
import { linkFaults } from "./link-faults.ts";
import type { AsRead } from "./route.ts";
import { nodeText, quorumMeaning } from "./status.ts";

export type RingReport = AsRead<v.InferOutput<typeof ringAnswer>>;
export type LinkReport = RingReport["links"][number];
export type RingNode = RingReport["nodes"][number];

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

function highestExpected({ voters, expectedVotes }: QuorumView): number {
  const present = voters.filter(({ state }) => state === "member");
  if (present.length === 0) return expectedVotes;
  return Math.max(...present.map((voter) => voter.expectedVotes));
}
