// A running cluster on paper, for the plans that change one: corosync.conf and a tree that all nodes share, nodes that reload a turn after a write, links
// that come up where both ends are there. Seen from node 1.
import { readClusterConf, type ClusterConf } from "../../src/shell/conf/cluster-conf.ts";
import { freshConf } from "../../src/shell/conf/fresh.ts";
import { withLink } from "../../src/shell/conf/links.ts";
import { withNode } from "../../src/shell/conf/nodes.ts";
import type { ChangePorts, ClusterView } from "../../src/shell/change/ports.ts";
import type { Result } from "../../src/result.ts";

export const valueOf = <T>(outcome: Result<T>): T => {
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
};

/** pve1 to pve<count> at 10.<link>.0.<nodeid>. */
export function paperConf(count: number, links = 1): string {
  const at = (link: number, nodeid: number): string => `10.${link}.0.${nodeid}`;
  let text = valueOf(
    freshConf({
      clusterName: "prod",
      node: { name: "pve1" },
      links: [{ number: 0, address: at(0, 1), priority: 0 }],
    }),
  );
  for (let nodeid = 2; nodeid <= count; nodeid += 1) {
    const added = { name: `pve${nodeid}`, links: new Map([[0, at(0, nodeid)]]) };
    text = valueOf(withNode(text, added)).text;
  }
  for (let number = 1; number < links; number += 1) {
    const addresses = new Map(
      Array.from({ length: count }, (_, index) => [`pve${index + 1}`, at(number, index + 1)]),
    );
    text = valueOf(withLink(text, { number, addresses })).text;
  }
  return text;
}

export class PaperCluster {
  conf: string;
  /** What the nodes run with. */
  running: string;
  /** nodeids that are switched on. */
  readonly on: Set<number>;
  /** Addresses that no interface has. */
  readonly absent = new Set<string>();
  /** Links that no packet passes. */
  readonly cut = new Set<number>();
  readonly tree = new Map<string, string>();
  readonly directories = new Set<string>();
  readonly logged: string[] = [];
  readonly killed: number[] = [];
  /** By the expected votes that somebody has given, what is here is quorate. */
  isOverridden = false;
  /** Names that do not resolve. */
  readonly unknown = new Set<string>();
  /** Why every node refuses what is written. */
  refusal = "";
  /** nodeids that run with an older version than the others, and that version. */
  readonly lagging = new Map<number, number>();
  /** All texts that were written. */
  readonly written: string[] = [];

  constructor(conf: string) {
    this.conf = conf;
    this.running = conf;
    this.on = new Set(this.cluster.nodes.map(({ nodeid }) => nodeid));
  }

  get cluster(): ClusterConf {
    return valueOf(readClusterConf(this.running));
  }

  get view(): ClusterView {
    const { version, nodes } = this.cluster;
    const links = this.#links();
    const members = nodes
      .map(({ nodeid }) => nodeid)
      .filter(
        (nodeid) =>
          nodeid === 1 ||
          (this.on.has(nodeid) && links.some((link) => link.nodeid === nodeid && link.isConnected)),
      );
    const votesOf = (ids: readonly number[]): number =>
      nodes.filter(({ nodeid }) => ids.includes(nodeid)).reduce((sum, { votes }) => sum + votes, 0);
    const totalVotes = votesOf(members);
    const quorum = Math.floor(votesOf(nodes.map(({ nodeid }) => nodeid)) / 2) + 1;
    return {
      self: 1,
      configVersion: version,
      refusal: this.refusal,
      quorate: this.isOverridden || totalVotes >= quorum,
      ...{ totalVotes, quorum, members, links },
      versions: members.map((nodeid) => ({
        nodeid,
        version: this.lagging.get(nodeid) ?? version,
      })),
    };
  }

  #links(): ClusterView["links"] {
    const { nodes } = this.cluster;
    const own = nodes.find(({ nodeid }) => nodeid === 1)?.addresses ?? new Map<number, string>();
    return nodes
      .filter(({ nodeid }) => nodeid !== 1)
      .flatMap(({ nodeid, addresses }) =>
        [...addresses].map(([link, remoteAddress]) => {
          const ends = [remoteAddress, own.get(link) ?? ""];
          const isThere = this.on.has(nodeid) && !ends.some((end) => this.absent.has(end));
          return { nodeid, link, isConnected: isThere && !this.cut.has(link), remoteAddress };
        }),
      );
  }

  /** What passes between two looks: the nodes read the file. */
  turn(): void {
    if (this.refusal === "") this.running = this.conf;
  }

  ports(): ChangePorts {
    return {
      cluster: {
        view: async () => this.view,
        addressFault: async (address) => (this.unknown.has(address) ? "is unknown" : ""),
        turn: async () => this.turn(),
        conf: async () => this.conf,
        putConf: async (text) => {
          if (!this.view.quorate) throw new Error("no quorum");
          if (
            valueOf(readClusterConf(text)).version <= valueOf(readClusterConf(this.conf)).version
          ) {
            throw new Error("the version did not grow");
          }
          this.conf = text;
          this.written.push(text);
        },
        locked: async (_, work) => work(),
        kill: async (nodeid) => {
          this.killed.push(nodeid);
          this.on.delete(nodeid);
        },
        log: async (message) => void this.logged.push(message),
      },
      tree: {
        list: async (path) => this.#list(path),
        read: async (path) => this.tree.get(path),
        put: async (path, text) => void this.tree.set(path, text),
        remove: async (path) => {
          if (this.#list(path).length > 0) throw new Error(`${path} is not empty`);
          this.tree.delete(path);
          this.directories.delete(path);
        },
        move: async (from, to) => {
          const text = this.tree.get(from);
          if (text === undefined) throw new Error(`${from} is not there`);
          if (!this.directories.has(to.replace(/\/[^/]*$/, "")))
            throw new Error(`no directory for ${to}`);
          this.tree.set(to, text);
          this.tree.delete(from);
        },
        makeDirectory: async (path) => void this.directories.add(path),
      },
    };
  }

  /** With its directories. */
  addFile(path: string, text = "x"): void {
    const parts = path.split("/").slice(0, -1);
    parts.forEach((_, index) => this.directories.add(parts.slice(0, index + 1).join("/")));
    this.tree.set(path, text);
  }

  #list(path: string): string[] {
    const inside = (each: string): boolean =>
      each.startsWith(`${path}/`) && !each.slice(path.length + 1).includes("/");
    const name = (each: string): string => each.slice(path.length + 1);
    return [
      ...[...this.tree.keys()].filter(inside).map(name),
      ...[...this.directories].filter(inside).map((each) => `${name(each)}/`),
    ].toSorted();
  }
}
