// What can be wrong at the start of a node: a fault of its own ends it with one clear sentence and a non-zero exit code, what others
// send does not, and nothing does harm.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { Database } from "bun:sqlite";
import { createTable } from "../../src/fs/disk/row.ts";
import { statusText } from "../../src/shell/command/status.ts";
import { decodePacket, encodePacket, pongOf, probeReplyOf } from "../../src/node/link/packet.ts";
import { encodeMessage } from "../../src/node/ring/message.ts";
import { NodeClient } from "../../src/shell/api/client.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";

const home = `${import.meta.dir}/../..`;
const key = new Uint8Array(256).map((_, at) => at);

function conf(names: readonly string[], network: string): string {
  const nodes = names.map(
    (name, at) => `node {\nname: ${name}\nnodeid: ${at + 1}\nring0_addr: ${network}.${at + 1}\n}`,
  );
  return `totem {\nversion: 2\ncluster_name: t\nconfig_version: 1\nsecauth: on\n}\nquorum {\nprovider: corosync_votequorum\n}\nnodelist {\n${nodes.join("\n")}\n}\n`;
}

interface Ended {
  readonly code: number;
  readonly error: string;
}

let folder = "";
let running: ReturnType<typeof Bun.spawn>[] = [];

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/quorate-start-`);
  running = [];
});

afterEach(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(running.map((child) => child.exited));
  rmSync(folder, { recursive: true });
});

function layOut(name: string, text: string, authkey: Uint8Array = key): string {
  const root = `${folder}/${name}`;
  for (const part of ["etc/corosync", "run", "var/lib/pve-cluster"]) {
    mkdirSync(`${root}/${part}`, { recursive: true });
  }
  writeFileSync(`${root}/etc/corosync/corosync.conf`, text);
  writeFileSync(`${root}/etc/corosync/authkey`, authkey, { mode: 0o600 });
  return root;
}

/** A database as of a new member whose corosync.conf never came into the tree. */
function emptyTree(root: string): void {
  const database = new Database(`${root}/var/lib/pve-cluster/config.db`, { create: true });
  database.run(createTable);
  database.run("INSERT INTO tree VALUES (0, 0, 1, 0, 1, 8, '__version__', NULL)");
  database.close();
}

function start(
  root: string,
  name: string,
  mount: readonly string[] = ["--no-mount"],
): ReturnType<typeof Bun.spawn> & { ended: Promise<Ended> } {
  const child = Bun.spawn(
    [
      process.execPath,
      `${home}/src/main.ts`,
      "node",
      "--root",
      root,
      "--name",
      name,
      "--no-api",
      ...mount,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe", timeout: 60_000, killSignal: "SIGKILL" },
  );
  running.push(child);
  const ended = (async (): Promise<Ended> => {
    const error = await new Response(child.stderr).text();
    return { code: await child.exited, error };
  })();
  return Object.assign(child, { ended });
}

/** The last line of stderr: what the operator reads. */
const sentence = ({ error }: Ended): string => error.trim().split("\n").at(-1) ?? "";

async function statusWhen(
  root: string,
  isGood: (status: NodeStatus) => boolean,
): Promise<NodeStatus> {
  const client = new NodeClient(nodePaths(root).socket);
  const end = performance.now() + 30_000;
  for (;;) {
    const status = await client.status().catch(() => undefined);
    if (status !== undefined && isGood(status)) return status;
    if (performance.now() > end) throw new Error(`${root} did not come to the wanted state`);
    await wait(100);
  }
}

test("a configuration with an error: file, line and reason, exit 8", async () => {
  const root = layOut("a", conf(["a1"], "127.21.0").replace("version: 2", "version: two"));
  const ended = await start(root, "a1").ended;
  expect(ended.code).toBe(8);
  expect(sentence(ended)).toContain('corosync.conf:2: Value of key "totem.version" is expected');
});

test("no key, a short key", async () => {
  const root = layOut("a", conf(["a1"], "127.21.0"), key.slice(0, 10));
  const short = await start(root, "a1").ended;
  expect(short.code).toBe(8);
  expect(sentence(short)).toContain(
    `${root}/etc/corosync/authkey: the key has 80 bits, the minimum is 1024`,
  );
  expect(sentence(short)).not.toContain("corosync.conf");
  rmSync(`${root}/etc/corosync/authkey`);
  const missing = await start(root, "a1").ended;
  expect(missing.code).toBe(8);
  expect(sentence(missing)).toContain(
    `${root}/etc/corosync/authkey: the key could not be read: ENOENT: no such file or directory. Copy`,
  );
  expect(sentence(missing)).not.toContain("corosync.conf");
});

test("what nothing can be mounted on ends a node before it joins", async () => {
  const root = layOut("a", conf(["a1"], "127.21.5"));
  const full = await start(root, "a1", ["--mount", `${root}/etc`]).ended;
  expect(full.code).toBe(1);
  expect(sentence(full)).toContain(`${root}/etc is not empty (corosync)`);
  const file = await start(root, "a1", ["--mount", `${root}/etc/corosync/authkey`]).ended;
  expect(sentence(file)).toContain("authkey is not a directory");
  for (const { error } of [full, file]) expect(error).not.toContain("A new membership");
});

test("a taken port names address and port", async () => {
  const socket = createSocket("udp4");
  socket.bind(5405, "127.21.1.1");
  await once(socket, "listening");
  try {
    const ended = await start(layOut("a", conf(["a1"], "127.21.1")), "a1").ended;
    expect(ended.code).toBe(1);
    expect(sentence(ended)).toContain(
      "127.21.1.1 port 5405/udp (link 0) is used by another program",
    );
  } finally {
    socket.close();
  }
});

test("a foreign config.db is refused and not touched; a missing one starts fresh", async () => {
  const root = layOut("a", conf(["a1"], "127.21.2"));
  const path = `${root}/var/lib/pve-cluster/config.db`;
  const garbage = "this is no database, but it may be somebody's only copy of something\n".repeat(
    100,
  );
  writeFileSync(path, garbage);
  const noDatabase = await start(root, "a1").ended;
  expect(noDatabase.code).toBe(8);
  expect(sentence(noDatabase)).toContain("config.db");
  expect(readFileSync(path, "utf8")).toBe(garbage);

  rmSync(path);
  const foreign = new Database(path, { create: true });
  foreign.run("CREATE TABLE tree (a TEXT)");
  foreign.run("INSERT INTO tree VALUES ('x')");
  foreign.close();
  const before = readFileSync(path);
  const otherSchema = await start(root, "a1").ended;
  expect(otherSchema.code).toBe(8);
  expect(sentence(otherSchema)).toContain("config.db");
  expect(readFileSync(path).equals(before)).toBe(true);

  rmSync(path);
  const fresh = start(root, "a1");
  const status = await statusWhen(root, ({ tree }) => tree.writable);
  expect(status.tree.version).toBe(3);
  fresh.kill("SIGTERM");
  expect((await fresh.ended).code).toBe(0);
}, 60_000);

test("a second node on the same directory ends, the first goes on", async () => {
  const root = layOut("a", conf(["a1"], "127.21.3"));
  const first = start(root, "a1");
  const before = await statusWhen(root, ({ quorum }) => quorum.quorate);
  const second = await start(root, "a1").ended;
  expect(second.code).toBe(1);
  expect(sentence(second)).toContain("already running");
  // Without the socket the lock of the database still stands between them.
  rmSync(nodePaths(root).socket);
  const third = await start(root, "a1").ended;
  expect(third.code).toBe(8);
  expect(sentence(third)).toContain("lock");
  expect(first.exitCode).toBeNull();
  expect(before.ring.members).toEqual([1]);
}, 60_000);

test("a key that others may read is warned of until it is closed and the file read again", async () => {
  const root = layOut("w1", conf(["w1"], "127.21.8"));
  const path = `${root}/etc/corosync/authkey`;
  chmodSync(path, 0o644);
  const node = start(root, "w1");
  const open = await statusWhen(root, ({ quorum }) => quorum.quorate);
  expect(open.warnings).toEqual([expect.stringContaining(`chmod 400 ${path}`)]);
  chmodSync(path, 0o400);
  await new NodeClient(nodePaths(root).socket).reload();
  const closed = await statusWhen(root, () => true);
  expect(closed.warnings).toBeUndefined();
  node.kill("SIGTERM");
  expect((await node.ended).error.split(`chmod 400 ${path}`)).toHaveLength(2);
}, 60_000);

test("a name that is not in the nodelist: no advice to give one", async () => {
  const ended = await start(layOut("a", conf(["a1", "a2"], "127.21.0")), "a3").ended;
  expect(ended.code).toBe(8);
  expect(sentence(ended)).toContain(
    "looked for a3; the nodelist has a1, a2). --name has to be one",
  );
});

test("a configuration older than the cluster's, which no tree has, ends with 8, which no service manager starts again", async () => {
  const text = conf(["v1", "v2"], "127.21.7");
  const root = layOut("v1", text.replace("config_version: 1", "config_version: 2"));
  const behind = layOut("v2", text);
  for (const each of [root, behind]) emptyTree(each);
  start(root, "v1");
  await statusWhen(root, ({ ring }) => ring.members.length === 1);
  const older = await start(behind, "v2").ended;
  expect(older.code).toBe(8);
  expect(sentence(older)).toContain("config version (2) is different than my config version (1)");
}, 120_000);

test("a node with another key says so, as do those that hear it; the cluster that it disturbs does not notice", async () => {
  const names = ["k1", "k2", "k3"];
  const text = conf(names, "127.21.4");
  const one = layOut("k1", text);
  const two = layOut("k2", text);
  start(one, "k1");
  start(two, "k2");
  const before = await statusWhen(
    one,
    ({ ring, quorum }) => ring.members.length === 2 && quorum.quorate,
  );
  const three = layOut("k3", text, key.toReversed());
  const wrong = start(three, "k3");
  const own = await statusWhen(three, ({ nodes }) => faultOf(nodes, 1) !== undefined);
  expect(faultOf(own.nodes, 1)).toContain("k1 (127.21.4.1): none of its packets can be opened");
  expect(statusText(own)).toContain("it has another authkey");
  const after = await statusWhen(two, ({ nodes }) => faultOf(nodes, 3) !== undefined);
  expect(faultOf(after.nodes, 3)).toContain("k3 (127.21.4.3): none of its packets can be opened");
  expect(after.ring.id).toBe(before.ring.id);
  expect(after.quorum.quorate).toBe(true);
  wrong.kill("SIGTERM");
  const ended = await wrong.ended;
  expect(ended.code).toBe(0);
  expect(ended.error.split("none of its packets can be opened").length - 1).toBeLessThanOrEqual(2);
}, 90_000);

test("a node without crypto and an encrypted one name the difference on both sides", async () => {
  const text = conf(["c1", "c2"], "127.21.5");
  const sealed = layOut("c1", text);
  const clear = layOut("c2", text.replace("secauth: on\n", ""));
  start(sealed, "c1");
  start(clear, "c2");
  const one = await statusWhen(sealed, ({ nodes }) => faultOf(nodes, 2) !== undefined);
  expect(faultOf(one.nodes, 2)).toContain("it sends without crypto");
  const two = await statusWhen(clear, ({ nodes }) => faultOf(nodes, 1) !== undefined);
  expect(statusText(two)).toContain("Warning the ring runs without crypto");
  expect(faultOf(two.nodes, 1)).toContain("this node runs without crypto");
}, 90_000);

test("junk with a peer's address does not end a starting node", async () => {
  const root = layOut("j1", conf(["j1", "j2"], "127.21.6"));
  const socket = createSocket("udp4");
  socket.bind(5405, "127.21.6.2");
  await once(socket, "listening");
  const junk = setInterval(() => socket.send(new Uint8Array(80).fill(7), 5405, "127.21.6.1"), 100);
  try {
    const node = start(root, "j1");
    const status = await statusWhen(root, ({ nodes }) => faultOf(nodes, 2) !== undefined);
    expect(faultOf(status.nodes, 2)).toContain("nothing of a cluster");
    // Seven seconds of it: a node that took its own key to be wrong for what others send would have ended after five.
    const after = await statusWhen(
      root,
      ({ ring }) => (ring.packetsDropped["not authenticated"] ?? 0) >= 70,
    );
    expect(after.ring.members).toEqual([1]);
    expect(node.exitCode).toBeNull();
  } finally {
    clearInterval(junk);
    socket.close();
  }
}, 90_000);

/** A stranger in a clear ring with a peer's address: answers as its links do, and says that its ring has sequence 2^52. */
async function forger(address: string, victim: string): Promise<{ readonly close: () => void }> {
  const socket = createSocket("udp4");
  socket.bind(5405, address);
  await once(socket, "listening");
  const reply = (packet: Uint8Array): void => socket.send(packet, 5405, victim);
  socket.on("message", (packet) => {
    const decoded = decodePacket(packet);
    if (!decoded.ok) return;
    if (decoded.value.kind === "ping") reply(pongOf(packet, 2));
    if (decoded.value.kind === "pmtud") reply(probeReplyOf(packet, 2));
  });
  const join = { kind: "join", nodeid: 2, target: 0, from: 2, proc: [1, 2], failed: [] } as const;
  const data = encodeMessage({ ...join, ringSeq: 2 ** 52 });
  let seq = 0;
  const timer = setInterval(() => {
    seq += 1;
    const head = { kind: "data", nodeid: 2, seq, method: 0, multicast: true } as const;
    reply(encodePacket({ ...head, fragments: 1, fragment: 0, channel: 0, data }));
  }, 50);
  return {
    close: () => {
      clearInterval(timer);
      socket.close();
    },
  };
}

test("a forged ring sequence is not stored, a damaged one is replaced, and both are told", async () => {
  const text = conf(["r1", "r2"], "127.21.9").replace("secauth: on\n", "");
  const root = layOut("r1", text);
  const stored = `${root}/var/lib/corosync/ringid_1`;
  mkdirSync(`${root}/var/lib/corosync`);
  writeFileSync(stored, new BigUint64Array([2n ** 52n]));
  const stranger = await forger("127.21.9.2", "127.21.9.1");
  try {
    const node = start(root, "r1");
    const status = await statusWhen(root, ({ warnings = [] }) =>
      warnings.some((line) => line.includes("node 2 names ring sequence 0x10000000000000")),
    );
    expect(status.ring.members).toEqual([1]);
    node.kill("SIGTERM");
    const { code, error } = await node.ended;
    expect(code).toBe(0);
    expect(error).toContain("ringid_1: no ring can have reached the stored ring sequence");
    expect(readFileSync(stored).readBigUInt64LE(0)).toBeLessThan(1000n);
  } finally {
    stranger.close();
  }
}, 60_000);

function faultOf(nodes: NodeStatus["nodes"], nodeid: number): string | undefined {
  return nodes.find((node) => node.nodeid === nodeid)?.fault;
}
