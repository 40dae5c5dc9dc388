// The metrics of a node (`/metrics`): quorum, votes, members, links, token, tree, journal, device, certificates, process. Pure. Labels are node names of
// corosync.conf and numbers: bounded by what that may have.
import { alertKinds } from "../alert/condition.ts";
import type { TreeStatus } from "../../fs/tree/files.ts";
import type { JournalCounts } from "../../fs/disk/commit-queue.ts";
import type { RingStateCounts } from "../../node/ring/events.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import {
  familiesOf,
  known,
  type MetricFamily,
  one,
  processFamilies,
  type Sample,
} from "./exposition.ts";

export interface CertificateAge {
  /** Path in the tree. */
  readonly file: string;
  readonly daysLeft: number;
}

export interface MetricsSource {
  readonly version: string;
  readonly mode: "standalone" | "cluster";
  readonly settings: NodeSettings;
  readonly snapshot: RingSnapshot;
  readonly tree: Omit<TreeStatus, "digest">;
  readonly journal: JournalCounts;
  readonly certificates: readonly CertificateAge[];
  /** Of the HTTPS API; undefined: it is not served. */
  readonly door:
    | {
        readonly connections: number;
        readonly counters: Readonly<
          Record<
            "connections" | "requests" | "refused" | "evicted" | "timedOut" | "limited",
            number
          >
        >;
      }
    | undefined;
  readonly streams: { readonly open: number; readonly dropped: number };
  readonly alerts: {
    /** Kinds of the open ones. */
    readonly open: readonly string[];
    /** This node sends them. */
    readonly isSending: boolean;
    readonly channels: readonly {
      readonly name: string;
      readonly sent: number;
      readonly failed: number;
    }[];
  };
  readonly process: {
    readonly uptimeS: number;
    readonly residentBytes: number;
    readonly cpuS: number;
  };
}

const family = familiesOf("quorate_");
const bit = (isSo: boolean): number => (isSo ? 1 : 0);

export function nodeMetrics(source: MetricsSource): readonly MetricFamily[] {
  return [
    ...identityFamilies(source),
    ...quorumFamilies(source),
    ...linkFamilies(source),
    ...ringFamilies(source),
    ...messageFamilies(source),
    ...deviceFamilies(source),
    ...treeFamilies(source),
    ...apiFamilies(source),
    ...alertFamilies(source),
    family("uptime_seconds", "gauge", "Time since the start.", one(source.process.uptimeS)),
    ...processFamilies(family, source.process),
  ];
}

function alertFamilies({ alerts: { open, isSending, channels } }: MetricsSource): MetricFamily[] {
  const messages = (of: "sent" | "failed"): Sample[] =>
    channels.map((channel) => [{ channel: channel.name }, channel[of]]);
  return [
    family(
      "alerts_open",
      "gauge",
      "Open alerts of this part of the cluster, as this node knows them.",
      alertKinds.map((kind) => [{ kind }, open.filter((each) => each === kind).length]),
    ),
    family("alert_sender", "gauge", "1: this node sends the alerts.", one(bit(isSending))),
    family("alert_messages_total", "counter", "Messages that were taken.", messages("sent")),
    family(
      "alert_failures_total",
      "counter",
      "Tries to send one that failed, and were made again.",
      messages("failed"),
    ),
  ];
}

function identityFamilies({ version, mode, settings }: MetricsSource): MetricFamily[] {
  const { name, nodeid, clusterName } = settings;
  const labels = { version, mode, node: name, nodeid, cluster: clusterName };
  return [
    family("info", "gauge", "What runs; always 1.", [[labels, 1]]),
    family(
      "config_version",
      "gauge",
      "Of the corosync.conf in force; 0 without one.",
      one(settings.configVersion),
    ),
  ];
}

function quorumFamilies({ settings, snapshot }: MetricsSource): MetricFamily[] {
  const { quorum } = snapshot.member;
  const { members } = quorum;
  const nodes = (of: (nodeid: number) => number): Sample[] =>
    settings.nodes.map(({ name, nodeid }) => [{ node: name, nodeid }, of(nodeid)]);
  const isHere = (nodeid: number) =>
    nodeid === settings.nodeid || snapshot.reachable.includes(nodeid);
  return [
    family("quorate", "gauge", "1: this node is quorate.", one(bit(quorum.quorate))),
    family("votes", "gauge", "Votes that are present.", one(quorum.totalVotes)),
    family("votes_expected", "gauge", "Expected votes.", one(quorum.expectedVotes)),
    family("votes_needed", "gauge", "Votes needed for quorum.", one(quorum.quorum)),
    family("votes_device", "gauge", "Votes of the quorum device.", one(quorum.deviceVotes)),
    family("members", "gauge", "Nodes in the ring, this one too.", one(members.length)),
    family("nodes", "gauge", "Nodes in corosync.conf.", one(settings.nodes.length)),
    family(
      "node_member",
      "gauge",
      "1: the node is in the ring.",
      nodes((nodeid) => bit(members.includes(nodeid))),
    ),
    family(
      "node_reachable",
      "gauge",
      "1: the node has at least one usable link from here.",
      nodes((nodeid) => bit(isHere(nodeid))),
    ),
    family(
      "node_votes",
      "gauge",
      "Votes of the node in corosync.conf.",
      settings.nodes.map(({ name, nodeid, votes }) => [{ node: name, nodeid }, votes]),
    ),
  ];
}

function linkFamilies({ settings, snapshot: { links } }: MetricsSource): MetricFamily[] {
  const names = new Map(settings.nodes.map(({ nodeid, name }) => [nodeid, name]));
  type Link = (typeof links)[number];
  const each = (of: (link: Link) => number | undefined): Sample[] =>
    links.flatMap((link) => {
      const value = of(link);
      if (value === undefined) return [];
      const { nodeid, link: number } = link;
      return [[{ node: names.get(nodeid) ?? "", nodeid, link: number }, value] as const];
    });
  return [
    family(
      "link_up",
      "gauge",
      "1: the link to the node is up.",
      each(({ connected }) => bit(connected)),
    ),
    family(
      "link_latency_seconds",
      "gauge",
      "Median time of the last minute's answered pings.",
      each(({ recent }) => secondsOf(recent.latencyUs?.p50)),
    ),
    family(
      "link_latency_max_seconds",
      "gauge",
      "Longest of them.",
      each(({ recent }) => secondsOf(recent.latencyUs?.max)),
    ),
    family(
      "link_loss_ratio",
      "gauge",
      "Share of the last minute's pings without an answer in time.",
      each(({ connected, recent }) => lossOf(connected, recent)),
    ),
    family(
      "link_mtu_bytes",
      "gauge",
      "Largest IP packet that is sent on it.",
      each(({ path }) => path.mtu),
    ),
    family(
      "link_ups_total",
      "counter",
      "How often it came up.",
      each(({ upCount }) => upCount),
    ),
    family(
      "link_downs_total",
      "counter",
      "How often it went down.",
      each(({ downCount }) => downCount),
    ),
    family(
      "link_packets_sent_total",
      "counter",
      "Packets of all kinds.",
      each(({ packetsSent }) => packetsSent),
    ),
    family(
      "link_packets_received_total",
      "counter",
      "Packets of all kinds.",
      each(({ packetsReceived }) => packetsReceived),
    ),
  ];
}

/** 0 to 1; undefined: nothing was sent yet. Over a link that is down nothing comes. */
export function lossOf(
  isConnected: boolean,
  { pings, lost }: { readonly pings: number; readonly lost: number },
): number | undefined {
  if (!isConnected) return 1;
  return pings === 0 ? undefined : lost / pings;
}

function secondsOf(us: number | undefined): number | undefined {
  return us === undefined ? undefined : us / 1_000_000;
}

function ringFamilies({ snapshot }: MetricsSource): MetricFamily[] {
  const { member, rotationUs, counts } = snapshot;
  const { counters } = member;
  const rotations: Sample[] =
    rotationUs.p50 === 0 && rotationUs.p99 === 0
      ? []
      : [
          [{ quantile: "0.5" }, rotationUs.p50 / 1_000_000],
          [{ quantile: "0.99" }, rotationUs.p99 / 1_000_000],
        ];
  return [
    family(
      "ring_operational",
      "gauge",
      "1: the ring is formed and its services have agreed.",
      one(bit(member.state === "operational" && !member.synchronising)),
    ),
    family(
      "token_rotations_total",
      "counter",
      "How often the token came.",
      one(counters.tokensReceived),
    ),
    family(
      "token_rotation_seconds",
      "gauge",
      "A round of the token, of the last few thousand in which it was not held idle.",
      rotations,
    ),
    family(
      "token_age_seconds",
      "gauge",
      "Time since the token was here.",
      known(counts.tokenAgeMs === undefined ? undefined : counts.tokenAgeMs / 1000),
    ),
    family(
      "token_lost_total",
      "counter",
      "How often the token did not come in time.",
      one(sumOf(counters.tokenLost)),
    ),
  ];
}

function messageFamilies({ snapshot }: MetricsSource): MetricFamily[] {
  const { member, counts, packetsDropped } = snapshot;
  const { counters } = member;
  return [
    family(
      "memberships_total",
      "counter",
      "How often the ring was formed.",
      one(counters.memberships),
    ),
    family(
      "messages_sent_total",
      "counter",
      "Messages of this node to the ring.",
      one(counters.messagesSent),
    ),
    family("messages_received_total", "counter", "Of all nodes.", one(counters.messagesReceived)),
    family(
      "retransmits_sent_total",
      "counter",
      "Messages that were sent again for others.",
      one(counters.retransmitsSent),
    ),
    family(
      "messages_queued",
      "gauge",
      "Messages that wait for the token.",
      one(member.queuedMessages),
    ),
    family(
      "packets_dropped_total",
      "counter",
      "Packets that were not used, by reason.",
      Object.entries(packetsDropped).map(([reason, count]) => [{ reason }, count]),
    ),
    family(
      "scheduling_misses",
      "gauge",
      "How often, of late, the ring thread got no processor for too long.",
      one(counts.schedulingMisses.length),
    ),
  ];
}

function sumOf({ gather, commit, recovery, operational }: RingStateCounts): number {
  return gather + commit + recovery + operational;
}

function deviceFamilies({ snapshot: { device } }: MetricsSource): MetricFamily[] {
  if (device === undefined) return [];
  return [
    family(
      "device_connected",
      "gauge",
      "1: the vote server is connected.",
      one(bit(device.state === "Connected")),
    ),
    family(
      "device_vote",
      "gauge",
      "1: the vote server gives its vote here.",
      one(bit(device.vote === "ack")),
    ),
    family(
      "device_last_answer_seconds",
      "gauge",
      "Time since the vote server answered an echo.",
      known(device.lastEchoAgoMs === undefined ? undefined : device.lastEchoAgoMs / 1000),
    ),
  ];
}

function treeFamilies({ tree, journal, certificates }: MetricsSource): MetricFamily[] {
  return [
    family("tree_writable", "gauge", "1: /etc/pve can be written here.", one(bit(tree.writable))),
    family(
      "tree_synced",
      "gauge",
      "1: the tree is the same as the other members', or local.",
      one(bit(tree.mode === "synced" || tree.mode === "local")),
    ),
    family("tree_version", "gauge", "Of the tree.", one(tree.version)),
    family("tree_objects", "gauge", "Files and directories.", one(tree.entries)),
    family("tree_bytes", "gauge", "Content of all files.", one(tree.bytes)),
    family("tree_writes_total", "counter", "Changes, those of others too.", one(tree.writes)),
    family(
      "tree_equal",
      "gauge",
      "1: the last comparison with another node's tree found no difference.",
      known(tree.verified === undefined ? undefined : bit(tree.verified.equal)),
    ),
    family("journal_commits_total", "counter", "Transactions.", one(journal.commits)),
    family(
      "journal_commit_seconds_total",
      "counter",
      "Time that they took.",
      one(journal.totalMs / 1000),
    ),
    family(
      "journal_commit_max_seconds",
      "gauge",
      "The longest of them since the start.",
      one(journal.longestMs / 1000),
    ),
    family("journal_waiting", "gauge", "Changes that wait for the disk.", one(journal.waiting)),
    family(
      "certificate_days_left",
      "gauge",
      "Days until a certificate ends.",
      certificates.map(({ file, daysLeft }) => [{ file }, Math.round(daysLeft * 100) / 100]),
    ),
  ];
}

function apiFamilies({ door, streams }: MetricsSource): MetricFamily[] {
  const both = [
    family("api_streams", "gauge", "Streams of events that are open.", one(streams.open)),
    family(
      "api_streams_dropped_total",
      "counter",
      "Streams that were ended because their readers were too slow.",
      one(streams.dropped),
    ),
  ];
  if (door === undefined) return both;
  const { connections, requests, ...refusals } = door.counters;
  return [
    ...both,
    family("api_connections", "gauge", "Connections of the HTTPS API.", one(door.connections)),
    family("api_connections_total", "counter", "Since the start.", one(connections)),
    family("api_requests_total", "counter", "Since the start.", one(requests)),
    family(
      "api_refusals_total",
      "counter",
      "Connections and requests that were ended by a limit, by which.",
      Object.entries(refusals).map(([limit, count]) => [{ limit }, count]),
    ),
  ];
}
