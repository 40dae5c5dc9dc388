// The forms of a login's answers (pvecm.md §4.2–4.4), through the API that serves them.
import { beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { buildApi2 } from "../api/api2.ts";
import { anyUser, onlyRoot, route } from "../api/route.ts";
import { Access } from "./access.ts";
import { ApiTokens } from "./api-token.ts";
import { accessRoutes, authenticateWith } from "./access-routes.ts";
import { LoginAttempts } from "./attempts.ts";
import type { PasswordVerdict } from "./passwords.ts";
import { TicketKeys } from "./ticket-keys.ts";
import { UserFiles } from "./user-files.ts";

let files: TestingFiles;
let verdict: PasswordVerdict;
let isClustered = true;
beforeEach(() => {
  files = new TestingFiles();
  const cluster = { name: "prod", version: 1, nodes: 1, quorate: 1 };
  files.generated.set(".members", () =>
    JSON.stringify({ nodename: "pve1", version: 1, ...(isClustered ? { cluster } : {}) }),
  );
  verdict = { kind: "right" };
  isClustered = true;
});

function api() {
  const now = () => Math.floor(Date.now() / 1000);
  const users = new UserFiles(files);
  const warn = () => undefined;
  const clock = () => performance.now();
  const access = new Access({
    files,
    users,
    tokens: new ApiTokens({ users, attempts: new LoginAttempts(), now, clock, warn }),
    isQuorate: () => true,
    keys: new TicketKeys({ files, isQuorate: () => true, now, log: () => undefined }),
    attempts: new LoginAttempts(),
    passwords: { check: async () => verdict, checkHash: async () => verdict },
    now,
    clock,
    pause: () => Promise.resolve(),
    warn,
    clusterLog: () => undefined,
  });
  const common = { description: "Known callers.", parameters: {} } as const;
  const app = buildApi2({
    routes: [
      ...accessRoutes({ access, users, files }),
      route({
        ...common,
        method: "GET",
        path: "/who",
        permission: anyUser,
        handle: ({ caller }) => caller.user,
      }),
      route({
        ...common,
        method: "POST",
        path: "/change",
        permission: onlyRoot,
        handle: () => "done",
      }),
    ],
    authenticate: authenticateWith(access, users),
  });
  return async (
    method: string,
    path: string,
    body?: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const text = body === undefined ? undefined : new URLSearchParams(body).toString();
    const response = await app.fetch(
      new Request(`https://node.invalid/api2/json${path}`, {
        method,
        headers,
        ...(text === undefined ? {} : { body: new TextEncoder().encode(text) }),
      }),
      { address: "10.0.0.9" },
    );
    const answer = await response.text();
    return {
      status: response.status,
      phrase: response.statusText,
      body: (answer === "" ? undefined : JSON.parse(answer)) as Record<string, unknown> | undefined,
    };
  };
}

const right = { username: "root@pam", password: "secret" };

test("a login answers with ticket, token, capabilities and the cluster's name", async () => {
  const call = api();
  const { status, body } = await call("POST", "/access/ticket", right);
  expect(status).toBe(200);
  const data = body?.["data"] as Record<string, string>;
  expect(Object.keys(data).toSorted()).toEqual([
    "CSRFPreventionToken",
    "cap",
    "clustername",
    "ticket",
    "username",
  ]);
  expect(data).toMatchObject({ username: "root@pam", clustername: "prod" });
  expect(Object.keys(data["cap"] ?? {}).toSorted()).toEqual([
    "access",
    "dc",
    "mapping",
    "nodes",
    "sdn",
    "storage",
    "vms",
  ]);
  const cookie = `PVEAuthCookie=${encodeURIComponent(data["ticket"] ?? "")}`;
  expect((await call("GET", "/who", undefined, { cookie })).body).toEqual({ data: "root@pam" });
  const token = { CSRFPreventionToken: data["CSRFPreventionToken"] ?? "" };
  expect((await call("POST", "/change", {}, { cookie, ...token })).body).toEqual({ data: "done" });
  expect(await call("POST", "/change", {}, { cookie })).toEqual({
    status: 401,
    phrase: "Permission denied - invalid csrf token",
    body: undefined,
  });
});

test("realm beside the name; a standalone node has no cluster's name", async () => {
  isClustered = false;
  const { body } = await api()("POST", "/access/ticket", {
    ...{ username: "root", realm: "pam", password: "secret", "new-format": "1" },
  });
  expect(body?.["data"]).toMatchObject({ username: "root@pam" });
  expect(body?.["data"]).not.toHaveProperty("clustername");
});

test("the second step: NeedTFA, and no capabilities before it", async () => {
  await files.mkdir("priv");
  await files.create("priv/tfa.cfg");
  const uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  const text = JSON.stringify({ users: { "root@pam": { totp: [{ id: "1", entry: uri }] } } });
  await files.write("priv/tfa.cfg", 0, new TextEncoder().encode(text));
  const call = api();
  const { body } = await call("POST", "/access/ticket", right);
  const data = body?.["data"] as Record<string, unknown>;
  expect(data).toMatchObject({ username: "root@pam", NeedTFA: 1 });
  expect(data).not.toHaveProperty("cap");
  expect(decodeURIComponent(String(data["ticket"]))).toStartWith('PVE:!tfa!{"totp":true}:');
  const cookie = `PVEAuthCookie=${encodeURIComponent(String(data["ticket"]))}`;
  expect((await call("GET", "/who", undefined, { cookie })).status).toBe(401);
});

test("refusals", async () => {
  const call = api();
  const login = (more: Record<string, string> = {}) =>
    call("POST", "/access/ticket", { ...right, ...more });
  expect(await call("GET", "/access/ticket")).toMatchObject({ status: 200, body: { data: null } });
  expect(await call("GET", "/who")).toEqual({ status: 401, phrase: "No ticket", body: undefined });
  expect(await login({ path: "/" })).toMatchObject({
    status: 400,
    body: { errors: { privs: "missing property - 'path' requires this property" } },
  });
  expect(await login({ username: "x".repeat(65) })).toMatchObject({
    status: 400,
    body: { errors: { username: "value may only be 64 characters long" } },
  });
  const token = { authorization: "PVEAPIToken=root@pam!a=b" };
  expect(await call("POST", "/access/ticket", right, token)).toMatchObject({
    status: 403,
    phrase: "URI '/access/ticket' not available with API token, need proper ticket.",
  });
  expect(await call("GET", "/who", undefined, token)).toEqual({
    status: 401,
    phrase: "Authentication failed!",
    body: undefined,
  });
  verdict = { kind: "fault", reason: "the reason is for the log alone" };
  const fault = await login();
  expect(fault).toMatchObject({ status: 503 });
  expect(JSON.stringify(fault)).not.toContain("the log alone");
  verdict = { kind: "wrong", reason: "a wrong password" };
  expect(await login()).toEqual({
    status: 401,
    phrase: "authentication failure",
    body: { data: null, message: "authentication failure\n", code: "authenticationFailure" },
  });
  for (let at = 0; at < 5; at += 1) await login();
  const slowed = await login();
  expect(slowed).toMatchObject({ status: 429, phrase: "too many failed logins: try again in 2 s" });
});

test("with path and privs a login only checks", async () => {
  const { body } = await api()("POST", "/access/ticket", {
    ...right,
    path: "/",
    privs: "Sys.Audit",
  });
  expect(body?.["data"]).toMatchObject({ username: "root@pam" });
  expect(body?.["data"]).not.toHaveProperty("ticket");
});

test("property: whatever is sent, the answer is one of the API's, and nobody gets in", async () => {
  verdict = { kind: "wrong", reason: "x" };
  const call = api();
  const text = fc.string({ unit: "binary", maxLength: 60 });
  const names = ["username", "password", "realm", "tfa-challenge", "otp", "path", "privs", "x"];
  const body = fc.dictionary(fc.constantFrom(...names), fc.oneof(text, fc.constant("root@pam")));
  await fc.assert(
    fc.asyncProperty(body, text, async (parameters, cookie) => {
      const answer = await call("POST", "/access/ticket", parameters);
      expect([400, 401, 403, 429, 503]).toContain(answer.status);
      const encoded = `PVEAuthCookie=${encodeURIComponent(cookie.replace(/[\ud800-\udfff]/g, ""))}`;
      const who = await call("GET", "/who", undefined, { cookie: encoded });
      expect(who.status).toBe(401);
    }),
  );
});
