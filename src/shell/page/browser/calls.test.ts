// How the page calls its node: what is sent, what is believed of the answers; the state that is read again and again, a session, a task that is followed.
import { expect, test } from "bun:test";
import * as v from "valibot";
import { overviewOf } from "../../../../test/double/overviews.ts";
import { Api } from "./api.ts";
import { askEach } from "./ask-each.ts";
import { Follow, stepsOf } from "./follow.ts";
import { Live, type LiveOptions } from "./live.ts";
import { Sessions } from "./session.ts";
import { informationText } from "./screens/joining.tsx";
import { decodeJoinInformation } from "../../join/join-information.ts";

interface Sent {
  readonly url: string;
  readonly init: RequestInit;
}

/** A node that answers as it is told; "" breaks the connection. */
class PaperNode {
  readonly sent: Sent[] = [];
  unknown = 0;
  answer: (url: string, init: RequestInit) => Response | undefined = () => undefined;
  readonly api = new Api({
    fetch: async (url, init) => {
      this.sent.push({ url, init });
      const response = this.answer(url, init);
      if (response === undefined) throw new TypeError("Failed to fetch");
      return response;
    },
    onUnknown: () => (this.unknown += 1),
  });
}

/** Timers that wait for the test. */
class PaperTimers {
  readonly waiting: { readonly ms: number; readonly run: () => void }[] = [];
  readonly after = (ms: number, run: () => void) => {
    const timer = { ms, run };
    this.waiting.push(timer);
    return () => {
      const at = this.waiting.indexOf(timer);
      if (at >= 0) this.waiting.splice(at, 1);
    };
  };
  /** The first one, and whatever follows from it at once. */
  async next(): Promise<number> {
    const timer = this.waiting.shift();
    timer?.run();
    await settled();
    return timer?.ms ?? -1;
  }
}

/** Everything that waits for answers that are there already. */
async function settled(): Promise<void> {
  for (let count = 0; count < 20; count += 1) await Promise.resolve();
}

const json = (data: unknown, status = 200) => Response.json({ data }, { status });

test("a reading has its words in the address, a change in its body with the token", async () => {
  const node = new PaperNode();
  node.answer = () => json("good");
  node.api.csrfToken = "token";
  expect(await node.api.get(v.string(), "/a", { b: "c d", e: true, f: undefined })).toEqual({
    ok: true,
    data: "good",
  });
  await node.api.post(v.string(), "/a", { b: "c d", e: true });
  await node.api.call("DELETE", { schema: v.string(), path: "/a" });
  const [read, change, removal] = node.sent;
  expect(read?.url).toBe("/a?b=c+d&e=1");
  expect(read?.init).toMatchObject({ method: "GET", cache: "no-store", headers: {} });
  expect(change).toMatchObject({ url: "/a", init: { body: '{"b":"c d","e":true}' } });
  for (const sent of [change, removal]) {
    expect(sent?.init.headers).toMatchObject({ csrfpreventiontoken: "token" });
  }
  expect(new Headers(removal?.init.headers).has("content-type")).toBe(false);
});

test("refusals, strange answers and silence are failures with a sentence", async () => {
  const node = new PaperNode();
  const { api } = node;
  const ask = () => api.get(v.string(), "/a");
  node.answer = () =>
    Response.json({ message: "no\n", hint: "ask", errors: { a: "b" } }, { status: 400 });
  expect(await ask()).toMatchObject({ status: 400, reason: "no", hint: "ask", errors: { a: "b" } });
  node.answer = () => new Response("<html>", { status: 502, statusText: "Bad Gateway" });
  expect(await ask()).toMatchObject({ ok: false, status: 502, reason: "Bad Gateway" });
  for (const text of ["", "{", "[]", '{"data":7}', '{"data":null}']) {
    node.answer = () => new Response(text);
    expect(await ask()).toMatchObject({
      ok: false,
      reason: expect.stringContaining("another version"),
    });
  }
  node.answer = () => undefined;
  expect(await ask()).toMatchObject({ ok: false, status: 0 });
  expect(node.unknown).toBe(0);
  node.answer = () => json(null, 401);
  expect(await ask()).toMatchObject({ ok: false, status: 401 });
  expect(node.unknown).toBe(1);
});

test("texts of other machines steer nothing, but for what is edited and sent back", async () => {
  const node = new PaperNode();
  node.answer = () => json("a\u202eb\u0000c\nd");
  expect(await node.api.get(v.string(), "/a")).toMatchObject({ data: "a\u{fffd}b\u{fffd}c\nd" });
  const raw = await node.api.call("GET", { schema: v.string(), path: "/a", isRaw: true });
  expect(raw).toMatchObject({ data: "a\u202eb\u0000c\nd" });
});

test("of many nodes four are asked at a time, and each once", async () => {
  const nodes = Array.from({ length: 11 }, (_, at) => ({ nodeid: at + 1, name: `pve${at + 1}` }));
  const waiting: { readonly name: string; readonly answer: () => void }[] = [];
  const asked: string[] = [];
  const all = askEach(nodes, (name) => {
    asked.push(name);
    return new Promise<string>((resolve) =>
      waiting.push({ name, answer: () => resolve(`${name}!`) }),
    );
  });
  expect(waiting.length).toBe(4);
  while (waiting.length > 0) {
    waiting.pop()?.answer();
    await settled();
    expect(waiting.length).toBeLessThanOrEqual(4);
  }
  expect([...(await all)].toSorted(([a], [z]) => a - z)).toEqual(
    nodes.map(({ nodeid, name }) => [nodeid, `${name}!`]),
  );
  expect(asked).toEqual(nodes.map(({ name }) => name));
});

function liveOf(node: PaperNode) {
  const timers = new PaperTimers();
  const streams: (Parameters<LiveOptions["openEvents"]>[0] & { isClosed: boolean })[] = [];
  let now = 1000;
  const live = new Live({
    api: node.api,
    now: () => now,
    after: timers.after,
    openEvents: (heard) => {
      const stream = { ...heard, isClosed: false };
      streams.push(stream);
      return { close: () => (stream.isClosed = true) };
    },
  });
  const at = (ms: number) => (now = ms);
  return { live, timers, streams, at };
}

const quorumEvent = (id: string) =>
  JSON.stringify({
    ...{ id, at: 5, kind: "quorum", text: "quorum is lost" },
    facts: { quorate: false, totalVotes: 1, expectedVotes: 3, quorum: 2 },
  });

test("the state is read at once, then every five seconds, and soon after an event", async () => {
  const node = new PaperNode();
  node.answer = () => json(overviewOf([1, 2, 3]));
  const { live, timers, streams, at } = liveOf(node);
  live.start();
  await settled();
  expect(live.view.value).toMatchObject({ readAt: 1000, failure: undefined, isLive: false });
  streams[0]?.onReady();
  expect(live.view.value.isLive).toBe(true);
  expect(await timers.next()).toBe(150);
  at(6000);
  expect(await timers.next()).toBe(5000);
  expect(node.sent).toHaveLength(3);
  node.answer = () => json(overviewOf([1, 2, 3], [2, 3]));
  streams[0]?.onEvent(quorumEvent("9"));
  streams[0]?.onEvent("{ cut off");
  streams[0]?.onEvent('{"kind":"stranger"}');
  expect(await timers.next()).toBe(150);
  expect(live.view.value.overview?.quorum.quorate).toBe(false);
  expect(live.events.value.map(({ id }) => id)).toEqual(["9"]);
});

test("what was read stays when the node is gone; the stream is begun anew behind the last event", async () => {
  const node = new PaperNode();
  node.answer = () => json(overviewOf([1, 2, 3]));
  const { live, timers, streams } = liveOf(node);
  live.start();
  await settled();
  streams[0]?.onReady();
  streams[0]?.onEvent(quorumEvent("9"));
  node.answer = () => undefined;
  await timers.next();
  expect(live.view.value).toMatchObject({ readAt: 1000, failure: { status: 0 } });
  expect(live.view.value.overview).toBeDefined();
  streams[0]?.onGone();
  expect(streams[0]?.isClosed).toBe(true);
  expect(live.view.value.isLive).toBe(false);
  for (let count = 0; count < 4 && streams.length < 2; count += 1) await timers.next();
  expect(streams[1]?.lastId).toBe("9");
  live.stop();
  expect(timers.waiting).toEqual([]);
  expect(streams[1]?.isClosed).toBe(true);
  const before = node.sent.length;
  live.refresh();
  live.end();
  await settled();
  expect(node.sent).toHaveLength(before);
  expect(live.view.value.overview).toBeUndefined();
  expect(live.events.value).toEqual([]);
});

const session = {
  ...{ user: "root@pam", csrfToken: "first", capabilities: {}, node: "pve1", cluster: "" },
};

function sessionsOf(node: PaperNode) {
  let now = 0;
  let renew: () => void = () => undefined;
  const sessions = new Sessions(node.api, {
    now: () => now,
    every: (_, run) => {
      renew = run;
      return () => (renew = () => undefined);
    },
  });
  const pass = async (ms: number) => {
    now += ms;
    renew();
    await settled();
  };
  return { sessions, pass };
}

test("a session: found or not, renewed while somebody is there, and ended", async () => {
  const node = new PaperNode();
  const { sessions, pass } = sessionsOf(node);
  node.answer = () => json(null);
  await sessions.find();
  expect(sessions.state.value).toMatchObject({ kind: "none", isEnded: false });
  node.answer = () => json({ kinds: ["totp"], challenge: "half" });
  const half = await sessions.logIn("root@pam", "secret");
  expect(half).toEqual({ kinds: ["totp"], challenge: "half" });
  expect(sessions.state.value.kind).toBe("none");
  node.answer = () => json(session);
  expect(
    await sessions.giveCode("root@pam", { kinds: [], challenge: "half" }, "totp:123456"),
  ).toBeUndefined();
  expect(sessions.state.value).toMatchObject({ kind: "here", session });
  node.answer = () => json({ ...session, csrfToken: "second" });
  await pass(900_000);
  expect(node.sent.at(-1)).toMatchObject({
    url: "/api/v1/session",
    init: { method: "PUT", headers: { csrfpreventiontoken: "first" } },
  });
  const before = node.sent.length;
  await pass(3_000_000);
  expect(node.sent).toHaveLength(before);
  sessions.used();
  await pass(1);
  expect(node.sent.at(-1)?.init.headers).toMatchObject({ csrfpreventiontoken: "second" });
  sessions.ended();
  expect(sessions.state.value).toMatchObject({ kind: "none", isEnded: true });
  await pass(1);
  expect(node.sent).toHaveLength(before + 1);
});

test("a task is not asked for while nobody sees the page, and at once afterwards", async () => {
  const node = new PaperNode();
  const timers = new PaperTimers();
  const { after } = timers;
  const follow = new Follow({ api: node.api, now: () => 0, after, onEnd: () => undefined });
  follow.seen(true);
  follow.begin("Join", "pve1", "U");
  // Hidden while an answer is awaited: it is taken, and nothing more is asked.
  follow.seen(false);
  await settled();
  expect([node.sent.length, timers.waiting.length]).toEqual([1, 0]);
  expect(follow.task.value?.silence).toContain("does not answer");
  follow.seen(true);
  follow.seen(true);
  await settled();
  expect([node.sent.length, timers.waiting.length]).toEqual([3, 1]);
  follow.seen(false);
  expect(timers.waiting).toEqual([]);
});

test("whose session ends with a join that is followed is told of it, unless the join has failed", () => {
  const node = new PaperNode();
  const { after } = new PaperTimers();
  const follow = new Follow({ api: node.api, now: () => 0, after, onEnd: () => undefined });
  const { sessions } = sessionsOf(node);
  expect(follow.farewell).toBe("");
  follow.begin("Join", "pve1", "U", [], "it joins prod");
  expect(follow.farewell).toBe("it joins prod");
  sessions.state.set({ kind: "here", session });
  sessions.ended(follow.farewell);
  expect(sessions.state.value).toMatchObject({ isEnded: true, farewell: "it joins prod" });
  follow.task.set({ ...follow.task.value!, end: "no" });
  expect(follow.farewell).toBe("");
});

test("a task is followed over a restart of its node, to its last line", async () => {
  const node = new PaperNode();
  const timers = new PaperTimers();
  let ended = 0;
  let now = 0;
  const follow = new Follow({
    api: node.api,
    now: () => now,
    after: timers.after,
    onEnd: () => (ended += 1),
  });
  const task = {
    ...{ upid: "U", node: "pve1", pid: 1, pstart: 1, starttime: 1, type: "x", id: "", user: "r" },
  };
  const state = { status: "running", lines: [{ n: 1, t: "no content" }] };
  let exit: string | undefined;
  node.answer = (url) =>
    url.endsWith("/status")
      ? json({ ...task, status: state.status, ...(exit === undefined ? {} : { exitstatus: exit }) })
      : json(state.lines);
  follow.begin("Join", "pve1", "UPID:pve1:x@y:", ["one", "not said", "two", "three"]);
  await settled();
  expect(node.sent[0]?.url).toBe("/api2/json/nodes/pve1/tasks/UPID%3Apve1%3Ax%40y%3A/status");
  state.lines = [
    { n: 1, t: "one" },
    { n: 2, t: "two" },
  ];
  now = 4000;
  await timers.next();
  expect(follow.task.value).toMatchObject({ lines: ["one", "two"], end: "", silence: "" });
  expect(stepsOf(follow.task.value!).map((step) => step.state)).toEqual([
    ...(["done", "done", "runs", "waits"] as const),
  ]);
  const answering = node.answer;
  node.answer = () => undefined;
  await timers.next();
  expect(follow.task.value?.silence).toContain("does not answer");
  node.answer = answering;
  state.status = "stopped";
  exit = "OK";
  state.lines = [
    { n: 2, t: "two" },
    { n: 3, t: "TASK OK" },
  ];
  await timers.next();
  expect(node.sent.at(-1)?.url).toEndWith("/log?start=1&limit=500");
  expect(follow.task.value).toMatchObject({ lines: ["one", "two", "TASK OK"], end: "OK" });
  expect(ended).toBe(1);
  expect(timers.waiting).toEqual([]);
});

test("join information is what every page reads", () => {
  const pve_fp = Array.from({ length: 32 }, () => "AB").join(":");
  const own = { name: "pve1", pve_addr: "10.0.0.1", pve_fp, ring0_addr: "10.0.0.1" };
  const totem = { cluster_name: "prod", version: "2" };
  const text = informationText({ preferred_node: "pve1", nodelist: [own], totem });
  expect(decodeJoinInformation(text)).toEqual({
    ok: true,
    value: {
      ...{ ipAddress: "10.0.0.1", fingerprint: pve_fp, peerLinks: { "0": "10.0.0.1" } },
      totem,
    },
  });
});

test("steps: how far, how long, and where it failed; names that are known later do not hide one", () => {
  const steps = ["check", "become a member of the cluster: key", "wait"];
  const seen = (lines: readonly string[], end: string) =>
    stepsOf({ steps, lines, end, seenAt: lines.map((_, at) => at * 1000) }).map(
      ({ state, ms }) => `${state} ${ms ?? "-"}`,
    );
  expect(seen([], "")).toEqual(["waits -", "waits -", "waits -"]);
  expect(seen(["check", "a note", "become a member of the cluster 'prod': key"], "")).toEqual([
    ...["done 2000", "runs -", "waits -"],
  ]);
  const whole = ["check", "become a member of the cluster 'prod': key", "wait", "TASK OK"];
  expect(seen(whole, "OK")).toEqual(["done 1000", "done 1000", "done 1000"]);
  expect(seen(["check", "TASK ERROR: no"], "no")).toEqual(["failed 1000", "waits -", "waits -"]);
  // What an undo says is no step that begins.
  expect(
    seen(
      ["check", "become a member of the cluster 'x': key", "undo: check", "TASK ERROR: no"],
      "no",
    )[0],
  ).toBe("done 1000");
});
