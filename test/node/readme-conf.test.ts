// The corosync.conf of README.md is one that a node starts with: a new user copies it.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConf } from "../../src/conf.ts";
import { readSettings } from "../../src/node/settings/read-settings.ts";

test("the sample in README.md is accepted", () => {
  const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");
  const sample = /^```\n(totem \{\n[^`]*)```$/m.exec(readme)?.[1] ?? "";
  const conf = parseConf(sample);
  if (!conf.ok) throw new Error(conf.reason);
  const read = readSettings({
    conf: conf.value,
    file: "README.md",
    local: { names: ["pve2"], addresses: [] },
    resolved: new Map([11, 12].map((host) => [`192.0.2.${host}`, `192.0.2.${host}`])),
    key: { ok: true, bytes: new Uint8Array(256) },
  });
  expect(read).toMatchObject({ ok: true, value: { nodeid: 2, clusterName: "home" } });
});
