// A browser's session, from login to its end: what the cookie is, who gets the token for changes, and that other sites get nothing.
import { beforeEach, expect, test } from "bun:test";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { buildApi2 } from "../api/api2.ts";
import { onlyRoot, route } from "../api/route.ts";
import { Access } from "./access.ts";
import { ApiTokens } from "./api-token.ts";
import { authenticateWith } from "./access-routes.ts";
import { LoginAttempts } from "./attempts.ts";
import type { PasswordVerdict } from "./passwords.ts";
import { hotp, parseTotpUri } from "./second-factor.ts";
import { sessionRoutes } from "./session-routes.ts";
import { TicketKeys } from "./ticket-keys.ts";
import { UserFiles } from "./user-files.ts";

let files: TestingFiles;
let verdict: PasswordVerdict;
let seconds: number;
beforeEach(() => {
  files = new TestingFiles();
  const cluster = { name: "prod", version: 1, nodes: 1, quorate: 1 };
  files.generated.set(".members", () => JSON.stringify({ nodename: "pve1", version: 1, cluster }));
  verdict = { kind: "right" };
  // Keys are as old as their files.
  seconds = Math.floor(Date.now() / 1000);
});

const uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

async function withSecondFactor(): Promise<string> {
  const user = { totp: [{ id: "1", entry: uri }] };
  const text = JSON.stringify({ users: { "root@pam": user } });
  await files.mkdir("priv");
  await files.create("priv/tfa.cfg");
  await files.write("priv/tfa.cfg", 0, new TextEncoder().encode(text));
  const settings = parseTotpUri(uri);
  if (settings === undefined) throw new Error("no settings");
  return `totp:${hotp(settings, Math.floor(seconds / 30))}`;
}

interface Answered {
  readonly status: number;
  /** "": none came. */
  readonly cookie: string;
  readonly body: { readonly data: Record<string, unknown>; readonly code?: string };
}

type Call = (
  method: string,
  words?: Readonly<Record<string, string>>,
  headers?: Readonly<Record<string, string>>,
  path?: string,
) => Promise<Answered>;

function api(): Call {
  const now = () => seconds;
  const users = new UserFiles(files);
  const warn = () => undefined;
  const clock = () => seconds * 1000;
  const access = new Access({
    ...{ files, users, now, clock, warn, isQuorate: () => true },
    tokens: new ApiTokens({ users, attempts: new LoginAttempts(), now, clock, warn }),
    keys: new TicketKeys({ files, isQuorate: () => true, now, log: () => undefined }),
    attempts: new LoginAttempts(),
    passwords: { check: async () => verdict, checkHash: async () => verdict },
    pause: () => Promise.resolve(),
    clusterLog: () => undefined,
  });
  const authenticate = authenticateWith(access, users);
  const app = buildApi2({
    routes: [
      ...sessionRoutes({ access, users, files, authenticate, nodeName: "pve1" }),
      route({
        ...{ method: "POST", path: "/change", isOurs: true, permission: onlyRoot },
        ...{ description: "A change.", parameters: {}, handle: () => ({}) },
      }),
    ],
    authenticate,
  });
  return async (method, words, headers = {}, path = "/session") => {
    const body = words === undefined ? undefined : new TextEncoder().encode(JSON.stringify(words));
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const response = await app.fetch(
      new Request(`https://node.invalid/api/v1${path}`, {
        ...{ method, headers: { host: "pve1:8006", ...type, ...headers } },
        ...(body === undefined ? {} : { body }),
      }),
      { address: "10.0.0.9" },
    );
    const cookie = response.headers.get("set-cookie") ?? "";
    return { status: response.status, cookie, body: (await response.json()) as Answered["body"] };
  };
}

const right = { username: "root@pam", password: "secret" };

/** As the browser sends it back. */
function sent(cookie: string): { readonly cookie: string } {
  return { cookie: cookie.split(";", 1)[0] ?? "" };
}

test("from login to its end: the cookie is out of scripts' reach, the answer has no ticket", async () => {
  const call = api();
  const login = await call("POST", right);
  expect(login).toMatchObject({
    status: 200,
    body: { data: { user: "root@pam", node: "pve1", cluster: "prod" } },
  });
  expect(login.cookie).toMatch(
    /^PVEAuthCookie=PVE%3A[^;]+; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
  );
  expect(JSON.stringify(login.body)).not.toContain("PVE:root");
  // A page that is loaded anew gets its token for changes.
  const found = await call("GET", undefined, sent(login.cookie));
  expect(found).toMatchObject({ status: 200, cookie: "", body: { data: { user: "root@pam" } } });
  const csrfpreventiontoken = String(found.body.data["csrfToken"]);
  const changing = { ...sent(login.cookie), csrfpreventiontoken };
  expect(await call("POST", {}, changing, "/change")).toMatchObject({ status: 200 });
  expect(await call("POST", {}, sent(login.cookie), "/change")).toMatchObject({ status: 401 });
  const out = await call("DELETE", undefined, changing);
  expect(out).toMatchObject({
    ...{ status: 200, body: { data: null } },
    cookie: "PVEAuthCookie=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict",
  });
  expect((await call("GET", undefined, sent(out.cookie))).body.data).toBeNull();
});

test("it is renewed while it is good, and not afterwards", async () => {
  const call = api();
  const { cookie, body } = await call("POST", right);
  const token = { csrfpreventiontoken: String(body.data["csrfToken"]) };
  expect(await call("PUT", {}, sent(cookie))).toMatchObject({ status: 401, cookie: "" });
  seconds += 7000;
  const renewed = await call("PUT", {}, { ...sent(cookie), ...token });
  expect(renewed.status).toBe(200);
  expect(renewed.cookie).toStartWith("PVEAuthCookie=PVE%3A");
  expect(sent(renewed.cookie)).not.toEqual(sent(cookie));
  seconds += 300;
  expect((await call("GET", undefined, sent(cookie))).body.data).toBeNull();
  expect((await call("GET", undefined, sent(renewed.cookie))).body.data).not.toBeNull();
  seconds += 7200;
  expect((await call("GET", undefined, sent(renewed.cookie))).body.data).toBeNull();
});

test("a second factor: half a login is none, the code makes it whole, once", async () => {
  const code = await withSecondFactor();
  const call = api();
  const half = await call("POST", right);
  expect(half).toMatchObject({ status: 200, cookie: "", body: { data: { kinds: ["totp"] } } });
  const challenge = String(half.body.data["challenge"]);
  const bare = { cookie: `PVEAuthCookie=${encodeURIComponent(challenge)}` };
  expect((await call("GET", undefined, bare)).body.data).toBeNull();
  const second = { username: "root@pam", challenge };
  expect(await call("POST", { ...second, code: "totp:000000" })).toMatchObject({
    ...{ status: 401, cookie: "", body: { code: "authenticationFailure" } },
  });
  const whole = await call("POST", { ...second, code });
  expect(whole).toMatchObject({ status: 200, body: { data: { user: "root@pam" } } });
  expect((await call("GET", undefined, sent(whole.cookie))).body.data).not.toBeNull();
  expect(await call("POST", { ...second, code })).toMatchObject({ status: 401 });
  expect(await call("POST", { ...right, challenge })).toMatchObject({ status: 400 });
});

test("a wrong password gets no cookie, too many are slowed", async () => {
  const call = api();
  verdict = { kind: "wrong", reason: "no" };
  expect(await call("POST", right)).toMatchObject({ status: 401, cookie: "" });
  let last = 401;
  for (let count = 0; count < 30 && last === 401; count += 1) {
    last = (await call("POST", right)).status;
  }
  expect(last).toBe(429);
});

test.each([
  [{ "sec-fetch-site": "cross-site" }, 403],
  [{ "sec-fetch-site": "same-site" }, 403],
  [{ origin: "https://evil.example" }, 403],
  [{ origin: "null" }, 403],
  [{ origin: "https://pve1:8007" }, 403],
  [{ origin: "https://pve1:8006" }, 200],
  [{ "sec-fetch-site": "same-origin", origin: "https://pve1:8006" }, 200],
  [{}, 200],
])("nobody is logged in or out by another site's page: %j gets %d", async (headers, status) => {
  const call = api();
  expect(await call("POST", right, headers)).toMatchObject({ status });
  expect(await call("DELETE", undefined, headers)).toMatchObject({ status });
});

test("a token of the API has no session", async () => {
  const call = api();
  const authorization = "PVEAPIToken=root@pam!x=00000000-0000-0000-0000-000000000000";
  expect((await call("GET", undefined, { authorization })).body.data).toBeNull();
  expect(await call("PUT", {}, { authorization })).toMatchObject({ status: 401 });
});
