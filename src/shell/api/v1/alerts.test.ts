// Alerts by the API: who may do what, what a setting does to its file, and that a secret is in no answer.
import { afterAll, expect, test } from "bun:test";
import { openApiNode } from "../../../../test/double/api-app.ts";
import { type Caller, rootCaller } from "../route.ts";

const node = await openApiNode("cluster", { "quorate.cfg": "metrics-from: 10.0.0.1\n" });
const cut = await openApiNode("noQuorum");
afterAll(async () => {
  await node.close();
  await cut.close();
});

const may =
  (...privileges: readonly string[]): Caller["may"] =>
  (path, privilege) =>
    path === "/" && privileges.includes(privilege);
const callers: Readonly<Record<string, Caller>> = {
  root: rootCaller,
  auditor: { user: "ann@pve", isToken: false, may: may("Sys.Audit") },
  operator: { user: "bob@pve", isToken: false, may: may("Sys.Audit", "Sys.Modify") },
};
const known = async ({ headers }: { readonly headers: Headers }) => {
  const caller = callers[headers.get("authorization") ?? ""];
  return caller === undefined
    ? ({ ok: false, reason: "No ticket" } as const)
    : ({ ok: true, caller } as const);
};
const app = node.appFor(known);
const cutApp = cut.appFor(known);

async function call(
  method: string,
  path: string,
  {
    as = "root",
    words = {},
    on = app,
  }: { as?: string; words?: Readonly<Record<string, string>>; on?: typeof app } = {},
) {
  const hasBody = method !== "GET";
  const response = await on.fetch(
    new Request(`https://node/api/v1/alerts${path}`, {
      method,
      headers: {
        authorization: as,
        ...(hasBody ? { "content-type": "application/x-www-form-urlencoded" } : {}),
      },
      ...(hasBody ? { body: new URLSearchParams(words).toString() } : {}),
    }),
    { address: "10.0.0.1" },
  );
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) as Record<string, unknown> };
}

function fileText(path: string): string {
  const read = node.parts.tree.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : "";
}

test("who may look, who may test and mute, who may set", async () => {
  expect((await call("GET", "", { as: "auditor" })).status).toBe(200);
  expect((await call("GET", "/settings", { as: "auditor" })).status).toBe(200);
  for (const path of ["/test", "/mute"]) {
    expect(
      (await call("POST", path, { as: "auditor", words: { what: "link", seconds: "60" } })).status,
    ).toBe(403);
  }
  const words = { value: "a@example.org" };
  expect((await call("PUT", "/settings/mail-to", { as: "operator", words })).status).toBe(403);
});

test("open settings lie in quorate.cfg, beside what stands there; secret ones where root alone reads, and in no answer", async () => {
  expect(
    (await call("PUT", "/settings/mail-to", { words: { value: "a@example.org" } })).body,
  ).toMatchObject({
    data: { isChanged: true, notes: ["mail-to is set"] },
  });
  expect(fileText("quorate.cfg")).toBe("metrics-from: 10.0.0.1\nalert-mail-to: a@example.org\n");
  const value = "https://hooks.example.org/geheim";
  await call("PUT", "/settings/webhook", { words: { value } });
  await call("PUT", "/settings/webhook-header", { words: { value: "X-A: geheim\nX-B: geheim" } });
  expect(fileText("priv/quorate/alert.cfg")).toBe(
    `webhook: ${value}\nwebhook-header: X-A: geheim\nwebhook-header: X-B: geheim\n`,
  );
  for (const as of ["root", "auditor"]) {
    const { text } = await call("GET", "/settings", { as });
    expect(text).toContain("https://hooks.example.org/********");
    expect(text).not.toContain("geheim");
    expect((await call("GET", "", { as })).text).not.toContain("geheim");
  }
  expect((await call("PUT", "/settings/mail-to", { words: { value: "" } })).body).toMatchObject({
    data: { isChanged: true },
  });
  expect(fileText("quorate.cfg")).toBe("metrics-from: 10.0.0.1\n");
});

test("what is wrong is refused with its reason, and changes nothing", async () => {
  const before = fileText("quorate.cfg");
  const wrong = await call("PUT", "/settings/quiet", { words: { value: "25:00-26:00" } });
  expect(wrong.status).toBe(400);
  expect(wrong.text).toContain("a time that no day has");
  expect((await call("PUT", "/settings/colour", { words: { value: "red" } })).status).toBe(400);
  const two = await call("PUT", "/settings/delay", { words: { value: "5\n6" } });
  expect(two.text).toContain("delay has one value");
  expect(
    (await call("PUT", "/settings/delay", { words: { value: "5", "dry-run": "1" } })).body,
  ).toMatchObject({
    data: { isChanged: false, notes: ["delay is set"] },
  });
  expect(fileText("quorate.cfg")).toBe(before);
});

test("an alert is muted by whoever may change the cluster, and sent again", async () => {
  const muted = await call("POST", "/mute", {
    as: "operator",
    words: { what: "node/3", seconds: "3600" },
  });
  expect(muted.body).toMatchObject({ data: { isChanged: true } });
  expect(fileText("quorate.cfg")).toMatch(
    /^alert-mute: node\/3 until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m,
  );
  await call("POST", "/mute", { as: "operator", words: { what: "node/3", seconds: "0" } });
  expect(fileText("quorate.cfg")).not.toContain("alert-mute");
  expect((await call("POST", "/mute", { words: { what: "../x", seconds: "60" } })).status).toBe(
    400,
  );
  const lines = [...node.parts.tree.statusStore.store.logEntries()].map(({ message }) => message);
  expect(lines.join("\n")).toContain("alerts: node/3 is sent again");
});

test("without quorum nothing is set, and everything can be read", async () => {
  expect((await call("GET", "", { on: cutApp })).status).toBe(200);
  const refused = await call("PUT", "/settings/delay", { on: cutApp, words: { value: "5" } });
  expect(refused.text).toContain("no quorum");
});
