// The arbiter: how it is on each node, a real try of it, its set-up and its end (pvecm.md §5.9 F, qnetd.md §4).
import type { Overview } from "../../../../answers/ring.ts";
import { Card, Heading, Name, Notice, State } from "../../parts.tsx";
import type { ScreenProps } from "../../props.ts";
import { duration } from "../../shown.ts";
import { deviceVotesHere, votingNodes } from "../../verdict.ts";
import { words } from "../../words.ts";
import { tlsOf, VoteTable } from "./nodes.tsx";
import { Removal } from "./removal.tsx";
import { SetUp } from "./set-up.tsx";
import { Test } from "./test.tsx";

const said = words.arbiterScreen;

export function ArbiterScreen(props: ScreenProps) {
  const { session, overview } = props;
  const { device, fault } = overview;
  const isRoot = session.user === "root@pam";
  const isConfigured = device !== null || fault !== "";
  return (
    <>
      <Heading text={words.screens.arbiter} />
      <p>{said.text}</p>
      {!isRoot && <Notice mood="warn">{words.noRightChange}</Notice>}
      {fault !== "" && <Notice mood="bad">{fault}</Notice>}
      {device !== null && <DeviceCard device={device} votesHere={deviceVotesHere(overview)} />}
      {device !== null && <VoteTable {...props} />}
      {device !== null && <Test {...props} />}
      <Fit overview={overview} />
      {isRoot && !isConfigured && <SetUp {...props} />}
      {isRoot && isConfigured && <Removal {...props} />}
    </>
  );
}

type Device = NonNullable<Overview["device"]>;

function DeviceCard(props: { readonly device: Device; readonly votesHere: number }) {
  const { device, votesHere } = props;
  const { host, port, algorithm, tieBreaker, votes, state, problem } = device;
  const tls = tlsOf(device);
  const isGood = state === "Connected";
  return (
    <Card title={said.state} isWide>
      {problem !== "" && <Notice mood="bad">{problem}</Notice>}
      <dl class="facts">
        <dt>{said.where}</dt>
        <dd>
          <Name of={`${host} port ${port}`} />
        </dd>
        <dt>{said.connected}</dt>
        <dd>
          <State mood={isGood ? "good" : "bad"}>{state}</State>{" "}
          {device.connectedForMs !== null && said.connectedFor(duration(device.connectedForMs))}
          {device.lastEchoAgoMs !== null && `, ${words.heartbeat(duration(device.lastEchoAgoMs))}`}
        </dd>
        <dt>{said.votes}</dt>
        <dd>
          {votes}{" "}
          <State mood={votesHere > 0 ? "good" : device.vote === null ? "warn" : "bad"}>
            {votesHere > 0
              ? words.arbiterVotes
              : device.vote === null
                ? words.arbiterWaits
                : words.arbiterNoVote}
          </State>
        </dd>
        <dt>{said.algorithm}</dt>
        <dd>{said.algorithms[algorithm] ?? algorithm}</dd>
        <dt>{said.tieBreaker}</dt>
        <dd>{said.tieBreakers[tieBreaker] ?? tieBreaker}</dd>
        <dt>{said.tls}</dt>
        <dd>
          <State mood={tls.mood}>{tls.text}</State>
        </dd>
      </dl>
    </Card>
  );
}

/** Parity: with an even number of votes an arbiter helps, with an odd one it is a machine more on which all depends. */
function Fit({ overview }: { readonly overview: Overview }) {
  const voting = votingNodes(overview);
  const isEven = voting % 2 === 0;
  const hasDevice = overview.device !== null;
  if (hasDevice && isEven) return null;
  return (
    <Card title={said.parityTitle} isWide>
      {!hasDevice && <p>{said.none}</p>}
      <p>{isEven ? said.fits(voting) : said.odd(voting)}</p>
      {hasDevice && <p class="soft">{said.removeParity}</p>}
    </Card>
  );
}
