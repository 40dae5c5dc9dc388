// The simulator must catch a broken core: each test flips one rule in a copy of the sources and runs seeds until one fails. A
// mutant that survives, or a rule that is no longer found in the sources, fails the test.
import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";

interface Mutant {
  readonly rule: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const mutants: readonly Mutant[] = [
  {
    rule: "quorum is more than half of the votes",
    file: "src/node/quorum/ledger.ts",
    find: "Math.floor((votes + 2) / 2)",
    replace: "Math.floor((votes + 1) / 2)",
  },
  {
    rule: "old messages that a fellow lacks are originated again in RECOVERY",
    file: "src/node/ring/recovery.ts",
    find: "if (stored !== undefined) state.originate.set(seq, stored.bytes);",
    replace: "void stored;",
  },
  {
    rule: "a write is answered only when every member holds it",
    file: "src/fs/acknowledgement.ts",
    find: " || first.delivery > this.#stable",
    replace: "",
  },
  {
    rule: "a restarted node never uses a ring sequence again",
    file: "src/node/ring/state.ts",
    find: "seq: options.storedRingSeq + 1",
    replace: "seq: 1",
  },
];

const seedsMax = 40;
const home = `${import.meta.dir}/../..`;

/** Runs seeds 1, 2, … of the copy until one fails; the failure's line, or "" when all passed. */
async function firstFailure(copy: string): Promise<string> {
  const script = `
    import { runSeed } from "${copy}/test/sim/world.ts";
    for (let seed = 1; seed <= ${seedsMax}; seed += 1) {
      const result = runSeed({ seed, durationMs: 120_000 });
      if (!result.ok) {
        console.log(\`seed \${seed} \${result.failure.split("\\n")[0]}\`);
        break;
      }
    }`;
  writeFileSync(`${copy}/run.ts`, script);
  const child = Bun.spawn([process.execPath, `${copy}/run.ts`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const output = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return output.trim();
}

for (const { rule, file, find, replace } of mutants) {
  test(`flipped: ${rule}`, async () => {
    const copy = mkdtempSync(`${tmpdir()}/quorate-mutant-`);
    try {
      cpSync(`${home}/src`, `${copy}/src`, { recursive: true });
      cpSync(`${home}/test/sim`, `${copy}/test/sim`, { recursive: true });
      const source = readFileSync(`${copy}/${file}`, "utf8");
      expect(source.split(find).length).toBe(2);
      writeFileSync(
        `${copy}/${file}`,
        source.replace(find, () => replace),
      );
      const failure = await firstFailure(copy);
      console.log(`    caught: ${failure.slice(0, 160)}`);
      expect(failure).toStartWith("seed ");
    } finally {
      rmSync(copy, { recursive: true });
    }
  }, 240_000);
}
