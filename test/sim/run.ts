// `npm run sim -- [--seeds N] [--from S | --fresh] [--seconds T] [--verbose]`: runs seeds on all cores; a failing seed prints what broke,
// its last events and the command that replays it. One seed in 50 is run twice and must give the same fingerprint.
// `--votes ffsplit|lms|2nodelms|any`: clusters that vote through a vote server instead, with T seconds of faults each; `--wait off`
// lets the server give votes at once after its start, as corosync-qnetd does. `--fresh`: N seeds that nobody has run, drawn now, instead of
// S and those behind it; one that fails is run again, and counts only when it fails again.
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { voteAlgorithms } from "./vote-cluster.ts";
import { runVoteSeed, type VoteSeedOptions, type VoteSeedResult } from "./vote-world.ts";
import { runSeed, type SeedResult } from "./world.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    seeds: { type: "string", default: "20" },
    from: { type: "string" },
    fresh: { type: "boolean", default: false },
    seconds: { type: "string" },
    votes: { type: "string" },
    wait: { type: "string", default: "on" },
    verbose: { type: "boolean", default: false },
    worker: { type: "boolean", default: false },
  },
});

const count = positive(values.seeds, "seeds");
const from = readFrom();
const votes = readVotes(values.votes);
const wait = readWait(values.wait);
const seconds = positive(values.seconds ?? (votes === undefined ? "120" : "90"), "seconds");
const twiceEvery = 50;

type Result = SeedResult & Partial<VoteSeedResult>;

/** Fresh seeds lie far above those that CI runs each time. */
function readFrom(): number {
  if (!values.fresh || values.worker) return positive(values.from ?? "1", "from");
  if (values.from !== undefined) {
    console.error("--from and --fresh exclude each other");
    process.exit(2);
  }
  return randomInt(1_000_000, 2 ** 31);
}

function readVotes(word: string | undefined): VoteSeedOptions["algorithm"] | undefined {
  if (word === undefined || word === "any") return word;
  const found = voteAlgorithms.find((algorithm) => algorithm === word);
  if (found !== undefined) return found;
  console.error(`--votes takes any, ${voteAlgorithms.join(", ")}, not "${word}"`);
  process.exit(2);
}

function readWait(word: string): boolean {
  if (word === "on" || word === "off") return word === "on";
  console.error(`--wait takes on or off, not "${word}"`);
  process.exit(2);
}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name} takes a whole number above 0, not "${text}"`);
  process.exit(2);
}

function runOnce(seed: number, print: ((line: string) => void) | undefined): Promise<Result> {
  const common = { seed, ...(print === undefined ? {} : { print }) };
  const ms = seconds * 1000;
  if (votes === undefined) return runSeed({ ...common, durationMs: ms });
  return runVoteSeed({ ...common, faultsMs: ms, algorithm: votes, isWaitingAfterStart: wait });
}

async function run(seed: number): Promise<Result> {
  const result = await runTwice(seed);
  if (result.ok || !values.fresh) return result;
  const again = await runTwice(seed);
  if (!again.ok) return again;
  console.error(`seed ${seed} failed, but not when it was run again: ${result.failure}`);
  return again;
}

/** One seed in so many really twice: it must do the same. */
async function runTwice(seed: number): Promise<Result> {
  const result = await runOnce(seed, values.verbose ? (line) => console.log(line) : undefined);
  if (seed % twiceEvery !== 0 || !result.ok) return result;
  const again = await runOnce(seed, undefined);
  if (again.fingerprint === result.fingerprint && again.steps === result.steps) return result;
  return {
    ...result,
    ok: false,
    invariant: "determinism",
    failure: "two runs of this seed differ",
  };
}

/** The options that say what is run, for another process. */
function kindOfRun(): string[] {
  const common = ["--seconds", String(seconds)];
  if (votes === undefined) return common;
  return [...common, "--votes", votes, ...(wait ? [] : ["--wait", "off"])];
}

function report(result: Result): void {
  if (result.ok) return;
  console.log(`FAIL  seed ${result.seed}  ${result.failure}`);
  for (const line of result.trace.slice(-60)) console.log(`    ${line}`);
  const again = ["--seeds", "1", "--from", String(result.seed), ...kindOfRun(), "--verbose"];
  console.log(`  replay: npm run sim -- ${again.join(" ")}`);
  // Those of seeds.txt are run for the default time.
  if (!values.fresh || values.seconds !== undefined) return;
  const line = votes === undefined ? `ring ${result.seed}` : `votes ${votes} ${result.seed}`;
  console.log(
    `  it failed twice; once it is mended, add to test/sim/seeds.txt: ${line}  COMMIT  what it was`,
  );
}

/** This process's share of the seeds; results go to the parent as lines of JSON. */
async function work(first: number, step: number): Promise<void> {
  for (let seed = first; seed < from + count; seed += step) {
    console.log(JSON.stringify(await run(seed)));
  }
}

async function runAll(): Promise<number> {
  const start = performance.now();
  if (values.fresh) console.log(`fresh seeds ${from} to ${from + count - 1}`);
  const workers = Math.min(availableParallelism(), count);
  const results: Result[] = [];
  const children = Array.from({ length: workers }, (_, at) => {
    const args = ["--worker", "--seeds", String(count), "--from", String(from), ...kindOfRun()];
    if (values.fresh) args.push("--fresh");
    return Bun.spawn([process.execPath, import.meta.path, ...args], {
      stdout: "pipe",
      stderr: "inherit",
      env: { ...process.env, SIM_FIRST: String(from + at), SIM_STEP: String(workers) },
    });
  });
  await Promise.all(
    children.map(async (child) => {
      let rest = "";
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const result: Result = JSON.parse(line);
          results.push(result);
          report(result);
        }
      }
      if ((await child.exited) !== 0) throw new Error("a simulator process ended early");
    }),
  );
  return summarise(results, (performance.now() - start) / 1000);
}

function summarise(results: readonly Result[], elapsedS: number): number {
  const failed = count - results.filter((result) => result.ok).length;
  const sum = (pick: (result: Result) => number): number =>
    results.reduce((total, result) => total + pick(result), 0);
  const simulatedS = sum((result) => (result.durationMs ?? seconds * 1000) / 1000);
  const done =
    votes === undefined
      ? `${sum((r) => r.deliveries)} deliveries, ${sum((r) => r.acknowledged)} acknowledged writes`
      : `${sum((r) => r.votes ?? 0)} votes, quorate ${((100 * sum((r) => r.quorateShare ?? 0)) / Math.max(1, results.length)).toFixed(1)} % of the time of faults`;
  console.log(
    `${results.length} seeds × ${seconds} s: ${sum((r) => r.steps)} events, ${done}, ${(simulatedS / elapsedS).toFixed(0)} × real time`,
  );
  if (votes !== undefined) tellRecovery(results);
  console.log(`${count - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** How long it took after the last fault until the partition that the rules promise was quorate. */
function tellRecovery(results: readonly Result[]): void {
  const good = results.filter((result) => result.ok);
  for (const [fault, group] of Map.groupBy(good, (result) => result.lastFault ?? "none")) {
    const times = group.map((result) => (result.recoveryMs ?? 0) / 1000);
    const mean = times.reduce((a, b) => a + b, 0) / times.length;
    const numbers = `mean ${mean.toFixed(1)} s, most ${Math.max(...times).toFixed(1)} s`;
    console.log(`  ${fault.padEnd(30)} ${String(group.length).padStart(4)} seeds  ${numbers}`);
  }
}

if (values.worker) await work(Number(process.env["SIM_FIRST"]), Number(process.env["SIM_STEP"]));
else if (count === 1) {
  const result = await run(from);
  report(result);
  process.exitCode = summarise([result], 1);
} else process.exitCode = await runAll();
