// A key is changed while one node is late (knet.md §3.5): its main thread is busy, so that it checks the new file only when all others have
// done with the old key; or it has not heard of the reload at all, and is spoken to with a key that it has on disk only.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { loadSettings } from "../../src/node/settings/load-settings.ts";
import type { RingCluster } from "../../src/node/thread/cluster.ts";
import { RingThreadClient } from "../../src/node/thread/client.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const waitMsMax = 60_000;
const forgotten = "the old ones are forgotten";
const both = [1, 2];
const folders: ReloadCluster[] = [];
const running: RingCluster[] = [];

afterAll(async () => {
  await Promise.all(running.map((cluster) => cluster.stop()));
  for (const { folder } of folders) rmSync(folder, { recursive: true, force: true });
});

function newFiles(): ReloadCluster {
  const files = new ReloadCluster();
  folders.push(files);
  for (const nodeid of both) {
    for (const part of ["etc/corosync", "var/lib/corosync"]) {
      mkdirSync(`${files.root(nodeid)}/${part}`, { recursive: true });
    }
  }
  return files;
}

function write(files: ReloadCluster, version: number, key: number): void {
  for (const nodeid of both) {
    const { conf, authkey } = nodePaths(files.root(nodeid));
    writeFileSync(conf, files.conf({ version, nodes: both }));
    writeFileSync(authkey, new Uint8Array(256).fill(key));
  }
}

/** A node in this process; `mayRead` holds its main thread up before it reads a new file. */
async function start(files: ReloadCluster, nodeid: number, mayRead: Promise<void>) {
  const { conf, authkey, stateDir, deviceDir } = nodePaths(files.root(nodeid));
  const configPaths = { conf, authkey };
  const lines: string[] = [];
  const settings = await loadSettings(configPaths, `n${nodeid}`);
  if (!settings.ok) throw new Error(settings.reason);
  const cluster = new RingThreadClient({
    ...{ settings: settings.value, stateDir, deviceDir, configPaths, pid: 1000 + nodeid },
    load: async () => {
      await mayRead;
      return loadSettings(configPaths, `n${nodeid}`);
    },
    log: ({ text }) => lines.push(text),
  });
  const reason = await cluster.start(settings.value);
  if (reason !== "") throw new Error(reason);
  running.push(cluster);
  return { cluster, lines };
}

const ringOf = ({ quorum }: RingCluster): number | undefined =>
  quorum?.members.length === 2 ? quorum.ring.seq : undefined;

/** Its sequence. */
function ringOfTwo(nodes: readonly RingCluster[]): Promise<number> {
  return until(
    () => {
      const seqs = nodes.map(ringOf);
      const [first] = seqs;
      const isWhole = first !== undefined && seqs.every((seq) => seq === first);
      return isWhole ? ready(first) : pending(seqs.join(" "));
    },
    waitMsMax,
    "two nodes form a ring",
  );
}

test("a key whose file is checked late costs the ring nothing", async () => {
  const files = newFiles();
  write(files, 1, 1);
  const late = Promise.withResolvers<void>();
  const prompt = await start(files, 1, Promise.resolve());
  const busy = await start(files, 2, late.promise);
  const nodes = [prompt.cluster, busy.cluster];
  const ring = await ringOfTwo(nodes);
  write(files, 2, 2);
  expect(await prompt.cluster.reload()).toMatchObject({ ok: true, configVersion: 2 });
  const hasForgotten = (lines: readonly string[]) => () =>
    lines.some((line) => line.includes(forgotten)) ? ready(undefined) : pending(lines.join("\n"));
  await until(hasForgotten(prompt.lines), waitMsMax, "node 1 has done with the old key");
  expect(busy.cluster.settings.configVersion).toBe(1);
  late.resolve();
  await until(hasForgotten(busy.lines), waitMsMax, "node 2 has done with the old key");
  expect(nodes.map(ringOf)).toEqual([ring, ring]);
}, 200_000);

test("a node that has missed a reload takes its key from disk when nobody uses the old one", async () => {
  const files = newFiles();
  write(files, 1, 1);
  const late = await start(files, 2, Promise.resolve());
  write(files, 2, 2);
  const ahead = await start(files, 1, Promise.resolve());
  await ringOfTwo([late.cluster, ahead.cluster]);
  await until(
    () => (late.cluster.settings.configVersion === 2 ? ready(undefined) : pending("version 1")),
    waitMsMax,
    "node 2 reads the file as well",
  );
  expect(late.lines.filter((line) => line.includes("the one on disk does"))).toHaveLength(1);
}, 200_000);
