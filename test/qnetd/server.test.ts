// The vote server's host on loopback: sockets, TLS, limits, the local socket. What the messages mean is tested with the core.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  defaultConfiguration,
  type VoteServerConfiguration,
} from "../../src/qnetd/server/configuration.ts";
import { encodeMessage } from "../../src/qnetd/session/message.ts";
import { type Identity, pem } from "../../src/qnetd/pki/pki.ts";
import { createAuthority, createIdentity } from "../../src/qnetd/pki/issue.ts";
import { VoteServerHost } from "../../src/qnetd/server/server.ts";
import { kindBurst, LogThrottle, strangersLimits } from "../../src/qnetd/server/server-log.ts";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";
import { TlsUpgrade } from "../../src/qnetd/server/tls.ts";
import { askTool, ToolSocket, type ToolSocketOptions } from "../../src/qnetd/tool/tool-socket.ts";
import type { LogAction } from "../../src/world.ts";
import { init, LoopbackClient, preinit } from "../double/qnetd-client.ts";

let dir = "";
let authority: Identity;
let lab: Identity;
let other: Identity;
let foreign: Identity;
let store: CertificateStore;
let server: VoteServerHost | undefined;
const log: LogAction[] = [];
const clients: LoopbackClient[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "quorate-qnetd-"));
  const from = new Date();
  const identity = (issuer: Identity, commonName: string) =>
    createIdentity({ authority: issuer, commonName, serial: 200, from });
  authority = await createAuthority(101, from);
  [lab, other, foreign] = [
    await identity(authority, "LAB"),
    await identity(authority, "other"),
    await identity(await createAuthority(101, from), "lab"),
  ];
  store = new CertificateStore(join(dir, "nssdb"));
  store.prepare({ isGroupWritable: true });
  expect((await store.adopt(authority, undefined, Date.now())).ok).toBe(true);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server?.stop();
  server = undefined;
  log.length = 0;
});

async function start(
  configuration: Partial<VoteServerConfiguration>,
  certificates = store,
): Promise<VoteServerHost> {
  const all = { ...defaultConfiguration, ...configuration };
  const host = new VoteServerHost({
    configuration: all,
    listen: { address: undefined, port: 0, family: 0, backlog: 10 },
    tls:
      all.tls === "off"
        ? undefined
        : new TlsUpgrade({
            store: certificates,
            isClientCertificateRequired: all.isClientCertificateRequired,
            onUnusable: (text) => log.push({ kind: "log", level: "error", subsystem: "TLS", text }),
          }),
    log: (line) => void log.push(line),
    onFatal: (reason) => {
      throw new Error(reason);
    },
    reading: { burstBytes: 1 << 30, bytesPerSecond: 1 << 30, overdraftBytes: 0 },
  });
  server = host;
  expect(await host.start()).toEqual({ ok: true, value: undefined });
  return host;
}

async function open(host: VoteServerHost): Promise<LoopbackClient> {
  const client = await LoopbackClient.open(host.port);
  clients.push(client);
  return client;
}

/** A client that has done all up to the TLS handshake. */
async function openTls(
  host: VoteServerHost,
  identity: Identity | undefined,
): Promise<LoopbackClient> {
  const client = await open(host);
  client.send(preinit());
  await client.next();
  client.send({ kind: "startTls", seq: 2 });
  await client.startTls({ authority: authority.certificate, identity });
  return client;
}

const logText = (): string => log.map(({ text }) => text).join("\n");

describe("plain connections", () => {
  test("messages in single bytes, and several in one piece", async () => {
    const host = await start({ tls: "off" });
    const slow = await open(host);
    for (const byte of encodeMessage(preinit())) slow.write(Uint8Array.of(byte));
    expect(await slow.next()).toMatchObject({ kind: "preinitReply", tlsSupport: "unsupported" });
    slow.write(
      Buffer.concat([encodeMessage(init(1)), encodeMessage({ kind: "echoRequest", seq: 9 })]),
    );
    expect(await slow.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
    expect(await slow.next()).toMatchObject({ kind: "echoReply", seq: 9 });
    const [cluster] = host.snapshot().clusters;
    expect(cluster?.nodes[0]).toMatchObject({
      nodeId: 1,
      address: "::ffff:127.0.0.1",
      port: slow.localPort,
      isTlsActive: false,
    });
    slow.end();
    await slow.closed();
    expect(host.snapshot()).toMatchObject({ connections: 0, clients: 0, clusters: [] });
  });

  test("nonsense is answered and the connection stays", async () => {
    const host = await start({ tls: "off" });
    const client = await open(host);
    client.write(Uint8Array.from([0, 99, 0, 0, 0, 2, 1, 2]));
    expect(await client.next()).toMatchObject({ kind: "serverError", errorCode: 4 });
    const long = new Uint8Array(6 + 40_000);
    long.set([0, 0, 0, 0, 40_000 >> 8, 40_000 & 255]);
    client.write(long);
    expect(await client.next()).toMatchObject({ kind: "serverError", errorCode: 5 });
    client.write(Uint8Array.from([0, 0, 0, 0, 0, 0]));
    expect(await client.next()).toMatchObject({ kind: "serverError", errorCode: 9 });
    client.send(preinit());
    expect(await client.next()).toMatchObject({ kind: "preinitReply" });
  });

  test("StartTLS where TLS is off ends the connection", async () => {
    const host = await start({ tls: "off" });
    const client = await open(host);
    client.send(preinit(), { kind: "startTls", seq: 2 });
    expect(await client.next()).toMatchObject({ kind: "preinitReply" });
    expect(await client.next()).toBe("closed");
  });

  test("a silent client is dropped by the server's timer, a speaking one is not", async () => {
    const host = await start({ tls: "off", heartbeatMsMax: 100, heartbeatMsMin: 1 });
    const begun = performance.now();
    const [silent, speaking] = [await open(host), await open(host)];
    speaking.send(preinit(), { ...init(1), heartbeatMs: 100 });
    await silent.closed();
    expect(performance.now() - begun).toBeGreaterThanOrEqual(149);
    await speaking.closed();
    expect(logText()).toMatch(/node 1 of cluster "lab" .* has been silent for \d{3,} ms/);
  });

  test("a client that does not read is dropped before it fills the memory", async () => {
    const host = await start({ tls: "off" });
    const client = await open(host);
    client.send(preinit(), init(1));
    await client.next();
    await client.next();
    client.pause();
    const hasGivenUp = (): boolean => logText().includes("does not read what it is sent");
    const echo = new Uint8Array(30_000);
    echo.set([0, 8, 0, 0, (30_000 - 6) >> 8, (30_000 - 6) & 255, 0, 0, 0, 4, 0, 0, 0, 1]);
    echo.set([0xff, 0xff, (30_000 - 18) >> 8, (30_000 - 18) & 255], 14);
    for (let sent = 0; sent < 4000 && !hasGivenUp(); sent += 1) {
      client.write(echo);
      if (sent % 20 === 0) await new Promise(setImmediate);
    }
    expect(hasGivenUp()).toBe(true);
    client.resume();
    await client.closed();
    expect(host.snapshot().connections).toBe(0);
  });
});

describe("limits", () => {
  test("too many connections, in all and from one address: the rest is closed at once, those there are served", async () => {
    const host = await start({ tls: "off", connectionsMax: 3 });
    const served = [await open(host), await open(host), await open(host)];
    for (const [at, client] of served.entries()) {
      client.send(preinit(), init(at + 1));
      expect([await client.next(), await client.next()]).toMatchObject([{}, { errorCode: 0 }]);
    }
    const refused = await open(host);
    await refused.closed();
    for (const client of served) {
      client.send({ kind: "echoRequest", seq: 9 });
      expect(await client.next()).toMatchObject({ kind: "echoReply" });
    }
    served[0]!.end();
    await served[0]!.closed();
    const next = await open(host);
    next.send(preinit());
    expect(await next.next()).toMatchObject({ kind: "preinitReply" });
    await host.stop();
    const strict = await start({ tls: "off", connectionsPerAddressMax: 1 });
    const first = await open(strict);
    first.send(preinit(), init(1));
    expect([await first.next(), await first.next()]).toMatchObject([{}, { errorCode: 0 }]);
    const second = await open(strict);
    await second.closed();
    expect(logText()).toContain("1 clients of this address are connected, the allowed maximum");
  });

  test("300 silent connections do not keep a client from its answer, and leave nothing behind", async () => {
    const host = await start({ tls: "on" });
    const silent = await Promise.all(Array.from({ length: 300 }, () => open(host)));
    for (const client of silent.slice(0, 100)) client.write(Uint8Array.of(0, 0, 0));
    const client = await openTls(host, lab);
    client.send(init(1));
    expect(await client.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
    expect(host.snapshot().connections).toBe(301);
    for (const one of silent) one.destroy();
    await Promise.all(silent.map((one) => one.closed()));
    client.end();
    await client.closed();
    expect(host.snapshot().connections).toBe(0);
  });

  test("a flood of log lines is counted, not written", () => {
    let now = 0;
    const lines: string[] = [];
    const throttle = new LogThrottle(
      ({ text }) => lines.push(text),
      strangersLimits,
      () => now,
    );
    const line = (text: string) =>
      throttle.log({ kind: "log", level: "error", subsystem: "X", text });
    for (let i = 0; i < 1000; i += 1) line(`client ${i} of "a" came`);
    expect(lines.length).toBe(kindBurst);
    line("another kind");
    expect(lines.splice(0).at(-1)).toBe("another kind");
    now = 60_000;
    line('client 5 of "b" came');
    line('client 6 of "c" came');
    expect(lines.splice(0)).toEqual(['client 5 of "b" came']);
    throttle.stop();
    expect(lines.splice(0)).toEqual([
      `${1000 - kindBurst + 1} more lines were left out in 60 s, such as: client 0 of "a" came`,
    ]);
    // Names that are made to look like kinds of their own, and endless ones.
    const letters = (i: number): string => i.toString(2).replace(/0/g, "x").replace(/1/g, "y");
    for (const end = now + 60_000; now < end; now += 20) {
      for (const level of ["error", "info"] as const) {
        const text = `cluster "a"${letters(now)}${"z".repeat(3000)}"`;
        throttle.log({ kind: "log", level, subsystem: "X", text });
      }
    }
    throttle.stop();
    expect(lines.length).toBeGreaterThan(50);
    expect(lines.length).toBeLessThanOrEqual(100);
    expect(lines.at(-1)).toMatch(/^\d+ more lines were left out in 60 s, of \d+ other kinds$/);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(600);
  });
});

describe("TLS", () => {
  test("a client with its cluster's certificate, letter case apart", async () => {
    const host = await start({ tls: "required" });
    const client = await openTls(host, lab);
    client.send(init(1));
    expect(await client.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
    expect(host.snapshot().clusters[0]?.nodes[0]).toMatchObject({
      isTlsActive: true,
      isCertificateVerified: true,
    });
    client.end();
    await client.closed();
    expect(host.snapshot().connections).toBe(0);
  });

  test("ClientHello in the same piece as StartTLS", async () => {
    const host = await start({ tls: "required" });
    const hello = await firstFlight(host.port);
    const client = await LoopbackClient.open(host.port);
    client.destroy();
    const raw = connect({ port: host.port, host: "127.0.0.1" });
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    let isFirst = true;
    raw.on("data", (bytes: Uint8Array) => {
      if (isFirst) {
        isFirst = false;
        raw.write(Buffer.concat([encodeMessage({ kind: "startTls", seq: 2 }), hello]));
      } else resolve(bytes);
    });
    raw.write(encodeMessage(preinit()));
    const answer = await promise;
    // A handshake record with a ServerHello.
    expect([answer[0], answer[5]]).toEqual([22, 2]);
    raw.destroy();
  });

  test("no certificate, one of another authority, one of another cluster: nobody comes in", async () => {
    const host = await start({ tls: "on" });
    for (const identity of [undefined, foreign, other]) {
      const client = await openTls(host, identity);
      if (!client.isClosed) client.send(init(1));
      expect(await client.next()).toBe("closed");
    }
    expect(host.snapshot()).toMatchObject({ connections: 0, clients: 0, clusters: [] });
    expect(logText()).toMatch(/client ::ffff:127.0.0.1:\d+ showed no certificate/);
    expect(logText()).toMatch(/showed a certificate that is not of this server's authority/);
    expect(logText()).toContain("showed a certificate that is not for this cluster name");
  });

  test("a cluster with a certificate is known before anybody has come", async () => {
    const path = join(store.directory, "cluster-other.crt");
    writeFileSync(path, other.certificate);
    try {
      const host = await start({ tls: "on" });
      expect(host.snapshot().absent).toMatchObject([{ name: "other", absentMs: undefined }]);
    } finally {
      rmSync(path);
    }
  });

  test("a certificate of another time: the clock is asked about, not the authority", async () => {
    const host = await start({ tls: "on" });
    const early = await createIdentity({
      authority,
      commonName: "lab",
      serial: 201,
      from: new Date(Date.now() + 86_400_000),
    });
    const client = await openTls(host, early);
    if (!client.isClosed) client.send(init(1));
    expect(await client.next()).toBe("closed");
    expect(logText()).toMatch(/is not valid yet by the clock of this host, \d{4}-.* UTC/);
    expect(logText()).not.toContain("authority");
  });

  test("nonsense instead of a handshake", async () => {
    const host = await start({ tls: "on" });
    const client = await open(host);
    client.send(preinit(), { kind: "startTls", seq: 2 });
    await client.next();
    client.write(new Uint8Array(500).fill(7));
    await client.closed();
    expect(host.connections).toBe(0);
  });

  test("without client certificates everybody with TLS comes in", async () => {
    const host = await start({ tls: "required", isClientCertificateRequired: false });
    const client = await openTls(host, undefined);
    client.send(init(1));
    expect(await client.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
    expect(host.snapshot().clusters[0]?.nodes[0]).toMatchObject({
      isTlsActive: true,
      isCertificateVerified: false,
    });
  });

  test("plain text where TLS is required is answered with an error", async () => {
    const host = await start({ tls: "required" });
    const client = await open(host);
    client.send(preinit(), init(1));
    expect(await client.next()).toMatchObject({ tlsSupport: "required" });
    expect(await client.next()).toMatchObject({ kind: "serverError", errorCode: 3 });
  });

  test("certificates that come late, are renewed or broken while the server runs", async () => {
    const own = new CertificateStore(join(dir, "late"));
    own.prepare({ isGroupWritable: true });
    const host = await start({ tls: "on" }, own);
    const early = await open(host);
    early.send(preinit(), { kind: "startTls", seq: 2 });
    await early.closed();
    expect(logText()).toContain("TLS cannot be used:");
    expect((await own.adopt(authority, undefined, Date.now())).ok).toBe(true);
    const serial = async (): Promise<string> => {
      const client = await open(host);
      client.send(preinit());
      await client.next();
      client.send({ kind: "startTls", seq: 2 });
      const tls = await client.startTls({ authority: authority.certificate, identity: lab });
      return tls.getPeerCertificate().serialNumber;
    };
    expect(await serial()).toBe("66");
    expect((await own.renewServer(Date.now())).ok).toBe(true);
    expect(await serial()).toBe("67");
    const file = join(own.directory, "qnetd-server.pem");
    const foreignKey = pem("PRIVATE KEY", foreign.key);
    const text = readFileSync(file, "utf8");
    writeFileSync(file, foreignKey + text.slice(text.indexOf("-----BEGIN CERTIFICATE")));
    expect(await serial()).toBe("67");
    expect(logText()).toContain("the former certificates stay in use");
  });
});

/** What a TLS client sends first. */
async function firstFlight(port: number): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  const { createServer } = await import("node:net");
  const trap = createServer((socket) => {
    socket.once("data", (bytes: Uint8Array) => {
      resolve(bytes.slice());
      socket.destroy();
    });
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((done) => trap.listen(0, "127.0.0.1", done));
  const address = trap.address();
  const { connect: connectTls } = await import("node:tls");
  const at = typeof address === "object" && address !== null ? address.port : port;
  const client = connectTls({ port: at, host: "127.0.0.1", servername: "Qnetd Server" });
  client.on("error", () => client.destroy());
  const bytes = await promise;
  trap.close();
  return bytes;
}

describe("listening", () => {
  test("a port that is taken is named", async () => {
    const host = await start({ tls: "off" });
    const second = new VoteServerHost({
      configuration: { ...defaultConfiguration, tls: "off" },
      listen: { address: undefined, port: host.port, family: 0, backlog: 10 },
      tls: undefined,
      log: () => undefined,
      onFatal: () => undefined,
    });
    const started = await second.start();
    expect(started.ok ? "" : started.reason).toContain(
      `the vote server cannot listen on all addresses port ${host.port}: `,
    );
    await second.stop();
  });

  test("stopping ends all connections", async () => {
    const host = await start({ tls: "off" });
    const client = await open(host);
    client.send(preinit(), init(1));
    await client.next();
    await host.stop();
    await client.closed();
    expect(host.connections).toBe(0);
  });
});

describe("the local socket", () => {
  const options = (more: Partial<ToolSocketOptions>): ToolSocketOptions => ({
    path: join(dir, "run", "tool.sock"),
    backlog: 10,
    umask: undefined,
    group: undefined,
    clientsMax: 10,
    requestBytesMax: 1024,
    answerBytesMax: 1000,
    answer: ({ kind }) => `${kind}\n`,
    shutdown: () => undefined,
    onRefused: (text) => log.push({ kind: "log", level: "error", subsystem: "MAIN", text }),
    ...more,
  });
  const listen = async (more: Partial<ToolSocketOptions> = {}): Promise<ToolSocket> => {
    const socket = await ToolSocket.listen(options(more));
    if (!socket.ok) throw new Error(socket.reason);
    return socket.value;
  };
  const ask = (command: "status" | "list" | "shutdown") =>
    askTool(options({}).path, { command, isVerbose: false, cluster: undefined });
  const text = (bytes: string): Uint8Array => new TextEncoder().encode(bytes);

  test("answers one request a connection, for its owner only", async () => {
    const socket = await listen();
    expect((statSync(options({}).path).mode & 0o777).toString(8)).toBe("755");
    expect(await ask("status")).toEqual({ kind: "ok", text: text("status\n") });
    const long = await listen({ answer: () => "x".repeat(2000) });
    expect(await ask("list")).toEqual({
      kind: "error",
      text: text("Internal IPC buffer too small\n"),
    });
    long.close();
    socket.close();
    expect(await ask("list")).toEqual({ kind: "unreachable", errno: "ENOENT" });
  });

  test("shutdown is answered before it is carried out", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const socket = await listen({ shutdown: resolve, umask: 0o077 });
    expect((statSync(options({}).path).mode & 0o777).toString(8)).toBe("700");
    expect(await ask("shutdown")).toEqual({ kind: "ok", text: text("shutdown\n") });
    await promise;
    socket.close();
  });

  test("too long requests and too many users are cut off", async () => {
    const socket = await listen({ clientsMax: 1 });
    const raw = connect({ path: options({}).path });
    await new Promise<void>((done) => raw.once("connect", done));
    const cut = await ask("status");
    expect(cut.kind).toBe("unknown");
    const { promise, resolve } = Promise.withResolvers<void>();
    raw.once("close", () => resolve());
    raw.on("error", () => undefined);
    raw.write(new Uint8Array(2000).fill(120));
    await promise;
    expect(log.map((line) => line.text)).toEqual([
      "Maximum IPC clients reached. Not accepting connection",
      "Can't store message from IPC client. Disconnecting client.",
    ]);
    socket.close();
  });

  test("an unknown group or an impossible path is said", async () => {
    const group = await ToolSocket.listen(options({ group: "no-such-group" }));
    expect(group).toEqual({ ok: false, reason: 'there is no group "no-such-group"' });
    const path = await ToolSocket.listen(options({ path: join(dir, "x".repeat(120)) }));
    expect(path.ok ? "" : path.reason).toContain("cannot be made");
  });
});
