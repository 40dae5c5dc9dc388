// One seed with a vote server: one or two clusters whose nodes vote through it, faults for a while (safety: never two quorate
// halves), then peace (all are quorate together), then one last fault (the one partition that the rules promise is quorate).
import type { Message } from "../../src/qnetd/session/message.ts";
import { Agenda } from "./agenda.ts";
import { findingOf, InvariantBroken, lookEveryMs } from "./checkers.ts";
import { SeededRandom } from "./random.ts";
import { SimServer } from "./sim-server.ts";
import { Streams } from "./streams.ts";
import { countsVote, servingView, VoteChecker } from "./vote-checkers.ts";
import {
  drawRules,
  rulesText,
  voteAlgorithms,
  VoteCluster,
  type VoteAlgorithm,
} from "./vote-cluster.ts";
import { healVotes, scheduleVoteFaults, type VoteFaultOptions } from "./vote-faults.ts";
import {
  disturb,
  disturbServer,
  lastFaults,
  unkept,
  type Arrangement,
  type LastFault,
} from "./vote-promise.ts";
import type { SeedResult } from "./world.ts";

export interface VoteSeedOptions {
  readonly seed: number;
  /** Simulated milliseconds of faults; peace and the last fault take what the timers allow on top. */
  readonly faultsMs: number;
  readonly algorithm: VoteAlgorithm | "any";
  /** The server waits after its start for votes of before (VoteServerConfiguration). */
  readonly isWaitingAfterStart: boolean;
  readonly lastFault?: LastFault;
  /** Every event as it happens, for reading; the last ones are kept anyway. */
  readonly print?: (line: string) => void;
}

export interface VoteSeedResult extends SeedResult {
  readonly durationMs: number;
  readonly lastFault: LastFault;
  /** From the last fault until the promise was kept for good; 0: it never was in doubt. */
  readonly recoveryMs: number;
  /** Part of the time of faults in which a cluster had a quorate partition. */
  readonly quorateShare: number;
  /** ACKs that the server gave. */
  readonly votes: number;
}

const traceMax = 300;

export async function runVoteSeed(options: VoteSeedOptions): Promise<VoteSeedResult> {
  const world = new VoteWorld(options);
  const finding = await findingOf(() => world.run());
  return { ...world.result(), ...finding, seed: options.seed };
}

class VoteWorld {
  readonly #options: VoteSeedOptions;
  readonly #agenda = new Agenda();
  readonly #checker = new VoteChecker();
  readonly #streams: Streams;
  readonly #server: SimServer;
  readonly #clusters: VoteCluster[] = [];
  readonly #lastFault: LastFault;
  readonly #trace: string[] = [];
  readonly #looks = { all: 0, quorate: 0 };
  #recoveryMs = 0;
  #votes = 0;
  #hash = 0x811c9dc5;

  constructor(options: VoteSeedOptions) {
    this.#options = options;
    const { seed } = options;
    const setup = new SeededRandom(seed, "setup");
    const agenda = this.#agenda;
    this.#streams = new Streams({ agenda, random: new SeededRandom(seed, "streams") });
    this.#server = new SimServer({
      agenda,
      streams: this.#streams,
      random: new SeededRandom(seed, "server"),
      clockRate: setup.between(0.99, 1.01),
      isWaitingAfterStart: options.isWaitingAfterStart,
      said: (host, message) => this.#said(host, message),
      trace: (text) => this.#note("server", text),
    });
    const names = setup.chance(0.2) ? ["a", "b"] : ["a"];
    for (const name of names) {
      const algorithm =
        options.algorithm === "any" ? setup.pick(voteAlgorithms) : options.algorithm;
      const rules = drawRules(setup, algorithm);
      this.#note(name, rulesText(rules));
      const cluster = new VoteCluster({
        name,
        seed,
        rules,
        agenda,
        streams: this.#streams,
        changed: (changed) => this.#checker.changed(changed, this.#agenda.now),
        trace: (who, text) => this.#note(who, text),
      });
      this.#clusters.push(cluster);
    }
    this.#lastFault = options.lastFault ?? setup.pick(lastFaults);
  }

  async run(): Promise<void> {
    const faults: VoteFaultOptions = {
      agenda: this.#agenda,
      clusters: this.#clusters,
      streams: this.#streams,
      server: this.#server,
      random: new SeededRandom(this.#options.seed, "faults"),
      endMs: this.#options.faultsMs,
      trace: (text) => this.#note("--", text),
    };
    this.#server.start();
    const start = new SeededRandom(this.#options.seed, "start");
    for (const node of this.#clusters.flatMap(({ nodes }) => nodes)) {
      this.#agenda.after(start.between(0, 2000), () => {
        if (!node.running) node.start();
      });
    }
    this.#look();
    scheduleVoteFaults(faults);
    await this.#agenda.runUntil(this.#options.faultsMs);
    healVotes(faults);
    const settledMs = Math.max(...this.#clusters.map(({ times }) => times.settledMs));
    await this.#agenda.runUntil(this.#agenda.now + settledMs);
    this.#checkWhole();
    await this.#endWith(settledMs, faults.random);
    for (const { checker } of this.#clusters) {
      checker.checkAgreement();
      checker.checkSelfDelivery();
    }
  }

  result(): Omit<VoteSeedResult, "seed" | "ok" | "failure" | "invariant"> {
    const { all, quorate } = this.#looks;
    return {
      fingerprint: this.#hash,
      steps: this.#agenda.steps,
      deliveries: this.#clusters.reduce((sum, { checker }) => sum + checker.deliveries, 0),
      acknowledged: 0,
      trace: this.#trace,
      durationMs: this.#agenda.now,
      lastFault: this.#lastFault,
      recoveryMs: this.#recoveryMs,
      quorateShare: all === 0 ? 1 : quorate / all,
      votes: this.#votes,
    };
  }

  #note(who: string, text: string): void {
    const line = `${(this.#agenda.now / 1000).toFixed(4).padStart(9)} ${who.padEnd(6)} ${text}`;
    for (let at = 0; at < line.length; at += 1) {
      this.#hash = Math.imul(this.#hash ^ line.charCodeAt(at), 0x01000193) >>> 0;
    }
    this.#options.print?.(line);
    this.#trace.push(line);
    if (this.#trace.length > traceMax) this.#trace.shift();
  }

  #said(host: string, { vote, ring, kind }: Message): void {
    if (vote === undefined || ring === undefined) return;
    this.#note("server", `says ${vote} to ${host} for ring ${ring.rep}.${ring.seq} (${kind})`);
    if (vote !== "ack") return;
    this.#votes += 1;
    this.#checker.given(host, ring.rep, ring.seq);
  }

  /** What can only be seen from time to time: Q4, and how much of the time there is a quorate partition. */
  #look(): void {
    for (const cluster of this.#clusters) {
      this.#checker.changed(cluster, this.#agenda.now);
      this.#checker.passed(cluster, this.#agenda.now);
      if (this.#agenda.now > this.#options.faultsMs) continue;
      this.#looks.all += 1;
      const isQuorate = cluster.nodes.some((node) => servingView(node)?.quorate === true);
      if (isQuorate) this.#looks.quorate += 1;
    }
    this.#agenda.after(lookEveryMs, () => this.#look());
  }

  /** L3 in peace: everybody is quorate on one ring, and counts the vote. */
  #checkWhole(): void {
    for (const cluster of this.#clusters) {
      const states = cluster.nodes.map((node) => {
        const view = servingView(node);
        const hasVote = view !== undefined && countsVote(view, node.nodeid);
        return {
          text: `node ${node.nodeid} ${view === undefined ? "does not serve" : `ring ${view.ring.rep}.${view.ring.seq} quorate ${view.quorate}`} vote ${hasVote}`,
          good: view?.quorate === true && hasVote && view.members.length === cluster.nodes.length,
        };
      });
      if (states.every(({ good }) => good)) continue;
      const text = states.map((state) => state.text).join("; ");
      throw new InvariantBroken(
        "L3",
        `${cluster.name} in peace: ${text}; ${this.#server.reasons().join("; ")}`,
      );
    }
  }

  /** The last fault, and L3 after it. */
  async #endWith(settledMs: number, random: SeededRandom): Promise<void> {
    const fault = this.#lastFault;
    const at = this.#agenda.now;
    this.#note("--", `last fault: ${fault}`);
    const arrangements: Arrangement[] = this.#clusters.map((cluster) =>
      disturb({
        cluster,
        fault,
        streams: this.#streams,
        random,
        trace: (text) => this.#note("--", text),
      }),
    );
    disturbServer(fault, this.#server, (delayMs, act) => this.#agenda.after(delayMs, act));
    const watch = (): void => {
      if (arrangements.some((each) => unkept(each) !== undefined)) {
        this.#recoveryMs = this.#agenda.now - at;
      }
      this.#agenda.after(lookEveryMs, watch);
    };
    watch();
    await this.#agenda.runUntil(at + settledMs);
    for (const arrangement of arrangements) {
      const missing = unkept(arrangement);
      if (missing === undefined) continue;
      const after = `${arrangement.cluster.name}, ${settledMs.toFixed(0)} ms after ${fault}`;
      const why = this.#server.reasons().join("; ");
      throw new InvariantBroken("L3", `${after}: ${missing}; ${why}`);
    }
  }
}
