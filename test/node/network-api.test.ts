// The network API of a real node: whose certificate it shows, and what a flood of strangers changes for everybody else.
import { afterEach, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { dirname } from "node:path";
import { connect, type ConnectionOptions } from "node:tls";
import { pem } from "../../src/qnetd/pki/pki.ts";
import { issueCertificate, newRsaKey } from "../../src/shell/certificates/x509.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { LoneNode } from "./lone-node.ts";

const nodes: LoneNode[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const node of nodes.splice(0)) await node.close();
});

const port = 18_106;

function started(name: string, prepare: (node: LoneNode) => void = () => undefined): LoneNode {
  const node = new LoneNode(name);
  nodes.push(node);
  prepare(node);
  node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  return node;
}

async function logged(node: LoneNode, text: string): Promise<void> {
  await until(() => (node.log().includes(text) ? ready(true) : pending(node.log())), 60_000, text);
}

interface Answer {
  readonly fingerprint: string;
  readonly text: string;
  readonly isAuthorized: boolean;
}

/** One GET on a connection of its own; throws when it is cut. */
async function get(node: LoneNode, more: ConnectionOptions = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const socket = connect({ host: node.address, port, rejectUnauthorized: false, ...more });
  sockets.push(socket);
  let text = "";
  let fingerprint = "";
  socket.on("secureConnect", () => {
    fingerprint = socket.getPeerCertificate().fingerprint256;
    socket.write("GET /api2/json/version HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n");
  });
  socket.on("data", (bytes: Uint8Array) => (text += new TextDecoder().decode(bytes)));
  socket.on("error", reject);
  socket.on("close", () => resolve({ fingerprint, text, isAuthorized: socket.authorized }));
  return promise;
}

test("the cluster's certificate once the tree has one, an administrator's at once, for new connections", async () => {
  const node = started("cert1");
  await logged(node, "this node has a new certificate in the tree: there was none");
  const text = async (path: string) => new TextDecoder().decode(await node.client.read(path));
  const [ca, own] = [await text("pve-root-ca.pem"), await text("nodes/cert1/pve-ssl.pem")];
  const trusting = { ca, servername: "cert1" };
  expect(await get(node, trusting)).toMatchObject({
    text: expect.stringMatching(/^HTTP\/1\.1 401 No ticket\r\n/),
    fingerprint: new X509Certificate(own).fingerprint256,
    isAuthorized: true,
  });
  const key = await newRsaKey(2048);
  const made = issueCertificate({
    subject: [["commonName", "custom"]],
    key,
    issuer: undefined,
    serial: 7n,
    from: new Date(Date.now() - 1000),
    until: new Date(Date.now() + 3_600_000),
    kind: "server",
    alternativeNames: ["cert1"],
  });
  const bytes = (words: string) => new TextEncoder().encode(words);
  await node.client.put("nodes/cert1/pveproxy-ssl.pem", bytes(pem("CERTIFICATE", made)));
  // Without its key it is not shown.
  expect((await get(node)).fingerprint).toBe(new X509Certificate(own).fingerprint256);
  await node.client.put(
    "nodes/cert1/pveproxy-ssl.key",
    bytes(key.export({ format: "pem", type: "pkcs8" })),
  );
  expect((await get(node)).fingerprint).toBe(new X509Certificate(made).fingerprint256);
  await node.client.remove("nodes/cert1/pveproxy-ssl.pem");
  expect((await get(node)).fingerprint).toBe(new X509Certificate(own).fingerprint256);
  // The same authority and certificate after a restart.
  await node.stop();
  node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  await until(
    async () => {
      const answer = await get(node, trusting).catch((error: unknown) => String(error));
      return typeof answer === "string"
        ? pending(answer)
        : ready(expect(answer.isAuthorized).toBe(true));
    },
    60_000,
    "an answer after the restart",
  );
  expect(await text("pve-root-ca.pem")).toBe(ca);
}, 120_000);

test("the page is there for whoever comes, its session for whoever logs in, and nothing of both on the local socket", async () => {
  const node = started("page1");
  await logged(node, "this node has a new certificate in the tree");
  const base = `https://${node.address}:${port}`;
  const ask = (path: string, more: RequestInit = {}) =>
    fetch(`${base}${path}`, { ...more, tls: { rejectUnauthorized: false } });
  const document = await ask("/");
  expect(document.status).toBe(200);
  expect(document.headers.get("content-security-policy")).toContain("script-src 'self'");
  const html = await document.text();
  const files = [...html.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)].map(([, path = ""]) => path);
  expect(files).toHaveLength(3);
  for (const path of files) {
    const file = await ask(path);
    expect({ path, status: file.status, cache: file.headers.get("cache-control") }).toEqual({
      ...{ path, status: 200, cache: "no-store" },
    });
    expect((await file.text()).length).toBeGreaterThan(100);
  }
  expect((await ask("/page/nothing.js")).status).toBe(404);
  const session = await ask("/api/v1/session");
  expect(await session.json()).toEqual({ data: null });
  expect((await ask("/api/v1/overview")).status).toBe(401);
  const local = await fetch("http://node/", { unix: node.paths.socket });
  expect(local.status).toBe(404);
}, 120_000);

/** Connects, says something, and stays; many at a time, from one address. */
function attack(node: LoneNode, kind: number): void {
  const socket = connectPlain({ host: node.address, port, localAddress: "127.9.9.9" });
  sockets.push(socket);
  socket.on("error", () => undefined);
  const words = [
    "",
    "\x16\x03\x01\x02\x00\x01",
    "GET / HTTP/1.1\r\nX: ",
    "\x00\xff junk",
    "A".repeat(9000),
  ];
  socket.write(Buffer.from(words[kind % words.length] ?? "", "latin1"));
}

test("two thousand connections of strangers: the ring stays, the node answers, others get in", async () => {
  const node = started("flood1", ({ paths, address, name }) => {
    mkdirSync(dirname(paths.conf), { recursive: true });
    writeFileSync(
      paths.conf,
      `totem {\n  version: 2\n  cluster_name: flood\n  config_version: 1\n  transport: knet\n  crypto_cipher: none\n  crypto_hash: none\n}\n` +
        `nodelist {\n  node {\n    name: ${name}\n    nodeid: 1\n    ring0_addr: ${address}\n  }\n}\nquorum {\n  provider: corosync_votequorum\n}\n`,
    );
  });
  await logged(node, "this node has a new certificate in the tree");
  const before = await node.statusWhen(({ quorum }) => quorum.quorate, "quorate");
  const waits: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    for (let count = 0; count < 100; count += 1) attack(node, count);
    const begun = performance.now();
    expect((await get(node)).text).toStartWith("HTTP/1.1 401 ");
    await node.client.put("flood", new TextEncoder().encode(`${round}`));
    waits.push(performance.now() - begun);
  }
  const after = await node.client.status();
  expect(after.ring.id).toBe(before.ring.id);
  expect(after.ring.counters.tokenLost).toEqual(before.ring.counters.tokenLost);
  expect(after.warnings ?? []).toEqual(before.warnings ?? []);
  // Also on a machine that has much else to do.
  expect(Math.max(...waits)).toBeLessThan(15_000);
  // Microseconds: the ring is another thread's.
  expect(after.ring.rotationUs.p99).toBeLessThan(100_000);
}, 120_000);
