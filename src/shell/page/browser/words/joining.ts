// What is said of the checks before a join.
import type { joinCheckNames } from "../../../answers/join.ts";

const names: Readonly<Record<(typeof joinCheckNames)[number], string>> = {
  reach: "A member answers",
  identity: "Its certificate is the one of the fingerprint",
  entry: "It lets this node in",
  versions: "The versions fit",
  clock: "The clocks are the same",
  leftovers: "Nothing is left of another cluster",
  guests: "No guests are here",
  others: "No other cluster program runs here",
  addresses: "This node has an address for each link",
  place: "Name and addresses are free there",
  link: "Packets of full size pass",
  quorum: "What happens to quorum",
};

export const joinCheckWords = {
  names,
  good: "good",
  note: "note",
  bad: "stands against it",
  skipped: "not yet looked at",
  remedy: "To do:",
  summaryBad: (count: number) =>
    count === 1 ? "One thing stands against it" : `${count} things stand against it`,
  steps: "Steps",
  stepStates: { done: "done", runs: "runs", waits: "to come", failed: "failed" },
} as const;
