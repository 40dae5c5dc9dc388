// The vote server's metrics in the text format of Prometheus, version 0.0.4. Labels are bounded in number and length: clusters are
// made by strangers.
import type { QnetdStatus } from "../daemon/qnetd.ts";
import {
  expositionText,
  familiesOf,
  labelText,
  type MetricFamily,
  one,
  processFamilies,
  type Sample,
} from "../monitor/exposition.ts";
import { headline } from "./qnetd-headline.ts";

/** Clusters with series of their own: the oldest ones. */
export const clusterSeriesMax = 250;
/** Nodes with series of their own, of all these clusters. */
export const nodeSeriesMax = 1000;
const certificateSeriesMax = 250;

/** What the process says of itself. */
export interface ProcessFacts {
  readonly uptimeSeconds: number;
  readonly residentBytes: number;
  readonly cpuSeconds: number;
}

const family = familiesOf("quorate_qnetd_");

export function metricsText(status: QnetdStatus, process: ProcessFacts): string {
  return expositionText([
    ...serverFamilies(status, process),
    ...clusterFamilies(status),
    ...certificateFamilies(status),
  ]);
}

function serverFamilies(status: QnetdStatus, process: ProcessFacts): MetricFamily[] {
  const { counters, server, version } = status;
  const clusters = status.clusters.length + status.clustersLeftOut;
  const tls = server.tls;
  return [
    family("info", "gauge", "What runs; always 1.", [[{ version, tls }, 1]]),
    family("uptime_seconds", "gauge", "Time since the start.", one(process.uptimeSeconds)),
    family("connections", "gauge", "Connections, introduced or not.", one(status.connections)),
    family("clients", "gauge", "Nodes that are connected.", one(status.clients)),
    family("clusters", "gauge", "Clusters with connected nodes.", one(clusters)),
    family(
      "clusters_absent",
      "gauge",
      "Known clusters without a connected node.",
      one(status.absent.length),
    ),
    family(
      "nodes_absent",
      "gauge",
      "Known nodes that are not connected, of connected clusters.",
      one(status.clusters.reduce((sum, { absent }) => sum + absent.length, 0)),
    ),
    family(
      "good",
      "gauge",
      "1: nothing needs attention; 0: something does.",
      one(headline(status).isGood ? 1 : 0),
    ),
    family("warnings", "gauge", "Warnings of `quorate qnetd status`.", one(status.warnings.length)),
    family(
      "connections_accepted_total",
      "counter",
      "Accepted connections.",
      one(counters.accepted),
    ),
    family(
      "connections_refused_total",
      "counter",
      "Connections refused because a limit was reached.",
      one(counters.refused),
    ),
    family(
      "connections_evicted_total",
      "counter",
      "Connections closed to make room for others.",
      one(counters.evicted),
    ),
    family("messages_received_total", "counter", "Whole messages.", one(counters.messages)),
    family(
      "messages_faulty_total",
      "counter",
      "Messages answered with an error.",
      one(counters.faults),
    ),
    family("votes_sent_total", "counter", "Votes in messages of any kind.", one(counters.votes)),
    ...processFamilies(family, {
      residentBytes: process.residentBytes,
      cpuS: process.cpuSeconds,
    }),
  ];
}

function clusterFamilies({ clusters, clustersLeftOut }: QnetdStatus): MetricFamily[] {
  const standings = { yes: 0, no: 0, waiting: 0 };
  for (const { nodes } of clusters) for (const { standing } of nodes) standings[standing] += 1;
  // Long names become equal when they are cut: a series must not come twice.
  const byLabel = new Map(clusters.map((cluster) => [labelText(cluster.name), cluster]));
  const told = [...byLabel.values()].slice(0, clusterSeriesMax);
  const nodes = told
    .flatMap((cluster) => cluster.nodes.map((node) => ({ cluster: cluster.name, node })))
    .slice(0, nodeSeriesMax);
  const nodeSamples = (of: (node: (typeof nodes)[number]["node"]) => number): Sample[] =>
    nodes.map(({ cluster, node }) => [{ cluster, node: node.nodeId }, of(node)]);
  return [
    family(
      "votes",
      "gauge",
      "Connected nodes by what they have.",
      Object.entries(standings).map(([vote, count]) => [{ vote }, count]),
    ),
    family(
      "clusters_without_series",
      "gauge",
      "Clusters that have no series of their own here, for there are too many.",
      one(clusters.length - told.length + clustersLeftOut),
    ),
    family(
      "cluster_nodes",
      "gauge",
      "Connected nodes of a cluster.",
      told.map(({ name, nodes: all }) => [{ cluster: name }, all.length]),
    ),
    family(
      "node_vote",
      "gauge",
      "1: the node has the vote of the server; 0: it has not, or waits.",
      nodeSamples(({ standing }) => (standing === "yes" ? 1 : 0)),
    ),
    family(
      "node_last_heard_seconds",
      "gauge",
      "Time since the last message of a node.",
      nodeSamples(({ heardMsAgo }) => heardMsAgo / 1000),
    ),
  ];
}

function certificateFamilies({ certificates }: QnetdStatus): MetricFamily[] {
  const samples = certificates
    .slice(0, certificateSeriesMax)
    .map(({ file, subject, daysLeft }): Sample => [{ file, subject }, daysLeft]);
  return [family("certificate_days_left", "gauge", "Days until a certificate ends.", samples)];
}
