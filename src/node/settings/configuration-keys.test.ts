import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConf, printConf } from "../../conf.ts";
import { configurationKeys, confOfKeys, keysAfterReload } from "./configuration-keys.ts";

const golden = join(import.meta.dir, "../../../test/golden/cmap");

function keysOf(text: string): string[] {
  const conf = parseConf(text);
  if (!conf.ok) throw new Error(conf.reason);
  return configurationKeys(conf.value).map(({ key, type, value }) => `${key} (${type}) = ${value}`);
}

test("a file with a little of everything has the keys that corosync 3.1.7 stored for it", () => {
  const expected = readFileSync(join(golden, "wide.keys.txt"), "utf8").trimEnd().split("\n");
  expect(keysOf(readFileSync(join(golden, "wide.conf"), "utf8"))).toEqual(expected);
});

test("the last value of a key counts, and a second nodelist begins at node 0 again", () => {
  const text = [
    ...[
      "totem {",
      "token: 1000",
      "}",
      "totem {",
      "token: +2000",
      "knet_compression_level: -1",
      "}",
    ],
    ...["nodelist {", "node {", "nodeid: 1", "name: a", "}", "node {", "nodeid: 2", "}", "}"],
    ...["nodelist {", "node {", "nodeid: 3", "}", "}"],
  ].join("\n");
  expect(keysOf(text)).toEqual([
    "nodelist.node.0.name (str) = a",
    "nodelist.node.0.nodeid (u32) = 3",
    "nodelist.node.1.nodeid (u32) = 2",
    "totem.knet_compression_level (i32) = -1",
    "totem.token (u32) = 2000",
  ]);
});

test("a negative version wraps around as 64 bits do", () => {
  expect(keysOf("totem {\nconfig_version: -1\n}")).toEqual([
    "totem.config_version (u64) = 18446744073709551615",
  ]);
});

test("keys become a file with these keys again", () => {
  const conf = parseConf(readFileSync(join(golden, "wide.conf"), "utf8"));
  if (!conf.ok) throw new Error(conf.reason);
  const keys = configurationKeys(conf.value).filter(
    ({ key }) => !key.startsWith("logging.logging_daemon."),
  );
  const text = printConf(confOfKeys(keys.toReversed()));
  expect(keysOf(text)).toEqual(keys.map(({ key, type, value }) => `${key} (${type}) = ${value}`));
});

test("a reload leaves what only a start reads as it was", () => {
  const key = (name: string, value: string) => ({ key: name, type: "str", value }) as const;
  const running = [key("system.sched_rr", "no"), key("totem.transport", "knet")];
  const next = [key("my.new", "1"), key("totem.cluster_name", "x"), key("totem.transport", "udp")];
  expect(keysAfterReload(running, next)).toEqual([
    key("my.new", "1"),
    key("system.sched_rr", "no"),
    key("totem.transport", "knet"),
  ]);
});
