// The nodes of the cluster, a line each; on a narrow screen each line is a card (pvecm.md §5.9 B).
import type { Overview } from "../../../answers/ring.ts";
import { Card, Name, State } from "../parts.tsx";
import { duration, latency, share } from "../shown.ts";
import { words } from "../words.ts";

type OverviewNode = Overview["nodes"][number];
type OverviewLink = Overview["links"][number];

export function Nodes({ overview }: { readonly overview: Overview }) {
  const { nodes, links } = overview;
  const online = nodes.filter(({ isMember }) => isMember).length;
  const numbers = [...new Set(links.map(({ link }) => link))].toSorted((a, b) => a - b);
  return (
    <Card title={`${words.nodes}: ${words.nodesOnline(online, nodes.length)}`} isWide>
      <table class="foldable">
        <thead>
          <tr>
            <th scope="col">{words.name}</th>
            <th scope="col">{words.state}</th>
            <th scope="col">{words.id}</th>
            <th scope="col">{words.votes}</th>
            <th scope="col">{words.addresses}</th>
            {numbers.map((number) => (
              <th scope="col" key={number}>
                {words.link(number)}
              </th>
            ))}
            <th scope="col">{words.configuration}</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <Row key={node.nodeid} {...{ node, links, numbers }} />
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function Row(props: {
  readonly node: OverviewNode;
  readonly links: readonly OverviewLink[];
  readonly numbers: readonly number[];
}) {
  const { node, links, numbers } = props;
  return (
    <tr>
      <th scope="row">
        <Name of={node.name} /> {node.isLocal && <span class="soft">({words.here})</span>}
      </th>
      <td data-label={words.state}>
        <NodeState node={node} />
        <Since node={node} links={links} />
      </td>
      <td data-label={words.id}>{node.nodeid}</td>
      <td data-label={words.votes}>{node.votes}</td>
      <td data-label={words.addresses}>
        {node.addresses.map((address, at) =>
          address === null ? null : (
            <div key={at}>
              <Name of={address} />
            </div>
          ),
        )}
      </td>
      {numbers.map((number) => (
        <td key={number} data-label={words.link(number)}>
          <LinkCell
            link={links.find(({ nodeid, link }) => nodeid === node.nodeid && link === number)}
          />
        </td>
      ))}
      <td data-label={words.configuration}>{node.configVersion ?? words.unknown}</td>
    </tr>
  );
}

export function NodeState({ node }: { readonly node: OverviewNode }) {
  return (
    <State mood={node.isMember ? "good" : node.isReachable ? "warn" : "bad"}>
      {node.isMember ? words.online : node.isReachable ? words.unreachable : words.offline}
    </State>
  );
}

/** Since when a node that is away has had no link to this one. */
export function Since({
  node,
  links,
}: {
  readonly node: OverviewNode;
  readonly links: readonly OverviewLink[];
}) {
  if (node.isMember || node.isLocal) return null;
  const own = links.filter(({ nodeid }) => nodeid === node.nodeid);
  const gone = own.flatMap(({ changes: [last] }) =>
    last === undefined || last.isUp ? [] : [last.agoMs],
  );
  if (gone.length === 0 || gone.length < own.length) return null;
  return <div class="soft">{words.ago(duration(Math.min(...gone)))}</div>;
}

export function LinkCell({ link }: { readonly link: OverviewLink | undefined }) {
  if (link === undefined) return <span class="soft">–</span>;
  const { connected, enabled, recent } = link;
  const state = connected ? words.connected : enabled ? words.disconnected : words.disabled;
  return (
    <>
      <State mood={connected ? "good" : enabled ? "bad" : "calm"}>{state}</State>
      {connected && (
        <div class="soft">
          {recent.latencyUs === undefined ? "" : latency(recent.latencyUs.p50)}
          {recent.pings > 0 && ` · ${words.loss(share(recent.lost, recent.pings))}`}
        </div>
      )}
    </>
  );
}
