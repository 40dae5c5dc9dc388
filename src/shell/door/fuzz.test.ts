// A thousand malformed requests over TLS: none is answered with 500, none stops the door, and nothing of them stays.
import { expect, test } from "bun:test";
import { connect } from "node:tls";
import fc from "fast-check";
import { openUnlimitedDoor } from "../../../test/double/open-door.ts";
import { pending, ready, until } from "../../../test/interop/wait.ts";
import { buildApi2 } from "../api/api2.ts";
import * as parameter from "../api/parameters.ts";
import { anyUser, onlyRoot, rootCaller, route } from "../api/route.ts";

const routes = [
  route({
    method: "POST",
    path: "/cluster/config/nodes/{node}",
    description: "All kinds of parameters.",
    permission: onlyRoot,
    parameters: {
      node: parameter.nodeName(),
      votes: parameter.optional(parameter.integer({ min: 0, max: 255 })),
      force: parameter.optional(parameter.boolean()),
      kind: parameter.optional(parameter.oneOf(["a", "b"])),
      link0: parameter.optional(parameter.text({ max: 64 })),
    },
    handle: ({ parameters }) => parameters,
  }),
  route({
    method: "GET",
    path: "/version",
    description: "Without.",
    permission: anyUser,
    parameters: {},
    handle: () => ({ release: "9.1" }),
  }),
];
const app = buildApi2({ routes, authenticate: async () => ({ ok: true, caller: rootCaller }) });
const door = await openUnlimitedDoor((request, facts) => app.fetch(request, facts));

/** All that comes for some bytes, after which nothing more is sent. */
async function answerTo(bytes: Uint8Array): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: door.port, rejectUnauthorized: false });
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = "";
  socket.on("data", (piece: Uint8Array) => (received += Buffer.from(piece).toString("latin1")));
  // The door may cut what is still being sent.
  socket.on("error", () => resolve());
  socket.on("close", () => resolve());
  socket.on("secureConnect", () => socket.end(bytes));
  await promise;
  return received;
}

const odd = fc.oneof(
  fc.constantFrom(
    "",
    "/",
    "//",
    "..",
    "%00",
    "%ff",
    "%",
    "{node}",
    "__proto__",
    "constructor",
    "pve1",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
);
const method = fc.constantFrom(
  "GET",
  "POST",
  "PUT",
  "DELETE",
  "PATCH",
  "HEAD",
  "OPTIONS",
  "TRACE",
  "CONNECT",
  "get",
  "X",
);
const path = fc.oneof(
  fc.constantFrom(
    "/api2/json/version",
    "/api2/extjs/cluster/config/nodes/pve1",
    "/api/v1/x",
    "/v1/status",
    "*",
  ),
  fc.array(odd, { maxLength: 6 }).map((parts) => `/api2/json/${parts.join("/")}`),
  odd,
);
const pairsOf = fc
  .array(fc.tuple(odd, odd), { maxLength: 4 })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join("&"));
const query = fc.oneof(fc.constant(""), pairsOf);
const header = fc.oneof(
  fc.constantFrom(
    ...[
      "Content-Length: 4",
      "Content-Length: -1",
      "Content-Length: 1e3",
      "Transfer-Encoding: chunked",
      "Transfer-Encoding: gzip",
    ],
    ...[
      "Content-Type: application/json",
      "Content-Type: multipart/form-data",
      "Expect: 100-continue",
      "Upgrade: websocket",
    ],
    ...[
      "Connection: upgrade",
      "Connection: close",
      "Host: a\tb",
      "Accept-Encoding: gzip",
      "Cookie: a; b",
    ],
  ),
  fc.tuple(odd, odd).map(([name, value]) => `${name}: ${value}`),
);
const body = fc.oneof(
  fc.constantFrom("", "{}", "[]", "null", '{"a":', '{"votes":{}}', "a=1&a=2"),
  odd,
);
const request = fc
  .tuple(method, path, query, fc.oneof(fc.constant([]), fc.array(header, { maxLength: 3 })), body)
  .chain(([verb, where, asked, headers, content]) => {
    // Half of them say how long their body is.
    const length = `Content-Length: ${Buffer.from(content, "latin1").length}`;
    const type = "Content-Type: application/json";
    return fc.constantFrom([], content === "" ? [] : [length, type]).map((measure) => {
      const head = [`${verb} ${where}?${asked} HTTP/1.1`, "Host: node", ...headers, ...measure];
      return [...head, "", content].join("\r\n");
    });
  });
const junk = fc.oneof(
  request.map((text) => Buffer.from(text, "latin1")),
  // Cut anywhere, or without a form at all.
  fc.tuple(request, fc.nat(200)).map(([text, end]) => Buffer.from(text.slice(0, end), "latin1")),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);

test("a thousand malformed requests: no 500, and the door serves on", async () => {
  const seen = new Map<string, number>();
  const once = async (bytes: Uint8Array): Promise<void> => {
    const received = await answerTo(bytes);
    for (const [, status = ""] of received.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
      seen.set(status, (seen.get(status) ?? 0) + 1);
      expect(status).not.toBe("500");
    }
  };
  await fc.assert(
    fc.asyncProperty(fc.array(junk, { minLength: 10, maxLength: 10 }), async (all) => {
      await Promise.all(all.map(once));
    }),
    { numRuns: 100, seed: 8006 },
  );
  // They were not all stopped at the parser.
  expect([...seen.keys()].toSorted()).toEqual(expect.arrayContaining(["200", "400", "404", "501"]));
  const good = await answerTo(
    Buffer.from("GET /api2/json/version HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n"),
  );
  expect(good).toEndWith('{"data":{"release":"9.1"}}');
  const isLeft = () => (door.connections === 0 ? ready(true) : pending(`${door.connections} left`));
  await until(isLeft, 30_000, "all connections are gone");
  await door.close();
}, 120_000);
