// What an answer means, by class and by durability, and whole files that are replaced at once: trees with real databases over an in-memory
// group. What the classes promise while nodes fail is the simulator's (test/sim).
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigurationTree } from "../../src/fs/fs.ts";
import type { Gathered, Outcome } from "../../src/fs/tree/files.ts";
import type { QuorumOfRing } from "../../src/fs/epoch/events.ts";
import type { Durability } from "../../src/fs/tree-options.ts";
import { MemberBus, type MemberPort } from "./member-bus.ts";
import { plainQuorum } from "./plain-quorum.ts";

/** Two nodes with a vote each. */
const quorate: QuorumOfRing = {
  ...{ quorate: true, ringSeq: 1, quorum: 2, expectedVotes: 2, deviceVotes: 0 },
  voters: [1, 2].map((nodeid) => ({ nodeid, votes: 1 })),
};

let root = "";
let opened: ConfigurationTree[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quorate-promises-"));
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((tree) => tree.stop()));
  rmSync(root, { recursive: true, force: true });
});

async function start(
  nodeid: number,
  groups: MemberPort | undefined,
  durability: Durability,
): Promise<ConfigurationTree> {
  const result = await ConfigurationTree.open({
    ...{ directory: join(root, `n${nodeid}`), nodeid, nodeName: `n${nodeid}`, pid: 1000 + nodeid },
    ...{ groups, durability, corosyncConfPath: join(root, "corosync.conf"), lockTries: 1 },
    cluster: { name: "lab", configVersion: 1, nodes: [] },
    wallS: () => 1_800_000_000,
    log: () => undefined,
    onFatal: (reason) => {
      throw new Error(reason);
    },
    onCorosyncConf: () => undefined,
  });
  if (!result.ok) throw new Error(result.reason);
  opened.push(result.value);
  if (groups !== undefined) result.value.setQuorum(quorate, "");
  return result.value;
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
}

async function until(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 3000;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error("never");
    await new Promise(setImmediate);
  }
}

/** Two nodes, the second of which can be silenced: what the first sends is then neither stable nor on its disk. */
async function pair(durability: Durability) {
  const bus = new MemberBus();
  const ports = [bus.port(1), bus.port(2)] as const;
  const one = await start(1, ports[0], durability);
  const two = await start(2, ports[1], durability);
  await until(() =>
    [one, two].every((tree) => {
      const { members, promise } = tree.status();
      return members.length === 2 && promise?.isAgreed === true;
    }),
  );
  const silence = (): void => {
    ports[0].isUnconfirmed = true;
    ports[1].isMute = true;
  };
  const confirm = (): void => {
    ports[0].isUnconfirmed = false;
    ports[0].listener([{ kind: "stable", deliveries: ports[0].deliveries }]);
  };
  const hear = (): void => {
    ports[1].isMute = false;
    bus.schedule();
  };
  return { one, two, ports, silence, confirm, hear };
}

/** Whether it is answered within some turns. */
async function isAnswered(change: Promise<unknown>): Promise<boolean> {
  let isDone = false;
  void change.then(() => (isDone = true));
  await turns(10);
  return isDone;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (tree: ConfigurationTree, path: string): string => {
  const read = tree.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : read.errno;
};
const gathered = async (outcome: Outcome<Gathered> | Promise<Outcome<Gathered>>) => {
  const settled = await outcome;
  if (!settled.ok) throw new Error(settled.reason);
  return settled.value;
};

test("by class: ordered at once, held by the members, durable by a majority's disks and all before with it", async () => {
  const { one, silence, confirm, hear } = await pair("full");
  silence();
  expect(await isAnswered(one.create("a", "ordered"))).toBe(true);
  expect(await isAnswered(one.truncate("a", 3, "ordered"))).toBe(true);
  expect(await isAnswered(one.setMtime("a", 7, "ordered"))).toBe(true);
  const closed = one.sync("held");
  const appended = one.write("a", 0, bytes("x"), "held");
  const synced = one.sync();
  const moved = one.rename("a", "b");
  for (const change of [closed, appended, synced, moved]) {
    expect(await isAnswered(change)).toBe(false);
  }
  confirm();
  expect([await isAnswered(closed), await isAnswered(appended)]).toEqual([true, true]);
  expect([await isAnswered(synced), await isAnswered(moved)]).toEqual([false, false]);
  hear();
  confirm();
  expect(await synced).toMatchObject({ ok: true });
  expect(await moved).toMatchObject({ ok: true });
});

test("strict: everything as durable, and nothing is gathered", async () => {
  const { one, silence, confirm, hear } = await pair("strict");
  await one.create("a", "ordered");
  silence();
  const made = one.create("b", "ordered");
  const written = one.gather("a", 0, bytes("x"));
  confirm();
  expect([await isAnswered(made), await isAnswered(gathered(written))]).toEqual([false, false]);
  hear();
  confirm();
  expect(await made).toMatchObject({ ok: true });
  await gathered(written);
  expect(textOf(one, "a")).toBe("x");
});

test("normal: as the original, whoever has it", async () => {
  const { one, silence } = await pair("normal");
  silence();
  expect(await isAnswered(one.create("a", "ordered"))).toBe(true);
  expect(await one.rename("a", "b")).toMatchObject({ ok: true });
  expect(await one.sync()).toMatchObject({ ok: true });
});

test("normal: who lost quorum answers for nothing", async () => {
  const { one, ports } = await pair("normal");
  ports[0].isMute = true;
  const made = one.create("a", "ordered");
  await turns(3);
  one.setQuorum(plainQuorum(false), "nobody is there");
  ports[0].isMute = false;
  expect(await one.create("b", "ordered")).toMatchObject({ ok: false, errno: "EACCES" });
  expect((await Promise.race([made, turns(20)])) ?? { ok: false }).toMatchObject({ ok: false });
});

test("what was answered and lost with the tree is told by fsync, to its writer and to the node once", async () => {
  const bus = new MemberBus();
  const [p1, p2] = [bus.port(1), bus.port(2)];
  const [one, two] = [await start(1, p1, "full"), await start(2, p2, "full")];
  await until(() => [one, two].every((tree) => tree.status().promise?.isAgreed === true));
  await until(() => one.status().members.length === 2);
  const before = one.losses;
  // Node 2 never hears of it, goes on alone, and is followed when they meet again.
  p2.isMute = true;
  expect(await one.create("mine", "ordered")).toMatchObject({ ok: true });
  bus.cut(p1);
  one.setQuorum(plainQuorum(false), "nobody is there");
  p2.isMute = false;
  bus.schedule();
  await until(() => two.status().members.length === 1 && two.status().promise?.isAgreed === true);
  expect(await two.create("theirs")).toMatchObject({ ok: true });
  one.setQuorum(quorate, "");
  bus.heal(p1);
  await until(() => one.stat("theirs").ok);
  expect(one.stat("mine").ok).toBe(false);
  expect(one.losses).toBe(before + 1);
  await until(() => one.status().promise?.isAgreed === true);
  expect(await one.sync("durable", before)).toMatchObject({ ok: false, errno: "EIO" });
  expect(await one.sync()).toMatchObject({ ok: false, errno: "EIO" });
  expect(await one.sync()).toMatchObject({ ok: true });
});

test("gathered: seen here at once, by the others once it leaves, and behind it whatever comes", async () => {
  const { one, two } = await pair("full");
  await one.create("a");
  const version = one.status().version;
  await gathered(one.gather("a", 0, bytes("hello ")));
  const written = await gathered(one.gather("a", 6, bytes("world")));
  expect(textOf(one, "a")).toBe("hello world");
  expect(one.stat("a")).toMatchObject({ ok: true, value: { size: 11 } });
  const listed = one.list("");
  expect(listed.ok && listed.value.find(({ name }) => name === "a")?.stat.size).toBe(11);
  expect(one.status().version).toBe(version);
  expect(textOf(two, "a")).toBe("");
  written.send();
  expect(await written.done).toEqual({ ok: true, value: 11 });
  await until(() => textOf(two, "a") === "hello world");
  expect(one.status().version).toBe(version + 1);
  await gathered(one.gather("a", 11, bytes("!")));
  expect(await one.rename("a", "b")).toMatchObject({ ok: true });
  expect(textOf(one, "b")).toBe("hello world!");
  await gathered(one.gather("b", 12, bytes("?")));
  expect(await one.sync()).toMatchObject({ ok: true });
  await until(() => textOf(two, "b") === "hello world!?");
  // By itself, too.
  await gathered(one.gather("b", 0, bytes("J")));
  await until(() => textOf(two, "b") === "Jello world!?");
});

test("gathered: what can be refused is refused at once, the rest when it is sent", async () => {
  const { one } = await pair("full");
  await one.create("a");
  await one.mkdir("d");
  const errnoOf = async (outcome: Outcome<unknown> | Promise<Outcome<unknown>>) => {
    const settled = await outcome;
    return settled.ok ? "ok" : settled.errno;
  };
  expect(await errnoOf(one.gather("a", 1_048_576, bytes("x")))).toBe("EFBIG");
  expect(await errnoOf(one.gather("none", 0, bytes("x")))).toBe("ENOENT");
  expect(await errnoOf(one.gather(".version", 0, bytes("x")))).toBe("EIO");
  expect(await errnoOf(one.gather(".debug", 0, bytes("1\n")))).toBe("ok");
  expect(textOf(one, ".debug")).toBe("1\n");
  const late = await gathered(one.gather("a", 0, bytes("x")));
  one.setQuorum(plainQuorum(false), "nobody is there");
  expect(await errnoOf(one.gather("a", 1, bytes("y")))).toBe("EACCES");
  late.send();
  expect(await errnoOf(late.done)).toBe("EACCES");
  expect(textOf(one, "a")).toBe("");
});

test("a file that is there is replaced by one change, a new one is never seen without its content", async () => {
  const { one, two, ports } = await pair("full");
  const seen = new Set<string>();
  two.onChanged(() => void seen.add(textOf(two, "conf")));
  const sent = () => ports[0].requests.filter(({ group }) => group.startsWith("pve_dcdb")).length;
  const before = sent();
  expect(await one.replace("conf", bytes("first"))).toMatchObject({ ok: true });
  expect(sent()).toBe(before + 3);
  expect(await one.replace("conf", bytes("2nd"))).toMatchObject({ ok: true });
  expect(sent()).toBe(before + 4);
  expect(await one.replace("conf", bytes(""))).toMatchObject({ ok: true });
  await until(() => textOf(two, "conf") === "");
  expect([...seen].toSorted()).toEqual(["", "2nd", "ENOENT", "first"]);
  expect(await one.mkdir("conf.d")).toMatchObject({ ok: true });
  expect(await one.replace("conf.d", bytes("x"))).toMatchObject({ errno: "EISDIR" });
  expect(await one.replace("none/x", bytes("x"))).toMatchObject({ errno: "ENOENT" });
  expect(await one.replace("big", new Uint8Array(1_048_577))).toMatchObject({ errno: "EFBIG" });
  const names = one.list("");
  expect(names.ok && names.value.filter(({ name }) => name.includes(".tmp."))).toEqual([]);
});

test("a file that a peer removes meanwhile is made anew; what is refused leaves no draft", async () => {
  const { one, two, ports } = await pair("full");
  await one.replace("conf", bytes("first"));
  ports[0].isFull = true;
  const replaced = one.replace("conf", bytes("second"));
  const removed = two.remove("conf");
  await until(() => !one.stat("conf").ok);
  ports[0].isFull = false;
  expect(await removed).toMatchObject({ ok: true });
  expect(await replaced).toMatchObject({ ok: true });
  expect(textOf(one, "conf")).toBe("second");
  for (const path of ["nodes", "nodes/n1", "nodes/n2", "nodes/n1/lxc", "nodes/n2/lxc"]) {
    await one.mkdir(path);
  }
  await one.replace("nodes/n1/lxc/100.conf", bytes("guest"));
  const taken = await one.replace("nodes/n2/lxc/100.conf", bytes("guest"));
  expect(taken).toMatchObject({ ok: false, errno: "EEXIST" });
  expect(one.list("nodes/n2/lxc")).toEqual({ ok: true, value: [] });
});
