// What is looked at before any change of a cluster is planned, and refused in one sentence.
import { type ClusterConf, readClusterConf } from "../conf/cluster-conf.ts";
import { CommandFailure } from "../exit.ts";
import type { Result } from "../../result.ts";
import type { ChangePorts, ClusterView } from "./ports.ts";

export interface Situation {
  readonly view: ClusterView;
  /** corosync.conf of the tree. */
  readonly text: string;
  readonly conf: ClusterConf;
}

/** Rejects on a node without a cluster, or without quorum. */
export async function situation({ cluster }: ChangePorts): Promise<Situation> {
  const view = await cluster.view();
  if (!view.quorate) throw new CommandFailure("cluster not ready - no quorum?");
  const text = await cluster.conf();
  return { view, text, conf: valueOrFail(readClusterConf(text)) };
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
