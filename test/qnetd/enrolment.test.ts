// Enrolment at the real vote server on loopback: who is admitted, who is not, and that clients that vote do not notice.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { EnrolmentServer } from "../../src/qnetd/enrol/enrolment-server.ts";
import { enrolmentLimits } from "../../src/qnetd/enrol/enrolment-admission.ts";
import {
  decodeAnswer,
  decodeOffer,
  EnrolmentFrame,
  type EnrolmentAnswer,
  encodeRequest,
  requestBytesMax,
} from "../../src/qnetd/enrol/enrolment-message.ts";
import { decodeToken, type InviteToken } from "../../src/qnetd/enrol/enrolment-token.ts";
import { createAuthority, createIdentity, createRequest } from "../../src/qnetd/pki/issue.ts";
import { defaultConfiguration } from "../../src/qnetd/server/configuration.ts";
import { VoteServerHost } from "../../src/qnetd/server/server.ts";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";
import { TlsUpgrade } from "../../src/qnetd/server/tls.ts";
import { inviteCommand, type QnetdInviteOptions } from "../../src/shell/command/qnetd-invite.ts";
import { enrol } from "../../src/shell/qdevice/enrol.ts";
import { init, LoopbackClient, preinit } from "../double/qnetd-client.ts";

type Request = Awaited<ReturnType<typeof createRequest>>;

let dir = "";
let store: CertificateStore;
let lab: Request;
let second: Request;
let other: Request;
let host: VoteServerHost;
let now = 0;
let skewMs = 0;
const log: string[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "quorate-enrol-"));
  mkdirSync(join(dir, "qnetd"));
  store = new CertificateStore(join(dir, "qnetd/nssdb"));
  store.prepare({ isGroupWritable: true });
  expect((await store.create(Date.now())).ok).toBe(true);
  [lab, second, other] = [
    await createRequest("lab"),
    await createRequest("lab"),
    await createRequest("other"),
  ];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeEach(async () => {
  now = 0;
  skewMs = 0;
  log.length = 0;
  for (const file of invitations()) rmSync(join(store.directory, file));
  await start();
});
afterEach(() => host.stop());

const invitations = (): string[] =>
  readdirSync(store.directory).filter((file) => file.startsWith("invite-"));

async function start(deadlineMs?: number): Promise<void> {
  const tls = new TlsUpgrade({
    store,
    isClientCertificateRequired: true,
    onUnusable: (text) => log.push(text),
  });
  const enrolment = new EnrolmentServer({
    tls,
    store,
    log: ({ text }) => void log.push(text),
    clock: () => Date.now() + skewMs,
    now: () => now,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
  host = new VoteServerHost({
    configuration: defaultConfiguration,
    listen: { address: "127.0.0.1", port: 0, family: 0, backlog: 128 },
    tls,
    enrol: (socket, first) => enrolment.open(socket, first),
    log: ({ text }) => void log.push(text),
    onFatal: (reason) => {
      throw new Error(reason);
    },
  });
  expect(await host.start()).toEqual({ ok: true, value: undefined });
}

async function invite(
  cluster: string,
  more: Partial<QnetdInviteOptions> = {},
): Promise<InviteToken> {
  let text = "";
  const code = await inviteCommand({
    directory: store.directory,
    server: { address: "*", port: host.port, tls: "on", uid: undefined },
    verb: { kind: "invite", cluster },
    addresses: ["127.0.0.1"],
    port: undefined,
    lifetimeMs: undefined,
    json: true,
    letServerSign: false,
    write: (piece) => void (text += piece),
    note: () => undefined,
    now: () => Date.now(),
    ...more,
  });
  expect(code).toBe(0);
  const token = decodeToken((JSON.parse(text) as { token: string }).token);
  if (!token.ok) throw new Error(token.reason);
  return token.value;
}

/** Enrols with the request that `bytes` makes; resolves with the answer, or "closed", once the server has ended the connection. */
async function enrolWith(
  bytes: (offer: Uint8Array) => Uint8Array,
): Promise<EnrolmentAnswer | "closed"> {
  const answer = await ask(bytes);
  await quiet();
  return answer;
}

/** As `enrolWith`, without waiting; others may be connected meanwhile. */
async function ask(bytes: (offer: Uint8Array) => Uint8Array): Promise<EnrolmentAnswer | "closed"> {
  const { promise, resolve } = Promise.withResolvers<EnrolmentAnswer | "closed">();
  const stream = connect({ host: "127.0.0.1", port: host.port, rejectUnauthorized: false });
  let frame = new EnrolmentFrame(1 << 20);
  let isOffered = false;
  stream.on("data", (piece: Uint8Array) => {
    const text = frame.push(piece);
    if (text === undefined) return;
    if (!text.ok) throw new Error(text.reason);
    frame = new EnrolmentFrame(1 << 20);
    if (!isOffered) {
      isOffered = true;
      const offer = decodeOffer(text.value);
      if (!offer.ok) throw new Error(offer.reason);
      stream.write(bytes(offer.value.authority));
      return;
    }
    const answer = decodeAnswer(text.value);
    if (!answer.ok) throw new Error(answer.reason);
    resolve(answer.value);
  });
  stream.on("error", () => resolve("closed"));
  stream.on("close", () => resolve("closed"));
  const answer = await promise;
  stream.destroy();
  return answer;
}

/** The server has no connection any more. */
async function quiet(): Promise<void> {
  const end = performance.now() + 5000;
  while (host.connections > 0) {
    if (performance.now() > end) throw new Error(`${host.connections} connections stay`);
    await new Promise(setImmediate);
  }
}

const asking =
  (token: InviteToken, more: { cluster?: string; request?: Uint8Array } = {}) =>
  () =>
    encodeRequest({
      secret: token.secret,
      cluster: more.cluster ?? token.cluster,
      request: more.request ?? lab.request,
    });

describe("an invitation", () => {
  test("brings one certificate of the cluster's name, by this authority, for the node's own key", async () => {
    const token = await invite("lab");
    const got = await enrol(token, lab.request);
    if (!got.ok) throw new Error(got.reason);
    const certificate = new X509Certificate(got.value.certificate);
    const authority = new X509Certificate(got.value.authority);
    expect(certificate.subject).toBe("CN=lab");
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(got.value.address).toBe("127.0.0.1");
    const kept = readFileSync(join(store.directory, "cluster-lab.crt"));
    expect(kept.equals(got.value.certificate)).toBe(true);
    await quiet();
    expect(host.snapshot().connections).toBe(0);
  });

  test("keeps no secret on disk, is for its owner only, and can be listed and revoked", async () => {
    const token = await invite("lab");
    const [file = ""] = invitations();
    const path = join(store.directory, file);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const text = readFileSync(path, "latin1");
    for (const encoding of ["hex", "base64", "base64url"] as const) {
      expect(text).not.toContain(Buffer.from(token.secret).toString(encoding));
    }
    let out = "";
    const verb = (kind: "list" | "revoke") =>
      inviteCommand({
        directory: store.directory,
        server: undefined,
        verb: kind === "list" ? { kind } : { kind, cluster: "lab" },
        ...{
          addresses: [],
          port: undefined,
          lifetimeMs: undefined,
          json: false,
          letServerSign: false,
        },
        write: (piece) => void (out += piece),
        note: () => undefined,
        now: () => Date.now(),
      });
    await verb("list");
    expect(out).toMatch(/^CLUSTER +MADE +EXPIRES\nlab +2/);
    expect(await verb("revoke")).toBe(0);
    expect(invitations()).toEqual([]);
    expect(await enrol(token, lab.request)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("no invitation with this secret"),
    });
  });

  test("lists and counts open invitations only", async () => {
    let out = "";
    let wallMs = Date.now();
    const verb = (what: { kind: "list" } | { kind: "revoke"; cluster: string }) =>
      inviteCommand({
        directory: store.directory,
        server: undefined,
        verb: what,
        ...{ addresses: [], port: undefined, lifetimeMs: undefined },
        ...{ json: false, letServerSign: false },
        write: (piece) => void (out += piece),
        note: () => undefined,
        now: () => wallMs,
      });
    const used = await invite("lab");
    expect((await enrol(used, lab.request)).ok).toBe(true);
    await verb({ kind: "list" });
    expect(out).toBe("There are no open invitations.\n");
    await invite("lab");
    out = "";
    expect(await verb({ kind: "revoke", cluster: "lab" })).toBe(0);
    expect(out).toStartWith('1 open invitation(s) for "lab" revoked');
    await invite("lab");
    wallMs += 48 * 3_600_000;
    out = "";
    await verb({ kind: "list" });
    expect(out).toBe("There are no open invitations.\n");
    await expect(verb({ kind: "revoke", cluster: "lab" })).rejects.toThrow(
      'there is no open invitation for "lab" (1 used or expired one(s) were removed)',
    );
    expect(invitations()).toEqual([]);
  });

  test("the same request gets the same answer again, also from a server that was started anew; another gets none", async () => {
    const token = await invite("lab");
    const first = await enrol(token, lab.request);
    expect(first.ok).toBe(true);
    await host.stop();
    await start();
    const later = { ...token, port: host.port };
    expect(await enrol(later, lab.request)).toEqual(first);
    expect(await enrol(later, second.request)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("has been used already"),
    });
  });

  test("two at the same moment with one invitation: one certificate", async () => {
    const token = await invite("lab");
    const answers = await Promise.all([lab, second].map(({ request }) => enrol(token, request)));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
  });

  test("ends with its time, and goes from the disk when the next one is made", async () => {
    const token = await invite("lab", { lifetimeMs: 120_000 });
    skewMs = 121_000;
    expect(await enrol(token, lab.request)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("has expired"),
    });
    await invite("new", { now: () => Date.now() + skewMs });
    expect(invitations()).toHaveLength(1);
  });

  test("is for one cluster: neither another name beside it nor inside the request", async () => {
    const token = await invite("lab");
    expect(await enrolWith(asking(token, { cluster: "other" }))).toMatchObject({ code: "cluster" });
    expect(await enrolWith(asking(token, { request: other.request }))).toMatchObject({
      code: "request",
      reason: expect.stringContaining('for the name "other"'),
    });
    const broken = lab.request.slice();
    broken[broken.length - 1]! ^= 1;
    expect(await enrolWith(asking(token, { request: broken }))).toMatchObject({
      code: "request",
      reason: expect.stringContaining("signature is wrong"),
    });
    expect(await enrolWith(asking(token))).toMatchObject({ kind: "signed" });
  });

  test("a node sends its secret to no other server than the one of its token", async () => {
    const token = await invite("lab");
    const fingerprint = new Uint8Array(createHash("sha256").update("another").digest());
    expect(await enrol({ ...token, fingerprint }, lab.request)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("another vote server than the one that made the invitation"),
    });
    // A thief who shows the right authority but has no key of it.
    const from = new Date();
    const theirs = await createAuthority(101, from);
    const forged = await createIdentity({
      authority: theirs,
      commonName: "Qnetd Server",
      serial: 102,
      from,
    });
    const rogue = new CertificateStore(join(dir, "qnetd/rogue"));
    rogue.prepare({ isGroupWritable: true });
    expect((await rogue.adopt(theirs, forged, Date.now())).ok).toBe(true);
    const right = readFileSync(store.authorityPath);
    await host.stop();
    const mine = store;
    try {
      store = rogue;
      await start();
      await Bun.write(rogue.authorityPath, right);
      expect(await enrol({ ...token, port: host.port }, lab.request)).toMatchObject({
        ok: false,
        reason: expect.stringContaining("somebody may stand between"),
      });
      expect(log.join("\n")).not.toContain("no invitation with this secret");
    } finally {
      store = mine;
    }
  });

  test("a server without root's rights signs only when the operator lets its group", async () => {
    if (process.geteuid?.() !== 0) return; // Only root's directories have this question.
    const directory = join(dir, "qnetd/shared");
    const shared = new CertificateStore(directory);
    shared.prepare({ isGroupWritable: false });
    expect((await shared.create(Date.now())).ok).toBe(true);
    chownSync(directory, 0, 12_345);
    chmodSync(directory, 0o750);
    const server = { address: "*", port: host.port, tls: "on", uid: 12_345 };
    const refused = invite("lab", { directory, server }).then(String, String);
    expect(await refused).toContain("Repeat with --let-server-sign");
    const modeOf = (file: string): string =>
      (statSync(join(directory, file)).mode & 0o777).toString(8);
    expect(modeOf("qnetd-ca.pem")).toBe("600");
    await invite("lab", { directory, server, letServerSign: true });
    expect(["", "qnetd-ca.pem", "quorate.lock", "serial.txt"].map(modeOf)).toEqual([
      ...["770", "640", "660", "660"],
    ]);
    const [file = ""] = readdirSync(directory).filter((name) => name.startsWith("invite-"));
    expect(modeOf(file)).toBe("640");
    await invite("lab", { directory, server });
  });

  test("is refused where it could not be used", async () => {
    const failure = async (more: Partial<QnetdInviteOptions>): Promise<string> =>
      invite("lab", more).then(
        () => "no failure",
        (error: unknown) => String(error),
      );
    expect(
      await failure({ server: { address: "*", port: 1, tls: "off", uid: undefined } }),
    ).toContain("runs without TLS");
    expect(await failure({ directory: join(dir, "nowhere") })).toContain(
      "start the vote server once",
    );
    expect(await failure({ verb: { kind: "invite", cluster: "a/b" } })).toContain(
      "cannot be the name of a cluster",
    );
    expect(invitations()).toHaveLength(0);
  });
});

describe("strangers", () => {
  test("100 attempts with wrong secrets: a few are answered, the others are refused; then the address is admitted again", async () => {
    const token = await invite("lab");
    const wrong = { ...token, secret: new Uint8Array(16) };
    const answers: string[] = [];
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const answer = await enrolWith(asking(wrong));
      answers.push(
        answer === "closed" ? answer : answer.kind === "refuse" ? answer.code : "signed",
      );
    }
    expect(answers.slice(0, enrolmentLimits.failuresMax)).toEqual(
      Array<string>(enrolmentLimits.failuresMax).fill("secret"),
    );
    expect(new Set(answers.slice(enrolmentLimits.failuresMax))).toEqual(new Set(["closed"]));
    // Not even the right one while the address waits.
    expect(await enrolWith(asking(token))).toBe("closed");
    now += enrolmentLimits.memoryMs;
    expect(await enrolWith(asking(token))).toMatchObject({ kind: "signed" });
  }, 20_000);

  test("too much, too little, nonsense, no TLS: nobody is answered more than a sentence", async () => {
    const token = await invite("lab");
    const long = new Uint8Array(4 + requestBytesMax + 1);
    new DataView(long.buffer).setUint32(0, requestBytesMax + 1);
    expect(await enrolWith(() => long)).toMatchObject({ code: "malformed" });
    expect(await enrolWith(() => Uint8Array.of(0, 0, 0, 2, 0x7b, 0x7d))).toMatchObject({
      code: "malformed",
    });
    const doubled = Buffer.concat([asking(token)(), asking(token)()]);
    expect(await enrolWith(() => doubled)).toMatchObject({ code: "malformed" });
    const garbage = await plain();
    garbage.write(Uint8Array.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]));
    await ended(garbage);
    expect(await enrolWith(asking(token))).toMatchObject({ kind: "signed" });
    expect(log.join("\n")).toContain("announces 16385 bytes, too many");
  });

  test("few at once; those who are slow keep nobody from voting, and are put out at their deadline", async () => {
    await host.stop();
    await start(2000);
    const slow: Socket[] = [];
    for (let count = 0; count < 6; count += 1) {
      const socket = await plain();
      socket.write(Uint8Array.of(0x16));
      slow.push(socket);
    }
    const outside = slow.slice(0, -enrolmentLimits.atOncePerNetworkMax);
    await Promise.all(outside.map(ended));
    const voter = await LoopbackClient.open(host.port);
    voter.send(preinit("voters"));
    expect(await voter.next()).toMatchObject({ kind: "preinitReply" });
    const begun = performance.now();
    await Promise.all(slow.map(ended));
    expect(performance.now() - begun).toBeLessThan(15_000);
    voter.send(init(1));
    expect(await voter.next()).toMatchObject({ kind: "initReply", errorCode: 0 });
    voter.destroy();
    await quiet();
  }, 30_000);

  test("stalled handshakes of many addresses keep nobody out", async () => {
    const token = await invite("lab");
    const stalled: Socket[] = [];
    for (let count = 0; count < 3 * enrolmentLimits.atOnceMax; count += 1) {
      const socket = await plain(`127.0.1.${count >> 1}`);
      socket.write(Uint8Array.of(0x16, 3, 1, 0, 200));
      stalled.push(socket);
    }
    expect(await ask(asking(token))).toMatchObject({ kind: "signed" });
    // Those that came last are still connected.
    expect(stalled.at(-1)?.closed).toBe(false);
    for (const socket of stalled) socket.destroy();
    await quiet();
  });

  test("without enrolment, TLS at once is nonsense like any other", async () => {
    await host.stop();
    const bare = new VoteServerHost({
      configuration: { ...defaultConfiguration, tls: "off" },
      listen: { address: "127.0.0.1", port: 0, family: 0, backlog: 10 },
      tls: undefined,
      log: () => undefined,
      onFatal: () => undefined,
    });
    expect((await bare.start()).ok).toBe(true);
    host = bare;
    const client = await LoopbackClient.open(bare.port);
    client.write(Uint8Array.from([0x16, 3, 0, 0, 0, 1, 9]));
    expect(await client.next()).toMatchObject({ kind: "serverError", errorCode: 4 });
    client.destroy();
    expect(existsSync(join(store.directory, "cluster-nobody.crt"))).toBe(false);
  });
});

async function plain(localAddress = "127.0.0.1"): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connectPlain({ host: "127.0.0.1", port: host.port, localAddress }, () =>
    resolve(),
  );
  socket.once("error", reject);
  await promise;
  socket.off("error", reject);
  socket.on("error", () => undefined);
  socket.resume();
  return socket;
}

async function ended(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("close", () => resolve());
  await promise;
}
