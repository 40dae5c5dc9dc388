// Is all well? The sentence, the votes, what to do, and a card for each part (pvecm.md §5.9 A, B).
import type { Overview } from "../../../answers/ring.ts";
import { clusterCharts, clusterSeries, HistoryCharts } from "../chart/history.tsx";
import type { ScreenProps } from "../props.ts";
import { Card, Do, Heading, Name, Notice, State } from "../parts.tsx";
import { duration, latency, share } from "../shown.ts";
import {
  type Mood,
  deviceVotesHere,
  verdictOf,
  type VotePart,
  voteParts,
  warningsOf,
} from "../verdict.ts";
import { words } from "../words.ts";
import { Nodes } from "./nodes.tsx";

export function OverviewScreen({ overview, parts }: ScreenProps) {
  const { mood, sentence } = verdictOf(overview);
  const isAlone = overview.quorum.mode === "standalone";
  return (
    <>
      <Heading text={words.screens.overview} />
      <Notice mood={mood}>
        <p class="verdict">{sentence}</p>
      </Notice>
      {!isAlone && <VotesBar overview={overview} />}
      <Warnings overview={overview} />
      {!isAlone && (
        <>
          <div class="cards">
            <LinksCard overview={overview} />
            <ArbiterCard overview={overview} />
            <ConfigurationCard overview={overview} />
            <CertificatesCard overview={overview} />
          </div>
          <Nodes overview={overview} />
          <HistoryCharts
            {...{ api: parts.api, title: words.chart.overTime, node: undefined }}
            {...{ series: clusterSeries, charts: clusterCharts }}
          />
        </>
      )}
    </>
  );
}

export function VotesBar({ overview }: { readonly overview: Overview }) {
  const { quorum } = overview;
  if (quorum.provider === "") return <p class="soft">{words.noVotes}</p>;
  const parts = voteParts(overview);
  const all = Math.max(
    1,
    parts.reduce((sum, { votes }) => sum + votes, 0),
  );
  const nodes = parts.filter(({ nodeid }) => nodeid !== 0);
  const arbiter = parts.filter(({ nodeid }) => nodeid === 0);
  return (
    <Card title={words.votes} isWide>
      <div class="votes">
        <ul>
          {nodes.map((part) => (
            <VoteBox key={part.nodeid} part={part} />
          ))}
        </ul>
        {arbiter.length > 0 && (
          <ul class="apart">
            {arbiter.map((part) => (
              <VoteBox key={part.nodeid} part={part} />
            ))}
          </ul>
        )}
      </div>
      <div class="meter">
        <div class="full" style={{ width: percent(quorum.totalVotes, all) }} />
        <div class="needed" style={{ left: percent(quorum.quorum, all) }} />
      </div>
      <p class="soft">{words.votesHave(quorum.totalVotes, quorum.expectedVotes, quorum.quorum)}</p>
    </Card>
  );
}

function percent(part: number, whole: number): string {
  return `${Math.min(100, (100 * part) / whole).toFixed(2)}%`;
}

function VoteBox({ part: { name, votes, isPresent, nodeid } }: { readonly part: VotePart }) {
  return (
    <li class={isPresent ? "present" : "absent"} style={{ flexGrow: votes }}>
      {nodeid === 0 ? <span>{name}</span> : <Name of={name} />}
      <State mood={isPresent ? "good" : "bad"}>
        {words.votesCount(votes)} {isPresent ? words.present : words.absent}
      </State>
    </li>
  );
}

function Warnings({ overview }: { readonly overview: Overview }) {
  const warnings = warningsOf(overview);
  const { operation } = overview;
  return (
    <Card title={words.warnings} isWide>
      {operation !== null && (
        <Notice mood="calm">
          {words.operation} – {words.operationStep(operation.kind, operation.step)}
        </Notice>
      )}
      {warnings.length === 0 ? (
        <p>
          <State mood="good">{words.noWarnings}</State>
        </p>
      ) : (
        <ul class="warnings">
          {warnings.map(({ mood, text, action }) => (
            <li key={text}>
              <Notice mood={mood}>
                <p>{text}</p>
                <Do action={action} />
              </Notice>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function LinksCard({ overview: { links, nodes } }: { readonly overview: Overview }) {
  const [worst] = links.toSorted((a, b) => badness(b) - badness(a));
  if (worst === undefined)
    return (
      <Card title={words.links}>
        <p class="soft">{words.noLinks}</p>
      </Card>
    );
  const name = nodes.find(({ nodeid }) => nodeid === worst.nodeid)?.name ?? "";
  const { lost, pings, latencyUs } = worst.recent;
  return (
    <Card title={words.links}>
      {links.every(({ connected, enabled }) => connected || !enabled) ? (
        <p>
          <State mood="good">{words.linkGood(links.length)}</State>
        </p>
      ) : (
        <p>
          <State mood="bad">{words.disconnected}</State>
        </p>
      )}
      <p class="soft">
        <Name of={name} />, {words.link(worst.link)}
        {latencyUs !== undefined && `, ${latency(latencyUs.p50)}`}
        {pings > 0 && `, ${words.loss(share(lost, pings))}`}
      </p>
    </Card>
  );
}

/** What is down comes first, then loss, then latency. */
function badness({ connected, enabled, recent }: Overview["links"][number]): number {
  if (enabled && !connected) return Number.MAX_SAFE_INTEGER;
  const loss = recent.pings > 0 ? recent.lost / recent.pings : 0;
  return loss * 1e9 + (recent.latencyUs?.p50 ?? 0);
}

function ArbiterCard({ overview }: { readonly overview: Overview }) {
  const { device, fault } = overview;
  if (device === null)
    return (
      <Card title={words.arbiterTitle}>
        <p class={fault === "" ? "soft" : ""}>
          {fault === "" ? words.arbiterNone : <State mood="bad">{fault}</State>}
        </p>
      </Card>
    );
  const mood: Mood = deviceVotesHere(overview) > 0 ? "good" : device.vote === null ? "warn" : "bad";
  const vote = { good: words.arbiterVotes, warn: words.arbiterWaits, bad: words.arbiterNoVote };
  return (
    <Card title={words.arbiterTitle}>
      <p>
        <State mood={mood}>{vote[mood]}</State>
      </p>
      <p class="soft">
        <Name of={device.host} />, {device.state}, {device.algorithm}
        {device.lastEchoAgoMs !== null && `, ${words.heartbeat(duration(device.lastEchoAgoMs))}`}
      </p>
    </Card>
  );
}

function ConfigurationCard({ overview: { cluster, nodes } }: { readonly overview: Overview }) {
  const isSame = nodes.every(
    ({ configVersion, isMember }) =>
      !isMember || configVersion === null || configVersion === cluster.configVersion,
  );
  // Of who is away nobody knows it.
  const isAsked = nodes.every(({ configVersion, isMember }) => isMember && configVersion !== null);
  const same = isAsked ? words.configurationSame : words.configurationSameHere;
  return (
    <Card title={words.configuration}>
      <p>{words.configurationVersion(cluster.configVersion)}</p>
      <p>
        <State mood={isSame ? "good" : "warn"}>{isSame ? same : words.configurationDiffers}</State>
      </p>
    </Card>
  );
}

function CertificatesCard({ overview: { certificates } }: { readonly overview: Overview }) {
  const [first] = certificates.toSorted((a, b) => a.daysLeft - b.daysLeft);
  if (first === undefined)
    return (
      <Card title={words.certificates}>
        <p class="soft">{words.noCertificates}</p>
      </Card>
    );
  return (
    <Card title={words.certificates}>
      <p>
        <State mood={first.daysLeft > 14 ? "good" : "warn"}>
          {words.certificateDays(first.daysLeft)}
        </State>
      </p>
      <p class="soft">
        <Name of={first.file} />
      </p>
    </Card>
  );
}
