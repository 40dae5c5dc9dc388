// Users, tokens, groups, roles, rights and second factors through the API of a node, from the request to the files of its tree and back to who is let
// in.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { hotp, parseTotpUri } from "../../src/shell/access/second-factor.ts";
import { rootCaller } from "../../src/shell/api/route.ts";
import { openApiNode } from "../double/api-app.ts";

const node = await openApiNode("cluster");
afterAll(() => node.close());
const { tree } = node.parts;
const asRoot = node.appFor(async () => ({ ok: true, caller: rootCaller }));
const network = node.appFor(node.authenticate);
const address = "10.0.0.9";

type App = typeof asRoot;
/** Whatever the node said. */
type Json = ReturnType<typeof JSON.parse>;
interface Answer {
  readonly status: number;
  readonly phrase: string;
  readonly data: Json;
  readonly errors: Readonly<Record<string, string>> | undefined;
}

async function ask(
  app: App,
  line: string,
  body?: Readonly<Record<string, string | number>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const [method = "", path = ""] = line.split(" ");
  const fields = Object.entries(body ?? {}).map(([name, value]) => [name, String(value)] as const);
  const query = new URLSearchParams(Object.fromEntries(fields)).toString();
  const hasBody = method === "POST" || method === "PUT";
  const response = await app.fetch(
    new Request(`https://node/api2/json${path}${!hasBody && query !== "" ? `?${query}` : ""}`, {
      method,
      headers,
      ...(hasBody ? { body: new TextEncoder().encode(query) } : {}),
    }),
    { address },
  );
  const said = await response.text();
  const { data, errors } = said === "" ? { data: undefined, errors: undefined } : JSON.parse(said);
  return { status: response.status, phrase: response.statusText, data, errors };
}

const root = (line: string, body?: Readonly<Record<string, string | number>>) =>
  ask(asRoot, line, body);
const byToken = (token: string, line: string, body?: Readonly<Record<string, string | number>>) =>
  ask(network, line, body, { authorization: `PVEAPIToken=${token}` });

async function ok(answer: Promise<Answer>): Promise<Json> {
  const { status, phrase, data, errors } = await answer;
  expect({ status, phrase, errors }).toEqual({ status: 200, phrase: "", errors: undefined });
  return data;
}

async function text(path: string): Promise<string> {
  const read = tree.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : "";
}

async function put(path: string, content: string): Promise<void> {
  await tree.mkdir("priv");
  const done = await tree.replace(path, new TextEncoder().encode(content));
  if (!done.ok) throw new Error(done.reason);
}

interface Session {
  readonly ask: (line: string, body?: Readonly<Record<string, string | number>>) => Promise<Answer>;
  readonly answer: Json;
}

async function login(username: string, password: string, more = {}): Promise<Session> {
  const answer = await ok(ask(network, "POST /access/ticket", { username, password, ...more }));
  const headers = {
    cookie: `PVEAuthCookie=${encodeURIComponent(answer.ticket)}`,
    CSRFPreventionToken: answer.CSRFPreventionToken,
  };
  return { answer, ask: (line, body) => ask(network, line, body, headers) };
}

/** One user "ann@pve" in the group "staff", and "joe@pve" in none. */
beforeEach(async () => {
  await put(
    "user.cfg",
    "user:ann@pve:1:0::::::\nuser:joe@pve:1:0::::::\n\ngroup:staff:ann@pve::\n",
  );
  for (const path of ["priv/token.cfg", "priv/tfa.cfg", "priv/shadow.cfg", "domains.cfg"]) {
    await put(path, "");
  }
});

describe("users", () => {
  test("made, listed, changed and deleted, in Proxmox's file", async () => {
    expect(
      await root("POST /access/users", {
        userid: "max@pve",
        password: "correct horse",
        comment: "nights: 50%",
        firstname: "Maximilian",
        email: "max@example.com",
        groups: "staff",
        expire: 0,
      }),
    ).toMatchObject({ status: 200, data: null });
    expect(await text("user.cfg")).toBe(
      "user:ann@pve:1:0::::::\nuser:joe@pve:1:0::::::\nuser:max@pve:1:0:Maximilian::max@example.com:nights%3A 50%25::\n" +
        "user:root@pam:1:0::::::\n\ngroup:staff:ann@pve,max@pve::\n\n\n\n",
    );
    expect(await text("priv/shadow.cfg")).toMatch(
      /^max:\$5\$rounds=50000\$[A-Za-z0-9./]{16}\$[A-Za-z0-9./]{43}:\n$/,
    );
    expect(await ok(root("GET /access/users/max@pve"))).toEqual({
      ...{ enable: 1, expire: 0, firstname: "Maximilian", email: "max@example.com" },
      ...{ comment: "nights: 50%", groups: ["staff"], tokens: {} },
    });
    const { answer } = await login("max@pve", "correct horse");
    expect(answer).toMatchObject({ username: "max@pve", cap: { dc: {} } });
    expect(answer).not.toHaveProperty("clustername");
    await ok(root("PUT /access/users/max@pve", { enable: 0, comment: "", groups: "" }));
    expect(await text("user.cfg")).toContain("user:max@pve:0:0:Maximilian::max@example.com:::\n");
    expect(await text("user.cfg")).toContain("group:staff:ann@pve::\n");
    const listed = await ok(root("GET /access/users", { enabled: 0, full: 1 }));
    expect(listed).toMatchObject([
      { userid: "max@pve", enable: 0, groups: "", tokens: [], "realm-type": "pve" },
    ]);
    await ok(root("DELETE /access/users/max@pve"));
    expect(await text("user.cfg")).not.toContain("max@pve");
    expect(await text("priv/shadow.cfg")).toBe("");
  });

  test("with everything that is theirs", async () => {
    await ok(root("POST /access/users/ann@pve/token/mon", {}));
    await ok(
      root("PUT /access/acl", {
        path: "/",
        roles: "PVEAuditor",
        users: "ann@pve",
        tokens: "ann@pve!mon",
      }),
    );
    await ok(root("POST /access/tfa/ann@pve", { type: "recovery" }));
    expect(await text("user.cfg")).toContain("acl:1:/:ann@pve,ann@pve!mon:PVEAuditor:\n");
    await ok(root("DELETE /access/users/ann@pve"));
    for (const path of ["user.cfg", "priv/token.cfg", "priv/tfa.cfg", "priv/shadow.cfg"]) {
      expect(await text(path)).not.toContain("ann@pve");
    }
  });

  test("refusals in the original's words", async () => {
    expect(await root("POST /access/users", { userid: "ann@pve" })).toMatchObject({
      ...{ status: 500, phrase: "create user failed: user 'ann@pve' already exists" },
    });
    expect(await root("POST /access/users", { userid: "new@pve", groups: "nope" })).toMatchObject({
      ...{ status: 500, phrase: "create user failed: no such group 'nope'" },
    });
    expect(await root("POST /access/users", { userid: "new@corp" })).toMatchObject({
      ...{ status: 500, phrase: "create user failed: auth domain 'corp' does not exist" },
    });
    expect(await root("GET /access/users/no@pve")).toMatchObject({
      ...{ status: 500, phrase: "no such user ('no@pve')" },
    });
    const bad = { userid: "a b@pve", password: "short", email: "no", groups: "a b,ü", expire: -1 };
    const { status, errors } = await root("POST /access/users", bad);
    expect({ status, names: Object.keys(errors ?? {}).toSorted() }).toEqual({
      status: 400,
      names: ["email", "expire", "groups", "password", "userid"],
    });
    expect((await root("DELETE /access/users/root@pam")).status).toBe(400);
  });

  test("a name with a separator makes nobody else a member of a group", async () => {
    const before = await text("user.cfg");
    for (const userid of ["x,joe@pve", "x;root@pam;y@pam", "x,joe@pve"]) {
      const refused = await root("POST /access/users", { userid, groups: "staff" });
      expect({ status: refused.status, names: Object.keys(refused.errors ?? {}) }).toEqual({
        ...{ status: 400, names: ["userid"] },
      });
    }
    expect(await text("user.cfg")).toBe(before);
    // One that another tool has made is put into no group, and can be deleted.
    await put("user.cfg", `user:x,joe@pve:1:0::::::\n${before}`);
    const change = await root("PUT /access/users/x%2Cjoe@pve", { groups: "staff" });
    expect(change.errors).toHaveProperty("userid");
    expect(await ok(root("GET /access/groups/staff"))).toEqual({ members: ["ann@pve"] });
    await ok(root("DELETE /access/users/x%2Cjoe@pve"));
    expect(await text("user.cfg")).not.toContain("x,joe@pve");
  });

  test("what is not understood in user.cfg outlives a change", async () => {
    await put("user.cfg", "# note\nuser:ann@pve:1:0::::::more:\nlater:thing:\nrole:r:VM.Later:\n");
    await ok(root("PUT /access/users/ann@pve", { comment: "x" }));
    const after = await text("user.cfg");
    for (const line of [
      "# note",
      "user:ann@pve:1:0::::x::more:",
      "later:thing:",
      "role:r:VM.Later:",
    ]) {
      expect(after.split("\n")).toContain(line);
    }
  });
});

describe("tokens", () => {
  test("made, used, renewed, revoked", async () => {
    const made = await ok(
      root("POST /access/users/root@pam/token/all", { privsep: 0, comment: "c" }),
    );
    expect(made).toEqual({
      "full-tokenid": "root@pam!all",
      value: expect.stringMatching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      info: { expire: 0, privsep: 0, comment: "c" },
    });
    expect(await text("priv/token.cfg")).toBe(`root@pam!all ${made.value}\n`);
    expect(await text("user.cfg")).toContain("token:root@pam!all:0:0:c:\n");
    const token = `root@pam!all=${made.value}`;
    expect(await ok(byToken(token, "GET /version"))).toHaveProperty("release");
    expect(await ok(byToken(token, "GET /cluster/config/nodes"))).toHaveLength(3);
    // What only root itself may, and what needs a ticket.
    expect(await byToken(token, "DELETE /cluster/config/nodes/n2")).toMatchObject({
      ...{ status: 403, phrase: "Permission check failed (user != root@pam)" },
    });
    expect(
      await byToken(token, "PUT /access/password", { userid: "ann@pve", password: "12345678" }),
    ).toMatchObject({
      ...{
        status: 403,
        phrase: "URI '/access/password' not available with API token, need proper ticket.",
      },
    });
    const renewed = await ok(
      root("PUT /access/users/root@pam/token/all", { regenerate: 1, delete: "comment" }),
    );
    expect(renewed).toEqual({
      ...{ expire: 0, privsep: 0, value: expect.any(String), "full-tokenid": "root@pam!all" },
    });
    expect((await byToken(token, "GET /version")).status).toBe(401);
    const again = `root@pam!all=${renewed.value}`;
    await ok(byToken(again, "GET /version"));
    expect(await ok(root("GET /access/users/root@pam/token"))).toEqual([
      { tokenid: "all", expire: 0, privsep: 0 },
    ]);
    await ok(root("DELETE /access/users/root@pam/token/all"));
    expect((await byToken(again, "GET /version")).status).toBe(401);
    expect(await text("priv/token.cfg")).toBe("");
    expect(await root("GET /access/users/root@pam/token/all")).toMatchObject({
      ...{ status: 500, phrase: "no such token 'all' for user 'root@pam'" },
    });
  });

  test("a user has so many of them, with so long comments, that it cannot fill the file for all", async () => {
    const lines = Array.from({ length: 63 }, (_, at) => `token:ann@pve!t${at}:0:1::\n`);
    await put("user.cfg", `user:ann@pve:1:0::::::\n${lines.join("")}`);
    const make = (token: string, comment = "") =>
      root(`POST /access/users/ann@pve/token/${token}`, { comment });
    expect((await make("long", "ü".repeat(1024))).errors).toHaveProperty("comment");
    await ok(make("last", "c".repeat(1024)));
    expect((await make("more")).phrase).toContain("a user has at most 64 API tokens");
    for (let at = 0; at < 14; at += 1) {
      const path = `PUT /access/users/ann@pve/token/t${at}`;
      await ok(root(path, { comment: "c".repeat(1024) }));
    }
    const one = await root("PUT /access/users/ann@pve/token/t62", { comment: "c".repeat(1024) });
    expect(one.phrase).toContain("16384 is the most");
    // Less is never refused.
    await ok(root("PUT /access/users/ann@pve/token/t0", { delete: "comment" }));
    await ok(root("DELETE /access/users/ann@pve/token/t1"));
  });

  test("a file that is too large is refused with who fills it", async () => {
    const comment = "c".repeat(1000);
    const lines = Array.from({ length: 940 }, (_, at) => `token:joe@pve!t${at}:0:1:${comment}:\n`);
    await put("user.cfg", `user:ann@pve:1:0::::::\nuser:joe@pve:1:0::::::\n${lines.join("")}`);
    for (let at = 0; at < 50; at += 1) {
      const groupid = `g${at}`;
      const answer = await root("POST /access/groups", { groupid, comment: "x".repeat(4096) });
      if (answer.status === 200) continue;
      expect(answer.phrase).toMatch(/a file may have 1048576 bytes; most of it is joe@pve: \d+ of/);
      return;
    }
    throw new Error("nothing was refused");
  });

  test("a separated one has its own rights, and a later one of its name none of them", async () => {
    const make = async () =>
      `ann@pve!mon=${(await ok(root("POST /access/users/ann@pve/token/mon", {}))).value}`;
    const first = await make();
    await ok(root("PUT /access/acl", { path: "/", roles: "PVEAuditor", tokens: "ann@pve!mon" }));
    // Never more than its user.
    expect(await byToken(first, "GET /cluster/status")).toMatchObject({
      ...{ status: 403, phrase: "Permission check failed (/, Sys.Audit)" },
    });
    await ok(root("PUT /access/acl", { path: "/", roles: "PVEAdmin", users: "ann@pve" }));
    await ok(byToken(first, "GET /cluster/status"));
    expect(await ok(byToken(first, "GET /access/permissions", { path: "/" }))).toEqual({
      "/": {
        ...{ "Datastore.Audit": 1, "Mapping.Audit": 1, "Pool.Audit": 1, "SDN.Audit": 1 },
        ...{ "Sys.Audit": 1, "VM.Audit": 1, "VM.GuestAgent.Audit": 1 },
      },
    });
    await ok(root("DELETE /access/users/ann@pve/token/mon"));
    expect((await byToken(await make(), "GET /cluster/status")).status).toBe(403);
  });
});

describe("groups, roles and rights", () => {
  test("an administrator group, as in the documentation", async () => {
    await ok(root("POST /access/groups", { groupid: "admin", comment: "System Administrators" }));
    await ok(root("PUT /access/acl", { path: "/", groups: "admin", roles: "Administrator" }));
    await ok(root("PUT /access/users/joe@pve", { groups: "admin", append: 1 }));
    await ok(root("PUT /access/users/joe@pve", { groups: "staff", append: 1 }));
    expect(await ok(root("GET /access/groups/admin"))).toEqual({
      ...{ members: ["joe@pve"], comment: "System Administrators" },
    });
    expect(
      await ok(root("GET /access/permissions", { userid: "joe@pve", path: "/nodes/n1" })),
    ).toMatchObject({
      "/nodes/n1": { "Sys.Modify": 1 },
    });
    expect(await ok(root("GET /access/acl"))).toEqual([
      { path: "/", type: "group", ugid: "admin", roleid: "Administrator", propagate: 1 },
    ]);
    await ok(root("DELETE /access/groups/admin"));
    expect(await ok(root("GET /access/acl"))).toEqual([]);
    expect(await root("DELETE /access/groups/admin")).toMatchObject({
      ...{ status: 500, phrase: "delete group failed: group 'admin' does not exist" },
    });
  });

  test("roles of the cluster's own", async () => {
    await ok(root("POST /access/roles", { roleid: "Power", privs: "VM.PowerMgmt VM.Console" }));
    await ok(root("PUT /access/roles/Power", { privs: "Sys.PowerMgmt", append: 1 }));
    expect(await ok(root("GET /access/roles/Power"))).toEqual({
      ...{ "Sys.PowerMgmt": 1, "VM.Console": 1, "VM.PowerMgmt": 1 },
    });
    await ok(
      root("PUT /access/acl", {
        path: "/vms/100/",
        roles: "Power",
        users: "ann@pve",
        propagate: 0,
      }),
    );
    expect(await text("user.cfg")).toContain("acl:0:/vms/100:ann@pve:Power:\n");
    const roles = await ok(root("GET /access/roles"));
    expect(roles).toContainEqual({ roleid: "NoAccess", privs: "", special: 1 });
    expect(roles).toContainEqual({
      roleid: "Power",
      privs: "Sys.PowerMgmt,VM.Console,VM.PowerMgmt",
      special: 0,
    });
    await ok(root("DELETE /access/roles/Power"));
    expect(await text("user.cfg")).not.toContain("Power");
    expect((await root("POST /access/roles", { roleid: "pveX" })).errors).toHaveProperty("roleid");
    expect((await root("POST /access/roles", { roleid: "X", privs: "No.Such" })).errors).toEqual({
      privs: "invalid format - invalid privilege",
    });
    expect((await root("PUT /access/roles/PVEAdmin", {})).phrase).toBe(
      "auto-generated role 'PVEAdmin' cannot be modified",
    );
  });

  test("what ACLs refuse", async () => {
    const acl = (body: Record<string, string | number>) => root("PUT /access/acl", body);
    expect((await acl({ path: "/", roles: "PVEAdmin" })).errors).toMatchObject({
      users: "either 'users', 'groups' or 'tokens' is required.",
    });
    for (const path of ["/nonsense", "/vms/9", "a b", "0", "/nodes/0"]) {
      expect((await acl({ path, roles: "PVEAdmin", users: "ann@pve" })).errors).toEqual({
        path: `invalid ACL path '${path}'`,
      });
    }
    expect((await acl({ path: "/", roles: "none", users: "ann@pve" })).phrase).toBe(
      "ACL update failed: role 'none' does not exist",
    );
    expect((await acl({ path: "/", roles: "PVEAdmin", users: "no@pve" })).phrase).toBe(
      "ACL update failed: user 'no@pve' does not exist",
    );
    expect((await acl({ path: "/", roles: "PVEAdmin", tokens: "ann@pve!no" })).phrase).toBe(
      "ACL update failed: no such token 'no' for user 'ann@pve'",
    );
  });
});

describe("who may change whom", () => {
  beforeEach(async () => {
    const admin = "user:adm@pve:1:0::::::\n";
    await put(
      "user.cfg",
      `${await text("user.cfg")}${admin}acl:1:/access/realm/pve:adm@pve:PVEUserAdmin:\nacl:1:/access/groups/staff:adm@pve:PVEUserAdmin:\n` +
        "acl:1:/vms/100:joe@pve:PVEVMAdmin:\n",
    );
    for (const userid of ["adm@pve", "joe@pve", "ann@pve"]) {
      await ok(root("PUT /access/password", { userid, password: "correct horse" }));
    }
  });

  test("an administrator of one group and realm, as in the documentation", async () => {
    const { ask: adm } = await login("adm@pve", "correct horse");
    await ok(adm("POST /access/users", { userid: "new@pve", groups: "staff" }));
    expect(await adm("POST /access/users", { userid: "new2@pve" })).toMatchObject({
      ...{ status: 403, phrase: "Permission check failed (/access/groups, User.Modify)" },
    });
    expect(await adm("POST /access/users", { userid: "new2@pam", groups: "staff" })).toMatchObject({
      ...{ status: 403, phrase: "Permission check failed (/access/realm/pam, Realm.AllocateUser)" },
    });
    await ok(adm("PUT /access/users/ann@pve", { comment: "hers", groups: "staff" }));
    expect((await adm("PUT /access/users/joe@pve", { comment: "x", groups: "staff" })).status).toBe(
      403,
    );
    expect((await adm("DELETE /access/users/joe@pve")).status).toBe(403);
    expect((await adm("GET /access/users/root@pam")).status).toBe(403);
    const seen = await ok(adm("GET /access/users"));
    expect(seen.map(({ userid }: { userid: string }) => userid)).toEqual([
      "adm@pve",
      "ann@pve",
      "new@pve",
    ]);
    await ok(adm("DELETE /access/users/new@pve"));
  });

  test("who looks after all users makes no token of root's, unless it may give everything to everybody", async () => {
    await ok(root("PUT /access/acl", { path: "/access", roles: "PVEUserAdmin", users: "adm@pve" }));
    const { ask: adm } = await login("adm@pve", "correct horse");
    await ok(adm("POST /access/users/joe@pve/token/one", {}));
    const make = () => adm("POST /access/users/root@pam/token/all", { privsep: 0 });
    expect(await make()).toMatchObject({ status: 403 });
    expect(await adm("PUT /access/users/root@pam", { enable: 0, groups: "staff" })).toMatchObject({
      ...{ status: 403, phrase: "Permission check failed (/, Permissions.Modify)" },
    });
    await ok(root("PUT /access/acl", { path: "/", roles: "Administrator", users: "adm@pve" }));
    await ok(
      root("PUT /access/acl", { path: "/access", roles: "Administrator", users: "adm@pve" }),
    );
    await ok(make());
  });

  test("a new user has no password of an earlier one of its name, and old keys are not shown", async () => {
    await put("priv/shadow.cfg", `late:${(await text("priv/shadow.cfg")).split(":")[1]}:\n`);
    await ok(root("POST /access/users", { userid: "late@pve" }));
    expect(await text("priv/shadow.cfg")).toBe("");
    await ok(root("PUT /access/users/late@pve", { keys: "ABCDEFGH" }));
    expect(await ok(root("GET /access/users/late@pve"))).not.toHaveProperty("keys");
  });

  test("a user without rights: itself and nothing else", async () => {
    const { ask: joe } = await login("joe@pve", "correct horse");
    const refused = [
      ["POST /access/users", { userid: "x@pve" }],
      ["POST /access/groups", { groupid: "x" }],
      ["POST /access/roles", { roleid: "x" }],
      ["PUT /access/acl", { path: "/", roles: "Administrator", users: "joe@pve" }],
      ["GET /access/users/ann@pve/token", {}],
      ["POST /access/users/root@pam/token/xx", { privsep: 0 }],
      ["POST /access/tfa/root@pam", { type: "recovery" }],
      ["PUT /access/password", { userid: "root@pam", password: "12345678" }],
      ["GET /access/permissions", { userid: "ann@pve" }],
      ["GET /access/users/joe@pve", {}],
      ["GET /access/domains/pve", {}],
    ] as const;
    for (const [line, body] of refused) {
      const { status } = await joe(line, body);
      expect({ line, status }).toEqual({ line, status: 403 });
    }
    const own = await ok(joe("POST /access/users/joe@pve/token/mine", {}));
    expect(await ok(joe("GET /access/users/joe@pve/token"))).toHaveLength(1);
    // A token is not the user itself.
    const token = `joe@pve!mine=${own.value}`;
    expect((await byToken(token, "GET /access/users/joe@pve/token")).status).toBe(403);
    expect(await ok(joe("GET /access/tfa"))).toEqual([]);
  });

  test("who allocates a guest hands on what it has there, and no more", async () => {
    const { ask: joe } = await login("joe@pve", "correct horse");
    const acl = (path: string, roles: string) =>
      joe("PUT /access/acl", { path, roles, users: "ann@pve" });
    await ok(acl("/vms/100", "PVEVMUser"));
    expect((await acl("/vms/100", "PVEAdmin")).errors).toEqual({
      role: "Cannot add role 'PVEAdmin' - requires 'Permissions.Modify' or superset of privileges.",
    });
    expect((await acl("/vms/100", "NoAccess")).errors).toHaveProperty("role");
    expect((await acl("/vms/101", "PVEVMUser")).phrase).toBe(
      "Permission check failed (/vms/101, Permissions.Modify|VM.Allocate)",
    );
    expect(await ok(joe("GET /access/acl"))).toMatchObject([
      { path: "/vms/100" },
      { path: "/vms/100" },
    ]);
  });

  test("a password: one's own with the one before, another's by its administrator", async () => {
    const { ask: joe } = await login("joe@pve", "correct horse");
    const change = (userid: string, own?: string) => ({
      ...{ userid, password: "battery staple" },
      ...(own === undefined ? {} : { "confirmation-password": own }),
    });
    expect((await joe("PUT /access/password", change("joe@pve"))).errors).toEqual({
      "confirmation-password": "password is required to modify user",
    });
    expect((await joe("PUT /access/password", change("joe@pve", "wrong one"))).status).toBe(401);
    await ok(joe("PUT /access/password", change("joe@pve", "correct horse")));
    await login("joe@pve", "battery staple");
    const { ask: adm } = await login("adm@pve", "correct horse");
    await ok(adm("PUT /access/password", change("ann@pve", "correct horse")));
    await login("ann@pve", "battery staple");
    // Of a machine's user not even its administrator sets it, by neither door; as before, root's reaches the machine.
    await ok(
      root("PUT /access/acl", {
        path: "/access/realm/pam",
        roles: "PVEUserAdmin",
        users: "adm@pve",
      }),
    );
    const daemon = { userid: "daemon@pam", password: "battery staple", groups: "staff" };
    expect(await adm("POST /access/users", daemon)).toMatchObject({
      ...{ status: 403, phrase: "Permission check failed" },
    });
    expect(await text("user.cfg")).not.toContain("daemon@pam");
    await ok(adm("POST /access/users", { userid: "daemon@pam", groups: "staff" }));
    expect((await adm("PUT /access/password", change("daemon@pam", "correct horse"))).status).toBe(
      403,
    );
    expect((await root("PUT /access/password", change("root@pam"))).phrase).toContain(
      "this node's users are not the machine's own",
    );
  }, 20_000);
});

describe("second factors", () => {
  const uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  const code = (steps: number) => {
    const settings = parseTotpUri(uri);
    if (settings === undefined) throw new Error("no settings");
    return hotp(settings, Math.floor(Date.now() / 30_000) + steps);
  };

  test("codes by time and recovery codes, from their making to a login, and off again", async () => {
    await ok(root("PUT /access/password", { userid: "ann@pve", password: "correct horse" }));
    const add = (more: object) =>
      root("POST /access/tfa/ann@pve", { type: "totp", description: "phone", totp: uri, ...more });
    expect((await add({})).errors).toEqual({
      value: "'totp' type requires both 'totp' and 'value' parameters",
    });
    expect((await add({ value: "000000" })).phrase).toBe(
      "enabling TFA for the user failed: failed to verify TOTP challenge",
    );
    const { id } = await ok(add({ value: code(0) }));
    expect(await text("user.cfg")).toContain("user:ann@pve:1:0:::::x:\n");
    const { recovery } = await ok(root("POST /access/tfa/ann@pve", { type: "recovery" }));
    expect(recovery).toHaveLength(10);
    expect(await text("priv/tfa.cfg")).not.toContain(recovery[0]);
    expect(await ok(root("GET /access/tfa"))).toMatchObject([
      {
        userid: "ann@pve",
        entries: [
          { type: "recovery", id: "recovery" },
          { type: "totp", id, description: "phone", enable: 1 },
        ],
      },
    ]);
    expect(await ok(root("GET /access/users/ann@pve/tfa", { multiple: 1 }))).toEqual({
      user: ["recovery", "totp"],
    });
    const half = async () => {
      const { answer } = await login("ann@pve", "correct horse");
      expect(answer.NeedTFA).toBe(1);
      return answer.ticket as string;
    };
    await login("ann@pve", `totp:${code(1)}`, { "tfa-challenge": await half() });
    await login("ann@pve", `recovery:${recovery[3]}`, { "tfa-challenge": await half() });
    await ok(root(`PUT /access/tfa/ann@pve/${id}`, { enable: 0, description: "old phone" }));
    expect(await ok(root(`GET /access/tfa/ann@pve/${id}`))).toMatchObject({
      ...{ enable: 0, description: "old phone" },
    });
    expect((await root("GET /access/tfa/ann@pve/none")).status).toBe(404);
    expect((await root("POST /access/tfa/ann@pve", { type: "recovery" })).phrase).toContain(
      "user already has recovery keys",
    );
    await ok(root("DELETE /access/tfa/ann@pve/recovery"));
    expect(await text("user.cfg")).toContain("user:ann@pve:1:0:::::x:\n");
    await ok(root(`DELETE /access/tfa/ann@pve/${id}`));
    expect(await text("user.cfg")).toContain("user:ann@pve:1:0::::::\n");
    expect(JSON.parse(await text("priv/tfa.cfg"))).toEqual({ users: {} });
    expect((await login("ann@pve", "correct horse")).answer).not.toHaveProperty("NeedTFA");
  }, 20_000);

  test("what is locked is shown and unlocked; what is not known of the file stays", async () => {
    const until = Math.floor(Date.now() / 1000) + 1000;
    const entry = { id: "w1", description: "key", created: 5, credential: { a: 1 } };
    const ann = { webauthn: [entry], "totp-locked": true, "tfa-locked-until": until, later: 7 };
    await put("priv/tfa.cfg", JSON.stringify({ webauthn: { rp: "x" }, users: { "ann@pve": ann } }));
    expect(await ok(root("GET /access/users"))).toContainEqual(
      expect.objectContaining({ userid: "ann@pve", "totp-locked": 1, "tfa-locked-until": until }),
    );
    expect(await ok(root("PUT /access/users/ann@pve/unlock-tfa", {}))).toBe(1);
    expect(await ok(root("PUT /access/users/ann@pve/unlock-tfa", {}))).toBe(0);
    expect(JSON.parse(await text("priv/tfa.cfg"))).toEqual({
      webauthn: { rp: "x" },
      users: { "ann@pve": { webauthn: [{ ...entry, enable: true }], later: 7 } },
    });
    await put("priv/tfa.cfg", "no JSON");
    expect((await root("GET /access/tfa")).phrase).toBe("priv/tfa.cfg is no JSON");
    expect((await root("POST /access/tfa/ann@pve", { type: "recovery" })).status).toBe(500);
    expect(await text("priv/tfa.cfg")).toBe("no JSON");
  });
});

test("what there is below /access, and realms without a login", async () => {
  await put("domains.cfg", "ldap: corp\n\tserver1 10.0.0.1\n\tcomment Staff\n\tdefault 1\n");
  expect(await ok(ask(network, "GET /access/domains"))).toEqual([
    { realm: "corp", type: "ldap", comment: "Staff", default: 1 },
    { realm: "pam", type: "pam", comment: "Linux PAM standard authentication" },
    { realm: "pve", type: "pve", comment: "Proxmox VE authentication server" },
  ]);
  expect(await ok(root("GET /access/domains/corp"))).toMatchObject({
    type: "ldap",
    server1: "10.0.0.1",
  });
  expect((await root("GET /access/domains/none")).phrase).toBe("domain 'none' does not exist");
  expect(await ok(root("GET /access"))).toContainEqual({ subdir: "users" });
});

describe("realms are changed as the original changes them", () => {
  const corp = "ldap: corp\n\tserver1 10.0.0.1\n\tdefault 1\n";

  test("pam and pve: comment, default, second factor; the rest of the file stays", async () => {
    await put("domains.cfg", corp);
    const tfa = "type=oath,digits=8";
    await ok(root("PUT /access/domains/pve", { comment: "Für alle", default: 1, tfa }));
    expect(await text("domains.cfg")).toBe(
      "ldap: corp\n\tserver1 10.0.0.1\n\npve: pve\n\tcomment F%C3%BCr alle\n\tdefault 1\n\ttfa type=oath,digits=8\n\n",
    );
    expect(await ok(root("GET /access/domains"))).toContainEqual({
      ...{ realm: "pve", type: "pve", comment: "Für alle", default: 1, tfa: "oath" },
    });
    // Whoever comes in by a password is asked for it at once.
    await put(
      "priv/shadow.cfg",
      "joe:$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.:\n",
    );
    const refused = await ask(network, "POST /access/ticket", {
      username: "joe@pve",
      password: "secret",
    });
    expect(refused.status).toBe(401);
    const { digest } = await ok(root("GET /access/domains/pve"));
    await ok(root("PUT /access/domains/pve", { delete: "tfa,comment", digest }));
    expect(await text("domains.cfg")).toContain("\npve: pve\n\tdefault 1\n");
    const stale = await root("PUT /access/domains/pve", { comment: "x", digest });
    expect(stale.phrase).toBe(
      "update auth server failed: detected modified configuration - file changed by other user? Try again.",
    );
    await ok(root("DELETE /access/domains/pve"));
    expect(await text("domains.cfg")).toBe("ldap: corp\n\tserver1 10.0.0.1\n\n");
  });

  test("what is not served, not there or wrong is refused in a sentence, and nothing is written", async () => {
    await put("domains.cfg", corp);
    for (const [line, body, phrase] of [
      [
        "POST /access/domains",
        { realm: "other", type: "ldap", server1: "10.0.0.2", base_dn: "dc=x", user_attr: "uid" },
        "add auth server failed: realms of the type 'ldap' are not served here",
      ],
      [
        "POST /access/domains",
        { realm: "mine", type: "pve" },
        "add auth server failed: unable to create builtin type 'pve'",
      ],
      [
        "POST /access/domains",
        { realm: "pam", type: "pam" },
        "add auth server failed: domain 'pam' already exists",
      ],
      [
        "PUT /access/domains/corp",
        { comment: "x" },
        "update auth server failed: realms of the type 'ldap' are not served here",
      ],
      [
        "DELETE /access/domains/corp",
        {},
        "delete auth server failed: realms of the type 'ldap' are not served here",
      ],
      [
        "PUT /access/domains/none",
        { comment: "x" },
        "update auth server failed: domain 'none' does not exist",
      ],
      ["PUT /access/domains/pve", {}, "update auth server failed: no options specified"],
    ] as const) {
      expect(await root(line, body)).toMatchObject({ status: 500, phrase });
    }
    for (const [body, name] of [
      [{ tfa: "type=webauthn" }, "tfa"],
      [{ tfa: "type=oath,\n," }, "tfa"],
      [{ tfa: "type=yubico" }, "tfa"],
      [{ tfa: "type=oath,digits=9" }, "tfa"],
      [{ tfa: "type=oath,key=a\n\tdefault 1" }, "tfa"],
      [{ server1: "10.0.0.1" }, "server1"],
      [{ delete: "type" }, "delete"],
    ] as const) {
      const answer = await root("PUT /access/domains/pve", body);
      expect({ body, ...answer }).toMatchObject({
        status: 400,
        errors: { [name]: expect.any(String) },
      });
    }
    expect(await text("domains.cfg")).toBe(corp);
  });
});

test("without quorum nothing of it changes, in the original's words", async () => {
  const cut = await openApiNode("noQuorum");
  const app = cut.appFor(async () => ({ ok: true, caller: rootCaller }));
  try {
    for (const [line, body, words] of [
      [
        "PUT /access/acl",
        { path: "/", roles: "PVEAuditor", users: "root@pam" },
        "ACL update failed: cfs-lock 'file-user_cfg' error: no quorum!",
      ],
      [
        "POST /access/tfa/root@pam",
        { type: "recovery" },
        "enabling TFA for the user failed: cfs-lock 'file-priv_tfa_cfg' error: no quorum!",
      ],
      [
        "POST /access/users/root@pam/token/aa",
        {},
        "generating token failed: cfs-lock 'file-user_cfg' error: no quorum!",
      ],
    ] as const) {
      expect(await ask(app, line, body)).toMatchObject({ status: 500, phrase: words });
    }
    expect(cut.parts.tree.read("user.cfg").ok).toBe(false);
  } finally {
    await cut.close();
  }
});
