// What a reservation does to corosync.conf: the new node's entry with no votes, the votes that it is confirmed with, and the file as it
// was without it (pvecm.md §1.3, §2). Pure; texts hold one character a byte.
import { type Result, failure, success } from "../../result.ts";
import { type ClusterConf, openConf } from "../conf/cluster-conf.ts";
import { type NewNode, withNode, withoutNode, withVotes } from "../conf/nodes.ts";
import { type Resolved, verifyConf } from "../conf/verify.ts";

/** Of the API of a join, as the original counts it. */
export const joinApiVersion = 1;

export interface PlaceRequest {
  readonly node: string;
  readonly nodeid: number | undefined;
  readonly votes: number;
  /** By link number; empty: `fallbackAddress` in a cluster of one link. */
  readonly links: ReadonlyMap<number, string>;
  readonly fallbackAddress: string | undefined;
  readonly isForced: boolean;
  readonly apiVersion: number;
}

export interface Place {
  readonly text: string;
  readonly nodeid: number;
  /** By link number, "" where there is none. */
  readonly addresses: readonly string[];
  /** Of the entry that is replaced (`isForced`). */
  readonly replacedVotes: number | undefined;
  readonly notes: readonly string[];
}

/** Why it cannot be: the original's words, with its `errors` by name where it has some. */
export interface PlaceFault {
  readonly reason: string;
  readonly errors?: Readonly<Record<string, string>>;
}

/** The checks of §1.3 that need only the file, in its order. `resolved`: of the names in it; undefined: they are not looked at. */
export function withPlace(
  text: string,
  request: PlaceRequest,
  resolved?: Resolved,
): { readonly ok: true; readonly value: Place } | ({ readonly ok: false } & PlaceFault) {
  const { apiVersion, node, votes, isForced } = request;
  if (apiVersion < joinApiVersion - 1) {
    return failure(
      `error: unsupported old API version on joining node (${apiVersion}), cluster node has ${joinApiVersion} and supports >= ${joinApiVersion - 1}. Please upgrade node before joining`,
    );
  }
  const open = openConf(text);
  if (!open.ok) return open;
  const { conf, cluster } = open.value;
  const { errors, warnings } = verifyConf(conf, cluster, resolved);
  if (errors.length > 0) {
    return { ok: false, reason: "invalid corosync.conf", errors: numbered({ errors, warnings }) };
  }
  // All of the original's checks are made with the votes that are asked for: an existing node must have the same.
  const checked = withNode(text, newNode(request, votes));
  if (!checked.ok) return checked;
  const present = cluster.nodes.find(({ name }) => name === node);
  const before = present === undefined ? success(text) : votesOf(text, present.name, 0);
  if (!before.ok) return before;
  const added = withNode(before.value, newNode(request, 0, checked.value.node.nodeid));
  if (!added.ok) return added;
  const { addresses, nodeid } = added.value.node;
  const count = Math.max(0, ...addresses.keys()) + 1;
  return success({
    text: added.value.text,
    nodeid,
    addresses: Array.from({ length: count }, (_, link) => addresses.get(link) ?? ""),
    replacedVotes: present !== undefined && isForced ? present.votes : undefined,
    notes: [...warnings, ...added.value.notes],
  });
}

/** The file with the node's votes; the same text when it has them already. */
export function withConfirmed(text: string, node: string, votes: number): Result<string> {
  return votesOf(text, node, votes);
}

/** The file as before the place was made, under a new version. */
export function withoutPlace(
  text: string,
  place: { readonly node: string; readonly replacedVotes?: number | undefined },
): Result<string> {
  if (place.replacedVotes !== undefined) return votesOf(text, place.node, place.replacedVotes);
  const edit = withoutNode(text, place.node);
  return edit.ok ? success(edit.value.text) : edit;
}

/** What is known of a node's entry; undefined: there is none, or the file cannot be read. */
export function entryOf(
  text: string,
  node: string,
): { readonly nodeid: number; readonly votes: number } | undefined {
  const open = openConf(text);
  return open.ok ? open.value.cluster.nodes.find(({ name }) => name === node) : undefined;
}

/** What happens to quorum when the node is a member, in a sentence for who is about to do it (pvecm.md §6, row 1). */
export function quorumEffect(cluster: ClusterConf, node: string, votes: number): string {
  const nodes = cluster.nodes.filter(({ name }) => name !== node);
  const before = nodes.reduce((sum, each) => sum + each.votes, 0);
  const { device } = cluster;
  const isUneven = votes !== 1 || nodes.some((each) => each.votes !== 1);
  const after = before + votes;
  const who = `with '${node}' the nodes have ${after} vote${after === 1 ? "" : "s"}`;
  if (device !== undefined) {
    return `${who}, and the quorum device's votes follow; "quorate quorum" says afterwards how many nodes may fail`;
  }
  const quorum = Math.floor(after / 2) + 1;
  const needed = `${quorum} ${quorum === 1 ? "is" : "are"} needed`;
  if (votes === 0) return `${who}, ${needed}: '${node}' has none, so nothing changes for quorum`;
  if (isUneven) return `${who}, ${needed}`;
  const mayFail = after - quorum;
  if (mayFail === 0) {
    return `${who}, ${needed}: none of them may fail, and a quorum device would allow one to (quorate qdevice setup)`;
  }
  return `${who}, ${needed}: ${mayFail} of them may fail`;
}

function newNode(request: PlaceRequest, votes: number, nodeid = request.nodeid): NewNode {
  const { node, links, fallbackAddress, isForced, apiVersion } = request;
  return { name: node, nodeid, votes, links, fallbackAddress, isForced, apiVersion };
}

function votesOf(text: string, node: string, votes: number): Result<string> {
  if (entryOf(text, node)?.votes === votes) return success(text);
  const edit = withVotes(text, node, votes);
  return edit.ok ? success(edit.value.text) : edit;
}

/** As the original's answer names them: error0, warning0. */
function numbered(found: {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}): Record<string, string> {
  return Object.fromEntries([
    ...found.errors.map((text, at) => [`error${at}`, text]),
    ...found.warnings.map((text, at) => [`warning${at}`, text]),
  ]);
}
