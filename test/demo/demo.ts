// `npm run demo`: a three-node cluster on this machine with a live view; `-- --check` plays a transcript instead and
// exits 0 only if every step holds.
import { accessSync, constants, existsSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { reasonOf } from "../../src/reason.ts";
import type { NodeStatus } from "../../src/shell/status.ts";
import { checkTranscript } from "./check.ts";
import { prepare, until, type ClusterOptions, type DemoNode } from "./cluster.ts";
import { view } from "./view.ts";

const home = `${import.meta.dir}/../..`;
const architectures: Readonly<Record<string, string>> = { x64: "x64", arm64: "arm64" };
const binary = `${home}/dist/quorate-linux-${architectures[process.arch] ?? process.arch}`;

function canMount(): boolean {
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

async function main(): Promise<number> {
  const check = process.argv.includes("--check");
  if (!existsSync(binary)) {
    console.error(`${binary} is missing: run "npm run build:here" first`);
    return 1;
  }
  const options: ClusterOptions = {
    command: [binary],
    directory: `${home}/demo`,
    mount: canMount(),
  };
  const nodes = await prepare(options);
  const interrupt = Promise.withResolvers<void>();
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      interrupted = true;
      interrupt.resolve();
    });
  }
  try {
    for (const node of nodes) node.start();
    if (check) {
      return await Promise.race([
        checkTranscript(nodes, options.mount),
        interrupt.promise.then(() => Promise.reject(new Error("interrupted"))),
      ]);
    }
    await follow(nodes, options, () => interrupted);
    return 0;
  } catch (error) {
    console.error(reasonOf(error));
    for (const node of nodes) console.error(`--- log of ${node.name}\n${node.logTail()}`);
    return 1;
  } finally {
    await stopAll(nodes);
  }
}

async function stopAll(nodes: readonly DemoNode[]): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      if (!node.running) return;
      const stopped = await Promise.race([
        node.end("SIGTERM").then(() => true),
        wait(20_000, false),
      ]);
      if (!stopped) await node.end("SIGKILL");
    }),
  );
}

/** Redraws the view each second until Ctrl-C. */
async function follow(
  nodes: readonly DemoNode[],
  options: ClusterOptions,
  stopped: () => boolean,
): Promise<void> {
  await until(
    "the first node answers",
    30_000,
    async () => (await nodes[0]?.status()) ?? stopped(),
  );
  let before: readonly (NodeStatus | undefined)[] = [];
  let at = performance.now();
  while (!stopped()) {
    const now = performance.now();
    const statuses = await Promise.all(nodes.map((node) => node.status()));
    console.log(
      view({ nodes, statuses, before, elapsedS: (now - at) / 1000, mount: options.mount, binary }),
    );
    before = statuses;
    at = now;
    for (let tenths = 0; tenths < 10 && !stopped(); tenths += 1) await wait(100);
  }
  console.log("\nstopping the three nodes …");
}

process.exit(await main());
