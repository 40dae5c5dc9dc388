// What a node answers on its local socket about itself: its state, and ring, votes and links at length. The types of who makes these answers and of
// whoever reads them come from here. Fields are only ever added, and a later version may say words that this one does not know: of a word is
// checked that it is text. Times in milliseconds or Unix seconds as named.
import * as v from "valibot";

function wordOf<const W extends string>(..._known: readonly W[]) {
  return v.custom<W>((value) => typeof value === "string", "it is no text");
}

const ringId = v.object({ rep: v.number(), seq: v.number() });
const nodeids = v.array(v.number());

const messageCounts = v.object({
  ...{ token: v.number(), mcast: v.number(), mergeDetect: v.number() },
  ...{ join: v.number(), commit: v.number(), holdCancel: v.number() },
});
const stateCounts = v.object({
  ...{ gather: v.number(), commit: v.number(), recovery: v.number(), operational: v.number() },
});
/** See RingCounters in node/ring/events.ts. */
export const ringCounters = v.object({
  ...{ tokensReceived: v.number(), messagesSent: v.number(), messagesReceived: v.number() },
  ...{ retransmitsSent: v.number(), retransmitsAsked: v.number(), memberships: v.number() },
  ...{ droppedMalformed: v.number(), consensusTimeouts: v.number() },
  ...{ received: messageCounts, sent: messageCounts, entered: stateCounts, tokenLost: stateCounts },
});
/** Time between two visits of the token, microseconds, where an idle token was not held in between; 0: unknown. */
export const rotationUs = v.object({ p50: v.number(), p99: v.number() });

/** Every node that has stated its votes since start, ascending. */
const voters = v.array(
  v.object({
    ...{ nodeid: v.number(), votes: v.number(), expectedVotes: v.number() },
    state: wordOf("member", "dead", "leaving"),
    /** votequorum's flag bits as last received (services.md §1.6). */
    flags: v.number(),
  }),
);
const votes = v.object({
  quorate: v.boolean(),
  members: nodeids,
  ...{ expectedVotes: v.number(), totalVotes: v.number() },
  /** Votes needed. */
  quorum: v.number(),
  /** As corosync-quorumtool prints them, in its order. */
  flags: v.array(v.string()),
  voters,
  deviceVotes: v.number(),
  /** What the votes mean, in a sentence. */
  meaning: v.string(),
});

const traffic = v.object({ packets: v.number(), bytes: v.number() });
/** Pings of the last minute or so, since the link came up; of those that were answered the latency. */
export const linkRecent = v.object({
  ...{ pings: v.number(), lost: v.number() },
  latencyUs: v.exactOptional(v.object({ min: v.number(), p50: v.number(), max: v.number() })),
});
/** Ups and downs since the link exists, newest first; the last few. */
export const linkChanges = v.array(
  v.object({ agoMs: v.number(), isUp: v.boolean(), reason: v.string() }),
);

const link = v.object({
  ...{ nodeid: v.number(), link: v.number(), localAddress: v.string(), remoteAddress: v.string() },
  ...{ enabled: v.boolean(), connected: v.boolean() },
  /** Largest user data of one fragment (data_mtu), bytes. */
  mtu: v.number(),
  latencyUs: v.number(),
  /** Of all answers since the link exists; absent: there was none. */
  latencyUsRange: v.optional(v.object({ min: v.number(), max: v.number() })),
  /** How many answers the mean covers. */
  latencySamples: v.number(),
  ...{ downCount: v.number(), upCount: v.number() },
  ...{ packetsSent: v.number(), packetsReceived: v.number() },
  sent: v.object({ data: traffic, ping: traffic, pong: traffic, pmtu: traffic }),
  received: v.object({ data: traffic, ping: traffic, pong: traffic, pmtu: traffic }),
  recent: linkRecent,
  changes: linkChanges,
  path: v.object({
    state: wordOf("fixed", "new", "measured", "failed"),
    mtu: v.number(),
    unanswered: v.exactOptional(v.number()),
  }),
});

/** Ring, votes and links of one node (services.md §7). */
export const ringAnswer = v.object({
  ...{ nodeid: v.number(), transport: v.string() },
  quorum: v.object({
    ...votes.entries,
    /** "" without one: then there are no votes. */
    provider: v.string(),
    /** Of the last synchronised ring: representative in decimal, sequence in hex, "1.2f". */
    ring: v.string(),
    /** The most that a member expects. */
    highestExpected: v.number(),
    /** "": nobody named one. */
    deviceName: v.string(),
  }),
  ring: v.object({
    ...{ id: v.string(), state: v.string(), synchronising: v.boolean(), members: nodeids },
    ...{ counters: ringCounters, rotationUs, queuedMessages: v.number() },
    /** Of each member, as it said last. */
    configVersions: v.array(v.object({ nodeid: v.number(), version: v.number() })),
  }),
  /** As corosync.conf lists them. */
  nodes: v.array(
    v.object({
      nodeid: v.number(),
      /** "" when corosync.conf gives none. */
      name: v.string(),
      /** By link number; null where the node has no such link. */
      addresses: v.array(v.nullable(v.string())),
      isLocal: v.boolean(),
      /** Has at least one usable link; our own node has. */
      isReachable: v.boolean(),
    }),
  ),
  /** To every other node, by node and link number; faults: what is wrong with it, as sentences with what to do. */
  links: v.array(v.object({ ...link.entries, faults: v.array(v.string()) })),
});

const heuristics = wordOf("pass", "fail");

/** The quorum device's client on a node; what is not there is not so now, or never was. */
const device = v.object({
  ...{ model: v.literal("net"), host: v.string(), port: v.number() },
  ipVersion: v.picklist([0, 4, 6]),
  ...{ algorithm: v.string(), tieBreaker: v.string(), votes: v.number() },
  isRegistered: v.boolean(),
  state: wordOf("Connected", "Connecting", "Connect failed", "Disconnected"),
  /** Why it is not connected, or not used; "" when all is well. */
  problem: v.string(),
  tls: v.object({ mode: v.string(), active: v.boolean(), sentCertificate: v.boolean() }),
  /** In the words of the original's tool. */
  keepActivePartition: wordOf(
    ...["Enabled", "Disabled", "Unsupported by QNetd", "Algorithm hard-coded"],
    "Unsupported by algorithm",
  ),
  /** The vote in force; absent while the server's answer is awaited. */
  vote: v.optional(wordOf("ack", "nack")),
  heuristics: v.object({
    mode: wordOf("off", "on", "sync"),
    ...{ last: v.optional(heuristics), regular: v.optional(heuristics) },
    ...{ membership: v.optional(heuristics), connect: v.optional(heuristics) },
  }),
  ...{ heartbeatMs: v.number(), connectMs: v.number(), castVoteMs: v.number() },
  /** How long votequorum waits for a silent client, at other times and while services are synchronised. */
  ...{ timeoutMs: v.number(), syncTimeoutMs: v.number() },
  /** What is wrong with this device in this cluster; absent: nothing. */
  warning: v.exactOptional(v.string()),
  /** What this client reports to the vote server of its cluster. */
  cluster: v.object({
    ...{ name: v.string(), nodeid: v.number(), configVersion: v.number() },
    nodes: v.array(v.object({ nodeid: v.number(), dataCenterId: v.number() })),
    ring: v.optional(ringId),
    members: nodeids,
    quorate: v.optional(v.boolean()),
    voters: v.array(v.object({ nodeid: v.number(), state: wordOf("member", "dead", "leaving") })),
    expectedVotes: v.optional(v.number()),
  }),
  connectedForMs: v.optional(v.number()),
  lastEchoAgoMs: v.optional(v.number()),
  lastPoll: v.optional(v.object({ agoMs: v.number(), castsVote: v.boolean() })),
});

/** What reading corosync.conf again came to; see ReloadOutcome in node/thread/reloader.ts. */
const reload = v.object({
  ...{ ok: v.boolean(), reason: v.string(), isFileRefused: v.boolean(), configVersion: v.number() },
  ...{ changes: v.array(v.string()), needsRestart: v.array(v.string()) },
  /** Unix seconds. */
  at: v.number(),
});

const tree = v.object({
  mode: wordOf("local", "starting", "synchronising", "synced", "updating", "left", "error"),
  writable: v.boolean(),
  /** Why it is not writable, as a sentence; "" when it is. */
  reason: v.string(),
  ...{ version: v.number(), entries: v.number(), bytes: v.number() },
  /** Hex SHA-256 over the whole tree (the verification checksum of pmxcfs.md §4.11). */
  digest: v.string(),
  /** Changes delivered and stored since start. */
  writes: v.number(),
  /** nodeids in the dcdb group. */
  members: nodeids,
  /** The last comparison with the tree of the lowest nodeid, Unix seconds; absent: none yet. `digest`: of the tree that was compared. */
  verified: v.exactOptional(v.object({ at: v.number(), equal: v.boolean(), digest: v.string() })),
  /**
   * What an answered change may count on; absent in local mode. `epoch`: of this disk's tree, 0: none yet. `isAgreed`: on the disks of a
   * majority; no write is answered before. `silent`: members that cannot say what their disks have; empty: a majority's disks count.
   */
  promise: v.exactOptional(v.object({ epoch: v.number(), isAgreed: v.boolean(), silent: nodeids })),
});

/** The state of a node: what `quorate status --json` prints. */
export const statusAnswer = v.object({
  version: v.string(),
  /** A standalone node is in no cluster: no ring, no votes; its tree is local and always writable. */
  mode: v.picklist(["standalone", "cluster"]),
  node: v.object({
    ...{ name: v.string(), nodeid: v.number(), pid: v.number() },
    /** Unix seconds. */
    startedAt: v.number(),
    rssBytes: v.number(),
  }),
  cluster: v.object({
    ...{ name: v.string(), configVersion: v.number(), encrypted: v.boolean() },
    /** The last time corosync.conf was read again; absent: not since start. */
    reload: v.exactOptional(reload),
  }),
  /** What works and ought not to stay so, as sentences with what to do; absent: nothing. */
  warnings: v.exactOptional(v.array(v.string())),
  quorum: v.object({
    ...votes.entries,
    ring: ringId,
    /** The quorum device's name as the cluster knows it, a byte string; absent: nobody named one. */
    deviceName: v.exactOptional(v.string()),
  }),
  ring: v.object({
    /** As all tools print it: representative in decimal, sequence in hex, "1.2f". */
    id: v.string(),
    ...{ state: v.string(), synchronising: v.boolean(), members: nodeids, counters: ringCounters },
    ...{ rotationUs, queuedMessages: v.number(), packetsDropped: v.record(v.string(), v.number()) },
  }),
  nodes: v.array(
    v.object({
      ...{ name: v.string(), nodeid: v.number(), votes: v.number() },
      ...{ local: v.boolean(), member: v.boolean(), reachable: v.boolean() },
      addresses: v.array(v.string()),
      /** config_version of what it runs with, as it said last; absent: it has not said, or is no member. */
      configVersion: v.exactOptional(v.number()),
      /** Why what it sends cannot be used here, as a sentence; absent: it can, or it sends nothing. */
      fault: v.exactOptional(v.string()),
    }),
  ),
  links: v.array(link),
  /** Own addresses that no interface of this machine has now; absent: all are there. Their links wait. `text`: what to do. */
  absentAddresses: v.exactOptional(
    v.array(v.object({ address: v.string(), links: v.array(v.number()), text: v.string() })),
  ),
  /** Absent without one. */
  device: v.exactOptional(device),
  /** Why a configured quorum device has no client here; absent when it has, or none is configured. */
  deviceFault: v.exactOptional(v.string()),
  tree,
  /** The last event of an upgrade of this machine; absent: there was none. `at`: ISO 8601. */
  upgrade: v.exactOptional(v.object({ at: v.string(), event: v.string(), text: v.string() })),
  /** Where the tree is mounted; "" when it is not, with the reason beside it. */
  mount: v.object({ target: v.string(), reason: v.string() }),
  /** A change in several steps that runs now, or was interrupted; absent: none. `id`: the task's UPID. */
  operation: v.exactOptional(
    v.object({
      ...{ kind: v.string(), id: v.string() },
      /** Unix milliseconds. */
      beganAtMs: v.number(),
      ...{ step: v.string(), isGoingBack: v.boolean() },
    }),
  ),
  /** What the last such change left to be done by hand; absent: nothing. */
  leftover: v.exactOptional(
    v.object({
      ...{ kind: v.string(), id: v.string() },
      /** Unix milliseconds. */
      endedAtMs: v.number(),
      /** Why it was not completed; "" when only its end is missing. */
      reason: v.string(),
      /** Why it could not be undone, or completed, either. */
      obstacle: v.string(),
      /** What somebody has to do, a sentence each. */
      left: v.array(v.string()),
      /** The file that says so; it goes with the next completed change, or by hand. */
      file: v.string(),
    }),
  ),
});
