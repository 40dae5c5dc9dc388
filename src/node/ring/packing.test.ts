import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { equalBytes } from "../../bytes.ts";
import { Assembly, assemblyBytesMax } from "./assembly.ts";
import {
  decodePacket,
  encodePacket,
  logicalMessageBytesMax,
  packetBytesMax,
  Packer,
  type Packet,
} from "./packing.ts";

function filled(size: number, value: number): Uint8Array {
  return new Uint8Array(size).fill(value);
}

function packet(continuation: number, fragmented: number, ...blocks: number[][]): Packet {
  return {
    version: 0,
    type: 0,
    continuation,
    fragmented,
    blocks: blocks.map((b) => Uint8Array.from(b)),
  };
}

function packAll(packer: Packer, before = 0): Packet[] {
  const packets: Packet[] = [];
  for (;;) {
    const bytes = packer.pack(before);
    if (bytes === undefined) return packets;
    const decoded = decodePacket(bytes.subarray(before));
    if (!decoded.ok) throw new Error(decoded.reason);
    packets.push(decoded.value);
  }
}

describe("packets", () => {
  test("one block alone takes 1400 bytes on udp and 65436 on knet", () => {
    expect(packetBytesMax(1500)).toBe(1410);
    expect(packetBytesMax(65_536)).toBe(65_446);
    for (const [netMtu, size] of [
      [1500, 1400],
      [65_536, 65_436],
    ] as const) {
      const packer = new Packer(netMtu);
      packer.push(filled(size, 1));
      expect(packAll(packer).map((p) => p.fragmented)).toEqual([0]);
      packer.push(filled(size + 1, 1));
      expect(packAll(packer).map((p) => [p.continuation, p.fragmented])).toEqual([
        [0, 1],
        [1, 0],
      ]);
    }
  });

  test("a nonsensical netmtu still leaves room for progress and for a wrapper", () => {
    for (const netMtu of [0, 1, 100, 4_294_967_295]) {
      const packer = new Packer(netMtu);
      packer.push(filled(1000, 1));
      const bytes = packAll(packer).reduce((sum, p) => sum + (p.blocks[0]?.length ?? 0), 0);
      expect(bytes).toBe(1000);
      expect(packetBytesMax(netMtu)).toBeLessThanOrEqual(65_536 - 90);
    }
  });

  test("fragment numbers go 1 … 255, 1 …, and begin at 1 again behind a whole message", () => {
    const packer = new Packer(256);
    packer.push(filled(256 * 200, 1));
    const packets = packAll(packer);
    expect(packets.length).toBeGreaterThan(300);
    packets.forEach((p, i) => {
      expect(p.continuation).toBe(packets[i - 1]?.fragmented ?? 0);
    });
    expect(packets[254]?.fragmented).toBe(255);
    expect(packets[255]?.fragmented).toBe(1);
    expect(packets.at(-1)?.fragmented).toBe(0);
  });

  test("a message that began on another ring is sent again whole: old and new members deliver the same", () => {
    const packer = new Packer(1500);
    for (const value of [1, 2, 3]) packer.push(filled(value === 1 ? 2000 : 10, value));
    const old = new Assembly();
    const joined = new Assembly();
    const first = decodePacket(packer.pack(0)!);
    if (!first.ok) throw new Error(first.reason);
    expect(old.accept(1, first.value)).toEqual([]);
    expect(packer.isHalfSent).toBe(true);
    packer.ringChanged();
    packer.ringChanged();
    expect(packer.isHalfSent).toBe(true);
    const packets = packAll(packer);
    expect(packets.map((p) => [p.continuation, p.fragmented])).toEqual([
      [2, 0],
      [0, 1],
      [1, 0],
    ]);
    for (const assembly of [old, joined]) {
      const lengths = packets.flatMap((p) => assembly.accept(1, p) ?? []).map((m) => m.length);
      expect(lengths).toEqual([2000, 10, 10]);
    }
    expect([packer.messages, packer.packets, packer.isHalfSent]).toEqual([0, 0, false]);
  });

  test("lengths that do not add up are refused in corosync's words", () => {
    const bytes = encodePacket(packet(0, 0, [1, 2, 3]));
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    const decoded = decodePacket(longer);
    expect(decoded.ok).toBe(false);
    if (!decoded.ok)
      expect(decoded.reason).toBe(
        "doesn't have expected length of 13 (has 14) bytes...  Ignoring.",
      );
    expect(decodePacket(bytes.subarray(0, 12)).ok).toBe(false);
    expect(decodePacket(bytes.subarray(0, 7)).ok).toBe(false);
    expect(decodePacket(encodePacket(packet(0, 0))).ok).toBe(false);
  });

  test("random bytes never throw; what is accepted is encoded to the same bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const decoded = decodePacket(bytes);
        if (decoded.ok) expect(encodePacket(decoded.value)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  test("any messages come out as they went in, whatever the packet size", () => {
    const sizes = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 5000 })),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(sizes, fc.integer({ min: 256, max: 3000 }), (list, netMtu) => {
        const packer = new Packer(netMtu);
        const assembly = new Assembly();
        const messages = list.map((size, i) => filled(size, i & 0xff));
        for (const message of messages) expect(packer.push(message)).toBe(true);
        const out: Uint8Array[] = [];
        let expectedPackets = packer.packets;
        for (const p of packAll(packer, 45)) {
          expectedPackets -= 1;
          out.push(...(assembly.accept(9, p) ?? []));
        }
        expect(Math.abs(expectedPackets)).toBeLessThan(3 + list.length);
        expect(out.length).toBe(messages.length);
        out.forEach((message, i) => expect(equalBytes(message, messages[i]!)).toBe(true));
        expect(packer.messages).toBe(0);
        expect(packer.packets).toBe(0);
        expect(assembly.pendingBytes).toBe(0);
      }),
    );
  });

  test("too large a message is not taken; a full queue says so and recovers", () => {
    const packer = new Packer(1500);
    const hasRoom = (): boolean => packer.hasRoom;
    expect(packer.push(filled(logicalMessageBytesMax + 1, 1))).toBe(false);
    expect(packer.messages).toBe(0);
    let count = 0;
    for (; hasRoom(); count += 1) packer.push(filled(1, 1));
    // Tiny messages are bounded too.
    expect(count).toBeLessThan(70_000);
    packer.pack(0);
    expect(hasRoom()).toBe(true);
  });
});

describe("Assembly", () => {
  const texts = (messages: Uint8Array[] | undefined): number[][] | undefined =>
    messages?.map((m) => [...m]);

  test("pieces of two sources do not mix", () => {
    const assembly = new Assembly();
    expect(texts(assembly.accept(1, packet(0, 1, [1])))).toEqual([]);
    expect(texts(assembly.accept(2, packet(0, 1, [2])))).toEqual([]);
    expect(texts(assembly.accept(1, packet(1, 2, [11])))).toEqual([]);
    expect(texts(assembly.accept(2, packet(1, 0, [22], [3])))).toEqual([[2, 22], [3]]);
    expect(texts(assembly.accept(1, packet(2, 0, [111])))).toEqual([[1, 11, 111]]);
  });

  test("a node that joins in the middle of a message loses that packet whole and is in step again", () => {
    const assembly = new Assembly();
    expect(texts(assembly.accept(1, packet(5, 0, [9], [8])))).toEqual([]);
    expect(texts(assembly.accept(1, packet(0, 0, [7])))).toEqual([[7]]);
  });

  test("thrown away until a packet ends with a whole message or a first fragment", () => {
    const assembly = new Assembly();
    expect(texts(assembly.accept(1, packet(5, 6, [9])))).toEqual([]);
    expect(texts(assembly.accept(1, packet(6, 7, [9])))).toEqual([]);
    // Fragment 1 ends the throwing, but its message can not be finished: the next mismatches.
    expect(texts(assembly.accept(1, packet(7, 1, [9], [1])))).toEqual([]);
    expect(texts(assembly.accept(1, packet(1, 0, [2], [3])))).toEqual([]);
    expect(texts(assembly.accept(1, packet(0, 0, [4])))).toEqual([[4]]);
  });

  test("a new ring forgives a source that was being thrown away, not one in the middle of a message", () => {
    const assembly = new Assembly();
    assembly.accept(1, packet(5, 6, [9]));
    assembly.accept(2, packet(0, 1, [1]));
    assembly.dropThrowing();
    expect(texts(assembly.accept(1, packet(0, 0, [3])))).toEqual([[3]]);
    expect(texts(assembly.accept(2, packet(1, 0, [2])))).toEqual([[1, 2]]);
  });

  test("a sender that would overrun corosync's buffer loses its message, and memory stays bounded", () => {
    const assembly = new Assembly();
    const block = [...filled(60_000, 1)];
    let continuation = 0;
    let overrun = 0;
    for (let i = 0; i < 40; i += 1) {
      const fragmented = (continuation % 255) + 1;
      if (assembly.accept(1, packet(continuation, fragmented, block)) === undefined) overrun += 1;
      continuation = fragmented;
      expect(assembly.pendingBytes).toBeLessThanOrEqual(assemblyBytesMax);
    }
    expect(overrun).toBe(1);
    expect(assembly.accept(1, packet(continuation, 0, [1], [2]))).toEqual([]);
    expect(texts(assembly.accept(1, packet(0, 0, [5])))).toEqual([[5]]);
  });

  test("a node that left takes its pieces along", () => {
    const assembly = new Assembly();
    assembly.accept(1, packet(0, 1, [1]));
    assembly.drop([1]);
    expect(assembly.pendingBytes).toBe(0);
    expect(texts(assembly.accept(1, packet(0, 0, [2])))).toEqual([[2]]);
  });
});
