// What goes wrong between clusters and their vote server, and when (engineering.md §9). A seed may switch a kind off altogether.
import type { Agenda } from "./agenda.ts";
import { calm } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimServer } from "./sim-server.ts";
import { calmStreams, type Streams } from "./streams.ts";
import type { VoteCluster } from "./vote-cluster.ts";
import { type FaultKind, scheduleKinds } from "./fault-kinds.ts";
import { leavingMsMax } from "../../src/node/member/member.ts";

export interface VoteFaultOptions {
  readonly agenda: Agenda;
  readonly clusters: readonly VoteCluster[];
  readonly streams: Streams;
  readonly server: SimServer;
  readonly random: SeededRandom;
  /** Faults begin only before this moment. */
  readonly endMs: number;
  readonly trace: (text: string) => void;
}

const kinds: readonly FaultKind<VoteFaultOptions>[] = [
  { name: "weather", meanMs: 20_000, begin: changeWeather },
  { name: "partition", meanMs: 15_000, begin: partition },
  { name: "site cut off", meanMs: 30_000, begin: cutSite },
  { name: "one-way cut of the ring", meanMs: 60_000, begin: oneWayCut },
  { name: "crash", meanMs: 25_000, begin: crash },
  { name: "graceful stop", meanMs: 90_000, begin: gracefulStop },
  { name: "server not reached", meanMs: 15_000, begin: cutServer },
  { name: "forgotten connection", meanMs: 25_000, begin: forget },
  { name: "server restart", meanMs: 25_000, begin: restartServer },
  { name: "server power", meanMs: 40_000, begin: powerServer },
  { name: "server stands still", meanMs: 30_000, begin: pauseServer },
  { name: "heuristics", meanMs: 12_000, begin: flipHeuristics },
];

/** Schedules the faults of a run. */
export function scheduleVoteFaults(options: VoteFaultOptions): void {
  scheduleKinds(options, kinds);
}

/** Calm weather, no cuts, everything runs, and heuristics pass. Connections that a router forgot stay as they are. */
export function healVotes(options: VoteFaultOptions): void {
  const { clusters, streams, server, agenda } = options;
  options.trace("all faults end");
  streams.weather = calmStreams;
  streams.healAll();
  server.start();
  const startAll = (): void => {
    for (const node of clusters.flatMap(({ nodes }) => nodes)) if (!node.running) node.start();
  };
  for (const cluster of clusters) {
    cluster.network.weather = calm;
    cluster.network.heal();
    for (const { nodeid } of cluster.nodes) cluster.setHeuristics(nodeid, true);
  }
  startAll();
  // Who was told to stop just before takes its time to leave.
  agenda.after(leavingMsMax + 500, startAll);
}

/** Runs `act` later, unless the run has come to its quiet end by then. */
function later(options: VoteFaultOptions, delayMs: number, act: () => void): void {
  options.agenda.after(delayMs, () => {
    if (options.agenda.now < options.endMs) act();
  });
}

function pickNode(options: VoteFaultOptions): {
  readonly cluster: VoteCluster;
  readonly node: SimNode;
  readonly host: string;
} {
  const cluster = options.random.pick(options.clusters);
  const node = options.random.pick(cluster.nodes);
  return { cluster, node, host: cluster.host(node.nodeid) };
}

/** Two sides, neither of them empty. */
export function twoSides(
  cluster: VoteCluster,
  random: SeededRandom,
): readonly [readonly number[], readonly number[]] {
  const one: number[] = [];
  const other: number[] = [];
  for (const { nodeid } of cluster.nodes) (random.chance(0.5) ? one : other).push(nodeid);
  const first = one[0] === undefined ? other : one;
  const second = first === one ? other : one;
  if (second.length === 0) second.push(first.pop() ?? 0);
  return [one, other];
}

function changeWeather({ clusters, streams, random }: VoteFaultOptions): void {
  streams.weather = random.chance(0.6)
    ? {
        floorMs: random.between(0.1, 20),
        meanMs: random.exponential(60),
        spike: random.chance(0.5) ? 0.02 : 0,
      }
    : calmStreams;
  for (const { network } of clusters) {
    const isBad = random.chance(0.3);
    network.weather = isBad
      ? { ...calm, loss: random.between(0, 0.15), delayMs: random.exponential(3), floorMs: 0.2 }
      : calm;
  }
}

function partition(options: VoteFaultOptions): void {
  const { random } = options;
  const cluster = random.pick(options.clusters);
  const [one, other] = twoSides(cluster, random);
  cluster.network.partition(one, other);
  options.trace(`cut of ${cluster.name}: ${one.join(",")} | ${other.join(",")}`);
  later(options, random.exponential(15_000), () => {
    options.trace(`cut of ${cluster.name} heals`);
    cluster.network.heal();
  });
}

/** One side of a cluster loses the other and the vote server at the same moment, in silence. */
function cutSite(options: VoteFaultOptions): void {
  const { random, streams } = options;
  const cluster = random.pick(options.clusters);
  const [one, other] = twoSides(cluster, random);
  cluster.network.partition(one, other);
  const hosts = one.map((nodeid) => cluster.host(nodeid));
  for (const host of hosts) for (const way of ["up", "down"] as const) streams.cut(host, way);
  options.trace(`site of ${cluster.name} cut off: ${one.join(",")}`);
  const healsMs = random.exponential(20_000);
  later(options, healsMs, () => {
    options.trace(`ring of ${cluster.name} heals`);
    cluster.network.heal();
  });
  const reachedMs = random.chance(0.5) ? healsMs : random.exponential(20_000);
  later(options, reachedMs, () => {
    options.trace(`site of ${cluster.name} reaches the server`);
    for (const host of hosts) streams.heal(host);
  });
}

function oneWayCut(options: VoteFaultOptions): void {
  const { random } = options;
  const cluster = random.pick(options.clusters);
  const source = random.pick(cluster.nodes).nodeid;
  const target = random.pick(cluster.nodes).nodeid;
  if (source === target) return;
  cluster.network.cut(source, target);
  options.trace(`one-way cut of ${cluster.name}: ${source} > ${target}`);
  later(options, random.exponential(5000), () => cluster.network.heal());
}

function crash(options: VoteFaultOptions): void {
  const { random } = options;
  const { node } = pickNode(options);
  if (!node.running) return;
  if (random.chance(0.6)) node.crash();
  else node.kill();
  later(options, random.between(0, 25_000), () => {
    if (!node.running) node.start();
  });
}

function gracefulStop(options: VoteFaultOptions): void {
  const { node, host } = pickNode(options);
  if (!node.running) return;
  options.trace(`${host} is told to stop`);
  node.leave();
  later(options, options.random.between(5000, 20_000), () => {
    if (!node.running) node.start();
  });
}

/** Both ways or only one. */
function cutServer(options: VoteFaultOptions): void {
  const { random, streams } = options;
  const { host } = pickNode(options);
  const ways = random.pick([["up"], ["down"], ["up", "down"]] as const);
  for (const way of ways) streams.cut(host, way);
  options.trace(`cut between ${host} and the server: ${ways.join(" and ")}`);
  later(options, random.exponential(12_000), () => {
    options.trace(`${host} reaches the server`);
    streams.heal(host);
  });
}

function forget(options: VoteFaultOptions): void {
  const { host } = pickNode(options);
  options.trace(`a router forgets the connections of ${host}`);
  options.streams.forget(host);
}

function restartServer(options: VoteFaultOptions): void {
  const { server, random } = options;
  server.kill();
  later(options, random.chance(0.5) ? random.between(0, 300) : random.between(0, 15_000), () =>
    server.start(),
  );
}

function powerServer(options: VoteFaultOptions): void {
  const { server, random } = options;
  server.powerOff();
  later(options, random.chance(0.3) ? random.between(0, 500) : random.between(0, 20_000), () =>
    server.start(),
  );
}

function pauseServer({ server, random }: VoteFaultOptions): void {
  server.pause(random.exponential(4000));
}

function flipHeuristics(options: VoteFaultOptions): void {
  const { cluster, node, host } = pickNode(options);
  if (cluster.rules.heuristics === "off") return;
  const passes = options.random.chance(0.5);
  options.trace(`heuristics of ${host}: ${passes ? "pass" : "fail"}`);
  cluster.setHeuristics(node.nodeid, passes);
}
