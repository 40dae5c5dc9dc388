// What a real node tells of itself over time: streams that go on where they were cut, readers that do not read, versions, metrics, the report.
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { connect as connectSocket, type Socket } from "node:net";
import { dirname } from "node:path";
import { parseExposition } from "../double/exposition.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { LoneNode } from "./lone-node.ts";

const nodes: LoneNode[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const node of nodes.splice(0)) await node.close();
});

const port = 18_206;
/** Of "secret". */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";

function lone(name: string): LoneNode {
  const node = new LoneNode(name);
  nodes.push(node);
  mkdirSync(dirname(node.paths.shadow), { recursive: true });
  writeFileSync(node.paths.shadow, `root:${hash}:19000:0:99999:7:::\n`);
  return node;
}

async function started(node: LoneNode): Promise<void> {
  const count = () => node.log().split("the HTTPS API listens on").length;
  node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  await node.statusWhen(({ mode }) => mode === "standalone", "standalone");
  await until(() => (count() > 1 ? ready(true) : pending(node.log())), 30_000, "HTTPS");
}

/** One request over the network, with a login of its own. */
async function loggedIn(node: LoneNode) {
  const base = `https://${node.address}:${port}`;
  const tls = { rejectUnauthorized: false };
  const login = await fetch(`${base}/api2/json/access/ticket`, {
    ...{ method: "POST", tls },
    body: new URLSearchParams({ username: "root@pam", password: "secret" }),
  });
  const { data } = (await login.json()) as {
    data: { ticket: string; CSRFPreventionToken: string };
  };
  const own = {
    cookie: `PVEAuthCookie=${encodeURIComponent(data.ticket)}`,
    csrfpreventiontoken: data.CSRFPreventionToken,
  };
  return (path: string, init: RequestInit = {}, more: Readonly<Record<string, string>> = {}) =>
    fetch(`${base}${path}`, { tls, ...init, headers: { ...own, ...more } });
}

type Ask = Awaited<ReturnType<typeof loggedIn>>;

async function put(ask: Ask, words: Readonly<Record<string, string>>) {
  const body = new URLSearchParams(words);
  const response = await ask("/api/v1/tree/file", { method: "PUT", body });
  const answer = (await response.json()) as { data?: { version: number }; code?: string };
  return { status: response.status, ...answer };
}

/** An event of the tree that names it; keys and certificates that the node makes may stand in the same event, before or after it. */
const changeOf = (path: string): RegExp =>
  new RegExp(`^id: (\\S+)\nevent: tree\ndata: .*"paths":\\[[^\\]]*"${path}"`, "m");

/** Reads until `words` have come; throws when the stream ends before. */
async function readTo(response: Response, words: RegExp): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error("the answer has no body");
  let text = "";
  while (!words.test(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the stream ended: ${text}`);
    text += new TextDecoder().decode(value);
  }
  await reader.cancel();
  return text;
}

test("a stream goes on behind the last event, also when the node has begun anew; a stale write is refused; metrics and report", async () => {
  const node = lone("watch1");
  await started(node);
  const madeOne = "this node has a new certificate in the tree";
  await until(
    () => (node.log().includes(madeOne) ? ready(true) : pending(node.log())),
    120_000,
    madeOne,
  );
  const ask = await loggedIn(node);
  const stream = await ask("/api/v1/events?kinds=tree");
  expect(stream.headers.get("content-type")).toStartWith("text/event-stream");
  const reading = readTo(stream, changeOf("a"));
  const first = await put(ask, { path: "a", content: "1", version: "0" });
  expect(first.status).toBe(200);
  const id = (await reading).match(changeOf("a"))?.[1] ?? "";
  expect(id).not.toBe("");
  // While nobody listens.
  expect(await put(ask, { path: "b", content: "2" })).toMatchObject({ status: 200 });
  const stale = await put(ask, { path: "a", content: "3", version: "0" });
  expect(stale).toMatchObject({ status: 412, code: "staleVersion" });
  const back = await ask("/api/v1/events?kinds=tree", {}, { "last-event-id": id });
  const missed = await readTo(back, changeOf("b"));
  expect(missed).toContain('"isComplete":true');
  expect(missed).not.toMatch(changeOf("a"));

  const metrics = parseExposition(await (await ask("/metrics")).text());
  const value = (name: string) => metrics.find((each) => each.name === name)?.value;
  expect(value("quorate_quorate")).toBe(1);
  expect(value("quorate_journal_commits_total")).toBeGreaterThan(0);
  expect(value("quorate_certificate_days_left")).toBeGreaterThan(300);
  expect(
    (await fetch(`https://${node.address}:${port}/metrics`, { tls: { rejectUnauthorized: false } }))
      .status,
  ).toBe(401);

  const listed = await node.run("events", "--kinds", "tree", "--json");
  expect(JSON.parse(listed.out)).toMatchObject({ gap: "" });
  expect((await node.run("events")).out).toContain("  tree        /b has changed\n");
  expect(await node.run("events", "--kinds", "tre")).toMatchObject({ code: 2 });
  expect(parseExposition((await node.run("metrics")).out).length).toBeGreaterThan(30);
  expect(JSON.parse((await node.run("metrics", "--json")).out)).toContainEqual(
    expect.objectContaining({ name: "quorate_quorate", samples: [{ labels: {}, value: 1 }] }),
  );
  const report = await node.run("report");
  expect(report).toMatchObject({ code: 0 });
  expect(report.out).toContain("==== log of this program, oldest first ====");
  expect(report.out).not.toContain("PRIVATE KEY");

  await node.stop();
  expect(statSync(node.paths.history).size).toBeGreaterThan(100);
  const dead = await node.run("report", "--json");
  expect(dead.code).toBe(3);
  expect(JSON.parse(dead.out)).toContainEqual(expect.objectContaining({ name: "the node" }));
  await started(node);
  const anew = await ask("/api/v1/events?kinds=tree", {}, { "last-event-id": id });
  expect(await readTo(anew, /\n\n/)).toContain("the node has begun anew");
}, 180_000);

test("a reader that does not read is ended with a reason, and the node holds nothing for it", async () => {
  const node = lone("watch2");
  node.start(["--no-mount", "--no-api", "--durability", "normal"]);
  await node.statusWhen(({ mode }) => mode === "standalone", "standalone");
  // As many bytes an event as it may have.
  const names = Array.from({ length: 8 }, (_, at) => `${at}`.padStart(1000, "x"));
  for (const name of names) await node.client.put(name, new Uint8Array(1));
  const before = await node.client.status();
  const socket = connectSocket(node.paths.socket);
  sockets.push(socket);
  socket.on("error", () => undefined);
  socket.write("GET /api/v1/events HTTP/1.1\r\nHost: n\r\n\r\n");
  socket.pause();
  const dropped = "a stream of events to root@pam is ended: ";
  let round = 0;
  await until(
    async () => {
      if (node.log().includes(dropped)) return ready(true);
      round += 1;
      for (const name of names) await node.client.setMtime(name, round);
      return pending(`${round} rounds`);
    },
    120_000,
    "the end of the stream",
  );
  const after = await node.client.status();
  expect(after.node.rssBytes - before.node.rssBytes).toBeLessThan(100 * 1024 * 1024);
  const { out } = await node.run("metrics");
  expect(out).toContain("\nquorate_api_streams_dropped_total 1\n");
  expect(out).toContain("\nquorate_api_streams 0\n");
  // Whoever reads at last finds why.
  const text = await new Promise<string>((resolve) => {
    let received = "";
    socket.on("data", (bytes: Uint8Array) => {
      received += new TextDecoder().decode(bytes);
      if (received.includes("event: end")) resolve(received);
    });
    socket.on("close", () => resolve(received));
    socket.resume();
  });
  expect(text).toMatch(/event: end\ndata: \{"reason":"[^"]+begin again behind the last event/);
}, 180_000);

test("events --follow prints each as it happens, over a restart of the node", async () => {
  const node = lone("watch3");
  node.start(["--no-mount", "--no-api"]);
  await node.statusWhen(({ mode }) => mode === "standalone", "standalone");
  const { eventsCommand } = await import("../../src/shell/command/monitor/events.ts");
  const end = new AbortController();
  let shown = "";
  const following = eventsCommand({
    ...{ root: node.root, json: true, isFollowed: true, kinds: "tree", since: undefined },
    write: (text) => void (shown += text),
    signal: end.signal,
  });
  const saw = (words: string) =>
    until(() => (shown.includes(words) ? ready(true) : pending(shown)), 30_000, words);
  await node.client.put("first", new Uint8Array(1));
  await saw('"paths":["first"]');
  await node.client.restart();
  await saw("the node is ending");
  await saw("the node has begun anew");
  await node.client.put("second", new Uint8Array(1));
  await saw('"paths":["second"]');
  end.abort();
  expect(await following).toBe(0);
}, 120_000);

test("fifty streams and requests beside them: each gets what happens, and the token goes on", async () => {
  const node = lone("watch4");
  mkdirSync(dirname(node.paths.conf), { recursive: true });
  writeFileSync(
    node.paths.conf,
    `totem {\n  version: 2\n  cluster_name: load\n  config_version: 1\n  transport: knet\n  crypto_cipher: none\n  crypto_hash: none\n}\n` +
      `nodelist {\n  node {\n    name: ${node.name}\n    nodeid: 1\n    ring0_addr: ${node.address}\n  }\n}\nquorum {\n  provider: corosync_votequorum\n}\n`,
  );
  node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  const before = await node.statusWhen(({ tree }) => tree.writable, "writable");
  const listens = "the HTTPS API listens on";
  await until(
    () => (node.log().includes(listens) ? ready(true) : pending(node.log())),
    60_000,
    listens,
  );
  const ask = await loggedIn(node);
  const streams = await Promise.all(
    Array.from({ length: 50 }, () => ask("/api/v1/events?kinds=tree")),
  );
  const read = streams.map((stream) => readTo(stream, changeOf("seen")));
  for (let round = 0; round < 40; round += 1) {
    expect((await ask("/api/v1/quorum")).status).toBe(200);
  }
  await node.client.put("seen", new Uint8Array(1));
  expect(await Promise.all(read)).toHaveLength(50);
  const after = await node.client.status();
  expect(after.ring.id).toBe(before.ring.id);
  expect(after.ring.counters.tokenLost).toEqual(before.ring.counters.tokenLost);
  // Microseconds, on whatever machine this is: a thread that waited for the other would show more.
  expect(after.ring.rotationUs.p99).toBeLessThan(100_000);
}, 180_000);
