// A session with corosync-cmapctl 3.1.7 on a node of a ring of two (cmap/session.jsonl, recorded for this test): the same calls to ours, one
// after the other on one map, with the same output and exit status. And what -t and -T print.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import type { Cluster } from "../../src/node/thread/cluster.ts";
import { CommandFailure, exitNotRunning } from "../../src/shell/exit.ts";
import { MapClient } from "../../src/shell/api/cmap-client.ts";
import { mapRoutes } from "../../src/shell/api/cmap-routes.ts";
import { ConfigurationMap } from "../../src/shell/cmap/configuration-map.ts";
import { cmapctl } from "../../src/shell/tool/cmapctl.ts";
import { healthyCluster } from "../double/map-cluster.ts";

interface Call {
  readonly args: readonly string[];
  readonly code: number;
  /** Standard error first. */
  readonly text: string;
  /** Of the file that -p names. */
  readonly file?: string;
}

const calls: readonly Call[] = readFileSync(join(import.meta.dir, "cmap/session.jsonl"), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

/** A map behind its routes, as a tool finds it. */
function mapClient(cluster: Cluster = healthyCluster()): MapClient {
  const app = new Hono();
  const map = new ConfigurationMap(cluster, () => 0);
  mapRoutes(app, { map, groups: async () => [] });
  const ask = async (method: string, path: string, body?: string): Promise<unknown> => {
    const response = await app.request(path, { method, ...(body === undefined ? {} : { body }) });
    expect(response.status).toBe(200);
    return response.json();
  };
  return new MapClient({ ask });
}

const files: Readonly<Record<string, Uint8Array>> = {
  bin: Uint8Array.of(0x61, 0x62, 0, 0x63, 0xff),
  "/dev/null": new Uint8Array(0),
};

async function run(map: MapClient, args: readonly string[], file?: string) {
  let output = "";
  let errors = "";
  const readFile = async (path: string): Promise<Uint8Array> => {
    const bytes = file === undefined ? files[path] : Buffer.from(file);
    if (bytes === undefined && path !== "bin") throw Object.assign(new Error(), { code: "ENOENT" });
    return files[path] ?? bytes ?? new Uint8Array(0);
  };
  const code = await cmapctl({
    ...{ args, map, readFile, untilQuit: () => Promise.resolve() },
    write: (text) => void (output += text),
    writeError: (text) => void (errors += text),
  });
  return { code, text: errors + output };
}

test("a recorded session", async () => {
  const map = mapClient();
  expect(calls.length).toBeGreaterThan(120);
  const wrong: string[] = [];
  for (const { args, code, text, file } of calls) {
    const ours = await run(map, args, file);
    if (ours.code === code && ours.text === text) continue;
    wrong.push(`${args.join(" ")}\n${code} ${text}-- ours: ${ours.code} ${ours.text}`);
  }
  expect(wrong.join("\n")).toBe("");
});

test("without a node, and with one that may not be asked", async () => {
  const failing = (error: unknown) => new MapClient({ ask: () => Promise.reject(error) });
  const unreachable = "Failed to initialize the cmap API. Error CS_ERR_LIBRARY\n";
  const down = failing(new CommandFailure("no node answers", exitNotRunning));
  expect(await run(down, [])).toEqual({ code: 1, text: unreachable });
  const silent = failing(new CommandFailure("the node gave no answer in 60 s"));
  expect(await run(silent, [])).toEqual({
    code: 1,
    text: `${unreachable}the node gave no answer in 60 s\n`,
  });
  expect(run(failing(new TypeError("a bug")), [])).rejects.toThrow("a bug");
});

test("what a running node takes over is put in force, and what it cannot is refused", async () => {
  const asked: string[] = [];
  const cluster = healthyCluster();
  const map = mapClient({
    ...cluster,
    changeConfiguration: async (keys) => {
      const totem = keys.filter(({ key }) => /^totem\.(token|link_mode|interface)/.test(key));
      asked.push(totem.map(({ key, type, value }) => `${key} ${type} ${value}`).join(", "));
      return { ok: totem.every(({ value }) => value !== "1"), reason: "" };
    },
  });
  const results: string[] = [];
  for (const words of [
    ["-s", "totem.token", "u32", "5000"],
    ["-s", "totem.interface.0.knet_link_priority", "u8", "7"],
    ["-s", "totem.token", "u32", "1"],
    ["-s", "totem.token", "str", "5000"],
    ["-s", "totem.config_version", "u64", "9"],
    ["-s", "quorum.device.votes", "u32", "1"],
    ["-d", "totem.token"],
  ]) {
    const { code, text } = await run(map, words);
    results.push(`${code} ${text.trimEnd()}`.trimEnd());
  }
  expect(results).toEqual([
    "0",
    "0",
    "1 Failed to set key totem.token. Error CS_ERR_INVALID_PARAM",
    "1 Failed to set key totem.token. Error CS_ERR_INVALID_PARAM",
    "1 Failed to set key totem.config_version. Error CS_ERR_ACCESS",
    "1 Failed to set key quorum.device.votes. Error CS_ERR_ACCESS",
    "1 Can't delete key totem.token. Error CS_ERR_NOT_EXIST",
  ]);
  expect(asked).toEqual([
    "totem.token u32 5000",
    "totem.interface.0.knet_link_priority u8 7",
    "totem.token u32 1",
  ]);
});
