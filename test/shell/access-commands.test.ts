// `quorate user`, `token`, `group`, `role`, `acl` and `realm` as somebody types them, at the local socket of a node: what they print, how they end, and
// what the tree has afterwards.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listen } from "../../src/shell/api/api-socket.ts";
import { rootCaller } from "../../src/shell/api/route.ts";
import { openApiNode } from "../double/api-app.ts";

const main = join(import.meta.dir, "../../src/main.ts");
const node = await openApiNode("cluster");
const { root, socket } = node.parts.options.paths;
const served = listen(
  node.appFor(async () => ({ ok: true, caller: rootCaller })),
  socket,
);
afterAll(async () => {
  await served.close();
  await node.close();
});

interface Said {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

async function quorate(
  words: string,
  options: { at?: string; input?: string } = {},
): Promise<Said> {
  const { at = root, input = "" } = options;
  // What stands between quotes is one word.
  const given = [...words.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain!,
  );
  const child = Bun.spawn([process.execPath, main, ...given, "--root", at], {
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, error };
}

async function ok(words: string, options?: { input?: string }): Promise<string> {
  const { code, out, error } = await quorate(words, options);
  expect({ words, code, error: error.replace(/^Type or paste.*: $/, "") }).toEqual({
    words,
    code: 0,
    error: "",
  });
  return out;
}

/** Whatever it said. */
const json = async (words: string): Promise<ReturnType<typeof JSON.parse>> =>
  JSON.parse(await ok(`${words} --json`));

async function refused(words: string, code: number, reason: RegExp): Promise<void> {
  const said = await quorate(words);
  expect({ words, ...said }).toMatchObject({ words, code, out: "" });
  expect(said.error).toMatch(reason);
  // A sentence, and which word was wrong.
  expect(said.error.trimEnd().split("\n").length).toBeLessThan(3);
}

function file(path: string): string {
  const read = node.parts.tree.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : "";
}

const asUser = node.appFor(node.authenticate);
const request = (path: string, headers: Readonly<Record<string, string>>) =>
  asUser.fetch(new Request(`https://node/api2/json${path}`, { headers }), { address: "192.0.2.1" });

test("groups and users: made, listed, changed, deleted", async () => {
  expect(await ok("group list")).toBe("There is no group.\n");
  expect(await ok("group add staff --comment 'Night shift'")).toBe("Group staff is made.\n");
  expect(await ok("user add ann@pve --groups staff --comment 'Ann: ä' --expire 2037-01-31")).toBe(
    "User ann@pve is made. It cannot log in before it has a password: quorate user password ann@pve\n",
  );
  expect(await ok("group list")).toBe("GROUP  USERS    COMMENT\nstaff  ann@pve  Night shift\n");
  expect(await ok("user list")).toBe(
    "USER      ENABLED  EXPIRES           GROUPS  TOKENS  COMMENT\n" +
      "ann@pve   yes      2037-01-31 00:00  staff           Ann: ä\n" +
      "root@pam  yes      never\n",
  );
  expect(await json("user list")).toMatchObject([
    { userid: "ann@pve", enable: 1, expire: 2_116_972_800, groups: "staff", tokens: [] },
    { userid: "root@pam" },
  ]);
  expect(await json("user modify ann@pve --enable 0 --comment ''")).toEqual({
    id: "ann@pve",
    isDone: true,
  });
  expect(file("user.cfg")).toContain("user:ann@pve:0:2116972800::::::\n");
  await ok("group modify staff --comment Day");
  expect(await json("group list")).toEqual([
    { groupid: "staff", comment: "Day", users: "ann@pve" },
  ]);
  expect(await ok("user delete ann@pve")).toBe("User ann@pve is deleted.\n");
  expect(await ok("group delete staff")).toBe("Group staff is deleted.\n");
  expect(file("user.cfg")).not.toMatch(/ann|staff/);
});

test("passwords come from a file or standard input, and are good at once", async () => {
  const place = mkdtempSync(join(tmpdir(), "quorate-password-"));
  try {
    writeFileSync(join(place, "password"), "correct horse\n");
    const made = await ok(`user add ann@pve --password-file ${join(place, "password")}`);
    expect(made).toContain("no rights");
    const login = async (password: string) => {
      const asked = new Request("https://node/api2/json/access/ticket", {
        method: "POST",
        body: new TextEncoder().encode(
          new URLSearchParams({ username: "ann@pve", password }).toString(),
        ),
      });
      return (await asUser.fetch(asked, { address: "192.0.2.1" })).status;
    };
    expect(await login("correct horse")).toBe(200);
    await ok("user password ann@pve", { input: "battery staple\n" });
    expect(await login("battery staple")).toBe(200);
    await refused(
      "user password ann@pve --password short",
      1,
      /password: value must be at least 8/,
    );
  } finally {
    rmSync(place, { recursive: true });
  }
});

test("a token's line is printed once, is good at once, and is refused once it is deleted", async () => {
  const line = (await ok("token add root@pam monitor --comment Grafana")).trimEnd();
  expect(line).toMatch(/^root@pam!monitor=[0-9a-f-]{36}$/);
  const status = async (token: string) =>
    (await request("/cluster/status", { authorization: `PVEAPIToken=${token}` })).status;
  expect(await status(line)).toBe(403);
  expect(await ok("acl add / PVEAuditor --tokens root@pam!monitor")).toBe(
    "root@pam!monitor: PVEAuditor on /.\n",
  );
  expect(await status(line)).toBe(200);
  const secret = line.split("=")[1] ?? "";
  for (const words of ["token list root@pam", "user list", "acl list"]) {
    expect(await ok(words)).not.toContain(secret);
    expect(await ok(`${words} --json`)).not.toContain(secret);
  }
  expect(await ok("token list root@pam")).toBe(
    "TOKEN             OWN RIGHTS  EXPIRES  COMMENT\nroot@pam!monitor  yes         never    Grafana\n",
  );
  const another = (await ok("token modify root@pam monitor --regenerate")).trimEnd();
  expect(await status(line)).toBe(401);
  expect(await status(another)).toBe(200);
  expect(await json("token modify root@pam monitor --privsep 0")).toMatchObject({ isDone: true });
  expect(await json("token add root@pam second --privsep 0")).toMatchObject({
    "full-tokenid": "root@pam!second",
    info: { privsep: 0 },
  });
  await ok("token delete root@pam monitor");
  expect(await status(another)).toBe(401);
});

test("roles, grants, and what comes of them", async () => {
  await ok("role add watcher --privs Sys.Audit,VM.Audit");
  await ok("role modify watcher --privs Datastore.Audit --append");
  expect(await ok("role list")).toContain(
    "\nwatcher            no        Datastore.Audit,Sys.Audit,VM.Audit\n",
  );
  await ok("acl add /nodes watcher --users ann@pve --propagate 0");
  expect(await ok("acl list")).toContain("\n/nodes  user  ann@pve  watcher  no\n");
  expect(await ok("user permissions ann@pve --path /nodes")).toBe(
    "PATH    PRIVILEGES\n/nodes  Datastore.Audit,Sys.Audit,VM.Audit\n",
  );
  expect(await ok("user permissions ann@pve --path /vms")).toBe("ann@pve may nothing on /vms.\n");
  expect(await json("user permissions ann@pve")).toEqual({
    "/nodes": { "Datastore.Audit": 0, "Sys.Audit": 0, "VM.Audit": 0 },
  });
  expect(await ok("acl delete /nodes watcher --users ann@pve")).toBe(
    "ann@pve: watcher on /nodes no more.\n",
  );
  await ok("role delete watcher");
  expect(file("user.cfg")).not.toContain("watcher");
});

test("realms: pam and pve are changed, others are left to Proxmox VE", async () => {
  await ok("realm modify pve --comment Staff --default 1 --tfa type=oath,digits=8");
  expect(await ok("realm list")).toBe(
    "REALM  TYPE  DEFAULT  SECOND FACTOR  COMMENT\n" +
      "pve    pve   yes      oath           Staff\n" +
      "pam    pam   no                      Linux PAM standard authentication\n",
  );
  await ok("realm modify pve --tfa ''");
  await ok("realm delete pve");
  expect(file("domains.cfg").trim()).toBe("");
  await refused("realm modify corp --comment x", 1, /domain 'corp' does not exist/);
});

test("what is refused ends with 1 and the node's words, a wrong line with 2 and nothing done, no node with 3", async () => {
  await refused("user delete nobody@pve", 1, /delete user failed: no such user \('nobody@pve'\)/);
  await refused("user add 'a b@pve'", 1, /userid: .*valid user name/);
  await refused("role delete PVEAuditor", 1, /auto-generated role 'PVEAuditor' cannot be deleted/);
  await refused("acl add / PVEAuditor", 2, /say to whom: --users, --groups or --tokens/);
  await refused("user modify root@pam", 2, /say what of root@pam is to be changed/);
  await refused("user add", 2, /USER/);
  await refused("user add ann@pve --expire tomorrow", 2, /a day such as 2027-12-31/);
  await refused("token add root@pam x --privsep yes", 2, /--privsep/);
  const nobody = await quorate("user list", { at: join(root, "none") });
  expect(nobody).toMatchObject({ code: 3, out: "" });
  expect(nobody.error).toContain("no node answers");
});
