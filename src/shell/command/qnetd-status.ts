// `quorate qnetd status`: clusters, nodes, votes, who was last heard when, and why each vote is what it is, in a sentence (issue 3);
// certificates and what they need. Asks the daemon's local socket; an original daemon can only be asked with corosync-qnetd-tool.
import { askTool } from "../../qnetd/tool/tool-socket.ts";
import type { AbsentCluster } from "../../qnetd/session/known-clusters.ts";
import type { ClusterSnapshot, NodeSnapshot } from "../../qnetd/session/snapshot.ts";
import type { CertificateState } from "../../qnetd/pki/store.ts";
import { CommandFailure, exitFailed, exitNotRunning, exitOk } from "../exit.ts";
import { absentClusterText, absentText, headline, newsOf } from "../page/qnetd-headline.ts";
import { serviceHint } from "../install/service-hint.ts";
import { statusJson } from "../page/qnetd-status-json.ts";
import { plainAddress, plural, printable, table } from "../cli/text-table.ts";
import { upgradeEventText } from "../upgrade/last-event.ts";
import { watched, type WatchOptions } from "../cli/watch.ts";
import type { QnetdStatus } from "../daemon/qnetd.ts";

export interface QnetdStatusOptions extends WatchOptions {
  /** The daemon's local socket. */
  readonly socket: string;
  /** "/" or the directory that the daemon's files are below; absent: no service manager is asked about it. */
  readonly root?: string;
}

/** Exit code 0 when the first line is "Good", 1 when it is "Attention". */
export function qnetdStatusCommand(options: QnetdStatusOptions): Promise<number> {
  return watched(async () => {
    const json = await askSnapshot(options);
    const status: QnetdStatus = JSON.parse(json);
    const formatted = options.watch ? json : statusJson(status);
    return {
      text: options.json ? formatted : qnetdStatusText(status),
      code: headline(status).isGood ? exitOk : exitFailed,
    };
  }, options);
}

async function askSnapshot({ socket, root }: QnetdStatusOptions): Promise<string> {
  const answer = await askTool(socket, {
    command: "snapshot",
    isVerbose: false,
    cluster: undefined,
  });
  switch (answer.kind) {
    case "ok":
      return new TextDecoder().decode(answer.text);
    case "error":
      throw new CommandFailure(
        `the vote server at ${socket} is not quorate's; ask it with "corosync-qnetd-tool -l -v"`,
      );
    case "unreachable":
      if (answer.errno === "EACCES") {
        throw new CommandFailure(
          `you may not ask the vote server at ${socket}: repeat as root or as the user it runs as`,
        );
      }
      throw new CommandFailure(
        `no vote server answers at ${socket} (${answer.errno}): ${await absentAdvice(root)}`,
        exitNotRunning,
      );
    case "unknown":
      throw new CommandFailure(`the vote server at ${socket}: ${answer.reason}`);
  }
  return answer satisfies never;
}

async function absentAdvice(root: string | undefined): Promise<string> {
  const hint = root === undefined ? undefined : await serviceHint("qnetd", root);
  return hint ?? 'start it with "quorate qnetd"';
}

export function qnetdStatusText(status: QnetdStatus): string {
  const { server, clusters, absent, clustersLeftOut, connections, warnings } = status;
  const tls = server.tls === "off" ? "without TLS" : `TLS ${server.tls}`;
  const { isGood, text } = headline(status);
  const lines = [
    `${isGood ? "Good" : "Attention"}: ${printable(text)}`,
    `Vote server on ${server.address}:${server.port}, ${tls}, version ${status.version}`,
    `${plural(clusters.length + clustersLeftOut, "cluster")}, ${plural(status.clients, "node")}, ${plural(connections, "connection")}`,
    ...(status.upgrade === undefined ? [] : [`Upgrade ${upgradeEventText(status.upgrade)}`]),
    ...warnings.map((warning) => `Warning: ${printable(warning)}`),
    ...clusters.flatMap((cluster) => ["", ...clusterLines(status, cluster)]),
    ...absent.flatMap((cluster) => ["", ...absentLines(status, cluster)]),
    ...(clustersLeftOut > 0 ? ["", `${plural(clustersLeftOut, "more cluster")} not shown.`] : []),
  ];
  if (status.certificates.length > 0) lines.push("", ...certificateTable(status.certificates));
  return `${lines.join("\n")}\n`;
}

function absentLines(status: QnetdStatus, cluster: AbsentCluster): readonly string[] {
  return [
    `Cluster "${printable(cluster.name)}": ${absentClusterText(status, cluster)}.`,
    ...cluster.nodes.map((node) => `  ${absentText(status, node)}`),
  ];
}

function clusterLines(status: QnetdStatus, cluster: ClusterSnapshot): readonly string[] {
  return [
    `Cluster "${printable(cluster.name)}", ${cluster.algorithm}: ${cluster.summary}`,
    ...table(
      [
        { title: "NODE", right: true },
        { title: "VOTE" },
        { title: "HEARD", right: true },
        { title: "MEMBERS" },
        { title: "TLS" },
        { title: "ADDRESS" },
      ],
      cluster.nodes.map(nodeRow),
    ),
    ...cluster.nodes.map(({ why }) => `  ${why}`),
    ...cluster.absent.map((node) => `  ${absentText(status, node)}`),
    ...newsOf(cluster.concerns).map((text) => `  Attention: ${text}`),
  ];
}

function nodeRow(node: NodeSnapshot): string[] {
  return [
    String(node.nodeId),
    node.standing,
    `${(node.heardMsAgo / 1000).toFixed(1)} s ago`,
    node.members.join(", ") || "-",
    node.isCertificateVerified ? "verified" : node.isTlsActive ? "yes" : "no",
    addressText(node),
  ];
}

/** Also of `quorate qnetd certificates`. */
export function certificateTable(certificates: readonly CertificateState[]): readonly string[] {
  return table(
    [
      { title: "CERTIFICATE" },
      { title: "NAME" },
      { title: "SERIAL", right: true },
      { title: "UNTIL" },
    ],
    certificates.map(({ file, subject, serial, notAfterMs, daysLeft }) => [
      printable(file),
      printable(subject),
      String(serial),
      `${new Date(notAfterMs).toISOString().slice(0, 10)} (${plural(daysLeft, "day")})`,
    ]),
  );
}

function addressText({ address, port }: NodeSnapshot): string {
  const plain = plainAddress(address);
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`;
}
