// Rings under random faults: kills, restarts, partitions, loss and load, then the promises of extended virtual synchrony are
// checked on what every node saw. QUORATE_TORTURE=N runs N seeds.
import { expect, test } from "bun:test";
import { reasonOf } from "../../result.ts";
import {
  defaultTuning,
  TestNetwork,
  type Configured,
  type Seen,
  type TestNode,
} from "../../../test/double/ring-network.ts";

interface Epoch {
  readonly ring: string;
  readonly before: readonly string[];
  readonly transitional: Configured | undefined;
  readonly after: readonly string[];
  readonly next: string | undefined;
}

/** Cuts what a node saw into rings: messages before and behind the transitional configuration that ends each. */
function epochs(seen: readonly Seen[]): Epoch[] {
  const list: Epoch[] = [];
  let ring: string | undefined;
  let before: string[] = [];
  let after: string[] = [];
  let transitional: Configured | undefined;
  for (const item of seen) {
    if (item.kind === "message") {
      (transitional === undefined ? before : after).push(item.name);
    } else if (item.type === "transitional") {
      transitional = item;
    } else {
      const next = `${item.ring.rep}.${item.ring.seq}`;
      if (ring !== undefined) list.push({ ring, before, transitional, after, next });
      [ring, before, after, transitional] = [next, [], [], undefined];
    }
  }
  if (ring !== undefined) list.push({ ring, before, transitional, after, next: undefined });
  return list;
}

function checkPromises(nodes: readonly TestNode[]): void {
  const histories = nodes.map((node) => ({ node, epochs: epochs(node.seen) }));
  for (const { node } of histories) {
    const { names } = node;
    expect(new Set(names).size).toBe(names.length);
    expect(node.seen.every((seen) => seen.kind !== "message" || seen.ok)).toBe(true);
    const seqs = node.persisted;
    expect(seqs.every((seq, i) => i === 0 || seq > (seqs[i - 1] ?? 0))).toBe(true);
    // A transitional configuration before each regular one.
    const types = node.seen.flatMap((seen) => (seen.kind === "configured" ? [seen.type] : []));
    types.forEach((type, i) => expect(type).toBe(i % 2 === 0 ? "transitional" : "regular"));
  }
  for (const a of histories) {
    for (const b of histories) {
      if (a.node.nodeid >= b.node.nodeid) continue;
      for (const epoch of a.epochs) {
        const other = b.epochs.find((item) => item.ring === epoch.ring);
        if (other === undefined) continue;
        const wentTogether =
          epoch.next !== undefined &&
          epoch.next === other.next &&
          epoch.transitional?.members.includes(b.node.nodeid) === true;
        if (wentTogether) {
          expect({ ring: epoch.ring, names: epoch.before }).toEqual({
            ring: epoch.ring,
            names: other.before,
          });
          expect(epoch.after).toEqual(other.after);
          expect(epoch.transitional?.members).toEqual(other.transitional?.members ?? []);
          expect(epoch.transitional?.left).toEqual(other.transitional?.left ?? []);
        } else {
          // They parted: one may have seen more, but in the same order.
          const length = Math.min(epoch.before.length, other.before.length);
          expect(epoch.before.slice(0, length)).toEqual(other.before.slice(0, length));
        }
      }
    }
  }
}

/** What was called stable is known to every member that lived on, whatever happened to the ring. */
function checkStable(told: readonly TestNode[], alive: readonly TestNode[]): void {
  const known = new Map(alive.map((node) => [node.nodeid, new Set(node.names)]));
  for (const { stable } of told) {
    for (const { name, members } of stable) {
      for (const nodeid of members) {
        expect(known.get(nodeid)?.has(name) ?? true).toBe(true);
      }
    }
  }
}

function torture(seed: number): void {
  const size = 2 + (seed % 4);
  const nodeids = Array.from({ length: size }, (_, i) => i + 1);
  const netMtu = seed % 2 === 0 ? 1500 : 65_536;
  const network = new TestNetwork({
    seed,
    nodeids,
    ...(seed % 3 === 0
      ? {}
      : { keep: { keepMs: 0.2, keepsMax: 4, afterAnswerMs: 2, whileStoredMs: 10 } }),
    tuning: {
      ...defaultTuning,
      tokenMs: 1000,
      tokenRetransmitMs: 238,
      holdMs: 180,
      consensusMs: 1200,
      netMtu,
    },
  });
  const { random } = network;
  const retired: TestNode[] = [];
  let count = 0;
  let isPeace = false;
  for (const nodeid of nodeids) network.start(nodeid);
  for (let round = 0; round < 40; round += 1) {
    network.run(random.below(random.below(4) === 0 ? 4000 : 200));
    for (const node of network.alive) {
      for (let i = random.below(6); i > 0; i -= 1) {
        count += 1;
        const bytes = random.below(random.below(5) === 0 ? 60_000 : 2000);
        const answered = ([undefined, "delivered", "stable", "stored"] as const)[random.below(4)];
        node.send(`${node.nodeid}/${count}`, bytes, answered);
        // Its sender goes on for a while, each time once he is answered.
        node.goesOn = () => {
          if (!random.below(4)) return;
          const life = network.node(node.nodeid);
          network.at(network.now + random.next() / 2, () => {
            count += 1;
            if (life === node && node.isAlive && !isPeace)
              node.send(`${node.nodeid}/${count}`, random.below(500), "delivered");
          });
        };
      }
    }
    const victim = nodeids[random.below(size)] ?? 1;
    switch (random.below(10)) {
      case 0:
        network.kill(victim);
        break;
      case 1:
      case 2:
        if (!network.node(victim).isAlive) {
          retired.push(network.node(victim));
          network.start(victim);
        }
        break;
      case 3:
        network.partition(
          nodeids.filter((nodeid) => nodeid % 2 === round % 2),
          nodeids.filter((nodeid) => nodeid % 2 !== round % 2),
        );
        break;
      case 4:
        network.heal();
        break;
      case 5: {
        const percent = random.below(30);
        network.isLost = () => random.below(100) < percent;
        break;
      }
      case 6:
        network.isLost = (frame) => frame.to === victim && frame.bytes[3] === 1;
        break;
      case 7:
        network.isLost = () => false;
        break;
      case 8:
        // One that still hears and sends all: nobody else has read of it.
        network.node(victim).step({ kind: "removed", nodeids: [nodeids[random.below(size)] ?? 1] });
        break;
      default:
        network.node(victim).step({ kind: "stopped" });
        network.kill(victim);
        break;
    }
  }
  isPeace = true;
  network.heal();
  network.isLost = () => false;
  for (const nodeid of nodeids) {
    if (network.node(nodeid).isAlive) continue;
    retired.push(network.node(nodeid));
    network.start(nodeid);
  }
  network.runUntil(
    () => network.isWhole(nodeids),
    4 * 1000 + 3 * 1200 + 10_000,
    `seed ${seed} heals`,
  );
  for (const node of network.alive) node.send(`${node.nodeid}/end`, 10);
  const isOver = (): boolean =>
    network.alive.every(
      (node) => node.names.filter((name) => name.endsWith("/end")).length === size,
    );
  network.runUntil(isOver, 20_000, `seed ${seed} ends`);
  // The last messages are stable a rotation later.
  network.runUntil(
    () => network.alive.every((node) => node.stable.some(({ name }) => name.endsWith("/end"))),
    2000,
    `seed ${seed}: stable`,
  );
  checkPromises([...network.alive]);
  // A node that was started again has forgotten, so only those that never were are asked.
  const steadfast = network.alive.filter(
    (node) => !retired.some((old) => old.nodeid === node.nodeid),
  );
  checkStable([...retired, ...network.alive], steadfast);
  checkPromises(
    [...retired, ...network.alive].filter(
      (node, _, list) => list.filter((other) => other.nodeid === node.nodeid).length === 1,
    ),
  );
  for (const node of network.alive) {
    expect(node.ring.snapshot().counters.droppedMalformed).toBe(0);
    // Self-delivery: what this life of the node sent came back to it.
    expect(node.ring.snapshot().queuedMessages).toBe(0);
    const own = node.names.filter((name) => name.startsWith(`${node.nodeid}/`));
    expect(own).toEqual(node.sent);
  }
}

const seeds = Number(process.env["QUORATE_TORTURE"] ?? 25);
const first = Number(process.env["QUORATE_TORTURE_FROM"] ?? 1);

test(`promises hold under random faults (${seeds} seeds)`, () => {
  for (let seed = first; seed < first + seeds; seed += 1) {
    try {
      torture(seed);
    } catch (error) {
      const why = reasonOf(error);
      throw new Error(`seed ${seed}: ${why}`, { cause: error });
    }
  }
}, 600_000);
