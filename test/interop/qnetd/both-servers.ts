// Two laboratories that live through the same scenario at the same time, one with our vote server, one with the original. After each
// step every node of both must show the votes that the scenario names, and all of the original's tools must print the same in both.
import { reasonOf } from "../../../src/result.ts";
import { holds, pending, type Progress, ready, until } from "../wait.ts";
import { difference, textsOf } from "./records.ts";
import type { Scenario, Step, Totals } from "./scenarios.ts";
import { originalProgram, type ServerProgram } from "./server-program.ts";
import { VoteLab } from "./vote-lab.ts";

const votesMsMax = 45_000;
const textsMsMax = 20_000;
const askAgainMs = 150;

/** How long a step took until the votes were as they must be. */
export interface StepTimes {
  readonly oursMs: number;
  readonly originalMs: number;
}

export type Report = (step: string, times: StepTimes) => void;

/** Failed with the original server, which does not speak against ours. */
export class OriginalFailure extends Error {}

/** Runs one scenario with both servers; answers the resident memory of both in bytes. Throws at the first difference. */
export async function runOnBoth(
  scenario: Scenario,
  program: ServerProgram,
  report: Report,
): Promise<{ readonly ours: number; readonly original: number }> {
  const labs: VoteLab[] = [];
  const failed = (error: unknown, votes: VoteLab): Error => {
    const reason = reasonOf(error);
    const message = `with ${votes.program.what}: ${reason}\n${votes.logs()}`;
    return votes.program === originalProgram ? new OriginalFailure(message) : new Error(message);
  };
  const onBoth = async (what: (votes: VoteLab) => Promise<void>): Promise<StepTimes> => {
    const done = await Promise.allSettled(
      labs.map(async (votes) => {
        const begun = performance.now();
        await what(votes).catch((error: unknown) => {
          throw failed(error, votes);
        });
        return performance.now() - begun;
      }),
    );
    const [ours, theirs] = done;
    if (ours?.status === "rejected") throw ours.reason;
    if (theirs?.status === "rejected") throw theirs.reason;
    return { oursMs: ours?.value ?? Number.NaN, originalMs: theirs?.value ?? Number.NaN };
  };
  try {
    for (const server of [program, originalProgram]) {
      const { tls, clusters } = scenario;
      labs.push(await VoteLab.create({ tls, clusters, server }));
    }
    await onBoth((votes) => connect(votes, scenario));
    await sameTexts(labs);
    const begin: Step = { name: "connect", act: connected, totals: scenario.connected };
    for (const step of [begin, ...scenario.steps]) {
      const { name } = step;
      const times = await onBoth((votes) => doStep(votes, step));
      try {
        await sameTexts(labs);
        const asked = name === "connect" ? everyQuestion : program.isSlow ? [] : longQuestions;
        for (const votes of labs) await sameTools(votes, program, asked);
      } catch (error) {
        const reason = reasonOf(error);
        const logs = labs.map((votes) => votes.logs()).join("\n");
        throw new Error(`"${name}": ${reason}\n${logs}`, { cause: error });
      }
      report(name, times);
    }
    const [ours = Number.NaN, original = Number.NaN] = labs.map((votes) => votes.serverBytes());
    return { ours, original };
  } finally {
    await Promise.all(labs.map((votes) => votes.close()));
  }
}

/** Certificates, server, rings without the device, then the devices, cluster by cluster. */
async function connect(votes: VoteLab, { tls, connected: totals }: Scenario): Promise<void> {
  if (tls !== "off") await votes.makeCertificates();
  await votes.startServer();
  for (const node of votes.nodes) node.machine.start();
  const bare = votes.clusters.map(({ nodes }) => nodes.map(() => nodes.length));
  await untilVotes(votes, bare, "rings without the device");
  for (const [index, { nodes }] of votes.clusters.entries()) {
    for (const node of nodes) node.startDevice();
    const soFar = bare.map((alone, place) => (place <= index ? (totals[place] ?? alone) : alone));
    await untilVotes(votes, soFar, "the nodes count the device");
  }
}

async function doStep(votes: VoteLab, { name, act, totals, health, staysMs }: Step): Promise<void> {
  await act(votes);
  await untilVotes(votes, totals, name, health);
  if (staysMs === undefined) return;
  const stays = async (): Promise<Progress<void>> => {
    const progress = isWanted(votes, await seenVotes(votes), totals);
    return progress.ready ? hasServerSettled(votes, health) : progress;
  };
  await holds(stays, staysMs, `nothing changes after "${name}"`);
}

/** Everything was done by `connect`. */
async function connected(): Promise<void> {}

/** Waits until every node shows its total, and is quorate exactly with a majority of all configured votes. */
export async function untilVotes(
  votes: VoteLab,
  totals: readonly Totals[],
  what: string,
  health?: Step["health"],
): Promise<void> {
  let wasSplit = false;
  await until(
    async () => {
      const seen = await seenVotes(votes);
      // One look is not at one moment: a vote that moves over may be seen on both sides once.
      const isSplit = seen.some(hasTwoQuorateParts) && !mayBoth(votes);
      if (isSplit && wasSplit) throw new Error(`two quorate parts: ${JSON.stringify(seen)}`);
      wasSplit = isSplit;
      const progress = isWanted(votes, seen, totals);
      return progress.ready ? hasServerSettled(votes, health) : progress;
    },
    votesMsMax,
    what,
    askAgainMs,
  );
}

interface Sight {
  readonly nodeid: number;
  readonly total: number;
  readonly isQuorate: boolean;
  readonly members: readonly number[];
}

type Seen = readonly (Sight | string | undefined)[];

function seenVotes(votes: VoteLab): Promise<readonly Seen[]> {
  return Promise.all(
    votes.clusters.map(({ nodes }) =>
      Promise.all(
        nodes.map(async (node) => {
          if (!node.machine.running) return undefined;
          const seen = await node.quorum();
          if (typeof seen === "string") return seen;
          const members = seen.members.map(({ nodeid }) => nodeid);
          return { nodeid: node.nodeid, total: seen.totalVotes, isQuorate: seen.quorate, members };
        }),
      ),
    ),
  );
}

function isWanted(
  votes: VoteLab,
  seen: readonly Seen[],
  totals: readonly Totals[],
): Progress<void> {
  const isSo = votes.clusters.every((cluster, place) =>
    cluster.nodes.every((_, index) => {
      const sight = seen[place]?.[index];
      const total = totals[place]?.[index];
      if (total === undefined || sight === undefined) return total === sight;
      if (typeof sight === "string" || sight.total !== total) return false;
      return sight.isQuorate === total * 2 > cluster.configuredVotes;
    }),
  );
  return isSo ? ready(undefined) : pending(JSON.stringify(seen));
}

/**
 * The server lists just the nodes whose device client runs, and keeps none of them waiting. The totals alone would be right too early:
 * corosync shows the device's old vote while it waits for the new one.
 */
async function hasServerSettled(votes: VoteLab, health: Step["health"]): Promise<Progress<void>> {
  if (!votes.isServing) return ready(undefined);
  const list = await votes.tool(originalProgram, "-l");
  const found = Array.from(list.matchAll(/^ +Heuristics:\s+(\w+)/gm), ([, result]) => result);
  if (health !== undefined && found.join() !== health.join()) return pending(list);
  const isSo = votes.clusters.every(({ name, nodes }) => {
    const part = list
      .split(/^(?=Cluster ")/m)
      .find((text) => text.startsWith(`Cluster "${name}":`));
    const listed = Array.from((part ?? "").matchAll(/^ {4}Node ID (\d+):$/gm), ([, id]) =>
      Number(id),
    );
    const running = nodes.filter(({ hasDevice }) => hasDevice).map(({ nodeid }) => nodeid);
    return listed.join() === running.join();
  });
  return isSo && !/Vote:\s+(?:Wait for reply|Ask later)/.test(list)
    ? ready(undefined)
    : pending(list);
}

/** The algorithm for tests gives everybody a vote. */
function mayBoth(votes: VoteLab): boolean {
  return votes.clusters.some(({ algorithm }) => algorithm === "test" || algorithm === "2nodelms");
}

function hasTwoQuorateParts(seen: Seen): boolean {
  const quorate = seen.filter((one): one is Sight => typeof one === "object" && one.isQuorate);
  return quorate.some((one) =>
    quorate.some(
      (other) => !one.members.includes(other.nodeid) && !other.members.includes(one.nodeid),
    ),
  );
}

/** The tools' texts settle a moment after the votes: lists and heuristics are still on their way. */
async function sameTexts(labs: readonly VoteLab[]): Promise<void> {
  const [ours, original] = labs;
  if (ours === undefined || original === undefined) throw new Error("two laboratories are needed");
  await until(
    async () => {
      const [mine, theirs] = await Promise.all([textsOf(ours), textsOf(original)]);
      const differing = difference(mine, theirs);
      return differing === undefined ? ready(undefined) : pending(differing);
    },
    textsMsMax,
    "the tools print the same with both servers",
    askAgainMs,
  );
}

const longQuestions = [
  ["-s", "-v"],
  ["-l", "-v"],
];
const everyQuestion = [...longQuestions, ["-s"], ["-l"], ["-l", "-c", "none"], ["-vlc", "interop"]];

/** Our `corosync-qnetd-tool` and the original's print the same of a running server, or of its absence, to the byte. */
async function sameTools(
  votes: VoteLab,
  program: ServerProgram,
  questions: readonly (readonly string[])[],
): Promise<void> {
  for (const args of questions) {
    await until(
      async () => {
        const theirs = await votes.tool(originalProgram, ...args);
        const ours = await votes.tool(program, ...args);
        if (ours === theirs) return ready(undefined);
        return pending(`ours\n${ours}\ntheirs\n${theirs}`);
      },
      textsMsMax,
      `both tools say the same of ${votes.program.what} to ${args.join(" ")}`,
    );
  }
}
