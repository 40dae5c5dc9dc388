// Q3 for each algorithm over seeded histories: splits, heals, stalled links, lost and returning clients, changing heuristics,
// restarts. Never two partitions with the vote that share no node; and when all is quiet, one that may have it has it.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { AlgorithmName, TieBreaker } from "../session/message.ts";
import {
  seededRandom,
  World,
  type Node,
  type WorldOptions,
} from "../../../test/double/qnetd-network.ts";

const stepsPerHistory = 40;
// Hundreds of histories take a second, on a machine with better things to do a minute.
setDefaultTimeout(60_000);

/** One random thing happens. */
function disturb(world: World, isRestarting: boolean): void {
  const { nodes, random } = world;
  const node = nodes[random(nodes.length)]!;
  switch (random(isRestarting ? 11 : 10)) {
    case 0:
    case 1:
    case 2: {
      const groups = 1 + random(3);
      const of = new Map(nodes.map((one) => [one, random(groups)]));
      return world.partition((one) => of.get(one)!);
    }
    case 3:
    case 4:
      return world.setLink(node, false);
    case 5:
    case 6:
      return world.setLink(node, true);
    case 7:
      return world.changeHeuristics(node);
    case 8:
      return random(2) === 0 ? world.sendQuorum(node) : world.sendMembership(node);
    case 9:
      return world.disconnect(node);
    default:
      return world.restart();
  }
}

function history(options: WorldOptions): World {
  const world = new World(options);
  world.run(1500);
  for (let i = 0; i < stepsPerHistory && world.violation === undefined; i += 1) {
    disturb(world, options.isRestarting);
    world.run(world.random(4) === 0 ? world.random(3500) : world.random(300));
  }
  return world;
}

/** Everything reachable and quiet, in groups; returns the groups of nodes. */
function settle(world: World, groupCount: number): Node[][] {
  world.isCalm = true;
  for (const node of world.nodes) world.setLink(node, true);
  world.partition((node) => node.id % groupCount);
  world.run(8000);
  world.partition((node) => node.id % groupCount);
  world.run(8000);
  // lms decides for a node only when it is asked: twice, for the first round may take the vote from one and the second give it.
  for (let round = 0; round < 2; round += 1) {
    for (const node of world.nodes) world.sendQuorum(node);
    world.run(1000);
  }
  return [...Map.groupBy(world.nodes, (node) => node.id % groupCount).values()];
}

function optionsOf(algorithm: AlgorithmName, seed: number, isRestarting = false): WorldOptions {
  const random = seededRandom(seed * 7919);
  const nodes = algorithm === "2nodelms" ? 2 : 2 + random(4);
  const modes: TieBreaker[] = [
    { mode: "lowest" },
    { mode: "highest" },
    { mode: "nodeId", nodeId: 1 + random(nodes) },
  ];
  return { algorithm, nodes, tieBreaker: modes[random(3)]!, seed, isRestarting };
}

function expectSafe(world: World): void {
  if (world.violation !== undefined) {
    throw new Error(`${world.violation}\n${world.history.slice(-60).join("\n")}`);
  }
}

describe.each(["ffsplit", "lms", "2nodelms"] as const)("%s", (algorithm) => {
  test("never two partitions with the vote", () => {
    for (let seed = 1; seed <= 60; seed += 1) expectSafe(history(optionsOf(algorithm, seed)));
  });

  test("nor when the server restarts, if it waits after its start", () => {
    for (let seed = 1001; seed <= 1050; seed += 1) {
      expectSafe(history(optionsOf(algorithm, seed, true)));
    }
  });
});

test("ffsplit: when all is quiet, the one partition that may have the vote has it", () => {
  for (let seed = 2001; seed <= 2040; seed += 1) {
    const options = optionsOf("ffsplit", seed);
    const world = history(options);
    const groups = settle(world, 1 + (seed % 2));
    expectSafe(world);
    const half = options.nodes / 2;
    const winners = groups.filter((group) => group.every(({ vote }) => vote === "ack"));
    const losers = groups.filter((group) => group.every(({ vote }) => vote === "nack"));
    const mayWin = groups.some((group) => group.length >= half);
    const shape = { seed, winners: winners.length, losers: losers.length };
    expect(shape).toEqual({
      seed,
      winners: mayWin ? 1 : 0,
      losers: groups.length - (mayWin ? 1 : 0),
    });
    if (winners.length > 0) expect(winners[0]!.length).toBeGreaterThanOrEqual(half);
  }
});

test("lms: when all is quiet, one partition has the vote", () => {
  for (let seed = 3001; seed <= 3040; seed += 1) {
    const world = history(optionsOf("lms", seed));
    const groups = settle(world, 1 + (seed % 3));
    expectSafe(world);
    const winners = groups.filter((group) => group.some(({ vote }) => vote === "ack"));
    expect({ seed, winners: winners.length, votes: world.summary() }).toMatchObject({
      seed,
      winners: 1,
    });
  }
});
