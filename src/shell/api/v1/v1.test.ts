// Our part of the API with a tree on disk and a ring on paper: what each resource says, who may, what a dry run leaves alone.
import { afterAll, expect, test } from "bun:test";
import { openApiNode } from "../../../../test/double/api-app.ts";
import { parseExposition } from "../../../../test/double/exposition.ts";
import { pending, ready, until } from "../../../../test/interop/wait.ts";
import { type Caller, rootCaller } from "../route.ts";

const node = await openApiNode("cluster");
const alone = await openApiNode("standalone");
afterAll(async () => {
  await node.close();
  await alone.close();
});

const auditor: Caller = {
  ...{ user: "ann@pve", isToken: false },
  may: (path, privilege) => path === "/" && privilege === "Sys.Audit",
};
const callers: Readonly<Record<string, Caller>> = {
  root: rootCaller,
  token: { ...rootCaller, isToken: true },
  ann: auditor,
  bob: { user: "bob@pve", isToken: false, may: () => false },
};
const known = async ({ headers }: { readonly headers: Headers }) => {
  const caller = callers[headers.get("authorization") ?? ""];
  return caller === undefined
    ? ({ ok: false, reason: "No ticket" } as const)
    : ({ ok: true, caller } as const);
};
const app = node.appFor(known);
const aloneApp = alone.appFor(known);

/** Of an answer; what is a list is read with `rows`. */
interface Data {
  readonly [name: string]: unknown;
}
const rows = (data: unknown) => data as readonly Data[];
const names = (data: unknown) => rows(data).map(({ name }) => name);

async function call(
  method: string,
  path: string,
  words: Readonly<Record<string, string>> = {},
  { as = "root", on = app }: { readonly as?: string; readonly on?: typeof app } = {},
) {
  const text = new URLSearchParams(words).toString();
  const hasBody = method === "POST" || method === "PUT";
  const url = `https://node/api/v1${path}${hasBody || text === "" ? "" : `?${text}`}`;
  const headers = {
    authorization: as,
    ...(hasBody ? { "content-type": "application/x-www-form-urlencoded" } : {}),
  };
  const init = { method, headers, ...(hasBody ? { body: text } : {}) };
  const response = await on.fetch(new Request(url, init), { address: "10.0.0.1" });
  const body = (await response.json()) as {
    readonly data: Data;
    readonly message?: string;
    readonly code?: string;
  };
  return { status: response.status, ...body };
}

test.each([
  ...[
    "/quorum",
    "/votes",
    "/ring",
    "/links",
    "/nodes/n1/links",
    "/nodes/n1/overview",
    "/nodes",
    "/device",
    "/operations",
  ],
  ...["/tree", "/overview"],
])("GET %s is for who may audit", async (path) => {
  expect(await call("GET", path, {}, { as: "ann" })).toMatchObject({ status: 200 });
  expect(await call("GET", path, {}, { as: "bob" })).toMatchObject({ status: 403 });
  expect(await call("GET", path, {}, { as: "" })).toMatchObject({ status: 401 });
});

test("quorum, votes, ring, links and nodes say what the ring says", async () => {
  expect((await call("GET", "/quorum")).data).toMatchObject({
    ...{ mode: "cluster", quorate: true, totalVotes: 3, expectedVotes: 3, quorum: 2 },
    ...{ meaning: expect.stringContaining("quorate: 3 of 3 votes present"), override: "" },
  });
  expect((await call("GET", "/votes")).data).toMatchObject([
    { nodeid: 1, name: "n1", configured: 1, votes: 1, state: "member" },
    { nodeid: 2 },
    { nodeid: 3 },
  ]);
  expect((await call("GET", "/ring")).data).toMatchObject({ nodeid: 1, state: "operational" });
  // Its ring is on paper, without links.
  expect((await call("GET", "/links")).data).toMatchObject([]);
  expect((await call("GET", "/nodes")).data).toMatchObject([
    { name: "n1", isLocal: true, isMember: true, fault: "" },
    { name: "n2" },
    { name: "n3" },
  ]);
  expect((await call("GET", "/device")).data).toMatchObject({ device: null, fault: "" });
  const overview = (await call("GET", "/overview")).data;
  for (const each of ["quorum", "nodes", "links"]) {
    expect(overview[each]).toEqual((await call("GET", `/${each}`)).data);
  }
  expect(overview).toMatchObject({
    ...{ node: "n1", cluster: { name: "svlab", configVersion: 1, encrypted: false } },
    ...{ warnings: ["a warning of the test"], device: null, operation: null, leftover: null },
    tree: { isWritable: true, reason: "" },
  });
  const own = (await call("GET", "/overview", {}, { on: aloneApp })).data;
  expect(own).toMatchObject({ quorum: { mode: "standalone" }, cluster: { name: "" } });
});

test("a standalone node says so, and has no ring", async () => {
  const on = aloneApp;
  expect((await call("GET", "/quorum", {}, { on })).data).toMatchObject({
    ...{ mode: "standalone", quorate: true },
    meaning: expect.stringContaining("in no cluster"),
  });
  for (const [method, path] of [
    ["GET", "/ring"],
    ["PUT", "/expected"],
    ["POST", "/reload"],
  ] as const) {
    const words = path === "/expected" ? { votes: "1" } : {};
    const answer = await call(method, path, words, { on });
    expect(answer).toMatchObject({ status: 424, code: "standalone" });
  }
});

test("a dry run of the expected votes says what would be, or why it would be refused", async () => {
  const dry = (votes: string) => call("PUT", "/expected", { votes, "dry-run": "1" });
  expect(await dry("4")).toMatchObject({
    status: 200,
    data: {
      ...{ isChanged: false, isQuorate: true },
      notes: [expect.stringContaining("4 expected votes instead of 3: quorum would be 3")],
    },
  });
  expect(await dry("2")).toMatchObject({
    status: 409,
    message: expect.stringContaining("at least 3"),
  });
  expect(await dry("6")).toMatchObject({
    status: 409,
    message: expect.stringContaining("at most 5"),
  });
  expect(await call("PUT", "/expected", { votes: "4" }, { as: "ann" })).toMatchObject({
    status: 403,
  });
  expect(await call("PUT", "/votes/9", { votes: "1" })).toMatchObject({ status: 404 });
});

test("every operation that there is has a dry run, and is found by it", async () => {
  const { operations } = (await call("GET", "/operations")).data;
  const found = rows(operations).map(({ method, path }) => `${String(method)} ${String(path)}`);
  for (const name of ["PUT /expected", "POST /cluster/leave", "DELETE /cluster/nodes/{node}"]) {
    expect(found).toContain(name);
  }
});

test("a file is written, read, and written again only by who has read what is there", async () => {
  const put = (words: Readonly<Record<string, string>>) =>
    call("PUT", "/tree/file", { path: "/a.cfg", ...words });
  const dry = await put({ content: "x", "dry-run": "1" });
  expect(dry.data).toMatchObject({ isChanged: false, version: null });
  expect(await call("GET", "/tree/file", { path: "a.cfg" })).toMatchObject({ status: 404 });
  const first = await put({ content: "one\n", version: "0" });
  expect(first).toMatchObject({ status: 200, data: { path: "a.cfg", isChanged: true } });
  const read = await call("GET", "/tree/file", { path: "//a.cfg" });
  const version = Number(first.data["version"]);
  expect(read.data).toMatchObject({ encoding: "text", content: "one\n", size: 4, version });
  const second = await put({ content: "two\n", version: String(version) });
  const newer = Number(second.data["version"]);
  expect(newer).toBeGreaterThan(version);
  for (const stale of ["0", String(version)]) {
    expect(await put({ content: "three\n", version: stale })).toMatchObject({
      ...{ status: 412, code: "staleVersion" },
      message: `/a.cfg: it has version ${newer} now, and not version ${stale}\n`,
    });
    expect(await call("DELETE", "/tree", { path: "a.cfg", version: stale })).toMatchObject({
      status: 412,
    });
  }
  expect((await call("GET", "/tree/file", { path: "a.cfg" })).data["content"]).toBe("two\n");
  const gone = { path: "a.cfg", version: String(newer) };
  expect(await call("DELETE", "/tree", gone)).toMatchObject({ status: 200 });
  expect(await call("GET", "/tree", { path: "a.cfg" })).toMatchObject({ status: 404 });
  // The lock of the file is given back.
  const locks = await call("GET", "/tree", { path: "priv/lock" });
  expect(locks.data["entries"]).toMatchObject([]);
});

test("of many writers with the same version one wins", async () => {
  const writes = await Promise.all(
    Array.from({ length: 8 }, (_, writer) =>
      call("PUT", "/tree/file", { path: "race", version: "0", content: String(writer) }),
    ),
  );
  const won = writes.filter(({ status }) => status === 200);
  expect(won).toHaveLength(1);
  expect(writes.filter(({ status }) => status === 412)).toHaveLength(7);
  const { data } = await call("GET", "/tree/file", { path: "race" });
  expect(data["content"]).toBe(String(writes.findIndex(({ status }) => status === 200)));
}, 30_000);

test("bytes that are no text come and go in base64; what is no base64 is refused by its name", async () => {
  const bytes = Buffer.from([0, 255, 254, 10]).toString("base64");
  const words = { path: "bin", content: bytes, encoding: "base64" };
  expect(await call("PUT", "/tree/file", words)).toMatchObject({ status: 200 });
  expect((await call("GET", "/tree/file", { path: "bin" })).data).toMatchObject({
    encoding: "base64",
    content: bytes,
  });
  for (const content of ["=", "a", "ab=", "a b c d", "\u00e4\u00e4\u00e4\u00e4"]) {
    expect(await call("PUT", "/tree/file", { ...words, content })).toMatchObject({
      status: 400,
      errors: { content: expect.stringContaining("no base64") },
    });
  }
});

test("priv, keys and realm secrets are root's alone, by whatever name they are asked for", async () => {
  const hidden = [
    "priv/x",
    "/priv//x",
    "nodes/n1/priv/x",
    "nodes//n1//priv/x",
    "local/priv/x",
    "local//priv//x",
    "nodes/n1/pve-ssl.key",
    "local/pve-ssl.key",
    "pve-www.key",
    "domains.cfg",
  ];
  for (const path of hidden.filter((each) => !each.includes("//") && !each.includes("local"))) {
    await call("PUT", "/tree/file", { path, content: "secret" });
  }
  for (const path of hidden) {
    const clean = path.replace(/^\/+/, "");
    expect([path, (await call("GET", "/tree/file", { path: clean })).status]).toEqual([path, 200]);
    for (const as of ["ann", "token"]) {
      for (const route of ["/tree", "/tree/file", "/tree/watch"]) {
        const answer = await call("GET", route, { path }, { as });
        expect([as, route, path, answer.status]).toEqual([as, route, path, 403]);
        expect(JSON.stringify(answer)).not.toContain("secret");
      }
    }
  }
  for (const path of ["priv", "local/priv"]) {
    expect((await call("GET", "/tree", { path }, { as: "ann" })).status).toBe(403);
  }
  expect((await call("GET", "/tree", { path: "local" }, { as: "ann" })).data["path"]).toBe(
    "nodes/n1",
  );
});

test("changes of the tree are root's, and not by a token", async () => {
  for (const as of ["ann", "token"]) {
    const answer = await call("PUT", "/tree/file", { path: "b", content: "" }, { as });
    expect(answer).toMatchObject({ status: 403 });
    const removed = await call("DELETE", "/tree", { path: "corosync.conf" }, { as });
    expect(removed).toMatchObject({ status: 403 });
  }
});

test("the cluster's corosync.conf is neither spoilt nor lost by mistake", async () => {
  const path = "corosync.conf";
  const spoilt = await call("PUT", "/tree/file", { path, content: "totem {" });
  expect(spoilt).toMatchObject({ status: 400, hint: expect.stringContaining("force=1") });
  expect(await call("DELETE", "/tree", { path })).toMatchObject({ status: 403 });
  expect(await call("PUT", "/tree/file", { path: "/", content: "" })).toMatchObject({
    status: 400,
  });
});

/** Its pieces, as text. */
async function stream(path: string, as = "root", headers: Record<string, string> = {}) {
  const request = new Request(`https://node/api/v1${path}`, {
    headers: { authorization: as, ...headers },
  });
  const response = await app.fetch(request, { address: "10.0.0.1" });
  expect(response.headers.get("content-type")).toStartWith("text/event-stream");
  const reader = response.body!.getReader();
  const next = async () => new TextDecoder().decode((await reader.read()).value);
  return {
    next,
    /** The first piece that has this. */
    until: async (words: string) => {
      for (;;) {
        const piece = await next();
        if (piece.includes(words) || piece === "") return piece;
      }
    },
    end: () => reader.cancel(),
  };
}

test("a change of the tree comes down the streams, of what is secret only root's", async () => {
  const root = await stream("/events?kinds=tree");
  const ann = await stream("/events?kinds=tree", "ann");
  const watch = await stream("/tree/watch?path=d", "ann");
  for (const each of [root, ann, watch]) expect(await each.next()).toContain("event: ready");
  await call("PUT", "/tree/file", { path: "priv/s", content: "x" });
  expect(await root.until('"priv/s"')).toContain("event: tree");
  await call("PUT", "/tree/file", { path: "e", content: "x" });
  const seen = await ann.until('"paths":["e"]');
  expect(seen).toContain("event: tree");
  expect(seen).not.toContain("priv");
  await call("POST", "/tree/directory", { path: "d" });
  const id = /^id: (\S+)$/m.exec(seen)?.[1] ?? "";
  expect(await watch.next()).toContain('"paths":["d"]');
  for (const each of [root, ann, watch]) await each.end();
  // Who comes back behind that event gets what came after it, and as much of it as before.
  const back = await stream("/events?kinds=tree", "ann", { "last-event-id": id });
  expect(await back.next()).toContain('"isComplete":true');
  expect(await back.next()).toContain('"paths":["d"]');
  await back.end();
  const listed = await call("GET", "/events/list", { since: id, kinds: "tree" }, { as: "ann" });
  expect(listed.data).toMatchObject({ gap: "", events: [{ facts: { paths: ["d"] } }] });
  expect(await call("GET", "/events/list", { kinds: "tree,x" })).toMatchObject({
    status: 400,
    errors: { kinds: expect.stringContaining("membership, quorum") },
  });
});

test("metrics: with a login or an allowed address, at both paths, and a parser reads them", async () => {
  const get = async (path: string, as: string, address = "10.0.0.1") => {
    const request = new Request(`https://node${path}`, { headers: { authorization: as } });
    const response = await app.fetch(request, { address });
    return { status: response.status, text: await response.text() };
  };
  for (const path of ["/metrics", "/api/v1/metrics"]) {
    const { status, text } = await get(path, "ann");
    expect(status).toBe(200);
    const families = new Set(parseExposition(text).map(({ name }) => name));
    for (const name of ["quorate_quorate", "quorate_node_member", "quorate_tree_version"]) {
      expect(families).toContain(name);
    }
  }
  expect((await get("/metrics", "")).status).toBe(401);
  expect((await get("/metrics", "")).text).toContain("quorate.cfg");
  expect((await get("/metrics", "bob")).status).toBe(403);
  await call("PUT", "/tree/file", { path: "quorate.cfg", content: "metrics-from: 10.9.0.0/16\n" });
  expect((await get("/metrics", "", "::ffff:10.9.1.1")).status).toBe(200);
  expect((await get("/metrics", "", "10.8.1.1")).status).toBe(401);
  expect((await get("/api/v1/metrics", "", "10.9.1.1")).status).toBe(401);
});

test("the report has no secret, and the log only for who may read it", async () => {
  const conf = { path: "datacenter.cfg", content: "keyboard: de\nproxy: http://u:hunter2@p/\n" };
  await call("PUT", "/tree/file", conf);
  const report = await call("GET", "/report");
  expect(names(report.data)).toContain("log of this program, oldest first");
  expect(names(report.data)).toContain("corosync.conf of the tree");
  const text = JSON.stringify(report);
  expect(text).toContain("keyboard: de");
  expect(text).not.toContain("hunter2");
  const audited = await call("GET", "/report", {}, { as: "ann" });
  expect(JSON.stringify(names(audited.data))).not.toContain("log");
});

test("history answers in points, and refuses a series that is none", async () => {
  const { data } = await call("GET", "/history", { span: "day", points: "10" });
  expect(data).toMatchObject({ stepS: expect.any(Number), series: expect.any(Object) });
  const some = { span: "day", series: "votes,members" };
  const kept = await until(
    async () => {
      const answer = await call("GET", "/nodes/n1/history", some);
      const found = Object.keys(answer.data["series"] as object);
      return found.length > 0
        ? ready(found)
        : pending("its first look is a second after its start");
    },
    30_000,
    "history",
  );
  expect(kept).toEqual(["votes", "members"]);
  const wrong = [{ span: "year" }, { span: "day", series: "../x" }, { span: "day", series: "a,," }];
  for (const words of wrong) {
    expect(await call("GET", "/history", words)).toMatchObject({ status: 400 });
  }
});

test("the cluster log shows what was said, as it was said, to who may read it", async () => {
  const message = new TextEncoder().encode('a "quote" and an ä');
  const line = { ident: "ann@pve", tag: "test", priority: 6 as const, message };
  node.parts.tree.statusStore.log(line);
  const all = await call("GET", "/cluster-log", { max: "1" });
  expect(all.data).toMatchObject([{ user: "ann@pve", tag: "test", node: "n1" }]);
  expect(rows(all.data)[0]?.["message"]).toContain('a "quote"');
  const own = await call("GET", "/cluster-log", {}, { as: "ann" });
  expect(new Set(rows(own.data).map(({ user }) => user))).toEqual(new Set(["ann@pve"]));
  expect((await call("GET", "/cluster-log", {}, { as: "bob" })).data).toMatchObject([]);
});

// Last: streams are asked again after it, and this test's callers are nobody to the node.
test("what is in a file that other routes hide is root's, whatever the file", async () => {
  for (const path of ["nodes/n1/qemu-server", "nodes/n1/qemu-server/100.conf"]) {
    if (path.endsWith(".conf")) {
      await call("PUT", "/tree/file", { path, content: "cipassword: secret\n" });
    } else await call("POST", "/tree/directory", { path });
  }
  await call("PUT", "/tree/file", { path: "user.cfg", content: "user:a@pve:1:0:::::secret:\n" });
  await call("PUT", "/tree/file", { path: "later.cfg", content: "secret" });
  for (const path of ["nodes/n1/qemu-server/100.conf", "user.cfg", ".clusterlog", "later.cfg"]) {
    for (const as of ["ann", "token"]) {
      const answer = await call("GET", "/tree/file", { path }, { as });
      expect([path, as, answer.status, answer.code]).toEqual([path, as, 403, "rootOnly"]);
      expect(JSON.stringify(answer)).not.toContain("secret");
    }
    expect((await call("GET", "/tree/file", { path })).status).toBe(200);
    // That it is there is no secret.
    expect((await call("GET", "/tree", { path }, { as: "ann" })).status).toBe(200);
  }
  for (const path of ["corosync.conf", ".members", "//corosync.conf"]) {
    expect((await call("GET", "/tree/file", { path }, { as: "ann" })).status).toBe(200);
  }
});
