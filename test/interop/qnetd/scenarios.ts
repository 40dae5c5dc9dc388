// What happens to a laboratory, step by step, and which total of votes every node must show after each step (qnetd.md §2.6, 2.7).
// The same steps are done to a laboratory with the original server at the same time; see both-servers.ts.
import { heuristicsIntervalMs } from "./vote-lab.ts";
import type { ClusterPlan, TlsMode, VoteLab, VoteNode } from "./vote-lab.ts";

/** Total votes of the nodes of one cluster, n1 first; undefined: it does not run. */
export type Totals = readonly (number | undefined)[];

export interface Step {
  readonly name: string;
  /** What is done. Two servers' laboratories get the same. */
  readonly act: (votes: VoteLab) => Promise<void>;
  /** Per cluster. */
  readonly totals: readonly Totals[];
  /** What the server knows of the heuristics of the first cluster's nodes, n1 first. */
  readonly health?: readonly ("Pass" | "Fail")[];
  /** It must stay so for this time: for what must change nothing. */
  readonly staysMs?: number;
}

export interface Scenario {
  readonly name: string;
  readonly tls: TlsMode;
  readonly clusters: readonly ClusterPlan[];
  /** After "connect", which every scenario begins with. */
  readonly steps: readonly Step[];
  /** Totals when all are connected. */
  readonly connected: readonly Totals[];
  /** How many of the steps belong to the short form; undefined: the scenario does not. */
  readonly shortSteps: number | undefined;
}

type Act = Step["act"];

const step = (name: string, act: Act, ...totals: readonly Totals[]): Step => ({
  name,
  act,
  totals,
});
const all = async (nodes: readonly VoteNode[], what: (node: VoteNode) => Promise<void>) => {
  await Promise.all(nodes.map(what));
};

const split: Act = (votes) => votes.split([1], [2]);
const heal: Act = (votes) => votes.heal();
const kill =
  (...ids: readonly number[]): Act =>
  (votes) =>
    all(
      ids.map((id) => votes.node(id)),
      (node) => node.kill(),
    );
const start =
  (...ids: readonly number[]): Act =>
  (votes) =>
    all(
      ids.map((id) => votes.node(id)),
      (node) => node.start(),
    );
const healthy =
  (...ids: readonly number[]): Act =>
  (votes) =>
    all(votes.cluster.nodes, (node) => node.setHealthy(ids.includes(node.nodeid)));

const pair = { name: "interop", nodes: 2, algorithm: "ffsplit" } as const;
const trio = { name: "interop", nodes: 3, algorithm: "lms" } as const;
const both: Totals = [3, 3];
const basics: readonly Step[] = [step("split", split, [2, 1]), step("heal", heal, both)];

const killAndPowerLoss: readonly Step[] = [
  step("kill", kill(2), [2, undefined]),
  step("back", start(2), both),
  step("power loss", (votes) => votes.powerLoss(votes.node(2)), [2, undefined]),
  step(
    "power back",
    async (votes) => {
      await votes.heal();
      await votes.node(2).start();
    },
    both,
  ),
];

const serverRestart: readonly Step[] = [
  step("server stopped", (votes) => votes.stopServer("SIGTERM"), [2, 2]),
  step("server back", (votes) => votes.startServer(), both),
  step("server killed", (votes) => votes.stopServer("SIGKILL"), [2, 2]),
  step("server again", (votes) => votes.startServer(), both),
];

/** The side that was active keeps the vote when the other comes back alone (F4), unless that is turned off (F5). */
const activeSide = (winner: "active" | "preferred"): readonly Step[] => [
  step("n1 dies", kill(1), [undefined, 2]),
  step(
    "n1 alone again",
    async (votes) => {
      await votes.split([1], [2]);
      await votes.node(1).start();
    },
    winner === "active" ? [1, 2] : [2, 1],
  ),
  step("heal", heal, both),
];

const heuristicsOn: readonly Step[] = [
  { ...step("n1 fails", healthy(2), both), health: ["Fail", "Pass"] },
  { ...step("split", split, [1, 2]), health: ["Fail", "Pass"] },
  // Equal now: the active side stays.
  { ...step("n2 fails too", healthy(), [1, 2]), health: ["Fail", "Fail"] },
  { ...step("n1 recovers", healthy(1), [2, 1]), health: ["Pass", "Fail"] },
  { ...step("heal", heal, both), health: ["Pass", "Fail"] },
  { ...step("both recover", healthy(1, 2), both), health: ["Pass", "Pass"] },
];

/** A regular result is not taken in this mode: only those of membership changes are. */
const heuristicsSync: readonly Step[] = [
  {
    ...step("n1 fails", healthy(2), both),
    health: ["Pass", "Pass"],
    staysMs: 3 * heuristicsIntervalMs,
  },
  { ...step("split", split, [1, 2]), health: ["Fail", "Pass"] },
  {
    ...step("n1 recovers", healthy(1), [1, 2]),
    health: ["Fail", "Pass"],
    staysMs: 3 * heuristicsIntervalMs,
  },
  { ...step("heal", heal, both), health: ["Pass", "Fail"] },
  { ...step("split again", split, [2, 1]), health: ["Pass", "Fail"] },
  { ...step("heal again", heal, both), health: ["Pass", "Fail"] },
];

const lastManStanding: readonly Step[] = [
  step("isolate n1", (votes) => votes.split([1], [2, 3]), [1, 4, 4]),
  step("heal", heal, [5, 5, 5]),
  step("n3 dies", kill(3), [4, 4, undefined]),
  step("n2 dies too", kill(2), [3, undefined, undefined]),
  step("all back", start(2, 3), [5, 5, 5]),
  step("isolate n3", (votes) => votes.split([1, 2], [3]), [4, 4, 1]),
  step("all apart", (votes) => votes.split([1], [2], [3]), [3, 1, 1]),
  step("heal again", heal, [5, 5, 5]),
  step(
    "power loss",
    async (votes) => {
      await votes.powerLoss(votes.node(1));
    },
    [undefined, 4, 4],
  ),
  step(
    "power back",
    async (votes) => {
      await votes.heal();
      await votes.node(1).start();
    },
    [5, 5, 5],
  ),
];

const twoClusters: readonly Step[] = [
  step("alpha splits", split, [2, 1], both),
  step("beta's n1 dies", (votes) => betaNode(votes, 1).kill(), [2, 1], [undefined, 2]),
  step("alpha heals", heal, both, [undefined, 2]),
  step("beta's n1 back", (votes) => betaNode(votes, 1).start(), both, both),
  step("server killed", (votes) => votes.stopServer("SIGKILL"), [2, 2], [2, 2]),
  step("server again", (votes) => votes.startServer(), both, both),
];

function betaNode(votes: VoteLab, nodeid: number): VoteNode {
  const beta = votes.clusters[1];
  if (beta === undefined) throw new Error("there is no second cluster");
  return beta.node(nodeid);
}

function scenario(
  name: string,
  plan: ClusterPlan,
  steps: readonly Step[],
  more: { readonly tls?: TlsMode; readonly shortSteps?: number } = {},
): Scenario {
  const votes = plan.nodes + (plan.algorithm === "lms" ? plan.nodes - 1 : 1);
  const connected = [Array.from({ length: plan.nodes }, () => votes)];
  const { tls = "off", shortSteps } = more;
  return { name, tls, clusters: [plan], steps, connected, shortSteps };
}

export const scenarios: readonly Scenario[] = [
  scenario("ffsplit", pair, [...basics, ...killAndPowerLoss, ...serverRestart], {
    shortSteps: 10,
  }),
  scenario("device", pair, [
    step("n2's device stops", (votes) => votes.node(2).stopDevice(), [3, 2]),
    step("it starts again", async (votes) => votes.node(2).startDevice(), both),
  ]),
  scenario("tls", pair, [...basics, ...killAndPowerLoss, ...serverRestart], {
    tls: "required",
    shortSteps: 4,
  }),
  // Certificates are issued, so that plain text would be refused.
  scenario("tls on", pair, [...basics, ...killAndPowerLoss], { tls: "on" }),
  scenario("highest", { ...pair, tieBreaker: "highest" }, [
    step("split", split, [1, 2]),
    step("heal", heal, both),
  ]),
  scenario("node id", { ...pair, tieBreaker: 2 }, [
    step("split", split, [1, 2]),
    step("heal", heal, both),
  ]),
  scenario("kap", pair, activeSide("active"), { shortSteps: 2 }),
  scenario("kap off", { ...pair, isKeepingActive: false }, activeSide("preferred")),
  scenario("health", { ...pair, heuristics: "on" }, heuristicsOn, { shortSteps: 4 }),
  scenario("health sync", { ...pair, heuristics: "sync" }, heuristicsSync),
  scenario("lms", trio, lastManStanding, { shortSteps: 5 }),
  scenario("lms tls", trio, lastManStanding.slice(0, 5), { tls: "required" }),
  scenario("2nodelms", { ...pair, algorithm: "2nodelms" }, basics),
  scenario("test", { ...pair, algorithm: "test" }, [
    step("split", split, [2, 2]), // Both halves have it: that is what this algorithm is for.
    step("heal", heal, both),
  ]),
  {
    name: "two clusters",
    tls: "required",
    clusters: [
      { ...pair, name: "alpha" },
      { ...pair, name: "beta", tieBreaker: "highest" },
    ],
    steps: twoClusters,
    connected: [both, both],
    shortSteps: undefined,
  },
];

/** What is asked of a server that is emulated: the same beginning with TLS. */
export const emulatedScenarios: readonly Scenario[] = [
  scenario("emulated", pair, basics),
  scenario("emulated tls", pair, [...basics, ...killAndPowerLoss.slice(0, 2)], {
    tls: "required",
  }),
];
