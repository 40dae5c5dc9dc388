// A ring member that is fed spoiled copies of its own ring's frames: right ring ids, right sequence numbers, wrong everything
// else. Nothing may break an invariant, and when it is over all nodes must find together again.
import { expect, test } from "bun:test";
import { reasonOf } from "../../result.ts";
import { decodeMessage, encodeMessage, nodesMax, type TotemMessage } from "./message.ts";
import { windowMax } from "./queue.ts";
import {
  defaultTuning,
  TestNetwork,
  type SeededRandom,
} from "../../../test/double/ring-network.ts";

// A token that announces messages nobody has is outlived by FAILED TO RECEIVE: after few rotations here.
const tuning = {
  ...defaultTuning,
  failReceiveMax: 50,
  tokenMs: 1000,
  tokenRetransmitMs: 238,
  holdMs: 180,
  consensusMs: 1200,
  netMtu: 1500,
};

/** Values at the edges, where comparisons go wrong. */
function edge(random: SeededRandom, around: number): number {
  const values = [
    0,
    1,
    around - 1,
    around + 1,
    around + windowMax - 1,
    around + windowMax,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_0000,
    0xffff_ffff,
  ];
  return (values[random.below(values.length)] ?? 0) >>> 0;
}

/** One field of a message set to an edge value. */
function spoil(message: TotemMessage, random: SeededRandom): TotemMessage {
  const fields = Object.entries(message).filter(([, value]) => typeof value === "number");
  const [name, value] = fields[random.below(fields.length)]!;
  if (message.kind === "join" && name === "ringSeq")
    return { ...message, ringSeq: random.below(2000) };
  if (message.kind === "commit" && random.below(2) === 0) {
    const entries = message.entries.map((entry) => ({
      ...entry,
      aru: edge(random, entry.aru),
      received: random.below(2),
    }));
    return { ...message, entries, index: random.below(message.members.length + 1) };
  }
  if (message.kind === "token" && random.below(3) === 0) {
    const retransmits = Array.from({ length: random.below(31) }, () => ({
      ring: message.ring,
      seq: edge(random, message.seq),
    }));
    return { ...message, tokenSeq: message.tokenSeq + random.below(5), retransmits };
  }
  return { ...message, [name]: edge(random, Number(value)) };
}

function attack(seed: number): void {
  const network = new TestNetwork({ seed, nodeids: [1, 2, 3], tuning });
  // One with another aru, or another whose aru that is, may call anything stable.
  network.hasForgedTokens = true;
  network.startAll();
  const { random } = network;
  let isAttacked = true;
  network.onFrame = (frame) => {
    if (!isAttacked || frame.to !== 2 || random.below(12) !== 0) return;
    const decoded = decodeMessage(frame.bytes);
    if (!decoded.ok) return;
    const bytes = encodeMessage(spoil(decoded.value, random)).slice();
    if (random.below(6) === 0) bytes[13 + random.below(bytes.length - 13)] = random.below(256);
    network.at(network.now + random.next(), () => {
      network.node(2).step({ kind: "received", bytes });
    });
  };
  for (let i = 0; i < 60; i += 1) {
    for (const node of network.alive) node.send(`${node.nodeid}/${i}`, random.below(4000));
    network.run(random.below(100));
    if (random.below(10) === 0) network.run(2500);
  }
  isAttacked = false;
  // Whom a forged join named exists for nobody: it takes consensus timeouts to be rid of it.
  network.runUntil(
    () =>
      network.alive.every(
        (node) =>
          node.ring.snapshot().members.join(" ") === "1 2 3" &&
          node.ring.snapshot().state === "operational",
      ),
    60_000,
    `seed ${seed}: together after the attack`,
  );
  for (const node of network.alive) {
    expect(node.ring.snapshot().proc.length).toBeLessThanOrEqual(nodesMax);
  }
  expect(network.node(2).ring.snapshot().counters.droppedMalformed).toBeGreaterThan(0);
}

const seeds = Number(process.env["QUORATE_HOSTILE"] ?? 20);

test(`spoiled frames break nothing (${seeds} seeds)`, () => {
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      attack(seed);
    } catch (error) {
      const why = reasonOf(error);
      throw new Error(`seed ${seed}: ${why}`, { cause: error });
    }
  }
}, 600_000);
