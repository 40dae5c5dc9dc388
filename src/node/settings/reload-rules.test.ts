import { describe, expect, test } from "bun:test";
import { parseConf } from "../../conf.ts";
import { readSettings } from "./read-settings.ts";
import type { ConfigurationKey } from "./configuration-keys.ts";
import { checkReload, type ReloadCheck, sameCrypto } from "./reload-rules.ts";
import type { NodeSettings } from "./settings.ts";

interface File {
  readonly nodes?: readonly (readonly [nodeid: number, address: string, votes?: number])[];
  readonly totem?: readonly string[];
  readonly quorum?: readonly string[];
  readonly provider?: boolean;
  readonly key?: number;
}

const pair = [
  [1, "10.0.0.1"],
  [2, "10.0.0.2"],
] as const;
const device = (...net: string[]): string[] =>
  ["device {", "model: net", "votes: 1", "net {", "host: 10.0.0.9", ...net, "}", "}"].flat();

/** The settings of node `nodeid` by such a file, read as a running node reads it. */
function settings(file: File = {}, nodeid = 1, running?: NodeSettings): NodeSettings {
  const { nodes = pair, totem = [], quorum = [], provider = true, key = 1 } = file;
  const text = [
    ...["totem {", "version: 2", "cluster_name: c", "config_version: 1", "secauth: on"],
    ...[...totem, "}", "quorum {", provider ? "provider: corosync_votequorum" : ""],
    ...[...quorum, "}", "nodelist {"],
    ...nodes.map(([id, address, votes = 1]) =>
      ["node {", `nodeid: ${id}`, `name: n${id}`, `quorum_votes: ${votes}`, address, "}"]
        .join("\n")
        .replace(
          address,
          [...address.split(" ").entries()]
            .map(([link, ip]) => `ring${link}_addr: ${ip}`)
            .join("\n"),
        ),
    ),
    "}",
  ].join("\n");
  const conf = parseConf(text);
  if (!conf.ok) throw new Error(conf.reason);
  const addresses = nodes.flatMap(([, address]) => address.split(" "));
  const read = readSettings({
    conf: conf.value,
    file: "corosync.conf",
    local: { names: [`n${nodeid}`], addresses: [] },
    resolved: new Map(addresses.map((address) => [address, address])),
    running,
    key: { ok: true, bytes: new Uint8Array(128).fill(key) },
  });
  if (!read.ok) throw new Error(read.reason);
  return read.value;
}

function accepted(before: File, after: File) {
  const running = settings(before);
  const check = checkReload(running, settings(after, 1, running));
  if (!check.ok) throw new Error(check.reason);
  return check;
}

describe("what changes live", () => {
  const live: readonly (readonly [what: string, before: File, after: File, changes: string[]])[] = [
    ["nothing", {}, {}, []],
    [
      "nodes added, removed, with other votes",
      { nodes: [...pair, [3, "10.0.0.3"], [4, "10.0.0.4"]], totem: ["token_coefficient: 0"] },
      {
        nodes: [...pair, [4, "10.0.0.4", 2], [5, "10.0.0.5"]],
        totem: ["token_coefficient: 0"],
      },
      ["node 4 (n4): votes 1 -> 2", "node 5 (n5) added", "node 3 (n3) removed"],
    ],
    ["the token timeout", {}, { totem: ["token: 5000"] }, ["token timeout (ms) 3000 -> 5000"]],
    [
      "other timeouts and limits",
      {},
      { totem: ["join: 60", "window_size: 100"] },
      ["timeouts and limits of totem"],
    ],
    [
      "heartbeats of a link",
      {},
      { totem: ["interface {", "linknumber: 0", "knet_ping_interval: 100", "}"] },
      ["link settings"],
    ],
    ["link_mode", {}, { totem: ["link_mode: active"] }, []], // Of one link it is always passive.
    [
      "a second link",
      {},
      {
        nodes: [
          [1, "10.0.0.1 10.1.0.1"],
          [2, "10.0.0.2 10.1.0.2"],
        ],
        totem: ["link_mode: active"],
      },
      [
        "node 1 (n1) changed",
        "node 2 (n2) changed",
        "link settings",
        "link_mode passive -> active",
      ],
    ],
    ["the key", {}, { key: 2 }, ["key or crypto"]],
    ["the cipher", {}, { totem: ["crypto_cipher: aes128"] }, ["key or crypto"]],
    ["expected votes", {}, { quorum: ["expected_votes: 3"] }, ["expected_votes unset -> 3"]],
    ["two_node", {}, { quorum: ["two_node: 1"] }, ["two_node false -> true"]],
    ["a device added", {}, { quorum: device() }, ["quorum device added"]],
    ["a device removed", { quorum: device() }, {}, ["quorum device removed"]],
    [
      "another server",
      { quorum: device() },
      { quorum: device("port: 9") },
      ["quorum device changed"],
    ],
    [
      "pmtud, mtu, compression, addresses",
      {},
      {
        totem: [
          ...["knet_pmtud_interval: 60", "knet_mtu: 1400", "knet_compression_model: zlib"],
          "block_unlisted_ips: no",
        ],
      },
      [
        "knet_pmtud_interval (ms) 30000 -> 60000",
        "knet_mtu 0 -> 1400",
        "block_unlisted_ips true -> false",
        "compression",
      ],
    ],
  ];
  for (const [what, before, after, changes] of live) {
    test(what, () => {
      const check = accepted(before, after);
      expect(check).toEqual({
        ok: true,
        settings: settings(after),
        changes,
        needsRestart: [],
      });
    });
  }
});

test("what the next start brings keeps its value and is named", () => {
  const after: File = {
    totem: ["netmtu: 1400", "interface {", "linknumber: 0", "mcastport: 5500", "}"],
    quorum: ["wait_for_all: 1", "last_man_standing: 1", "auto_tie_breaker: 1"],
    provider: false,
  };
  const next = { ...settings(after), clusterName: "other" };
  const check = checkReload(settings(), next);
  // The map shows what the file says, as corosync's does, but for what its reload takes back.
  const configuration = configurationOf(check).filter(({ key }) =>
    /^(totem.netmtu|quorum.provider|quorum.wait_for_all)$/.test(key),
  );
  expect(configuration).toEqual([
    { key: "quorum.provider", type: "str", value: "corosync_votequorum" },
    { key: "quorum.wait_for_all", type: "u8", value: "1" },
  ]);
  expect(check).toEqual({
    ok: true,
    settings: { ...settings(), configuration: configurationOf(check) },
    changes: [],
    needsRestart: [
      "totem.cluster_name",
      "totem.interface.0.mcastport",
      "totem.netmtu",
      "quorum.wait_for_all",
      "quorum.last_man_standing",
      "quorum.auto_tie_breaker",
      "quorum.provider",
    ],
  });
});

function configurationOf(check: ReloadCheck): readonly ConfigurationKey[] {
  return check.ok ? (check.settings.configuration ?? []) : [];
}

test("a new link has the port that the file gives it", () => {
  const nodes = [
    [1, "10.0.0.1 10.1.0.1"],
    [2, "10.0.0.2 10.1.0.2"],
  ] as const;
  const totem = ["interface {", "linknumber: 1", "mcastport: 5500", "}"];
  const { settings: inForce, needsRestart } = accepted({}, { nodes, totem });
  expect(inForce.links.map(({ port }) => port)).toEqual([5405, 5500]);
  expect(needsRestart).toEqual([]);
});

test("refused as a whole: another address of a link, ours or another's, and another nodeid of ours", () => {
  const moved = (nodes: File["nodes"]) =>
    checkReload(settings(), settings({ ...(nodes && { nodes }) }));
  expect(
    moved([
      [1, "10.0.0.1"],
      [2, "10.0.0.22"],
    ]),
  ).toMatchObject({ ok: false, reason: expect.stringContaining("node 2 has another address") });
  expect(
    moved([
      [1, "10.0.0.11"],
      [2, "10.0.0.2"],
    ]),
  ).toMatchObject({ ok: false, reason: expect.stringContaining("10.0.0.11, was 10.0.0.1") });
  expect(checkReload(settings(), settings({}, 2))).toMatchObject({
    ok: false,
    reason: expect.stringContaining("it runs as node 1"),
  });
});

test("faults between quorum's keys stop a start, not a running node", () => {
  const check = accepted({}, { quorum: ["two_node: 1", ...device()] });
  expect(check.changes).toEqual(["two_node false -> true", "quorum device added"]);
});

test("keys are compared byte by byte", () => {
  expect(sameCrypto(settings().crypto, settings().crypto)).toBe(true);
  expect(sameCrypto(settings().crypto, settings({ key: 3 }).crypto)).toBe(false);
});
