// A node leaves its cluster by command and becomes standalone in place; and one that is killed on the way.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readDatabase } from "../../src/fs/disk/read-database.ts";
import { changeCommand } from "../../src/shell/command/cluster/change.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

let cluster: ReloadCluster;
beforeEach(() => {
  cluster = new ReloadCluster();
});
afterEach(() => cluster.close());

async function leave(nodeid: number, dryRun = false) {
  let [out, error] = ["", ""];
  const code = await changeCommand(
    {
      ...{ root: cluster.root(nodeid), json: false, dryRun, isYes: true },
      write: (text) => void (out += text),
      note: () => undefined,
    },
    {
      ...{ method: "POST", path: "/cluster/leave", words: {}, question: "Sure?" },
      done: "This node is standalone.",
    },
  ).catch((reason: unknown) => {
    error = String(reason);
    return 1;
  });
  return { code, out, error };
}

/** What the page for operators shows of a leave of pve3. */
function promised(): string {
  const page = readFileSync(join(import.meta.dir, "../../docs/leave.md"), "utf8");
  const [, shown = ""] = /^pve3# quorate leave --yes\n(.*?)^pve3# /ms.exec(page) ?? [];
  return shown.replaceAll(/config-\d+/g, "config-N");
}

function asOnPage(out: string, nodeid: number): string {
  return out
    .replaceAll(cluster.root(nodeid), "")
    .replaceAll(/config-\d+/g, "config-N")
    .replaceAll(/\bn([123])\b/g, "pve$1");
}

async function started(...nodes: readonly number[]): Promise<void> {
  const conf = cluster.conf({ version: 1, nodes });
  for (const nodeid of nodes) cluster.start(nodeid, conf);
  await cluster.all(nodes, (s) => s.ring.members.length === nodes.length && s.tree.writable);
}

/** Standalone, with its own things and nothing of the cluster. */
async function hasLeft(nodeid: number): Promise<void> {
  const paths = nodePaths(cluster.root(nodeid));
  await until(
    async () => {
      const names = await cluster
        .client(nodeid)
        .list("nodes")
        .then(
          (entries) => entries.map(({ name }) => name),
          () => [],
        );
      const isSettled = !existsSync(join(paths.operationDir, "operation.json"));
      return isSettled && names.join() === `n${nodeid}` ? ready(undefined) : pending(names.join());
    },
    90_000,
    "the node has left",
  );
  const client = cluster.client(nodeid);
  expect(Buffer.from(await client.read(`nodes/n${nodeid}/qemu-server/100.conf`)).toString()).toBe(
    "cores: 1\n",
  );
  expect(await client.read("corosync.conf").catch(String)).toContain("ENOENT");
  expect((await client.status()).tree.writable).toBe(true);
  expect(existsSync(paths.conf) || existsSync(paths.authkey)).toBe(false);
  expect(existsSync(join(paths.operationDir, "leaving.json"))).toBe(false);
  const kept = readdirSync(join(paths.treeDir, "backup"));
  expect(kept.filter((name) => /^config-\d+\.sql\.gz$/.test(name))).toHaveLength(1);
}

async function untilStored(nodeid: number, text: string): Promise<void> {
  const database = join(nodePaths(cluster.root(nodeid)).treeDir, "config.db");
  const look = () => {
    const rows = readDatabase(database, undefined, false);
    const conf = rows.ok ? rows.value.find(({ name }) => name === "corosync.conf") : undefined;
    const found = Buffer.from(conf?.data ?? "").toString();
    return found.includes(text) ? ready(undefined) : pending(rows.ok ? found : rows.reason);
  };
  await until(look, 90_000, `corosync.conf on the disk of node ${nodeid} has ${text}`);
}

async function othersGoOn(...nodes: readonly number[]): Promise<void> {
  const statuses = await cluster.all(
    nodes,
    (s) => s.ring.members.length === nodes.length && s.nodes.length === nodes.length,
  );
  for (const { quorum } of statuses) {
    expect([quorum.quorate, quorum.expectedVotes]).toEqual([true, nodes.length]);
  }
}

async function withGuest(nodeid: number): Promise<void> {
  const client = cluster.client(1);
  for (const id of [1, 2, 3]) {
    for (const path of ["nodes", `nodes/n${id}`, `nodes/n${id}/qemu-server`]) {
      await client.mkdir(path).catch(() => undefined);
    }
  }
  await client.put(`nodes/n${nodeid}/qemu-server/100.conf`, Buffer.from("cores: 1\n"));
}

test("a node leaves: standalone with its own tree, the others go on with quorum", async () => {
  await started(1, 2, 3);
  await withGuest(3);
  const shown = await leave(3, true);
  expect(shown.out).toContain("take n3 out of corosync.conf");
  expect(shown.out).toContain("-    name: n3\n");
  const done = await leave(3);
  expect(done).toMatchObject({ code: 0, error: "" });
  expect(asOnPage(done.out, 3)).toBe(promised());
  await hasLeft(3);
  await othersGoOn(1, 2);
  const again = await leave(3);
  expect(again).toMatchObject({ code: 0, error: "" });
  expect(again.out).toContain("already");
  await cluster.stop(2);
  await cluster.status(1, (s) => s.ring.members.length === 1);
  expect((await leave(1)).error).toContain("no quorum");
}, 240_000);

test("killed as soon as corosync.conf does not name it any more: its next start is that of a standalone node", async () => {
  await started(1, 2, 3);
  await withGuest(3);
  const begun = leave(3);
  // On its own disk too: killed before, it would not know that the others have taken it out.
  await untilStored(3, "config_version: 2");
  await cluster.kill(3);
  cluster.startAgain(3);
  await hasLeft(3);
  await begun;
  await othersGoOn(1, 2);
}, 240_000);
