// A user made through one node's API: its password, ticket, token and codes are taken by every node within a second and after restarts, and what is
// revoked is refused everywhere within a second. Three real nodes, over HTTPS.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as v from "valibot";
import { success } from "../../src/result.ts";
import { statusAnswer } from "../../src/shell/answers/status.ts";
import { hotp, parseTotpUri } from "../../src/shell/access/second-factor.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { callHttps, type HttpsCall } from "../../src/shell/remote/https-call.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const port = 18_206;
const nodes = [1, 2, 3] as const;
/** Of "secret". */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
const uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&period=10";
/** From the answer of a change until a request that is decided by it. */
const knownMsMax = 1000;

const cluster = new ReloadCluster(port);
afterAll(() => cluster.close());

type Headers = Readonly<Record<string, string>>;
/** Whatever the node said. */
type Json = ReturnType<typeof JSON.parse>;

interface Said {
  readonly status: number;
  readonly phrase: string;
  readonly data: Json;
}

async function ask(
  nodeid: number,
  line: string,
  body: Headers = {},
  headers: Headers = {},
): Promise<Said> {
  const [method = "", path = ""] = line.split(" ");
  const hasBody = method === "POST" || method === "PUT";
  const outcome = await callHttps({
    host: cluster.address(nodeid),
    port,
    // Whom to trust is another test's matter.
    trust: () => success(undefined),
    method: method as HttpsCall["method"],
    path: `/api2/json${path}`,
    headers: {
      ...headers,
      ...(hasBody ? { "content-type": "application/x-www-form-urlencoded" } : {}),
    },
    ...(hasBody ? { body: new URLSearchParams(body).toString() } : {}),
    waitMs: 60_000,
    answerBytesMax: 1024 * 1024,
  });
  if (!outcome.ok) throw new Error(`node ${nodeid} ${outcome.reason}`);
  const { status, reasonPhrase, body: bytes } = outcome.answer;
  const text = new TextDecoder().decode(bytes);
  return { status, phrase: reasonPhrase, data: text === "" ? null : JSON.parse(text).data };
}

async function ok(said: Promise<Said>): Promise<Json> {
  const { status, phrase, data } = await said;
  expect({ status, phrase }).toMatchObject({ status: 200 });
  return data;
}

async function login(nodeid: number, body: Headers): Promise<Json> {
  return ok(ask(nodeid, "POST /access/ticket", body));
}

function headersOf(session: Json): Headers {
  return {
    cookie: `PVEAuthCookie=${encodeURIComponent(session.ticket)}`,
    CSRFPreventionToken: session.CSRFPreventionToken,
  };
}

const byToken = (token: string): Headers => ({ authorization: `PVEAPIToken=${token}` });

/** Every node decides as it should, by a request that begins within a second. */
async function everywhere(
  what: string,
  decided: (nodeid: number) => Promise<boolean>,
): Promise<void> {
  const answeredAt = performance.now();
  await Promise.all(
    nodes.map(async (nodeid) => {
      while (performance.now() - answeredAt <= knownMsMax) if (await decided(nodeid)) return;
      throw new Error(`${what}: node ${nodeid} not within a second`);
    }),
  );
}

/** Codes of one user, each of a step that no node has taken yet, once its time has come. */
class Codes {
  #lastStep = 0;

  async next(): Promise<string> {
    const settings = parseTotpUri(uri);
    if (settings === undefined) throw new Error("no settings");
    const step = await until(
      () => {
        const now = Math.floor(Date.now() / 10_000);
        const next = Math.max(this.#lastStep + 1, now - 1);
        return next <= now + 1 ? ready(next) : pending(`step ${next} at ${now}`);
      },
      60_000,
      "the next code's time",
    );
    this.#lastStep = step;
    return `totp:${hotp(settings, step)}`;
  }
}
const anns = new Codes();
const freshCode = () => anns.next();

async function started(nodeid: number, times: number): Promise<void> {
  await until(
    () => {
      const count = cluster.log(nodeid).split("the HTTPS API listens on").length - 1;
      return count >= times ? ready(true) : pending(cluster.log(nodeid).slice(-500));
    },
    120_000,
    `HTTPS on node ${nodeid}`,
  );
}

const ann = "ann@pve";
const password = "correct horse";

test("a user's password, ticket, token and codes on every node, before and after restarts; a revoked token nowhere", async () => {
  const conf = cluster.conf({ version: 1, nodes });
  for (const nodeid of nodes) {
    const { shadow } = nodePaths(cluster.root(nodeid));
    mkdirSync(dirname(shadow), { recursive: true });
    writeFileSync(shadow, `root:${hash}:19000:0:99999:7:::\n`);
    cluster.start(nodeid, conf);
  }
  const states = await cluster.all(
    nodes,
    ({ quorum, tree }) => quorum.quorate && tree.mode === "synced",
  );
  // All that a member tells of itself has a place in the schema by which it is read.
  const read: unknown = states.map((state) => v.parse(statusAnswer, state));
  expect(read).toEqual(states);
  for (const nodeid of nodes) await started(nodeid, 1);

  const root = headersOf(await login(1, { username: "root@pam", password: "secret" }));
  const change = (line: string, body: Headers = {}) => ok(ask(1, line, body, root));

  await change("POST /access/users", { userid: ann, password });
  const tickets: Headers[] = [];
  await everywhere("the password", async (nodeid) => {
    const said = await ask(nodeid, "POST /access/ticket", { username: ann, password });
    if (said.status === 200) tickets.push(headersOf(said.data));
    return said.status === 200;
  });
  // Each node's ticket at the other nodes, at once.
  for (const nodeid of nodes) {
    for (const ticket of tickets) await ok(ask(nodeid, "GET /version", {}, ticket));
  }

  const { value } = await change(`POST /access/users/${ann}/token/mon`, { privsep: "0" });
  const token = byToken(`${ann}!mon=${value}`);
  await everywhere(
    "the token",
    async (nodeid) => (await ask(nodeid, "GET /version", {}, token)).status === 200,
  );
  await change("PUT /access/acl", { path: "/", roles: "PVEAuditor", users: ann });
  await everywhere(
    "the right",
    async (nodeid) => (await ask(nodeid, "GET /cluster/status", {}, token)).status === 200,
  );

  await change(`POST /access/tfa/${ann}`, {
    ...{ type: "totp", description: "phone", totp: uri },
    value: (await freshCode()).replace("totp:", ""),
  });
  const { recovery } = await change(`POST /access/tfa/${ann}`, { type: "recovery" });
  const halves = new Map<number, Json>();
  await everywhere("the second factor", async (nodeid) => {
    const said = await ask(nodeid, "POST /access/ticket", { username: ann, password });
    halves.set(nodeid, said.data);
    return said.status === 200 && said.data.NeedTFA === 1;
  });
  const full = async (nodeid: number, code: string, half: Json) =>
    login(nodeid, { username: ann, password: code, "tfa-challenge": half.ticket });
  for (const nodeid of nodes) await full(nodeid, await freshCode(), halves.get(nodeid));
  // Once taken by one node a code is nobody's any more.
  const used = { username: ann, password: `recovery:${recovery[0]}` };
  await full(3, used.password, halves.get(3));
  const again = await ask(2, "POST /access/ticket", {
    ...used,
    "tfa-challenge": halves.get(2).ticket,
  });
  expect(again.status).toBe(401);

  // A code is good once in the whole cluster, so each node has a user of its own whose second factor is a moment old.
  for (const nodeid of nodes) {
    const username = `second${nodeid}@pve`;
    const codes = new Codes();
    await change("POST /access/users", { userid: username, password });
    await change(`POST /access/tfa/${username}`, {
      ...{ type: "totp", description: "phone", totp: uri },
      value: (await codes.next()).replace("totp:", ""),
    });
    const addedAt = performance.now();
    // The step behind that one has begun, or may be used already.
    const otp = await codes.next();
    expect(performance.now() - addedAt).toBeLessThan(knownMsMax);
    await login(nodeid, { username, password, otp });
  }

  for (const nodeid of nodes) {
    await cluster.stop(nodeid);
    cluster.startAgain(nodeid);
    await started(nodeid, 2);
    await cluster.status(nodeid, ({ quorum, tree }) => quorum.quorate && tree.mode === "synced");
    for (const ticket of tickets) await ok(ask(nodeid, "GET /version", {}, ticket));
    await ok(ask(nodeid, "GET /cluster/status", {}, token));
    const half = await login(nodeid, { username: ann, password });
    await full(nodeid, await freshCode(), half);
  }

  await change(`DELETE /access/users/${ann}/token/mon`);
  const refused = async (nodeid: number, headers: Headers) =>
    (await ask(nodeid, "GET /version", {}, headers)).status === 401;
  await everywhere("the revoked token", (nodeid) => refused(nodeid, token));
  await change(`PUT /access/users/${ann}`, { enable: "0" });
  await everywhere("the disabled user", async (nodeid) => {
    const each = await Promise.all(tickets.map((ticket) => refused(nodeid, ticket)));
    return each.every(Boolean);
  });
  for (const nodeid of nodes) {
    const log = cluster.log(nodeid);
    for (const secret of [password, value, recovery[0], "GEZDGNBVGY3TQOJQ"]) {
      expect(log).not.toContain(secret);
    }
  }
}, 600_000);
