// A test helper: a member of a healthy ring of three without its thread, for what asks a cluster for its state only.
import { present } from "../../src/assert.ts";
import { parseConf } from "../../src/conf.ts";
import type { RingSnapshot } from "../../src/node/thread/bridge.ts";
import type { Cluster } from "../../src/node/thread/cluster.ts";
import { readSettings } from "../../src/node/settings/read-settings.ts";
import type { NodeSettings } from "../../src/node/settings/settings.ts";
import { MemberNet } from "./member-switch.ts";

/** Of the corosync.conf `text` for the node named `name`; its addresses stand there as numbers. */
export function settingsOf(text: string, name: string): NodeSettings {
  const conf = parseConf(text);
  if (!conf.ok) throw new Error(`${conf.line}: ${conf.reason}`);
  const addresses = [...text.matchAll(/ring\d_addr: (\S+)/g)].map(([, address = ""]) => address);
  const read = readSettings({
    conf: conf.value,
    file: "corosync.conf",
    local: { names: [name], addresses: [] },
    resolved: new Map(addresses.map((address) => [address, address])),
    key: { ok: true, bytes: new Uint8Array(128) },
  });
  if (!read.ok) throw new Error(read.reason);
  return read.value;
}

/** As the recordings of the tools have it: n1 … nN at 10.96.0.1 …. */
export function confOf(nodes: number, version = 1, quorum = ""): string {
  const ids = Array.from({ length: nodes }, (_, at) => at + 1);
  const list = ids.map(
    (id) => `node {\nname: n${id}\nnodeid: ${id}\nquorum_votes: 1\nring0_addr: 10.96.0.${id}\n}\n`,
  );
  return `totem {\nversion: 2\ncluster_name: svlab\nconfig_version: ${version}\ntransport: knet\ncrypto_cipher: none\ncrypto_hash: none\n}
logging {\nto_syslog: no\nto_stderr: yes\ntimestamp: hires\ndebug: off\n}
quorum {\nprovider: corosync_votequorum\n${quorum}\n}\nnodelist {\n${list.join("")}}\n`;
}

export function healthyCluster(): Cluster & { readonly net: MemberNet } {
  const net = new MemberNet();
  for (const nodeid of [1, 2, 3]) {
    net.start({ settings: settingsOf(confOf(3), `n${nodeid}`) });
  }
  const isWhole = (): boolean =>
    [1, 2, 3].every((nodeid) => net.node(nodeid).member.snapshot().quorum.members.length === 3);
  if (!net.until(isWhole)) throw new Error("the ring was not formed");
  let asked = 0;
  return {
    net,
    settings: settingsOf(confOf(3), "n1"),
    lastReload: undefined,
    quorum: net.node(1).member.snapshot().quorum,
    onQuorum: () => undefined,
    onReloaded: () => undefined,
    snapshot: async () => snapshotOf(net, 1),
    setExpectedVotes: async () => ({ ok: false, reason: "" }),
    setVotes: async () => ({ ok: false, reason: "" }),
    killNode: async () => ({ ok: false, reason: "" }),
    changeConfiguration: async () => ({ ok: false, reason: "" }),
    stopDevice: async () => ({ ok: false, reason: "" }),
    reload: () => Promise.reject(new Error("no file to reload")),
    cancelWaitForAll: async () => {
      asked += 1;
      net.step(1, { kind: "waitForAllCancelled", id: asked });
      const isAnswered = (): boolean =>
        net.node(1).actions.some((action) => action.kind === "replied" && action.id === asked);
      return { ok: net.until(isAnswered), reason: "" };
    },
  };
}

/** Of a member that has no links to count. */
export function snapshotOf(net: MemberNet, nodeid: number): RingSnapshot {
  const node = present(net.nodes.get(nodeid), `node ${nodeid} runs`);
  return {
    member: node.member.snapshot(),
    links: [],
    reachable: [],
    rotationUs: { p50: 0, p99: 0 },
    counts: {
      rotationMeanMs: 0,
      tokenAgeMs: undefined,
      traffic: {
        loopback: { packets: 0, bytes: 0 },
        compressed: { packets: 0, bytes: 0, openedBytes: 0 },
      },
      crypto: { sealed: 0, opened: 0, addedBytes: 0 },
      schedulingMisses: [],
    },
    peerFaults: [],
    refusal: "",
    packetsDropped: {},
    device: undefined,
  };
}
