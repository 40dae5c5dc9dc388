// The tree as a whole on real databases: local mode, a cluster of three over an in-memory group, quorum, disk errors,
// corosync.conf, restart. The wire underneath is test/fs/member-bus.ts.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemberBus, type MemberPort } from "../../test/fs/member-bus.ts";
import { bytesOf } from "../bytes.ts";
import { systemClock } from "../deadlines.ts";
import type { LogAction } from "../world.ts";
import type { Outcome } from "./tree/files.ts";
import { readDatabase } from "./disk/read-database.ts";
import { ConfigurationTree } from "./fs.ts";
import type { TreeOptionsOfNode } from "./tree-options.ts";
import { plainQuorum } from "../../test/fs/plain-quorum.ts";

let root = "";
let opened: ConfigurationTree[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quorate-fs-"));
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((tree) => tree.stop()));
  rmSync(root, { recursive: true, force: true });
});

const conf = (version: number) =>
  `totem {\n  cluster_name: lab\n  config_version: ${version}\n  version: 2\n}\n`;

interface Node {
  tree: ConfigurationTree;
  directory: string;
  confPath: string;
  log: LogAction[];
  fatal: string[];
  confs: { version: number; reload: boolean }[];
}

async function start(nodeid: number, over: Partial<TreeOptionsOfNode> = {}): Promise<Node> {
  const directory = over.directory ?? join(root, `n${nodeid}`);
  const confPath = join(root, `corosync-${nodeid}.conf`);
  const node = { directory, confPath, log: [], fatal: [], confs: [] } as Omit<Node, "tree"> as Node;
  const result = await ConfigurationTree.open({
    directory,
    nodeid,
    nodeName: `n${nodeid}`,
    pid: 1000 + nodeid,
    groups: undefined,
    cluster: {
      name: "lab",
      configVersion: 1,
      nodes: [1, 2, 3].map((id) => ({ nodeid: id, name: `n${id}` })),
    },
    corosyncConfPath: confPath,
    durability: "full",
    lockTries: 1,
    gid: 33,
    wallS: () => 1_800_000_000,
    log: (line) => node.log.push(line),
    onFatal: (reason) => node.fatal.push(reason),
    onCorosyncConf: (change) => node.confs.push(change),
    ...over,
  });
  if (!result.ok) throw new Error(result.reason);
  node.tree = result.value;
  opened.push(node.tree);
  return node;
}

/** Waits for a condition by turns of the event loop. */
async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 3000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function cluster(
  bus: MemberBus,
  ids = [1, 2, 3],
): Promise<{ nodes: Node[]; ports: MemberPort[] }> {
  const ports = ids.map((nodeid) => bus.port(nodeid));
  const nodes: Node[] = [];
  for (const port of ports)
    nodes.push(
      await start(port.self.nodeid, { groups: port, address: `10.0.0.${port.self.nodeid}` }),
    );
  for (const { tree } of nodes) tree.setQuorum(plainQuorum(true), "");
  await until(() => nodes.every(({ tree }) => tree.status().mode === "synced"), "all synced");
  await until(
    () => nodes.every(({ tree }) => tree.status().members.length === ids.length),
    "all members",
  );
  return { nodes, ports };
}

const errnoOf = (outcome: Outcome<unknown>) => (outcome.ok ? "ok" : outcome.errno);
const textOf = (tree: ConfigurationTree, path: string) => {
  const read = tree.read(path);
  return read.ok ? Buffer.from(read.value).toString("latin1") : read.errno;
};
/** As pmxcfs reads them; none while the copy that is read is half of one commit. */
const rowsOf = (directory: string) => {
  const read = readDatabase(join(directory, "config.db"));
  return read.ok ? read.value.map((row) => ({ ...row, type: row.type & 255 })) : [];
};

test("local mode: writes are stored with writer 0 and survive a restart", async () => {
  const first = await start(1);
  expect(first.tree.status()).toMatchObject({
    mode: "local",
    writable: true,
    version: 1,
    members: [],
  });
  expect(errnoOf(await first.tree.mkdir("d"))).toBe("ok");
  expect(errnoOf(await first.tree.create("d/\xff"))).toBe("ok");
  expect(await first.tree.write("d/\xff", 0, bytesOf("hello"))).toEqual({ ok: true, value: 5 });
  expect(first.tree.status()).toMatchObject({ version: 4, entries: 3, bytes: 5, writes: 3 });
  const digest = first.tree.status().digest;
  await first.tree.stop();
  const second = await start(1);
  expect(second.tree.status()).toMatchObject({ version: 4, digest });
  expect(textOf(second.tree, "d/\xff")).toBe("hello");
  expect(rowsOf(first.directory).map(({ writer }) => writer)).toEqual([0, 0, 0]);
});

test("a write is on disk when its promise resolves", async () => {
  const { tree, directory } = await start(1);
  await tree.create("a");
  // A copy of the files at this moment is what a crash would leave.
  const copy = join(root, "crashed");
  await Bun.$`cp -r ${directory} ${copy}`;
  const again = await start(2, { directory: copy });
  expect(again.tree.stat("a").ok).toBe(true);
});

test("one commit takes all changes of a turn, and answers come in order", async () => {
  const { tree } = await start(1);
  const order: number[] = [];
  const writes = Array.from({ length: 50 }, async (_, i) => {
    await tree.create(`f${i}`);
    order.push(i);
  });
  await Promise.all(writes);
  expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(tree.status().version).toBe(51);
});

test("a second node on the same directory gets one clear sentence", async () => {
  const { directory } = await start(1);
  const second = await start(2, { directory }).catch((error: Error) => error.message);
  expect(second).toMatch(/another node or a pmxcfs is running on .*\.pmxcfs\.lockfile/);
});

test("a fresh cluster node imports corosync.conf: rows 0 and 2 of version 3, writer 0", async () => {
  const bus = new MemberBus();
  writeFileSync(join(root, "corosync-1.conf"), conf(1));
  const node = await start(1, { groups: bus.port(1) });
  await until(() => node.tree.status().mode === "synced", "synced");
  expect(rowsOf(node.directory)).toMatchObject([
    { inode: 0, version: 3, writer: 0, type: 8, name: "__version__" },
    { inode: 2, version: 3, writer: 0, type: 8, name: "corosync.conf" },
  ]);
});

test("three nodes agree: own writes are answered after delivery, everybody has them", async () => {
  const { nodes } = await cluster(new MemberBus());
  const [one, two, three] = nodes as [Node, Node, Node];
  expect(errnoOf(await one.tree.mkdir("d"))).toBe("ok");
  expect(errnoOf(await two.tree.mkdir("d"))).toBe("EEXIST");
  expect(errnoOf(await three.tree.create("d/x"))).toBe("ok");
  expect(errnoOf(await two.tree.write("d/x", 0, bytesOf("hi")))).toBe("ok");
  await until(() => nodes.every(({ tree }) => tree.status().version === 4), "version 4 everywhere");
  const digests = new Set(nodes.map(({ tree }) => tree.status().digest));
  expect(digests.size).toBe(1);
  await until(() => rowsOf(one.directory)[0]?.version === 4, "stored");
  expect(rowsOf(one.directory)).toMatchObject([
    { writer: 2, type: 8 },
    { name: "d", writer: 1 },
    { name: "x", writer: 2 },
  ]);
});

test("parallel writers on all nodes end in one tree, each answered", async () => {
  const { nodes } = await cluster(new MemberBus());
  const results = await Promise.all(
    nodes.flatMap(({ tree }, n) =>
      Array.from({ length: 30 }, (_, i) => tree.create(i % 3 === 0 ? `same${i}` : `own${n}-${i}`)),
    ),
  );
  expect(results.filter((result) => result.ok).length).toBe(10 + 60);
  expect(results.filter((result) => !result.ok && result.errno === "EEXIST").length).toBe(20);
  await until(
    () => nodes.every(({ tree }) => tree.status().version === 71),
    "all changes everywhere",
  );
  expect(new Set(nodes.map(({ tree }) => tree.status().digest)).size).toBe(1);
});

test("when the ring has ended, callers that wait and all later ones are told, and the tree stops", async () => {
  const bus = new MemberBus();
  const { nodes, ports } = await cluster(bus);
  const [one] = nodes as [Node];
  const reason = "this node was removed from the cluster";
  ports[0]!.isMute = true;
  const sent = one.tree.create("sent");
  await until(() => ports[0]!.inbox.length > 0, "on its way");
  ports[0]!.isFull = true;
  const queued = one.tree.mkdir("queued");
  one.tree.abandon(reason);
  for (const change of [sent, queued, one.tree.create("later")]) {
    expect(await change).toEqual({ ok: false, errno: "EIO", reason });
  }
  expect(one.tree.status()).toMatchObject({ mode: "error", writable: false, reason });
  await one.tree.stop();
});

test("without quorum reads work, modes show it, writes are refused with the reason", async () => {
  const { nodes } = await cluster(new MemberBus());
  const { tree } = nodes[0]!;
  await tree.create("a");
  tree.setQuorum(plainQuorum(false), "1 of 3 votes present, 2 needed: nodes n2, n3 are missing");
  expect(tree.stat("a")).toMatchObject({ ok: true, value: { mode: 0o440 } });
  expect(tree.stat("local")).toMatchObject({ ok: true, value: { mode: 0o555 } });
  expect(tree.stat("")).toMatchObject({ ok: true, value: { mode: 0o755 } });
  const refusal = await tree.create("b");
  expect(refusal).toMatchObject({ ok: false, errno: "EACCES" });
  expect(!refusal.ok && refusal.reason).toContain("n2, n3 are missing");
  expect(tree.status()).toMatchObject({
    writable: false,
    reason: expect.stringContaining("2 needed"),
  });
  tree.setQuorum(plainQuorum(true), "");
  expect(errnoOf(await tree.create("b"))).toBe("ok");
});

test("a call made while a state exchange runs waits for its end", async () => {
  const bus = new MemberBus();
  const { nodes } = await cluster(bus, [1, 2]);
  const mute = bus.port(3);
  mute.isMute = true;
  mute.request({ kind: "join", group: "pve_dcdb_v1\0" });
  await until(() => nodes.every(({ tree }) => tree.status().mode === "synchronising"), "exchange");
  let answered = false;
  const write = nodes[0]!.tree.create("a").then((result) => {
    answered = true;
    return result;
  });
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(answered).toBe(false);
  bus.crash(mute);
  expect(errnoOf(await write)).toBe("ok");
});

test("a node that was away is filled up and stores it with record type 4", async () => {
  const bus = new MemberBus();
  const { nodes, ports } = await cluster(bus);
  await nodes[2]!.tree.stop();
  bus.crash(ports[2]!);
  for (let i = 0; i < 20; i += 1) expect(errnoOf(await nodes[0]!.tree.create(`f${i}`))).toBe("ok");
  const back = await start(3, { groups: bus.port(3, 4000) });
  back.tree.setQuorum(plainQuorum(true), "");
  await until(
    () => back.tree.status().mode === "synced" && back.tree.status().version === 21,
    "filled up",
  );
  expect(back.tree.status().digest).toBe(nodes[0]!.tree.status().digest);
  await until(() => rowsOf(back.directory).length === 21, "stored");
  expect(rowsOf(back.directory)[0]).toMatchObject({ inode: 0, version: 21, type: 4 });
  expect(back.tree.read(".version")).toMatchObject({ ok: true });
  expect(textOf(back.tree, ".version")).toContain(`"user.cfg": 2,\n`);
});

test("a refused send is tried again", async () => {
  const { nodes, ports } = await cluster(new MemberBus());
  ports[0]!.isFull = true;
  const write = nodes[0]!.tree.create("a");
  ports[0]!.isFull = false;
  expect(errnoOf(await write)).toBe("ok");
});

test("a disk error ends the member: EIO, one fatal sentence, out of the group", async () => {
  const { nodes, ports } = await cluster(new MemberBus());
  const node = nodes[0]!;
  // From another process: locks of one do not keep a second library in it from taking the log away.
  const drop =
    "new (require('bun:sqlite').Database)(process.argv[1]).run('PRAGMA busy_timeout=9999; DROP TABLE tree')";
  const path = join(node.directory, "config.db");
  const dropped = Bun.spawn([process.execPath, "-e", drop, path], { stderr: "inherit" });
  expect(await dropped.exited).toBe(0);
  const result = await node.tree.create("a");
  expect(result).toMatchObject({ ok: false, errno: "EIO" });
  expect(node.fatal).toHaveLength(1);
  expect(node.fatal[0]).toContain("config.db");
  expect(node.tree.status().mode).toBe("error");
  expect(errnoOf(await node.tree.create("b"))).toBe("EIO");
  expect(ports[0]!.requests).toContainEqual({ kind: "leave", group: "pve_dcdb_v1\0" });
  await until(() => nodes[1]!.tree.status().members.length === 2, "the others go on");
  expect(errnoOf(await nodes[1]!.tree.create("c"))).toBe("ok");
});

test("a change of corosync.conf reaches every local file; the writer reloads", async () => {
  for (const id of [1, 2, 3]) writeFileSync(join(root, `corosync-${id}.conf`), conf(1));
  const { nodes } = await cluster(new MemberBus());
  const [one, two] = nodes as [Node, Node, Node];
  const next = bytesOf(conf(2));
  await one.tree.create("corosync.conf.new");
  await one.tree.write("corosync.conf.new", 0, next);
  expect(errnoOf(await one.tree.rename("corosync.conf.new", "corosync.conf"))).toBe("ok");
  await until(
    () => nodes.every(({ confs }) => confs.some(({ version }) => version === 2)),
    "written",
  );
  expect(one.confs.at(-1)).toEqual({ version: 2, reload: true });
  expect(two.confs.at(-1)).toEqual({ version: 2, reload: false });
  expect(readFileSync(two.confPath, "utf8")).toBe(conf(2));
  await one.tree.write("corosync.conf", 0, bytesOf(conf(1)));
  await until(
    () => two.log.some(({ text }) => text.includes("local corosync.conf is newer")),
    "refused",
  );
  expect(readFileSync(two.confPath, "utf8")).toBe(conf(2));
});

test("a database with content and without corosync.conf is never brought into a cluster", async () => {
  const alone = await start(1);
  await alone.tree.create("precious");
  await alone.tree.stop();
  const bus = new MemberBus();
  const port = bus.port(1);
  const again = await start(1, { groups: port });
  expect(again.tree.status().mode).toBe("local");
  expect(port.requests).toEqual([]);
  expect(again.log.some(({ text }) => text.includes("kept apart from the cluster"))).toBe(true);
});

test("a database with nothing but what a standalone node makes for itself begins anew in a cluster", async () => {
  const alone = await start(1);
  for (const path of ["nodes", "nodes/n1", "nodes/n1/lxc", "priv"]) await alone.tree.mkdir(path);
  await alone.tree.create("priv/pve-root-ca.key");
  await alone.tree.create("nodes/n1/pve-ssl.pem");
  await alone.tree.stop();
  writeFileSync(alone.confPath, conf(1));
  const bus = new MemberBus();
  const again = await start(1, { groups: bus.port(1) });
  expect(again.tree.status().mode).not.toBe("local");
  expect(textOf(again.tree, "corosync.conf")).toBe(conf(1));
  expect(errnoOf(again.tree.stat("nodes"))).toBe("ENOENT");
  await again.tree.stop();
  expect(rowsOf(alone.directory).map(({ name }) => name)).toEqual(["__version__", "corosync.conf"]);
});

test("locks: held once, refreshed by the holder only, an unlock request is refused to its caller", async () => {
  const { nodes } = await cluster(new MemberBus());
  const [one, two] = nodes as [Node, Node, Node];
  await one.tree.mkdir("priv");
  await one.tree.mkdir("priv/lock");
  expect(errnoOf(await one.tree.mkdir("priv/lock/L"))).toBe("ok");
  expect(errnoOf(await two.tree.mkdir("priv/lock/L"))).toBe("EEXIST");
  expect(errnoOf(await two.tree.setMtime("priv/lock/L", 1_900_000_000))).toBe("EACCES");
  expect(errnoOf(await one.tree.setMtime("priv/lock/L", 1_900_000_000))).toBe("ok");
  expect(errnoOf(await two.tree.setMtime("priv/lock/L", 0))).toBe("EACCES");
  expect(errnoOf(await two.tree.setMtime("priv/lock/none", 0))).toBe("ENOENT");
  expect(errnoOf(await two.tree.remove("priv/lock/L"))).toBe("ok");
});

test("an abandoned lock is freed in local mode after 120 s", async () => {
  let now = 0;
  const { tree } = await start(1, { clock: { ...systemClock, now: () => now } });
  for (const path of ["priv", "priv/lock", "priv/lock/L"]) await tree.mkdir(path);
  now = 120_000;
  expect(errnoOf(await tree.setMtime("priv/lock/L", 0))).toBe("EACCES");
  expect(tree.stat("priv/lock/L").ok).toBe(true);
  now = 120_001;
  expect(errnoOf(await tree.setMtime("priv/lock/L", 0))).toBe("ENOENT");
  expect(tree.stat("priv/lock/L").ok).toBe(false);
});

test("an empty file is extended with bytes, never by a bare size", async () => {
  const { nodes, ports } = await cluster(new MemberBus());
  await nodes[0]!.tree.create("a");
  const before = ports[0]!.requests.length;
  expect(errnoOf(await nodes[0]!.tree.truncate("a", 10))).toBe("ok");
  expect(textOf(nodes[0]!.tree, "a")).toBe("\0".repeat(10));
  const sent = ports[0]!.requests
    .slice(before)
    .flatMap((request) => (request.kind === "send" ? [request.message] : []));
  // NORMAL, then size and offset of the operation: one byte at 9.
  expect(new DataView(sent[0]!.buffer, sent[0]!.byteOffset).getUint32(24, true)).toBe(1);
  expect(new DataView(sent[0]!.buffer, sent[0]!.byteOffset).getUint32(28, true)).toBe(9);
});

test("what would harm an original member is never sent", async () => {
  const { nodes, ports } = await cluster(new MemberBus());
  const { tree } = nodes[0]!;
  for (const path of ["full", "full/x", "empty"]) await tree.mkdir(path);
  const before = ports[0]!.requests.length;
  expect(errnoOf(await tree.rename("full", "empty"))).toBe("ENOTEMPTY");
  expect(errnoOf(await tree.rename("empty", "empty/"))).toBe("ok");
  expect(errnoOf(await tree.rename("empty", "empty/sub"))).toBe("EINVAL");
  expect(errnoOf(await tree.truncate("full", 3))).toBe("EISDIR");
  expect(errnoOf(await tree.write("none", 0, bytesOf("x")))).toBe("ENOENT");
  expect(errnoOf(await tree.create("x".repeat(1025)))).toBe("ENAMETOOLONG");
  expect(errnoOf(await tree.write("full", 1_048_576, bytesOf("x")))).toBe("EFBIG");
  expect(ports[0]!.requests.length).toBe(before);
});

test("an answer waits until every member of the ring holds the change, and says so when that cannot be known", async () => {
  const { nodes, ports } = await cluster(new MemberBus(), [1, 2]);
  const [{ tree }, port] = [nodes[0]!, ports[0]!];
  port.isUnconfirmed = true;
  const answers: Outcome<undefined>[] = [];
  const first = tree.create("a").then((outcome) => answers.push(outcome));
  await until(() => tree.stat("a").ok, "applied");
  await until(() => rowsOf(nodes[0]!.directory).length === 2, "stored");
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(answers).toEqual([]);
  port.listener([{ kind: "stable", deliveries: port.deliveries }]);
  await first;
  expect(answers).toEqual([{ ok: true, value: undefined }]);
  const second = tree.create("b");
  await until(() => tree.stat("b").ok, "applied");
  tree.setQuorum(plainQuorum(false), "cut off");
  expect(await second).toMatchObject({
    ok: false,
    errno: "EBUSY",
    reason: expect.stringContaining("may hold or not"),
  });
});

test("members, addresses, values and the cluster log are shared", async () => {
  const { nodes } = await cluster(new MemberBus());
  const [one, two] = nodes as [Node, Node, Node];
  expect(one.tree.statusStore.set("kv/key", bytesOf("v\0"))).toMatchObject({ ok: true });
  one.tree.statusStore.log({
    ident: "root@pam",
    tag: "test",
    priority: 6,
    message: bytesOf("hello"),
  });
  await until(() => textOf(two.tree, ".version").includes(`"kv/key": 0`), "value seen");
  expect(textOf(two.tree, ".clusterlog")).toContain(`"tag": "test"`);
  await until(
    () => textOf(two.tree, ".members").includes(`"n3": { "id": 3, "online": 1, "ip": "10.0.0.3"}`),
    "address seen",
  );
  expect(textOf(two.tree, ".members")).toContain(
    `"cluster": { "name": "lab", "version": 1, "nodes": 3, "quorate": 1 }`,
  );
});
