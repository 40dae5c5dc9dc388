// How long the rest of a ring takes after a SIGKILL of a member, where Debian's corosync is among it: as long as corosync's own, within a twentieth
// (issue 12). Seen by one corosync of each ring, in turns, so that both see the same machine. By hand: `bun test/interop/mixed-death.ts [ROUNDS]`.
import { Lab, type LabNode, type NodeKind, runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { quorateProgram } from "./quorate.ts";
import { pending, type Progress, ready, until } from "./wait.ts";

const rounds = Number(process.argv[2] ?? "10");
const ratioMax = 1.05;
const lookMs = 5;
const msMax = 60_000;

const rings: readonly { readonly name: string; readonly kinds: readonly NodeKind[] }[] = [
  { name: "corosync alone", kinds: ["corosync", "corosync", "corosync"] },
  { name: "one quorate node", kinds: ["quorate", "corosync", "corosync"] },
  { name: "two quorate nodes", kinds: ["quorate", "corosync", "quorate"] },
];

async function ringOf(watcher: LabNode, count: number): Promise<Progress<number>> {
  const view = await watcher.view();
  const now = performance.now();
  if (typeof view === "string") return pending(view);
  const isThere = view.quorate && view.members.length === count;
  return isThere ? ready(now) : pending(`${view.members.length} members`);
}

/** Milliseconds until the second node is quorate with the first alone, after the third was killed. */
async function restAfterKill(lab: Lab): Promise<number> {
  const [watcher, killed] = [lab.node(2), lab.node(3)];
  if (!killed.running) killed.start();
  await until(() => ringOf(watcher, 3), msMax, "a ring of three", 100);
  // The moment of a kill is a random one of the token's way.
  await Bun.sleep(2000 + Math.random() * 1000);
  const begun = performance.now();
  await killed.kill();
  return (await until(() => ringOf(watcher, 2), msMax, "a ring of two", lookMs)) - begun;
}

async function main(): Promise<number> {
  const obstacle = obstacleTo(["corosync"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const options = { crypto: "aes", tokenMs: 1000, quorate: quorateProgram(undefined) } as const;
  const labs: Lab[] = [];
  for (const { kinds } of rings) labs.push(await Lab.create({ ...options, kinds }));
  for (const lab of labs) lab.startAll();
  const took: number[][] = rings.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, lab] of labs.entries()) took[at]?.push(await restAfterKill(lab));
  }
  const medians = took.map((each) => each.toSorted((a, b) => a - b)[each.length >> 1] ?? 0);
  let failed = 0;
  for (const [at, { name }] of rings.entries()) {
    const [median = 0, own = 0] = [medians[at], medians[0]];
    const isGood = median <= own * ratioMax;
    if (!isGood) failed += 1;
    const each = took[at]?.map((ms) => Math.round(ms)).join(" ");
    console.log(
      `${isGood ? "ok   " : "FAIL "} ${name}: median ${median.toFixed(0)} ms, ${(median / own).toFixed(3)} × corosync alone (${each})`,
    );
  }
  console.log(`${rings.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runLabs(main);
