// The quorum of a cluster without votes: every part is quorate or none is, as a test says.
import type { QuorumOfRing } from "../../src/fs/epoch/events.ts";

export function plainQuorum(quorate: boolean, ringSeq = 1): QuorumOfRing {
  return { quorate, ringSeq, quorum: 0, expectedVotes: 0, deviceVotes: 0, voters: [] };
}
