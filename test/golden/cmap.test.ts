// corosync-cmapctl's whole listing in every situation in which it was recorded: the same keys, types and values, but for those that are named
// here.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkReload } from "../../src/node/settings/reload-rules.ts";
import { icmapEntries } from "../../src/shell/cmap/icmap.ts";
import { entryLine } from "../../src/shell/cmap/map-value.ts";
import { statsEntries } from "../../src/shell/cmap/stats-map.ts";
import { confOf, settingsOf, snapshotOf } from "../double/map-cluster.ts";
import { MemberNet } from "../double/member-switch.ts";

/** Keys of the original that this program does not have, with the reason. */
const omitted: readonly (readonly [RegExp, string])[] = [
  [/^internal_configuration\.service\.[467]\./, "no such service: pload, mon, wd"],
  [/^runtime\.services\.(pload|mon|wd)\./, "no such service"],
  [/^resources\./, "what mon and wd watch; quorate leaves a machine's load to its monitoring"],
  [/^runtime\.blackbox\./, "there is no flight recorder to dump"],
  [/^runtime\.force_gather /, "a trigger for corosync's own tests"],
];

/** Numbers that depend on how long a node runs. */
const running = /^(runtime\.services\.\w+\.\d+\.[rt]x \(u64\)) = \d+$/;

interface Situation {
  readonly nodes: number;
  readonly quorum?: string;
  readonly conf?: string;
  /** logging.debug was on. */
  readonly isVerbose?: true;
  /** Beyond a ring of all. */
  readonly act?: (net: TestNet) => void;
  /** Our line for one of the original, with the reason. */
  readonly instead?: Readonly<Record<string, string>>;
}

class TestNet extends MemberNet {
  readonly conf: (version: number) => string;
  hasReloaded = false;
  version = 1;
  constructor(conf: (version: number) => string) {
    super();
    this.conf = conf;
  }
  settings(nodeid: number) {
    return settingsOf(this.conf(this.version), `n${nodeid}`);
  }
  boot(...nodeids: readonly number[]): void {
    for (const nodeid of nodeids) this.start({ settings: this.settings(nodeid) });
    this.whole(...this.nodes.keys());
  }
  whole(...nodeids: readonly number[]): void {
    const isWhole = (): boolean =>
      nodeids.every((nodeid) => {
        const { quorum, synchronising } = this.node(nodeid).member.snapshot();
        return !synchronising && quorum.members.length === nodeids.length;
      });
    if (!this.until(isWhole)) throw new Error(`no ring of ${nodeids.join(", ")}`);
    this.run(1000);
  }
  gone(nodeid: number): void {
    this.kill(nodeid);
    this.whole(...this.nodes.keys());
  }
  split(...sides: readonly (readonly number[])[]): void {
    this.partition(...sides);
    for (const side of sides) this.whole(...side);
  }
  /** Of the nodes whose file is new; all by default. */
  reload(...changed: readonly number[]): void {
    const before = this.version;
    this.version += 1;
    for (const nodeid of changed.length === 0 ? this.nodes.keys() : changed) {
      const running_ = settingsOf(this.conf(before), `n${nodeid}`);
      const check = checkReload(running_, this.settings(nodeid));
      if (!check.ok) throw new Error(check.reason);
      this.step(nodeid, { kind: "reconfigured", settings: check.settings, changesKey: false });
    }
    this.hasReloaded = true;
    this.run(1000);
  }
}

const killed = (net: TestNet): void => {
  net.reload();
  net.gone(3);
};
/** The node that was recorded had come back once before. */
const cut = (net: TestNet): void => {
  net.gone(3);
  net.boot(3);
  net.split([1, 2], [3]);
};

const situations: Readonly<Record<string, Situation>> = {
  "2n-two_node-healthy.n1": { nodes: 2, quorum: "two_node: 1" },
  "3n-2links-healthy.n1": {
    nodes: 3,
    conf: readFileSync(join(import.meta.dir, "tools/3n-2links.corosync.conf.txt"), "utf8"),
  },
  "3n-healthy.n1": { nodes: 3 },
  "3n-healthy.n2": { nodes: 3 },
  "3n-healthy.n3": { nodes: 3 },
  "3n-minority-1of3.n1": {
    nodes: 3,
    isVerbose: true,
    act: (net) => {
      cut(net);
      net.partition([1, 2, 3]);
      net.whole(1, 2, 3);
      net.gone(3);
      net.gone(2);
    },
  },
  "3n-one-killed.n1": { nodes: 3, act: killed },
  "3n-one-killed.n2": {
    nodes: 3,
    act: killed,
    // Its file was broken once, and 3.1.7 never takes that back (services.md §5.4).
    instead: {
      "config.totemconfig_reload_in_progress (u8) = 1":
        "config.totemconfig_reload_in_progress (u8) = 0",
    },
  },
  "3n-one-killed-after-e2.n1": {
    nodes: 3,
    act: (net) => {
      killed(net);
      net.step(1, { kind: "expectedVotesSet", id: 1, votes: 2 });
      net.run(1000);
    },
  },
  "3n-partition-majority.n1": { nodes: 3, isVerbose: true, act: cut },
  "3n-partition-minority.n3": { nodes: 3, isVerbose: true, act: cut },
  "3n-partition-healed.n1": {
    nodes: 3,
    isVerbose: true,
    act: (net) => {
      cut(net);
      net.partition([1, 2, 3]);
      net.whole(1, 2, 3);
    },
  },
  "4n-atb-healthy.n1": { nodes: 4, quorum: "auto_tie_breaker: 1" },
  "4n-qdevice-configured-absent.n1": {
    nodes: 4,
    quorum: "device {\nmodel: net\nvotes: 3\nnet {\nhost: 10.96.0.99\nalgorithm: ffsplit\n}\n}",
  },
};

function linesOf(name: string, option: string): string[] {
  const file = join(import.meta.dir, "tools", `${name}.cmapctl${option}.txt`);
  return readFileSync(file, "utf8").trimEnd().split("\n");
}

const isOurs = (line: string): boolean => !omitted.some(([pattern]) => pattern.test(line));

for (const [name, situation] of Object.entries(situations)) {
  test(name, () => {
    const { nodes, quorum, conf, isVerbose, act, instead = {} } = situation;
    const text = (version: number): string => conf ?? confOf(nodes, version, quorum);
    const net = new TestNet((version) =>
      isVerbose === true ? text(version).replace("debug: off", "debug: on") : text(version),
    );
    net.boot(...Array.from({ length: nodes }, (_, at) => at + 1));
    act?.(net);
    const nodeid = Number(name.at(-1));
    const entries = icmapEntries({
      settings: net.settings(nodeid),
      member: snapshotOf(net, nodeid).member,
      reload: net.hasReloaded ? { ok: true } : undefined,
      hasReloaded: net.hasReloaded,
    });
    const ours = entries.map((entry) => entryLine(entry, false).replace(running, "$1 = N"));
    const theirs = linesOf(name, "").filter(isOurs);
    expect(ours).toEqual(theirs.map((line) => instead[line] ?? line.replace(running, "$1 = N")));
  });
}

test("3n-configversion-changed-on-one.n1: runtime.members", () => {
  const net = new TestNet((version) => confOf(3, version));
  net.boot(1, 2, 3);
  net.reload(1);
  const entries = icmapEntries({
    settings: net.settings(1),
    member: snapshotOf(net, 1).member,
    reload: { ok: true },
    hasReloaded: true,
  });
  const ours = entries.filter(({ key }) => key.startsWith("runtime.members"));
  expect(ours.map((entry) => entryLine(entry, false))).toEqual(
    linesOf("3n-configversion-changed-on-one.n1", "-members"),
  );
});

test("whatever is left out is there to be left out", () => {
  const lines = linesOf("3n-healthy.n1", "");
  expect(omitted.filter(([pattern]) => !lines.some((line) => pattern.test(line)))).toEqual([]);
});

/** Of the statistics, with the reason (src/shell/cmap/stats-map.ts). */
const omittedStats: readonly (readonly [RegExp, string])[] = [
  [/^stats\.ipcs\./, "local clients speak HTTP"],
  [/^stats\.schedmiss\./, "only where the node was not scheduled"],
  [/_time_(ave|max|min) /, "no packet reads a clock"],
  [/_(errors|retries) /, "what the kernel's queue does not take is waited for"],
  [/srp\.(avg_backlog_calc|avg_token_workload|continuous_sendmsg_failures) /, "not measured"],
];

test.each(["3n-healthy.n1", "3n-one-killed.n1", "3n-partition-minority.n3"])(
  "the statistics of %s have the same keys and types",
  (name) => {
    const net = new TestNet((version) => confOf(3, version));
    net.boot(1, 2, 3);
    const nodeid = Number(name.at(-1));
    const none = { packets: 0, bytes: 0 };
    const nothing = { data: none, ping: none, pong: none, pmtu: none };
    const links = [1, 2, 3]
      .filter((peer) => peer !== nodeid)
      .map((peer) => ({
        ...{ nodeid: peer, link: 0, enabled: true, connected: true, mtu: 1397 },
        ...{ localAddress: "", remoteAddress: "", packetsSent: 0, packetsReceived: 0 },
        ...{ latencyUs: 5, latencySamples: 1, downCount: 1, upCount: 1 },
        ...{ sent: nothing, received: nothing, recent: { pings: 0, lost: 0 }, changes: [] },
        path: { state: "new", mtu: 1500 } as const,
      }));
    const entries = statsEntries({
      settings: net.settings(nodeid),
      snapshot: { ...snapshotOf(net, nodeid), links },
      wallMs: 0,
    });
    const ours = entries.map(({ key, type }) => `${key} (${type})`);
    const theirs = linesOf(name, "-m-stats")
      .filter((line) => !omittedStats.some(([pattern]) => pattern.test(line)))
      .map((line) => line.replace(/ = .*/, ""));
    expect(ours).toEqual(theirs);
  },
);
