import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createServer as createPlain, type AddressInfo, type Server } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import * as v from "valibot";
import { createAuthority, createIdentity } from "../../qnetd/pki/issue.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import { RemoteNode, type SecondFactorRequest } from "./remote-node.ts";
import {
  fingerprintBytes,
  fingerprintOf,
  type Trust,
  trustAuthority,
  trustAuthorityFingerprint,
  trustFingerprint,
  trustSystemOr,
} from "./trust.ts";

const run = promisify(execFile);
const canUnshare = await run("unshare", ["-n", "ip", "link"]).then(
  () => true,
  () => false,
);

let authority: { certificate: Uint8Array; key: Uint8Array };
let server: { certificate: Uint8Array; key: Uint8Array };
let stranger: { certificate: Uint8Array; key: Uint8Array };

beforeAll(async () => {
  authority = await createAuthority(1, new Date());
  stranger = await createAuthority(2, new Date());
  server = await createIdentity({ authority, commonName: "pve1", serial: 3, from: new Date() });
});

const open: Server[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

interface Seen {
  connections: number;
  readonly requests: string[];
}

/** Answers each request with what `answer` makes of its text. */
async function node(
  answer: (request: string, socket: TLSSocket) => string | undefined,
  chain = [server.certificate, authority.certificate],
): Promise<{ readonly port: number; readonly seen: Seen }> {
  const seen: Seen = { connections: 0, requests: [] };
  const listening = createServer(
    {
      key: pem("PRIVATE KEY", server.key),
      cert: chain.map((der) => pem("CERTIFICATE", der)).join(""),
    },
    (socket) => {
      seen.connections += 1;
      let text = "";
      socket.on("error", () => undefined);
      socket.on("data", (bytes: Uint8Array) => {
        text += new TextDecoder().decode(bytes);
        const end = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (end < 0 || text.length < end + 4 + length) return;
        seen.requests.push(text);
        const reply = answer(text, socket);
        if (reply !== undefined) socket.end(reply);
      });
    },
  );
  open.push(listening);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  listening.listen(0, "127.0.0.1", () => resolve(undefined));
  await promise;
  return { port: (listening.address() as AddressInfo).port, seen };
}

function http(status: string, body: unknown, headers = ""): string {
  const text = body === undefined ? "" : JSON.stringify(body);
  return `HTTP/1.1 ${status}\r\n${headers}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

const certificate = () => new X509Certificate(server.certificate);
const pinned = (): Trust =>
  trustFingerprint(fingerprintBytes(fingerprintOf(certificate())) ?? new Uint8Array());

function remote(port: number, trust: Trust = pinned(), callMs = 5000): RemoteNode {
  return new RemoteNode({ host: "127.0.0.1", port, trust, callMs });
}

const ticket = "PVE:root@pam:67E0A1B2::c2lnbmF0dXJl+/==";
const granted = { data: { username: "root@pam", ticket, CSRFPreventionToken: "67E0A1B2:abc" } };

describe("who is trusted", () => {
  test("nothing is sent to a certificate that is not trusted", async () => {
    const { port, seen } = await node(() => http("200 OK", granted));
    const other = new X509Certificate(stranger.certificate);
    const wrong: readonly Trust[] = [
      trustFingerprint(fingerprintBytes(fingerprintOf(other)) ?? new Uint8Array()),
      trustAuthority(other),
      trustAuthorityFingerprint(fingerprintBytes(fingerprintOf(other)) ?? new Uint8Array()),
      // The server's own certificate is no authority.
      trustAuthorityFingerprint(fingerprintBytes(fingerprintOf(certificate())) ?? new Uint8Array()),
      trustSystemOr(async () => false),
    ];
    for (const trust of wrong) {
      const answer = await remote(port, trust).login({ user: "root@pam", password: "secret" });
      expect(answer).toMatchObject({ ok: false, kind: "untrusted" });
      expect(answer.ok ? "" : answer.reason).toContain("nothing was sent");
      expect(answer.ok ? "" : answer.reason).not.toContain("secret");
    }
    expect(seen.requests).toEqual([]);
  });

  test("by fingerprint, by authority, by the authority's fingerprint, by asking once", async () => {
    const { port, seen } = await node(() => http("200 OK", { data: 1 }));
    const shown = new X509Certificate(authority.certificate);
    const asked: string[] = [];
    const asking = trustSystemOr(async (fingerprint) => asked.push(fingerprint) > 0);
    const trusted: readonly Trust[] = [
      pinned(),
      trustAuthority(shown),
      trustAuthorityFingerprint(fingerprintBytes(fingerprintOf(shown)) ?? new Uint8Array()),
      asking,
      asking,
    ];
    for (const trust of trusted) {
      const client = remote(port, trust);
      expect(await client.get("/api2/json/x", {}, v.number())).toEqual({ ok: true, value: 1 });
      expect(client.fingerprint).toBe(fingerprintOf(certificate()));
      expect(client.ownAddress).toBe("127.0.0.1");
    }
    expect(asked).toEqual([fingerprintOf(certificate())]);
    // The request went over the very connection whose certificate was judged.
    expect(seen.connections).toBe(trusted.length);
  });

  test("fingerprints are read with and without colons, and nothing else is one", () => {
    const colons = fingerprintOf(certificate());
    expect(fingerprintBytes(colons)).toHaveLength(32);
    expect(fingerprintBytes(colons.replaceAll(":", "").toLowerCase())).toEqual(
      fingerprintBytes(colons) ?? new Uint8Array(),
    );
    for (const text of ["", colons.slice(3), `${colons}:00`, colons.replace(":", "-"), "zz"]) {
      expect(fingerprintBytes(text)).toBeUndefined();
    }
  });
});

describe("a login and its calls", () => {
  test("cookie and CSRF token go with each call after it, the token not with GET", async () => {
    const { port, seen } = await node((request) =>
      request.includes("/access/ticket") ? http("200 OK", granted) : http("200 OK", { data: 1 }),
    );
    const client = remote(port);
    expect(await client.login({ user: "root@pam", password: "a b&c=ü" })).toEqual({
      ok: true,
      value: {},
    });
    await client.get("/api2/json/cluster/config/apiversion", {}, v.number());
    const posted = { apiversion: 1, force: true, votes: undefined, link0: "10.0.0.1,priority=5" };
    await client.post("/api2/json/cluster/config/nodes/pve2", posted, v.number());
    const [login = "", get = "", post = ""] = seen.requests;
    expect(login).toContain("username=root%40pam&password=a+b%26c%3D%C3%BC");
    expect(login).not.toContain("PVEAuthCookie");
    const cookie = `PVEAuthCookie=${encodeURIComponent(ticket)}`;
    expect(get).toContain(cookie);
    expect(get).not.toContain("CSRFPreventionToken");
    expect(post).toContain(cookie);
    expect(post).toContain("CSRFPreventionToken: 67E0A1B2:abc");
    expect(post).toContain("apiversion=1&force=1&link0=10.0.0.1%2Cpriority%3D5");
    expect(post.slice(0, post.indexOf("\r\n"))).toBe(
      "POST /api2/json/cluster/config/nodes/pve2 HTTP/1.1",
    );
  });

  test("a second factor is asked for with what the node offers", async () => {
    const challenge = encodeURIComponent(
      JSON.stringify({ totp: true, recovery: [], webauthn: false }),
    );
    const half = `PVE:!tfa!${challenge}:67E0A1B2::c2ln`;
    const { port, seen } = await node((request) =>
      request.includes("tfa-challenge")
        ? http("200 OK", granted)
        : http("200 OK", { data: { username: "root@pam", ticket: half, NeedTFA: 1 } }),
    );
    const asked: SecondFactorRequest[] = [];
    const client = remote(port);
    const login = {
      user: "root@pam",
      password: "x",
      secondFactor: async (request: SecondFactorRequest) => {
        asked.push(request);
        return { kind: "totp", code: "123456" } as const;
      },
    };
    expect((await client.login(login)).ok).toBe(true);
    expect(asked).toEqual([{ kinds: ["totp"] }]);
    expect(seen.requests[1]).toContain(`password=totp%3A123456&tfa-challenge=`);
    const without = await client.login({ user: "root@pam", password: "x" });
    expect(without).toMatchObject({ ok: false, kind: "secondFactor" });
    expect(without.ok ? "" : without.reason).toContain("totp");
  });

  test("a refused login names the clock when it may be the reason", async () => {
    const at = new Date(Date.now() + 3_600_000).toUTCString();
    const { port } = await node((request) =>
      request.includes("/access/ticket")
        ? http("200 OK", granted, `Date: ${at}\r\n`)
        : http("401 Authentication failed!", undefined, `Date: ${at}\r\n`),
    );
    const client = remote(port);
    await client.login({ user: "root@pam", password: "x" });
    expect(Math.abs((client.clockOffsetMs ?? 0) - 3_600_000)).toBeLessThan(2000);
    const answer = await client.get("/api2/json/version", {}, v.unknown());
    expect(answer).toMatchObject({ ok: false, kind: "unauthorized", status: 401 });
    expect(answer.ok ? "" : answer.reason).toMatch(
      /Authentication failed!.*(?:3599|360\d) s ahead/,
    );
  });

  test("a ticket that would break a header is not taken", async () => {
    const data = { ...granted.data, CSRFPreventionToken: "a\r\nX-Evil: 1" };
    const { port } = await node(() => http("200 OK", { data }));
    const answer = await remote(port).login({ user: "root@pam", password: "x" });
    expect(answer).toMatchObject({ ok: false, kind: "malformed" });
  });
});

describe("refusals and faults are sentences", () => {
  test("what the node says, its parameters' errors, never a control character", async () => {
    const { port } = await node(() =>
      http("400 Parameter verification failed.", {
        data: null,
        message: "Parameter verification failed.\n",
        errors: { clustername: "value may only be 15 characters\u001b[2J long\n" },
      }),
    );
    const answer = await remote(port).get("/api2/json/x", {}, v.unknown());
    expect(answer).toEqual({
      ok: false,
      kind: "refused",
      status: 400,
      message: "Parameter verification failed.",
      errors: { clustername: "value may only be 15 characters?[2J long" },
      reason: `the node at 127.0.0.1:${port} refused (400): Parameter verification failed (clustername: value may only be 15 characters?[2J long)`,
    });
  });

  const faults: readonly [string, (socket: TLSSocket) => string | undefined, object][] = [
    ["another program", () => "SSH-2.0-x\r\n", { kind: "malformed", isUncertain: true }],
    ["a page", () => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<a/>", { kind: "malformed" }],
    ["a redirect", () => http("302 Found", undefined, "Location: https://x/\r\n"), { status: 302 }],
    [
      "half an answer",
      () => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
      { kind: "malformed" },
    ],
    ["nothing", () => "", { kind: "malformed", isUncertain: true }],
    ["silence", () => undefined, { kind: "timeout", isUncertain: true }],
    ["not UTF-8", () => http("500 \xff", "\ud800"), { kind: "refused", status: 500 }],
    ["a number", () => http("200 OK", 7), { kind: "malformed" }],
    ["other data", () => http("200 OK", { data: "x" }), { kind: "malformed", status: 200 }],
  ];
  for (const [name, reply, expected] of faults) {
    test(`${name} in place of an answer`, async () => {
      const { port } = await node((_, socket) => reply(socket));
      const answer = await remote(port, pinned(), 700).post("/api2/json/x", {}, v.number());
      expect(answer).toMatchObject({ ok: false, ...expected });
      expect(answer.ok ? "" : answer.reason).toStartWith(`the node at 127.0.0.1:${port} `);
    });
  }

  test.skipIf(!canUnshare)(
    "a machine that is not there is told from a port that is refused",
    async () => {
      // Nobody answers for an address of the network at the one end of a cable without a machine at the other.
      const steps = [
        "ip link set lo up && ip link add here type veth peer name there",
        "ip link set here up && ip link set there up && ip address add 10.78.0.1/24 dev here",
        `exec ${process.execPath} ${join(import.meta.dir, "../../../test/double/calling-program.ts")} 10.78.0.1 10.78.0.1 10.78.0.1 10.78.0.77`,
      ];
      const { stdout } = await run("unshare", ["-n", "sh", "-c", steps.join(" && ")]);
      const lines = stdout.trim().split("\n");
      const silent = lines.pop();
      // A test that gets no processor for seconds takes a refusal for silence; not three times.
      const refused = lines.join("\n");
      expect(refused).toContain("10.78.0.1 cannot be reached: nothing listens at that address");
      expect(silent).toContain("10.78.0.77 cannot be reached (EHOSTUNREACH): no machine answers");
    },
  );

  test("answers and headers without end are ended", async () => {
    const flood = (first: string, piece: string) => (_: string, socket: TLSSocket) => {
      socket.write(first);
      const more = (): void => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on("drain", more);
      more();
      return undefined;
    };
    const body = await node(
      flood("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", "x".repeat(65_536)),
    );
    expect(await remote(body.port).get("/x", {}, v.unknown())).toMatchObject({ kind: "tooLong" });
    const head = await node(flood("HTTP/1.1 200 OK\r\n", `x: ${"y".repeat(8000)}\r\n`));
    expect(await remote(head.port).get("/x", {}, v.unknown())).toMatchObject({ kind: "malformed" });
  });

  test("nobody there, a name that is none, no TLS, a handshake that hangs", async () => {
    const listen = async (listening: Server): Promise<number> => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      listening.listen(0, "127.0.0.1", () => resolve(undefined));
      await promise;
      return (listening.address() as AddressInfo).port;
    };
    const gone = createPlain();
    const port = await listen(gone);
    gone.close();
    expect(await remote(port).get("/x", {}, v.unknown())).toMatchObject({ kind: "unreachable" });
    const named = new RemoteNode({ host: "no-such-host.invalid", trust: pinned(), callMs: 5000 });
    expect(await named.get("/x", {}, v.unknown())).toMatchObject({ kind: "unreachable" });
    const plain = createPlain((socket) => {
      socket.on("error", () => undefined);
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    open.push(plain);
    const spoken = await remote(await listen(plain)).get("/x", {}, v.unknown());
    expect(spoken).toMatchObject({ ok: false, kind: "tls" });
    const sockets: { destroy(): void }[] = [];
    const silent = createPlain((socket) => sockets.push(socket));
    open.push(silent);
    const hung = await remote(await listen(silent), pinned(), 400).get("/x", {}, v.unknown());
    expect(hung).toMatchObject({ ok: false, kind: "timeout" });
    expect(hung).not.toHaveProperty("isUncertain");
    for (const socket of sockets) socket.destroy();
  });
});
