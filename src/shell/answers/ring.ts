// What the routes answer about the ring of a node: quorum, nodes, links, quorum device; and all of it at one moment, with what the node is
// and what it warns of.
import * as v from "valibot";
import { linkChanges, linkRecent } from "./status.ts";

const voterSchema = v.object({
  nodeid: v.number(),
  votes: v.number(),
  expectedVotes: v.number(),
  state: v.picklist(["member", "dead", "leaving"]),
  flags: v.number(),
});
export const quorumAnswer = v.object({
  mode: v.picklist(["standalone", "cluster"]),
  /** "corosync_votequorum"; "" without one: then there are no votes. */
  provider: v.string(),
  quorate: v.boolean(),
  ring: v.string(),
  members: v.array(v.number()),
  expectedVotes: v.number(),
  highestExpected: v.number(),
  totalVotes: v.number(),
  /** Votes needed. */
  quorum: v.number(),
  flags: v.array(v.string()),
  voters: v.array(voterSchema),
  deviceVotes: v.number(),
  deviceName: v.string(),
  /** What the votes mean, a sentence. */
  meaning: v.string(),
  /** That somebody has overridden the expected votes, its risk and its end, a sentence; "": nobody has. */
  override: v.string(),
});

export const linkAnswer = v.object({
  nodeid: v.number(),
  link: v.number(),
  localAddress: v.string(),
  remoteAddress: v.string(),
  enabled: v.boolean(),
  connected: v.boolean(),
  /** Bytes of one fragment's data, and of the largest IP packet. */
  mtu: v.number(),
  path: v.object({
    state: v.picklist(["fixed", "new", "measured", "failed"]),
    mtu: v.number(),
    unanswered: v.optional(v.number()),
  }),
  recent: linkRecent,
  upCount: v.number(),
  downCount: v.number(),
  packetsSent: v.number(),
  packetsReceived: v.number(),
  changes: linkChanges,
  /** What is wrong with it, sentences with what to do. */
  faults: v.array(v.string()),
});

export const nodeAnswer = v.object({
  nodeid: v.number(),
  name: v.string(),
  votes: v.number(),
  /** By link number; null where the node has no such link. */
  addresses: v.array(v.nullable(v.string())),
  isLocal: v.boolean(),
  isMember: v.boolean(),
  isReachable: v.boolean(),
  /** config_version as the node said last; null: it has said nothing. */
  configVersion: v.nullable(v.number()),
  /** Why what it sends cannot be used here, a sentence; "": it can, or it sends nothing. */
  fault: v.string(),
});

export const deviceAnswer = v.object({
  /** Null: this node has none in use. */
  device: v.nullable(
    v.object({
      model: v.string(),
      host: v.string(),
      port: v.number(),
      algorithm: v.string(),
      tieBreaker: v.string(),
      votes: v.number(),
      isRegistered: v.boolean(),
      state: v.picklist(["Connected", "Connecting", "Connect failed", "Disconnected"]),
      /** The vote in force; null while the answer is awaited. */
      vote: v.nullable(v.picklist(["ack", "nack"])),
      problem: v.string(),
      warning: v.string(),
      tls: v.object({ mode: v.string(), active: v.boolean(), sentCertificate: v.boolean() }),
      heartbeatMs: v.number(),
      /** Milliseconds; null: it is not, or it never was. */
      connectedForMs: v.nullable(v.number()),
      lastEchoAgoMs: v.nullable(v.number()),
      lastPoll: v.nullable(v.object({ agoMs: v.number(), castsVote: v.boolean() })),
    }),
  ),
  /** Why a configured device is not in use here, a sentence; "": it is, or none is configured. */
  fault: v.string(),
});

/** A node and its cluster, at one moment. */
export const overviewAnswer = v.object({
  /** Unix milliseconds, by this node's clock. */
  at: v.number(),
  /** Of this node in the tree: what stands behind /nodes/ in paths. */
  node: v.string(),
  version: v.string(),
  /** Unix seconds. */
  startedAt: v.number(),
  /** Name "" where there is none. */
  cluster: v.object({ name: v.string(), configVersion: v.number(), encrypted: v.boolean() }),
  /** What works and ought not to stay so, and what is broken: sentences with what to do. */
  warnings: v.array(v.string()),
  quorum: quorumAnswer,
  nodes: v.array(nodeAnswer),
  /** From this node to every other. */
  links: v.array(linkAnswer),
  ...deviceAnswer.entries,
  tree: v.object({
    isWritable: v.boolean(),
    /** Why not, a sentence; "": it is. */
    reason: v.string(),
  }),
  certificates: v.array(v.object({ file: v.string(), daysLeft: v.number() })),
  /** A change in several steps that runs now, or was interrupted; null: none. */
  operation: v.nullable(
    v.object({
      kind: v.string(),
      /** The UPID of its task. */
      id: v.string(),
      step: v.string(),
      isGoingBack: v.boolean(),
    }),
  ),
  /** What the last such change left to be done by hand; null: nothing. */
  leftover: v.nullable(
    v.object({
      kind: v.string(),
      reason: v.string(),
      obstacle: v.string(),
      left: v.array(v.string()),
      file: v.string(),
    }),
  ),
});
export type Overview = v.InferOutput<typeof overviewAnswer>;
