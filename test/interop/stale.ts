// Hunts stale reads in a cluster of three real nodes: each in turn has the writer at its mount, and all have readers (test/fs/stale-hunt.py).
// Once a change has returned, no node may show what was before. `bun test/interop/stale.ts [--short] [--binary FILE]`. Needs root and FUSE.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TreeSide } from "../bench/tree-side.ts";
import { runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { quorateProgram } from "./quorate.ts";

const hunter = join(import.meta.dir, "../fs/stale-hunt.py");
const readersEach = 2;

/** The first line of what it prints, as numbers, and the rest. */
async function hunt(
  what: "write" | "read",
  mount: string,
  board: string,
  seconds: number,
): Promise<{ readonly counts: readonly number[]; readonly told: string }> {
  const child = Bun.spawn(["python3", hunter, what, mount, board, String(seconds)], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`the hunter at ${mount} ended: ${text}`);
  const [first = "", ...rest] = text.split("\n");
  return { counts: first.split(" ").map(Number), told: rest.join("\n").trim() };
}

/** Whether nothing was stale with the writer at one node. */
async function round(side: TreeSide, writer: number, seconds: number): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), "quorate-stale-"));
  const board = join(directory, "board");
  writeFileSync(board, new Uint8Array(4096));
  const { mounts } = side;
  const readers = mounts.flatMap((mount) => Array.from({ length: readersEach }, () => mount));
  try {
    const [written, ...read] = await Promise.all([
      hunt("write", mounts[writer] ?? "", board, seconds),
      ...readers.map((mount) => hunt("read", mount, board, seconds)),
    ]);
    const steps = written?.counts[0] ?? 0;
    const looks = read.reduce((sum, { counts }) => sum + (counts[0] ?? 0), 0);
    const stale = read.reduce((sum, { counts }) => sum + (counts[1] ?? Number.NaN), 0);
    const isGood = stale === 0 && steps > 0 && looks > 0;
    const label = `writer at node ${writer + 1}: ${steps} steps, ${looks} looks, ${stale} stale`;
    console.log(`${isGood ? "ok   " : "FAIL "} ${label}`);
    for (const { told } of read) if (told !== "") console.log(told);
    return isGood;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  const at = words.indexOf("--binary");
  const obstacle = obstacleTo(["python3"]);
  if (obstacle !== undefined) return skipped(obstacle);
  if (!existsSync("/dev/fuse")) return skipped("needs /dev/fuse");
  const side = await TreeSide.quorate(quorateProgram(at < 0 ? undefined : words[at + 1]));
  let passed = 0;
  let failed = 0;
  try {
    for (const writer of side.mounts.keys()) {
      if (await round(side, writer, words.includes("--short") ? 5 : 60)) passed += 1;
      else failed += 1;
    }
  } finally {
    await side.close();
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runLabs(main);
