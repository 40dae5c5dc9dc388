// Lines for the cluster log: in order, patient with a node that restarts, and never in the way of an upgrade.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { treeSource } from "../../../test/double/tree-source.ts";
import { ConfigurationTree } from "../../fs/fs.ts";
import { buildApi } from "../api/api.ts";
import { listen } from "../api/api-socket.ts";
import { clusterLogTextMax, type ClusterLogLine } from "../api/cluster-log-line.ts";
import { ClusterLog } from "./cluster-log.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});

async function node() {
  const directory = mkdtempSync(join(tmpdir(), "quorate-cluster-log-"));
  undo.push(() => rmSync(directory, { recursive: true }));
  const opened = await ConfigurationTree.open({
    ...{ directory, nodeid: 1, nodeName: "n1", pid: 1, groups: undefined, cluster: undefined },
    ...{ corosyncConfPath: join(directory, "corosync.conf"), durability: "normal" as const },
    wallS: () => 1000,
    log: () => {},
    onFatal: (reason) => expect(reason).toBeUndefined(),
    onCorosyncConf: () => {},
  });
  if (!opened.ok) throw new Error(opened.reason);
  undo.push(() => opened.value.stop());
  const lines: ClusterLogLine[] = [];
  const source = treeSource(opened.value, { logToCluster: (line) => void lines.push(line) });
  return { socket: join(directory, "api.sock"), app: buildApi(source), lines };
}

test("lines arrive in order, cut to what an entry holds", async () => {
  const { socket, app, lines } = await node();
  const listening = listen(app, socket);
  undo.push(() => listening.close());
  const notes: string[] = [];
  const clusterLog = new ClusterLog({ socket, note: (text) => notes.push(text) });
  clusterLog.add("swapped", "2 has the place of 1");
  clusterLog.add("rolled back", "x".repeat(5000));
  await clusterLog.end();
  expect(notes).toEqual([]);
  expect(lines.map(({ tag, priority }) => ({ tag, priority }))).toEqual([
    { tag: "quorate", priority: 6 },
    { tag: "quorate", priority: 3 },
  ]);
  expect(lines[0]?.message).toBe("upgrade swapped: 2 has the place of 1");
  expect(lines[1]?.message).toHaveLength(clusterLogTextMax);
});

test("a node that is not there yet gets its line when it is", async () => {
  const { socket, app, lines } = await node();
  const notes: string[] = [];
  const clusterLog = new ClusterLog({ socket, note: (text) => notes.push(text) });
  clusterLog.add("kept", "2");
  const listening = listen(app, socket);
  undo.push(() => listening.close());
  await clusterLog.end();
  expect(lines).toHaveLength(1);
  expect(notes).toEqual([]);
});

test("without a node it gives up and says so", async () => {
  const notes: string[] = [];
  const socket = join(tmpdir(), "quorate-nobody.sock");
  const clusterLog = new ClusterLog({ socket, patienceMs: 0, note: (text) => notes.push(text) });
  clusterLog.add("staged", "2");
  await clusterLog.end();
  expect(notes).toHaveLength(1);
  expect(notes[0] ?? "").toStartWith('the cluster\'s log does not have "staged": no node');
});

const refused = [
  { tag: "quorate", priority: 8, message: "x" },
  { tag: "Quorate!", priority: 6, message: "x" },
  { tag: "quorate", priority: 6, message: "" },
  { tag: "quorate", priority: 6, message: "a\0b" },
  { tag: "quorate", priority: 6, message: "x".repeat(clusterLogTextMax + 1) },
  {},
].map((body) => JSON.stringify(body));

test.each(refused)("the local API refuses %s", async (body) => {
  const { app, lines } = await node();
  const answer = await app.request("/v1/log", { method: "POST", body });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ error: { errno: "EREQUEST" } });
  expect(lines).toEqual([]);
});
