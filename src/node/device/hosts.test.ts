// The device client's hosts against the machine: commands, PKCS#12 files, sockets with and without TLS.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { pem as pemOf } from "../../qnetd/pki/pki.ts";
import { createAuthority, createIdentity } from "../../qnetd/pki/issue.ts";
import { Commands } from "./commands.ts";
import { Connection, isVoteServer } from "./connection.ts";
import { CredentialStore, type CredentialsResult } from "./credentials.ts";
import type { DeviceAction, DeviceEvent } from "./events.ts";
import { readPkcs12 } from "./pkcs12.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-device-"));
const file = (name: string): string => join(directory, name);
afterAll(() => rmSync(directory, { recursive: true }));

function openssl(...words: string[]): void {
  const done = Bun.spawnSync(["openssl", ...words], { cwd: directory, stderr: "pipe" });
  if (done.exitCode !== 0) throw new Error(done.stderr.toString());
}

/** RSA keys, as the original's, take long to find: only the client's, which goes into PKCS#12, is one. */
const newKey = (name: string): string[] =>
  name === "client"
    ? ["-newkey", "rsa:2048", "-nodes"]
    : ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** A certificate of `authority`; `-days 0` has expired when it is made. */
function issue(name: string, subject: string, authority: string, days = 30): void {
  openssl(
    "req",
    "-new",
    ...newKey(name),
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
    "-subj",
    subject,
  );
  openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    "-CA",
    `${authority}.pem`,
    "-CAkey",
    `${authority}.key`,
    "-set_serial",
    "7",
    "-days",
    String(days),
    "-out",
    `${name}.pem`,
  );
}

beforeAll(() => {
  for (const name of ["ca", "otherCa"]) {
    openssl(
      "req",
      "-x509",
      ...newKey(name),
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
      "-subj",
      "/CN=QNet CA",
      "-days",
      "30",
    );
  }
  issue("server", "/CN=Qnetd Server", "ca");
  issue("expired", "/CN=Qnetd Server", "ca", 0);
  issue("stranger", "/CN=Qnetd Server", "otherCa");
  issue("strangerExpired", "/CN=Qnetd Server", "otherCa", 0);
  issue("misnamed", "/CN=somebody", "ca");
  issue("client", "/CN=lab", "ca");
  openssl(
    "pkcs12",
    "-export",
    "-inkey",
    "client.key",
    "-in",
    "client.pem",
    "-certfile",
    "ca.pem",
    "-out",
    "client.p12",
    "-passout",
    "pass:",
    "-keypbe",
    "AES-256-CBC",
    "-certpbe",
    "AES-128-CBC",
  );
}, 60_000);

describe("commands", () => {
  const run = (
    commands: Commands,
    words: readonly (readonly string[])[],
    timeoutMs = 5000,
  ): Promise<string> =>
    new Promise((resolve) =>
      commands.start(
        words.map((each, at) => ({ name: String(at), words: each })),
        timeoutMs,
        resolve,
      ),
    );

  test("pass only when all end well", async () => {
    const commands = new Commands({ killAfterMs: 5000, processesMax: 160 });
    expect(await run(commands, [["/bin/true"], ["/bin/sh", "-c", "exit 0"]])).toBe("pass");
    expect(await run(commands, [["/bin/true"], ["/bin/false"]])).toBe("fail");
    expect(await run(commands, [["/nowhere/program"]])).toBe("fail");
    expect(await run(commands, [["/bin/sh", "-c", "kill -9 $$"]])).toBe("fail");
  });

  test("fail at once and at the timeout; what still runs is ended", async () => {
    const commands = new Commands({ killAfterMs: 5000, processesMax: 160 });
    const begun = performance.now();
    expect(await run(commands, [["/bin/sleep", "60"], ["/bin/false"]])).toBe("fail");
    expect(await run(commands, [["/bin/sleep", "60"]], 50)).toBe("fail");
    expect(performance.now() - begun).toBeLessThan(3000);
    while (commands.count > 0) await Bun.sleep(5);
  });

  test("a run that is overtaken says nothing", async () => {
    const commands = new Commands({ killAfterMs: 5000, processesMax: 160 });
    let said = 0;
    commands.start([{ name: "a", words: ["/bin/sleep", "60"] }], 5000, () => (said += 1));
    expect(await run(commands, [["/bin/true"]])).toBe("pass");
    expect(said).toBe(0);
  });
});

describe("PKCS#12", () => {
  test("key, certificate and authority", async () => {
    const read = await readPkcs12(readFileSync(file("client.p12")), "");
    if (!read.ok) throw new Error(read.reason);
    expect(read.value.cert.trim()).toBe(readFileSync(file("client.pem"), "utf8").trim());
    expect(read.value.ca.map((each) => each.trim())).toEqual([
      readFileSync(file("ca.pem"), "utf8").trim(),
    ]);
    expect(await readPkcs12(readFileSync(file("client.p12")), "wrong")).toMatchObject({
      ok: false,
    });
  });

  test("any damage is refused or harmless, never thrown", async () => {
    const whole = readFileSync(file("client.p12"));
    const damage = fc.tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length));
    await fc.assert(
      fc.asyncProperty(damage, async ([at, byte, length]) => {
        const bytes = new Uint8Array(whole);
        bytes[at] = byte;
        await readPkcs12(bytes, "");
        expect(
          await readPkcs12(whole.subarray(0, Math.min(length, whole.length - 1)), ""),
        ).toMatchObject({ ok: false });
      }),
      { numRuns: 60 },
    );
    expect(await readPkcs12(new Uint8Array(5000).fill(0x30), "")).toMatchObject({ ok: false });
  });

  test("where it is looked for", async () => {
    const store = new CredentialStore(directory);
    expect(await store.read({})).toMatchObject({ ok: false });
    const areThere = [{}, { "net.tls_ca_file": "/a" }, { "net.tls_p12_file": "/a" }].map(
      (options) => store.areThere(options),
    );
    expect(areThere).toEqual([false, false, true]);
    expect(await store.read({ "net.tls_cert_file": file("client.pem") })).toMatchObject({
      ok: false,
    });
    expect(await store.read({ "net.tls_p12_file": file("client.p12") })).toMatchObject({
      ok: true,
    });
    expect(
      await store.read({ "net.tls_p12_file": file("client.p12"), "net.tls_p12_password": "x" }),
    ).toMatchObject({ ok: false });
    mkdirSync(file("nssdb"));
    openssl(
      "pkcs12",
      "-export",
      "-inkey",
      "client.key",
      "-in",
      "client.pem",
      "-certfile",
      "ca.pem",
      "-out",
      "nssdb/qdevice-net-node.p12",
      "-passout",
      "pass:",
    );
    expect(await store.read({})).toMatchObject({ ok: true });
    expect(store.areThere({})).toBe(true);
  });
});

type Told = Extract<DeviceEvent, { readonly id: number }>;

function orderTo(port: number): Extract<DeviceAction, { kind: "connect" }> {
  return {
    kind: "connect",
    id: 1,
    host: "127.0.0.1",
    port,
    ipVersion: 0,
    timeoutMs: 8000,
    serverName: "Qnetd Server",
    unsentBytesMax: 327_680,
  };
}

/** A connection to a server of the test that upgrades to TLS when it hears "tls". */
class Meeting {
  readonly events: Told[] = [];
  readonly warnings: string[] = [];
  readonly heard: string[] = [];
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  #wake = Promise.withResolvers<void>();
  connection: Connection | undefined;
  readonly #heardPlain = Promise.withResolvers<void>();

  constructor(certificate: string) {
    this.#server = createServer((socket) => {
      this.#sockets.push(socket);
      socket.on("error", () => this.#note());
      socket.on("data", (bytes: Buffer) => {
        this.heard.push(`plain ${bytes.toString()}`);
        this.#heardPlain.resolve();
        if (bytes.toString() !== "tls") return;
        socket.removeAllListeners("data");
        const secure = new TLSSocket(socket, {
          isServer: true,
          key: readFileSync(file(`${certificate}.key`)),
          cert: readFileSync(file(`${certificate}.pem`)),
          ca: readFileSync(file("ca.pem")),
          requestCert: true,
          rejectUnauthorized: true,
        });
        secure.on("error", () => this.#note());
        secure.on("data", (each: Buffer) => {
          this.heard.push(`tls ${each.toString()}`);
          secure.write("answer");
        });
      });
    });
  }

  #note(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  async begin(credentials: () => Promise<CredentialsResult>): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const { port } = this.#server.address() as AddressInfo;
    const order = { ...orderTo(port), id: 3 };
    this.connection = new Connection(order, {
      event: (event) => {
        this.events.push(event);
        this.#note();
      },
      // The hello must not come in one piece with the word before it: this server could not take them apart.
      credentials: () => this.#heardPlain.promise.then(credentials),
      hasCredentials: () => true,
      warn: (text) => void this.warnings.push(text),
    });
  }

  async until(kind: Told["kind"]): Promise<Told> {
    for (;;) {
      const found = this.events.find((event) => event.kind === kind);
      if (found !== undefined) return found;
      const closed = this.events.find((event) => event.kind === "closed");
      if (closed !== undefined) throw new Error(JSON.stringify(closed));
      await this.#wake.promise;
    }
  }

  end(): void {
    this.connection?.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

describe("the connection", () => {
  const pem = (): Promise<CredentialsResult> =>
    new CredentialStore(directory).read({
      "net.tls_ca_file": file("ca.pem"),
      "net.tls_cert_file": file("client.pem"),
      "net.tls_key_file": file("client.key"),
    });

  async function secured(
    certificate: string,
    credentials = pem,
  ): Promise<{ meeting: Meeting; end: Told }> {
    const meeting = new Meeting(certificate);
    try {
      await meeting.begin(credentials);
      await meeting.until("connected");
      meeting.connection?.send(Buffer.from("tls"));
      meeting.connection?.startTls();
      meeting.connection?.send(Buffer.from("secret"));
      const end = await meeting.until("received").catch(() => meeting.until("closed"));
      return { meeting, end };
    } finally {
      meeting.end();
    }
  }

  test("plain, then TLS with our certificate; nothing goes out before", async () => {
    const { meeting, end } = await secured("server");
    expect(end).toMatchObject({ kind: "received", id: 3 });
    expect(meeting.events[0]).toMatchObject({ kind: "connected", hasCertificate: true });
    expect(meeting.heard).toEqual(["plain tls", "tls secret"]);
    expect(meeting.events.map((event) => event.kind)).toEqual(["connected", "secured", "received"]);
  });

  test("an expired certificate of our authority is used with a warning", async () => {
    const { meeting, end } = await secured("expired");
    expect(end.kind).toBe("received");
    expect(meeting.warnings.join()).toContain("expired");
  });

  test("a certificate that begins later: the clock is asked about, not the authority", async () => {
    const authority = await createAuthority(1, new Date(Date.now() - 86_400_000));
    const from = new Date(Date.now() + 86_400_000);
    const common = { authority, commonName: "Qnetd Server", serial: 2, from };
    const later = await createIdentity(common);
    writeFileSync(file("later.key"), pemOf("PRIVATE KEY", later.key));
    writeFileSync(file("later.pem"), pemOf("CERTIFICATE", later.certificate));
    writeFileSync(file("laterCa.pem"), pemOf("CERTIFICATE", authority.certificate));
    const { end } = await secured("later", () =>
      new CredentialStore(directory).read({
        "net.tls_ca_file": file("laterCa.pem"),
        "net.tls_cert_file": file("client.pem"),
        "net.tls_key_file": file("client.key"),
      }),
    );
    expect(JSON.stringify(end)).toMatch(/the clock of this node says .*: set the clock/);
  });

  for (const name of ["stranger", "strangerExpired", "misnamed"]) {
    test(`a server with another certificate hears nothing: ${name}`, async () => {
      const { meeting, end } = await secured(name);
      expect(end).toMatchObject({ kind: "closed", mayRetrySoon: false });
      expect(meeting.heard).toEqual(["plain tls"]);
    });
  }

  test("without a certificate the reason names the keys", async () => {
    const { end } = await secured("server", () => new CredentialStore(file("none")).read({}));
    expect(JSON.stringify(end)).toContain("net.tls_p12_file");
  });

  test("nobody listens", async () => {
    const meeting = new Meeting("server");
    await meeting.begin(pem);
    meeting.end();
    const refused = Promise.withResolvers<Told>();
    const order = { ...orderTo(1), id: 4 };
    const connection = new Connection(order, {
      event: refused.resolve,
      credentials: pem,
      hasCredentials: () => true,
      warn: () => undefined,
    });
    expect(await refused.promise).toMatchObject({ kind: "closed", id: 4, mayRetrySoon: true });
    expect(JSON.stringify(await refused.promise)).toContain(
      "127.0.0.1 refuses connections to port 1",
    );
    expect(JSON.stringify(await refused.promise)).toContain("(quorate qnetd or corosync-qnetd)");
    connection.close();
  });

  /** What comes of a name with these addresses. */
  async function reach(
    addresses: readonly string[] | Error,
    order: Extract<DeviceAction, { kind: "connect" }>,
  ): Promise<Told> {
    const first = Promise.withResolvers<Told>();
    const asked: string[] = [];
    const connection = new Connection(order, {
      event: first.resolve,
      credentials: pem,
      hasCredentials: () => true,
      warn: () => undefined,
      resolve: async (host, family) => {
        asked.push(`${host} ${family}`);
        if (addresses instanceof Error) throw addresses;
        return addresses;
      },
    });
    const told = await first.promise;
    connection.close();
    expect(asked).toEqual([`${order.host} ${order.ipVersion}`]);
    return told;
  }

  test("the addresses of a name are tried in turn; a silent one has only its share of the time", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const order = { ...orderTo(port), host: "votes.example", ipVersion: 4 as const };
    expect(await reach(["127.0.0.9", "127.0.0.1"], order)).toMatchObject({ kind: "connected" });
    // What is meant for documentation only answers nobody: silence, or no route at all.
    const begun = performance.now();
    const silent = await reach(["192.0.2.1", "127.0.0.1"], { ...order, timeoutMs: 600 });
    expect(silent).toMatchObject({ kind: "connected" });
    expect(performance.now() - begun).toBeLessThan(10_000);
    const none = JSON.stringify(await reach(["127.0.0.9", "127.0.0.10"], order));
    expect(none).toContain("127.0.0.9 refuses");
    expect(none).toContain("127.0.0.10 refuses");
    server.close();
  });

  test("a name that nobody knows", async () => {
    const unknown = Object.assign(new Error("no"), { code: "ENOTFOUND" });
    const order = { ...orderTo(5403), host: "votes.example", ipVersion: 6 as const };
    const told = JSON.stringify(await reach(unknown, order));
    expect(told).toContain("votes.example cannot be resolved as an IPv6 address (ENOTFOUND)");
    expect(JSON.stringify(await reach([], order))).toContain("no address");
  });

  test("a server that does not like our certificate", async () => {
    const { end } = await secured("server", () =>
      new CredentialStore(directory).read({
        "net.tls_ca_file": file("ca.pem"),
        "net.tls_cert_file": file("stranger.pem"),
        "net.tls_key_file": file("stranger.key"),
      }),
    );
    expect(end).toMatchObject({ kind: "closed", mayRetrySoon: true });
    expect(JSON.stringify(end)).toContain("may refuse our certificate");
  });

  test("the server's name may be set", () => {
    const misnamed = new X509Certificate(readFileSync(file("misnamed.pem")));
    expect(isVoteServer(misnamed, "Somebody")).toBe(true);
    expect(isVoteServer(misnamed, "Qnetd Server")).toBe(false);
  });
});
