import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { voteSituations } from "../../../test/double/vote-situations.ts";
import type { QuorumView } from "../member/events.ts";

describe("worked examples of services.md §4.12", () => {
  for (const row of voteSituations) {
    test(row.situation, () => {
      const { bus, at = 1 } = row.act();
      const view = bus.node(at).quorum;
      const { expectedVotes, totalVotes, quorum, flags } = row;
      expect({ ...view, flags: view.flags.join(" ") }).toMatchObject({
        expectedVotes,
        totalVotes,
        quorum,
        flags,
        quorate: flags.includes("Quorate"),
      });
      if (row.golden !== undefined) expect(asPrinted(view)).toEqual(printed(row.golden));
    });
  }
});

/** The votequorum block of corosync-quorumtool -s as a real node printed it. */
function printed(name: string): Record<string, string> {
  const path = `${import.meta.dir}/../../../test/golden/tools/${name}.quorumtool-s.txt`;
  const lines = readFileSync(path, "latin1").split("\n");
  const value = (label: string): string =>
    (lines.find((line) => line.startsWith(`${label}:`)) ?? "").slice(label.length + 1).trim();
  return {
    quorate: value("Quorate"),
    expected: value("Expected votes"),
    highest: value("Highest expected"),
    total: value("Total votes"),
    quorum: value("Quorum"),
    flags: value("Flags"),
  };
}

function asPrinted(view: QuorumView): Record<string, string> {
  const highest = Math.max(
    ...view.voters.filter((voter) => voter.state === "member").map((voter) => voter.expectedVotes),
  );
  return {
    quorate: view.quorate ? "Yes" : "No",
    expected: String(view.expectedVotes),
    highest: String(highest),
    total: String(view.totalVotes),
    quorum: view.quorate ? String(view.quorum) : `${view.quorum} Activity blocked`,
    flags: view.flags.join(" "),
  };
}
