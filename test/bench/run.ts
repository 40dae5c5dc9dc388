// The numbers that design decisions hang on, each with its limit (engineering.md §10, §15; 20 % slack is in the limit):
// `npm run bench`. The best of several rounds counts: other work on the machine only ever makes it slower.
// Ends with "N passed, N failed". `npm run bench -- votes [--quick]`: the vote server under load beside Debian's (votes.ts);
// `-- ring` and `-- tree`: three nodes beside the originals (ring.ts, tree.ts), `--quick` of these is the guard in CI.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileName, targets } from "../../build/targets.ts";
import { decodeMessage, encodeMessage } from "../../src/node/ring/message.ts";
import { Seal } from "../../src/node/thread/seal.ts";
import { runLabs } from "../interop/lab.ts";
import { choicesFrom } from "./choices.ts";

const root = join(import.meta.dir, "..", "..");
const rounds = 7;
const roundMs = 60;

interface Measurement {
  readonly name: string;
  readonly unit: "µs" | "ms";
  readonly value: number;
  readonly limit: number;
}

/** Microseconds a call: the best round of `rounds`, each about `roundMs` long. */
function microseconds(call: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  let calls = 1;
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now();
    for (let done = 0; done < calls; done += 1) call();
    const ms = performance.now() - started;
    if (round > 0) best = Math.min(best, (ms * 1000) / calls);
    calls = Math.max(1, Math.min(1_000_000, Math.round((calls * roundMs) / Math.max(ms, 0.001))));
  }
  return best;
}

/** The first frame of a kind out of real traffic, without its knet header. */
function frame(kind: string): Uint8Array {
  const knetHeaderBytes = 14;
  const text = readFileSync(join(root, "test/golden/totem-knet-burst.jsonl"), "utf8");
  for (const line of text.trimEnd().split("\n")) {
    const bytes = Buffer.from(/"hex":"([0-9a-f]+)"/.exec(line)?.[1] ?? "", "hex");
    const message = decodeMessage(bytes.subarray(knetHeaderBytes));
    if (message.ok && message.value.kind === kind) return bytes.subarray(knetHeaderBytes);
  }
  throw new Error(`totem-knet-burst.jsonl has no ${kind}`);
}

function codec(kind: string, limit: number): Measurement {
  const bytes = frame(kind);
  const value = microseconds(() => {
    const message = decodeMessage(bytes);
    if (!message.ok) throw new Error(message.reason);
    return encodeMessage(message.value);
  });
  return { name: `${kind} of ${bytes.length} bytes decoded and encoded`, unit: "µs", value, limit };
}

function sealing(): Measurement[] {
  const seal = new Seal({ cipher: "aes256", hash: "sha256", key: new Uint8Array(128).fill(7) });
  const packet = new Uint8Array(1400).fill(42);
  const sealed = seal.seal(packet).slice();
  return [
    {
      name: "1400 bytes sealed (aes256, sha256)",
      unit: "µs",
      value: microseconds(() => seal.seal(packet)),
      limit: 12,
    },
    {
      name: "1400 bytes opened (aes256, sha256)",
      unit: "µs",
      value: microseconds(() => seal.open(sealed)),
      limit: 10,
    },
  ];
}

/** Start to exit of the built program, if it is built. */
function start(): Measurement[] {
  const file = targets
    .filter((target) => target.arch === process.arch && target.libc === "glibc")
    .map((target) => join(root, "dist", fileName(target)))
    .find(existsSync);
  if (file === undefined) {
    console.log("not built, so its start was not measured: npm run build:here");
    return [];
  }
  const value = microseconds(() => Bun.spawnSync([file, "--version"], { stdout: "ignore" })) / 1000;
  return [{ name: "quorate --version, start to exit", unit: "ms", value, limit: 60 }];
}

function benchAll(): number {
  let failed = 0;
  const measurements = [codec("token", 20), codec("mcast", 10), ...sealing(), ...start()];
  for (const { name, unit, value, limit } of measurements) {
    const isWithin = value <= limit;
    if (!isWithin) failed += 1;
    console.log(
      `${isWithin ? "ok    " : "FAILED"} ${name.padEnd(44)} ${value.toFixed(2).padStart(8)} ${unit}, limit ${limit}`,
    );
  }
  console.log(`${measurements.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function main(words: readonly string[]): Promise<number> {
  const [what, ...more] = words;
  if (what === undefined) return benchAll();
  if (what === "votes") return (await import("./votes.ts")).benchVotes(more);
  if (what !== "ring" && what !== "tree") {
    console.error(
      `bench: there is no "${what}"; there are ring, tree, votes, or nothing for the rest`,
    );
    return 2;
  }
  const choices = choicesFrom(more, what === "tree" ? ["pmxcfs", "binary", "durability"] : []);
  if (typeof choices === "string") {
    console.error(`bench ${what}: ${choices}`);
    return 2;
  }
  if (what === "ring") return (await import("./ring.ts")).benchRing(choices);
  return (await import("./tree.ts")).benchTree(choices);
}

// Labs are gone with us, whatever ends us.
await runLabs(() => main(process.argv.slice(2)));
process.exit();
