// The form of the network API: formats, parameters, refusals and permissions (pvecm.md §4.1, §4.4), with routes of its own.
import { expect, test } from "bun:test";
import { buildApi2 } from "./api2.ts";
import * as parameter from "./parameters.ts";
import {
  anybody,
  anyUser,
  ApiError,
  type Caller,
  onlyRoot,
  Page,
  privileged,
  rootCaller,
  route,
} from "./route.ts";

const auditor: Caller = {
  user: "ann@pve",
  isToken: false,
  may: (path, privilege) => path === "/nodes/pve1" && privilege === "Sys.Audit",
};
const callers: Readonly<Record<string, Caller>> = {
  root: rootCaller,
  ann: auditor,
  token: { ...rootCaller, isToken: true },
};

const routes = [
  route({
    method: "POST",
    path: "/cluster/config",
    description: "All kinds of parameters.",
    permission: onlyRoot,
    parameters: {
      clustername: parameter.text({ min: 1, max: 15 }),
      votes: parameter.optional(parameter.integer({ min: 1 })),
      force: parameter.optional(parameter.boolean()),
    },
    handle: ({ parameters }) => ({ ...parameters, isSame: true }),
  }),
  route({
    method: "GET",
    path: "/nodes/{node}/tasks",
    description: "A list in pages.",
    permission: privileged("/nodes/{node}", "Sys.Audit"),
    parameters: { node: parameter.nodeName() },
    handle: ({ parameters }) => new Page([parameters.node], 7),
  }),
  route({
    method: "GET",
    path: "/nodes/first/tasks",
    description: "Fixed words win.",
    permission: anyUser,
    parameters: {},
    handle: ({ caller }) => caller.user,
  }),
  route({
    method: "GET",
    path: "/access/ticket",
    description: "For anybody.",
    permission: anybody,
    parameters: {},
    handle: ({ caller }) => (caller.user === "" ? undefined : "known"),
  }),
  route({
    method: "GET",
    path: "/",
    description: "The top.",
    permission: anyUser,
    parameters: {},
    handle: () => [{ subdir: "cluster" }],
  }),
  route({
    method: "GET",
    path: "/broken",
    description: "Fails.",
    permission: anyUser,
    parameters: {},
    handle: () => {
      throw new Error("first line\nsecond line");
    },
  }),
  route({
    method: "GET",
    path: "/refused",
    description: "Refuses.",
    permission: anyUser,
    parameters: {},
    handle: () => {
      throw new ApiError(424, "no cluster", { code: "standalone", hint: "make one" });
    },
  }),
  route({
    method: "GET",
    path: "/long",
    description: "Worth compressing.",
    permission: anyUser,
    parameters: {},
    handle: () => "x".repeat(5000),
  }),
  route({
    method: "GET",
    path: "/ours",
    isOurs: true,
    description: "With booleans.",
    permission: anyUser,
    parameters: {},
    handle: () => ({ isSame: true }),
  }),
];

const app = buildApi2({
  routes,
  authenticate: async ({ headers }) => {
    const caller = callers[headers.get("authorization") ?? ""];
    return caller === undefined ? { ok: false, reason: "No ticket" } : { ok: true, caller };
  },
});

interface Sent {
  readonly as?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function call(method: string, path: string, more: Sent = {}) {
  const { as = "root", headers, ...rest } = more;
  const all = { ...(as === "" ? {} : { authorization: as }), ...headers };
  const request = new Request(`https://node${path}`, { method, ...rest, headers: all });
  // As a listener does; the constructor leaves it to the connection.
  if (typeof rest.body === "string") request.headers.set("content-length", `${rest.body.length}`);
  const response = await app.fetch(request, { address: "192.0.2.1" });
  const text = await response.text();
  const body: unknown = text === "" ? undefined : JSON.parse(text);
  return { status: response.status, phrase: response.statusText, body, headers: response.headers };
}

const form = { "content-type": "application/x-www-form-urlencoded" };

test("parameters come from query, form and JSON; booleans are 0 and 1 both ways", async () => {
  const data = { clustername: "prod", votes: 2, force: 1, isSame: 1 };
  for (const more of [
    { body: "clustername=prod&votes=2&force=1", headers: form },
    {
      body: '{"clustername":"prod","votes":2,"force":true}',
      headers: { "content-type": "application/json; charset=utf-8" },
    },
  ]) {
    expect(await call("POST", "/api2/json/cluster/config?_dc=17", more)).toMatchObject({
      status: 200,
      body: { data },
    });
  }
  const query = "/api2/extjs/cluster/config?clustername=prod&votes=%2B2&force=on";
  expect((await call("POST", query)).body).toEqual({ success: 1, data });
  expect((await call("GET", "/api/v1/ours")).body).toEqual({ data: { isSame: true } });
});

test("a bad parameter is refused by name, in the original's words", async () => {
  const refused = async (query: string) =>
    (await call("POST", `/api2/json/cluster/config?${query}`)).body;
  expect(
    await call("POST", "/api2/json/cluster/config?clustername=0123456789abcdef"),
  ).toMatchObject({
    status: 400,
    phrase: "Parameter verification failed.",
    body: {
      data: null,
      message: "Parameter verification failed.\n",
      errors: { clustername: "value may only be 15 characters long" },
    },
  });
  expect(await refused("votes=0&force=maybe&other=1")).toMatchObject({
    errors: {
      clustername: "property is missing and it is not optional",
      votes: "value must have a minimum value of 1",
      force: "type check ('boolean') failed - got 'maybe'",
      other:
        "property is not defined in schema and the schema does not allow additional properties",
    },
  });
  expect(await refused("clustername=a&clustername=b")).toMatchObject({
    errors: { clustername: "given twice with different values" },
  });
  expect(await refused("__proto__=1&constructor=2&clustername=a")).toMatchObject({
    errors: { constructor: expect.stringContaining("not defined") },
  });
  expect((await call("GET", "/api2/json/nodes/pve1/tasks?node=pve2")).status).toBe(400);
  expect((await call("GET", "/api2/json/nodes/pve1/tasks?node=pve1")).status).toBe(200);
  expect((await call("GET", "/api2/json/nodes/pve_1/tasks")).status).toBe(400);
  const body = { body: "[1]", headers: { "content-type": "application/json" } };
  expect((await call("POST", "/api2/json/cluster/config", body)).status).toBe(400);
});

test("permissions: root itself, a privilege on the path's own node, any user, anybody", async () => {
  const status = async (as: string, method: string, path: string) => {
    const { status: code, phrase } = await call(method, `/api2/json${path}`, { as });
    return `${code} ${phrase}`.trim();
  };
  const noRoot = "403 Permission check failed (user != root@pam)";
  expect(await status("ann", "POST", "/cluster/config?clustername=a")).toBe(noRoot);
  expect(await status("token", "POST", "/cluster/config?clustername=a")).toBe(noRoot);
  expect(await status("root", "POST", "/cluster/config?clustername=a")).toStartWith("200");
  expect(await status("ann", "GET", "/nodes/pve1/tasks")).toStartWith("200");
  expect(await status("ann", "GET", "/nodes/pve2/tasks")).toBe(
    "403 Permission check failed (/nodes/pve2, Sys.Audit)",
  );
  expect(await status("", "GET", "/nodes/pve1/tasks")).toBe("401 No ticket");
  expect(await status("", "GET", "/no/such/thing")).toBe("401 No ticket");
  expect((await call("GET", "/api2/json/access/ticket", { as: "" })).body).toEqual({ data: null });
  expect((await call("GET", "/api2/json/nodes/pve1/tasks", { as: "" })).body).toBeUndefined();
});

test("fixed words win over names; a page has its total", async () => {
  expect((await call("GET", "/api2/json/nodes/first/tasks")).body).toEqual({ data: "root@pam" });
  expect((await call("GET", "/api2/json/nodes/pve1/tasks")).body).toEqual({
    data: ["pve1"],
    total: 7,
  });
});

test("the top has a path, with and without a slash", async () => {
  for (const path of ["/api2/json/", "/api2/json"]) {
    const request = new Request(`https://node${path}`, { headers: { authorization: "root" } });
    expect(await (await app.fetch(request, {})).json()).toEqual({ data: [{ subdir: "cluster" }] });
  }
});

test("what a method throws is 500 with its first line as the phrase; extjs answers 200", async () => {
  const message = "first line\nsecond line";
  expect(await call("GET", "/api2/json/broken")).toMatchObject({
    status: 500,
    phrase: "first line",
    body: { data: null, message: `${message}\n` },
  });
  expect(await call("GET", "/api2/extjs/broken")).toMatchObject({
    status: 200,
    body: { success: 0, status: 500, message, data: null },
  });
  expect((await call("GET", "/api2/json/refused")).body).toEqual({
    data: null,
    message: "no cluster\n",
    code: "standalone",
    hint: "make one",
  });
});

test("what is not there is 501, as are other formats, methods, and bodies where none belongs", async () => {
  const answer = async (method: string, path: string, more: Sent = {}) => {
    const { status, phrase } = await call(method, path, more);
    return `${status} ${phrase}`;
  };
  expect(await answer("GET", "/api2/json/x")).toBe("501 Method 'GET /x' not implemented");
  expect(await answer("DELETE", "/api2/json/cluster/config")).toStartWith("501");
  expect(await answer("PATCH", "/api2/json/broken")).toBe("501 method 'PATCH' not available");
  expect(await answer("GET", "/api2/xml/broken")).toBe("501 no such uri - unknown format 'xml'");
  expect(await answer("GET", "/other")).toStartWith("404");
  expect(await answer("GET", "/api2/json/%ff/x")).toStartWith("501");
  const withLength = { headers: { "content-length": "5" } };
  expect(await answer("GET", "/api2/json/broken", withLength)).toBe(
    "501 Unexpected content for method 'GET'",
  );
  const chunked = { headers: { "transfer-encoding": "chunked" } };
  expect(await answer("POST", "/api2/json/cluster/config", chunked)).toStartWith("501 chunked");
  const large = { body: `clustername=${"a".repeat(70_000)}`, headers: form };
  expect(await answer("POST", "/api2/json/cluster/config", large)).toStartWith("413");
});

test("nothing is cached; long answers are compressed for who takes that", async () => {
  const { headers } = await call("GET", "/api2/json/access/ticket");
  const answers = ["/api2/json/broken", "/api2/extjs/broken", "/api2/xml/broken", "/api/v1/none"];
  for (const path of ["/api2/json/access/ticket", "/other", ...answers]) {
    const found = (await call("GET", path)).headers;
    expect([path, found.get("cache-control")]).toEqual([path, "no-store"]);
    expect([path, found.get("x-content-type-options")]).toEqual([path, "nosniff"]);
  }
  expect(headers.get("pragma")).toBe("no-cache");
  expect(headers.get("content-type")).toBe("application/json;charset=UTF-8");
  const request = new Request("https://node/api2/json/long", {
    headers: { authorization: "root", "accept-encoding": "gzip, br" },
  });
  const packed = await app.fetch(request, {});
  expect(packed.headers.get("content-encoding")).toBe("gzip");
  const bytes = new Uint8Array(await packed.arrayBuffer());
  expect(bytes.length).toBeLessThan(200);
  expect(JSON.parse(new TextDecoder().decode(Bun.gunzipSync(bytes)))).toEqual({
    data: "x".repeat(5000),
  });
  expect((await call("GET", "/api2/json/long")).headers.has("content-encoding")).toBe(false);
});
