// The generated files against texts of the original (test/golden/pmxcfs/*.txt).
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bytesOf } from "../../bytes.ts";
import type { Guest } from "../tree/guests.ts";
import { clusterLogText, type LogLine } from "./clusterlog.ts";
import { debugOfWrite, debugText } from "./debug.ts";
import { linkTargets } from "./links.ts";
import { membersText } from "./members.ts";
import { rrdText } from "./rrd.ts";
import { FileCounters, observedFiles, versionText } from "./version.ts";
import { vmlistText } from "./vmlist.ts";

const golden = (name: string) =>
  readFileSync(join(import.meta.dir, `../../../test/golden/pmxcfs/${name}.txt`), "latin1");

describe(".version", () => {
  test("of a fresh cluster node", () => {
    const files = new FileCounters();
    files.allChanged();
    const text = versionText({
      startTime: 1_795_225_068,
      clusterInfo: 7,
      guestList: 0,
      files: files.all(),
      statuses: [{ node: "n1", keys: [] }],
    });
    expect(text).toBe(golden("cluster-fresh.version"));
  });

  test("with keys and changed files", () => {
    const files = new FileCounters();
    for (let i = 0; i < 3; i += 1) files.allChanged();
    files.changed("storage.cfg");
    files.changed("priv/token.cfg");
    files.changed("priv/token.cfg");
    files.changed("not/observed");
    const keys = [
      { key: "tasklist", version: 0 },
      { key: "kv/testkey", version: 1 },
    ];
    const view = { startTime: 1_795_225_904, clusterInfo: 15, guestList: 46, files: files.all() };
    expect(versionText({ ...view, statuses: [{ node: "pa", keys }] })).toBe(
      golden("cluster-quorate.version"),
    );
    const two = versionText({
      ...view,
      statuses: [
        { node: "pa", keys: [] },
        { node: "pb", keys },
      ],
    });
    expect(two).toEndWith(
      `"kvstore": {\n"pa": {\n}\n,\n"pb": {\n"tasklist": 0,\n"kv/testkey": 1}\n}\n}\n`,
    );
  });

  test("observes 43 files, each once", () => expect(new Set(observedFiles).size).toBe(43));
});

describe(".members", () => {
  test("of a cluster, with a node that is offline", () => {
    const node = (name: string, nodeid: number, online: boolean, address: string) => ({
      name,
      nodeid,
      online,
      address,
    });
    const nodes = [
      node("pa", 1, true, "10.94.0.11"),
      node("pb", 2, true, "10.94.0.2"),
      node("pc", 3, false, "10.94.0.3"),
    ];
    const cluster = { name: "px", configVersion: 1, quorate: true, nodes };
    expect(membersText({ nodeName: "pa", version: 15, cluster })).toBe(
      golden("cluster-quorate.members"),
    );
  });

  test("of a fresh cluster", () => {
    const nodes = [1, 2, 3].map((id) => ({
      name: `n${id}`,
      nodeid: id,
      online: true,
      address: `10.99.0.${id}`,
    }));
    const cluster = { name: "lab", configVersion: 1, quorate: true, nodes };
    expect(membersText({ nodeName: "n1", version: 7, cluster })).toBe(
      golden("cluster-fresh.members"),
    );
  });

  test("without address or quorum", () => {
    const nodes = [{ name: "a", nodeid: 1, online: false, address: undefined }];
    const text = membersText({
      nodeName: "a",
      version: 1,
      cluster: { name: "c", configVersion: 2, quorate: false, nodes },
    });
    expect(text).toContain(`"quorate": 0 }`);
    expect(text).toContain(`  "a": { "id": 1, "online": 0}\n  }\n}\n`);
  });

  test("in local mode", () => {
    expect(membersText({ nodeName: "pd", version: 0, cluster: undefined })).toBe(
      golden("local.members"),
    );
  });
});

describe(".vmlist", () => {
  const guest = (node: string, type: Guest["type"], version: number): Guest => ({
    node,
    type,
    version,
  });

  test("empty", () => expect(vmlistText(0, new Map())).toBe(golden("cluster-fresh.vmlist")));

  test("of a cluster and of a local node", () => {
    const cluster = new Map([
      [777, guest("pa", "qemu", 38)],
      [200, guest("pb", "qemu", 25)],
      [300, guest("pa", "lxc", 14)],
      [400, guest("pa", "lxc", 30)],
      [5, guest("pa", "qemu", 28)],
    ]);
    expect(vmlistText(46, cluster)).toBe(golden("cluster-quorate.vmlist"));
    const local = new Map([
      [200, guest("pb", "qemu", 17)],
      [300, guest("pd", "lxc", 6)],
      [400, guest("pd", "lxc", 22)],
      [5, guest("pd", "qemu", 20)],
    ]);
    expect(vmlistText(30, local)).toBe(golden("local.vmlist"));
  });
});

describe(".clusterlog", () => {
  const line = (over: Partial<LogLine>): LogLine => ({
    ...{ uid: 1, time: 0, priority: 6, tag: "cluster", pid: 0, node: "", ident: "root" },
    ...{ message: "starting cluster log", ...over },
  });

  test("of a cluster", () => {
    const lines = [
      line({ time: 1_795_226_235, pid: 20_253, node: "pc" }),
      line({ time: 1_795_226_223, pid: 19_942, node: "pc" }),
      line({
        ...{
          uid: 2,
          time: 1_795_226_015,
          tag: "pvedaemon",
          pid: 16_780,
          node: "pa",
          ident: "root@pam",
        },
        message: 'hello \\"quoted\\" umlaut: \\u00e4 \\u20ac tab#009end',
      }),
      line({ time: 1_795_225_918, pid: 15_267, node: "pc" }),
      line({ time: 1_795_225_911, pid: 15_108, node: "pb" }),
      line({ time: 1_795_225_904, pid: 14_957, node: "pa" }),
    ];
    expect(clusterLogText(lines)).toBe(golden("cluster-quorate.clusterlog"));
  });

  test("empty, and cut at 50 lines", () => {
    expect(clusterLogText([])).toBe(`{\n"data": [\n]\n}\n`);
    const text = clusterLogText(Array.from({ length: 80 }, (_, uid) => line({ uid })));
    expect(text.split("\n").length).toBe(50 + 5);
    expect(text).toContain(`{"uid": 49,`);
    expect(text).not.toContain(`{"uid": 50,`);
  });
});

test(".rrd prints one line a key", () => {
  const text = golden("cluster-quorate-with-data.rrd");
  const entries = text
    .trimEnd()
    .split("\n")
    .map((line) => ({
      key: line.slice(0, line.indexOf(":")),
      value: line.slice(line.indexOf(":") + 1),
    }));
  expect(entries).toHaveLength(4);
  expect(rrdText(entries)).toBe(text);
  expect(rrdText([])).toBe(golden("cluster-quorate.rrd"));
});

test(".debug prints and takes 0 or 1 with a newline at offset 0, nothing else", () => {
  expect(debugText(false)).toBe(golden("local.debug"));
  expect([debugOfWrite(0, bytesOf("1\n")), debugOfWrite(0, bytesOf("0\n"))]).toEqual([true, false]);
  for (const [offset, text] of [
    [1, "1\n"],
    [0, "1"],
    [0, "2\n"],
    [0, "1\n\n"],
    [0, ""],
    [0, "10"],
  ] as const) {
    expect(debugOfWrite(offset, bytesOf(text))).toBeUndefined();
  }
});

test("links lead to the node's own directories, as the original lists them", () => {
  const listing = golden("cluster-ls-la");
  for (const [name, target] of linkTargets("pa"))
    expect(listing).toContain(`${name} -> ${target}\n`);
  expect(linkTargets("pa").size).toBe(4);
});
