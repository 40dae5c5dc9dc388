// `npm run sim -- [--seeds N] [--from S] [--seconds T] [--verbose]`: runs seeds on all cores; a failing seed prints what broke,
// its last events and the command that replays it. One seed in 50 is run twice and must give the same fingerprint.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { runSeed, type SeedResult } from "./world.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    seeds: { type: "string", default: "20" },
    from: { type: "string", default: "1" },
    seconds: { type: "string", default: "120" },
    verbose: { type: "boolean", default: false },
    worker: { type: "boolean", default: false },
  },
});

const count = positive(values.seeds, "seeds");
const from = positive(values.from, "from");
const seconds = positive(values.seconds, "seconds");
const twiceEvery = 50;

function positive(text: string, name: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name} takes a whole number above 0, not "${text}"`);
  process.exit(2);
}

function run(seed: number): SeedResult {
  const options = { seed, durationMs: seconds * 1000 };
  const result = runSeed(
    values.verbose ? { ...options, print: (line) => console.log(line) } : options,
  );
  if (seed % twiceEvery !== 0 || !result.ok) return result;
  const again = runSeed(options);
  if (again.fingerprint === result.fingerprint && again.steps === result.steps) return result;
  return {
    ...result,
    ok: false,
    invariant: "determinism",
    failure: "two runs of this seed differ",
  };
}

function report(result: SeedResult): void {
  if (result.ok) return;
  console.log(`seed ${result.seed} FAILED  ${result.invariant}: ${result.failure}`);
  for (const line of result.trace.slice(-60)) console.log(`    ${line}`);
  console.log(
    `  replay: npm run sim -- --seeds 1 --from ${result.seed} --seconds ${seconds} --verbose`,
  );
}

/** This process's share of the seeds; results go to the parent as lines of JSON. */
function work(first: number, step: number): void {
  for (let seed = first; seed < from + count; seed += step) {
    console.log(JSON.stringify(run(seed)));
  }
}

async function runAll(): Promise<number> {
  const start = performance.now();
  const workers = Math.min(availableParallelism(), count);
  const results: SeedResult[] = [];
  const children = Array.from({ length: workers }, (_, at) => {
    const args = [
      "--worker",
      "--seeds",
      String(count),
      "--from",
      String(from),
      "--seconds",
      String(seconds),
    ];
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
          const result: SeedResult = JSON.parse(line);
          results.push(result);
          report(result);
        }
      }
      if ((await child.exited) !== 0) throw new Error("a simulator process ended early");
    }),
  );
  return summarise(results, (performance.now() - start) / 1000);
}

function summarise(results: readonly SeedResult[], elapsedS: number): number {
  const failed = count - results.filter((result) => result.ok).length;
  const sum = (pick: (result: SeedResult) => number): number =>
    results.reduce((total, result) => total + pick(result), 0);
  console.log(
    `${results.length} seeds × ${seconds} s: ${sum((r) => r.steps)} events, ${sum((r) => r.deliveries)} deliveries, ` +
      `${sum((r) => r.acknowledged)} acknowledged writes, ${((results.length * seconds) / elapsedS).toFixed(0)} × real time`,
  );
  console.log(`${count - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (values.worker) work(Number(process.env["SIM_FIRST"]), Number(process.env["SIM_STEP"]));
else if (count === 1) {
  const result = run(from);
  report(result);
  process.exitCode = summarise([result], 1);
} else process.exitCode = await runAll();
