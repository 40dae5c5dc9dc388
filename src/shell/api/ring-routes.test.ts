// What the routes about the ring let through, and how they answer what the ring refuses.
import { beforeEach, expect, test } from "bun:test";
import { Hono } from "hono";
import type { ReloadOutcome } from "../../node/thread/reloader.ts";
import { answerFaults } from "./refusal.ts";
import { type RingSource, ringRoutes } from "./ring-routes.ts";

const asked: unknown[] = [];
let answer = { ok: true, reason: "" };
let outcome: ReloadOutcome = {
  ...{ ok: true, reason: "", isFileRefused: false, configVersion: 3 },
  ...{ changes: ["totem.token: 1000"], needsRestart: [], at: 0 },
};

function note(...words: readonly unknown[]): Promise<typeof answer> {
  asked.push(words);
  return Promise.resolve(answer);
}

const source: RingSource = {
  ring: () => Promise.reject(new Error("the ring thread gave no answer in 5000 ms")),
  setExpectedVotes: (votes) => note("expected", votes),
  setVotes: (nodeid, votes) => note("votes", nodeid, votes),
  cancelWaitForAll: () => note("cancel"),
  stopDevice: () => note("device"),
  killNode: (nodeid, reason) => note("kill", nodeid, reason),
  reload: () => Promise.resolve(outcome),
  shutdown: (reason) => void note("shutdown", reason),
};
const app = new Hono();
answerFaults(app);
ringRoutes(app, source);

async function post(path: string, body?: unknown) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await app.request(path, {
    method: "POST",
    body: body === undefined ? "" : text,
  });
  const words = await response.text();
  return { status: response.status, body: words === "" ? undefined : JSON.parse(words) };
}

beforeEach(() => {
  asked.length = 0;
  answer = { ok: true, reason: "" };
});

test("what the ring is asked", async () => {
  const requests: readonly (readonly [string, unknown])[] = [
    ["/v1/quorum/expected", { votes: 5 }],
    ["/v1/quorum/votes", { nodeid: 2, votes: 0 }],
    ["/v1/quorum/cancel-wait-for-all", undefined],
    ["/v1/quorum/stop-device", undefined],
    ["/v1/ring/kill", { nodeid: 4_294_967_295, reason: "Killed by a test" }],
  ];
  for (const [path, body] of requests) expect((await post(path, body)).status).toBe(204);
  expect((await post("/v1/shutdown", { reason: "" })).status).toBe(202);
  await new Promise(setImmediate);
  expect(asked).toEqual([
    ["expected", 5],
    ["votes", 2, 0],
    ["cancel"],
    ["device"],
    ["kill", 4_294_967_295, "Killed by a test"],
    ["shutdown", ""],
  ]);
});

test("what is no request is refused before the ring is asked", async () => {
  const requests: readonly (readonly [string, readonly unknown[]])[] = [
    ["/v1/quorum/expected", [undefined, "{", {}, { votes: 0 }, { votes: 1.5 }, { votes: 65_536 }]],
    ["/v1/quorum/votes", [{ votes: 1 }, { nodeid: 0, votes: 1 }, { nodeid: 1, votes: -1 }]],
    [
      "/v1/ring/kill",
      [
        { nodeid: 1 },
        { nodeid: 2 ** 32, reason: "" },
        { nodeid: 1, reason: "a\nb" },
        { nodeid: 1, reason: "\u001b[2J" },
        { nodeid: 1, reason: "x".repeat(201) },
      ],
    ],
    ["/v1/shutdown", [undefined, {}, { reason: 5 }]],
  ];
  for (const [path, bodies] of requests) {
    for (const body of bodies) {
      expect(await post(path, body)).toMatchObject({
        ...{ status: 400, body: { error: { errno: "EREQUEST" } } },
      });
    }
  }
  expect(asked).toEqual([]);
});

test("a refusal of the ring is told with its reason", async () => {
  answer = { ok: false, reason: "node 9 is no member of this ring" };
  expect(await post("/v1/ring/kill", { nodeid: 9, reason: "" })).toEqual({
    ...{ status: 400, body: { error: { errno: "EINVAL", reason: answer.reason } } },
  });
  const unanswered = await app.request("/v1/ring");
  expect(unanswered.status).toBe(500);
  expect(await unanswered.json()).toMatchObject({ error: { errno: "EIO" } });
});

test("a reload: done, refused, or a file that cannot be used", async () => {
  expect(await post("/v1/reload")).toMatchObject({ status: 200, body: { configVersion: 3 } });
  outcome = { ...outcome, ok: false, reason: "another is under way" };
  expect(await post("/v1/reload")).toMatchObject({ body: { error: { errno: "EINVAL" } } });
  outcome = { ...outcome, isFileRefused: true };
  expect(await post("/v1/reload")).toMatchObject({ body: { error: { errno: "ECONFIG" } } });
});
