import { expect, test } from "bun:test";
import { Hono } from "hono";
import { healthyCluster } from "../../../test/double/map-cluster.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import { mapRoutes } from "../api/cmap-routes.ts";
import { answerFaults } from "../api/refusal.ts";
import { ConfigurationMap } from "./configuration-map.ts";
import type { MapEntry } from "./map-entry.ts";

const str = (key: string, value: string): MapEntry => ({ key, type: "str", value });

/** A cluster whose counters can be set. */
function counting() {
  const cluster = healthyCluster();
  let change = (snapshot: RingSnapshot): RingSnapshot => snapshot;
  const map = new ConfigurationMap(
    { ...cluster, snapshot: async () => change(await cluster.snapshot()) },
    () => 1_000_000,
  );
  const crypto = (sealed: number): void => {
    change = (snapshot) => ({
      ...snapshot,
      counts: { ...snapshot.counts, crypto: { sealed, opened: 7, addedBytes: 0 } },
    });
  };
  const misses = (...agoMs: readonly number[]): void => {
    change = (snapshot) => {
      const schedulingMisses = agoMs.map((ago) => ({ agoMs: ago, delayMs: 5 }));
      return { ...snapshot, counts: { ...snapshot.counts, schedulingMisses } };
    };
  };
  return { map, crypto, misses };
}

async function valuesOf(map: ConfigurationMap, prefix: string): Promise<readonly string[]> {
  return (await map.read("stats", prefix)).map(({ value }) => value);
}

test("keys of clients are bounded in number and size", async () => {
  const map = new ConfigurationMap(healthyCluster(), () => 0);
  for (let at = 0; at < 1000; at += 1) {
    expect(await map.set("icmap", str(`own.${at}`, "x"))).toBe("CS_OK");
  }
  expect(await map.set("icmap", str("own.more", "x"))).toBe("CS_ERR_NO_MEMORY");
  expect(await map.set("icmap", str("own.7", "another"))).toBe("CS_OK");
  expect(await map.delete("icmap", "own.8")).toBe("CS_OK");
  expect(await map.set("icmap", str("own.more", "x".repeat(16 * 1024)))).toBe(
    "CS_ERR_INVALID_PARAM",
  );
  expect(await map.set("icmap", str("own.more", "x".repeat(16 * 1024 - 1)))).toBe("CS_OK");
  expect((await map.read("icmap", "own.")).length).toBe(1000);
});

test("what the node finds out itself is not hidden by what a client sets", async () => {
  const map = new ConfigurationMap(healthyCluster(), () => 0);
  const key = "runtime.members.2.status";
  expect(await map.set("icmap", str(key, "left"))).toBe("CS_OK");
  expect(await map.read("icmap", key)).toEqual([str(key, "joined")]);
  expect(await map.delete("icmap", key)).toBe("CS_ERR_ACCESS");
});

test("a cancelled wait is asked of the cluster, and the trigger goes back to 0", async () => {
  const cluster = healthyCluster();
  const map = new ConfigurationMap(cluster, () => 0);
  const key = "quorum.cancel_wait_for_all";
  expect(await map.set("icmap", { key, type: "u8", value: "1" })).toBe("CS_OK");
  expect(await map.read("icmap", key)).toEqual([{ key, type: "u8", value: "0" }]);
  const status = "runtime.votequorum.wait_for_all_status";
  expect(await map.read("icmap", status)).toEqual([{ key: status, type: "u8", value: "0" }]);
});

test("cleared counters begin again, states and other parts do not", async () => {
  const { map, crypto } = counting();
  const handle = "stats.knet.handle.tx_crypt_packets";
  crypto(100);
  const memberships = await valuesOf(map, "stats.srp.operational_entered");
  expect(memberships).not.toEqual(["0"]);
  await map.clear("knet");
  expect(await valuesOf(map, handle)).toEqual(["0"]);
  expect(await valuesOf(map, "stats.srp.operational_entered")).toEqual(memberships);
  crypto(103);
  expect(await valuesOf(map, handle)).toEqual(["3"]);
  expect(await valuesOf(map, "stats.knet.node1.link0.connected")).toEqual(["1"]);
  // Of something that was made anew and counts from the beginning.
  crypto(2);
  expect(await valuesOf(map, handle)).toEqual(["2"]);
  await map.clear("all");
  expect(await valuesOf(map, "stats.srp.operational_entered")).toEqual(["0"]);
});

test("times without a processor are listed, newest first, until they are cleared", async () => {
  const { map, misses } = counting();
  misses(1000, 4000);
  expect(await map.read("stats", "stats.schedmiss.")).toEqual([
    { key: "stats.schedmiss.0.delay", type: "flt", value: "5.000000" },
    { key: "stats.schedmiss.0.timestamp", type: "u64", value: "999000" },
    { key: "stats.schedmiss.1.delay", type: "flt", value: "5.000000" },
    { key: "stats.schedmiss.1.timestamp", type: "u64", value: "996000" },
  ]);
  await map.clear("schedmiss");
  expect(await map.read("stats", "stats.schedmiss.")).toEqual([]);
});

function app(map: ConfigurationMap | undefined): Hono {
  const made = new Hono();
  answerFaults(made);
  mapRoutes(made, { map, groups: async () => [] });
  return made;
}

test("the routes check what comes from outside", async () => {
  const routes = app(new ConfigurationMap(healthyCluster(), () => 0));
  const put = async (body: unknown): Promise<number> =>
    (await routes.request("/v1/cmap", { method: "PUT", body: JSON.stringify(body) })).status;
  const entry = { map: "icmap", key: "my.key", type: "u8", value: "1" };
  expect(await put(entry)).toBe(200);
  for (const wrong of [
    { ...entry, map: "other" },
    { ...entry, type: "u7" },
    { ...entry, value: "1x" },
    { ...entry, value: 1 },
    { ...entry, key: "k".repeat(1025) },
    { ...entry, type: "str", value: "a\0b" },
    { ...entry, type: "bin", value: "***" },
    { ...entry, type: "dbl", value: "1e5" },
    { ...entry, type: "str", value: "x".repeat(33_000) },
    [],
    "",
  ]) {
    expect(await put(wrong)).toBe(400);
  }
  const unfinished = await routes.request("/v1/cmap", { method: "PUT", body: "{" });
  expect(unfinished.status).toBe(400);
  expect((await routes.request("/v1/cmap?map=icmap")).status).toBe(400);
  expect((await routes.request("/v1/cmap?map=icmap", { method: "DELETE" })).status).toBe(400);
});

test("a standalone node has neither map nor groups", async () => {
  const routes = app(undefined);
  for (const path of ["/v1/cmap?map=icmap&prefix=", "/v1/groups"]) {
    const response = await routes.request(path);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      error: { reason: expect.stringContaining("this node is standalone") },
    });
  }
});
