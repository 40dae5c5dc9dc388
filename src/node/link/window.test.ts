// Duplicates, window and fragments against a plain model. Spec: knet.md §1.6, §1.7.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DataPacket } from "./packet.ts";
import { ASSEMBLIES_MAX, Window } from "./window.ts";

function take(window: Window, seq: number): boolean {
  const isNew = window.isNew(seq);
  if (isNew) window.delivered(seq);
  return isNew;
}

function piece(seq: number, fragments: number, fragment: number, data: Uint8Array): DataPacket {
  const rest = { method: 0, multicast: true, channel: 0, nodeid: 1 } as const;
  return { kind: "data", seq, fragments, fragment, data, ...rest };
}

/** Cuts a message like a sender does. */
function pieces(seq: number, message: Uint8Array, size: number): DataPacket[] {
  const count = Math.ceil(message.length / size);
  return Array.from({ length: count }, (_, i) =>
    piece(seq, count, i + 1, message.subarray(i * size, (i + 1) * size)),
  );
}

describe("window", () => {
  test("each number once, also late and out of order, also around the wrap", () => {
    const window = new Window();
    for (const seq of [65_530, 65_534, 65_531, 1, 65_535, 3, 2, 65_532]) {
      expect(take(window, seq)).toBe(true);
    }
    for (const seq of [65_530, 65_534, 65_531, 1, 65_535, 3, 2, 65_532]) {
      expect(take(window, seq)).toBe(false);
    }
  });

  test("a late number within 4096 is accepted once, an older one resets the window", () => {
    const window = new Window();
    take(window, 10_000);
    expect(take(window, 10_000 - 4000)).toBe(true);
    expect(take(window, 10_000 - 4000)).toBe(false);
    expect(take(window, 10_000 - 5000)).toBe(true);
    expect(take(window, 10_000)).toBe(true);
  });

  test("a restart's ping with 0 wipes once; a repeated 0 does not", () => {
    const window = new Window();
    window.pinged(0, true);
    take(window, 1);
    window.pinged(1, true);
    window.pinged(0, true);
    expect(take(window, 1)).toBe(true);
    window.pinged(0, true);
    expect(take(window, 1)).toBe(false);
  });

  test("untimed pings keep a window in step that sees no data", () => {
    const window = new Window();
    take(window, 5);
    for (const seq of [8191, 16_382, 24_573]) window.pinged(seq, false);
    expect(take(window, 24_574)).toBe(true);
    expect(take(window, 24_574)).toBe(false);
    expect(take(window, 24_570)).toBe(true);
  });

  test("the last link down: everything is new again", () => {
    const window = new Window();
    take(window, 5);
    window.reset();
    expect(take(window, 5)).toBe(true);
  });

  test("against a model: within 2000 of the newest, a number is new exactly when it was not delivered", () => {
    const steps = fc.array(fc.integer({ min: -1500, max: 400 }), { maxLength: 400 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65_535 }), steps, (start, offsets) => {
        const window = new Window();
        const delivered = new Map<number, number>();
        let newest = start;
        take(window, start);
        delivered.set(start, 0);
        let position = 0;
        for (const offset of offsets) {
          const at = position + offset;
          const seq = (((start + at) % 65_536) + 65_536) % 65_536;
          if (seq === 0) continue;
          const known = delivered.get(seq) === at;
          expect(take(window, seq)).toBe(!known);
          delivered.set(seq, at);
          if (at > position) position = at;
          newest = seq;
        }
        expect(take(window, newest)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

describe("fragments", () => {
  test("any order, any sizes, repeats: the message comes out once", () => {
    const cases = fc.record({
      length: fc.integer({ min: 2, max: 65_536 }),
      size: fc.integer({ min: 1, max: 20_000 }),
      order: fc.infiniteStream(fc.nat()),
    });
    fc.assert(
      fc.property(cases, ({ length, size, order }) => {
        const fit = Math.min(length - 1, Math.max(size, Math.ceil(length / 255)));
        const message = Uint8Array.from({ length }, (_, i) => (i * 7) & 255);
        const left = pieces(9, message, fit);
        const window = new Window();
        let whole: Uint8Array | undefined;
        while (left.length > 0) {
          const pick = (order.next().value ?? 0) % left.length;
          const [packet] = left.splice(pick, 1);
          const outcome = window.fragment(packet!);
          if (outcome.kind === "complete") whole = outcome.message;
          else {
            expect(outcome.kind).toBe("kept");
            expect(window.fragment(packet!).kind).toBe("duplicate");
          }
        }
        expect(Buffer.compare(whole!, message)).toBe(0);
        expect(window.assembling).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("the fragment that expired with its buffer is dropped", () => {
    const window = new Window();
    const data = new Uint8Array(10);
    for (let seq = 1; seq <= ASSEMBLIES_MAX + 5; seq += 1) window.fragment(piece(seq, 3, 1, data));
    expect(window.assembling).toBeLessThanOrEqual(ASSEMBLIES_MAX);
    expect(window.fragment(piece(1, 3, 2, data)).kind).toBe("expired");
    expect(window.fragment(piece(ASSEMBLIES_MAX + 5, 3, 2, data)).kind).toBe("kept");
  });

  test("a buffer more than 32 numbers behind is released", () => {
    const window = new Window();
    window.isNew(100);
    window.fragment(piece(100, 2, 1, new Uint8Array(10)));
    take(window, 133);
    take(window, 134);
    expect(window.assembling).toBe(0);
  });

  test("contradictions and messages above 64 KiB are refused", () => {
    const window = new Window();
    const bytes = (size: number) => new Uint8Array(size);
    expect(window.fragment(piece(1, 3, 1, bytes(100))).kind).toBe("kept");
    expect(window.fragment(piece(1, 3, 2, bytes(99))).kind).toBe("malformed");
    expect(window.fragment(piece(1, 4, 2, bytes(100))).kind).toBe("malformed");
    expect(window.fragment(piece(1, 3, 3, bytes(101))).kind).toBe("malformed");
    expect(window.fragment(piece(2, 255, 1, bytes(1400))).kind).toBe("malformed");
    expect(window.fragment(piece(3, 2, 1, bytes(60_000))).kind).toBe("kept");
    expect(window.fragment(piece(3, 2, 2, bytes(6000))).kind).toBe("malformed");
    // A last fragment that came first and turns out too long is forgotten; the true one still completes the message.
    expect(window.fragment(piece(4, 2, 2, bytes(500))).kind).toBe("kept");
    expect(window.fragment(piece(4, 2, 1, bytes(100))).kind).toBe("malformed");
    expect(window.fragment(piece(4, 2, 1, bytes(100))).kind).toBe("kept");
    expect(window.fragment(piece(4, 2, 2, bytes(50))).kind).toBe("complete");
  });

  test("hostile fragments never throw and never hold more than 32 messages", () => {
    const hostile = fc.record({
      seq: fc.integer({ min: 1, max: 65_535 }),
      fragments: fc.integer({ min: 2, max: 255 }),
      at: fc.nat(254),
      size: fc.constantFrom(1, 2, 100, 300, 1446, 60_000),
    });
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 120 }), (list) => {
        const window = new Window();
        for (const { seq, fragments, at, size } of list) {
          if (!window.isNew(seq)) continue;
          const outcome = window.fragment(
            piece(seq, fragments, (at % fragments) + 1, new Uint8Array(size)),
          );
          if (outcome.kind === "complete")
            expect(outcome.message.length).toBeLessThanOrEqual(65_536);
          expect(window.assembling).toBeLessThanOrEqual(ASSEMBLIES_MAX);
        }
      }),
      { numRuns: 200 },
    );
  });
});
