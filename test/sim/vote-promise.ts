// The last fault of a run, and what the rules promise after it (qnetd.md §2.6; L3): one partition is quorate again, and which nodes
// of it must be, within the time that the timers allow.
import type { SeededRandom } from "./random.ts";
import type { SimServer } from "./sim-server.ts";
import type { Streams } from "./streams.ts";
import type { VoteCluster } from "./vote-cluster.ts";
import { servingView } from "./vote-checkers.ts";
import { twoSides } from "./vote-faults.ts";

export const lastFaults = [
  "none",
  "split",
  "power loss",
  "split and lost server link",
  "server restart",
  "split and server restart",
  "power loss and server restart",
  "split and server power",
] as const;
export type LastFault = (typeof lastFaults)[number];

/** How long the server stays away when its power is part of the last fault. */
export const serverAwayMs = 1500;

export interface Arrangement {
  readonly cluster: VoteCluster;
  readonly fault: LastFault;
  /** Living nodes by partition. */
  readonly parts: readonly (readonly number[])[];
  readonly reachesServer: (nodeid: number) => boolean;
}

export interface LastFaultOptions {
  readonly cluster: VoteCluster;
  readonly fault: LastFault;
  readonly streams: Streams;
  readonly random: SeededRandom;
  readonly trace: (text: string) => void;
}

/** Splits, kills and cuts off nodes of one cluster for good; the server's own part is `disturbServer`. */
export function disturb(options: LastFaultOptions): Arrangement {
  const { cluster, fault, streams, random, trace } = options;
  const all = cluster.nodes.map(({ nodeid }) => nodeid);
  const reachesServer = (nodeid: number): boolean => streams.isReachable(cluster.host(nodeid));
  if (fault.startsWith("split")) {
    const [one, other] = twoSides(cluster, random);
    cluster.network.partition(one, other);
    trace(`${cluster.name} splits: ${one.join(",")} | ${other.join(",")}`);
    if (fault === "split and lost server link") {
      for (const nodeid of all) if (random.chance(0.4)) cutOff(options, nodeid);
    }
    return { cluster, fault, parts: [one, other], reachesServer };
  }
  if (!fault.startsWith("power loss")) return { cluster, fault, parts: [all], reachesServer };
  const survivor = random.pick(all);
  const left = all.filter((nodeid) => nodeid === survivor || random.chance(0.4));
  for (const node of cluster.nodes) if (!left.includes(node.nodeid)) node.crash();
  return { cluster, fault, parts: [left], reachesServer };
}

function cutOff({ cluster, streams, trace }: LastFaultOptions, nodeid: number): void {
  const host = cluster.host(nodeid);
  trace(`${host} does not reach the server any more`);
  for (const way of ["up", "down"] as const) streams.cut(host, way);
}

export function disturbServer(
  fault: LastFault,
  server: SimServer,
  later: (delayMs: number, act: () => void) => void,
): void {
  if (fault.endsWith("server restart")) {
    server.kill();
    later(100, () => server.start());
  } else if (fault.endsWith("server power")) {
    server.powerOff();
    later(serverAwayMs, () => server.start());
  }
}

/** What is missing of the promise; undefined: nothing. */
export function unkept(arrangement: Arrangement): string | undefined {
  const { cluster } = arrangement;
  const { algorithm, nodes: count } = cluster.rules;
  const isQuorate = (nodeid: number): boolean => {
    const node = cluster.nodes[nodeid - 1];
    return node !== undefined && servingView(node)?.quorate === true;
  };
  if (!isPromised(arrangement)) return undefined;
  const connected = arrangement.parts.map((part) => part.filter(arrangement.reachesServer));
  const whole = arrangement.parts.find((part) =>
    algorithm === "ffsplit" ? part.length > count / 2 : part.length === count,
  );
  if (whole !== undefined) {
    const missing = whole.filter((nodeid) => !isQuorate(nodeid));
    return missing.length === 0 ? undefined : `nodes ${missing.join(", ")} are not quorate`;
  }
  const candidates = connected.filter(
    (part, at) =>
      part.length > 0 && (algorithm !== "ffsplit" || arrangement.parts[at]?.length === count / 2),
  );
  if (candidates.length === 0 || candidates.some((part) => part.every(isQuorate))) return undefined;
  const names = candidates.map((part) => `{${part.join(", ")}}`);
  return `none of the partitions ${names.join(" ")} is quorate`;
}

/**
 * With wait_for_all a node that was inquorate for a moment waits for everybody (services.md §4.7). Nothing is promised when the
 * server was away too: a node whose ring changes before it is connected again casts no vote for it (qnetd.md §3.5), and the server
 * decides by those that came back first (§2.3). Either is such a moment.
 */
function isPromised({ cluster, fault, parts }: Arrangement): boolean {
  if (!cluster.rules.waitsForAll || parts[0]?.length === cluster.nodes.length) return true;
  return !fault.endsWith("server restart") && !fault.endsWith("server power");
}
