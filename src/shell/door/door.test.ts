// The network's way in under load and abuse: what it answers, and what it never holds more of.
import { afterEach, expect, test } from "bun:test";
import { connect as connectPlain, createServer, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { X509Certificate } from "node:crypto";
import { newDoorIdentity } from "../../../test/double/open-door.ts";
import { Door, type DoorLimits, doorLimits } from "./door.ts";

const identity = await newDoorIdentity("first");

const opened: Door[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const door of opened.splice(0)) await door.close();
});

async function openDoor(
  limits: Partial<DoorLimits> = {},
  fetch: (request: Request) => Response | Promise<Response> = echo,
): Promise<Door> {
  const door = await Door.open({
    host: "127.0.0.1",
    port: 0,
    identity,
    fetch: (request) => fetch(request),
    limits: { ...doorLimits, ...limits },
    log: () => undefined,
  });
  expect(door.fault).toBe("");
  opened.push(door);
  return door;
}

async function echo(request: Request): Promise<Response> {
  const body = await request.text();
  const { pathname } = new URL(request.url);
  const text = `${request.method} ${pathname} ${body}`;
  const headers = { "content-length": `${text.length}` };
  return new Response(text, { statusText: "as you say", headers });
}

/** A TLS connection; `text` is what came so far, `ended` resolves with all of it. */
async function client(door: Door, text = "", localAddress = "127.0.0.1"): Promise<Client> {
  const to = { host: "127.0.0.1", port: door.port, localAddress };
  const socket = connectTls({ ...to, rejectUnauthorized: false });
  sockets.push(socket);
  const made = new Client(socket);
  await made.secured;
  if (text !== "") socket.write(text);
  return made;
}

class Client {
  readonly socket: TLSSocket;
  readonly secured: Promise<boolean>;
  readonly ended: Promise<string>;
  received = "";
  #wanted: { readonly until: RegExp; readonly found: () => void } | undefined;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    const secured = Promise.withResolvers<boolean>();
    const ended = Promise.withResolvers<string>();
    this.secured = secured.promise;
    this.ended = ended.promise;
    socket.once("secureConnect", () => secured.resolve(true));
    socket.on("error", () => secured.resolve(false));
    socket.on("data", (bytes: Uint8Array) => {
      this.received += new TextDecoder().decode(bytes);
      if (this.#wanted?.until.test(this.received) === true) this.#wanted.found();
    });
    socket.on("close", () => {
      secured.resolve(false);
      ended.resolve(this.received);
    });
  }

  async until(pattern: RegExp): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wanted = { until: pattern, found: resolve };
    if (!pattern.test(this.received)) await Promise.race([promise, this.ended]);
    expect(this.received).toMatch(pattern);
    return this.received;
  }
}

/** What a plain connection gets for `text`. */
async function plain(door: Door, text: string): Promise<string> {
  const socket = connectPlain({ host: "127.0.0.1", port: door.port });
  sockets.push(socket);
  let received = "";
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("data", (bytes: Uint8Array) => (received += new TextDecoder().decode(bytes)));
  socket.on("error", () => undefined);
  socket.on("close", () => resolve(received));
  socket.write(text);
  return promise;
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: n\r\n\r\n`;

test("requests on one connection, bodies, and a reason phrase of its own", async () => {
  const door = await openDoor();
  const one = await client(door, get("/a?b=c"));
  expect(await one.until(/GET \/a $/)).toStartWith("HTTP/1.1 200 as you say\r\n");
  one.socket.write("POST /b HTTP/1.1\r\nHost: n\r\nContent-Length: 5\r\n\r\nhe");
  one.socket.write("llo");
  await one.until(/POST \/b hello$/);
  expect(door.connections).toBe(1);
  expect(door.counters).toMatchObject({ connections: 1, requests: 2, malformed: 0 });
});

test("plain HTTP is sent to https, whatever else is asked plainly is refused", async () => {
  const door = await openDoor();
  const asked = (method: string) => `${method} /x?y=1 HTTP/1.1\r\nHost: node:8006\r\n\r\n`;
  expect(await plain(door, asked("GET"))).toBe(
    "HTTP/1.1 301 Moved Permanently\r\nlocation: https://node:8006/x?y=1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
  );
  expect(await plain(door, asked("POST"))).toStartWith("HTTP/1.1 308 ");
  const other = "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n";
  expect(await plain(door, other)).toContain(`location: https://127.0.0.1:${door.port}/\r\n`);
  expect(await plain(door, "EHLO\r\n\r\n")).toStartWith("HTTP/1.1 400 ");
  expect(await plain(door, "A".repeat(9000))).toStartWith("HTTP/1.1 400 ");
  expect(door.counters).toMatchObject({ redirected: 3, malformed: 2 });
});

test("a status of 400 or more closes the connection", async () => {
  const door = await openDoor(
    {},
    () => new Response("no", { status: 403, statusText: "no, never" }),
  );
  const one = await client(door, get("/"));
  expect(await one.ended).toStartWith("HTTP/1.1 403 no, never\r\n");
});

test("heads, bodies and nonsense end at their limits", async () => {
  const door = await openDoor();
  const answers = [
    get(`/${"a".repeat(20_000)}`),
    `GET / HTTP/1.1\r\nX: ${"a".repeat(20_000)}\r\n\r\n`,
    "blah\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: n\r\nContent-Length: -3\r\n\r\n",
  ];
  for (const text of answers)
    expect(await (await client(door, text)).ended).toMatch(/^HTTP\/1.1 400 |^$/);
  const large = "POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 999999\r\n\r\n";
  expect(await (await client(door, large)).ended).toStartWith("HTTP/1.1 413 ");
  const pipelined = await client(door, get("/1") + get("/2") + get("/3"));
  expect((await pipelined.ended).match(/as you say/g)?.length ?? 0).toBeLessThan(2);
  await (await client(door, get("/"))).until(/GET \/ $/);
});

test("time: no handshake, a head or a body that dribbles, and idleness end a connection", async () => {
  const ms = { hello: 4000, idle: 1500, body: 1500, work: 20_000, answer: 20_000 };
  const door = await openDoor({ phaseMs: ms });
  const silent = plain(door, "\x16");
  const head = await client(door, "GET / HTTP/1.1\r\nHost: ");
  const dribble = setInterval(() => head.socket.write("a"), 20);
  const body = await client(door, "POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 500\r\n\r\n");
  const other = setInterval(() => body.socket.write("b"), 20);
  const idle = await client(door, get("/"));
  expect(await silent).toBe("");
  expect(await head.ended).toBe("");
  expect(await idle.ended).toEndWith("GET / ");
  await body.ended;
  clearInterval(dribble);
  clearInterval(other);
  expect(door.counters.timedOut).toBe(4);
  expect(door.connections).toBe(0);
});

test("who does not take an answer is cut, and the rest of it is never made", async () => {
  let pieces = 0;
  const cancelled = Promise.withResolvers<void>();
  const endless = () =>
    new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pieces += 1;
        controller.enqueue(new Uint8Array(65_536));
      },
      cancel: () => cancelled.resolve(),
    });
  const ms = { hello: 20_000, idle: 20_000, body: 20_000, work: 20_000, answer: 500 };
  const door = await openDoor({ phaseMs: ms }, () => new Response(endless()));
  const one = await client(door);
  one.socket.pause();
  one.socket.write(get("/"));
  await cancelled.promise;
  expect(door.counters.timedOut).toBe(1);
  // What the buffers of two sockets hold, not more.
  expect(pieces).toBeLessThan(500);
  one.socket.resume();
  await one.ended;
  expect(door.connections).toBe(0);
});

test("an answer that fails in its middle, or an app that does, ends its connection only", async () => {
  const broken = () =>
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("half of it")),
      pull: () => Promise.reject(new Error("disk gone")),
    });
  const door = await openDoor({}, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/broken") return new Response(broken());
    if (pathname === "/thrown") throw new Error("the app failed");
    return echo(request);
  });
  const cut = await (await client(door, get("/broken"))).ended;
  // No last chunk: nobody takes it for whole.
  expect(cut).toStartWith("HTTP/1.1 200 ");
  expect(cut).not.toContain("\r\n0\r\n\r\n");
  expect(await (await client(door, get("/thrown"))).ended).toStartWith("HTTP/1.1 500 ");
  await (await client(door, get("/"))).until(/GET \/ $/);
});

test("a thousand connections: never more than the limit, the longest idle goes, who works stays", async () => {
  const held = Promise.withResolvers<void>();
  const door = await openDoor(
    {
      connectionsPerAddressMax: 16,
      connectionRate: { perSecond: 1e6, burst: 1e6 },
      totalConnectionRate: { perSecond: 1e6, burst: 1e6 },
    },
    async (request) => {
      if (request.url.endsWith("/slow")) await held.promise;
      return new Response("done");
    },
  );
  const working = await client(door, get("/slow"));
  const idle = await client(door, get("/"));
  await idle.until(/done/);
  // Its request has arrived: before, it were idle like the others.
  while (door.counters.requests < 2) await new Promise(setImmediate);
  // No more at once than the backlog takes: those beyond it would be accepted a second later, some of them behind the last one here.
  for (let count = 0; count < 1000; count += 50) {
    const before = door.counters.connections;
    for (let index = 0; index < 50; index += 1) {
      const socket = connectPlain({ host: "127.0.0.1", port: door.port });
      sockets.push(socket);
      socket.on("error", () => undefined);
    }
    while (door.counters.connections < before + 50) await new Promise(setImmediate);
  }
  await idle.ended;
  const last = await client(door, get("/"));
  await last.until(/done/);
  expect(door.connections).toBeLessThanOrEqual(16);
  expect(door.counters.evicted).toBe(1003 - 16);
  held.resolve();
  await working.until(/done/);
});

test("who dribbles a body makes room for others", async () => {
  const door = await openDoor({ connectionsMax: 2 });
  const text = "POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 500\r\n\r\n";
  const dribbling = [await client(door, text), await client(door, text)];
  while (door.counters.requests < 2) await new Promise(setImmediate);
  await (await client(door, get("/"))).until(/GET \/ $/);
  expect(await dribbling[0]?.ended).toBe("");
  expect(door.counters).toMatchObject({ evicted: 1, refused: 0 });
});

test("where nobody is idle a newcomer is refused", async () => {
  const held = Promise.withResolvers<void>();
  const door = await openDoor({ connectionsMax: 2 }, async () => {
    await held.promise;
    return new Response("done");
  });
  const busy = [await client(door, get("/")), await client(door, get("/"))];
  expect(await (await client(door)).secured).toBe(false);
  expect(door.counters.refused).toBe(1);
  held.resolve();
  for (const each of busy) await each.until(/done/);
});

test("requests above the rate are refused with 429", async () => {
  const door = await openDoor({ requestRate: { perSecond: 0.001, burst: 3 } });
  for (let count = 0; count < 3; count += 1) await (await client(door, get("/"))).until(/GET \/ $/);
  expect(await (await client(door, get("/"))).ended).toStartWith("HTTP/1.1 429 ");
  expect(door.counters.limited).toBe(1);
});

test("requests of all addresses together above their rate are refused with 429", async () => {
  const door = await openDoor({ totalRequestRate: { perSecond: 0.001, burst: 2 } });
  for (const from of ["127.0.0.2", "127.0.0.3"]) {
    await (await client(door, get("/"), from)).until(/GET \/ $/);
  }
  expect(await (await client(door, get("/"), "127.0.0.4")).ended).toStartWith("HTTP/1.1 429 ");
  expect(door.counters.limited).toBe(1);
});

test("another certificate is shown at once, and nobody is cut", async () => {
  const door = await openDoor();
  const before = await client(door, get("/"));
  await before.until(/GET \/ $/);
  const second = await newDoorIdentity("second");
  door.present(second);
  const after = await client(door, get("/"));
  const shown = after.socket.getPeerCertificate().fingerprint256;
  expect(shown).toBe(new X509Certificate(second.certificate).fingerprint256);
  before.socket.write(get("/still"));
  await before.until(/GET \/still $/);
});

test("a port that is taken is told with what to do, and taken once it is free", async () => {
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(0, "127.0.0.1", resolve));
  const address = squatter.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const lines: string[] = [];
  const listening = Promise.withResolvers<void>();
  const door = await Door.open({
    host: "127.0.0.1",
    port: address.port,
    identity,
    fetch: echo,
    retryMs: 20,
    log: (level, text) => {
      lines.push(`${level} ${text}`);
      if (level === "notice") listening.resolve();
    },
  });
  opened.push(door);
  expect(door.fault).toMatch(
    /cannot listen on 127\.0\.0\.1 port \d+: .*EADDRINUSE.*another program.*--api/,
  );
  await new Promise((resolve) => squatter.close(resolve));
  await listening.promise;
  expect(door.fault).toBe("");
  // The same obstacle is told once, however often it is met.
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["warning", "notice"]);
  await (await client(door, get("/"))).until(/GET \/ $/);
});
