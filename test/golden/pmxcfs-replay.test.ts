// Each recorded pmxcfs node (pmxcfs-*.jsonl) is played by our own state machines: given what it was delivered, they must send
// what it sent. Spec: pmxcfs.md §2.9, §3.6, §4.
import { describe, expect, test } from "bun:test";
import { decodeRing } from "../../src/fs/replica/cluster-log.ts";
import { Dcdb, indexOf } from "../../src/fs/replica/dcdb.ts";
import { Dfsm } from "../../src/fs/replica/dfsm.ts";
import type { DfsmAction } from "../../src/fs/replica/dfsm-events.ts";
import { encodeLogEntry, type LogEntry } from "../../src/fs/replica/log-entry.ts";
import {
  decodeIndex,
  decodeKvUpdate,
  decodeMessage,
  decodeUpdate,
  encodeIndex,
  encodeMessage,
  keyFieldBytes,
  kvLog,
  type Message,
  normalHeaderBytes,
} from "../../src/fs/replica/message.ts";
import type { Replica } from "../../src/fs/replica/replica.ts";
import { StatusStore, textValue } from "../../src/fs/replica/status.ts";
import { Tree } from "../../src/fs/tree/tree.ts";
import {
  DigestTree,
  eventsOf,
  groupEventOf,
  hexOf,
  messageOf,
  type Recorded,
  rootOf,
  sha256,
  value,
} from "./pmxcfs-recordings.ts";

/** One recorded node played by our state machine. */
class Player<Action> {
  readonly dfsm: Dfsm<Action>;
  readonly #self: { nodeid: number; pid: number };
  readonly #replica: Replica<Action>;
  readonly sent: Message[] = [];
  readonly actions: (DfsmAction | Action)[] = [];
  now = 0;

  constructor(replica: Replica<Action>, self: { nodeid: number; pid: number }) {
    this.#replica = replica;
    this.#self = self;
    this.dfsm = new Dfsm({ replica, self });
    replica.quorumChanged(true);
    this.step({ kind: "started", timeS: 0 });
  }

  step(event: Parameters<Dfsm<Action>["step"]>[0]): void {
    const out: (DfsmAction | Action)[] = [];
    this.dfsm.step(event, this.now, out);
    this.actions.push(...out);
    for (const action of out as DfsmAction[]) {
      if (action.kind !== "request" || action.request.kind !== "send") continue;
      this.sent.push(value(decodeMessage(action.request.message)));
    }
  }

  /** Alone in the group, so often that the next configuration change has this number. */
  beforeEpoch(epoch: number): void {
    const alone = [this.#self];
    const { group } = this.#replica;
    for (let i = 1; i < epoch; i += 1) {
      const event = { kind: "configured", group, members: alone, left: [], joined: [] } as const;
      this.step({ kind: "groupEvent", event, timeS: 0 });
    }
    this.sent.length = 0;
  }

  /** So many operations were sent before the recording begins. */
  sentBefore(count: number): void {
    for (let i = 0; i < count; i += 1) {
      this.step({
        kind: "sendRequested",
        token: undefined,
        subtype: 2,
        body: new Uint8Array(0),
        timeS: 0,
      });
    }
    this.sent.length = 0;
  }

  /** Feeds events; our clock shows what the next recorded own message shows. */
  feed(events: readonly Recorded[]): void {
    events.forEach((event, i) => {
      const own = events.slice(i).find((e) => e.ev === "deliver" && this.isOwn(e));
      const timeS = own === undefined ? Math.floor(event.t) : messageOf(own).timeS;
      this.step({ kind: "groupEvent", event: groupEventOf(event), timeS });
    });
  }

  isOwn(event: Recorded): boolean {
    return event.nodeid === this.#self.nodeid && event.pid === this.#self.pid;
  }
}

function seenBy(recording: string, observer: number, group: string): Recorded[] {
  return eventsOf(recording).filter((e) => e.observer === observer && e.group === group);
}

/** Bodies of the first STATE of a node, and the updates that were sent, in a recording. */
function partsOf(events: readonly Recorded[], nodeid: number) {
  const messages = events.filter((e) => e.ev === "deliver").map((e) => [e, messageOf(e)] as const);
  const states = messages.flatMap(([e, m]) =>
    m.kind === "state" && e.nodeid === nodeid ? [m.body] : [],
  );
  const updates = messages.flatMap(([, m]) =>
    m.kind === "update" ? [value(decodeUpdate(m.body))] : [],
  );
  return { states, updates };
}

/** Messages of the state exchange in a form that two sides can be compared in: the updates are sent in any order. */
function comparable(messages: readonly Message[]): string[] {
  const list = messages
    .filter((m) => m.kind !== "normal")
    .map((m) => [m.kind, hexOf(encodeMessage(m))]);
  const updates = list.filter(([kind]) => kind === "update").toSorted();
  let next = 0;
  return list.map((each) => (each[0] === "update" ? updates[next++]! : each).join(" "));
}

function ownMessages<A>(events: readonly Recorded[], player: Player<A>): Message[] {
  return events.filter((e) => e.ev === "deliver" && player.isOwn(e)).map(messageOf);
}

function expectSameExchange<A>(events: readonly Recorded[], player: Player<A>): void {
  const recorded = ownMessages(events, player);
  const expected = comparable(recorded);
  expect(expected.length).toBeGreaterThan(0);
  expect(comparable(player.sent)).toEqual(expected);
}

/** The node that a recording was made on, with a tree that has the digests it had then. */
function treePlayer(
  events: readonly Recorded[],
  observer: number,
  known: Parameters<typeof DigestTree.ofState>[1] = {},
) {
  const member = events.find((e) => e.ev === "confchg")!.members.find(([id]) => id === observer)!;
  const state = partsOf(events, observer).states[0]!;
  const directories = new Set(partsOf(events, observer).updates.map(({ parent }) => parent));
  const tree = DigestTree.ofState(state, { directories, ...known });
  const replica = new Dcdb({ tree, load: DigestTree.load, now: 0 });
  const player = new Player(replica, { nodeid: observer, pid: member[1] });
  return { player, replica };
}

const indexOfReplica = (replica: Dcdb<DigestTree>) => hexOf(encodeIndex(indexOf(replica.tree)));

describe("replay of the tree", () => {
  const joins: [string, number, number, number][] = [
    // recording, leader, number of its configuration change at node 1, members
    ["pmxcfs-join-second-lower-version.jsonl", 1, 2, 2],
    ["pmxcfs-join-third-higher-version.jsonl", 3, 3, 3],
  ];

  for (const [recording, leader, epoch, members] of joins) {
    for (let observer = 1; observer <= members; observer += 1) {
      test(`${recording}, node ${observer}`, () => {
        const events = seenBy(recording, observer, "pve_dcdb_v1");
        const { updates } = partsOf(events, leader);
        const known = observer === leader ? { entries: updates } : {};
        const { player, replica } = treePlayer(events, observer, known);
        player.beforeEpoch(epoch);
        player.feed(events);
        expectSameExchange(events, player);
        expect(player.dfsm.mode).toBe("synced");
        const leaderState = partsOf(events, leader).states[0]!;
        expect(indexOfReplica(replica)).toBe(hexOf(leaderState));
        expect(player.actions.some((a) => a.kind === "store")).toBe(observer !== leader);
      });
    }
  }

  test("crash-20-writes-rejoin, node 1: two exchanges, 44 changes between them", () => {
    const events = seenBy("pmxcfs-crash-20-writes-rejoin.jsonl", 1, "pve_dcdb_v1");
    // q1 is deleted: by the two states it is inode 322.
    const { player, replica } = treePlayer(events, 1, { names: new Map([[322, "q1"]]) });
    player.beforeEpoch(6);
    player.feed(events);
    expectSameExchange(events, player);
    expect(player.actions.filter((a) => a.kind === "executed" && a.result.ok)).toHaveLength(44);
    expect(replica.tree.version).toBe(2031);
    expect(new TextDecoder().decode(replica.tree.lookup("missb0")!.data)).toBe("line 20\n");
  });

  test("crash-20-writes-rejoin, node 3: comes back with the old tree", () => {
    const events = seenBy("pmxcfs-crash-20-writes-rejoin.jsonl", 3, "pve_dcdb_v1");
    const { player, replica } = treePlayer(events, 3);
    player.feed(events);
    expectSameExchange(events, player);
    expect(indexOfReplica(replica)).toBe(hexOf(partsOf(events, 1).states[0]!));
  });

  const writes = "pmxcfs-writes-during-join.jsonl";

  test.each([1, 2])("writes-during-join, node %d: writes, queue, exchange, writes", (observer) => {
    const events = seenBy(writes, observer, "pve_dcdb_v1");
    const first = events.findIndex((e) => e.ev === "confchg");
    const { updates } = partsOf(events, 1);
    // The two files were written before the recording began; what they held is overwritten in it at once.
    const files = updates.filter(({ inode }) => inode !== 0);
    const { replica } = treePlayer(events, observer, { entries: files });
    const before = events.slice(0, first).length;
    const state = value(decodeIndex(partsOf(events, observer).states[0]!));
    const root = rootOf({ version: state.version - before, writer: 0, mtime: 0 });
    const rows = [root, ...replica.tree.entries().slice(1)];
    const tree = value(DigestTree.load(rows, replica.tree));
    const early = new Dcdb({ tree, load: DigestTree.load, now: 0 });
    const player = new Player(early, { nodeid: observer, pid: observer === 1 ? 14957 : 15108 });
    player.beforeEpoch(9);
    player.feed(events);
    expectSameExchange(events, player);
    const total = events.filter((e) => e.ev === "deliver" && messageOf(e).kind === "normal").length;
    const executed = player.actions.filter((a) => a.kind === "executed" && a.result.ok);
    expect(executed).toHaveLength(total);
    expect(early.tree.version).toBe(state.version - before + total);
  });

  test("writes-during-join, node 3: what came during the exchange is executed behind it, in the same order", () => {
    const trees = [1, 3].map((observer) => {
      const events = seenBy(writes, observer, "pve_dcdb_v1");
      const confchg = events.slice(events.findIndex((e) => e.ev === "confchg"));
      const { updates } = partsOf(events, 1);
      const known = observer === 1 ? { entries: updates } : {};
      const { player, replica } = treePlayer(confchg, observer, known);
      player.beforeEpoch(9);
      // Node 3 was behind when the recording ended: compare at its last message.
      const last = seenBy(writes, 3, "pve_dcdb_v1").at(-1)!;
      const end = confchg.findIndex((e) => e.hex === last.hex && e.nodeid === last.nodeid);
      player.feed(confchg.slice(0, end + 1));
      expectSameExchange(confchg, player);
      return indexOfReplica(replica);
    });
    expect(trees[0]).toBe(trees[1]);
  });

  test("silent-member: no progress until it is gone, the queued change then", () => {
    const events = seenBy("pmxcfs-silent-member.jsonl", 1, "pve_dcdb_v1");
    const { player } = treePlayer(events, 1);
    player.beforeEpoch(11);
    player.sentBefore(2310);
    const gone = events.findIndex((e) => e.left?.length > 0);
    player.feed(events.slice(0, gone));
    expect([player.dfsm.mode, player.dfsm.queued]).toEqual(["startSync", 1]);
    expect(player.actions.some((a) => a.kind === "executed")).toBe(false);
    player.feed(events.slice(gone));
    expectSameExchange(events, player);
    expect(player.actions.filter((a) => a.kind === "executed" && a.result.ok)).toHaveLength(2);
  });

  test("verify, node 1: the request, then the checksum", () => {
    const events = seenBy("pmxcfs-verify.jsonl", 1, "pve_dcdb_v1");
    const [request, reply] = events.map(messageOf);
    if (request?.kind !== "verifyRequest" || reply?.kind !== "verify") throw new Error("recording");
    const { tree } = verifiedTree(reply.checksum);
    const replica = new Dcdb({ tree, load: () => ({ ok: false, reason: "not here" }), now: 0 });
    const self = { nodeid: 1, pid: 14957 };
    const player = new Player(replica, self);
    player.beforeEpoch(9);
    // The exchange that the recorded epoch names, with two members that have the same tree.
    const { group } = replica;
    const members = [self, { nodeid: 2, pid: 15108 }];
    const joined = [{ ...members[1]!, reason: 1 }] as const;
    const timeS = request.epoch.time;
    const configured = { kind: "configured", group, members, left: [], joined } as const;
    player.step({ kind: "groupEvent", event: configured, timeS });
    const deliver = (from: { nodeid: number; pid: number }, message: Message) => {
      const event = { kind: "delivered", group, ...from, message: encodeMessage(message) } as const;
      player.step({ kind: "groupEvent", event, timeS: request.timeS });
    };
    deliver(self, player.sent.shift()!);
    const state = player.sent.shift()!;
    for (const member of members) deliver(member, state);
    deliver(self, player.sent.pop()!);
    // Its first request went before the recording.
    player.step({ kind: "timedOut", timer: "verify", timeS: request.timeS });
    deliver(self, player.sent.pop()!);
    deliver(self, player.sent.pop()!);
    player.sent.length = 0;
    player.step({ kind: "timedOut", timer: "verify", timeS: request.timeS });
    player.feed(events);
    expectSameExchange(events, player);
    expect(player.dfsm.mode).toBe("synced");
  });

  function verifiedTree(checksum: Uint8Array) {
    const tree = Tree.fresh(0, { sha256 });
    return {
      tree: {
        version: 1,
        writer: 0,
        mtime: 0,
        entries: () => tree.entries(),
        byInode: (inode: number) => tree.byInode(inode),
        lookup: (path: string) => tree.lookup(path),
        digest: (inode: number) => tree.digest(inode),
        entryChecksum: (inode: number) => tree.entryChecksum(inode),
        lockDirectories: () => [],
        apply: () => ({ ok: false, errno: "EIO" }) as const,
        checksum: () => checksum,
      },
    };
  }

  test("lock-expiry, node 1: the checksum of the lock, the refusals, the UNLOCK after 120 s", () => {
    const events = seenBy("pmxcfs-lock-expiry.jsonl", 1, "pve_dcdb_v1");
    // priv/lock was inode 148 and the tree at version 200: the only pair that gives the recorded checksum.
    const root = rootOf({ version: 200, writer: 0, mtime: 0 });
    const rows = [root, { ...root, inode: 4, name: "priv" }];
    rows.push({ ...root, inode: 148, parent: 4, name: "lock" });
    const tree = value(Tree.load(rows, { sha256, rootName: "" }));
    const replica = new Dcdb({ tree, load: (all) => Tree.load(all, { sha256 }), now: 0 });
    const player = new Player(replica, { nodeid: 1, pid: 14957 });
    player.beforeEpoch(2);
    player.sentBefore(59);
    const [mkdir, request, refused, late, refusedLate, unlock] = events;
    player.feed([mkdir!]);
    const made = replica.tree.lookup("priv/lock/exp")!;
    expect(hexOf(replica.tree.entryChecksum(made.inode)!)).toBe(request!.decoded.csum);
    player.now += 500;
    player.feed([request!, refused!]);
    expect(player.sent).toEqual([]);
    // Node 1's clock was shifted here; ours is monotonic and moves.
    player.now += 121_000;
    player.feed([late!, refusedLate!, unlock!]);
    expect(player.sent.map((m) => hexOf(encodeMessage(m)))).toEqual([unlock!.hex]);
    expect(replica.tree.lookup("priv/lock/exp")).toBeUndefined();
    const errors = player.actions.flatMap((a) =>
      a.kind === "executed" && !a.result.ok ? [a.result.errno] : [],
    );
    expect(errors).toEqual(["EACCES", "EACCES"]);
  });
});

describe("replay of the status store", () => {
  const group = "pve_kvstore_v1";

  function statusPlayer(nodeid: number, pid: number) {
    const store = new StatusStore({ self: { nodeid, pid }, nodeName: `p${" abc".charAt(nodeid)}` });
    store.nodesChanged([1, 2, 3]);
    return { store, player: new Player(store, { nodeid, pid }) };
  }

  /** All own messages, undefined bytes blank. */
  function blanked(messages: readonly Message[]): string[] {
    return messages.map((message) => {
      const bytes = encodeMessage(message);
      if (message.kind === "normal" && message.subtype === 1) {
        const end = bytes.indexOf(0, normalHeaderBytes);
        bytes.fill(0, end, normalHeaderBytes + keyFieldBytes);
      }
      return `${message.kind} ${hexOf(sha256([bytes]))}`;
    });
  }

  function expectSame<A>(events: readonly Recorded[], player: Player<A>): void {
    expect(blanked(player.sent)).toEqual(blanked(ownMessages(events, player)));
  }

  function startLine(time: number, pid: number) {
    const message = new TextEncoder().encode("starting cluster log");
    return { time, pid, priority: 6, ident: "root", tag: "cluster", message };
  }

  test("the first node: alone, it says its address", () => {
    const events = seenBy("pmxcfs-start-first-node.jsonl", 1, group);
    const { store, player } = statusPlayer(1, 14957);
    store.set("nodeip", textValue("10.94.0.1"), 0);
    player.feed(events);
    expectSame(events, player);
    expect(store.isOnline(1)).toBe(true);
  });

  test.each([
    [1, 14957, 1795225904, "10.94.0.1"],
    [2, 15108, 1795225911, "10.94.0.2"],
  ])("join of the second, node %d: logs, addresses", (nodeid, pid, startTime, ip) => {
    const events = seenBy("pmxcfs-join-second-lower-version.jsonl", nodeid, group);
    const { store, player } = statusPlayer(nodeid, pid);
    store.log(startLine(startTime, pid));
    store.set("nodeip", textValue(ip), 0);
    // Node 1 was alone once and has said its address then.
    if (nodeid === 1) player.beforeEpoch(2);
    player.feed(events);
    expectSame(events, player);
  });

  test("crash and rejoin, node 1: two exchanges, own keys again, the new node's log line", () => {
    const events = seenBy("pmxcfs-crash-20-writes-rejoin.jsonl", 1, group);
    const { store, player } = statusPlayer(1, 14957);
    const kept = ownMessages(events, player).flatMap((m) =>
      m.kind === "normal" ? [value(decodeKvUpdate(m.body))] : [],
    );
    const logOf = (seq: number) => {
      const message = messageOf(events.find((e) => e.seq === seq)!);
      if (message.kind !== "state") throw new Error("recording");
      return value(decodeRing(message.body));
    };
    for (const entry of logOf(5)) deliverLog(player, entry);
    player.beforeEpoch(5);
    for (const { key, value: bytes } of kept.slice(0, 3)) store.set(key, bytes, 0);
    player.sentBefore(17);
    player.feed(events);
    expectSame(events, player);
    expect([...store.logEntries()]).toHaveLength(5);
    const join = seenBy("pmxcfs-writes-during-join.jsonl", 1, group);
    const next = join.map((e) => (e.ev === "deliver" ? messageOf(e) : undefined));
    const state = next.find((m) => m?.kind === "state");
    if (state?.kind !== "state") throw new Error("recording");
    expect([...store.logEntries()].toReversed()).toEqual([...value(decodeRing(state.body))]);
  });

  /** A line that this node knew before the recording: from anybody else, so that it is not its own. */
  function deliverLog<A>(player: Player<A>, entry: LogEntry): void {
    const self = { nodeid: 1, pid: 14957 };
    const members = [self];
    const head = { group: `${group}\0` };
    const configured = { kind: "configured", ...head, members, left: [], joined: [] } as const;
    if (player.dfsm.mode === "start") {
      player.step({ kind: "groupEvent", event: configured, timeS: 0 });
    }
    const body = encodeLogEntry(entry, { prev: 0, next: 0 });
    const message = { kind: "normal", protocol: 0, timeS: 0, subtype: kvLog, count: 1 } as const;
    const bytes = encodeMessage({ ...message, body });
    const event = { kind: "delivered", ...head, nodeid: 2, pid: 9, message: bytes } as const;
    player.step({ kind: "groupEvent", event, timeS: 0 });
  }

  test("kvstore, node 2: every value of node 1 arrives", () => {
    const events = seenBy("pmxcfs-kvstore.jsonl", 2, group);
    const { store, player } = statusPlayer(2, 15108);
    player.beforeEpoch(2);
    const versions: unknown[] = [];
    for (const event of events) {
      player.feed([event]);
      versions.push(
        store
          .keysOf(1)
          .map(({ key, version }) => `${key}=${version}`)
          .join(" "),
      );
    }
    expect(versions).toEqual([
      "kv/testkey=0",
      "kv/testkey=1",
      ...Array(7).fill("kv/testkey=1 tasklist=0"),
      "kv/testkey=1 tasklist=0 kv/testkey2=0",
      "kv/testkey=1 tasklist=0",
    ]);
    expect(store.addressOf(1)).toBe("10.94.0.11");
    expect(store.rrd(0).map(({ key }) => key)).toEqual([
      "pve-node-9.0/pa",
      "pve-vm-9.0/100",
      "pve-storage-9.0/pa/local",
      "foo/bar",
    ]);
    expect([...store.logEntries()].map(({ message }) => message)).toEqual([
      'hello \\"quoted\\" umlaut: \\u00e4 \\u20ac tab#009end',
    ]);
    expect(player.sent).toEqual([]);
  });
});
