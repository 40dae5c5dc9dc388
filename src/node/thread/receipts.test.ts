import { expect, test } from "bun:test";
import { errnos } from "../../libc.ts";
import type { PortEvent } from "../../world.ts";
import { SharedReceipts, withdrawalBytes } from "./receipts.ts";

const delivered = (group: string): PortEvent => ({
  ...{ kind: "delivered", group, nodeid: 1, pid: 1, message: new Uint8Array(0) },
});
const configured = (group: string): PortEvent => ({
  ...{ kind: "configured", group, members: [], left: [], joined: [] },
});

function message(fill: number): Uint8Array {
  return new Uint8Array(withdrawalBytes).fill(fill);
}

/** Both sides, and what the ring thread's side wrote. */
function pair(group = "g") {
  const main = new SharedReceipts(group);
  const ring = new SharedReceipts(group, main.memory);
  const written: string[] = [];
  const write = (fd: number, bytes: Uint8Array): number => {
    written.push(`${fd}:${bytes[0]}`);
    return bytes.length;
  };
  return { main, ring, written, write };
}

test("what was received is known before the listener has it, and only what concerns the group", () => {
  const { main, ring, write } = pair();
  const before = main.mark();
  expect(main.hasPassed(before)).toBe(true);
  for (const event of [delivered("g"), configured("g"), delivered("other")])
    ring.heard(event, write);
  ring.heard({ kind: "stable", deliveries: 3 }, write);
  const mark = main.mark();
  expect([before, mark].map((each) => main.hasPassed(each))).toEqual([true, false]);
  main.passed([delivered("g"), delivered("other")]);
  expect(main.hasPassed(mark)).toBe(false);
  main.passed([configured("g")]);
  expect(main.hasPassed(mark)).toBe(true);
  // The quorum changed.
  ring.counted(write);
  expect(main.hasPassed(main.mark())).toBe(false);
  main.passedOne();
  expect(main.hasPassed(main.mark())).toBe(true);
});

test("what waits is written with the next event, once, in order, and its room is free again", () => {
  const { main, ring, written, write } = pair();
  main.device(9);
  const places = [1, 2, 3].map((fill) => main.withdraw(message(fill))!);
  expect(places.every((place) => main.isWaiting(place))).toBe(true);
  ring.heard(delivered("other"), write);
  expect(written).toEqual([]);
  ring.heard(delivered("g"), write);
  expect(written).toEqual(["9:1", "9:2", "9:3"]);
  expect(places.some((place) => main.isWaiting(place))).toBe(false);
  ring.heard(delivered("g"), write);
  expect(written.length).toBe(3);
  for (let round = 0; round < 5; round += 1) {
    let count = 0;
    while (main.withdraw(message(count & 0xff)) !== undefined) count += 1;
    expect(count).toBe(512);
    written.length = 0;
    ring.counted(write);
    expect(written).toEqual(Array.from({ length: 512 }, (_, at) => `9:${at & 0xff}`));
  }
  expect(main.withdraw(new Uint8Array(withdrawalBytes - 1))).toBeUndefined();
});

test("without a device nothing is written; a refusal is told, a node that the kernel has forgotten is none", () => {
  const { main, ring, written, write } = pair();
  main.withdraw(message(1));
  expect(ring.heard(delivered("g"), write)).toBe(0);
  expect(written).toEqual([]);
  main.device(4);
  for (const [errno, told] of [
    [errnos.ENOENT, 0],
    [errnos.ENODEV, 0],
    [errnos.EBADF, errnos.EBADF],
  ] as const) {
    main.withdraw(message(1));
    expect(ring.heard(delivered("g"), () => -errno)).toBe(told);
  }
  main.device(undefined);
  main.withdraw(message(1));
  expect(ring.heard(delivered("g"), write)).toBe(0);
  expect(written).toEqual([]);
});

test("counts go on past 2^31, and nobody waits for a ring that has ended", () => {
  const { main, ring, write } = pair();
  const numbers = new Int32Array(main.memory, 0, 8);
  numbers[0] = 0x7fff_fffe;
  for (const place of [1, 2]) numbers[place] = -2;
  main.end();
  expect(main.hasPassed(main.mark())).toBe(true);
  const fresh = new SharedReceipts("g", main.memory);
  fresh.device(3);
  const place = fresh.withdraw(message(7))!;
  expect(fresh.isWaiting(place)).toBe(true);
  for (let n = 0; n < 4; n += 1) ring.heard(delivered("g"), write);
  expect(fresh.isWaiting(place)).toBe(false);
  expect(fresh.mark()).toBe(-0x7fff_fffe);
});
