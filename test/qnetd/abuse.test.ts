// Strangers who mean no good, against the real host on loopback: whatever they do, a well-behaved pair of nodes keeps its vote and its
// echoes, memory stays bounded, and the log stays readable. Issue 3, build 7.
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newcomersMax } from "../../src/qnetd/server/admission.ts";
import { connectionsPerAddressDefault } from "../../src/qnetd/server/capacity.ts";
import { clientsMax } from "../../src/qnetd/vote/cluster.ts";
import {
  defaultConfiguration,
  type VoteServerConfiguration,
} from "../../src/qnetd/server/configuration.ts";
import {
  encodeMessage,
  errorCodes,
  headerBytes,
  type Message,
  nodesMax,
} from "../../src/qnetd/session/message.ts";
import type { Identity } from "../../src/qnetd/pki/pki.ts";
import { createAuthority, createIdentity } from "../../src/qnetd/pki/issue.ts";
import { emptyClustersMax } from "../../src/qnetd/session/qnetd-core.ts";
import { readLimits } from "../../src/qnetd/server/read-allowance.ts";
import { lingeringMax, VoteServerHost } from "../../src/qnetd/server/server.ts";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";
import { Lab, TestClient } from "../double/qnetd-host.ts";
import { TlsUpgrade } from "../../src/qnetd/server/tls.ts";
import { askTool, ToolSocket } from "../../src/qnetd/tool/tool-socket.ts";
import type { LogAction } from "../../src/world.ts";
import { init, LoopbackClient, preinit } from "../double/qnetd-client.ts";
import { Daemon } from "../double/qnetd-daemon.ts";

setDefaultTimeout(30_000);
const heartbeatMs = 8000;
const longestMessage = defaultConfiguration.receiveBytesMax;
/** A connection that is not read because it sent too much is noticed to be gone within. */
const goneMs = 6000;

let dir = "";
let authority: Identity;
let foreign: Identity;
let lab: Identity;
let store: CertificateStore;
let host: VoteServerHost;
let pair: Pair;
let strangers: Socket[] = [];
const log: LogAction[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "quorate-abuse-"));
  const from = new Date();
  authority = await createAuthority(101, from);
  const other = await createAuthority(101, from);
  lab = await createIdentity({ authority, commonName: "lab", serial: 300, from });
  foreign = await createIdentity({ authority: other, commonName: "lab", serial: 9, from });
  store = new CertificateStore(join(dir, "nssdb"));
  store.prepare({ isGroupWritable: true });
  expect((await store.adopt(authority, undefined, Date.now())).ok).toBe(true);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Two nodes of one cluster that have the vote and want to keep it. */
class Pair {
  readonly #clients: readonly LoopbackClient[];
  #seq = 100;

  private constructor(clients: readonly LoopbackClient[]) {
    this.#clients = clients;
  }

  static async join(port: number): Promise<Pair> {
    const clients = [await LoopbackClient.open(port), await LoopbackClient.open(port)];
    const nodes = [{ nodeId: 1 }, { nodeId: 2 }];
    const ring = { rep: 1, seq: 1 };
    for (const [index, client] of clients.entries()) {
      client.send(preinit("pair"), init(index + 1));
      client.send(
        { kind: "nodeList", seq: 4, nodeListType: "initialConfig", nodes },
        { kind: "nodeList", seq: 5, nodeListType: "membership", ring, nodes },
      );
    }
    const isAck = (message: Message): boolean =>
      message.kind === "voteInfo" && message.vote === "ack";
    for (const client of clients) await until(client, isAck);
    return new Pair(clients);
  }

  /** Both nodes get their echo within a heartbeat; answers the longer time in milliseconds. */
  async echo(): Promise<number> {
    const begun = performance.now();
    this.#seq += 1;
    const seq = this.#seq;
    for (const client of this.#clients) client.send({ kind: "echoRequest", seq });
    const isReply = (message: Message): boolean =>
      message.kind === "echoReply" && message.seq === seq;
    for (const client of this.#clients) await until(client, isReply);
    return performance.now() - begun;
  }
}

/** Reads until a message is as wanted; vote infos are confirmed on the way. */
async function until(
  client: LoopbackClient,
  isWanted: (message: Message) => boolean,
): Promise<void> {
  for (;;) {
    const message = await client.next();
    if (message === "closed") throw new Error("the server has closed an honest connection");
    if (message.kind === "voteInfo") client.send({ kind: "voteInfoReply", seq: message.seq ?? 0 });
    if (isWanted(message)) return;
  }
}

async function start(configuration: Partial<VoteServerConfiguration>): Promise<VoteServerHost> {
  const started = new VoteServerHost({
    configuration: { ...defaultConfiguration, ...configuration },
    listen: { address: undefined, port: 0, family: 0, backlog: 10 },
    tls: new TlsUpgrade({
      store,
      isClientCertificateRequired: true,
      onUnusable: (text) => log.push({ kind: "log", level: "error", subsystem: "TLS", text }),
    }),
    log: (line) => void log.push(line),
    onFatal: (reason) => {
      throw new Error(reason);
    },
  });
  expect(await started.start()).toEqual({ ok: true, value: undefined });
  return started;
}

/** A connection of a stranger, who ignores what it is sent unless told otherwise. */
function stranger(port = host.port, isReading = true): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(socket));
  socket.once("error", reject);
  socket.on("error", () => socket.destroy());
  if (isReading) socket.resume();
  strangers.push(socket);
  return promise;
}

async function crowd(count: number, act: (socket: Socket, index: number) => void): Promise<void> {
  for (let i = 0; i < count; i += 1) act(await stranger(), i);
}

/** Everything that was sent before has been seen by the server: it answers its connections in turns. */
async function settled(): Promise<void> {
  for (let i = 0; i < 3; i += 1) expect(await pair.echo()).toBeLessThan(heartbeatMs);
}

const logText = (): string => log.map(({ text }) => text).join("\n");
const hello = encodeMessage(preinit("lab"));
const startTls = encodeMessage({ kind: "startTls", seq: 2 });

beforeEach(async () => {
  log.length = 0;
  host = await start({});
  pair = await Pair.join(host.port);
});
afterEach(async () => {
  // Whatever a test has done: the pair has its vote, and all others go without a trace.
  expect(await pair.echo()).toBeLessThan(heartbeatMs);
  const known = host.snapshot().clusters.find(({ name }) => name === "pair");
  expect(known?.nodes.map(({ standing }) => standing)).toEqual(["yes", "yes"]);
  expect(log.length).toBeLessThan(250);
  const gone = strangers.map((socket) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
    socket.destroy();
    return promise;
  });
  strangers = [];
  await Promise.all(gone);
  for (const end = performance.now() + goneMs; host.connections > 2 && performance.now() < end;) {
    await pair.echo();
  }
  expect(host.connections).toBe(2);
  await host.stop();
});

/** Without what only waits for the collector. */
function residentBytes(): number {
  Bun.gc(true);
  return process.memoryUsage.rss();
}

/** What is kept of this program's own objects and buffers; resident memory is more by what was used meanwhile. */
function keptBytes(): number {
  Bun.gc(true);
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe("strangers who say little", () => {
  test("nothing, half a header, half a message, one byte at a time", async () => {
    const before = residentBytes();
    await crowd(200, () => undefined);
    await crowd(200, (socket) => socket.write(hello.subarray(0, 3)));
    await crowd(200, (socket) => socket.write(Uint8Array.of(0, 0, 0, 0, 0x7f, 0xf0, 0, 1)));
    const slow = strangers.slice(0, 50);
    for (const byte of hello.subarray(0, 12)) {
      for (const socket of slow) socket.write(Uint8Array.of(byte));
      await settled();
    }
    expect(host.connections).toBe(602);
    expect(residentBytes() - before).toBeLessThan(100_000_000);
  });

  test("who come and go", async () => {
    for (let i = 0; i < 1500; i += 1) {
      const socket = await stranger();
      if (i % 3 === 0) socket.write(hello);
      if (i % 2 === 0) socket.destroy();
      else socket.end();
      if (i % 100 === 0) await settled();
    }
    await settled();
    expect(host.counters.accepted).toBeGreaterThan(1000);
    expect(host.counters.refused).toBe(0);
  });
});

describe("strangers who say too much", () => {
  test("messages of unknown kinds, undecodable and endless ones: answered, not kept", async () => {
    const endless = new Uint8Array(60_000);
    endless.set([0, 8, 0xff, 0xff, 0xff, 0xff]);
    await crowd(40, (socket, i) => {
      if (i % 2 === 0) socket.write(endless);
      else for (let n = 0; n < 200; n += 1) socket.write(Uint8Array.of(i, n, 0, 0, 0, 1, 9));
    });
    await settled();
    expect(host.counters.faults).toBeGreaterThan(1000);
    expect(host.connections).toBe(42);
  });

  /** The dearest bytes to read: empty unknown options. */
  function dearest(): Uint8Array {
    const length = longestMessage - ((longestMessage - 14) % 4);
    const message = new Uint8Array(length);
    const body = length - headerBytes;
    message.set([0, 8, 0, 0, body >> 8, body & 255, 0, 0, 0, 4, 0, 0, 0, 1]);
    for (let at = 14; at < length; at += 4) message.set([0xff, 0xff, 0, 0], at);
    return message;
  }

  test("the longest legal messages without end: a burst of them is read, then the connection ends", async () => {
    const message = dearest();
    const floods = 60;
    let longestMs = 0;
    await crowd(floods, (socket) => {
      const more = (): void => {
        while (!socket.destroyed && socket.write(message)) continue;
      };
      socket.on("drain", more);
      more();
    });
    while (!strangers.every(({ closed }) => closed)) {
      longestMs = Math.max(longestMs, await pair.echo());
    }
    expect(longestMs).toBeLessThan(heartbeatMs);
    const { burstBytes, overdraftBytes } = readLimits(longestMessage);
    const most = (floods * (burstBytes + overdraftBytes)) / longestMessage;
    // Each is refused, for none of them has said who it is.
    expect(host.counters.faults).toBeGreaterThan(0);
    expect(host.counters.faults).toBeLessThanOrEqual(most);
    expect(logText()).toContain("sends more than any client would");
  });

  test.each([
    ["plain", undefined],
    ["TLS", "lab"],
  ])("a message more than the burst, %s: the client waits and stays", async (_, name) => {
    const client = await LoopbackClient.open(host.port);
    client.send(preinit("lab"));
    await client.next();
    if (name !== undefined) {
      client.write(startTls);
      await client.startTls({ authority: authority.certificate, identity: lab });
    }
    client.send(init(1));
    expect(await client.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
    const before = host.counters.messages;
    for (let i = 0; i < 3; i += 1) {
      client.write(dearest());
      expect(await client.next()).toMatchObject({ kind: "echoReply", seq: 1 });
    }
    const begun = performance.now();
    client.send({ kind: "echoRequest", seq: 7 });
    expect(await client.next()).toMatchObject({ kind: "echoReply", seq: 7 });
    expect(performance.now() - begun).toBeGreaterThan(300);
    expect(host.counters.messages - before).toBe(4);
    client.destroy();
  });

  test("node lists without end, and thousands of nodes in one cluster", async () => {
    const nodes = Array.from({ length: nodesMax }, (_, at) => ({ nodeId: at + 1 }));
    const list = (count: number): Uint8Array =>
      encodeMessage({
        kind: "nodeList",
        seq: 9,
        nodeListType: "changedConfig",
        nodes: [...nodes, ...nodes].slice(0, count),
      });
    const greedy = await LoopbackClient.open(host.port);
    greedy.send(preinit("greedy"), init(1));
    expect([await greedy.next(), await greedy.next()]).toMatchObject([{}, { errorCode: 0 }]);
    greedy.write(list(nodesMax));
    expect(await greedy.next()).toMatchObject({ kind: "nodeListReply" });
    greedy.write(list(nodesMax + 1));
    expect(await greedy.next()).toMatchObject({ kind: "serverError", errorCode: 9 });
    greedy.destroy();
    const world = new Lab();
    const many = Array.from({ length: clientsMax + 3 }, (_, at) => new TestClient(world, at + 1));
    for (const client of many) client.join();
    const codes = many.slice(-4).map(({ receipts }) => receipts[1]);
    expect(codes).toMatchObject([0, 10, 10, 10].map((errorCode) => ({ errorCode })));
  });

  test("clients who do not read what they ask for cost little", async () => {
    const echo = new Uint8Array(longestMessage);
    const body = longestMessage - headerBytes;
    echo.set([0, 8, 0, 0, body >> 8, body & 255, 0, 0, 0, 4, 0, 0, 0, 1, 0xff, 0xff]);
    echo.set([(longestMessage - 18) >> 8, (longestMessage - 18) & 255], 16);
    const before = residentBytes();
    for (let i = 0; i < 20; i += 1) {
      const socket = await stranger(host.port, false);
      socket.write(Buffer.concat([encodeMessage(preinit(`unread ${i}`)), encodeMessage(init(1))]));
      for (let n = 0; n < 40; n += 1) socket.write(echo);
    }
    await settled();
    expect(residentBytes() - before).toBeLessThan(150_000_000);
  });
});

describe("strangers at the TLS", () => {
  test("handshakes that stop half way, that are none, and TLS before it was asked for", async () => {
    const first = await firstFlight();
    await crowd(100, (socket) => socket.write(Buffer.concat([hello, startTls, first])));
    await crowd(50, (socket) => socket.write(Buffer.concat([hello, startTls])));
    await crowd(50, (socket) =>
      socket.write(Buffer.concat([hello, startTls, new Uint8Array(400).fill(7)])),
    );
    await crowd(50, (socket) => socket.write(first));
    await crowd(50, (socket) => socket.write(Buffer.concat([hello, startTls, hello, startTls])));
    await settled();
    expect(host.snapshot().clients).toBe(2);
    expect(logText()).toMatch(/more lines? w.*|is lost|handshake/);
  });

  test("certificates of others, again and again", async () => {
    for (let i = 0; i < 40; i += 1) {
      const client = await LoopbackClient.open(host.port);
      client.write(Buffer.concat([hello, startTls]));
      await client.next();
      const identity = i % 2 === 0 ? foreign : undefined;
      await client.startTls({ authority: authority.certificate, identity });
      if (!client.isClosed) client.send(init(1));
      expect(await client.next()).toBe("closed");
      client.destroy();
    }
    expect(host.snapshot().clients).toBe(2);
    // Each kind is said, not each time.
    const said = log.filter(({ text }) => text.includes("certificate"));
    expect(said.length).toBeGreaterThanOrEqual(2);
    expect(said.length).toBeLessThanOrEqual(44);
  });

  test.skipIf(Bun.which("openssl") === null)(
    "renegotiation is refused",
    async () => {
      const { output, isClosed } = await renegotiate(lab);
      expect(output).toContain("TLSv1.2");
      expect(output).toContain("RENEGOTIATING");
      expect(output).toMatch(/no.renegotiation|error|closed/i);
      expect(isClosed).toBe(true);
    },
    20_000,
  );
});

/** What a TLS client sends first. */
async function firstFlight(): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const trap = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (bytes: Uint8Array) => {
      resolve(bytes.slice());
      socket.destroy();
    });
  });
  await new Promise<void>((done) => trap.listen(0, "127.0.0.1", done));
  const address = trap.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const client = connectTls({ port, host: "127.0.0.1", servername: "Qnetd Server" });
  client.on("error", () => client.destroy());
  const bytes = await promise;
  trap.close();
  return bytes;
}

/** `openssl s_client` with TLS 1.2 behind a relay that says StartTLS for it; it asks for a renegotiation. */
async function renegotiate(identity: Identity): Promise<{ output: string; isClosed: boolean }> {
  const { pem } = await import("../../src/qnetd/pki/pki.ts");
  const file = join(dir, "lab.pem");
  await Bun.write(
    file,
    pem("PRIVATE KEY", identity.key) + pem("CERTIFICATE", identity.certificate),
  );
  let isClosed = false;
  const relay = createServer((near) => {
    const far = connect({ port: host.port, host: "127.0.0.1" });
    far.write(Buffer.concat([hello, startTls]));
    far.once("data", (bytes: Uint8Array) => {
      // The reply to preinit is plain, all later bytes are TLS.
      if (bytes[1] !== 1) throw new Error("no reply to preinit");
      near.pipe(far);
      far.pipe(near);
    });
    for (const socket of [near, far]) socket.on("error", () => socket.destroy());
    far.on("close", () => {
      isClosed = true;
      near.destroy();
    });
  });
  await new Promise<void>((done) => relay.listen(0, "127.0.0.1", done));
  const address = relay.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const child = Bun.spawn(
    ["openssl", "s_client", "-connect", `127.0.0.1:${port}`, "-tls1_2", "-cert", file],
    { stdin: "pipe", stdout: "pipe", stderr: "pipe", timeout: 15_000 },
  );
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    let hasAsked = false;
    for await (const piece of stream) {
      output += new TextDecoder().decode(piece);
      // The session is printed when the handshake is over.
      if (hasAsked || !output.includes("Verify return code")) continue;
      hasAsked = true;
      await child.stdin.write("R\n");
      await child.stdin.flush();
    }
  };
  await Promise.all([read(child.stdout), read(child.stderr)]);
  await child.exited;
  relay.close();
  return { output, isClosed };
}

describe("names", () => {
  test("a hundred clusters with names as long as a message", async () => {
    const before = keptBytes();
    await crowd(100, (socket, i) => {
      const name = encodeMessage(preinit(`${i}"\u0007`.padEnd(longestMessage - 20, "\u00e4")));
      socket.write(Buffer.concat([name, encodeMessage(init(1))]));
      socket.write(encodeMessage(init(2)));
    });
    await settled();
    expect(host.snapshot().clusters.length).toBe(101);
    expect(Math.max(...log.map(({ text }) => text.length))).toBeLessThan(600);
    expect(keptBytes() - before).toBeLessThan(50_000_000);
  });

  /** A stranger of this name that gets a vote of its own and goes silent. */
  function loseInSilence(world: Lab, cluster: string, nodeId = 1): TestClient {
    const client = new TestClient(world, nodeId, { cluster, algorithm: "test" });
    client.join();
    client.membership({ rep: nodeId, seq: 1 }, [nodeId]);
    world.settle();
    world.end(client.connection, false);
    world.settle();
    return client;
  }

  test("clusters that are remembered for their votes are bounded, and none is forgotten before its time", () => {
    const world = new Lab();
    for (let i = 0; i < emptyClustersMax + 50; i += 1) loseInSilence(world, `empty ${i}`);
    expect(world.server.clusters).toBe(emptyClustersMax);
    const armed = [...world.timers.keys()].filter((timer) => timer.startsWith("outstanding:"));
    expect(armed.length).toBe(emptyClustersMax);
    expect(world.log.join("\n")).toContain("finds no room: the votes of 1024 clusters");
    // Those that were there find their place, new ones when votes are over.
    expect(loseInSilence(world, "empty 0").receipts).toContainEqual(
      expect.objectContaining({ kind: "initReply", errorCode: 0 }),
    );
    world.sleep(heartbeatMs * 2.2);
    expect([world.server.clusters, world.timers.size]).toEqual([0, 0]);
    loseInSilence(world, "late");
    expect(world.server.clusters).toBe(1);
  });

  test("nodes of one cluster that are remembered for their votes are bounded", () => {
    const world = new Lab();
    for (let nodeId = 1; nodeId <= clientsMax; nodeId += 1) loseInSilence(world, "one", nodeId);
    const further = loseInSilence(world, "one", clientsMax + 1);
    const isFull = expect.objectContaining({ kind: "initReply", errorCode: errorCodes.internal });
    expect(further.receipts).toContainEqual(isFull);
    expect(loseInSilence(world, "one", 1).receipts).not.toContainEqual(isFull);
  });
});

describe("limits", () => {
  test("newcomers beyond the limit push out the oldest newcomers, never a client", async () => {
    await host.stop();
    host = await start({ connectionsMax: 40 });
    pair = await Pair.join(host.port);
    await crowd(300, (socket, i) => void (i % 2 === 0 && socket.write(hello)));
    await settled();
    expect(host.snapshot().connections).toBe(40);
    expect(host.counters).toMatchObject({ evicted: 262, refused: 0 });
    // Those that were told to go and stay are cut off.
    expect(host.connections).toBeLessThanOrEqual(40 + lingeringMax);
    const late = await LoopbackClient.open(host.port);
    late.send(preinit("late"), init(1));
    expect([await late.next(), await late.next()]).toMatchObject([{}, { errorCode: 0 }]);
    late.destroy();
    expect(logText()).toContain(
      "has not said who it is, and others wait; its connection is closed",
    );
  });

  test("500 clusters of two nodes behind one address are let in at once and stay", () => {
    expect(newcomersMax).toBeGreaterThanOrEqual(1000);
    const world = new Lab({ connectionsPerAddressMax: connectionsPerAddressDefault });
    const nodes = Array.from(
      { length: 1000 },
      (_, at) => new TestClient(world, 1 + (at % 2), { cluster: `c${at >> 1}` }),
    );
    for (const node of nodes) node.open();
    for (const node of nodes) node.preinit();
    for (const node of nodes) node.init();
    world.settle();
    expect(world.server.snapshot(0)).toMatchObject({ connections: 1000, clients: 1000 });
    expect(world.server.counters).toMatchObject({ accepted: 1000, refused: 0, evicted: 0 });
  });
});

test("strangers at the local socket: half requests and readers who do not read", async () => {
  const path = join(dir, "tool.sock");
  const refused: string[] = [];
  const socket = await ToolSocket.listen({
    path,
    backlog: 10,
    umask: undefined,
    group: undefined,
    clientsMax: 10,
    requestBytesMax: 4096,
    answerBytesMax: 10_485_760,
    answer: () => "x".repeat(5_000_000),
    shutdown: () => undefined,
    onRefused: (reason) => refused.push(reason),
  });
  if (!socket.ok) throw new Error(socket.reason);
  const before = residentBytes();
  const unread: Socket[] = [];
  for (let i = 0; i < 40; i += 1) {
    const client = connect({ path });
    client.on("error", () => client.destroy());
    client.pause();
    await new Promise<void>((done) => client.once("connect", done));
    client.write(i % 2 === 0 ? "list verb" : "list\n");
    unread.push(client);
  }
  await settled();
  expect(refused.length).toBeGreaterThanOrEqual(30);
  expect(residentBytes() - before).toBeLessThan(150_000_000);
  for (const client of unread) client.destroy();
  // The next one is served as soon as the server has seen them go.
  let answer = await askTool(path, { command: "status", isVerbose: false, cluster: undefined });
  for (const end = performance.now() + 5000; answer.kind !== "ok" && performance.now() < end;) {
    answer = await askTool(path, { command: "status", isVerbose: false, cluster: undefined });
  }
  expect(answer.kind).toBe("ok");
  socket.value.close();
});

test("5,000 connections at a server that may open 1,024 files: it never runs out of them", async () => {
  const [, soft = "0"] =
    /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
  const count = Math.min(5000, Number(soft) - 300);
  expect(count).toBeGreaterThan(1500);
  const daemon = await Daemon.start({ root: join(dir, "daemon"), openFilesMax: 1024 });
  const port = await daemon.port();
  const honest = await Pair.join(port);
  const residentKb = (): number =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, "latin1"))?.[1]);
  const before = residentKb();
  let mostFiles = 0;
  let longestMs = 0;
  for (let i = 0; i < count; i += 1) {
    const socket = await stranger(port);
    if (i % 2 === 0) socket.write(hello);
    if (i % 100 !== 0) continue;
    mostFiles = Math.max(mostFiles, readdirSync(`/proc/${daemon.pid}/fd`).length);
    longestMs = Math.max(longestMs, await honest.echo());
  }
  expect(longestMs).toBeLessThan(heartbeatMs);
  expect(mostFiles).toBeLessThan(1024 - 50);
  expect(residentKb() - before).toBeLessThan(100_000);
  // A newcomer still gets in, and the log has not drowned.
  const late = await LoopbackClient.open(port);
  late.send(preinit("late"), init(1));
  expect([await late.next(), await late.next()]).toMatchObject([{}, { errorCode: 0 }]);
  late.destroy();
  expect(await daemon.stop()).toBe(0);
  expect(daemon.log.split("\n").length).toBeLessThan(300);
}, 60_000);
