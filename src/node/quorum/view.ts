// The votes as the rest of the program and corosync-quorumtool see them (services.md §7.1): plain data, flags by their names
// in the tool's order.
import type { RingId } from "../../world.ts";
import type { QuorumView } from "../member/events.ts";
import { calculate, hasFlag, type Ledger } from "./ledger.ts";
import { voterFlags } from "./message.ts";

/** `deviceName`: a byte string, "" for none. */
export function viewOf(
  ledger: Ledger,
  ring: RingId,
  members: readonly number[],
  deviceName: string,
): QuorumView {
  const { rules, us } = ledger;
  const named: readonly (readonly [boolean, string])[] = [
    [rules.twoNode, "2Node"],
    [ledger.isQuorate, "Quorate"],
    [rules.waitForAll, "WaitForAll"],
    [rules.lastManStanding, "LastManStanding"],
    [rules.tieBreaker !== undefined, "AutoTieBreaker"],
    [rules.allowDownscale, "AllowDownscale"],
    [hasFlag(us, voterFlags.deviceRegistered), "Qdevice"],
  ];
  return {
    quorate: ledger.isQuorate,
    ring,
    members,
    expectedVotes: us.expectedVotes,
    totalVotes: calculate(ledger, false, 0).total,
    quorum: ledger.quorum,
    flags: named.flatMap(([isOn, name]) => (isOn ? [name] : [])),
    voters: [...ledger.voters.values()]
      .map(({ nodeid, votes, expectedVotes, state, flags }) => ({
        nodeid,
        votes,
        expectedVotes,
        state,
        flags,
      }))
      .sort((a, b) => a.nodeid - b.nodeid),
    deviceVotes: ledger.deviceVotes,
    ...(deviceName === "" ? {} : { deviceName }),
  };
}

/** The view of a node without a quorum provider: always quorate, without votes (services.md §5.2). */
export function viewWithoutVotes(ring: RingId, members: readonly number[]): QuorumView {
  return {
    quorate: true,
    ring,
    members,
    expectedVotes: 0,
    totalVotes: 0,
    quorum: 0,
    flags: [],
    voters: [],
    deviceVotes: 0,
  };
}
