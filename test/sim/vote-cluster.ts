// One simulated cluster with a quorum device: its nodes, its own network, its rules, and what a seed draws of them.
import { tuningMs } from "./vote-times.ts";
import type { Agenda } from "./agenda.ts";
import { RingChecker } from "./checkers.ts";
import { Network } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { simulatedSettings } from "./settings.ts";
import { SimNode } from "./sim-node.ts";
import type { Streams } from "./streams.ts";

export const voteAlgorithms = ["ffsplit", "lms", "2nodelms"] as const;
export type VoteAlgorithm = (typeof voteAlgorithms)[number];

/** What corosync.conf says. */
export interface VoteRules {
  readonly algorithm: VoteAlgorithm;
  readonly nodes: number;
  readonly deviceVotes: number;
  /** quorum.device.timeout; every other time follows from it. */
  readonly timeoutMs: number;
  readonly tieBreaker: string;
  readonly keepsActive: boolean;
  readonly waitsForAll: boolean;
  readonly heuristics: "off" | "on" | "sync";
}

export interface VoteClusterOptions {
  readonly name: string;
  readonly seed: number;
  readonly rules: VoteRules;
  readonly agenda: Agenda;
  readonly streams: Streams;
  readonly changed: (cluster: VoteCluster) => void;
  readonly trace: (who: string, text: string) => void;
}

export class VoteCluster {
  readonly name: string;
  readonly rules: VoteRules;
  readonly network: Network;
  readonly nodes: readonly SimNode[];
  readonly checker = new RingChecker();
  readonly times: ReturnType<typeof tuningMs>;
  readonly #passes = new Map<number, boolean>();

  constructor(options: VoteClusterOptions) {
    const { name, seed, rules, agenda, streams } = options;
    this.name = name;
    this.rules = rules;
    this.times = tuningMs(rules.nodes, rules.timeoutMs);
    const clocks = new SeededRandom(seed, `${name} clocks`);
    const commands = new SeededRandom(seed, `${name} commands`);
    this.network = new Network({
      agenda,
      random: new SeededRandom(seed, `${name} network`),
      deliver: (source, target, bytes) => this.nodes[target - 1]?.receive(source, bytes),
      isRefusing: (target) => this.nodes[target - 1]?.isRefusing === true,
    });
    this.nodes = Array.from({ length: rules.nodes }, (_, at) => {
      const nodeid = at + 1;
      return new SimNode({
        nodeid,
        seed,
        agenda,
        network: this.network,
        checker: this.checker,
        settings: () =>
          simulatedSettings(nodeid, {
            nodes: rules.nodes,
            quorum: quorumLines(rules),
            clusterName: name,
          }),
        device: {
          host: this.host(nodeid),
          streams,
          heuristics: () => ({
            result: this.#passes.get(nodeid) === false ? "fail" : "pass",
            tookMs: commands.chance(0.05) ? rules.timeoutMs * 2 : commands.exponential(100),
          }),
        },
        clockRate: clocks.between(0.99, 1.01),
        onQuorum: () => options.changed(this),
        acknowledged: () => {},
        forgot: () => {},
        trace: (id, text) => options.trace(this.host(id), text),
      });
    });
  }

  /** The address of a node in the network of the vote server. */
  host(nodeid: number): string {
    return `${this.name}${nodeid}`;
  }

  setHeuristics(nodeid: number, passes: boolean): void {
    this.#passes.set(nodeid, passes);
  }
}

function quorumLines(rules: VoteRules): readonly string[] {
  return [
    ...(rules.waitsForAll ? ["wait_for_all: 1"] : []),
    "device {",
    "model: net",
    `votes: ${rules.deviceVotes}`,
    `timeout: ${rules.timeoutMs}`,
    `sync_timeout: ${rules.timeoutMs * 3}`,
    "net {",
    "host: vote-server",
    "tls: off",
    `algorithm: ${rules.algorithm}`,
    `tie_breaker: ${rules.tieBreaker}`,
    `keep_active_partition_tie_breaker: ${rules.keepsActive ? "on" : "off"}`,
    "}",
    "heuristics {",
    `mode: ${rules.heuristics}`,
    "exec_reachable: /bin/reachable",
    "}",
    "}",
  ];
}

export function drawRules(random: SeededRandom, algorithm: VoteAlgorithm): VoteRules {
  const nodes = { ffsplit: [2, 2, 4], lms: [3, 3, 5], "2nodelms": [2] }[algorithm];
  const count = random.pick(nodes);
  return {
    algorithm,
    nodes: count,
    deviceVotes: algorithm === "lms" ? count - 1 : 1,
    timeoutMs: random.pick([2500, 5000, 10_000]),
    tieBreaker: random.pick(["lowest", "highest", String(1 + random.below(count))]),
    keepsActive: random.chance(0.6),
    waitsForAll: algorithm === "lms" && random.chance(0.25),
    heuristics: random.pick(["off", "off", "on", "sync"]),
  };
}

export function rulesText(rules: VoteRules): string {
  const { algorithm, nodes, tieBreaker, timeoutMs, heuristics } = rules;
  const words = [
    ...(rules.keepsActive ? ["keep active"] : []),
    ...(rules.waitsForAll ? ["wait for all"] : []),
    ...(heuristics === "off" ? [] : [`heuristics ${heuristics}`]),
  ];
  return `${algorithm}, ${nodes} nodes, ${timeoutMs} ms, tie-breaker ${tieBreaker} ${words.join(", ")}`;
}
