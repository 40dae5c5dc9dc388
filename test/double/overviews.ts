// A test helper: the state of a cluster as the API tells it, without a cluster.
import type { Overview } from "../../src/shell/answers/ring.ts";

type Node = Overview["nodes"][number];
type Link = Overview["links"][number];

export function nodeFacts(nodeid: number, more: Partial<Node> = {}): Node {
  return {
    ...{ nodeid, name: `pve${nodeid}`, votes: 1, addresses: [`10.0.0.${nodeid}`] },
    ...{ isLocal: nodeid === 1, isMember: true, isReachable: true, configVersion: 3, fault: "" },
    ...more,
  };
}

export function linkFacts(nodeid: number, link = 0, more: Partial<Link> = {}): Link {
  return {
    ...{ nodeid, link, localAddress: "10.0.0.1", remoteAddress: `10.0.0.${nodeid}` },
    ...{ enabled: true, connected: true, mtu: 1397, path: { state: "measured", mtu: 1500 } },
    recent: { pings: 60, lost: 0, latencyUs: { min: 300, p50: 880, max: 2000 } },
    ...{ upCount: 1, downCount: 0, packetsSent: 1, packetsReceived: 1 },
    changes: [{ agoMs: 98_000, isUp: true, reason: "" }],
    faults: [],
    ...more,
  };
}

/** Its device is registered, there, and gives it the votes, where there is one. */
const deviceFlags = 16 | 32 | 64;

/** Of three nodes with two links each, all well; `away`: nodeids that are gone. */
export function overviewOf(
  nodeids: readonly number[],
  away: readonly number[] = [],
  more: Partial<Overview> = {},
): Overview {
  const nodes = nodeids.map((nodeid) =>
    nodeFacts(nodeid, {
      addresses: [`10.0.0.${nodeid}`, `10.1.0.${nodeid}`],
      ...(away.includes(nodeid)
        ? { isMember: false, isReachable: false, configVersion: null }
        : {}),
    }),
  );
  const members = nodeids.filter((nodeid) => !away.includes(nodeid));
  const quorum = Math.floor(nodeids.length / 2) + 1;
  const links = nodeids
    .filter((nodeid) => nodeid !== 1)
    .flatMap((nodeid) =>
      [0, 1].map((link) => linkFacts(nodeid, link, { connected: !away.includes(nodeid) })),
    );
  return {
    ...{ at: 1_790_000_000_000, node: "pve1", version: "1.0.0", startedAt: 1_789_990_000 },
    cluster: { name: "prod", configVersion: 3, encrypted: true },
    warnings: [],
    quorum: {
      ...{ mode: "cluster", provider: "corosync_votequorum", ring: "1.2f", members, quorum },
      quorate: members.length >= quorum,
      ...{ expectedVotes: nodeids.length, highestExpected: nodeids.length },
      totalVotes: members.length,
      flags: ["Quorate"],
      voters: nodeids.map((nodeid) => ({
        ...{ nodeid, votes: 1, expectedVotes: nodeids.length, flags: deviceFlags },
        state: away.includes(nodeid) ? "dead" : "member",
      })),
      ...{ deviceVotes: 0, deviceName: "", meaning: "", override: "" },
    },
    ...{ nodes, links, device: null, fault: "", tree: { isWritable: true, reason: "" } },
    certificates: [{ file: "pve-root-ca.pem", daysLeft: 3000 }],
    ...{ operation: null, leftover: null },
    ...more,
  };
}

/** A quorum device that is connected, and votes. */
export const deviceFacts: NonNullable<Overview["device"]> = {
  ...{ model: "net", host: "10.0.0.9", port: 5403, algorithm: "ffsplit", tieBreaker: "lowest" },
  ...{ votes: 1, isRegistered: true, state: "Connected", vote: "ack", problem: "", warning: "" },
  tls: { mode: "required", active: true, sentCertificate: true },
  ...{ heartbeatMs: 8000, connectedForMs: 100_000, lastEchoAgoMs: 2000, lastPoll: null },
};

/** Names that a stranger may give, none of which may do anything. */
export const strangersNames = [
  '<script>alert("x")</script>',
  "<img src=x onerror=alert(1)>",
  `"'><b>quotes`,
  "\u202Egnp.\u2066exe\u202C",
  "line\nfeed\u0000nul\u001b[31m",
  "ä".repeat(127) + "x",
  "]]>&lt;&amp;{{7*7}}${1}",
  "\u05e9\u05dc\u05d5\u05dd-right-to-left",
  `piled${"\u0301".repeat(120)}`,
  "$(reboot); `id` & 'quoted'",
  "w".repeat(255),
] as const;
