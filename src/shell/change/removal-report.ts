// What the removal of a node would mean (pvecm.md §5.9 E): its votes, and what of it is in the tree. Nothing is changed.
import type { RemovalReport } from "../answers/removal.ts";
import { type ClusterConf, isNodeName, nodeOf, readClusterConf } from "../conf/cluster-conf.ts";
import { withoutNode } from "../conf/nodes.ts";
import { CommandFailure } from "../exit.ts";
import type { ChangePorts } from "./ports.ts";
import { filesBelow, isGuestFile, linesOf, namingOf, planRemove } from "./remove.ts";
import { situation, type Situation, valueOrFail } from "./situation.ts";

/** Rejects with a name that is in neither corosync.conf nor tree, and where nobody could be removed at all. */
export async function reportRemoval(ports: ChangePorts, word: string): Promise<RemovalReport> {
  const now = await situation(ports, { word });
  const found = nodeOf(now.conf, word);
  if (found === undefined && !isNodeName(word)) throw unknown(word);
  const node = found ?? { name: word, nodeid: 0, votes: 0, addresses: new Map<number, string>() };
  const { name, nodeid } = node;
  const all = await filesBelow(ports, `nodes/${name}`);
  const lines = (await linesOf(ports, node)).map(({ path }) => path);
  if (found === undefined && all.length === 0 && lines.length === 0) throw unknown(word);
  const before = votesOf(now.conf, now.view.totalVotes, now.view.quorum);
  const edit = found === undefined ? undefined : withoutNode(now.text, name);
  return {
    ...{ name, nodeid },
    isMember: now.view.members.includes(nodeid),
    ...(await decided(ports, name)),
    before,
    after: edit?.ok === true ? votesAfter(now, node, edit.value.text) : before,
    notes: edit?.ok === true ? [...edit.value.notes] : [],
    guests: all.filter((path) => isGuestFile(name, path)),
    files: all.filter((path) => !isGuestFile(name, path)),
    lines,
    naming: await namingOf(ports, name),
  };
}

const unknown = (word: string) =>
  new CommandFailure(`Node/IP: ${word} is not a known host of the cluster.`);

/** As the removal itself decides. */
async function decided(
  ports: ChangePorts,
  node: string,
): Promise<Pick<RemovalReport, "isEnded" | "refusal">> {
  try {
    const request = { node, purge: true, withGuests: true, by: "", at: 0 };
    const { facts } = await planRemove(ports, request);
    return { isEnded: facts.isKilled, refusal: "" };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    return { isEnded: false, refusal: error.message };
  }
}

/** `needed`: what votequorum says; undefined: the half and one. */
function votesOf(
  conf: ClusterConf,
  present: number,
  needed: number | undefined,
): RemovalReport["before"] {
  const all = nodeVotes(conf) + deviceVotes(conf);
  return { all, needed: needed ?? Math.floor(all / 2) + 1, present };
}

function votesAfter(
  { view, conf }: Situation,
  node: { readonly nodeid: number; readonly votes: number },
  text: string,
): RemovalReport["after"] {
  const after = valueOrFail(readClusterConf(text));
  const isMember = view.members.includes(node.nodeid);
  const ofNodes = conf.nodes
    .filter(({ nodeid }) => view.members.includes(nodeid))
    .reduce((sum, { votes }) => sum + votes, 0);
  // What is there beyond the nodes' is the device's.
  const hasDevice = view.totalVotes > ofNodes;
  const present = ofNodes - (isMember ? node.votes : 0) + (hasDevice ? deviceVotes(after) : 0);
  return votesOf(after, present, undefined);
}

function nodeVotes({ nodes }: ClusterConf): number {
  return nodes.reduce((sum, { votes }) => sum + votes, 0);
}

/** votequorum's default is one less than there are nodes. */
function deviceVotes({ device, nodes }: ClusterConf): number {
  return device === undefined ? 0 : (device.votes ?? Math.max(0, nodes.length - 1));
}
