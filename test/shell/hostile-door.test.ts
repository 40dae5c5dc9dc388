// What strangers and broken clients may send to any route through the network's real way in (TLS, HTTP parser, login): each request is refused or its
// connection closed, none is answered by a fault of ours or carried out, nothing stays in memory, and the node serves on. `QUORATE_DOOR_REQUESTS`:
// how many for each route (a few in CI; every-route.test.ts has a thousand for each, behind the parser).
import { afterAll, expect, test } from "bun:test";
import { connect, type TLSSocket } from "node:tls";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import fc from "fast-check";
import * as v from "valibot";
import { buildApi2 } from "../../src/shell/api/api2.ts";
import { checkParameters } from "../../src/shell/api/parameters.ts";
import type { Route } from "../../src/shell/api/route.ts";
import { apiNodeName, openApiNode } from "../double/api-app.ts";
import { nameOf } from "../double/api-requests.ts";
import { openUnlimitedDoor } from "../double/open-door.ts";
import { hostile, hostileKinds, type HostileRequest } from "../double/hostile-requests.ts";
import { pending, ready, until } from "../interop/wait.ts";

const perRoute = Number(process.env["QUORATE_DOOR_REQUESTS"] ?? "12");
const atOnce = 6;
const patienceMs = 600_000 + perRoute * 60_000;
/** Of "secret". */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
const mebibyte = 1024 * 1024;

const node = await openApiNode("cluster");
const { shadow } = node.parts.options.paths;
mkdirSync(dirname(shadow), { recursive: true });
writeFileSync(shadow, `root:${hash}:19000:0:99999:7:::\n`);

const faults: string[] = [];
const carriedOut: string[] = [];
/** Nothing of the machine is changed by a request that should have been refused, and was not. */
const guarded = (route: Route): Route => ({
  ...route,
  answer: (call) => {
    const isLogin = route.path === "/access/ticket";
    if (route.method === "GET" || isLogin || !checkParameters(route.parameters, call.parameters).ok)
      return route.answer(call);
    carriedOut.push(nameOf(route));
    return null;
  },
});
const app = buildApi2({
  routes: node.routes.map(guarded),
  authenticate: node.authenticate,
  onFault: (call, error) => {
    faults.push(`${call}: ${error instanceof Error ? error.stack : String(error)}`);
  },
});

const door = await openUnlimitedDoor((asked, facts) => app.fetch(asked, facts));
afterAll(async () => {
  await door.close();
  await node.close();
});

/** One TLS connection, and the answers that come on it. */
class Connection {
  readonly #socket: TLSSocket;
  #received = "";
  #isClosed = false;
  #changed: () => void = () => undefined;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (piece: Uint8Array) => {
      this.#received += Buffer.from(piece).toString("latin1");
      this.#changed();
    });
    const closed = () => {
      this.#isClosed = true;
      this.#changed();
    };
    // The door may cut what is still being sent.
    socket.on("error", closed);
    socket.on("close", closed);
  }

  static async open(): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({ host: "127.0.0.1", port: door.port, rejectUnauthorized: false });
    socket.once("error", reject);
    socket.once("secureConnect", () => resolve());
    await promise;
    socket.off("error", reject);
    return new Connection(socket);
  }

  /** The whole next answer; undefined: the connection was closed without one. */
  async exchange({
    bytes,
    isHead,
    isWhole,
  }: Omit<HostileRequest, "kind">): Promise<Answer | undefined> {
    this.#received = "";
    if (isWhole) this.#socket.write(bytes);
    else this.#socket.end(bytes);
    for (;;) {
      const answer = answerOf(this.#received, isHead);
      if (answer !== undefined || this.#isClosed) return answer;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#changed = resolve;
      await promise;
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Undefined: it is not whole yet. An answer of 1xx is none. */
function answerOf(received: string, isHead: boolean): Answer | undefined {
  const text = received.replace(/^HTTP\/1\.1 1\d\d [^\r]*\r\n(?:[^\r]+\r\n)*\r\n/, "");
  const end = text.indexOf("\r\n\r\n");
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1];
  if (end < 0 || status === undefined) return undefined;
  const head = text.slice(0, end);
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
  const body = text.slice(end + 4);
  if (!isHead && body.length < length) return undefined;
  return { status: Number(status), head, body };
}

function request(line: string, headers: readonly string[], body = ""): HostileRequest {
  const length = body === "" ? [] : [`Content-Length: ${body.length}`];
  const text = [`${line} HTTP/1.1`, "Host: node", ...headers, ...length, "", body].join("\r\n");
  return { kind: "", bytes: Buffer.from(text, "latin1"), isHead: false, isWhole: true };
}

const loginSchema = v.object({
  data: v.object({ ticket: v.string(), CSRFPreventionToken: v.string() }),
});

async function login(): Promise<readonly string[]> {
  const connection = await Connection.open();
  const body = "username=root%40pam&password=secret";
  const answer = await connection.exchange(request("POST /api2/json/access/ticket", [], body));
  connection.close();
  const { ticket, CSRFPreventionToken } = v.parse(loginSchema, JSON.parse(answer?.body ?? "")).data;
  return [
    `Cookie: PVEAuthCookie=${encodeURIComponent(ticket)}`,
    `CSRFPreventionToken: ${CSRFPreventionToken}`,
  ];
}

const root = await login();
const version = request("GET /api2/json/version", root);

const seenStatus = new Map<number, number>();
const seenKinds = new Set<string>();
let closedInSilence = 0;
/** Of a whole request of a form that is one; the parser may close on the rest without a word. */
const answeredKinds = new Set(["parameters", "target", "credentials"]);

async function refused(each: HostileRequest, name: string): Promise<void> {
  const connection = await Connection.open();
  try {
    // On a connection that is in use, as a client's would be.
    expect(await connection.exchange(version)).toMatchObject({ status: 200 });
    const answer = await connection.exchange(each);
    seenKinds.add(each.kind);
    const shown = () =>
      `${name}, ${each.kind}: ${answer?.status ?? "no answer"} to ${JSON.stringify(Buffer.from(each.bytes).toString("latin1").slice(0, 600))}`;
    if (answer === undefined) {
      closedInSilence += 1;
      if (answeredKinds.has(each.kind)) throw new Error(shown());
      return;
    }
    const { status, head } = answer;
    seenStatus.set(status, (seenStatus.get(status) ?? 0) + 1);
    const isRefused = (status >= 400 && status < 500) || status === 501 || status === 505;
    // Spoilt bytes may spoil nothing that matters to a request that only reads.
    if (!isRefused && !(each.kind === "spoilt" && status === 200)) throw new Error(shown());
    if (isRefused && !/^connection: close$/im.test(head)) throw new Error(`it stays: ${shown()}`);
  } finally {
    connection.close();
  }
}

const places = {
  ...{ node: apiNodeName, upid: "UPID:n1:00000001:00000001:67E0A1B2:x::root@pam:" },
  ...{ userid: "somebody@pve", tokenid: "some", groupid: "some", roleid: "Some" },
  ...{ service: "quorate-node", path: "/some", link: "1" },
};
const routes = node.routes.map((route) => [nameOf(route), route] as const);

test.each(routes)(
  `${perRoute} hostile requests, %s: refused, and none carried out`,
  async (name, route) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(hostile(route, places, root), { minLength: atOnce, maxLength: atOnce }),
        async (all) => {
          await Promise.all(all.map((each) => refused(each, name)));
        },
      ),
      { numRuns: Math.max(1, Math.ceil(perRoute / atOnce)), endOnFailure: true },
    );
    expect(faults).toEqual([]);
    expect(carriedOut).toEqual([]);
  },
  patienceMs,
);

test("of all kinds, past the parser and before it; those who are known are served on", async () => {
  expect([...seenKinds].toSorted()).toEqual([...hostileKinds].toSorted());
  for (const status of [400, 401, 413, 501]) expect([...seenStatus.keys()]).toContain(status);
  expect(closedInSilence).toBeGreaterThan(0);
  const connection = await Connection.open();
  for (let i = 0; i < 3; i += 1) {
    expect(await connection.exchange(version)).toMatchObject({ status: 200 });
  }
  connection.close();
  const written = await node.parts.tree.create("after");
  expect(written.ok).toBe(true);
});

test(
  "nothing of them stays: no connection, no memory",
  async () => {
    const isLeft = () =>
      door.connections === 0 ? ready(true) : pending(`${door.connections} connections left`);
    await until(isLeft, 60_000, "all connections are gone");
    const [, route] = routes.find(([, { path }]) => path === "/cluster/config/nodes/{node}") ?? [];
    if (route === undefined) throw new Error("there is a route that adds nodes");
    const wave = fc.sample(hostile(route, places, root), { numRuns: 300, seed: 1 });
    const held = async () => {
      for (const each of wave) await refused(each, "wave");
      await until(isLeft, 60_000, "the wave is gone");
      Bun.gc(true);
      const { heapUsed, rss } = process.memoryUsage();
      return { heapUsed, rss };
    };
    await held();
    const before = await held();
    await held();
    const after = await held();
    expect(after.heapUsed).toBeLessThan(before.heapUsed + 8 * mebibyte);
    // Pages of the allocator's and of TLS: two waves of 300 requests with bodies of 64 KiB would be 39 MB if they stayed.
    expect(after.rss).toBeLessThan(before.rss + 32 * mebibyte);
    expect(faults).toEqual([]);
  },
  patienceMs,
);
