// What holds for every route, whatever it does: who may not call it is told so, what is wrong is named, what is not there is said to be
// not there, and no request, however malformed, is answered by a fault of ours (pvecm.md §4.4).
import { afterAll, describe, expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import * as v from "valibot";
import { type Caller, rootCaller, type Route } from "../../src/shell/api/route.ts";
import { forwarding } from "../../src/shell/door/forwarding.ts";
import { openApiDocument } from "../../src/shell/openapi/document.ts";
import { apiNodeName, openApiNode } from "../double/api-app.ts";
import {
  badValue,
  basePath,
  type Drawn,
  drawn,
  type Given,
  goodValue,
  malformed,
  nameOf,
  requestOf,
  requiredOf,
  schemasOf,
} from "../double/api-requests.ts";

const requestsPerRoute = 1000;
const batch = 50;
/** It is some seconds of work for all of them; a busy machine may take its time. */
const patienceMs = 600_000;

const node = await openApiNode("cluster");
afterAll(() => node.close());

const faults: string[] = [];
const asRoot = appFor(rootCaller);
const asUser = appFor({ user: "nobody@pve", isToken: false, may: () => false });
const asRootsToken = appFor({ ...rootCaller, isToken: true });
const asStranger = node.appFor(async () => ({ ok: false, reason: "No ticket" }));

function appFor(caller: Caller) {
  return node.appFor(
    async () => ({ ok: true, caller }),
    (call, error) => {
      faults.push(`${call}: ${error instanceof Error ? error.stack : String(error)}`);
    },
  );
}

interface Answered {
  readonly status: number;
  readonly phrase: string;
  readonly body: Record<string, unknown> | undefined;
}

async function ask(app: typeof asRoot, what: Drawn): Promise<Answered> {
  const response = await app.fetch(requestOf(what), { address: "192.0.2.1" });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  const body: unknown = isJson && text !== "" ? JSON.parse(text) : undefined;
  return {
    status: response.status,
    phrase: response.statusText,
    body: v.is(v.record(v.string(), v.unknown()), body) ? body : undefined,
  };
}

/** What stands in paths, so that a route has something to say. */
const places: Given = {
  ...{ node: apiNodeName, upid: "UPID:n1:00000001:00000001:67E0A1B2:x::root@pam:" },
  ...{ userid: "somebody@pve", tokenid: "some", groupid: "some", roleid: "Some" },
  ...{ service: "quorate-node", path: "/some", link: "1" },
};
const inPath = (route: Route): Given =>
  Object.fromEntries(
    [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, places[name] ?? "1"]),
  );
const named = node.routes.map((route) => [nameOf(route), route] as const);

describe("without a login", () => {
  const closed = named.filter(([, { permission }]) => permission.kind !== "none");
  test.each(closed)("%s: 401", async (_, route) => {
    expect(await ask(asStranger, drawn(route, inPath(route)))).toMatchObject({
      status: 401,
      phrase: "No ticket",
      ...(route.isOurs === true ? {} : { body: undefined }),
    });
  });

  test("what is not there is no more to see than what is", async () => {
    for (const base of ["/api2/json", "/api/v1"]) {
      const nothing = { method: "GET", path: `${base}/nothing`, headers: {}, body: undefined };
      expect(await ask(asStranger, nothing)).toMatchObject({ status: 401 });
    }
  });
});

describe("without the right", () => {
  const guarded = named.filter(
    ([
      ,
      {
        permission: { kind },
      },
    ]) => kind === "root" || kind === "privilege" || kind === "rule",
  );
  test.each(guarded)("%s: 403", async (_, route) => {
    expect(await ask(asUser, drawn(route, inPath(route)))).toMatchObject({
      status: 403,
      phrase: expect.stringMatching(/^Permission check failed/),
    });
    if (route.permission.kind !== "root") return;
    // No rule lets a token in there, root's neither.
    expect(await ask(asRootsToken, drawn(route, inPath(route)))).toMatchObject({ status: 403 });
  });
});

describe("wrong parameters", () => {
  test.each(named)("%s: 400 with their names", async (_, route) => {
    for (const [name, schema] of schemasOf(route)) {
      const all = fc.sample(badValue(schema), { numRuns: 8, seed: 1 });
      for (const bad of new Set(all)) {
        // A path with nothing between its slashes is another one.
        if (bad === "" && route.path.includes(`{${name}}`)) continue;
        const answer = await ask(asRoot, drawn(route, { ...inPath(route), [name]: bad }));
        expect({ name, bad: bad.slice(0, 20), ...answer }).toMatchObject({ status: 400 });
        expect(Object.keys(errorsOf(answer))).toContain(name);
      }
    }
    for (const name of requiredOf(route)) {
      if (route.path.includes(`{${name}}`)) continue;
      const answer = await ask(asRoot, drawn(route, inPath(route)));
      expect(answer).toMatchObject({ status: 400, phrase: "Parameter verification failed." });
      expect(errorsOf(answer)[name]).toBe("property is missing and it is not optional");
    }
    const unknown = await ask(asRoot, drawn(route, { ...inPath(route), zz: "1" }));
    expect(unknown).toMatchObject({ status: 400 });
    expect(errorsOf(unknown)["zz"]).toContain("does not allow additional properties");
  });

  const withBody = named.filter(([, { method }]) => method === "POST" || method === "PUT");
  test.each(withBody)("%s: so in JSON, which has other types", async (_, route) => {
    const { path } = drawn(route, inPath(route));
    const inJson = async (given: object): Promise<Answered> => {
      const headers = { "content-type": "application/json" };
      return ask(asRoot, { method: route.method, path, headers, body: JSON.stringify(given) });
    };
    for (const name of Object.keys(route.parameters)) {
      if (route.path.includes(`{${name}}`)) continue;
      for (const bad of [{}, { a: 1 }, [], ["a"], [[0]]]) {
        const answer = await inJson({ [name]: bad });
        expect({ name, bad, ...answer }).toMatchObject({ status: 400 });
        expect(Object.keys(errorsOf(answer))).toContain(name);
      }
    }
    for (const name of requiredOf(route).filter((each) => !route.path.includes(`{${each}}`))) {
      // What is null is not there.
      expect(errorsOf(await inJson({ [name]: null }))[name]).toBe(
        "property is missing and it is not optional",
      );
    }
  });

  const ofTheOriginal = named.filter(([, { isOurs }]) => isOurs !== true);
  test.each(ofTheOriginal)(
    "%s: in the format extjs in an answer that says so",
    async (_, route) => {
      const { path, ...rest } = drawn(route, { ...inPath(route), zz: "1" });
      const answer = await ask(asRoot, { ...rest, path: path.replace("/json/", "/extjs/") });
      expect(answer).toMatchObject({ status: 200, body: { success: 0, status: 400, data: null } });
      expect(Object.keys(errorsOf(answer))).toContain("zz");
    },
  );

  test.each(named)("%s: every text has a bound", (_, route) => {
    for (const [name, schema] of schemasOf(route)) {
      if (schema["type"] !== "string" || schema["enum"] !== undefined) continue;
      expect({ name, maxLength: schema["maxLength"] }).toEqual({
        name,
        maxLength: expect.any(Number),
      });
    }
  });
});

function errorsOf({ body }: Answered): Record<string, unknown> {
  const errors = body?.["errors"];
  return v.is(v.record(v.string(), v.unknown()), errors) ? errors : {};
}

describe("what is not there", () => {
  test.each(named)("below %s: 501", async (_, route) => {
    const { method, path } = drawn(route, inPath(route));
    const where = `${path.split("?")[0]}/nothing/of/this`;
    const shown = where.slice(basePath({ ...route, path: "" }).length);
    expect(await ask(asRoot, { method, path: where, headers: {}, body: undefined })).toMatchObject({
      status: 501,
      body: { data: null, message: `Method '${method} ${shown}' not implemented\n` },
    });
  });
});

/** Of the right form, and nothing of it is there. */
const absent: Given = {
  ...{
    userid: "absent@pve",
    tokenid: "absent",
    groupid: "absent",
    roleid: "absent",
    realm: "absent",
  },
  ...{
    id: "absent",
    iface: "absent0",
    service: "absent",
    link: "7",
    nodeid: "99",
    setting: "absent",
  },
  upid: "UPID:n1:0000ABCD:00000001:67E0A1B2:absent::root@pam:",
};
/** They name what is to be made. */
const making = new Set([
  "POST /api2/json/cluster/config/nodes/{node}",
  "POST /api/v1/cluster/links/{link}",
]);
/** Nothing is to be told of what is not there, or to be done about it. */
const emptyAnswers: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["GET /api2/json/access/tfa/{userid}", []],
  ["GET /api2/json/access/users/{userid}/tfa", expect.anything()],
  ["PUT /api2/json/access/users/{userid}/unlock-tfa", 0],
  ["GET /api2/json/nodes/{node}/tasks/{upid}", [{ name: "log" }, { name: "status" }]],
  ["DELETE /api/v1/cluster/links/{link}", expect.objectContaining({ isDone: true, changes: [] })],
]);

describe("an id that is not there", () => {
  const one = named.filter(
    ([name, { path }]) =>
      !making.has(name) && /\{(?!node\})/.test(path.replace("/cluster/nodes/{node}", "/{id}")),
  );
  test.each(one)("%s: said to be not there, and by its name", async (name, route) => {
    const others = [...schemasOf(route)]
      .filter(([each]) => requiredOf(route).includes(each))
      .map(([each, schema]) => [each, drawnFrom(goodValue(schema))] as const);
    const inIt = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, each = ""]) => each);
    const ids = inIt.map((each) => [each, each === "node" ? apiNodeName : (absent[each] ?? "")]);
    if (route.path.startsWith("/cluster/")) ids.push(["node", "absent"]);
    if (route.path.startsWith("/join-tokens/")) ids.push(["id", "0123456789abcdef"]);
    const ofRoute = ids.filter(([each = ""]) => route.parameters[each] !== undefined);
    const before = faults.length;
    const answer = await ask(
      asRoot,
      drawn(route, { ...Object.fromEntries(others), ...Object.fromEntries(ofRoute) }),
    );
    expect(faults.slice(before)).toEqual([]);
    const empty = emptyAnswers.get(name);
    if (emptyAnswers.has(name)) {
      return expect(answer).toMatchObject({ status: 200, body: { data: empty } });
    }
    expect(route.isOurs === true ? [400, 404] : [400, 404, 500]).toContain(answer.status);
    const wanted = ofRoute.filter(([, value]) => value !== apiNodeName);
    const isNamed = wanted.some(
      ([each = "", value = ""]) =>
        answer.phrase.includes(value) || Object.hasOwn(errorsOf(answer), each),
    );
    expect({ ...answer, isNamed }).toMatchObject({ isNamed: true });
  });

  test.each(
    named.filter(
      ([, { path, isForAllNodes }]) => path.startsWith("/nodes/{node}") && isForAllNodes !== true,
    ),
  )("%s of an unknown node: 500 in the original's words", async (_, route) => {
    const app = node.appFor(
      async () => ({ ok: true, caller: rootCaller }),
      undefined,
      forwarding({
        files: node.parts.tree,
        nodeName: apiNodeName,
        port: 1,
        credentials: async () => ({}),
      }),
    );
    expect(await ask(app, drawn(route, { ...inPath(route), node: "absent" }))).toMatchObject({
      status: 500,
      phrase: "unknown node 'absent'",
      body: { data: null, message: "unknown node 'absent'\n" },
    });
  });
});

/** What changes nothing of the cluster, or has words of its own; the rest of what is no GET needs quorum. */
const withoutQuorum: ReadonlyMap<string, string> = new Map([
  ["POST /api2/json/access/ticket", "a login changes nothing"],
  ["POST /api/v1/session", "a login changes nothing"],
  ["PUT /api/v1/session", "nor does its renewal"],
  ["DELETE /api/v1/session", "nor its end"],
  ["DELETE /api2/json/nodes/{node}/tasks/{upid}", "a task of this node"],
  ["POST /api2/json/access/domains", "makes none, and says why"],
  ["PUT /api/v1/expected", "it is for when there is none"],
  ["PUT /api/v1/votes/{nodeid}", "it is for when there is none"],
  ["POST /api/v1/quorum/cancel-wait-for-all", "it is for when there is none"],
  ["POST /api/v1/alerts/test", "it is for when there is none, too"],
  ["POST /api/v1/device/stop", "of this machine"],
  ["POST /api/v1/nodes/{node}/device/check", "changes nothing"],
  ["POST /api/v1/reload", "each node reads its own file"],
  ["PUT /api2/json/nodes/{node}/dns", "of this machine"],
  ["PUT /api2/json/nodes/{node}/time", "of this machine"],
  ["POST /api2/json/nodes/{node}/hosts", "of this machine"],
  ["POST /api2/json/nodes/{node}/services/{service}/start", "of this machine"],
  ["POST /api2/json/nodes/{node}/services/{service}/stop", "of this machine"],
  ["POST /api2/json/nodes/{node}/services/{service}/restart", "of this machine"],
  ["POST /api2/json/nodes/{node}/services/{service}/reload", "of this machine"],
  ["POST /api2/json/cluster/config", "this node is in no cluster yet"],
  ["POST /api/v1/cluster", "this node is in no cluster yet"],
  ["POST /api2/json/cluster/config/join", "this node is in no cluster yet"],
  ["POST /api/v1/join/read", "changes nothing"],
  ["POST /api/v1/join", "this node is in no cluster yet"],
  ["POST /api/v1/join/checks", "changes nothing"],
  ["POST /api2/json/cluster/config/nodes/{node}", "asks for it after the joining node's version"],
  ["POST /api/v1/join/reserve", "as above"],
  ["POST /api/v1/join/token/reserve", "as above"],
  ["POST /api/v1/join/check", "changes nothing"],
  ["POST /api/v1/join/token/check", "changes nothing"],
  ["POST /api/v1/join/probe", "changes nothing"],
  ["POST /api/v1/join/token/probe", "changes nothing"],
  ["POST /api/v1/join/state", "changes nothing"],
  ["POST /api/v1/cluster/membership", "changes nothing"],
  ["POST /api/v1/node/certificates", "waits for the lock, and says so"],
  ["POST /api/v1/join/cancel", "waits for the lock, and says so"],
]);

/** Some look first whether there is what they name, as the original does. */
const factorId = "recovery";
const somebody = {
  recovery: { secret: "00", created: 1, entries: [null] },
  "totp-locked": true,
};
const thereBefore = {
  "user.cfg": "user:somebody@pve:1:0::::::\n",
  "priv/tfa.cfg": JSON.stringify({ users: { "somebody@pve": somebody } }),
};
/** What a route needs to have something to do. */
const toDo: Readonly<Record<string, Given>> = {
  "POST /access/users": { userid: "another@pve" },
  "/alerts/mute": { what: "link", seconds: "60" },
  "/access/acl": { path: "/", roles: "PVEAuditor", users: "somebody@pve" },
  "/access/domains/{realm}": { realm: "pve", comment: "another" },
  "/access/password": { userid: "somebody@pve", password: "correct horse" },
  "/access/tfa/{userid}": { type: "recovery" },
  "/access/tfa/{userid}/{id}": { id: factorId, description: "another" },
};
/** Of the route, and nothing that it does not take. */
const toDoOf = (route: Route): Given => {
  const given = toDo[`${route.method} ${route.path}`] ?? toDo[route.path] ?? {};
  return Object.fromEntries(Object.entries(given).filter(([each]) => each in route.parameters));
};

describe("without quorum", async () => {
  const cut = await openApiNode("noQuorum", thereBefore);
  afterAll(() => cut.close());
  const app = cut.appFor(async () => ({ ok: true, caller: rootCaller }));
  const changing = named.filter(([, { method }]) => method !== "GET");

  test.each(changing.filter(([name]) => !withoutQuorum.has(name)))(
    "%s: refused as the original refuses it",
    async (_, route) => {
      const fine = [...schemasOf(route)]
        .filter(([name]) => requiredOf(route).includes(name))
        .map(([name, schema]) => [name, places[name] ?? drawnFrom(goodValue(schema))] as const);
      const dry = route.parameters["dry-run"] === undefined ? {} : { "dry-run": "0" };
      const given = { ...Object.fromEntries(fine), ...dry, ...toDoOf(route) };
      const { status, phrase, body } = await ask(app, drawn(route, given));
      // Where the original takes the lock of a file first, it is that which says so.
      expect(route.isOurs === true ? [500, 503] : [500]).toContain(status);
      expect(phrase).toMatch(/quorum/);
      // A file of the tree may be written or not for other reasons, too.
      expect(body?.["code"]).toBe(route.path.startsWith("/tree") ? "notWritable" : "noQuorum");
    },
  );

  test("a joining node is told so, when its version is one that is spoken", async () => {
    const place = { node: "n4", apiversion: "1", new_node_ip: "10.96.0.4" };
    for (const [name, more] of [
      ["POST /api2/json/cluster/config/nodes/{node}", {}],
      ["POST /api/v1/join/reserve", { secret: "0".repeat(32) }],
    ] as const) {
      const route = named.find(([each]) => each === name)?.[1];
      if (route === undefined) throw new Error(`there is no ${name}`);
      expect(await ask(app, drawn(route, { ...place, ...more }))).toMatchObject({
        status: 500,
        phrase: "cluster not ready - no quorum?",
      });
    }
  });

  test("what is read is answered", async () => {
    for (const path of ["/api2/json/cluster/status", "/api2/json/cluster/config/nodes"]) {
      const { status, body } = await ask(app, {
        method: "GET",
        path,
        headers: {},
        body: undefined,
      });
      expect({ status, body }).toMatchObject({ status: 200, body: { data: expect.any(Array) } });
    }
  });
});

function drawnFrom(values: fc.Arbitrary<string>): string {
  const [value = ""] = fc.sample(values, { numRuns: 1, seed: 1 });
  return value;
}

describe("what a GET answers is what its description says", () => {
  const plain = named.filter(
    ([, { method, returns, contentType }]) =>
      method === "GET" && returns !== undefined && contentType === undefined,
  );
  test.each(plain)("%s", async (_, route) => {
    const { status, body } = await ask(asRoot, drawn(route, inPath(route)));
    // Of what stands in the path there may be nothing.
    if (status !== 200) return expect(body?.["code"] === "internal" ? faults.at(-1) : "").toBe("");
    const { paths } = openApiDocument([route], "0");
    const content = paths[basePath(route)]?.["get"]?.responses["200"]?.["content"];
    const { schema } = v.parse(contentSchema, content)["application/json"];
    const isAsSaid = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(schema);
    expect({ body, isAsSaid: isAsSaid(body), errors: isAsSaid.errors }).toMatchObject({
      isAsSaid: true,
    });
  });
});

const contentSchema = v.object({
  "application/json": v.object({ schema: v.record(v.string(), v.unknown()) }),
});

describe(`${requestsPerRoute} malformed requests`, () => {
  test.each(named)(
    "%s: refused, each of them, and nothing stays",
    async (_, route) => {
      const before = faults.length;
      const seen = new Set<number>();
      await fc.assert(
        fc.asyncProperty(
          fc.array(malformed(route, inPath(route)), { minLength: batch, maxLength: batch }),
          async (all) => {
            const answers = await Promise.all(all.map((each) => ask(asRoot, each)));
            for (const [at, { status }] of answers.entries()) {
              seen.add(status);
              const refused = [400, 404, 413, 501].includes(status);
              if (!refused)
                throw new Error(`${status} for ${JSON.stringify(all[at]).slice(0, 500)}`);
            }
          },
        ),
        { numRuns: requestsPerRoute / batch },
      );
      expect(faults.slice(before)).toEqual([]);
      expect([...seen]).toContain(501);
    },
    patienceMs,
  );

  test(
    "the node serves on, and holds no more than before",
    async () => {
      const version = { method: "GET", path: "/api2/json/version", headers: {}, body: undefined };
      const ordinary = await ask(asRoot, version);
      expect(ordinary).toMatchObject({ status: 200 });
      const route = node.routes.find(({ path }) => path === "/cluster/config/nodes/{node}");
      if (route === undefined) throw new Error("there is a route that adds nodes");
      const wave = fc.sample(malformed(route, inPath(route)), { numRuns: 2000, seed: 1 });
      const heap = async (): Promise<number> => {
        for (const each of wave) await ask(asRoot, each);
        Bun.gc(true);
        return process.memoryUsage().heapUsed;
      };
      await heap();
      const before = await heap();
      expect(await heap()).toBeLessThan(before + 8 * 1024 * 1024);
      const written = await node.parts.tree.create("after");
      expect(written.ok).toBe(true);
    },
    patienceMs,
  );
});
