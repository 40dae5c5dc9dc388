// `npm run demo`: a three-node cluster on this machine with a live view; `-- --check` plays a transcript instead and
// exits 0 only if every step holds.
import { accessSync, constants } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { reasonOf } from "../../src/result.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { checkTranscript } from "./check.ts";
import { type DemoNode, demoNodes, expectNoneRuns, form, prepare, until } from "./cluster.ts";
import { claim, Obstacle, unmount } from "./place.ts";
import { view } from "./view.ts";

const home = resolve(import.meta.dir, "../..");
const binary = join(home, `dist/quorate-linux-${process.arch}`);
const stopMsMax = 20_000;

const usage = `usage: npm run demo [-- --check]
  (nothing)  builds the executable, starts three nodes on 127.0.0.11-13 below ./demo, makes a cluster of them by create and
             join, shows them live; Ctrl-C stops them
  --check    plays the whole story by itself and ends with 0 only if every step holds
  --help     prints this
`;

function canMount(): boolean {
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

async function main(words: readonly string[]): Promise<number> {
  if (words.includes("--help") || words.includes("-h")) {
    process.stdout.write(usage);
    return 0;
  }
  const stranger = words.find((word) => word !== "--check");
  if (stranger !== undefined) {
    process.stderr.write(`demo: there is no option ${stranger}\n${usage}`);
    return 2;
  }
  const options = { command: [binary], directory: join(home, "demo"), mount: canMount() };
  claim(options.directory);
  const nodes = demoNodes(options);
  await expectNoneRuns(nodes);
  await build();
  prepare(nodes);
  return play(nodes, options.mount, words.includes("--check"));
}

async function build(): Promise<void> {
  const command = [process.execPath, join(home, "build/build.ts"), "--here"];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "inherit", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Obstacle("the executable was not built, see above");
}

async function play(nodes: readonly DemoNode[], mount: boolean, check: boolean): Promise<number> {
  const interrupt = Promise.withResolvers<void>();
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted = true;
      interrupt.resolve();
    });
  }
  try {
    for (const node of nodes) node.start();
    const cut = interrupt.promise.then(() => Promise.reject(new Error("interrupted")));
    await Promise.race([form(nodes, (text) => console.log(text)), cut]);
    if (check) return await Promise.race([checkTranscript(nodes, mount), cut]);
    await follow(nodes, mount, () => interrupted);
    return 0;
  } catch (error) {
    console.error(reasonOf(error));
    for (const node of nodes) console.error(`--- log of ${node.name}\n${node.logTail()}`);
    return 1;
  } finally {
    await Promise.all(nodes.map(stop));
  }
}

/** Also a node that a person started again, as the view says how; and the mount of one that was killed goes. */
async function stop(node: DemoNode): Promise<void> {
  const pid = (await node.status())?.node.pid;
  if (node.running) {
    const stopped = await Promise.race([
      node.end("SIGTERM").then(() => true),
      wait(stopMsMax, false),
    ]);
    if (!stopped) await node.end("SIGKILL");
  } else if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    await until(`${node.name} (process ${pid}) stops`, stopMsMax, async () =>
      (await node.status()) === undefined ? true : undefined,
    );
  }
  unmount(node.paths.mount);
}

/** Redraws the view each second until Ctrl-C. */
async function follow(
  nodes: readonly DemoNode[],
  mount: boolean,
  stopped: () => boolean,
): Promise<void> {
  let before: readonly (NodeStatus | undefined)[] = [];
  let at = performance.now();
  while (!stopped()) {
    const now = performance.now();
    const statuses = await Promise.all(nodes.map((node) => node.status()));
    const elapsedS = (now - at) / 1000;
    const from = process.cwd();
    console.log(view({ nodes, statuses, before, elapsedS, mount, binary, from }));
    before = statuses;
    at = now;
    for (let tenths = 0; tenths < 10 && !stopped(); tenths += 1) await wait(100);
  }
  console.log("\nstopping the three nodes …");
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Obstacle)) throw error;
  console.error(`demo: ${error.message}`);
  process.exitCode = 1;
}
