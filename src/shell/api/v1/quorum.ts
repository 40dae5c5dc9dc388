// Quorum and votes of a node: how they are, what an operator may change of them while the cluster runs, and what that would mean (pvecm.md §1.7, §6).
import { effectAnswer } from "../../answers/change.ts";
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

const ours = { isOurs: true, permission: mayModify, returns: effectAnswer } as const;

function inCluster({ mode }: QuorumSource): void {
  if (mode === "cluster") return;
  throw new ApiError(424, "this node is standalone: it is in no cluster, and has no votes", {
    code: "standalone",
  });
}

async function meaningNow({ monitor }: QuorumSource): Promise<string> {
  return quorumMeaning((await monitor.lookAnew()).member.quorum);
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
        const { quorum } = (await monitor.lookAnew()).member;
        const effect = expectedEffect(quorum, cluster.settings.quorum, votes);
        if (effect.refusal !== "") throw new ApiError(409, effect.refusal, { code: "refused" });
        return { isChanged: false, notes: [effect.text] };
      }
      settled(await cluster.setExpectedVotes(votes));
      return { isChanged: true, notes: [await meaningNow(source)] };
    },
  });
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
      const { voters } = (await monitor.lookAnew()).member.quorum;
      const voter = voters.find((each) => each.nodeid === nodeid);
      if (voter === undefined) {
        throw new ApiError(404, `node ${nodeid} has stated no votes since this node's start`);
      }
      if (parameters["dry-run"] === true) {
        const text = `node ${nodeid} would have ${votes} votes instead of ${voter.votes}, until it states its own again`;
        return { isChanged: false, notes: [text] };
      }
      settled(await cluster.setVotes(nodeid, votes));
      return { isChanged: true, notes: [await meaningNow(source)] };
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
      const isWaiting = (await monitor.lookAnew()).member.quorum.flags.includes("WaitForAll");
      if (!isWaiting) return { isChanged: false, notes: ["this node waits for nobody"] };
      if (parameters["dry-run"] === true) {
        const text = "quorum would be decided by the votes that are present now";
        return { isChanged: false, notes: [text] };
      }
      settled(await cluster.cancelWaitForAll());
      return { isChanged: true, notes: [await meaningNow(source)] };
    },
  });
}
