// Duplicates, window and fragments against a plain model. Spec: knet.md §1.6, §1.7.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DataPacket } from "./packet.ts";
import { totemMessage } from "../../../test/double/link-network.ts";
import { AHEAD_MAX, ASSEMBLIES_MAX, BEHIND_MAX, Window } from "./window.ts";

const silenceMs = 2000;

function take(window: Window, seq: number): boolean {
  const isNew = window.check(seq) === "new";
  if (isNew) window.delivered(seq);
  return isNew;
}

/** A ping that takes no time: `at` is our clock, the peer's is `ahead` ms ahead of it. */
function ping(window: Window, seq: number, at: number, ahead = 5000): void {
  window.pinged({ seq, clock: at + ahead, now: at, silenceMs });
}

/** A window that knows where the peer's counter and clock are. */
function windowAt(seq: number, at: number): Window {
  const window = new Window();
  take(window, seq);
  ping(window, seq, at);
  return window;
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

  test("a late number within 4096 is accepted once; without pings an older one resets the window", () => {
    const window = new Window();
    take(window, 10_000);
    expect(take(window, 10_000 - 4000)).toBe(true);
    expect(take(window, 10_000 - 4000)).toBe(false);
    expect(take(window, 10_000 - 5000)).toBe(true);
    expect(take(window, 10_000 - 5000)).toBe(false);
  });

  test("around the counter that a ping told: what is too old or too new is stale, and moves nothing", () => {
    const window = windowAt(10_000, 0);
    expect(take(window, 10_001)).toBe(true);
    expect(window.check(10_000 - BEHIND_MAX)).toBe("stale");
    expect(window.check(10_000 + AHEAD_MAX + 1)).toBe("stale");
    expect(window.check(10_000 - BEHIND_MAX + 1)).toBe("new");
    expect(window.check(10_001)).toBe("duplicate");
  });

  test("a restart's ping with 0 wipes once; a repeated 0 does not", () => {
    const window = new Window();
    ping(window, 0, 0);
    take(window, 1);
    ping(window, 1, 800);
    ping(window, 0, 1600);
    expect(take(window, 1)).toBe(true);
    ping(window, 0, 1700);
    expect(take(window, 1)).toBe(false);
  });

  test("pings keep a window in step that sees no data", () => {
    const window = new Window();
    take(window, 5);
    for (const i of [1, 2, 3, 4, 5, 6, 7, 8, 9]) ping(window, (i * 8191) % 65_536, i * 100);
    const told = (9 * 8191) % 65_536;
    expect(take(window, told + 1)).toBe(true);
    expect(take(window, told + 1)).toBe(false);
    expect(take(window, told - 3)).toBe(true);
  });

  test("a recorded ping changes nothing, of whatever clock", () => {
    const window = windowAt(300, 10_000);
    take(window, 301);
    // Of this life of the machine, of one that ran shorter, of one that ran longer.
    for (const ahead of [4000, -20_000, 1e9]) ping(window, 0, 10_400, ahead);
    window.pinged({ seq: 0, clock: 15_000, now: 10_400, silenceMs });
    expect(window.check(301)).toBe("duplicate");
    ping(window, 300, 10_800);
    expect(window.check(301)).toBe("duplicate");
  });

  test("numbers of another life that pushed the window ahead are forgotten at the second ping", () => {
    const window = windowAt(100, 0);
    for (let seq = 101; seq <= 9000; seq += 1) take(window, seq);
    window.fragment(piece(9001, 3, 1, new Uint8Array(10)));
    ping(window, 110, 400);
    ping(window, 120, 800);
    for (let seq = 121; seq <= 9000; seq += 1) expect(take(window, seq)).toBe(true);
    expect(window.assembling).toBe(0);
    expect(window.fragment(piece(9001, 3, 2, new Uint8Array(10))).kind).toBe("kept");
  });

  test("data that overtakes a ping is not forgotten", () => {
    const window = windowAt(100, 0);
    for (let seq = 101; seq <= 400; seq += 1) take(window, seq);
    ping(window, 390, 400);
    for (let seq = 401; seq <= 700; seq += 1) take(window, seq);
    // The same moment's ping over a slower link.
    window.pinged({ seq: 391, clock: 5400.02, now: 450, silenceMs });
    ping(window, 800, 800);
    for (let seq = 101; seq <= 700; seq += 1) expect(take(window, seq)).toBe(false);
  });

  test("a machine that was started again is followed after a silence, whatever its clock says", () => {
    const window = new Window();
    take(window, 40_000);
    ping(window, 40_000, 0, 1e8);
    ping(window, 7, silenceMs - 1, 20);
    expect(window.check(8)).toBe("stale");
    ping(window, 7, silenceMs, 20);
    expect(window.check(8)).toBe("new");
    ping(window, 8, silenceMs + 800, 20);
    expect(window.check(9)).toBe("new");
    expect(window.check(40_000)).toBe("stale");
  });

  test("recorded pings alone keep nobody out who sends data, however long they go on", () => {
    const window = windowAt(30_000, 0);
    window.reset();
    for (let at = 100; at < 20_000; at += 100) ping(window, 30_000, at, 1000);
    for (let seq = 1; seq <= 500; seq += 1) {
      const at = 20_000 + seq * 100;
      ping(window, 30_000 + seq, at, 1000);
      expect(take(window, seq)).toBe(true);
      if (seq % 8 === 0) ping(window, seq, at + 50);
      // The first ping of the peer itself is enough.
      if (seq >= 8) expect(window.check(30_000)).toBe("stale");
    }
  });

  test("recorded pings that follow one another faster than they were sent are not the peer's", () => {
    const window = windowAt(100, 0);
    for (let i = 1; i <= 100; i += 1) ping(window, 100 + i * 100, i * 200, 5000 + i * 1500);
    expect(window.check(101)).toBe("new");
    const slewed = windowAt(100, 0);
    for (let i = 1; i <= 1000; i += 1) ping(slewed, 100 + i * 30, i * 800, 5000 + i * 65);
    expect(slewed.check(30_101)).toBe("new");
    expect(slewed.check(101)).toBe("stale");
  });

  test("data that overtakes the first ping comes once, data of another time does not stay marked", () => {
    const window = new Window();
    for (const seq of [100, 101, 102, 2000]) take(window, seq);
    ping(window, 100, 0);
    expect(take(window, 102)).toBe(false);
    ping(window, 103, 800);
    ping(window, 104, 1600);
    expect(take(window, 2000)).toBe(true);
  });

  test("a silence in which the peer's clock went on forgets nothing", () => {
    const window = windowAt(100, 0);
    take(window, 101);
    ping(window, 110, 5 * silenceMs);
    expect(take(window, 101)).toBe(false);
  });

  test("nor does a recorded start that is sent again and again, when the counter is far from there", () => {
    const window = new Window();
    let refused = 0;
    for (let seq = 1, at = 0; seq <= 60_000; seq += 100, at += 100) {
      if (!take(window, seq)) refused += 1;
      window.pinged({ seq: 0, clock: 77, now: at, silenceMs });
      if (at % 800 === 700) ping(window, seq, at);
    }
    expect(refused).toBe(0);
  });

  test("a host whose clock cannot be read is followed by its data; 0 still means a restart", () => {
    const window = new Window();
    const unread = { clock: undefined, now: 0, silenceMs };
    for (let seq = 1; seq <= 65_535; seq += 7) expect(take(window, seq)).toBe(true);
    expect(take(window, 65_535 - 7)).toBe(false);
    window.pinged({ ...unread, seq: 65_530 });
    window.pinged({ ...unread, seq: 0 });
    expect(take(window, 1)).toBe(true);
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

  test("what came of an mcast before is not lost when the ring sends it again", () => {
    const window = new Window();
    const message = totemMessage(50_000, 0, 3);
    const first = pieces(1, message, 482);
    const again = pieces(9, message, 482);
    for (const packet of first) if (packet.fragment % 20 !== 7) window.fragment(packet);
    const outcomes = again.map((packet) =>
      packet.fragment % 20 === 3 ? undefined : window.fragment(packet),
    );
    const whole = outcomes.find((outcome) => outcome?.kind === "complete");
    expect(whole?.kind === "complete" && Buffer.compare(whole.message, message)).toBe(0);
    expect(window.assembling).toBe(0);
  });

  test("other messages, other sizes and other kinds are never mixed", () => {
    const one = totemMessage(5000, 0, 3);
    const other = totemMessage(5000, 0, 4);
    const join = totemMessage(5000, 0, 3);
    join[3] = 3;
    const pairs = [
      [pieces(1, one, 482), pieces(2, other, 482)],
      [pieces(1, one, 1446), pieces(2, one, 482)],
      [pieces(1, join, 482), pieces(2, join, 482)],
      [pieces(1, one, 482), pieces(2, one, 482).map((packet) => ({ ...packet, method: 1 }))],
    ];
    for (const [before = [], after = []] of pairs) {
      const window = new Window();
      for (const packet of before.slice(0, -1)) window.fragment(packet);
      for (const packet of after.slice(0, -1)) {
        expect(window.fragment(packet).kind).toBe("kept");
      }
      expect(window.assembling).toBe(2);
    }
  });

  test("a buffer too far behind the sender is released before its number comes again", () => {
    const window = windowAt(100, 0);
    window.fragment(piece(101, 2, 1, new Uint8Array(10)));
    ping(window, 4000, 400);
    expect(window.assembling).toBe(1);
    ping(window, 101 + BEHIND_MAX, 800);
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
          if (window.check(seq) !== "new") continue;
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
