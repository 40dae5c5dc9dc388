// What goes wrong in one seed, and when. A seed may switch a kind off altogether (engineering §9).
import type { Agenda } from "./agenda.ts";
import { calm, type Network, type Weather } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import { leavingMsMax } from "../../src/node/member/member.ts";
import type { SimNode } from "./sim-node.ts";
import { type FaultKind, scheduleKinds } from "./fault-kinds.ts";

export interface FaultOptions {
  readonly agenda: Agenda;
  readonly network: Network;
  readonly nodes: readonly SimNode[];
  readonly random: SeededRandom;
  /** Names of the kinds that happen; undefined: all. */
  readonly only?: readonly string[];
  /** Puts a new key on all machines; false when it is too early for that. */
  readonly changeKey: () => boolean;
  /** Faults begin only before this moment. */
  readonly endMs: number;
  readonly trace: (text: string) => void;
}

/** Shorter than the phases of a change take. */
const retryMs = 1;
const burstMessageBytes = 150_000;
const burstMessagesMax = 60;

const kinds: readonly FaultKind<FaultOptions>[] = [
  { name: "weather", meanMs: 15_000, begin: changeWeather },
  { name: "partition", meanMs: 20_000, begin: partition },
  { name: "one-way cut", meanMs: 40_000, begin: oneWayCut },
  { name: "crash", meanMs: 25_000, begin: crash },
  { name: "graceful stop", meanMs: 60_000, begin: gracefulStop },
  { name: "all power off", meanMs: 120_000, begin: powerOff },
  { name: "new key", meanMs: 40_000, begin: changeKey },
  { name: "burst", meanMs: 40_000, begin: burst },
  { name: "stalled disk", meanMs: 20_000, begin: stallDisks },
  { name: "power off with stalled disks", meanMs: 30_000, begin: stallAndPowerOff },
  { name: "forged refusals", meanMs: 10_000, begin: forgeRefusals },
  { name: "pause", meanMs: 20_000, begin: pause },
];

/** Schedules the faults of a run. */
export function scheduleFaults(options: FaultOptions): void {
  const { only } = options;
  scheduleKinds(
    options,
    only === undefined ? kinds : kinds.filter(({ name }) => only.includes(name)),
  );
}

/** Calm weather, no cuts, everybody up. */
export function healAll(options: FaultOptions): void {
  options.trace("all faults end");
  options.network.weather = calm;
  options.network.heal();
  for (const node of options.nodes) node.healDisk();
  const startAll = (): void => {
    for (const node of options.nodes) if (!node.running) node.start();
  };
  startAll();
  // Who was told to stop just before takes its time to leave.
  options.agenda.after(leavingMsMax + 500, startAll);
}

function changeWeather({ network, random }: FaultOptions): void {
  const bad = random.chance(0.6);
  const weather: Weather = bad
    ? {
        loss: random.chance(0.5) ? random.between(0, 0.3) : 0,
        delayMs: random.exponential(5),
        floorMs: random.between(0.05, 2),
        duplicate: random.chance(0.4) ? random.between(0, 0.5) : 0,
        reorder: random.chance(0.4) ? random.between(0, 0.3) : 0,
      }
    : calm;
  network.weather = weather;
}

/** Runs `act` later, unless the run has come to its quiet end by then (healAll has done it). */
function later(options: FaultOptions, delayMs: number, act: () => void): void {
  options.agenda.after(delayMs, () => {
    if (options.agenda.now < options.endMs) act();
  });
}

function partition(options: FaultOptions): void {
  const { network, nodes, random } = options;
  const one: number[] = [];
  const other: number[] = [];
  for (const node of nodes) (random.chance(0.5) ? one : other).push(node.nodeid);
  network.partition(one, other);
  options.trace(`cut: ${one.join(",")} | ${other.join(",")}`);
  later(options, random.exponential(10_000), () => {
    options.trace("cut heals");
    network.heal();
  });
}

function oneWayCut(options: FaultOptions): void {
  const { network, nodes, random } = options;
  const source = random.pick(nodes).nodeid;
  const target = random.pick(nodes).nodeid;
  if (source === target) return;
  network.cut(source, target);
  options.trace(`one-way cut: ${source} > ${target}`);
  later(options, random.exponential(5000), () => {
    options.trace("cuts heal");
    network.heal();
  });
}

function crash(options: FaultOptions): void {
  const node = options.random.pick(options.nodes);
  if (!node.running) return;
  if (options.random.chance(0.5)) node.kill();
  else node.crash();
  later(options, options.random.between(0, 20_000), () => {
    if (!node.running) node.start();
  });
}

function gracefulStop(options: FaultOptions): void {
  const node = options.random.pick(options.nodes);
  if (!node.running) return;
  options.trace(`node ${node.nodeid} is told to stop`);
  node.leave();
  later(options, options.random.between(5000, 20_000), () => {
    if (!node.running) node.start();
  });
}

/** The operator asks one node; who is not in its ring then hears nothing of it. A change may overtake the one before. */
function changeKey(options: FaultOptions): void {
  const { random } = options;
  const change = (): void => {
    if (!options.changeKey()) return later(options, retryMs, change);
    const node = random.pick(options.nodes);
    if (node.running) node.reload();
  };
  change();
  if (!random.chance(0.5)) return;
  const scaleMs = random.pick([10, 100, 1000]);
  const delaysMs = Array.from({ length: 1 + random.below(2) }, () => random.between(0, scaleMs));
  for (const delayMs of delaysMs) later(options, delayMs, change);
}

/** More than one process may have on its way to the ring: the rest is refused, and what the tree sends meanwhile must wait. */
function burst({ nodes, random, trace }: FaultOptions): void {
  const node = random.pick(nodes);
  let sent = 0;
  while (sent < burstMessagesMax && node.send(burstMessageBytes)) sent += 1;
  trace(`node ${node.nodeid} took ${sent} messages at once`);
}

/** One or several: what their nodes have in memory meanwhile is gone if they die. */
function stallDisks({ nodes, random }: FaultOptions): void {
  const share = random.pick([0.3, 0.6]);
  for (const node of nodes) {
    if (random.chance(share)) node.stallDisk(random.exponential(random.pick([300, 3000])));
  }
}

/** Some go on with what the others have in memory only; then all are off, and come back so slowly that a part may be quorate first. */
function stallAndPowerOff(options: FaultOptions): void {
  const { nodes, random } = options;
  for (const node of nodes) if (random.chance(0.6)) node.stallDisk(10_000);
  later(options, random.between(200, 4000), () => {
    for (const node of nodes) {
      node.crash();
      node.healDisk();
      later(options, random.between(0, 20_000), () => {
        if (!node.running) node.start();
      });
    }
  });
}

/** One node is told again and again that nobody is on the machine of another, or of any. */
function forgeRefusals(options: FaultOptions): void {
  const { agenda, nodes, random } = options;
  const victim = random.pick(nodes);
  const others = nodes.filter((node) => node !== victim);
  const named = random.chance(0.5) ? others : [random.pick(others)];
  const untilMs = agenda.now + random.exponential(2000);
  const everyMs = random.between(5, 60);
  const again = (): void => {
    if (agenda.now > untilMs || agenda.now > options.endMs) return;
    for (const { nodeid } of named) victim.forgeRefusal(nodeid);
    agenda.after(everyMs, again);
  };
  again();
}

/** A node stands still, for less than the token's timeout. */
function pause({ nodes, random, trace }: FaultOptions): void {
  const node = random.pick(nodes);
  const durationMs = Math.min(2500, random.exponential(500));
  trace(`node ${node.nodeid} stands still for ${Math.round(durationMs)} ms`);
  node.pause(durationMs);
}

function powerOff(options: FaultOptions): void {
  for (const node of options.nodes) node.crash();
  for (const node of options.nodes) {
    later(options, options.random.between(0, 5000), () => {
      if (!node.running) node.start();
    });
  }
}
