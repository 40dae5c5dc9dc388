// Quorum and votes of a node: how they are, what an operator may change of them while the cluster runs, and what that would mean (pvecm.md §1.7, §6).
import { votesEffectAnswer } from "../../answers/change.ts";
import * as v from "valibot";
import { quorumAnswer } from "../../answers/ring.ts";
import type { RingSnapshot } from "../../../node/thread/bridge.ts";
import type { Cluster } from "../../../node/thread/cluster.ts";
import type { Monitor } from "../../monitor/monitor.ts";
import * as parameter from "../parameters.ts";
import { ringReport } from "../ring-report.ts";
import { ApiError, type Route, route } from "../route.ts";
import { expectedOverride, quorumMeaning } from "../status.ts";
import { dryRunParameter, mayAudit, mayModify, settled } from "./v1-rules.ts";
import { foreseeVotes } from "../../../node/quorum/foresee.ts";
import { plural } from "../../cli/text-table.ts";
import { expectedEffect } from "./expected-effect.ts";

export interface QuorumSource {
  readonly mode: "standalone" | "cluster";
  readonly cluster: Cluster;
  readonly monitor: Pick<Monitor, "look" | "lookAnew">;
}

const votesMax = 0xffff;

const votesSchema = v.array(
  v.object({
    nodeid: v.number(),
    name: v.string(),
    /** In corosync.conf. */
    configured: v.number(),
    /** As the node stated them, or an operator set them; null: it has stated nothing since this node's start. */
    votes: v.nullable(v.number()),
    expectedVotes: v.nullable(v.number()),
    state: v.picklist(["member", "dead", "leaving", "unknown"]),
  }),
);

/** All of this file. */
export function quorumRoutes(source: QuorumSource): readonly Route[] {
  return [
    quorumRoute(source),
    votesRoute(source),
    expectedRoute(source),
    nodeVotesRoute(source),
    waitForAllRoute(source),
  ];
}

function quorumRoute({ mode, cluster, monitor }: QuorumSource): Route {
  return route({
    method: "GET",
    path: "/quorum",
    isOurs: true,
    description: "Whether this node is quorate, by which votes, and what that means.",
    permission: mayAudit,
    returns: quorumAnswer,
    parameters: {},
    handle: async () => quorumFacts({ mode, cluster }, await monitor.look()),
  });
}

export function quorumFacts(
  {
    mode,
    cluster: { settings },
  }: Pick<QuorumSource, "mode"> & { readonly cluster: Pick<Cluster, "settings"> },
  snapshot: RingSnapshot,
) {
  const { quorum } = ringReport(settings, snapshot);
  const isAlone = mode === "standalone";
  return {
    mode,
    ...quorum,
    ...(isAlone ? { meaning: "standalone: this node is in no cluster and needs no other" } : {}),
    override: isAlone ? "" : expectedOverride(settings, snapshot.member.quorum),
  };
}

function votesRoute({ cluster, monitor }: QuorumSource): Route {
  return route({
    method: "GET",
    path: "/votes",
    isOurs: true,
    description: "The votes of every node: in corosync.conf, and in force.",
    permission: mayAudit,
    returns: votesSchema,
    parameters: {},
    handle: async () => {
      const { settings } = cluster;
      const { voters } = (await monitor.look()).member.quorum;
      return settings.nodes.map(({ nodeid, name, votes }) => {
        const voter = voters.find((each) => each.nodeid === nodeid);
        return {
          ...{ nodeid, name, configured: votes },
          votes: voter?.votes ?? null,
          expectedVotes: voter?.expectedVotes ?? null,
          state: voter?.state ?? ("unknown" as const),
        };
      });
    },
  });
}

const ours = { isOurs: true, permission: mayModify, returns: votesEffectAnswer } as const;

function inCluster({ mode }: QuorumSource): void {
  if (mode === "cluster") return;
  throw new ApiError(424, "this node is standalone: it is in no cluster, and has no votes", {
    code: "standalone",
  });
}

/** What has become of it: a change that was made is no quorum yet. */
async function changed({ monitor }: QuorumSource) {
  const { quorum } = (await monitor.lookAnew()).member;
  return { isChanged: true, notes: [quorumMeaning(quorum)], isQuorate: quorum.quorate };
}

function expectedRoute(source: QuorumSource): Route {
  const { cluster, monitor } = source;
  return route({
    ...ours,
    method: "PUT",
    path: "/expected",
    description:
      "Overrides the expected votes of the cluster, in memory, until their votes return (pvecm expected).",
    parameters: { votes: parameter.integer({ min: 1, max: votesMax }), ...dryRunParameter },
    handle: async ({ parameters }) => {
      inCluster(source);
      const { votes } = parameters;
      if (parameters["dry-run"] === true) {
        const { refusal, text, advice, isQuorate } = effectNow(
          source,
          await monitor.lookAnew(),
          votes,
        );
        if (refusal !== "") throw new ApiError(409, refusal, { code: "refused" });
        return { isChanged: false, notes: [text, ...advice], isQuorate };
      }
      settled(await cluster.setExpectedVotes(votes));
      const answer = await changed(source);
      if (answer.isQuorate) return answer;
      const { advice } = effectNow(source, await monitor.look(), votes);
      return { ...answer, notes: [...answer.notes, ...advice] };
    },
  });
}

function effectNow({ cluster }: QuorumSource, { member }: RingSnapshot, votes: number) {
  const { nodeid } = cluster.settings;
  return expectedEffect(member.quorum, { nodeid, votes, floor: member.voteMap?.trackingBarrier });
}

function nodeVotesRoute(source: QuorumSource): Route {
  const { cluster, monitor } = source;
  return route({
    ...ours,
    method: "PUT",
    path: "/votes/{nodeid}",
    description: "Changes the running votes of one node, until it states its own again.",
    parameters: {
      nodeid: parameter.integer({ min: 1, max: 0xffff_ffff }),
      votes: parameter.integer({ min: 0, max: votesMax }),
      ...dryRunParameter,
    },
    handle: async ({ parameters }) => {
      inCluster(source);
      const { nodeid, votes } = parameters;
      const { quorum } = (await monitor.lookAnew()).member;
      const voter = quorum.voters.find((each) => each.nodeid === nodeid);
      if (voter === undefined) {
        throw new ApiError(404, `node ${nodeid} has stated no votes since this node's start`);
      }
      if (parameters["dry-run"] === true) {
        const text = `node ${nodeid} would have ${plural(votes, "vote")} instead of ${voter.votes}, until it states its own again`;
        const own = cluster.settings.nodeid;
        const { isQuorate } = foreseeVotes(quorum, { nodeid: own, of: nodeid, votes });
        return { isChanged: false, notes: [text], isQuorate };
      }
      settled(await cluster.setVotes(nodeid, votes));
      return changed(source);
    },
  });
}

function waitForAllRoute(source: QuorumSource): Route {
  const { cluster, monitor } = source;
  return route({
    ...ours,
    method: "POST",
    path: "/quorum/cancel-wait-for-all",
    description: "The cluster waits no longer until all nodes were seen once.",
    parameters: { ...dryRunParameter },
    handle: async ({ parameters }) => {
      inCluster(source);
      const { quorum } = (await monitor.lookAnew()).member;
      if (!quorum.flags.includes("WaitForAll")) {
        const notes = ["this node waits for nobody"];
        return { isChanged: false, notes, isQuorate: quorum.quorate };
      }
      if (parameters["dry-run"] === true) {
        const text = "quorum would be decided by the votes that are present now";
        const isQuorate = quorum.quorate || quorum.totalVotes >= quorum.quorum;
        return { isChanged: false, notes: [text], isQuorate };
      }
      settled(await cluster.cancelWaitForAll());
      return changed(source);
    },
  });
}
