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
  /** Seeds with a vote server and this algorithm; without: the ring's and the tree's. */
  readonly votes?: "ffsplit" | "lms" | "2nodelms";
}

const mutants: readonly Mutant[] = [
  {
    rule: "quorum is more than half of the votes",
    file: "src/node/quorum/ledger.ts",
    find: "Math.floor((votes + 2) / 2)",
    replace: "Math.floor((votes + 1) / 2)",
  },
  {
    rule: "old messages that a transitional member lacks are originated again in RECOVERY",
    file: "src/node/ring/recovery.ts",
    find: "if (stored !== undefined) state.originate.set(seq, stored.bytes);",
    replace: "void stored;",
  },
  {
    rule: "a write is answered only when every member holds it",
    file: "src/fs/disk/acknowledgement.ts",
    find: " || first.delivery > this.#stable",
    replace: "",
  },
  {
    rule: "a restarted node never uses a ring sequence again",
    file: "src/node/ring/state.ts",
    find: "seq: options.storedRingSeq + 1",
    replace: "seq: 1",
  },
  {
    rule: "no ACK leaves before every NACK of the round is confirmed",
    file: "src/qnetd/vote/ffsplit.ts",
    find: "if (unconfirmed.length > 0) {",
    replace: "if (unconfirmed.length > 1000) {",
    votes: "ffsplit",
  },
  {
    rule: "a client has no vote without its server",
    file: "src/node/device/client.ts",
    find: "if (!this.#standsAlone() || !this.#voting.isSettled) this.#voting.refuse(now, out);",
    replace: "if (!this.#voting.isSettled) this.#voting.refuse(now, out);",
    votes: "ffsplit",
  },
  {
    rule: "the vote of a node lost in silence is not given away before that node gives it up",
    file: "src/qnetd/vote/holds.ts",
    find: "if (until <= now || !members.isDisjointFrom(partition)) continue;",
    replace: "if (until >= 0 || members.isDisjointFrom(partition)) continue;",
    votes: "lms",
  },
  {
    rule: "a vote that is taken back is gone at once, not when the ring has heard of it",
    file: "src/node/quorum/device.ts",
    find: "if (!castsVote && (before & voterFlags.deviceCastVote) !== 0) call.recount();",
    replace: "",
    votes: "ffsplit",
  },
];

const seedsMax = 40;
/** Of the smaller worlds with a vote server: the rarest of these mutants is caught by one seed in 80. */
const voteSeedsMax = 300;
const home = `${import.meta.dir}/../..`;

/** Runs seeds 1, 2, … of the copy until one fails; the failure's line, or "" when all passed. */
async function firstFailure(copy: string, votes: Mutant["votes"]): Promise<string> {
  const max = votes === undefined ? seedsMax : voteSeedsMax;
  const run =
    votes === undefined
      ? `runSeed({ seed, durationMs: 120_000 })`
      : `runVoteSeed({ seed, faultsMs: 90_000, algorithm: "${votes}", isHoldingAfterStart: true })`;
  const script = `
    import { runSeed } from "${copy}/test/sim/world.ts";
    import { runVoteSeed } from "${copy}/test/sim/vote-world.ts";
    for (let seed = 1; seed <= ${max}; seed += 1) {
      const result = await ${run};
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

for (const { rule, file, find, replace, votes } of mutants) {
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
      const failure = await firstFailure(copy, votes);
      console.log(`    caught: ${failure.slice(0, 160)}`);
      expect(failure).toStartWith("seed ");
    } finally {
      rmSync(copy, { recursive: true });
    }
  }, 240_000);
}
