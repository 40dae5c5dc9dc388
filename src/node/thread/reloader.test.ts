import { expect, test } from "bun:test";
import type { SettingsResult } from "../settings/read-settings.ts";
import { Reloader } from "./reloader.ts";
import type { NodeSettings } from "../settings/settings.ts";
import { busSettings } from "../../../test/double/service-bus.ts";

function reloader(
  load: () => Promise<SettingsResult>,
  apply: (settings: NodeSettings) => Promise<string> = async () => "",
) {
  let running = busSettings({ nodeid: 1, nodes: 2 });
  const logs: string[] = [];
  const made = new Reloader({
    load,
    running: () => running,
    apply: async (settings) => {
      const problem = await apply(settings);
      if (problem === "") running = settings;
      return problem;
    },
    notListed: async () => void logs.push("not listed"),
    wallS: () => 77,
    log: ({ level, text }) => logs.push(`${level} ${text}`),
  });
  return { made, logs };
}

const read = (settings: NodeSettings) => async (): Promise<SettingsResult> => ({
  ok: true,
  value: settings,
});

test("a file that does not name this node is told to the ring, then refused", async () => {
  const refused = { ok: false, reason: "this node, 1, is not in the nodelist" } as const;
  const { made, logs } = reloader(async () => ({ ...refused, isNotListed: true }));
  expect(await made.reload(2)).toMatchObject({ ok: false, isFileRefused: true });
  expect(logs).toEqual(["not listed", `error Unable to reload config file: ${refused.reason}`]);
  const other = reloader(async () => refused);
  await other.made.reload(2);
  expect(other.logs).not.toContain("not listed");
});

test("a file that is taken is in force, told and kept", async () => {
  const { made, logs } = reloader(read(busSettings({ nodeid: 1, nodes: 2, configVersion: 5 })));
  expect(made.last).toBeUndefined();
  const outcome = await made.reload(2);
  expect(outcome).toEqual({
    ok: true,
    reason: "",
    isFileRefused: false,
    configVersion: 5,
    changes: [],
    needsRestart: [],
    at: 77,
  });
  expect(made.last).toBe(outcome);
  expect(logs).toEqual([
    "notice configuration 5 is in force (was 1, asked by node 2): nothing else changed",
  ]);
});

test("a file that cannot be read, that is refused, or that the ring cannot take changes nothing", async () => {
  const unreadable = reloader(async () => ({ ok: false, reason: "line 3 is wrong" }));
  expect(await unreadable.made.reload(1)).toMatchObject({
    ok: false,
    isFileRefused: true,
    reason: "line 3 is wrong",
    configVersion: 1,
  });
  expect(unreadable.logs).toEqual(["error Unable to reload config file: line 3 is wrong"]);
  const foreign = reloader(read(busSettings({ nodeid: 2, nodes: 2 })));
  const asAnother = await foreign.made.reload(1);
  expect(asAnother.reason).toContain("it runs as node 1");
  expect(asAnother.isFileRefused).toBe(true);
  const untakable = reloader(
    read(busSettings({ nodeid: 1, nodes: 2, configVersion: 5 })),
    async () => "no such address",
  );
  expect(await untakable.made.reload(1)).toMatchObject({
    ok: false,
    isFileRefused: false,
    reason: "no such address",
    configVersion: 1,
  });
  const thrown = reloader(() => Promise.reject(new Error("the disk is gone")));
  expect((await thrown.made.reload(1)).reason).toBe("the disk is gone");
});

test("key and version count that were on disk when the request came, not those of a later reload", async () => {
  const settings = busSettings({ nodeid: 1, nodes: 2, configVersion: 5 });
  const keyed = (byte: number): NodeSettings["crypto"] => ({
    ...{ cipher: "aes256", hash: "sha256", key: new Uint8Array(128).fill(byte) },
  });
  const applied: [number, NodeSettings["crypto"]][] = [];
  const later = { ...settings, configVersion: 7, crypto: keyed(3) };
  const { made } = reloader(read(later), async (taken) => {
    applied.push([taken.configVersion, taken.crypto]);
    return "";
  });
  await made.reload(2, { crypto: keyed(2), configVersion: 6 });
  // It could not be read then.
  await made.reload(2);
  expect(applied).toEqual([
    [6, keyed(2)],
    [7, keyed(3)],
  ]);
});

test("one after the other, in the order of asking", async () => {
  const order: string[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let calls = 0;
  const { made } = reloader(async () => {
    const call = calls;
    calls += 1;
    order.push(`begin ${call}`);
    await gates[call]?.promise;
    order.push(`end ${call}`);
    return { ok: true, value: busSettings({ nodeid: 1, nodes: 2 }) };
  });
  const both = [made.reload(1), made.reload(2)];
  gates[1]?.resolve();
  gates[0]?.resolve();
  await Promise.all(both);
  expect(order).toEqual(["begin 0", "end 0", "begin 1", "end 1"]);
});

test("a change that is no reload keeps version and key, and is told", async () => {
  const applied: NodeSettings[] = [];
  const { made, logs } = reloader(
    async () => ({ ok: false, reason: "the file is not read" }),
    async (settings) => {
      applied.push(settings);
      return "";
    },
  );
  const other = busSettings({
    nodeid: 1,
    nodes: 2,
    configVersion: 9,
    quorum: { expectedVotes: 4 },
  });
  const crypto = { cipher: "aes256", hash: "sha256", key: new Uint8Array(128) } as const;
  expect(await made.change(read({ ...other, crypto }))).toBe("");
  expect(applied).toMatchObject([
    { configVersion: 1, crypto: { cipher: "none" }, quorum: { expectedVotes: 4 } },
  ]);
  expect(made.last).toBeUndefined();
  expect(logs).toEqual([
    "notice changed on this node until the next reload: expected_votes unset -> 4",
  ]);
  expect(await made.change(async () => ({ ok: false, reason: "token is too short" }))).toBe(
    "token is too short",
  );
  const broken = (): Promise<SettingsResult> => Promise.reject(new Error("no name server"));
  expect(await made.change(broken)).toBe("no name server");
  // Who comes next is not held up.
  expect(await made.change(read(other))).toBe("");
});
