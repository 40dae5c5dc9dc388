// The simulator must catch a broken rule: each test flips one in a copy of the sources (mutations.ts) and runs seeds until one fails, by
// the invariant that the rule is for; the same seed must pass without the flip. A mutant that survives, that breaks something else
// first, or a rule that is no longer found in the sources, fails the test.
import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { invariants, mutants, type Mutant } from "./mutations.ts";

/** Of the smaller worlds with a vote server more: the rarest of these mutants is caught by one seed in 80. */
const seedsMax = { ring: 80, votes: 300 };
const ringMs = 60_000;
const votesMs = 90_000;
/** At a time: each is one process. */
const lanes = 2;
/** From the beginning of all of them: each waits for its lane. */
const allMs = 2_400_000;
const home = `${import.meta.dir}/../..`;

interface Caught {
  readonly seed: number;
  readonly invariant: string;
  readonly failure: string;
}

interface Range {
  readonly from: number;
  readonly count: number;
}

/** The first of these seeds that fails with the sources below `root`, undefined when all pass. `place`: for the script that runs them. */
async function firstFailure(
  root: string,
  mutant: Mutant,
  { from, count }: Range,
  place: string,
): Promise<Caught | undefined> {
  const { votes, seconds, isCalm = false, refusalSeconds } = mutant;
  const durationMs = seconds === undefined ? ringMs : seconds * 1000;
  let run = `runSeed({ seed, durationMs: ${durationMs}, isCalm: ${isCalm} })`;
  if (votes !== undefined) {
    run = `runVoteSeed({ seed, faultsMs: ${votesMs}, algorithm: "${votes}", isWaitingAfterStart: true })`;
  }
  if (refusalSeconds !== undefined) {
    run = `runRefusals({ seed, durationMs: ${refusalSeconds * 1000} })`;
  }
  const script = `
    import { runRefusals } from "${root}/test/sim/refusals.ts";
    import { runSeed } from "${root}/test/sim/world.ts";
    import { runVoteSeed } from "${root}/test/sim/vote-world.ts";
    for (let seed = ${from}; seed < ${from + count}; seed += 1) {
      const { ok, invariant, failure } = await ${run};
      if (ok) continue;
      console.log(JSON.stringify({ seed, invariant, failure }));
      break;
    }`;
  writeFileSync(place, script);
  const child = Bun.spawn([process.execPath, place], { stdout: "pipe", stderr: "pipe" });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect([await child.exited, errors]).toEqual([0, ""]);
  return output === "" ? undefined : (JSON.parse(output) as Caught);
}

/** What the flipped rule breaks first; without the flip the same seed must pass. */
async function caught(mutant: Mutant): Promise<Caught | undefined> {
  const copy = mkdtempSync(`${tmpdir()}/quorate-mutant-`);
  try {
    cpSync(`${home}/src`, `${copy}/src`, { recursive: true });
    cpSync(`${home}/test/sim`, `${copy}/test/sim`, { recursive: true });
    const path = `${copy}/${mutant.file}`;
    const source = readFileSync(path, "utf8");
    expect(source.split(mutant.find).length).toBe(2);
    writeFileSync(
      path,
      source.replace(mutant.find, () => mutant.replace),
    );
    const { votes, from = 1 } = mutant;
    const count = votes === undefined ? seedsMax.ring : seedsMax.votes;
    const found = await firstFailure(copy, mutant, { from, count }, `${copy}/run.ts`);
    if (found !== undefined) {
      const one = { from: found.seed, count: 1 };
      expect(await firstFailure(home, mutant, one, `${copy}/unflipped.ts`)).toBeUndefined();
    }
    return found;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

test("every invariant that the simulator checks has a mutant", () => {
  const broken = new Set(mutants.map(({ breaks }) => breaks));
  expect(invariants.filter((invariant) => !broken.has(invariant))).toEqual([]);
  const checked = ["checkers", "vote-checkers", "world", "vote-world", "refusals"].flatMap((name) =>
    [...readFileSync(`${import.meta.dir}/${name}.ts`, "utf8").matchAll(/"([A-Z]\d)"/g)].map(
      ([, invariant]) => invariant!,
    ),
  );
  expect([...new Set(checked)].toSorted()).toEqual([...invariants].toSorted());
});

test.concurrent.each(mutants.map((mutant) => [mutant.breaks, mutant.rule, mutant] as const))(
  "%s, flipped: %s",
  async (breaks, _, mutant) => {
    const { seed, invariant, failure } = (await inLane(() => caught(mutant))) ?? {};
    const first = failure?.split("\n")[0]?.slice(0, 140);
    console.log(`    ${breaks}: seed ${seed}, ${first}`);
    expect({ invariant, first }).toEqual({ invariant: breaks, first });
  },
  allMs,
);

const waiting: (() => void)[] = [];
let running = 0;

/** So many at a time, in order. */
async function inLane<T>(act: () => Promise<T>): Promise<T> {
  if (running >= lanes) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    return await act();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
