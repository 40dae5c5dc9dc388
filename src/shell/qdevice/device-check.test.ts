// What somebody is told who tries the vote server: how far it goes, and what the rest is worth.
import { expect, test } from "bun:test";
import { deviceFacts } from "../../../test/double/overviews.ts";
import { failure, type Result, success } from "../../result.ts";
import { checkDevice, type Device } from "./device-check.ts";
import type { ProbeSight } from "./probe.ts";

const nowMs = Date.parse("2026-12-01T00:00:00Z");
const connected: ProbeSight = { kind: "connected", address: "10.0.0.9" };
const answered: ProbeSight = { kind: "answered", tls: "required" };
const secured: ProbeSight = {
  ...{ kind: "secured", protocol: "TLSv1.3", fingerprint: "AB:CD" },
  goodUntil: nowMs + 90 * 86_400_000,
};

async function seen(
  sights: readonly ProbeSight[],
  outcome: Result<{ readonly tls: boolean }>,
  more: Partial<Device> = {},
): Promise<readonly string[]> {
  const { where, checks } = await checkDevice({
    cluster: "prod",
    device: { ...deviceFacts, ...more },
    identity: success(undefined),
    wallMs: () => nowMs,
    probe: async (asked, see) => {
      expect(asked).toMatchObject({ host: "10.0.0.9", port: 5403, cluster: "prod" });
      for (const sight of sights) see(sight);
      return outcome;
    },
  });
  expect(where).toBe("10.0.0.9 port 5403");
  expect(checks.map(({ name }) => name)).toEqual(["reach", "server", "tls", "vote"]);
  return checks.map(({ state, text }) => `${state}: ${text}`.slice(0, 72));
}

test("all is well, and a certificate that ends soon is no surprise", async () => {
  const good = success({ tls: true });
  expect(await seen([connected, answered, secured], good)).toEqual([
    "good: 10.0.0.9 answers after 1 ms",
    "good: it is a vote server; it demands TLS",
    "good: TLSv1.3; its certificate is of this cluster's authority, good unti",
    "good: the server gives this node its vote; heard 2.0 s ago",
  ]);
  const soon = { ...secured, goodUntil: nowMs + 86_400_000 };
  expect((await seen([connected, answered, soon], good))[2]).toStartWith("warn: TLSv1.3");
});

test("what fails is where it fails, and what is behind it is skipped", async () => {
  const lost = { state: "Connect failed", vote: "nack", problem: "refused" } as const;
  expect(await seen([], failure("no vote server answers"), lost)).toEqual([
    ...["bad: no vote server answers", "skipped: ", "skipped: ", "bad: refused"],
  ]);
  expect(await seen([connected], failure("what answers is no vote server"))).toEqual([
    "good: 10.0.0.9 answers after 1 ms",
    "bad: what answers is no vote server",
    "skipped: ",
    "good: the server gives this node its vote; heard 2.0 s ago",
  ]);
  expect((await seen([connected, answered], failure("not of the authority")))[2]).toBe(
    "bad: not of the authority",
  );
});

test("without TLS it says what that means; a vote that is not here is told apart from one that is awaited", async () => {
  const off = { tls: { mode: "off", active: false, sentCertificate: false } };
  const plain = success({ tls: false });
  const [, , tls] = await seen([connected, { ...answered, tls: "unsupported" }], plain, off);
  expect(tls).toStartWith("warn: it is not used (quorum.device.net.tls is off)");
  for (const [vote, text] of [
    ["nack", "warn: the server gives its vote to another part"],
    [null, "warn: the server's answer is awaited"],
  ] as const) {
    expect((await seen([connected, answered], plain, { vote }))[3]).toStartWith(text);
  }
  expect((await seen([], plain, { state: "Connecting", vote: null }))[3]).toContain(
    "not connected: Connecting",
  );
});

test("certificates that cannot be read are named, once the server is reached", async () => {
  const run = async (sights: readonly ProbeSight[]) => {
    const { checks } = await checkDevice({
      ...{ cluster: "prod", device: deviceFacts, wallMs: () => nowMs },
      identity: failure("the file is damaged"),
      probe: async (_, see) => {
        for (const sight of sights) see(sight);
        return failure("no answer");
      },
    });
    return checks.map(({ text }) => text);
  };
  expect((await run([]))[0]).toBe("no answer");
  expect((await run([connected, answered]))[2]).toBe("the file is damaged");
});
