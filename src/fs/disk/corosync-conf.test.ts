// When the local corosync.conf follows the tree's, and that it is replaced whole.
import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOf } from "../../bytes.ts";
import { readConf, replaceConf } from "./conf-file.ts";
import { configVersionOf, compareCorosyncConf } from "./corosync-conf.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-conf-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const conf = (version: string, more = "") =>
  bytesOf(`totem {\n  config_version: ${version}\n}\n${more}`);

test("the first config_version anywhere counts", () => {
  expect(configVersionOf(conf("7"))).toBe(7);
  expect(configVersionOf(bytesOf("x config_version  :12 config_version: 3"))).toBe(12);
  for (const none of [
    "",
    "config_version 3",
    "config_version: x",
    "config_version: 99999999999999999999",
  ]) {
    expect(configVersionOf(bytesOf(none))).toBe(0);
  }
});

test("equal bytes stay, older ones are refused, newer and equal versions are written", () => {
  expect(compareCorosyncConf(conf("2"), conf("2"))).toEqual({ kind: "keep" });
  expect(compareCorosyncConf(conf("1"), conf("2"))).toMatchObject({
    kind: "refuse",
    reason: expect.stringContaining("local corosync.conf is newer"),
  });
  expect(compareCorosyncConf(conf("3"), conf("2"))).toEqual({
    kind: "write",
    version: 3,
    replaces: 2,
  });
  expect(compareCorosyncConf(conf("2", "# other"), conf("2"))).toEqual({
    kind: "write",
    version: 2,
    replaces: 2,
  });
  expect(compareCorosyncConf(conf("1"), undefined)).toEqual({
    kind: "write",
    version: 1,
    replaces: undefined,
  });
  expect(compareCorosyncConf(conf("1"), bytesOf("no version"))).toEqual({
    kind: "write",
    version: 1,
    replaces: 0,
  });
  for (const bad of ["", "config_version: 0", "junk"]) {
    expect(compareCorosyncConf(bytesOf(bad), conf("1"))).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("unable to parse"),
    });
  }
});

test("the file is replaced whole, with mode 0644, and nothing is left beside it", () => {
  const path = join(directory, "corosync.conf");
  writeFileSync(path, "old");
  chmodSync(path, 0o600);
  expect(replaceConf(path, conf("2"))).toEqual({ ok: true, value: undefined });
  expect(readConf(path)).toEqual(conf("2"));
  expect(statSync(path).mode & 0o777).toBe(0o644);
  expect(readdirSync(directory)).toEqual(["corosync.conf"]);
});

test("a missing or oversized file reads as none; an impossible path is a sentence", () => {
  expect(readConf(join(directory, "none"))).toBeUndefined();
  const large = join(directory, "large");
  writeFileSync(large, new Uint8Array(1_048_577));
  expect(readConf(large)).toBeUndefined();
  rmSync(large);
  const written = replaceConf(join(directory, "corosync.conf/below"), conf("1"));
  expect(written.ok ? "" : written.reason).toMatch(
    /could not be written .*the ring keeps its old configuration/,
  );
  expect(readFileSync(join(directory, "corosync.conf")).length).toBeGreaterThan(3);
});
