// What is different between two looks at a node, as events. Pure: what was seen and when is given.
import type { DeviceSnapshot } from "../../node/device/events.ts";
import type { LinkSnapshot } from "../../node/link/events.ts";
import type { QuorumView } from "../../node/member/events.ts";
import { ringText } from "../../world.ts";
import { quorumMeaning } from "../api/status.ts";
import type { NodeEvent } from "./event.ts";

const textCharactersMax = 1000;

/** How a node is called in a sentence: "pve2 (node 2)". */
export type NameOf = (nodeid: number) => string;

/** `before`: undefined at the first look. */
export function quorumEvents(
  before: QuorumView | undefined,
  after: QuorumView,
  nameOf: NameOf,
  at: number,
): readonly NodeEvent[] {
  return [...membershipEvents(before, after, nameOf, at), ...voteEvents(before, after, at)];
}

function membershipEvents(
  before: QuorumView | undefined,
  after: QuorumView,
  nameOf: NameOf,
  at: number,
): readonly NodeEvent[] {
  const known = before?.members ?? [];
  const joined = after.members.filter((member) => !known.includes(member));
  const left = known.filter((member) => !after.members.includes(member));
  const ring = ringText(after.ring);
  if (joined.length + left.length === 0 && before !== undefined && ringText(before.ring) === ring) {
    return [];
  }
  const members = after.members.toSorted((a, b) => a - b);
  const names = (of: readonly number[]) => of.map(nameOf).join(", ");
  const clauses = [
    ...(left.length === 0 ? [] : [`${names(left)} left`]),
    ...(joined.length === 0 ? [] : [`${names(joined)} joined`]),
  ];
  const what = clauses.length === 0 ? "the ring was formed anew" : clauses.join("; ");
  const text = cut(`${what}: ${members.length} in ring ${ring}`);
  return [{ kind: "membership", at, text, facts: { ring, members, joined, left } }];
}

function voteEvents(
  before: QuorumView | undefined,
  after: QuorumView,
  at: number,
): readonly NodeEvent[] {
  const { quorate, totalVotes, expectedVotes, quorum } = after;
  const isSame =
    before?.quorate === quorate &&
    before.totalVotes === totalVotes &&
    before.expectedVotes === expectedVotes &&
    before.quorum === quorum;
  if (isSame) return [];
  const facts = { quorate, totalVotes, expectedVotes, quorum };
  return [{ kind: "quorum", at, text: cut(quorumMeaning(after)), facts }];
}

/** Every up and down since the look before, oldest first, at the time when it was. */
export function linkEvents(
  before: readonly LinkSnapshot[],
  after: readonly LinkSnapshot[],
  nameOf: NameOf,
  at: number,
): readonly NodeEvent[] {
  const known = new Map(before.map((link) => [linkKey(link), changeCount(link)]));
  return after
    .flatMap((link) => {
      const since = changeCount(link) - (known.get(linkKey(link)) ?? 0);
      // A link that was configured anew counts from the beginning.
      const isAnew = since < 0;
      const { changes, nodeid, remoteAddress } = link;
      return changes
        .slice(0, isAnew ? changes.length : since)
        .map(({ agoMs, isUp, reason }): NodeEvent => {
          const where = `link ${link.link} to ${nameOf(nodeid)} at ${remoteAddress}`;
          const text = cut(isUp ? `${where} is up` : `${where} is down: ${reason}`);
          const facts = { nodeid, link: link.link, isUp, reason: cut(reason) };
          return { kind: "link", at: Math.round(at - agoMs), text, facts };
        });
    })
    .toSorted((a, b) => a.at - b.at);
}

function linkKey({ nodeid, link }: LinkSnapshot): string {
  return `${nodeid}/${link}`;
}

function changeCount({ upCount, downCount }: LinkSnapshot): number {
  return upCount + downCount;
}

type DeviceSight = Pick<DeviceSnapshot, "state" | "vote" | "problem" | "host" | "port">;

/** `before`: null at the first look; undefined: no device. */
export function deviceEvents(
  before: DeviceSight | undefined | null,
  after: DeviceSight | undefined,
  at: number,
): readonly NodeEvent[] {
  if (before === null && after === undefined) return [];
  const isSame =
    before?.state === after?.state &&
    before?.vote === after?.vote &&
    before?.problem === after?.problem;
  if (before !== null && isSame) return [];
  if (after === undefined) {
    const facts = { state: "absent", vote: "", problem: "" } as const;
    return [{ kind: "device", at, text: "this node has no quorum device any more", facts }];
  }
  const { host, port, state, vote = "", problem } = after;
  const word = vote === "" ? "its vote is awaited" : `its vote is ${vote.toUpperCase()}`;
  const why = problem === "" ? "" : `: ${problem}`;
  const text = cut(`the quorum device at ${host}:${port} is ${state.toLowerCase()}, ${word}${why}`);
  return [{ kind: "device", at, text, facts: { state, vote, problem: cut(problem) } }];
}

interface UpgradeSight {
  /** ISO 8601. */
  readonly at: string;
  readonly event: string;
  readonly text: string;
}

/** `before`: null at the first look, when what there is is no news. */
export function upgradeEvents(
  before: UpgradeSight | undefined | null,
  after: UpgradeSight | undefined,
  at: number,
): readonly NodeEvent[] {
  if (before === null || after === undefined) return [];
  if (before?.at === after.at && before.event === after.event && before.text === after.text) {
    return [];
  }
  const { event, text } = after;
  return [{ kind: "upgrade", at, text: cut(`${event}: ${text}`), facts: { event: cut(event) } }];
}

function cut(text: string): string {
  return text.length > textCharactersMax ? `${text.slice(0, textCharactersMax - 1)}…` : text;
}
