// All abuse of issue 8 at once against the real daemon with its own limits (A.1, A.7, A.8): a cluster of two nodes with certificates keeps its
// votes, a node that was down comes back, memory stays bounded and the log readable.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultConfiguration } from "../../src/qnetd/server/configuration.ts";
import { encodeMessage, errorCodes, type Message } from "../../src/qnetd/session/message.ts";
import { derOf, type Identity } from "../../src/qnetd/pki/pki.ts";
import { createRequest } from "../../src/qnetd/pki/issue.ts";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";
import { askTool } from "../../src/qnetd/tool/tool-socket.ts";
import type { QnetdStatus } from "../../src/shell/daemon/qnetd.ts";
import { init, LoopbackClient, preinit } from "../double/qnetd-client.ts";
import { Daemon } from "../double/qnetd-daemon.ts";

setDefaultTimeout(240_000);
const heartbeatMs = 8000;
/** When all room is taken. */
const attackMs = 12_000;
const rounds = 3;
const linesPerMinuteMax = 100;
/** What the connections of these limits may cost by their own reckoning, and half as much. */
const growthBytesMax = 160 * 1024 * 1024;
/** 728 clients, 364 of one address, and 91 newcomers more. */
const openFilesMax = 1024;
const fullOfClients = 700;
const dir = mkdtempSync(join(tmpdir(), "quorate-attack-"));
const nodes = [{ nodeId: 1 }, { nodeId: 2 }];

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A node of the cluster, which answers every vote info and remembers the vote for its last ring. */
class Node {
  readonly #client: LoopbackClient;
  #seq = 10;

  private constructor(client: LoopbackClient) {
    this.#client = client;
  }

  static async join(
    port: number,
    nodeId: number,
    options: { readonly authority: Uint8Array; readonly identity: Identity },
  ): Promise<Node> {
    const client = await LoopbackClient.open(port);
    client.send(preinit());
    expect(await client.next()).toMatchObject({ kind: "preinitReply" });
    client.send({ kind: "startTls", seq: 2 });
    await client.startTls(options);
    client.send(init(nodeId));
    expect(await client.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
    client.send({ kind: "nodeList", seq: 4, nodeListType: "initialConfig", nodes });
    return new Node(client);
  }

  report(seq: number, members: readonly number[]): void {
    this.#client.send({
      kind: "nodeList",
      seq: 5,
      nodeListType: "membership",
      ring: { rep: members[0] ?? 0, seq },
      nodes: members.map((nodeId) => ({ nodeId })),
    });
  }

  /** The next ACK for the ring; a NACK for it is none. */
  async granted(seq: number): Promise<void> {
    await this.#until(
      ({ kind, vote, ring }) => kind === "voteInfo" && vote === "ack" && ring?.seq === seq,
    );
  }

  /** Milliseconds until the echo. */
  async echo(): Promise<number> {
    const begun = performance.now();
    this.#seq += 1;
    const seq = this.#seq;
    this.#client.send({ kind: "echoRequest", seq });
    await this.#until((message) => message.kind === "echoReply" && message.seq === seq);
    return performance.now() - begun;
  }

  destroy(): void {
    this.#client.destroy();
  }

  async #until(isWanted: (message: Message) => boolean): Promise<void> {
    for (;;) {
      const message = await this.#client.next();
      if (message === "closed") throw new Error("the server has closed a node's connection");
      if (message.kind === "voteInfo") {
        expect(message.vote).toBe("ack");
        this.#client.send({ kind: "voteInfoReply", seq: message.seq ?? 0 });
      }
      if (isWanted(message)) return;
    }
  }
}

/** Strangers from many addresses of this machine, each kind in a loop of its own until they are told to go. */
class Strangers {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  readonly #loops: Promise<void>[] = [];
  #isOver = false;
  /** What those have been answered who came without a certificate. */
  readonly answers = new Map<number, number>();

  constructor(port: number) {
    this.#port = port;
  }

  /** `act` with a new connection again and again; `kept` of them stay open at a time. */
  send(
    addresses: readonly string[],
    kept: number,
    act: (socket: Socket, at: number) => void,
  ): void {
    const loop = async (): Promise<void> => {
      const mine: Socket[] = [];
      for (let at = 0; !this.#isOver; at += 1) {
        const address = addresses[at % addresses.length] ?? "127.0.0.1";
        const socket = await this.#open(address);
        act(socket, at);
        mine.push(socket);
        if (mine.length > kept) mine.shift()?.destroy();
        // Some hundreds a second of each kind: more would only take this machine from the server.
        await Bun.sleep(1);
      }
    };
    this.#loops.push(loop());
  }

  async leave(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(localAddress: string): Promise<Socket> {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const socket = connect({ port: this.#port, host: "127.0.0.1", localAddress, noDelay: true });
    this.#sockets.add(socket);
    socket.on("data", (bytes: Uint8Array) => this.#note(bytes));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      resolve(socket);
    });
    socket.once("connect", () => resolve(socket));
    return promise;
  }

  /** Of a server error or an init reply: the error code, whose option follows the sequence number or comes first. */
  #note(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString("hex");
    for (const [, code = ""] of text.matchAll(/00060002([0-9a-f]{4})/g)) {
      const number = Number.parseInt(code, 16);
      this.answers.set(number, (this.answers.get(number) ?? 0) + 1);
    }
  }
}

const bytesOf = (...messages: readonly Message[]): Uint8Array =>
  Buffer.concat(messages.map(encodeMessage));
const addresses = (net: number, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `127.0.${net}.${at + 1}`);

test("a cluster with certificates under attack", async () => {
  const daemon = await Daemon.start({
    root: dir,
    tls: "on",
    isWaitingAfterStart: false,
    openFilesMax,
  });
  const port = await daemon.port();
  const store = new CertificateStore(join(dir, "etc/corosync/qnetd/nssdb"));
  const { key, request } = await createRequest("lab");
  const signed = await store.sign(request, "lab", Date.now());
  if (!signed.ok) throw new Error(signed.reason);
  const der = (path: string): Uint8Array => derOf(readFileSync(path), /CERTIFICATE/);
  const credentials = {
    authority: der(store.authorityPath),
    identity: { key, certificate: der(signed.value.path) },
  };
  let one = await Node.join(port, 1, credentials);
  const two = await Node.join(port, 2, credentials);
  for (const node of [one, two]) node.report(4, [1, 2]);
  for (const node of [one, two]) await node.granted(4);
  const residentBytes = (): number => {
    const text = readFileSync(`/proc/${daemon.pid}/status`, "latin1");
    return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]) * 1024;
  };
  /** Those that were let in. */
  const clients = async (): Promise<number> => {
    const socket = join(dir, "var/run/corosync-qnetd/corosync-qnetd.sock");
    const question = { command: "snapshot", isVerbose: false, cluster: undefined } as const;
    const answer = await askTool(socket, question);
    if (answer.kind !== "ok") throw new Error(JSON.stringify(answer));
    const status: QnetdStatus = JSON.parse(new TextDecoder().decode(answer.text));
    return status.clients;
  };
  const bytesBefore = residentBytes();
  const linesBefore = daemon.log.split("\n").length;

  const strangers = new Strangers(port);
  // A.1: nodes of the cluster, without TLS.
  strangers.send(addresses(1, 4), 4, (socket, at) => {
    const list = { kind: "nodeList", seq: 4, nodeListType: "membership" } as const;
    const ring = { rep: 1, seq: 90 };
    const claim = { ...list, ring, nodes: [{ nodeId: 1 }] };
    socket.write(bytesOf(preinit(), init(1 + (at % 2)), claim));
  });
  // A.7: introduced clients of clusters without certificates, of a few addresses, more than there is room for.
  strangers.send(addresses(2, 4), Number.POSITIVE_INFINITY, (socket, at) => {
    const slow = { ...init(1), heartbeatMs: defaultConfiguration.heartbeatMsMax };
    socket.write(bytesOf(preinit(`stranger ${at}`), slow));
  });
  // A.8: garbage as enrolments, and handshakes that stall.
  strangers.send(addresses(3, 20), 4, (socket) => {
    socket.write(Uint8Array.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]));
  });
  strangers.send(addresses(4, 200), 40, (socket) => socket.write(Uint8Array.of(0x16, 3, 1)));

  let longestMs = 0;
  let mostBytes = 0;
  const begun = performance.now();
  const watch = async (): Promise<void> => {
    for (const node of [one, two]) longestMs = Math.max(longestMs, await node.echo());
    mostBytes = Math.max(mostBytes, residentBytes());
  };
  // The strangers' plain clients fill what there is for them.
  while ((await clients()) < fullOfClients) await watch();
  for (let round = 1; round <= rounds; round += 1) {
    for (const end = performance.now() + attackMs / rounds; performance.now() < end;) {
      await watch();
    }
    expect(await clients()).toBeGreaterThanOrEqual(fullOfClients);
    // Node 1 goes down, node 2 lives by the device's vote, and node 1 comes back.
    one.destroy();
    two.report(round * 8, [2]);
    await two.granted(round * 8);
    one = await Node.join(port, 1, credentials);
    for (const node of [one, two]) node.report(round * 8 + 4, [1, 2]);
    for (const node of [one, two]) await node.granted(round * 8 + 4);
  }
  await strangers.leave();

  expect(longestMs).toBeLessThan(heartbeatMs);
  expect(mostBytes - bytesBefore).toBeLessThan(growthBytesMax);
  const lines = daemon.log.split("\n").slice(linesBefore - 1);
  const minutes = Math.ceil((performance.now() - begun) / 60_000);
  expect(lines.length).toBeLessThanOrEqual(minutes * linesPerMinuteMax);
  // What happens to the cluster is not lost among what strangers do.
  const back = lines.filter((line) => /cluster "lab": node 1 is connected again/.test(line));
  expect(back.length).toBe(rounds);
  expect(strangers.answers.get(errorCodes.tlsRequired)).toBeGreaterThan(20);
  for (const node of [one, two]) node.destroy();
  expect(await daemon.stop()).toBe(0);
  // Enrolments were refused too: logged, or counted at the end.
  expect(daemon.log).toMatch(/enrolment of \S+ is refused/);
});
