// The arbiter as each node has it: every member is asked for its own client; one that does not run quorate cannot say.
import { useEffect, useState } from "preact/hooks";
import { deviceAnswer, type Overview } from "../../../../answers/ring.ts";
import type * as v from "valibot";
import type { Answer } from "../../api.ts";
import { Card, Name, State } from "../../parts.tsx";
import type { ScreenProps } from "../../props.ts";
import { duration } from "../../shown.ts";
import type { Mood } from "../../verdict.ts";
import { words } from "../../words.ts";

type Told = Answer<v.InferOutput<typeof deviceAnswer>>;
type Node = Overview["nodes"][number];

const said = words.arbiterScreen;

export function VoteTable({ parts, overview }: ScreenProps) {
  const [told, setTold] = useState<ReadonlyMap<string, Told>>(new Map());
  const { nodes, device, fault, at } = overview;
  useEffect(() => {
    let isOver = false;
    const others = nodes.filter(({ isLocal, isMember }) => isMember && !isLocal);
    for (const { name } of others) {
      const path = `/api/v1/nodes/${encodeURIComponent(name)}/device`;
      void parts.api.get(deviceAnswer, path).then((answer) => {
        if (!isOver) setTold((before) => new Map(before).set(name, answer));
      });
    }
    return () => void (isOver = true);
  }, [parts.api, at]);
  const own: Told = { ok: true, data: { device, fault } };
  return (
    <Card title={said.nodes} isWide>
      <VoteRows nodes={nodes} told={(node) => (node.isLocal ? own : told.get(node.name))} />
    </Card>
  );
}

/** A connection that is not there has no TLS, whatever is set. */
export function tlsOf({
  tls: { mode, active },
  state,
}: Pick<NonNullable<Overview["device"]>, "tls" | "state">): {
  readonly mood: Mood;
  readonly text: string;
} {
  if (active) return { mood: "good", text: said.tlsActive(mode) };
  if (mode === "off") return { mood: "warn", text: said.tlsOff };
  return state === "Connected"
    ? { mood: "warn", text: said.tlsUnused }
    : { mood: "calm", text: said.tlsAway(mode) };
}

export function VoteRows(props: {
  readonly nodes: readonly Node[];
  readonly told: (node: Node) => Told | undefined;
}) {
  return (
    <table class="foldable">
      <thead>
        <tr>
          <th scope="col">{words.name}</th>
          <th scope="col">{said.client}</th>
          <th scope="col">{said.vote}</th>
          <th scope="col">{said.heard}</th>
          <th scope="col">{said.tls}</th>
        </tr>
      </thead>
      <tbody>
        {props.nodes.map((node) => (
          <Row key={node.nodeid} node={node} told={props.told(node)} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ node, told }: { readonly node: Node; readonly told: Told | undefined }) {
  const name = (
    <th scope="row">
      <Name of={node.name} /> {node.isLocal && <span class="soft">({words.here})</span>}
    </th>
  );
  const device = told?.ok === true ? told.data.device : undefined;
  if (!node.isMember || device === undefined || device === null) {
    const [mood, text] = !node.isMember
      ? (["bad", said.notMember] as const)
      : told === undefined
        ? (["calm", words.loading] as const)
        : told.ok
          ? (["bad", told.data.fault || said.notRunning] as const)
          : (["calm", said.notAsked] as const);
    return (
      <tr>
        {name}
        <td data-label={said.client}>
          <State mood={mood}>{text}</State>
        </td>
        <td data-label={said.vote}>–</td>
        <td data-label={said.heard}>–</td>
        <td data-label={said.tls}>–</td>
      </tr>
    );
  }
  const { state, vote, problem, lastEchoAgoMs } = device;
  const isConnected = state === "Connected";
  return (
    <tr>
      {name}
      <td data-label={said.client}>
        <State mood={isConnected ? "good" : "bad"}>{state}</State>
        {problem !== "" && <div class="fault">{problem}</div>}
      </td>
      <td data-label={said.vote}>
        <State mood={vote === "ack" ? "good" : vote === null ? "warn" : "bad"}>
          {vote === "ack" ? said.hasVote : vote === null ? said.waits : said.noVote}
        </State>
      </td>
      <td data-label={said.heard}>
        {lastEchoAgoMs !== null
          ? words.ago(duration(lastEchoAgoMs))
          : isConnected
            ? said.heardNotYet
            : said.heardAway}
      </td>
      <td data-label={said.tls}>{tlsOf(device).text}</td>
    </tr>
  );
}
