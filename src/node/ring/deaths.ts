// A member whose process has ended though its machine lives is not waited for, where every member is one of ours. The evidence (its machine
// refuses our packets on every link, and it is silent: link/evidence.ts) does two things. It starts GATHER without the token's timeout;
// and in GATHER it takes the place of the consensus timeout, but only when every other member, in a join of the same sets, says that it has
// the same evidence of its own. So who deceives one member, or some, with forged refusals has the ring form anew, with all its members; and a
// mistake makes the same evidence count for nothing for a while, twice as long each time. What is failed then is failed as by the timeout:
// nobody is left in two rings, for whoever counts it failed has not heard it, and all the others agree.
// A join says it by the order of its processor list, which means nothing to anybody else: nodes in front of the sender have ended, as
// far as it knows. Originals put members in any order, so it is read in rings of ours only.
import type { RingAction } from "./events.ts";
import type { Join } from "./message.ts";
import { log, nextMember, type RingState } from "./state.ts";

/** In GATHER a member has this many joins' time to be heard before it is failed on evidence. */
const joinsToAnswer = 2;
const doubtMsMin = 10_000;
const doubtMsMax = 3_600_000;

/** Members of our ring that have ended by our own evidence, as far as it is heeded now; ascending. */
function endedMembers(state: RingState, now: number): number[] {
  const { isAnnounced, ended, heededFrom, doubts } = state.deaths;
  if (!isAnnounced || now < heededFrom) return [];
  return state.members.filter(
    (nodeid) =>
      ended.has(nodeid) &&
      nodeid !== state.nodeid &&
      state.proc.has(nodeid) &&
      !state.failed.has(nodeid) &&
      now >= (doubts.get(nodeid)?.until ?? Number.NEGATIVE_INFINITY),
  );
}

/** Whether GATHER is to be entered for a death; says so to the operator. */
export function mustGatherForDeath(state: RingState, now: number, out: RingAction[]): boolean {
  if (state.phase !== "operational") return false;
  const ended = endedMembers(state, now);
  for (const nodeid of ended) {
    state.deaths.accused.add(nodeid);
    const links = state.deaths.ended.get(nodeid) ?? [];
    const where = `${links.length === 1 ? "link" : "links"} ${links.join(" and ")}`;
    log(
      out,
      "notice",
      `The process of node ${nodeid} has ended: its machine refuses packets on ${where}, and nothing comes from it. Forming a new membership without waiting for the token.`,
    );
  }
  return ended.length > 0;
}

/**
 * In GATHER: adds the members to the failed set that have ended as every other member says too; false when there is none. At most half of the
 * members: where more are refused, a firewall in front of us is the likelier reason.
 */
export function failEndedMembers(state: RingState, now: number, out: RingAction[]): boolean {
  const { deaths, tuning, members } = state;
  if (state.phase !== "gather") return false;
  if (now - deaths.gatherBeganAt < joinsToAnswer * tuning.joinMs) return false;
  const ended = endedMembers(state, now);
  if (ended.length === 0 || ended.length * 2 > members.length) return false;
  for (const nodeid of state.proc) {
    if (nodeid === state.nodeid || state.failed.has(nodeid) || ended.includes(nodeid)) continue;
    if (!members.includes(nodeid) || !agrees(state, nodeid, ended)) return false;
  }
  for (const nodeid of ended) {
    deaths.accused.add(nodeid);
    state.failed.add(nodeid);
  }
  log(out, "debug", `All others have found the process ended of: ${ended.join(" ")}`);
  return true;
}

function agrees(state: RingState, nodeid: number, ended: readonly number[]): boolean {
  const join = state.deaths.joins.get(nodeid);
  if (join === undefined) return false;
  const proc = new Set(join.proc);
  const failed = new Set(join.failed);
  const isSame =
    proc.symmetricDifference(state.proc).size === 0 &&
    failed.symmetricDifference(state.failed).size === 0;
  const named = join.proc.slice(0, Math.max(0, join.proc.indexOf(join.from)));
  return isSame && ended.every((each) => named.includes(each));
}

/** The processor list of our joins: ourselves first, and before us whoever has ended. */
export function processorList(state: RingState, now: number): number[] {
  const ended = endedMembers(state, now);
  for (const nodeid of ended) state.deaths.accused.add(nodeid);
  const others = [...state.proc].filter(
    (nodeid) => nodeid !== state.nodeid && !ended.includes(nodeid),
  );
  return [...ended, state.nodeid, ...others];
}

/** GATHER begins, from another state: what was said in an earlier one is over. */
export function gatherBegan(state: RingState, now: number): void {
  state.deaths.gatherBeganAt = now;
  state.deaths.joins.clear();
}

/** A join of a member of our ring came in GATHER. */
export function joinHeard(state: RingState, join: Join): void {
  if (join.nodeid === 0 || join.from === state.nodeid) return;
  if (state.members.includes(join.from)) state.deaths.joins.set(join.from, join);
}

/** Members that are to be heard now. */
export function seek(state: RingState, out: RingAction[]): void {
  const isForming = state.phase === "gather";
  const { joins } = state.deaths;
  const all = isForming
    ? state.members.filter((nodeid) => !joins.has(nodeid))
    : [nextMember(state)];
  const nodeids = all.filter((nodeid) => nodeid !== state.nodeid && !state.failed.has(nodeid));
  out.push({ kind: "sought", nodeids, isForming });
}

/** A membership is formed, the members of the old ring that come along are known: was the evidence right? */
export function judgeDeaths(state: RingState, now: number, out: RingAction[]): void {
  const { accused, doubts } = state.deaths;
  const along = new Set(state.transMembers);
  // Whoever comes back is another process.
  for (const nodeid of state.members) if (!along.has(nodeid)) doubts.delete(nodeid);
  for (const nodeid of accused) {
    if (!along.has(nodeid)) continue;
    const mistakes = (doubts.get(nodeid)?.mistakes ?? 0) + 1;
    const quietMs = Math.min(doubtMsMax, doubtMsMin * 2 ** Math.min(mistakes - 1, 20));
    doubts.set(nodeid, { mistakes, until: now + quietMs });
    log(
      out,
      "warning",
      `Node ${nodeid} lives, though its machine seemed to refuse packets: refusals of it count for nothing for ${quietMs / 1000} s. Does a firewall reject the cluster's ports for moments, or does somebody forge ICMP messages?`,
    );
  }
  accused.clear();
}
