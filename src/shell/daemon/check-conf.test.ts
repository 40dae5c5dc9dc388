// What the running nodes would make of another corosync.conf, told before it is written.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settingsOfText } from "../../node/settings/load-settings.ts";
import { confEffect } from "./check-conf.ts";

const root = mkdtempSync(join(tmpdir(), "quorate-check-conf-"));
afterAll(() => rmSync(root, { recursive: true }));
const paths = { conf: join(root, "corosync.conf"), authkey: join(root, "authkey") };
writeFileSync(paths.authkey, new Uint8Array(256).fill(7));

const base = `totem {
  version: 2
  cluster_name: home
  config_version: 3
  transport: knet
  crypto_cipher: aes256
  crypto_hash: sha256
}
nodelist {
  node {
    name: one
    nodeid: 1
    ring0_addr: 127.0.0.1
  }
}
quorum {
  provider: corosync_votequorum
}
`;

async function effectOf(change: (text: string) => string): Promise<readonly string[]> {
  const running = await settingsOfText(base, paths, "one");
  if (!running.ok) throw new Error(running.reason);
  const context = { running: running.value, paths, name: "one", present: [] };
  return confEffect(new TextEncoder().encode(change(base)), context);
}

test("what is in force at once, what only after a restart, and that the ring is opened", async () => {
  expect(await effectOf((text) => text.replace("transport: knet", "$&\n  token: 5000"))).toEqual([
    expect.stringMatching(/^in force at once: token timeout \(ms\) \d+ -> 5000$/),
  ]);
  expect(await effectOf((text) => text.replace("home", "other"))).toEqual([
    "in force only after a restart of every node: totem.cluster_name",
  ]);
  const opened = await effectOf((text) => text.replace(/ {2}crypto_.*\n/g, ""));
  expect(opened[0]).toStartWith("the ring would no longer be encrypted");
  expect(await effectOf((text) => text.replace("transport: knet", "$&\n  tokn: 200"))).toEqual([
    "no node that runs would do anything else for it: are the keys spelt right?",
  ]);
});

test("of a file that nobody could use nothing is told", async () => {
  expect(await effectOf(() => "totem {")).toEqual([]);
});
