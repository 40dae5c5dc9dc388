// Every link of every node: who reaches whom, how fast, with what loss (pvecm.md §5.9 C). Each node is asked for its own view.
import { useRef, useState } from "preact/hooks";
import * as v from "valibot";
import { linkAnswer, type Overview } from "../../../answers/ring.ts";
import { type Answer, type Api, failureText } from "../api.ts";
import { askEach } from "../ask-each.ts";
import { HistoryCharts, linkCharts } from "../chart/history.tsx";
import { useReading } from "../chart/reading.ts";
import type { ScreenProps } from "../props.ts";
import { Busy, Card, Heading, Name, Notice, TableFrame } from "../parts.tsx";
import { duration, nameInText } from "../shown.ts";
import { words } from "../words.ts";
import { LinkChanges } from "./link-changes.tsx";
import { LinkCell } from "./nodes.tsx";

type Link = Overview["links"][number];
type OverviewNode = Overview["nodes"][number];
type Views = ReadonlyMap<number, Answer<readonly Link[]>>;

const linksSchema = v.array(linkAnswer);
const everyMs = 10_000;

/** Whose links over time, and to whom: nodeids. */
interface Pair {
  readonly from: number;
  readonly to: number;
}

export function LinksScreen(props: ScreenProps) {
  const { overview, parts } = props;
  const { nodes, links } = overview;
  const others = useViews(parts.api, nodes);
  const own = nodes.find(({ isLocal }) => isLocal);
  const views = new Map(others);
  if (own !== undefined) views.set(own.nodeid, { ok: true, data: links });
  const [chosen, setChosen] = useState<Pair>();
  const charts = useRef<HTMLDivElement>(null);
  const show = (pair: Pair): void => {
    setChosen(pair);
    charts.current?.focus();
  };
  const faults = [
    ...new Set(
      [...views.values()]
        .flatMap((view) => (view.ok ? view.data : []))
        .flatMap((link) => link.faults),
    ),
  ];
  return (
    <>
      <Heading text={words.screens.links} />
      <Card title={words.matrix} isWide>
        <p class="soft">{words.matrixHint}</p>
        <Matrix {...{ nodes, views, show }} />
      </Card>
      <div ref={charts} tabIndex={-1}>
        <PairCharts api={parts.api} nodes={nodes} pair={chosen ?? firstPair(nodes)} />
      </div>
      <LinkChanges {...props} />
      {faults.length > 0 && (
        <Card title={words.faults} isWide>
          <ul class="warnings">
            {faults.map((fault) => (
              <li key={fault}>
                <Notice mood="warn">{fault}</Notice>
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

/** What the other members say, read anew every ten seconds while somebody looks. */
function useViews(api: Api, nodes: readonly OverviewNode[]): Views {
  const asked = nodes.filter(({ isLocal, isMember }) => !isLocal && isMember);
  const read = (): Promise<Views> =>
    askEach(asked, (name) =>
      api.get(linksSchema, `/api/v1/nodes/${encodeURIComponent(name)}/links`),
    );
  const key = JSON.stringify(asked.map(({ name }) => name));
  return useReading(read, everyMs, [api, key]) ?? new Map();
}

/** From this node to the first other one. */
function firstPair(nodes: readonly OverviewNode[]): Pair | undefined {
  const from = nodes.find(({ isLocal }) => isLocal);
  const to = nodes.find(({ isLocal }) => !isLocal);
  return from === undefined || to === undefined ? undefined : { from: from.nodeid, to: to.nodeid };
}

function PairCharts(props: {
  readonly api: Api;
  readonly nodes: readonly OverviewNode[];
  readonly pair: Pair | undefined;
}) {
  const { api, nodes, pair } = props;
  const from = nodes.find(({ nodeid }) => nodeid === pair?.from);
  const to = nodes.find(({ nodeid }) => nodeid === pair?.to);
  if (from === undefined || to === undefined) return null;
  const title = (
    <>
      {words.chart.overTime}: <Name of={from.name} /> → <Name of={to.name} />
    </>
  );
  return (
    <HistoryCharts
      {...{ api, title, node: from.isLocal ? undefined : from.name }}
      hint={words.chart.pairHint}
      series={[`link/${to.nodeid}`]}
      charts={(history) => linkCharts(history, to.nodeid)}
    />
  );
}

interface MatrixProps {
  readonly nodes: readonly OverviewNode[];
  readonly views: Views;
  readonly show: (pair: Pair) => void;
}

export function Matrix({ nodes, views, show }: MatrixProps) {
  return (
    <TableFrame label={words.matrix}>
      <table class="matrix">
        <thead>
          <tr>
            <th scope="col">{words.from}</th>
            {nodes.map(({ nodeid, name }) => (
              <th scope="col" key={nodeid}>
                <Name of={name} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <tr key={node.nodeid}>
              <th scope="row">
                <Name of={node.name} />
              </th>
              <Cells {...{ node, nodes, show }} view={views.get(node.nodeid)} />
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

function Cells(props: {
  readonly node: OverviewNode;
  readonly nodes: readonly OverviewNode[];
  readonly show: MatrixProps["show"];
  readonly view: Answer<readonly Link[]> | undefined;
}) {
  const { node, nodes, show, view } = props;
  if (view === undefined || !view.ok) {
    return (
      <td colSpan={nodes.length}>
        {!node.isMember ? (
          <span class="soft">{words.notAsked}</span>
        ) : view === undefined ? (
          <Busy />
        ) : (
          <span class="fault">{failureText(view)}</span>
        )}
      </td>
    );
  }
  return (
    <>
      {nodes.map(({ nodeid, name }) => (
        <td key={nodeid}>
          {nodeid === node.nodeid ? (
            <span class="soft">{words.itself}</span>
          ) : (
            <>
              {view.data
                .filter((link) => link.nodeid === nodeid)
                .map((link) => (
                  <MatrixLink key={link.link} link={link} />
                ))}
              <button
                type="button"
                class="link"
                onClick={() => show({ from: node.nodeid, to: nodeid })}
              >
                {words.chart.show}
                <span class="hidden">
                  : {nameInText(node.name)} {words.to(nameInText(name))}
                </span>
              </button>
            </>
          )}
        </td>
      ))}
    </>
  );
}

function MatrixLink({ link }: { readonly link: Link }) {
  const [last] = link.changes;
  return (
    <div class="link">
      <span class="soft">{words.link(link.link)}</span> <LinkCell link={link} />
      {link.connected && <div class="soft">{words.mtu(link.path.mtu)}</div>}
      {last !== undefined && (
        <div class="soft">
          {words.changed(last.isUp ? words.up : words.down, duration(last.agoMs))}
        </div>
      )}
    </div>
  );
}
