// Every seed that ever failed is run with each change (engineering.md, "The simulator").
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { present } from "../../src/assert.ts";
import { voteAlgorithms } from "./vote-cluster.ts";
import { runVoteSeed } from "./vote-world.ts";
import { runSeed } from "./world.ts";

const ringMs = 120_000;
const votesMs = 90_000;

const lines = readFileSync(`${import.meta.dir}/seeds.txt`, "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

/** `words`: the seed and the file of its tests. */
async function runProperties([seed = "", file = ""]: readonly string[]): Promise<void> {
  expect(file).toEndWith(".test.ts");
  const child = Bun.spawn([process.execPath, "test", `./${file}`], {
    cwd: `${import.meta.dir}/../..`,
    stdout: "ignore",
    stderr: "pipe",
    env: { ...process.env, QUORATE_SEED: seed },
  });
  const errors = await new Response(child.stderr).text();
  expect([await child.exited, errors]).toEqual([0, expect.stringMatching(/ 0 fail/)]);
}

test("there are some", () => expect(lines.length).toBeGreaterThan(0));

test.each(lines)("%s", run, 120_000);

async function run(line: string): Promise<void> {
  const [kind, ...words] = line.split(/\s+/);
  if (kind === "property") return await runProperties(words);
  const word = kind === "votes" ? words.shift() : undefined;
  const seed = Number(words.shift());
  expect(Number.isSafeInteger(seed)).toBe(true);
  const result =
    kind === "votes"
      ? await runVoteSeed({
          seed,
          faultsMs: votesMs,
          algorithm: present(
            (["any", ...voteAlgorithms] as const).find((algorithm) => algorithm === word),
            `"${word}" is an algorithm`,
          ),
          isWaitingAfterStart: true,
        })
      : await runSeed({ seed, durationMs: ringMs });
  expect(result).toMatchObject({ ok: true, failure: "" });
}
