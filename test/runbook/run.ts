// Plays the runbooks on machines to throw away: `bun test/runbook/run.ts [--binary FILE] [NAME…]`. Ends with "N passed, N failed".
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runbooks } from "./runbooks.ts";
import { Site } from "./site.ts";

const project = join(import.meta.dir, "..", "..");
const names = ["pve1", "pve2", "pve3"];
/** Sites at the same time: they wait more than they work. */
const lanes = 2;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { binary: { type: "string" } },
  });
  if (process.getuid?.() !== 0) {
    process.stdout.write("skipped: needs root for namespaces\n");
    return 0;
  }
  const binary = join(project, values.binary ?? `dist/quorate-linux-${process.arch}`);
  const wanted = Object.entries(runbooks).filter(
    ([name]) => positionals.length === 0 || positionals.includes(name),
  );
  const count = { passed: 0, failed: 0 };
  const play = async (): Promise<void> => {
    for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
      const [name, runbook] = next;
      const begun = performance.now();
      const site = await Site.start({ binary, names });
      try {
        await runbook(site);
        count.passed += 1;
        process.stdout.write(`passed ${name} ${Math.round(performance.now() - begun)} ms\n`);
      } catch (error) {
        count.failed += 1;
        const text = error instanceof Error ? error.stack : String(error);
        const logs = await Promise.all(
          site.machines.map(async (machine) => `--- ${machine.name}\n${await machine.log()}`),
        );
        process.stdout.write(`FAIL  ${name}: ${text}\n${logs.join("")}\n`);
      } finally {
        await site.end();
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, play));
  process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`);
  return count.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
