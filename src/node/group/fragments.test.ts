import { expect, test } from "bun:test";
import { Assemblies, fragmentAt, messageBytesMax } from "./fragments.ts";
import { decodeGroupMessage, fragmentBytesMax, type FragmentType } from "./message.ts";
import { Outbox } from "./outbox.ts";

const piece = (type: FragmentType, payload: Uint8Array, total = 6, pid = 1) =>
  ({ kind: "partial", group: "g", pid, nodeid: 1, total, type, payload }) as const;
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

test("fragments of different processes and groups do not mix", () => {
  const assemblies = new Assemblies();
  assemblies.add(1, piece("first", bytes(1, 2, 3)));
  assemblies.add(2, piece("first", bytes(7, 8, 9)));
  assemblies.add(1, piece("first", bytes(4, 4, 4), 6, 2));
  const whole = assemblies.add(1, piece("last", bytes(4, 5, 6)));
  expect(whole && [...whole]).toEqual([1, 2, 3, 4, 5, 6]);
});

test("wrong fragments void the message: too long, too short, other total, empty, no first", () => {
  const wrong = [
    [piece("first", bytes(1, 2, 3)), piece("last", bytes(4, 5, 6, 7))],
    [piece("first", bytes(1, 2, 3)), piece("last", bytes(4, 5))],
    [piece("first", bytes(1, 2, 3)), piece("last", bytes(4, 5, 6), 7)],
    [piece("first", bytes(1, 2, 3)), piece("continued", bytes()), piece("last", bytes(4, 5, 6))],
    [piece("continued", bytes(1, 2, 3)), piece("last", bytes(4, 5, 6))],
    [piece("first", bytes(1), messageBytesMax + 1), piece("last", bytes(2), messageBytesMax + 1)],
  ];
  for (const pieces of wrong) {
    const assemblies = new Assemblies();
    for (const each of pieces) expect(assemblies.add(1, each)).toBeUndefined();
  }
});

test("fragments are cut as libcpg cuts them", () => {
  const message = new Uint8Array(2_000_000);
  expect(fragmentAt(message, 0)).toMatchObject({ type: "first" });
  expect(fragmentAt(message, 0).payload).toHaveLength(fragmentBytesMax);
  expect(fragmentAt(message, fragmentBytesMax)).toMatchObject({ type: "last" });
  expect(fragmentAt(new Uint8Array(3_000_000), fragmentBytesMax)).toMatchObject({
    type: "continued",
  });
});

test("the outbox sends a fragment only after the one before came back, and restarts on a change", () => {
  const outbox = new Outbox({ nodeid: 1 });
  outbox.queuePayload("g", 9, new Uint8Array(2 * fragmentBytesMax + 1));
  outbox.queuePayload("g", 9, bytes(1));
  const next = (): string => {
    const outgoing = outbox.next();
    if (outgoing === undefined) return "nothing";
    const decoded = decodeGroupMessage(outgoing.message.subarray(5));
    if (!decoded.ok) return decoded.reason;
    return decoded.value.kind === "partial" ? decoded.value.type : decoded.value.kind;
  };
  expect([next(), next()]).toEqual(["first", "nothing"]);
  outbox.fragmentDelivered("g", 9, fragmentBytesMax);
  expect(next()).toBe("continued");
  outbox.groupChanged("other");
  outbox.groupChanged("g");
  outbox.fragmentDelivered("g", 9, fragmentBytesMax);
  expect(next()).toBe("first");
  outbox.fragmentDelivered("g", 9, fragmentBytesMax);
  expect(next()).toBe("continued");
  outbox.fragmentDelivered("g", 9, fragmentBytesMax);
  expect(next()).toBe("last");
  outbox.fragmentDelivered("g", 9, 1);
  expect([next(), next()]).toEqual(["mcast", "nothing"]);
  expect(outbox.isEmpty).toBe(true);
});
