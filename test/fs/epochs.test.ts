// Whole trees with real databases that meet: the tree of the newest epoch leads among quorate nodes, an original's rule holds where one is
// a member, and what loses is kept. An original is played by a node that never joins the group of the quorate ones.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigurationTree } from "../../src/fs/fs.ts";
import { ownGroup } from "../../src/fs/epoch/message.ts";
import type { Durability } from "../../src/fs/tree-options.ts";
import type { GroupPort } from "../../src/world.ts";
import { MemberBus } from "./member-bus.ts";
import { plainQuorum } from "./plain-quorum.ts";

const waitMs = 3000;
let root = "";
let opened: ConfigurationTree[] = [];
let lines: string[] = [];
let bus: MemberBus;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quorate-epochs-"));
  bus = new MemberBus();
  opened = [];
  lines = [];
});
afterEach(async () => {
  await Promise.all(opened.map((tree) => tree.stop()));
  rmSync(root, { recursive: true, force: true });
});

/** One that has never heard of the group of the quorate nodes. */
function original(port: GroupPort): GroupPort {
  return {
    self: port.self,
    request: (request) => request.group === ownGroup || port.request(request),
    whenRoom: (act) => port.whenRoom(act),
    caughtUp: () => port.caughtUp(),
    listen: (listener) =>
      port.listen((events) =>
        listener(events.filter((event) => event.kind === "stable" || event.group !== ownGroup)),
      ),
  };
}

let pid = 1000;
async function start(
  nodeid: number,
  {
    isOriginal = false,
    durability = "full",
  }: { isOriginal?: boolean; durability?: Durability } = {},
): Promise<ConfigurationTree> {
  pid += 1;
  const port = bus.port(nodeid, pid);
  const groups = isOriginal ? original(port) : port;
  const corosyncConfPath = join(root, "corosync.conf");
  writeFileSync(corosyncConfPath, "totem {\n  cluster_name: lab\n  config_version: 1\n}\n");
  const result = await ConfigurationTree.open({
    ...{
      directory: join(root, `n${nodeid}`),
      nodeid,
      nodeName: `n${nodeid}`,
      pid,
      groups,
      durability,
    },
    cluster: { name: "lab", configVersion: 1, nodes: [] },
    corosyncConfPath,
    lockTries: 1,
    wallS: () => 1_800_000_000,
    log: ({ text }) => void lines.push(`${nodeid} ${text}`),
    onFatal: (reason) => void lines.push(`${nodeid} fatal ${reason}`),
    onCorosyncConf: () => undefined,
  });
  if (!result.ok) throw new Error(result.reason);
  opened.push(result.value);
  result.value.setQuorum(plainQuorum(true), "");
  return result.value;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + waitMs;
  while (!isSo()) {
    if (performance.now() > endMs)
      throw new Error(
        `never: ${what}\n${lines.join("\n")}\n${opened.map((t) => JSON.stringify(t.status())).join("\n")}`,
      );
    await new Promise(setImmediate);
  }
}

async function together(...trees: ConfigurationTree[]): Promise<void> {
  await until("one tree, agreed", () =>
    trees.every((tree) => {
      const { mode, members, digest, promise } = tree.status();
      const isWhole = mode === "synced" && members.length === trees.length;
      return isWhole && promise?.isAgreed === true && digest === trees[0]?.status().digest;
    }),
  );
}

async function stop(...trees: ConfigurationTree[]): Promise<void> {
  await Promise.all(trees.map((tree) => tree.stop()));
  opened = opened.filter((tree) => !trees.includes(tree));
}

/** What pmxcfs does when it runs on this database in between: `count` changes, and one file of this name. */
function asPmxcfs(nodeid: number, count: number, name: string): void {
  const database = new Database(join(root, `n${nodeid}`, "config.db"));
  const { version } = database.query("SELECT version FROM tree WHERE inode = 0").get() as {
    version: number;
  };
  const after = version + count;
  database.run(`INSERT INTO tree VALUES (${after}, 0, ${after}, 9, 5, 8, '${name}', x'31')`);
  database.run(`UPDATE tree SET version = ${after}, writer = 9, mtime = 5 WHERE inode = 0`);
  database.close();
}

const has = (tree: ConfigurationTree, path: string): boolean => tree.stat(path).ok;
const written = async (tree: ConfigurationTree, path: string): Promise<void> => {
  expect(await tree.create(path)).toMatchObject({ ok: true });
};

test("each time they meet the epoch is a higher one, and a majority's disks count", async () => {
  const [a, b] = [await start(1), await start(2)];
  await together(a, b);
  await written(a, "one");
  const first = a.status().promise?.epoch ?? 0;
  expect(a.status().promise).toMatchObject({ isAgreed: true, silent: [] });
  const c = await start(3);
  await together(a, b, c);
  expect(c.status().promise?.epoch).toBeGreaterThan(first);
  expect(new Set([a, b, c].map((tree) => tree.status().promise?.epoch)).size).toBe(1);
  await written(c, "two");
});

test("an older tree of a higher version loses to a newer epoch, and is kept", async () => {
  const [a, b] = [await start(1), await start(2)];
  await together(a, b);
  await written(a, "before");
  await stop(b);
  await written(a, "while-away");
  await stop(a);
  asPmxcfs(2, 50, "mine-alone");
  const [again, back] = [await start(1), await start(2)];
  await together(again, back);
  expect(has(back, "while-away")).toBe(true);
  expect(has(again, "mine-alone")).toBe(false);
  expect(back.lostTrees.list().length).toBe(1);
  const kept = back.lostTrees.read(back.lostTrees.list()[0]!.name);
  expect(kept).toMatchObject({ ok: true, value: { paths: ["mine-alone"] } });
  await until("all nodes hear of it", () =>
    [again, back].every((tree) => {
      const read = tree.read(".clusterlog");
      return read.ok && new TextDecoder().decode(read.value).includes("lacks: mine-alone");
    }),
  );
});

test("with an original among them the highest version leads, and what it lacks is kept", async () => {
  const [a, b] = [await start(1), await start(2)];
  await together(a, b);
  await written(a, "mine");
  await stop(a, b);
  const old = await start(3, { isOriginal: true });
  await stop(old);
  asPmxcfs(3, 90, "of-the-original");
  const leader = await start(3, { isOriginal: true });
  const back = await start(1);
  await until("one tree", () => back.status().mode === "synced" && has(back, "of-the-original"));
  await until("agreed", () => back.status().promise?.isAgreed === true);
  expect(has(back, "mine")).toBe(false);
  expect(back.lostTrees.list().length).toBe(1);
  // Its disk says nothing: durable here and held by all is what an answer means.
  expect(back.status().promise?.silent).toEqual([3]);
  await written(back, "with-an-original");
  expect(has(leader, "with-an-original")).toBe(true);
});

test("a node that does not flush cannot say what its disk has", async () => {
  const [a, b] = [await start(1), await start(2, { durability: "normal" })];
  await together(a, b);
  expect(a.status().promise?.silent).toEqual([2]);
  expect(b.status().promise?.silent).toEqual([2]);
  await written(a, "one");
  await written(b, "two");
});

test("what was written by the mount's rules is durable once it is synced", async () => {
  const [a, b] = [await start(1), await start(2)];
  await together(a, b);
  expect(await a.create("file", "held")).toMatchObject({ ok: true });
  expect(await a.write("file", 0, new Uint8Array(3), "held")).toMatchObject({ ok: true });
  expect(await a.sync()).toMatchObject({ ok: true });
  expect(await a.write("file", 0, new Uint8Array(4), "held")).toMatchObject({ ok: true });
  a.setQuorum(plainQuorum(false), "nobody is there");
  expect(await a.sync()).toMatchObject({ ok: false });
  // Said once, as a local file system does.
  expect(await a.sync()).toMatchObject({ ok: true });
});
