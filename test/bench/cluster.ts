// A three-node quorate cluster on loopback, encrypted, mounted (root only): memory of an idle node, rotation of the token while
// somebody writes, and atomic file replaces a second through the mount. `bun test/bench/cluster.ts`; prints one line each.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { type DemoNode, demoNodes, expectNoneRuns, prepare, until } from "../demo/cluster.ts";

const home = `${import.meta.dir}/../..`;
const binary = `${home}/dist/quorate-linux-${process.arch === "arm64" ? "arm64" : "x64"}`;
const writeMs = 10_000;

async function quorate(nodes: readonly DemoNode[]): Promise<void> {
  await until("three nodes quorate", 30_000, async () => {
    const all = await Promise.all(nodes.map((node) => node.status()));
    const good = all.every(
      (status) => status?.tree.writable === true && status.ring.members.length === nodes.length,
    );
    return good ? true : undefined;
  });
}

async function write(node: DemoNode): Promise<{ perSecond: number }> {
  const child = Bun.spawn(
    [process.execPath, `${import.meta.dir}/writer.ts`, node.paths.mount, String(writeMs)],
    { stdout: "pipe", stderr: "inherit", timeout: 3 * writeMs, killSignal: "SIGKILL" },
  );
  const { count, tookMs }: { count: number; tookMs: number } = JSON.parse(
    await new Response(child.stdout).text(),
  );
  return { perSecond: (count * 1000) / tookMs };
}

async function main(): Promise<number> {
  if (!existsSync(binary) || process.getuid?.() !== 0 || !existsSync("/dev/fuse")) {
    console.log(`skipped: needs ${binary}, root and /dev/fuse`);
    return 0;
  }
  const directory = mkdtempSync(`${tmpdir()}/quorate-bench-`);
  const nodes = demoNodes({ command: [binary], directory, mount: true });
  await expectNoneRuns(nodes);
  await prepare(nodes);
  const [one] = nodes;
  if (one === undefined) return 1;
  try {
    for (const node of nodes) node.start();
    await quorate(nodes);
    const idle = await Promise.all(nodes.map((node) => node.status()));
    const rss = idle.map((status) => ((status?.node.rssBytes ?? 0) / 1e6).toFixed(0));
    console.log(`idle RSS of the three nodes: ${rss.join(", ")} MB`);
    const { perSecond } = await write(one);
    const busy = await one.status();
    const { p50 = 0, p99 = 0 } = busy?.ring.rotationUs ?? {};
    console.log(`atomic replaces through the mount, one writer: ${perSecond.toFixed(0)} a second`);
    console.log(
      `token rotation meanwhile: p50 ${(p50 / 1000).toFixed(2)} ms, p99 ${(p99 / 1000).toFixed(2)} ms`,
    );
    return 0;
  } finally {
    await Promise.all(nodes.map((node) => node.end("SIGTERM")));
    rmSync(directory, { recursive: true, force: true });
  }
}

process.exit(await main());
