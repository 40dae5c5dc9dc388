// The state of the device client as plain data, for `quorate status` and corosync-qdevice-tool (qnetd.md §5.3). Pure; it decides
// nothing.
import type { RingId } from "../../world.ts";
import type { VoterView } from "../quorum/voter.ts";
import type { TieBreaker } from "../../qnetd/session/message.ts";
import { deviceWarning } from "./advice.ts";
import type { DeviceSettings } from "./device-settings.ts";
import type { DeviceSnapshot } from "./events.ts";
import type { HeuristicsRuns } from "./heuristics.ts";
import type { Session } from "./session.ts";
import type { Voting } from "./voting.ts";

export interface SnapshotSource {
  readonly settings: DeviceSettings;
  readonly session: Session | undefined;
  readonly voting: Voting;
  readonly heuristics: HeuristicsRuns;
  readonly membership: { readonly ring: RingId; readonly members: readonly number[] } | undefined;
  readonly quorum: { readonly quorate: boolean; readonly voters: readonly VoterView[] } | undefined;
  readonly isRegistered: boolean;
  /** The last attempt to connect did. */
  readonly hasFailed: boolean;
  readonly problem: string;
  /** Monotonic, milliseconds. */
  readonly now: number;
}

export function deviceSnapshot(source: SnapshotSource): DeviceSnapshot {
  const { settings, session, voting, now } = source;
  const { host, port, ipVersion, algorithm, votes, tls, nodes } = settings;
  const { heartbeatMs, connectMs, castVoteMs, timeoutMs, syncTimeoutMs } = settings;
  const isConnected = session?.isAccepted === true;
  const unconnected = source.hasFailed ? "Connect failed" : "Disconnected";
  const { lastPoll, vote } = voting;
  const { results, last } = source.heuristics;
  const echoAt = session?.times.echoAt;
  const warning = deviceWarning(nodes.length, votes);
  return {
    model: "net",
    host,
    port,
    ipVersion,
    algorithm,
    tieBreaker: tieBreakerText(settings.tieBreaker),
    votes,
    isRegistered: source.isRegistered,
    state: isConnected ? "Connected" : session === undefined ? unconnected : "Connecting",
    problem: source.problem,
    ...(warning === undefined ? {} : { warning }),
    tls: { mode: tls, ...(session?.tls ?? { active: false, sentCertificate: false }) },
    keepActivePartition: keepText(settings, session),
    vote,
    heuristics: {
      mode: settings.heuristics.mode,
      last,
      regular: results.regular,
      membership: results.membership,
      connect: results.connect,
    },
    heartbeatMs,
    connectMs,
    castVoteMs,
    timeoutMs,
    syncTimeoutMs,
    cluster: clusterOf(source),
    connectedForMs: isConnected ? now - session.times.since : undefined,
    lastEchoAgoMs: echoAt === undefined ? undefined : now - echoAt,
    lastPoll:
      lastPoll === undefined
        ? undefined
        : { agoMs: now - lastPoll.at, castsVote: lastPoll.castsVote },
  };
}

function clusterOf({ settings, membership, quorum }: SnapshotSource): DeviceSnapshot["cluster"] {
  const { clusterName, nodeid, configVersion, nodes } = settings;
  const voters = quorum?.voters.filter((voter) => voter.nodeid !== 0) ?? [];
  return {
    name: clusterName,
    nodeid,
    configVersion,
    nodes,
    ring: membership?.ring,
    members: membership?.members ?? [],
    quorate: quorum?.quorate,
    voters: voters.map((voter) => ({ nodeid: voter.nodeid, state: voter.state })),
    expectedVotes: voters.find((voter) => voter.nodeid === nodeid)?.expectedVotes,
  };
}

function keepText(
  { algorithm, keepActivePartition }: DeviceSettings,
  session: Session | undefined,
): DeviceSnapshot["keepActivePartition"] {
  if (algorithm === "lms" || algorithm === "2nodelms") return "Algorithm hard-coded";
  if (algorithm === "test") return "Unsupported by algorithm";
  if (session?.terms?.takesKeepActivePartition === false) return "Unsupported by QNetd";
  return keepActivePartition ? "Enabled" : "Disabled";
}

function tieBreakerText(tieBreaker: TieBreaker): string {
  return tieBreaker.mode === "nodeId" ? String(tieBreaker.nodeId) : tieBreaker.mode;
}
