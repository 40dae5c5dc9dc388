// What is looked at before a join, each by itself with what was found and what to do (pvecm.md §5.9 D): so a person sees all of it at once, also what
// is good. Pure: what the machine and the cluster say comes in.
import type { JoinCheck } from "../answers/join.ts";
import type { RemoteFault } from "../remote/remote-answer.ts";
import {
  clockNote,
  clockProblem,
  type LinkChoice,
  type MachineFacts,
  machineProblems,
  mtuNote,
  type ProbeOutcome,
  probeProblem,
  type Problem,
} from "./preflight.ts";

type Name = JoinCheck["name"];

const good = (name: Name, text: string): JoinCheck => ({ name, state: "good", text, remedy: "" });
const noted = (name: Name, text: string): JoinCheck => ({ name, state: "note", text, remedy: "" });
export const skipped = (name: Name): JoinCheck => ({
  name,
  state: "skipped",
  text: "",
  remedy: "",
});
const bad = (name: Name, { text, remedy }: Problem): JoinCheck => ({
  name,
  state: "bad",
  text,
  remedy,
});

/** Nobody was there, it was somebody else, or the one who is there let this node not in. `words`: the fault as it is shown. */
export function faultChecks({ kind }: RemoteFault, words: string): readonly JoinCheck[] {
  const problem = { text: words, remedy: "" };
  switch (kind) {
    case "unreachable":
    case "timeout":
    case "tls":
      return [bad("reach", problem), skipped("identity"), skipped("entry")];
    case "untrusted":
      return [good("reach", ""), bad("identity", problem), skipped("entry")];
    case "malformed":
    case "tooLong":
    case "secondFactor":
    case "unauthorized":
    case "refused":
      return [good("reach", ""), good("identity", ""), bad("entry", problem)];
  }
  return kind satisfies never;
}

/** A member has answered. */
export function answeredChecks(known: {
  readonly cluster: string;
  readonly member: string;
  /** Of the member; "": it does not say. */
  readonly version: string;
  readonly ownVersion: string;
  /** The member's clock minus ours. */
  readonly offsetMs: number;
}): readonly JoinCheck[] {
  const { cluster, member, version, ownVersion, offsetMs } = known;
  const versions =
    version === ""
      ? noted("versions", `${member} is no node of quorate, and does not say its version`)
      : version === ownVersion
        ? good("versions", `${member} and this node: ${version}`)
        : noted(
            "versions",
            `${member} has ${version}, this node ${ownVersion}: they understand each other`,
          );
  const clock = clockProblem(offsetMs, member);
  const note = clockNote(offsetMs, member);
  const clocks =
    clock !== undefined
      ? bad("clock", clock)
      : note !== undefined
        ? noted("clock", note)
        : good("clock", `${(Math.abs(offsetMs) / 1000).toFixed(1)} s apart`);
  return [
    good("reach", `${member} answers`),
    good("identity", ""),
    good("entry", `it is a member of '${cluster}'`),
    versions,
    clocks,
  ];
}

/** This machine: what is left of a cluster, guests, other programs. */
export function machineChecks(facts: MachineFacts): readonly JoinCheck[] {
  const { authkey, conf, guests, others, node } = facts;
  const of = (part: Partial<MachineFacts>): readonly Problem[] =>
    machineProblems({
      ...facts,
      ...{ guests: [], others: [] },
      authkey: { ...authkey, isThere: false },
      conf: { ...conf, isThere: false },
      ...part,
    });
  const each = (name: Name, found: readonly Problem[], well: string): readonly JoinCheck[] =>
    found.length === 0 ? [good(name, well)] : found.map((problem) => bad(name, problem));
  return [
    ...each("leftovers", of({ authkey, conf }), `no key and no corosync.conf on ${node}`),
    ...each("guests", of({ guests }), `none on ${node}`),
    ...each("others", of({ others }), "no other program has a ring or a tree here"),
  ];
}

/** Addresses of this node. */
export function addressChecks({ links, problems }: LinkChoice): readonly JoinCheck[] {
  if (problems.length > 0) return problems.map((problem) => bad("addresses", problem));
  const list = [...links].map(([link, address]) => `link ${link}: ${address}`).join(", ");
  return [good("addresses", list)];
}

/** What the member says of a place for this node; `fault`: "" where it could have one. */
export function placeCheck(node: string, fault: string): JoinCheck {
  return fault === ""
    ? good("place", `the name '${node}' and its addresses are free`)
    : bad("place", { text: fault, remedy: "" });
}

export function probeChecks(outcomes: readonly ProbeOutcome[]): readonly JoinCheck[] {
  return outcomes.map((outcome) => {
    const { link, own, member, fullBytes } = outcome;
    const problem = probeProblem(outcome);
    if (problem !== undefined) return bad("link", problem);
    const note = mtuNote(outcome);
    return note === undefined
      ? good(
          "link",
          `link ${link}: packets of ${fullBytes} bytes pass between ${own} and ${member}`,
        )
      : noted("link", note);
  });
}

export function quorumCheck(effect: string): JoinCheck {
  return noted("quorum", effect);
}
