// What one node sees that ought not to be, of what its monitor knows (pvecm.md §5.8, §5.9 A). Sentences hold still as long as the condition does: no ages,
// for the others are told of every change. Pure.
import type { Overview } from "../answers/ring.ts";
import type { AsRead } from "../api/route.ts";
import { verdictOf } from "../page/browser/verdict.ts";
import { type Condition, conditionIds } from "./condition.ts";
import { cut } from "./ledger.ts";

/** Renewal comes 14 days before the end, so that fewer days say that it does not work; what nobody renews is told a month before. */
const daysMin = { renewed: 10, others: 30 } as const;
const renewedFile = "pve-ssl.pem";
const namesMax = 5;
/** Who has not looked at a kept tree by then does not want to. */
const keptTellMs = 7 * 86_400_000;

export interface Sight extends Pick<
  AsRead<Overview>,
  "quorum" | "nodes" | "links" | "device" | "fault" | "certificates"
> {
  readonly nodeid: number;
  /** Unix milliseconds. */
  readonly wallMs: number;
  /** The last comparison with the tree of the lowest nodeid; undefined: none yet. */
  readonly verified: { readonly at: number; readonly equal: boolean } | undefined;
  /** Names of trees of this node that lost, and are kept: they begin with their date, "20261130T120000Z". */
  readonly kept: readonly string[];
}

export function conditionsOf(sight: Sight): readonly Condition[] {
  const isMember = sight.quorum.mode === "cluster";
  const all = [
    ...(isMember
      ? [...quorumOf(sight), ...nodesOf(sight), ...linksOf(sight), ...arbiterOf(sight)]
      : []),
    ...treeOf(sight),
    ...certificatesOf(sight),
  ];
  return all.map((condition) => ({ ...condition, state: cut(sentence(condition.state)) }));
}

function nameOf({ nodes }: Sight, nodeid: number): string {
  return nodes.find((node) => node.nodeid === nodeid)?.name || `node ${nodeid}`;
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** "pve1, pve2 and 3 more" */
export function listed(names: readonly string[]): string {
  if (names.length <= namesMax) return names.join(", ");
  return `${names.slice(0, namesMax).join(", ")} and ${names.length - namesMax} more`;
}

function quorumOf(sight: Sight): readonly Condition[] {
  const { quorum, nodes } = sight;
  if (quorum.quorate || quorum.provider === "") return [];
  const away = nodes.filter(({ isMember }) => !isMember).map(({ nodeid }) => nameOf(sight, nodeid));
  const here = nodes.filter(({ isMember }) => isMember).map(({ nodeid }) => nameOf(sight, nodeid));
  const missing = away.length === 0 ? "" : ` Missing: ${listed(away)}.`;
  const state = `${listed(here)}: ${verdictOf(sight).sentence}${missing}`;
  return [{ id: conditionIds.quorum(sight.nodeid), state }];
}

function nodesOf(sight: Sight): readonly Condition[] {
  return sight.nodes
    .filter(({ isMember }) => !isMember)
    .map(({ nodeid, isReachable }) => {
      const name = nameOf(sight, nodeid);
      const state = isReachable
        ? `${name} answers on the network, and is not in the cluster.`
        : `${name} is not in the cluster, and does not answer.`;
      return { id: conditionIds.node(nodeid), state };
    });
}

/** Of nodes that are in the ring and answer on another link: one that does not is about to leave it, and is told of itself. */
function linksOf(sight: Sight): readonly Condition[] {
  const { links, nodeid: self, nodes, wallMs } = sight;
  return links.flatMap((link) => {
    const { nodeid, enabled, connected, remoteAddress, changes } = link;
    const isHere = nodes.some(
      (node) => node.nodeid === nodeid && node.isMember && node.isReachable,
    );
    if (!isHere || !enabled || connected) return [];
    const [last] = changes;
    const reason = last === undefined || last.isUp ? "it was never up" : last.reason;
    const state = `Link ${link.link} between ${nameOf(sight, self)} and ${nameOf(sight, nodeid)} at ${remoteAddress} is down: ${reason}`;
    const since =
      last === undefined || last.isUp
        ? {}
        : { since: Math.round((wallMs - last.agoMs) / 1000) * 1000 };
    return [{ id: conditionIds.link(self, nodeid, link.link), state, ...since }];
  });
}

function arbiterOf(sight: Sight): readonly Condition[] {
  const { device, fault } = sight;
  const at = nameOf(sight, sight.nodeid);
  const found = (what: string): readonly Condition[] => [
    { id: conditionIds.arbiter, state: `The arbiter gives no vote to ${at}: ${what}` },
  ];
  if (fault !== "") return found(fault);
  if (device === null || (device.state === "Connected" && device.problem === "")) return [];
  return found(device.problem || `it is ${device.state.toLowerCase()} at ${device.host}`);
}

function treeOf(sight: Sight): readonly Condition[] {
  const { nodeid, wallMs, verified, kept } = sight;
  const at = nameOf(sight, nodeid);
  const differs =
    verified === undefined || verified.equal
      ? []
      : [
          {
            id: conditionIds.tree(nodeid),
            since: verified.at * 1000,
            state: `The tree (/etc/pve) of ${at} differed from the cluster's when they were compared, and was fetched anew.`,
          },
        ];
  const newest = kept.at(-1);
  const { since = wallMs } = newest === undefined ? {} : sinceOf(newest);
  if (newest === undefined || wallMs - since > keptTellMs) return differs;
  const state = `${at} had changes of /etc/pve that the cluster has not; they are kept as ${newest}.`;
  return [...differs, { id: conditionIds.kept(nodeid), state, since }];
}

function sinceOf(name: string): { readonly since?: number } {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(name) ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isFinite(at) ? { since: at } : {};
}

function certificatesOf(sight: Sight): readonly Condition[] {
  return sight.certificates.flatMap(({ file, daysLeft }) => {
    const [name = ""] = file.split("/").slice(-1);
    const least = name === renewedFile ? daysMin.renewed : daysMin.others;
    if (daysLeft >= least) return [];
    const owner = file.startsWith("nodes/") ? sight.nodeid : 0;
    const state =
      daysLeft <= 0
        ? `The certificate ${file} has expired.`
        : `The certificate ${file} expires within ${Math.ceil(daysLeft)} days.`;
    return [{ id: conditionIds.certificate(owner, name), state }];
  });
}
