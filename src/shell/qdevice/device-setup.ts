// How a cluster gets a quorum device and loses it, through the local node: checks, the certificate into the tree, corosync.conf under
// the cluster's lock, and then waiting until every node's vote says so. Words for people are the callers' (`command/`); it must
// never leave a device behind that does not vote on this very node.
import { setTimeout as wait } from "node:timers/promises";
import { type Result, reasonOf } from "../../result.ts";
import { deviceAdvice } from "../../node/device/advice.ts";
import { voterFlags } from "../../node/quorum/message.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import { checkLock, corosyncConfLock, withClusterLock } from "../operation/cluster-lock.ts";
import type { NodeClient } from "../api/client.ts";
import type { ConfEdit } from "../conf/conf-text.ts";
import {
  type ConfFacts,
  type DeviceSection,
  readConfFacts,
  withDevice,
  withoutDevice,
  withVersionAfter,
} from "../conf/device.ts";
import {
  type ClusterIdentity,
  packed,
  treeAuthority,
  treeDirectory,
  treeIdentity,
} from "./device-identity.ts";
import { CommandFailure } from "../exit.ts";
import type { NodeStatus } from "../api/status.ts";

const confPath = "corosync.conf";
const pollMs = 250;
/** From the write to the last vote: reload, connection, a synchronisation, the server's answer. */
export const votesMsMax = 60_000;

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

export async function clusterState(client: NodeClient): Promise<ClusterState> {
  const status = await client.status();
  const text = await readConf(client);
  return { status, text, facts: orFail(readConfFacts(text)) };
}

/** In the order of the original's checks (pvecm.md §1.11). `force`: an odd number of nodes is wanted. */
export function setupObstacles({ status, facts }: ClusterState, force: boolean): Obstacle[] {
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
  return obstacles;
}

export function removalObstacles({ status, facts }: ClusterState): Obstacle[] {
  const obstacles = offline(status);
  if (facts.device === undefined) obstacles.push({ kind: "notConfigured" });
  else if (!isWritable(status)) obstacles.push({ kind: "other", reason: notWritable(status) });
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

/** What is in the tree already from an earlier set-up. */
export async function storedIdentity(client: NodeClient): Promise<Uint8Array | undefined> {
  return client.read(treeIdentity).catch((error: unknown) => {
    if (error instanceof CommandFailure && error.message.includes("ENOENT")) return undefined;
    throw error;
  });
}

export interface Installation {
  readonly client: NodeClient;
  readonly device: DeviceSection;
  /** Undefined: without TLS. */
  readonly identity: ClusterIdentity | undefined;
  readonly note: (text: string) => void;
}

export interface Installed {
  readonly edit: ConfEdit;
  /** corosync.conf of before. */
  readonly before: string;
}

/** Certificate into the tree, then the device into corosync.conf: in this order every node has both when it reloads. */
export async function install(order: Installation): Promise<Installed> {
  const { client, identity, device, note } = order;
  return withClusterLock({ client, name: corosyncConfLock, note }, async (signal) => {
    const before = await readConf(client);
    const edit = orFail(withDevice(before, device));
    if (identity !== undefined) await storeIdentity(client, identity);
    try {
      checkLock(signal);
      await writeConf(client, edit.text);
    } catch (error) {
      await dropIdentity(client);
      throw error;
    }
    return { edit, before };
  });
}

/** Takes `install` back, unless somebody has changed corosync.conf since. Answers what was done, as a sentence. */
export async function takeBack(
  { client, note }: Pick<Installation, "client" | "note">,
  { edit, before }: Installed,
): Promise<string> {
  try {
    return await withClusterLock({ client, name: corosyncConfLock, note }, async () => {
      const text = await readConf(client);
      if (text !== edit.text) {
        return "corosync.conf was changed by somebody else meanwhile: it is left as it is, with the device; remove it with `quorate qdevice remove`";
      }
      const { text: restored, version } = orFail(withVersionAfter(before, text));
      await writeConf(client, restored);
      await dropIdentity(client);
      return `corosync.conf is as before again, without the device (version ${version})`;
    });
  } catch (error) {
    const reason = reasonOf(error);
    return `corosync.conf could not be set back (${reason}): it still has the device; remove it with \`quorate qdevice remove\``;
  }
}

/** The device out of corosync.conf, then the certificate out of the tree. */
export async function uninstall({
  client,
  note,
}: Pick<Installation, "client" | "note">): Promise<ConfEdit> {
  return withClusterLock({ client, name: corosyncConfLock, note }, async (signal) => {
    const edit = orFail(withoutDevice(await readConf(client)));
    checkLock(signal);
    await writeConf(client, edit.text);
    await dropIdentity(client);
    return edit;
  });
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
  client: NodeClient,
  version: number,
  waitMs: number = votesMsMax,
): Promise<Outcome> {
  return watch({ client, version, waitMs }, (status) => {
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
  return watch({ client, version, waitMs: votesMsMax }, (status) =>
    status.device === undefined && nodeVotes(status).every(({ hasDevice }) => !hasDevice)
      ? ""
      : "the device is still in use on a node",
  );
}

async function watch(
  {
    client,
    version,
    waitMs,
  }: { readonly client: NodeClient; readonly version: number; readonly waitMs: number },
  problemOf: (status: NodeStatus) => string,
): Promise<Outcome> {
  const begun = performance.now();
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
    const isLate = performance.now() - begun >= waitMs;
    if (problem === "" || isRefused || isLate) return { status, nodes: nodeVotes(status), problem };
    await wait(pollMs);
  }
}

async function readConf(client: NodeClient): Promise<string> {
  return Buffer.from(await client.read(confPath)).toString("latin1");
}

/** As the original: a new file beside it, then one rename, which all nodes see as one change. */
async function writeConf(client: NodeClient, text: string): Promise<void> {
  const draft = `${confPath}.new`;
  await client.put(draft, new Uint8Array(Buffer.from(text, "latin1")));
  await client.move(draft, confPath);
}

async function storeIdentity(client: NodeClient, identity: ClusterIdentity): Promise<void> {
  // Both are there as a rule; what cannot be made is refused with its reason by the files in them.
  for (const directory of ["priv", treeDirectory]) {
    await client.mkdir(directory).catch(() => undefined);
  }
  const authority = new TextEncoder().encode(pem("CERTIFICATE", identity.authority));
  await client.put(treeAuthority, authority);
  await client.put(treeIdentity, await packed(identity));
}

async function dropIdentity(client: NodeClient): Promise<void> {
  for (const path of [treeIdentity, treeAuthority, treeDirectory]) {
    await client.remove(path).catch((error: unknown) => {
      const isGone = error instanceof CommandFailure && /ENOENT|ENOTEMPTY/.test(error.message);
      if (!isGone) throw error;
    });
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

function orFail<T>(outcome: Result<T>): T {
  if (outcome.ok) return outcome.value;
  throw new CommandFailure(outcome.reason);
}
