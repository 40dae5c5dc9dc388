// Another address for a node (pain point 11). A running ring takes no new address for a link (services.md §5.4), so the link goes and comes back
// while others carry the ring; where there is no other, one is laid for the time. A node that is away goes and comes back itself.
import { isIP } from "node:net";
import { linksMax, nodeOf, type ClusterNode } from "../conf/cluster-conf.ts";
import { withLink, withoutLink } from "../conf/links.ts";
import { twinProblem, withAddress, withNode, withoutNode } from "../conf/nodes.ts";
import { CommandFailure } from "../exit.ts";
import { type Stage, type Staged, stagedPlan } from "./conf-stage.ts";
import { checkCarried, type Planned } from "./links.ts";
import type { ChangePorts } from "./ports.ts";
import { checkAllOnline, membersOf, situation, type Situation, valueOrFail } from "./situation.ts";

/** Over links that stay, or for a node that is away. */
export const readdressPlan = stagedPlan("readdress", 2);
/** By way of a link that is there for the time only. */
export const readdressByWayPlan = stagedPlan("readdress-by-way", 4);

export interface ReaddressRequest {
  readonly node: string;
  /** New addresses by link number. */
  readonly links: ReadonlyMap<number, string>;
}

/** Undefined: it is so already. Which of the two plans it is follows from the number of stages. */
export async function planReaddress(
  ports: ChangePorts,
  request: ReaddressRequest,
  user: string,
): Promise<Planned<Staged> | undefined> {
  const now = await situation(ports);
  const node = nodeOf(now.conf, request.node);
  if (node === undefined) {
    throw new CommandFailure(`Node/IP: ${request.node} is not a known host of the cluster.`);
  }
  if (request.links.size === 0)
    throw new CommandFailure("no new address is given: --link0 ADDRESS");
  const links = new Map(
    [...request.links].filter(([link, address]) => node.addresses.get(link) !== address),
  );
  if (links.size === 0) return undefined;
  checkAllOnline(now, node.name);
  const readdressed = checkedText(now, node, links);
  await checkUsable(ports, node, links);
  const isAway = !now.view.members.includes(node.nodeid);
  const stages = isAway
    ? awayStages(now, node, links)
    : links.size < now.conf.links.length
      ? linkStages(now, now.text, node, links)
      : byWayStages(now, node, links);
  const shown = [...links].map(([link, address]) => `link ${link}: ${address}`).join(", ");
  return {
    facts: {
      before: now.text,
      stages,
      members: membersOf(now),
      log: `${user}: node ${node.name} has other addresses (${shown})`,
    },
    notes: [
      isAway
        ? `${node.name} is away: it must have the new corosync.conf before it starts. Copy /etc/pve/corosync.conf of this node to /etc/corosync/corosync.conf there.`
        : `Quorum stays: ${node.name} stays in the ring all the time. It must have the new address on an interface now; if the ring does not form with it, all is taken back.`,
      ...readdressed,
    ],
  };
}

/** Rejects what the file would not take; answers notes. */
function checkedText(
  { text }: Situation,
  { name }: ClusterNode,
  links: ReadonlyMap<number, string>,
): readonly string[] {
  let changed = text;
  const notes = new Set<string>();
  for (const [link, address] of links) {
    const edit = valueOrFail(withAddress(changed, name, link, address));
    changed = edit.text;
    for (const note of edit.notes) notes.add(note);
    if (isIP(address) === 0) {
      notes.add(`${address} is a name: every node must resolve it to the same address`);
    }
  }
  return [...notes];
}

/** Before a link is taken away: the address would be found wrong when it is to come back. */
async function checkUsable(
  { cluster }: ChangePorts,
  { name, addresses }: ClusterNode,
  links: ReadonlyMap<number, string>,
): Promise<void> {
  for (const [link, address] of links) {
    const fault = await cluster.addressFault(address);
    if (fault !== "") throw new CommandFailure(`link ${link} of ${name}: ${address} ${fault}`);
  }
  const problem = twinProblem(name, new Map([...addresses, ...links]));
  if (problem !== "") throw new CommandFailure(problem);
}

function awayStages(
  now: Situation,
  node: ClusterNode,
  links: ReadonlyMap<number, string>,
): Stage[] {
  const without = valueOrFail(withoutNode(now.text, node.name)).text;
  const { name, nodeid, votes, addresses } = node;
  const added = { name, nodeid, votes, links: new Map([...addresses, ...links]) };
  const again = valueOrFail(withNode(without, added)).text;
  return [
    { title: `take ${name} out of the nodelist`, after: without, links: [] },
    { title: `put ${name} back with its new address`, after: again, links: [] },
  ];
}

/** The links go and come back while the others carry the ring. */
function linkStages(
  now: Situation,
  text: string,
  node: ClusterNode,
  links: ReadonlyMap<number, string>,
): Stage[] {
  const kept = now.conf.links.map(({ number }) => number).filter((number) => !links.has(number));
  checkCarried(now, kept);
  return replacing(now, text, node, links, kept);
}

function replacing(
  { conf }: Situation,
  text: string,
  node: ClusterNode,
  links: ReadonlyMap<number, string>,
  kept: readonly number[],
): Stage[] {
  const numbers = [...links.keys()];
  let without = text;
  for (const number of numbers) without = valueOrFail(withoutLink(without, number)).text;
  let again = without;
  for (const [number, address] of links) {
    const addresses = new Map(
      conf.nodes.map((each) => [each.name, each.addresses.get(number) ?? ""]),
    );
    addresses.set(node.name, address);
    const priority = conf.links.find((link) => link.number === number)?.priority ?? 0;
    again = valueOrFail(withLink(again, { number, addresses, priority })).text;
  }
  const shown = numbers.join(", ");
  return [
    { title: `take link ${shown} from all nodes`, after: without, links: [...kept] },
    {
      title: `put link ${shown} back with the new address of ${node.name}`,
      after: again,
      links: numbers,
    },
  ];
}

/** All links change: one is laid between the old addresses of the others and the new one of this node, until they are back. */
function byWayStages(
  now: Situation,
  node: ClusterNode,
  links: ReadonlyMap<number, string>,
): Stage[] {
  const used = now.conf.links.map(({ number }) => number);
  const free = Array.from({ length: linksMax }, (_, number) => number).filter(
    (number) => !used.includes(number),
  );
  const [way] = free;
  const [first] = used;
  if (way === undefined || first === undefined) {
    throw new CommandFailure(
      "all 8 links would change at once: leave one as it is, and change it after the others",
    );
  }
  const addresses = new Map(
    now.conf.nodes.map((each) => [each.name, each.addresses.get(first) ?? ""]),
  );
  addresses.set(node.name, links.get(first) ?? "");
  const laid = valueOrFail(withLink(now.text, { number: way, addresses })).text;
  const inner = replacing(now, laid, node, links, [way]);
  const last = inner.at(-1)?.after ?? laid;
  return [
    {
      title: `lay link ${way} for the time, with the new address of ${node.name}`,
      after: laid,
      links: [way],
    },
    ...inner,
    {
      title: `take link ${way} away again`,
      after: valueOrFail(withoutLink(last, way)).text,
      links: used,
    },
  ];
}
