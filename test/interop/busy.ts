// Nobody is removed only because the machine is busy: three quorate nodes whose members watch each other's processes, every processor kept busy, a
// writer at each node (issue 12). By hand: `bun test/interop/busy.ts [MINUTES]`.
import { availableParallelism } from "node:os";
import { Lab, type LabNode, runLabs, showLogs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { areWritable, nodeClient, quorateProgram } from "./quorate.ts";
import { until } from "./wait.ts";

const minutes = Number(process.argv[2] ?? "10");
const formMsMax = 60_000;
const betweenWritesMs = 50;

/** How often each node has left the operational state. */
async function gathers(nodes: readonly LabNode[]): Promise<readonly number[]> {
  return Promise.all(
    nodes.map(async ({ root }) => (await nodeClient(root).ring()).ring.counters.entered.gather),
  );
}

async function write(node: LabNode, endAt: number): Promise<number> {
  const client = nodeClient(node.root);
  let count = 0;
  for (; performance.now() < endAt; count += 1) {
    await client.put(`busy-${node.name}`, new TextEncoder().encode(`${count}\n`));
    await Bun.sleep(betweenWritesMs);
  }
  return count;
}

async function main(): Promise<number> {
  const obstacle = obstacleTo([]);
  if (obstacle !== undefined) return skipped(obstacle);
  const kinds = ["quorate", "quorate", "quorate"] as const;
  const options = { crypto: "aes", tokenMs: 1000, quorate: quorateProgram(undefined) } as const;
  const lab = await Lab.create({ ...options, kinds });
  lab.startAll();
  await until(() => areWritable(lab.nodes), formMsMax, "three nodes, writable", 100);
  const busy = Array.from({ length: availableParallelism() }, () =>
    Bun.spawn(["sh", "-c", "while :; do :; done"], { timeout: (minutes + 1) * 60_000 }),
  );
  const before = await gathers(lab.nodes);
  const endAt = performance.now() + minutes * 60_000;
  const written = await Promise.all(lab.nodes.map((node) => write(node, endAt)));
  for (const child of busy) child.kill("SIGKILL");
  const after = await gathers(lab.nodes);
  const isGood = before.every((count, at) => count === after[at]);
  const text = `${minutes} minutes with ${busy.length} busy processors, ${written.join(" ")} writes: memberships ${before.join(" ")} before, ${after.join(" ")} after`;
  console.log(`${isGood ? "ok   " : "FAIL "} ${text}`);
  if (!isGood) showLogs(lab);
  console.log(isGood ? "1 passed, 0 failed" : "0 passed, 1 failed");
  return isGood ? 0 : 1;
}

await runLabs(main);
