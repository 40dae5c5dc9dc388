// What happens on a node, as the API tells it (pvecm.md §5.8, §6): one schema a kind, with what it means in a sentence.
import * as v from "valibot";

const nodeids = v.array(v.number());

/** Who is in the ring. */
const membershipFacts = v.object({
  /** "1.2f" as all tools print it. */
  ring: v.string(),
  members: nodeids,
  joined: nodeids,
  left: nodeids,
});
const quorumFacts = v.object({
  quorate: v.boolean(),
  totalVotes: v.number(),
  expectedVotes: v.number(),
  /** Votes needed. */
  quorum: v.number(),
});
const linkFacts = v.object({
  nodeid: v.number(),
  link: v.number(),
  isUp: v.boolean(),
  /** Why it went down, a clause; "" when it came up. */
  reason: v.string(),
});
const deviceFacts = v.object({
  /** As corosync-qdevice-tool says it; "absent": this node has no device. */
  state: v.string(),
  /** "": its answer is awaited. */
  vote: v.picklist(["ack", "nack", ""]),
  problem: v.string(),
});
const treeFacts = v.object({
  /** As path-text.ts writes them; empty when it is all. */
  paths: v.array(v.string()),
  /** Many objects, or all of them, may be others now: read anew what you hold. */
  isAll: v.boolean(),
});
const upgradeFacts = v.object({ event: v.string() });

function schemaOf<const K extends string, S extends v.GenericSchema>(kind: K, facts: S) {
  return v.object({
    /** To go on behind it later: Last-Event-ID. */
    id: v.string(),
    /** Unix milliseconds. */
    at: v.number(),
    kind: v.literal(kind),
    text: v.string(),
    facts,
  });
}

export const eventSchema = v.variant("kind", [
  schemaOf("membership", membershipFacts),
  schemaOf("quorum", quorumFacts),
  schemaOf("link", linkFacts),
  schemaOf("device", deviceFacts),
  schemaOf("tree", treeFacts),
  schemaOf("upgrade", upgradeFacts),
]);

export type RecordedEvent = v.InferOutput<typeof eventSchema>;
export type EventKind = RecordedEvent["kind"];
/** Before it is recorded. */
export type NodeEvent = RecordedEvent extends infer E
  ? E extends RecordedEvent
    ? Omit<E, "id">
    : never
  : never;
