// Which config_version a corosync.conf must have to be taken; what the running nodes would make of it.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settingsOfText } from "../../node/settings/load-settings.ts";
import { confEffect, confProblem, TreeConfWatch } from "./check-conf.ts";

const paths = { conf: "corosync.conf", authkey: "/nonexistent" };
const conf = (version: number, comment = ""): string => `${comment}
totem {
  version: 2
  cluster_name: c
  config_version: ${version}
  secauth: off
  crypto_cipher: none
  crypto_hash: none
}
quorum {
  provider: corosync_votequorum
}
nodelist {
  node {
    nodeid: 1
    name: n1
    ring0_addr: 127.0.0.1
  }
}
`;

test.each([
  ["the same again", conf(5), [conf(5), conf(5)], ""],
  ["the tree's first one is the node's own", conf(5), [conf(5)], ""],
  ["higher", conf(6, "# new"), [conf(5), conf(5)], ""],
  ["other content", conf(5, "# new"), [conf(5), conf(5)], "it must have 6"],
  ["other content, the tree has none", conf(5, "# new"), [conf(5)], "it must have 6"],
  ["the tree has a newer one", conf(6, "# new"), [conf(7), conf(5)], "it must have 8"],
  ["older", conf(4), [conf(5), conf(5)], "it must have 6"],
])("%s", async (_, content, present, expected) => {
  const read = await settingsOfText(conf(5), paths, "n1");
  if (!read.ok) throw new Error(read.reason);
  const bytes = (text: string) => new TextEncoder().encode(text);
  const context = { running: read.value, paths, name: "n1", present: present.map(bytes) };
  const problem = await confProblem(bytes(content), context);
  if (expected === "") expect(problem).toBe("");
  else expect(problem).toEndWith(expected);
});

test("a corosync.conf of the tree that is older than what the node runs with is named, with the version that it must have", async () => {
  const read = await settingsOfText(conf(5), paths, "n1");
  if (!read.ok) throw new Error(read.reason);
  const bytes = (text: string) => new TextEncoder().encode(text);
  const context = { running: read.value, paths, name: "n1", present: [bytes(conf(5))] };
  const watch = new TreeConfWatch();
  expect(await watch.warning(bytes(conf(5)), context)).toBe("");
  expect(await watch.warning(bytes(conf(4)), context)).toBe(
    "the corosync.conf in the tree has config_version 4, older than configuration 5 that this node runs with, so no node takes it: give it config_version 6",
  );
  expect(await watch.warning(bytes(conf(6)), context)).toBe("");
});

test("a node that was renamed and not started again can use the file with its new name; a name that nobody meant is refused", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const renamed = (version: number): string => conf(version).replace("name: n1", "name: alpha");
  const contextOf = async (text: string, name: string) => {
    const read = await settingsOfText(text, paths, name);
    if (!read.ok) throw new Error(read.reason);
    return { running: read.value, paths, name: "n1", present: [bytes(text)] };
  };
  const after = await contextOf(renamed(5), "alpha");
  expect(await confProblem(bytes(renamed(6)), after)).toBe("");
  expect(await new TreeConfWatch().warning(bytes(renamed(5)), after)).toBe("");
  const before = await contextOf(conf(5), "n1");
  const problem = await confProblem(bytes(renamed(6)), before);
  expect(problem).toContain("No valid name found for local host (looked for n1;");
  expect(await confProblem(bytes(renamed(6)), { ...before, mayRename: true })).toBe("");
});

const keyRoot = mkdtempSync(join(tmpdir(), "quorate-check-conf-"));
afterAll(() => rmSync(keyRoot, { recursive: true }));
const withKey = { conf: "corosync.conf", authkey: join(keyRoot, "authkey") };
writeFileSync(withKey.authkey, new Uint8Array(256).fill(7));

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
  const running = await settingsOfText(base, withKey, "one");
  if (!running.ok) throw new Error(running.reason);
  const context = { running: running.value, paths: withKey, name: "one", present: [] };
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
