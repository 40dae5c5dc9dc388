// When a quorum device can be set up or removed, and whether it votes: what is asked of the local node before and after. What is
// changed in between is `device-plan.ts`.
import type { Result } from "../../result.ts";
import { deviceAdvice } from "../../node/device/advice.ts";
import { voterFlags } from "../../node/quorum/message.ts";
import type { NodeClient } from "../api/client.ts";
import type { NodeStatus } from "../api/status.ts";
import { standaloneText } from "../change/ports.ts";
import { laggingText } from "../conf/lagging.ts";
import { type ConfFacts, type DeviceSection, readConfFacts } from "../conf/device.ts";
import { CommandFailure } from "../exit.ts";
import { realClock, type WaitingClock } from "../operation/cluster-lock.ts";
import { readConf } from "./device-tree.ts";

const pollMs = 250;
/** From the write to the last vote: reload, connection, a synchronisation, the server's answer. */
export const votesMsMax = 60_000;
/** From a write of corosync.conf until each node has it in force. */
const inForceMsMax = 15_000;

export interface ClusterState {
  readonly status: NodeStatus;
  /** corosync.conf of the tree, one character a byte. */
  readonly text: string;
  readonly facts: ConfFacts;
}

/** Why a device cannot be set up, or removed, now. */
export type Obstacle =
  | { readonly kind: "offline"; readonly node: string }
  | { readonly kind: "configured"; readonly host: string }
  | { readonly kind: "notConfigured" }
  | { readonly kind: "odd"; readonly nodes: number }
  | { readonly kind: "other"; readonly reason: string };

export interface NodeVote {
  readonly name: string;
  readonly nodeid: number;
  readonly isMember: boolean;
  /** The node runs a device client. */
  readonly hasDevice: boolean;
  /** It counts the device's votes. */
  readonly hasVote: boolean;
}

/** A change of corosync.conf that was made just now is waited for until all nodes have it in force. */
export async function clusterState(
  client: Pick<NodeClient, "status" | "read">,
  clock: WaitingClock = realClock,
): Promise<ClusterState> {
  const begun = clock.now();
  for (;;) {
    const status = await client.status();
    if (status.mode === "standalone") throw new CommandFailure(standaloneText);
    const text = await readConf(client);
    const state = { status, text, facts: orFail(readConfFacts(text)) };
    if (laggards(state) === "" || clock.now() - begun >= inForceMsMax) return state;
    await clock.wait(pollMs);
  }
}

/** Which member does not run with the tree's corosync.conf, a sentence; "": none is known. */
function laggards({ status, facts }: ClusterState): string {
  const members = status.nodes.filter(({ member }) => member);
  return laggingText(
    members.map(({ name, configVersion }) => ({ name, version: configVersion })),
    facts.version,
  );
}

/** In the order of the original's checks (pvecm.md §1.11). `force`: an odd number of nodes is wanted. */
export function setupObstacles(state: ClusterState, force: boolean): Obstacle[] {
  const { status, facts } = state;
  const obstacles = offline(status);
  const other = (reason: string): number => obstacles.push({ kind: "other", reason });
  if (facts.device !== undefined) {
    obstacles.push({ kind: "configured", host: facts.device.host });
    return obstacles;
  }
  if (facts.nodes.length < 2) {
    other("a cluster of one node needs no quorum device: add a second node first");
  } else if (facts.nodes.length % 2 === 1 && !force) {
    obstacles.push({ kind: "odd", nodes: facts.nodes.length });
  }
  const uneven = facts.nodes.find(({ votes }) => votes !== 1);
  if (uneven !== undefined) {
    other(
      `node ${uneven.name} has ${uneven.votes} votes: a quorum device needs one vote for every node; correct quorum_votes in corosync.conf`,
    );
  }
  for (const reason of facts.obstacles) other(reason);
  if (obstacles.length === 0 && !isWritable(status)) other(notWritable(status));
  if (obstacles.length === 0 && laggards(state) !== "") other(laggards(state));
  return obstacles;
}

export function removalObstacles(state: ClusterState): Obstacle[] {
  const { status, facts } = state;
  const obstacles = offline(status);
  if (facts.device === undefined) obstacles.push({ kind: "notConfigured" });
  else if (!isWritable(status)) obstacles.push({ kind: "other", reason: notWritable(status) });
  else if (laggards(state) !== "") obstacles.push({ kind: "other", reason: laggards(state) });
  return obstacles;
}

/** Algorithm and votes as the original chooses them: ffsplit and 1, for an odd number lms and N − 1 (left to votequorum). */
export function sectionFor(
  nodes: number,
  where: Pick<DeviceSection, "host" | "port" | "tls">,
): DeviceSection {
  const isOdd = nodes % 2 === 1;
  const { algorithm, votes } = deviceAdvice(nodes, isOdd);
  return { ...where, algorithm, votes: isOdd ? undefined : votes };
}

/** Every node as the local one sees it. */
export function nodeVotes(status: NodeStatus): NodeVote[] {
  return status.nodes.map(({ name, nodeid, member }) => {
    const flags = status.quorum.voters.find((voter) => voter.nodeid === nodeid)?.flags ?? 0;
    const has = (flag: number): boolean => member && (flags & flag) !== 0;
    return {
      name,
      nodeid,
      isMember: member,
      hasDevice: has(voterFlags.deviceRegistered),
      hasVote: has(voterFlags.deviceAlive) && has(voterFlags.deviceCastVote),
    };
  });
}

export interface Outcome {
  readonly status: NodeStatus;
  readonly nodes: readonly NodeVote[];
  /** "" when all came about in time; else what is missing on this node. */
  readonly problem: string;
}

/** Waits until all nodes count the device's vote, or the time is over. */
export async function untilVotes(
  client: Pick<NodeClient, "status">,
  version: number,
  { waitMs, clock = realClock }: { readonly waitMs: number; readonly clock?: WaitingClock },
): Promise<Outcome> {
  return watch({ client, version, waitMs, clock }, (status) => {
    const nodes = nodeVotes(status);
    if (nodes.every(({ hasVote }) => hasVote)) return "";
    const own = nodes.find(({ nodeid }) => nodeid === status.node.nodeid);
    if (own?.hasVote === true) return "not every node counts the device's vote";
    const problem = status.device?.problem ?? "";
    return problem === "" ? "this node does not get the device's vote" : problem;
  });
}

/** Waits until no node has a device any more. */
export async function untilGone(client: NodeClient, version: number): Promise<Outcome> {
  return watch({ client, version, waitMs: votesMsMax, clock: realClock }, (status) =>
    status.device === undefined && nodeVotes(status).every(({ hasDevice }) => !hasDevice)
      ? ""
      : "the device is still in use on a node",
  );
}

interface Watch {
  readonly client: Pick<NodeClient, "status">;
  readonly version: number;
  readonly waitMs: number;
  readonly clock: WaitingClock;
}

async function watch(
  { client, version, waitMs, clock }: Watch,
  problemOf: (status: NodeStatus) => string,
): Promise<Outcome> {
  const begun = clock.now();
  for (;;) {
    const status = await client.status();
    const { reload, configVersion } = status.cluster;
    const isRefused = reload !== undefined && !reload.ok && configVersion < version;
    const isCurrent = configVersion >= version;
    const problem = isRefused
      ? `this node refuses the new corosync.conf: ${reload.reason}`
      : isCurrent
        ? problemOf(status)
        : "this node has not taken the new corosync.conf";
    const isLate = clock.now() - begun >= waitMs;
    if (problem === "" || isRefused || isLate) return { status, nodes: nodeVotes(status), problem };
    await clock.wait(pollMs);
  }
}

function offline(status: NodeStatus): Obstacle[] {
  return status.nodes
    .filter(({ member }) => !member)
    .map(({ name }) => ({ kind: "offline", node: name }));
}

function isWritable({ quorum, tree }: NodeStatus): boolean {
  return quorum.quorate && tree.writable;
}

function notWritable({ quorum, tree }: NodeStatus): string {
  if (!quorum.quorate) return `cluster not ready - no quorum? (${quorum.meaning})`;
  return `the tree cannot be changed now: ${tree.reason}`;
}

/** The value, or the failure of a command with the reason. */
export function orFail<T>(outcome: Result<T>): T {
  if (outcome.ok) return outcome.value;
  throw new CommandFailure(outcome.reason);
}
