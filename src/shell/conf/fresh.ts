// The corosync.conf of a new cluster with one node, byte for byte as `pvecm create` writes it (pvecm.md §2.2). Pure.
import { type ConfItem, type ConfSection } from "../../conf.ts";
import { type Result, failure, success } from "../../result.ts";
import { isNodeName, linksMax } from "./cluster-conf.ts";
import { canonicalText, entry, section } from "./conf-text.ts";
import { interfaceSection, priorityProblem } from "./links.ts";
import { nodeSection } from "./nodes.ts";

export const clusterNameLengthMax = 15;
/** Milliseconds for each node above two. */
export const tokenCoefficientDefault = 125;

export interface FreshCluster {
  /** At most 15 characters, a node name's. */
  readonly clusterName: string;
  readonly node: {
    readonly name: string;
    /** From 1; undefined: 1. */
    readonly nodeid?: number | undefined;
    /** From 1; undefined: 1. */
    readonly votes?: number | undefined;
  };
  /** At least one. Priority 0: not written. */
  readonly links: readonly {
    readonly number: number;
    readonly address: string;
    readonly priority: number;
  }[];
  /** Milliseconds; undefined: 125. */
  readonly tokenCoefficient?: number | undefined;
}

/** With config_version 1. */
export function freshConf(cluster: FreshCluster): Result<string> {
  const problem = freshProblem(cluster);
  if (problem !== "") return failure(problem);
  const { clusterName, node, links, tokenCoefficient = tokenCoefficientDefault } = cluster;
  const addresses = new Map(links.map(({ number, address }) => [number, address]));
  const { name, nodeid = 1, votes = 1 } = node;
  const top = (title: string, items: ConfItem[]): ConfSection => section(title, items);
  return success(
    canonicalText(
      section("", [
        top("logging", [entry("debug", "off"), entry("to_syslog", "yes")]),
        top("nodelist", [nodeSection({ name, nodeid, votes, addresses })]),
        top("quorum", [entry("provider", "corosync_votequorum")]),
        top("totem", [
          entry("cluster_name", clusterName),
          entry("config_version", "1"),
          ...links.map(({ number, priority }) => interfaceSection(number, priority)),
          entry("ip_version", "ipv4-6"),
          entry("link_mode", "passive"),
          entry("secauth", "on"),
          entry("token_coefficient", String(tokenCoefficient)),
          entry("version", "2"),
        ]),
      ]),
    ),
  );
}

function freshProblem({ clusterName, node, links, tokenCoefficient = 0 }: FreshCluster): string {
  if (!isNodeName(clusterName)) return "clustername: value does not look like a valid node name";
  if (clusterName.length > clusterNameLengthMax) {
    return `clustername: value may only be ${clusterNameLengthMax} characters long`;
  }
  if (!isNodeName(node.name)) return `this node's name '${node.name}' is not a valid node name`;
  if (links.length === 0) return "a cluster needs at least one link address";
  const numbers = links.map(({ number }) => number);
  const wrong = numbers.find(
    (number) => !Number.isInteger(number) || number < 0 || number >= linksMax,
  );
  if (wrong !== undefined) return `link ${wrong} cannot exist: links are 0 to ${linksMax - 1}`;
  if (new Set(numbers).size !== numbers.length) return "a link is given twice";
  for (const { priority } of links) {
    const problem = priorityProblem(priority);
    if (problem !== "") return problem;
  }
  const isCount = (value: number, min: number): boolean =>
    Number.isSafeInteger(value) && value >= min;
  if (!isCount(node.nodeid ?? 1, 1)) return "nodeid: value must have a minimum value of 1";
  if (!isCount(node.votes ?? 1, 1)) return "votes: value must have a minimum value of 1";
  if (!isCount(tokenCoefficient, 0))
    return "token-coefficient: value must have a minimum value of 0";
  return "";
}
