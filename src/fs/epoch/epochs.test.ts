// The core that agrees on epochs, by hand: what it sends and stores, and when. The simulator runs it with everything around it.
import { expect, test } from "bun:test";
import type { GroupMember } from "../../world.ts";
import { chosenDisks } from "./chosen.ts";
import { Epochs } from "./epochs.ts";
import type { EpochAction, EpochEvent } from "./events.ts";
import { type Lineage, unknownLineage, withEpoch } from "./lineage.ts";
import { decodeOwn, encodeOwn, ownGroup, type OwnMessage } from "./message.ts";

const exchange = { epoch: 4, time: 1000, nodeid: 1, pid: 10 };
const member = (nodeid: number): GroupMember => ({ nodeid, pid: nodeid * 10 });
const view = {
  ...{ quorate: true, ringSeq: 12, quorum: 2, expectedVotes: 3, deviceVotes: 0 },
  voters: [1, 2, 3].map((nodeid) => ({ nodeid, votes: 1 })),
};

class Node {
  readonly core: Epochs;
  readonly sent: OwnMessage[] = [];
  readonly stored: Lineage[] = [];
  hurries = 0;
  waits = 0;
  readonly self = member(1);

  constructor(lineage: Lineage = unknownLineage(), version = 5) {
    this.core = new Epochs({ self: this.self, lineage, version, flushes: true });
  }

  step(event: EpochEvent): void {
    const out: EpochAction[] = [];
    this.core.step(event, out);
    for (const action of out) {
      if (action.kind === "store") this.stored.push(action.lineage);
      if (action.kind === "hurry") this.hurries += 1;
      if (action.kind === "wait") this.waits += 1;
      if (action.kind !== "send") continue;
      const message = decodeOwn(action.message);
      if (!message.ok) throw new Error(message.reason);
      this.sent.push(message.value);
    }
  }

  hear(nodeid: number, message: OwnMessage): void {
    const event = { kind: "delivered", group: ownGroup, message: encodeOwn(message) } as const;
    this.step({ kind: "groupEvent", event: { ...event, ...member(nodeid) } });
  }

  /** All are members, and have sent their states. */
  exchange(states: Readonly<Record<number, Lineage>>, peers = [1, 2, 3]): void {
    const members = [1, 2, 3].map(member);
    const list = { kind: "configured", group: ownGroup, left: [], joined: [] } as const;
    this.step({ kind: "groupEvent", event: { ...list, members: peers.map(member) } });
    this.step({ kind: "treeConfigured", members });
    this.step({ kind: "quorumChanged", view });
    this.step({ kind: "exchangeBegan", exchange });
    for (const [nodeid, lineage] of Object.entries(states)) {
      const state = { kind: "state", exchange, flushes: true, ringSeq: 12, lineage } as const;
      this.hear(Number(nodeid), state);
    }
  }

  /** The last that was asked for is on disk. */
  flushed(): void {
    this.step({ kind: "stored", lineage: this.stored.at(-1)! });
  }
  get kinds(): string[] {
    return this.sent.map(({ kind }) => kind);
  }
}

const none = unknownLineage();
const marked = (number: number, version: number): Lineage =>
  withEpoch(none, { number, exchange: { ...exchange, epoch: number } }, version);

test("first a promise on disk, then a mark once a majority has promised, then what the disk has", () => {
  const node = new Node();
  node.exchange({ 1: none, 2: none, 3: unknownLineage(40) });
  expect(node.stored).toEqual([]);
  node.step({ kind: "synced", exchange, version: 5 });
  expect(node.stored).toEqual([unknownLineage(41)]);
  expect(node.kinds).toEqual(["state"]);
  node.flushed();
  expect(node.sent.at(-1)).toEqual({ kind: "promised", exchange, number: 41 });
  node.hear(1, { kind: "promised", exchange, number: 41 });
  expect(node.stored.length).toBe(1);
  node.hear(3, { kind: "promised", exchange, number: 41 });
  const mark = { number: 41, exchange };
  expect(node.stored.at(-1)).toEqual(withEpoch(unknownLineage(41), mark, 5));
  expect(node.kinds).toEqual(["state", "promised"]);
  node.flushed();
  expect(node.sent.at(-1)).toEqual({ kind: "durable", exchange, number: 41, version: 5 });
  expect(node.core.standing()).toEqual({ isAgreed: false, majority: -1 });
  node.hear(2, { kind: "durable", exchange, number: 41, version: 5 });
  expect(node.core.standing()).toEqual({ isAgreed: true, majority: 5 });
});

test("alone in the tree's group it marks nothing while another quorate node, about to join it again, is there", () => {
  const node = new Node();
  const list = { kind: "configured", group: ownGroup, left: [], joined: [] } as const;
  const peers = (nodeids: readonly number[]): void =>
    node.step({ kind: "groupEvent", event: { ...list, members: nodeids.map(member) } });
  peers([1, 2]);
  node.step({ kind: "treeConfigured", members: [member(1)] });
  node.step({ kind: "quorumChanged", view });
  node.step({ kind: "exchangeBegan", exchange });
  node.hear(1, { kind: "state", exchange, flushes: true, ringSeq: 12, lineage: none });
  node.step({ kind: "synced", exchange, version: 5 });
  node.flushed();
  node.hear(1, { kind: "promised", exchange, number: 12 });
  expect(node.kinds).toEqual(["state", "promised"]);
  expect(node.stored).toEqual([unknownLineage(12)]);
  expect(node.core.standing().isAgreed).toBe(false);
  peers([1]);
  expect(node.stored.at(-1)).toEqual(withEpoch(unknownLineage(12), { number: 12, exchange }, 5));
});

test("an epoch that was never marked is counted to the next: what came in it is in no tree of the epochs before", () => {
  const before = marked(9, 1);
  const node = new Node(before);
  node.exchange({ 1: before, 2: before, 3: before });
  node.step({ kind: "synced", exchange, version: 107 });
  const first = node.core.lineages.own.at(-1);
  expect(first).toMatchObject({ number: 12, version: 107 });
  const again = { ...exchange, epoch: 5 };
  node.step({ kind: "treeConfigured", members: [1, 2, 3].map(member) });
  node.step({ kind: "exchangeBegan", exchange: again });
  for (const nodeid of [1, 2, 3]) {
    const state = { kind: "state", exchange: again, flushes: true, ringSeq: 16 } as const;
    node.hear(nodeid, { ...state, lineage: before });
  }
  node.step({ kind: "synced", exchange: again, version: 108 });
  const begun = { number: 16, exchange: again, version: 107 };
  expect(node.core.lineages.own).toEqual([...before.history, begun]);
  node.flushed();
  for (const nodeid of [1, 2]) {
    node.hear(nodeid, { kind: "promised", exchange: again, number: 16 });
  }
  expect(node.stored.at(-1)?.history).toEqual([...before.history, begun]);
  node.flushed();
  expect(node.core.lineages.own).toEqual([...before.history, begun]);
});

test("a number is above every promise and mark, and not below the ring's sequence", () => {
  const number = (states: Record<number, Lineage>): number | undefined => {
    const node = new Node();
    node.exchange(states);
    node.step({ kind: "synced", exchange, version: 5 });
    return node.stored[0]?.promised;
  };
  expect(number({ 1: none, 2: none, 3: none })).toBe(12);
  expect(number({ 1: none, 2: marked(30, 1), 3: none })).toBe(31);
  expect(number({ 1: none, 2: marked(30, 1), 3: unknownLineage(70) })).toBe(71);
  expect(number({ 1: none, 2: none })).toBeUndefined();
});

test("the newest mark leads; an original, or most trees foreign, and it is the highest version", () => {
  const rank = (states: Record<number, Lineage>, peers?: number[]) => {
    const node = new Node();
    node.exchange(states, peers);
    return node.core.rank(exchange, [1, 2, 3].map(member));
  };
  expect(rank({ 1: marked(7, 1), 2: none, 3: marked(9, 1) })).toEqual([1, 0, 2]);
  expect(rank({ 1: marked(7, 1), 2: none })).toBe("waiting");
  expect(rank({ 1: marked(7, 1), 2: none }, [1, 2])).toBe("byVersion");
  const foreign = unknownLineage(7, true);
  expect(rank({ 1: marked(7, 1), 2: foreign, 3: none })).toEqual([2, 0, 0]);
  expect(rank({ 1: marked(7, 1), 2: foreign, 3: foreign })).toBe("byVersion");
});

test("positions: one message under way, the newest next, none while nobody waits", () => {
  const node = new Node();
  node.exchange({ 1: none, 2: none, 3: none });
  node.step({ kind: "synced", exchange, version: 5 });
  node.flushed();
  for (const nodeid of [1, 2]) node.hear(nodeid, { kind: "promised", exchange, number: 12 });
  node.flushed();
  const durable = () =>
    node.sent.flatMap((each) => (each.kind === "durable" ? [each.version] : []));
  expect(durable()).toEqual([5]);
  node.hear(1, { kind: "durable", exchange, number: 12, version: 5 });
  node.step({ kind: "durable", version: 6 });
  expect(durable()).toEqual([5]);
  node.step({ kind: "awaited", version: 6, writer: 2 });
  expect(durable()).toEqual([5, 6]);
  for (const version of [7, 8, 9]) {
    node.step({ kind: "awaited", version, writer: 2 });
    node.step({ kind: "durable", version });
  }
  expect(durable()).toEqual([5, 6]);
  node.hear(1, { kind: "durable", exchange, number: 12, version: 6 });
  expect(durable()).toEqual([5, 6, 9]);
  // Who asks for it is heard by the others, not by itself.
  node.step({ kind: "asked", version: 9 });
  expect(node.sent.at(-1)).toEqual({ kind: "asked", exchange, number: 12, version: 9 });
});

/** Whose disk (of nodes 1 and 3) a change of node 2 hurries for. */
const chosen = (version: number) =>
  chosenDisks({ version, writer: 2, members: [1, 2, 3], needed: 2, view })[0]!;
const [ours, theirs] = [1, 3].map((nodeid) =>
  [...Array(99).keys()].filter((v) => v > 9 && chosen(v) === nodeid),
);

/** In an epoch that is agreed on. */
function agreed(): Node {
  const node = new Node();
  node.exchange({ 1: none, 2: none, 3: none });
  node.step({ kind: "synced", exchange, version: 5 });
  node.flushed();
  for (const nodeid of [1, 2]) node.hear(nodeid, { kind: "promised", exchange, number: 12 });
  node.flushed();
  for (const nodeid of [1, 2, 3]) {
    node.hear(nodeid, { kind: "durable", exchange, number: 12, version: 5 });
  }
  expect(node.core.standing()).toEqual({ isAgreed: true, majority: 5 });
  return node;
}

test("a chosen disk hurries, once, and never for what it has or where not all can say what theirs have", () => {
  const node = agreed();
  const [first, second, third] = ours!;
  node.step({ kind: "awaited", version: first!, writer: 2 });
  node.step({ kind: "awaited", version: first!, writer: 2 });
  expect([node.hurries, node.waits]).toEqual([1, 0]);
  node.step({ kind: "durable", version: second! });
  node.step({ kind: "awaited", version: second!, writer: 2 });
  expect(node.hurries).toBe(1);
  node.hear(2, { kind: "asked", exchange, number: 12, version: third! });
  expect(node.hurries).toBe(2);
  const mixed = new Node();
  mixed.exchange({ 1: none, 2: none }, [1, 2]);
  mixed.step({ kind: "synced", exchange, version: 5 });
  mixed.step({ kind: "awaited", version: first!, writer: 2 });
  expect([mixed.hurries, mixed.waits]).toEqual([0, 0]);
});

test("a spare disk takes its time while the chosen one is quick, and says nothing that nobody waits for", () => {
  const node = agreed();
  const [first, second] = theirs!;
  const sent = node.sent.length;
  node.step({ kind: "awaited", version: first!, writer: 2 });
  expect([node.hurries, node.waits]).toEqual([0, 1]);
  node.hear(3, { kind: "durable", exchange, number: 12, version: first! });
  node.step({ kind: "awaited", version: second!, writer: 2 });
  // The later one has its own moment, once the first is over.
  expect([node.hurries, node.waits]).toEqual([0, 1]);
  node.step({ kind: "waited" });
  expect([node.hurries, node.waits]).toEqual([0, 2]);
  node.hear(3, { kind: "durable", exchange, number: 12, version: second! });
  node.step({ kind: "durable", version: second! });
  node.step({ kind: "waited" });
  expect([node.hurries, node.waits, node.sent.length]).toEqual([0, 2, sent]);
});

test("where the chosen disk is late the spare ones hurry, and rely on nobody for a while", () => {
  const node = agreed();
  const [first, second, ...later] = theirs!;
  node.step({ kind: "awaited", version: first!, writer: 2 });
  node.step({ kind: "waited" });
  expect([node.hurries, node.waits]).toEqual([1, 1]);
  node.step({ kind: "durable", version: first! });
  expect(node.sent.at(-1)).toEqual({ kind: "durable", exchange, number: 12, version: first! });
  node.step({ kind: "awaited", version: second!, writer: 2 });
  expect([node.hurries, node.waits]).toEqual([2, 1]);
  // Of another writer, who knows it by now.
  node.hear(3, { kind: "durable", exchange, number: 12, version: second! });
  let version = later.at(-1)!;
  for (let times = 0; times < 200; times += 1) {
    version += 1;
    node.step({ kind: "awaited", version, writer: 2 });
  }
  expect(node.hurries).toBeGreaterThan(100);
  expect(node.waits).toBe(2);
  // With a changed group all begin anew.
  node.step({ kind: "treeConfigured", members: [1, 2, 3].map(member) });
  const { hurries } = node;
  node.step({ kind: "waited" });
  expect(node.hurries).toBe(hurries);
});

test("two writers: a spare says what its disk has as long as one of them waits", () => {
  const node = agreed();
  const [first, second] = theirs!;
  node.step({ kind: "awaited", version: first!, writer: 3 });
  node.step({ kind: "awaited", version: second!, writer: 2 });
  // Node 2 has its majority with node 3; node 3 itself needs one of the others.
  node.hear(3, { kind: "durable", exchange, number: 12, version: second! });
  const sent = node.sent.length;
  node.step({ kind: "durable", version: first! });
  expect(node.sent.slice(sent)).toEqual([
    { kind: "durable", exchange, number: 12, version: first! },
  ]);
});

test("messages of another exchange, of strangers' numbers and no messages change nothing", () => {
  const node = new Node();
  node.exchange({ 1: none, 2: none, 3: none });
  node.step({ kind: "synced", exchange, version: 5 });
  node.flushed();
  for (const nodeid of [1, 2, 3]) {
    node.hear(nodeid, { kind: "promised", exchange: { ...exchange, epoch: 3 }, number: 12 });
    node.hear(nodeid, { kind: "promised", exchange, number: 11 });
  }
  const event = { kind: "delivered", group: ownGroup, message: new Uint8Array(7) } as const;
  node.step({ kind: "groupEvent", event: { ...event, ...member(2) } });
  expect(node.stored.length).toBe(1);
});

test("without quorum nothing is promised; a changed group begins anew", () => {
  const node = new Node();
  node.exchange({ 1: none, 2: none, 3: none });
  node.step({ kind: "quorumChanged", view: { ...view, quorate: false } });
  node.step({ kind: "synced", exchange, version: 5 });
  expect(node.stored).toEqual([]);
  node.step({ kind: "quorumChanged", view });
  expect(node.stored.length).toBe(1);
  node.step({ kind: "treeConfigured", members: [1, 2].map(member) });
  expect(node.core.standing()).toEqual({ isAgreed: false, majority: undefined });
});
