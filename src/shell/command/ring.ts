// `quorate links`, `quorate quorum` and `quorate ring`: the facts that corosync-cfgtool, corosync-quorumtool and corosync-cmapctl print, for
// people who must do something about them; --json for scripts, --watch to follow.
import { textOfByteString } from "../../bytes.ts";
import { voterFlags } from "../../node/quorum/message.ts";
import type { NodeClient } from "../api/client.ts";
import { ageText } from "../api/link-faults.ts";
import type { LinkReport, RingReport } from "../api/ring-report.ts";
import { table } from "../cli/text-table.ts";
import { type Sight, watched, type WatchOptions } from "../cli/watch.ts";
import { exitFailed, exitOk } from "../exit.ts";

export interface RingOptions extends WatchOptions {
  readonly node: NodeClient;
}

interface Face {
  readonly text: (report: RingReport) => readonly string[];
  /** For --json. */
  readonly facts: (report: RingReport) => unknown;
  readonly isWell: (report: RingReport) => boolean;
}

/** Exit code 0 when every link is up and nothing is wrong with any, else 1. */
export function linksCommand(options: RingOptions): Promise<number> {
  return show(links, options);
}

/** Exit code 0 when quorate, else 1. */
export function quorumCommand(options: RingOptions): Promise<number> {
  return show(quorum, options);
}

/** Exit code 0 when the ring is in its normal state with its services agreed, else 1. */
export function ringCommand(options: RingOptions): Promise<number> {
  return show(ring, options);
}

function show(face: Face, options: RingOptions): Promise<number> {
  return watched(async () => sight(face, await options.node.ring(), options), options);
}

/** One look; the lines of a face with their end, or its facts as JSON. */
function sight(face: Face, report: RingReport, { json, watch }: WatchOptions): Sight {
  const code = face.isWell(report) ? exitOk : exitFailed;
  if (!json) return { text: `${face.text(report).join("\n")}\n`, code };
  return { text: `${JSON.stringify(face.facts(report), undefined, watch ? 0 : 2)}\n`, code };
}

const links: Face = {
  text: linkLines,
  facts: (report) => ({
    ...{ nodeid: report.nodeid, transport: report.transport },
    links: report.links.map((link) => ({ name: nameOf(report, link.nodeid), ...link })),
  }),
  isWell: (report) => report.links.every(({ faults }) => faults.length === 0),
};

function linkLines(report: RingReport): readonly string[] {
  if (report.links.length === 0) return ["no link to any other node is configured"];
  const faults = report.links.flatMap((link) => link.faults);
  const rows = table(
    [
      { title: "NODE" },
      ...[{ title: "LINK", right: true }, { title: "STATE" }],
      ...[{ title: "LATENCY" }, { title: "LOSS", right: true }],
      ...[{ title: "MTU", right: true }, { title: "LAST CHANGE" }, { title: "ADDRESSES" }],
    ],
    report.links.map((link) => [
      nameOf(report, link.nodeid),
      `${link.link}`,
      link.connected ? "connected" : "down",
      latencyText(link),
      lossText(link),
      mtuText(link),
      changeText(link),
      `${link.localAddress} -> ${link.remoteAddress}`,
    ]),
  );
  return [...rows, ...(faults.length === 0 ? [] : ["", ...faults])];
}

function latencyText({ recent: { latencyUs } }: LinkReport): string {
  if (latencyUs === undefined) return "-";
  const { min, p50, max } = latencyUs;
  return `${milliseconds(p50)} ms (${milliseconds(min)} to ${milliseconds(max)})`;
}

function milliseconds(us: number): string {
  return (us / 1000).toFixed(us < 10_000 ? 2 : 1);
}

/** Of a link that is down all is lost, which its state says already. */
function lossText({ connected, recent: { pings, lost } }: LinkReport): string {
  return !connected || pings === 0 ? "-" : `${((100 * lost) / pings).toFixed(lost === 0 ? 0 : 1)}%`;
}

/** Of the path, as an interface has it. */
function mtuText({ path }: LinkReport): string {
  return path.state === "new" ? `${path.mtu}?` : `${path.mtu}`;
}

function changeText({ changes }: LinkReport): string {
  const [last] = changes;
  return last === undefined ? "-" : `${last.isUp ? "up" : "down"} ${ageText(last.agoMs)} ago`;
}

const quorum: Face = {
  text: quorumLines,
  facts: (report) => ({
    nodeid: report.nodeid,
    ...report.quorum,
    deviceName: textOfByteString(report.quorum.deviceName),
    voters: report.quorum.voters.map((voter) => ({ name: nameOf(report, voter.nodeid), ...voter })),
  }),
  isWell: (report) => report.quorum.quorate,
};

function quorumLines(report: RingReport): readonly string[] {
  const { provider, meaning, flags, voters, deviceName, deviceVotes } = report.quorum;
  if (provider === "") {
    return ["corosync.conf names no quorum provider: there are no votes, and the node is quorate"];
  }
  const hasDevice = voters.some(({ flags: bits }) => (bits & voterFlags.deviceRegistered) !== 0);
  return [
    meaning,
    `flags: ${flags.join(" ") || "none"}; ring ${report.quorum.ring}`,
    ...(hasDevice
      ? [`quorum device ${textOfByteString(deviceName)}: ${deviceVotes} votes where it gives them`]
      : []),
    "",
    ...table(
      [
        ...[{ title: "NODEID", right: true }, { title: "NAME" }, { title: "VOTES", right: true }],
        ...[{ title: "EXPECTED", right: true }, { title: "STATE" }],
        ...(hasDevice ? [{ title: "DEVICE" }] : []),
      ],
      voters.map(({ nodeid, votes, expectedVotes, flags: bits }) => [
        ...[`${nodeid}`, nameOf(report, nodeid), `${votes}`, `${expectedVotes}`],
        voterState(report, nodeid),
        deviceText(bits),
      ]),
    ),
    ...unheard(report),
  ];
}

/** Votes of a node that was taken out stay known, and count no more. */
function voterState({ quorum: { members }, nodes }: RingReport, nodeid: number): string {
  if (members.includes(nodeid)) return "member";
  return nodes.some((node) => node.nodeid === nodeid) ? "absent" : "not configured";
}

/** Configured nodes whose votes nobody has stated since this node began. */
function unheard(report: RingReport): readonly string[] {
  const known = new Set(report.quorum.voters.map(({ nodeid }) => nodeid));
  const missing = report.nodes.filter(({ nodeid }) => !known.has(nodeid));
  if (missing.length === 0) return [];
  const names = missing.map(({ nodeid }) => nameOf(report, nodeid)).join(", ");
  return ["", `not seen since this node began: ${names}`];
}

function deviceText(bits: number): string {
  const has = (flag: number) => (bits & flag) !== 0;
  if (!has(voterFlags.deviceRegistered)) return "none";
  if (!has(voterFlags.deviceAlive)) return "silent";
  return has(voterFlags.deviceCastVote) ? "gives its votes" : "gives no votes";
}

const ring: Face = {
  text: ringLines,
  facts: (report) => ({ nodeid: report.nodeid, transport: report.transport, ...report.ring }),
  isWell: ({ ring: { state, synchronising } }) => state === "operational" && !synchronising,
};

function ringLines(report: RingReport): readonly string[] {
  const { id, state, synchronising, members, counters, rotationUs, queuedMessages } = report.ring;
  const { configVersions } = report.ring;
  const rotation =
    rotationUs.p50 === 0
      ? "not measured yet"
      : `p50 ${milliseconds(rotationUs.p50)} ms, p99 ${milliseconds(rotationUs.p99)} ms`;
  const lost = Object.values(counters.tokenLost).reduce((sum, count) => sum + count, 0);
  return [
    `ring ${id} over ${report.transport}: ${state}${synchronising ? ", services synchronising" : ""}`,
    `members: ${members.map((nodeid) => nameOf(report, nodeid)).join(", ")}`,
    `token: rotation ${rotation}; received ${counters.tokensReceived}, lost ${lost}`,
    `messages: sent ${counters.messagesSent}, received ${counters.messagesReceived}, repeated ${counters.retransmitsSent}, waiting ${queuedMessages}`,
    `memberships: ${counters.memberships} since this node began; no agreement in time ${counters.consensusTimeouts}`,
    ...versionLines(report, configVersions),
  ];
}

/** One version for all, or who has which. */
function versionLines(
  report: RingReport,
  versions: RingReport["ring"]["configVersions"],
): readonly string[] {
  const [first] = versions;
  if (first === undefined) return [];
  if (versions.every(({ version }) => version === first.version)) {
    return [`configuration: version ${first.version} on all members`];
  }
  const list = versions.map(({ nodeid, version }) => `${nameOf(report, nodeid)} ${version}`);
  return [
    `configuration: DIFFERENT versions: ${list.join(", ")}; "quorate reload" after each node has the same corosync.conf`,
  ];
}

function nameOf(report: RingReport, nodeid: number): string {
  const name = report.nodes.find((node) => node.nodeid === nodeid)?.name ?? "";
  return name === "" ? `node ${nodeid}` : name;
}
