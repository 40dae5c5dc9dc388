// Streams of events with a clock of the test's own: replay, slow readers, limits, rights that end.
import { expect, test } from "bun:test";
import { HandClock } from "../../../test/double/hand-clock.ts";
import type { NodeEvent, RecordedEvent } from "./event.ts";
import { eventKinds } from "./event-kinds.ts";
import { EventRing } from "./event-ring.ts";
import { EventStreams, type StreamRequest } from "./streams.ts";

const limits = { streamsMax: 3, streamsPerUserMax: 2, idleMs: 10, stalledMs: 30 };

function link(at: number): NodeEvent {
  return { kind: "link", at, text: "", facts: { nodeid: 2, link: 0, isUp: true, reason: "" } };
}

function lab(ringMax = 1000) {
  const ring = new EventRing("t", { treeMax: ringMax, othersMax: ringMax });
  const clock = new HandClock();
  const said: string[] = [];
  const log = (_: "notice" | "warning", text: string) => void said.push(text);
  const streams = new EventStreams({ ring, clock, limits, log });
  const happens = (event: NodeEvent): RecordedEvent => {
    const recorded = ring.append(event);
    streams.published();
    return recorded;
  };
  return { ring, clock, said, streams, happens };
}

function begun(streams: EventStreams, more: Partial<StreamRequest> = {}) {
  const started = streams.start({
    ...{ user: "root@pam", kinds: eventKinds, lastId: undefined },
    shown: (event) => event,
    isStillAllowed: async () => true,
    ...more,
  });
  if (!started.ok) throw new Error(started.reason);
  const reader = started.value.getReader();
  const next = async (): Promise<string | undefined> => {
    const { value, done } = await reader.read();
    return done ? undefined : new TextDecoder().decode(value);
  };
  return { next, cancel: () => reader.cancel() };
}

test("begins with where it is, then each event as it happens, in the form of server-sent events", async () => {
  const { streams, happens } = lab();
  happens(link(1));
  const { next } = begun(streams);
  expect(await next()).toBe(
    'retry: 2000\nid: t-1\nevent: ready\ndata: {"isComplete":true,"reason":""}\n\n',
  );
  const waiting = next();
  const event = happens(link(2));
  expect(await waiting).toBe(`id: t-2\nevent: link\ndata: ${JSON.stringify(event)}\n\n`);
});

test("who comes back gets what happened meanwhile, and nothing twice", async () => {
  const { streams, happens } = lab();
  for (let at = 1; at <= 100; at += 1) happens(link(at));
  const { next } = begun(streams, { lastId: "t-3" });
  expect(await next()).toBe('retry: 2000\nevent: ready\ndata: {"isComplete":true,"reason":""}\n\n');
  const ids = [await next(), await next()].flatMap((piece) =>
    [...(piece ?? "").matchAll(/^id: t-(\d+)$/gm)].map(([, number]) => Number(number)),
  );
  expect(ids).toEqual(Array.from({ length: 97 }, (_, index) => index + 4));
});

test("an id whose successors are gone: what is left, and a line that says so", async () => {
  const { streams, happens } = lab(10);
  for (let at = 1; at <= 100; at += 1) happens(link(at));
  const { next } = begun(streams, { lastId: "t-3" });
  expect(await next()).toContain('"isComplete":false,"reason":"events behind that one');
  expect(await next()).toStartWith("id: t-91\n");
});

test("whom nothing is shown waits for the first that is, also behind many", async () => {
  const { streams, happens } = lab();
  const { next } = begun(streams, { shown: (event) => (event.at === 500 ? event : undefined) });
  await next();
  for (let at = 1; at <= 499; at += 1) happens(link(at));
  const waiting = next();
  happens(link(500));
  expect(await waiting).toStartWith("id: t-500\n");
});

test("a reader that does not come back is ended with a reason, and its place is free at once", async () => {
  const { streams, clock, said, happens } = lab();
  const { next } = begun(streams);
  await next();
  happens(link(1));
  await next();
  // The piece is with it; it asks for no other.
  clock.advance(29);
  happens(link(2));
  expect(streams.open).toBe(1);
  clock.advance(11);
  expect(streams.open).toBe(0);
  expect(streams.counters.dropped).toBe(1);
  expect(said).toEqual([
    "a stream of events to root@pam is ended: what there was for this reader was not read for too long",
  ]);
  expect(await next()).toContain("event: end\ndata: {");
  expect(await next()).toBeUndefined();
});

test("a reader that is slower than what happens is ended with a reason; nothing is kept for it", async () => {
  const { streams, happens } = lab(10);
  const { next } = begun(streams);
  await next();
  // Nobody asks: the eleventh pushes out the first.
  for (let at = 1; at <= 11; at += 1) happens(link(at));
  expect(streams.open).toBe(0);
  expect(await next()).toContain("so slow that events it had not read are gone");
  expect(await next()).toBeUndefined();
});

test("one that reads stays for as long as it likes, with a comment where nothing happens", async () => {
  const { streams, clock } = lab();
  const { next } = begun(streams);
  await next();
  for (let round = 0; round < 100; round += 1) {
    const waiting = next();
    clock.advance(10);
    expect(await waiting).toBe(": still here\n\n");
  }
  expect(streams.open).toBe(1);
});

test("there are so many places, fewer for a user, and a closed one is free", async () => {
  const { streams } = lab();
  const first = begun(streams);
  begun(streams);
  expect(() => begun(streams)).toThrow("root@pam has 2 streams of events open already");
  begun(streams, { user: "ann@pve" });
  expect(() => begun(streams, { user: "bob@pve" })).toThrow("3 streams of events are open already");
  expect(streams.counters).toEqual({ opened: 3, refused: 2, dropped: 0 });
  await first.cancel();
  expect(streams.open).toBe(2);
  begun(streams, { user: "bob@pve" });
});

test("when rights have changed who has lost them is ended at once, and nobody else", async () => {
  const { streams } = lab();
  let isAllowed = true;
  const lost = begun(streams, { isStillAllowed: async () => isAllowed });
  const other = begun(streams, { user: "ann@pve" });
  await lost.next();
  await other.next();
  isAllowed = false;
  streams.askAgain();
  expect(await lost.next()).toContain("log in again");
  expect(await lost.next()).toBeUndefined();
  expect(streams.open).toBe(1);
});

test("a login that has ended ends its stream, and so does the node", async () => {
  const { streams, clock } = lab();
  let isAllowed = true;
  const { next } = begun(streams, { isStillAllowed: async () => isAllowed });
  const other = begun(streams, {
    isStillAllowed: () => Promise.reject(new Error("the tree is closed")),
  });
  await next();
  await other.next();
  isAllowed = false;
  const waiting = next();
  clock.advance(10);
  expect(await waiting).toBe(": still here\n\n");
  expect(await next()).toContain("log in again");
  expect(await other.next()).toContain("log in again");
  const last = begun(streams, { user: "ann@pve" });
  await last.next();
  streams.end("the node is ending");
  expect(await last.next()).toBe('event: end\ndata: {"reason":"the node is ending"}\n\n');
  expect(() => begun(streams)).toThrow("the node is ending");
  expect(streams.open).toBe(0);
});
