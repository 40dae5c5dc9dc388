// What is looked at before any change of a cluster is planned, and refused in one sentence.
import { type ClusterConf, nodeOf, readClusterConf } from "../conf/cluster-conf.ts";
import { laggingText } from "../conf/lagging.ts";
import { CommandFailure } from "../exit.ts";
import type { Result } from "../../result.ts";
import { type ChangePorts, type ClusterView, noQuorumText, turnMs } from "./ports.ts";

export interface Situation {
  readonly view: ClusterView;
  /** corosync.conf of the tree. */
  readonly text: string;
  readonly conf: ClusterConf;
}

/** From a write of corosync.conf until each node has it in force, by itself if need be. */
const inForceMsMax = 15_000;

/**
 * Rejects on a node without a cluster, without quorum, or with a member that does not run with the corosync.conf of the tree; the change
 * before is waited for. `except`: a node, by name or address, that may lag, because it is to go.
 */
export async function situation(
  { cluster }: ChangePorts,
  except?: { readonly word?: string; readonly isSelf?: true },
): Promise<Situation> {
  for (let turns = Math.ceil(inForceMsMax / turnMs); ; turns -= 1) {
    const now = await look(cluster);
    const problem = laggingMembers(now, except);
    if (problem === "") return now;
    if (turns === 0) throw new CommandFailure(problem);
    await cluster.turn(new AbortController().signal);
  }
}

async function look(cluster: ChangePorts["cluster"]): Promise<Situation> {
  const view = await cluster.view();
  if (!view.quorate) throw new CommandFailure(noQuorumText);
  const text = await cluster.conf();
  return { view, text, conf: valueOrFail(readClusterConf(text)) };
}

function laggingMembers(
  { view, conf }: Situation,
  { word, isSelf }: { readonly word?: string; readonly isSelf?: true } = {},
): string {
  const going = isSelf === true ? view.self : word && nodeOf(conf, word)?.nodeid;
  const members = conf.nodes
    .filter(({ nodeid }) => view.members.includes(nodeid) && nodeid !== going)
    .map(({ name, nodeid }) => ({
      name,
      version: view.versions.find((each) => each.nodeid === nodeid)?.version,
    }));
  return laggingText(members, conf.version);
}

/** A node that is away would come back with the file of before and not find the ring: rejects with its name. */
export function checkAllOnline({ view, conf }: Situation, except?: string): void {
  const away = conf.nodes.filter(
    ({ nodeid, name }) => name !== except && !view.members.includes(nodeid),
  );
  if (away.length === 0) return;
  const names = away.map(({ name }) => name).join(", ");
  throw new CommandFailure(
    `All nodes must be online! ${names} ${away.length === 1 ? "is" : "are"} offline, aborting. Such a node would come back with the configuration of before and not find the ring: start it, or remove it from the cluster`,
  );
}

export function valueOrFail<T>(outcome: Result<T>): T {
  if (outcome.ok) return outcome.value;
  throw new CommandFailure(outcome.reason);
}

/** nodeids of the nodelist that are in the ring. */
export function membersOf({ view, conf }: Situation): number[] {
  return conf.nodes.map(({ nodeid }) => nodeid).filter((nodeid) => view.members.includes(nodeid));
}
