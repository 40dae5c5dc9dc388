// A plaintext stranger at a real vote server whose cluster uses TLS (issue 8, A.1): certificates as signing leaves them on disk.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultConfiguration } from "../../src/qnetd/server/configuration.ts";
import { errorCodes, type Vote } from "../../src/qnetd/session/message.ts";
import { derOf, type Identity } from "../../src/qnetd/pki/pki.ts";
import { createRequest } from "../../src/qnetd/pki/issue.ts";
import { VoteServerHost } from "../../src/qnetd/server/server.ts";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";
import { TlsUpgrade } from "../../src/qnetd/server/tls.ts";
import { init, LoopbackClient, preinit } from "../double/qnetd-client.ts";

let dir = "";
let store: CertificateStore;
let authority: Uint8Array;
let host: VoteServerHost;
const log: string[] = [];
const clients: LoopbackClient[] = [];
const nodes = [{ nodeId: 1 }, { nodeId: 2 }];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "quorate-place-"));
  mkdirSync(join(dir, "qnetd"));
  store = new CertificateStore(join(dir, "qnetd/nssdb"));
  store.prepare({ isGroupWritable: true });
  expect((await store.create(Date.now())).ok).toBe(true);
  const files = store.server();
  if (!files.ok) throw new Error(files.reason);
  authority = derOf(new TextEncoder().encode(files.value.authority), /CERTIFICATE/);
  host = new VoteServerHost({
    configuration: { ...defaultConfiguration, isWaitingAfterStart: false },
    listen: { address: "127.0.0.1", port: 0, family: 0, backlog: 10 },
    tls: new TlsUpgrade({
      store,
      isClientCertificateRequired: true,
      onUnusable: (text) => log.push(text),
    }),
    log: ({ text }) => void log.push(text),
    onFatal: (reason) => {
      throw new Error(reason);
    },
  });
  expect(await host.start()).toEqual({ ok: true, value: undefined });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});
afterAll(async () => {
  await host.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** As an operator's signing does it, in this process or another. */
async function issue(cluster: string): Promise<Identity> {
  const { key, request } = await createRequest(cluster);
  const signed = await store.sign(request, cluster, Date.now());
  if (!signed.ok) throw new Error(signed.reason);
  const bytes = await Bun.file(signed.value.path).bytes();
  return { key, certificate: derOf(bytes, /CERTIFICATE/) };
}

async function connected(cluster: string, identity?: Identity): Promise<LoopbackClient> {
  const client = await LoopbackClient.open(host.port);
  clients.push(client);
  client.send(preinit(cluster));
  expect(await client.next()).toMatchObject({ kind: "preinitReply", tlsSupport: "supported" });
  if (identity === undefined) return client;
  client.send({ kind: "startTls", seq: 2 });
  await client.startTls({ authority, identity });
  return client;
}

/** Reports a ring of these members alone; the next vote that is told for it. */
async function vote(
  client: LoopbackClient,
  seq: number,
  members: readonly number[],
): Promise<Vote | undefined> {
  const ring = { rep: members[0] ?? 0, seq };
  client.send({
    kind: "nodeList",
    seq,
    nodeListType: "membership",
    ring,
    nodes: members.map((nodeId) => ({ nodeId })),
  });
  for (;;) {
    const message = await client.next();
    if (message === "closed") throw new Error("the server has closed a node's connection");
    if (message.kind !== "voteInfo") continue;
    client.send({ kind: "voteInfoReply", seq: message.seq ?? 0 });
    if (message.ring?.seq === seq) return message.vote;
  }
}

test("node 1 down, node 2 lives by the device's vote: a stranger as node 1 is refused, and node 1 comes back", async () => {
  const identity = await issue("lab");
  const [one, two] = [await connected("lab", identity), await connected("lab", identity)];
  for (const [at, node] of [one, two].entries()) {
    node.send(init(at + 1));
    expect(await node.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
    node.send({ kind: "nodeList", seq: 4, nodeListType: "initialConfig", nodes });
  }
  one.destroy();
  expect(await vote(two, 12, [2])).toBe("ack");
  const stranger = await connected("lab");
  stranger.send(init(1));
  expect(await stranger.next()).toMatchObject({
    kind: "serverError",
    errorCode: errorCodes.tlsRequired,
  });
  stranger.send({ kind: "nodeList", seq: 4, nodeListType: "initialConfig", nodes });
  expect(await stranger.next()).toMatchObject({ errorCode: errorCodes.initRequired });
  expect(log.join("\n")).toContain("Init without TLS");
  const again = await connected("lab", identity);
  again.send(init(1));
  expect(await again.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
  const [cluster] = host.snapshot().clusters;
  expect(cluster?.nodes.map(({ nodeId, standing }) => [nodeId, standing])).toEqual([
    [1, "waiting"],
    [2, "yes"],
  ]);
});

test("a cluster without a certificate needs none, until one is issued for it", async () => {
  const before = await connected("late");
  before.send(init(1));
  expect(await before.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
  await issue("late");
  const second = await connected("late");
  second.send(init(2));
  expect(await second.next()).toMatchObject({ errorCode: errorCodes.tlsRequired });
  // Who votes already is not cut off by a signature alone.
  before.send({ kind: "echoRequest", seq: 9 });
  expect(await before.next()).toMatchObject({ kind: "echoReply", seq: 9 });
});
