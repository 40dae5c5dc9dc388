// Every link of every node: who reaches whom, how fast, with what loss (pvecm.md §5.9 C). Each node is asked for its own view.
import { useEffect, useState } from "preact/hooks";
import * as v from "valibot";
import { linkAnswer, type Overview } from "../../../answers/ring.ts";
import { type Answer, type Api, failureText } from "../api.ts";
import type { ScreenProps } from "../props.ts";
import { Busy, Card, Heading, Name, Notice, TableFrame } from "../parts.tsx";
import { duration } from "../shown.ts";
import { words } from "../words.ts";
import { LinkCell } from "./nodes.tsx";

type Link = Overview["links"][number];
type OverviewNode = Overview["nodes"][number];
type Views = ReadonlyMap<number, Answer<readonly Link[]>>;

const linksSchema = v.array(linkAnswer);
const everyMs = 10_000;
/** Other nodes that are asked at a time. */
const askedMax = 4;

export function LinksScreen({ overview, parts }: ScreenProps) {
  const { nodes, links } = overview;
  const others = useViews(parts.api, nodes);
  const own = nodes.find(({ isLocal }) => isLocal);
  const views = new Map(others);
  if (own !== undefined) views.set(own.nodeid, { ok: true, data: links });
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
        <Matrix nodes={nodes} views={views} />
      </Card>
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

/** What the other members say, read anew every ten seconds while this is shown. */
function useViews(api: Api, nodes: readonly OverviewNode[]): Views {
  const [views, setViews] = useState<Views>(new Map());
  const asked = nodes.filter(({ isLocal, isMember }) => !isLocal && isMember);
  const key = asked.map(({ nodeid, name }) => `${nodeid} ${name}`).join(",");
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      const found = new Map<number, Answer<readonly Link[]>>();
      const waiting = [...asked];
      const lane = async (): Promise<void> => {
        for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
          const path = `/api/v1/nodes/${encodeURIComponent(node.name)}/links`;
          found.set(node.nodeid, await api.get(linksSchema, path));
        }
      };
      await Promise.all(Array.from({ length: askedMax }, lane));
      if (isOver) return;
      setViews(found);
      timer = setTimeout(() => void read(), everyMs);
    };
    void read();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api, key]);
  return views;
}

export function Matrix({
  nodes,
  views,
}: {
  readonly nodes: readonly OverviewNode[];
  readonly views: Views;
}) {
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
              <Cells node={node} nodes={nodes} view={views.get(node.nodeid)} />
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
  readonly view: Answer<readonly Link[]> | undefined;
}) {
  const { node, nodes, view } = props;
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
      {nodes.map(({ nodeid }) => (
        <td key={nodeid}>
          {nodeid === node.nodeid ? (
            <span class="soft">{words.itself}</span>
          ) : (
            view.data
              .filter((link) => link.nodeid === nodeid)
              .map((link) => <MatrixLink key={link.link} link={link} />)
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
