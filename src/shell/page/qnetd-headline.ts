// Is all well at the vote server? One line above its status, as text and on the page, and the words for who is not connected.
import {
  type AbsentCluster,
  type AbsentNode,
  type Concern,
  duration,
} from "../../qnetd/session/known-clusters.ts";
import type { QnetdStatus } from "../daemon/qnetd.ts";
import { plainAddress, plural, printable } from "../cli/text-table.ts";

export interface Headline {
  readonly isGood: boolean;
  readonly text: string;
}

/** Where there are clusters with a certificate, the others make no headline: strangers can make them up. They are told below it. */
export function headline(status: QnetdStatus): Headline {
  const { clustersLeftOut, clients, warnings } = status;
  const isVerifying =
    status.server.tls !== "off" &&
    [...status.clusters, ...status.absent].some(({ isCertified }) => isCertified);
  const isTold = ({ isCertified }: { readonly isCertified: boolean }): boolean =>
    isCertified || !isVerifying;
  const worries = [
    ...warnings,
    ...status.clusters.filter(isTold).flatMap(({ name, concerns, absent: missing }) =>
      concerns.map(({ kind, text }) => {
        const [only, ...others] = kind === "absent" ? missing : [];
        const told = only !== undefined && others.length === 0 ? absentText(status, only) : text;
        return `cluster "${printable(name)}": ${told}`;
      }),
    ),
    ...status.absent
      .filter(isTold)
      .map(
        (cluster) => `cluster "${printable(cluster.name)}": ${absentClusterText(status, cluster)}`,
      ),
  ];
  const [first] = worries;
  if (first !== undefined) {
    const more = worries.length - 1;
    return { isGood: false, text: `${first}${more > 0 ? ` (and ${more} more, below)` : ""}` };
  }
  const count = status.clusters.length + clustersLeftOut;
  if (count === 0) return { isGood: true, text: "no cluster has connected since the start" };
  const all = `${plural(count, "cluster")}, ${plural(clients, "node")}`;
  const isQuiet =
    status.clusters.some((cluster) => !isTold(cluster) && cluster.concerns.length > 0) ||
    status.absent.some((cluster) => !isTold(cluster));
  const whose = isQuiet ? " of a cluster with a certificate" : "";
  return { isGood: true, text: `${all}, every node that is known${whose} is connected` };
}

export function absentClusterText(status: QnetdStatus, cluster: AbsentCluster): string {
  const { absentMs } = cluster;
  const what =
    absentMs === undefined
      ? "it has a certificate, and no node has connected since this server started"
      : `no node is connected ${sinceText(status, absentMs)}`;
  const path = certificatePath(status, cluster.name);
  return path === undefined ? what : `${what} (if its quorum device was removed, remove ${path})`;
}

/** The file that says that the cluster is to be waited for. */
function certificatePath(status: QnetdStatus, name: string): string | undefined {
  const { certificates, certificateDirectory } = status;
  const wanted = name.toLowerCase();
  const found = certificates.find(
    ({ file, subject }) => file.startsWith("cluster-") && subject.toLowerCase() === wanted,
  );
  return found && printable(`${certificateDirectory}/${found.file}`);
}

/** "node 2: not connected since 2026-11-30 05:12 UTC (35 s), last from 10.0.0.2". */
export function absentText(status: QnetdStatus, node: AbsentNode): string {
  const { nodeId, absentMs, address } = node;
  if (absentMs === undefined) {
    return `node ${nodeId}: not connected since this server started, ${minuteOf(status.startedAt)} UTC`;
  }
  return `node ${nodeId}: not connected ${sinceText(status, absentMs)}, last from ${plainAddress(address)}`;
}

function sinceText({ at }: QnetdStatus, ms: number): string {
  const since = minuteOf(new Date(Date.parse(at) - ms).toISOString());
  return `since ${since} UTC (${duration(ms)})`;
}

/** What the lines about nodes and votes do not show already. */
export function newsOf(concerns: readonly Concern[]): readonly string[] {
  return concerns
    .filter(({ kind }) => kind !== "absent" && kind !== "noVote")
    .map(({ text }) => text);
}

/** "2026-11-30 05:12" of a time in ISO 8601. */
export function minuteOf(iso: string): string {
  return iso.slice(0, 16).replace("T", " ");
}
