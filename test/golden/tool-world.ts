// The world in which the recordings of corosync's tools are reproduced: simulated nodes n1 … n4 at 10.96.0.1 … 4 with the production hosts, and
// the tools' own code against each node's own API, in virtual time.
import { Hono } from "hono";
import { present } from "../../src/assert.ts";
import type { NodeSettings } from "../../src/node/settings/settings.ts";
import type { Cluster } from "../../src/node/thread/cluster.ts";
import { NodeClient } from "../../src/shell/api/client.ts";
import { answerFaults } from "../../src/shell/api/refusal.ts";
import { ringReport } from "../../src/shell/api/ring-report.ts";
import { ringRoutes } from "../../src/shell/api/ring-routes.ts";
import { MapClient } from "../../src/shell/api/cmap-client.ts";
import { mapRoutes } from "../../src/shell/api/cmap-routes.ts";
import { ConfigurationMap } from "../../src/shell/cmap/configuration-map.ts";
import { cmapctl } from "../../src/shell/tool/cmapctl.ts";
import { cfgTool } from "../../src/shell/tool/cfgtool.ts";
import type { NodeToolOptions } from "../../src/shell/tool/node-tool.ts";
import { quorumTool } from "../../src/shell/tool/quorumtool.ts";
import { Agenda } from "../sim/agenda.ts";
import { RingChecker } from "../sim/checkers.ts";
import { Network } from "../sim/network.ts";
import { SeededRandom } from "../sim/random.ts";
import { settingsOfText } from "../sim/settings.ts";
import { SimNode } from "../sim/sim-node.ts";
import { isActing, normalised, type ToolRow, toolRows } from "./tool-rows.ts";

/** By the names in INDEX.tsv. */
export const programs: Readonly<
  Record<string, ((options: NodeToolOptions) => Promise<number>) | undefined>
> = {
  "corosync-quorumtool": quorumTool,
  "corosync-cfgtool": cfgTool,
  "corosync-cmapctl": (options) =>
    cmapctl({
      ...options,
      map: new MapClient(options.node),
      readFile: () => Promise.reject(new Error("no recording reads a file")),
      untilQuit: () => Promise.resolve(),
    }),
};

export interface Printed {
  readonly row: ToolRow;
  readonly code: number;
  /** Normalised, standard error first. */
  readonly text: string;
  /** Standard output as it was. */
  readonly output: string;
}

export interface Called {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

export interface ToolConf {
  readonly nodes: number;
  /** Of each node; default 1. */
  readonly links?: number;
  /** Lines of quorum{}; default: votequorum and nothing else. */
  readonly quorum?: readonly string[];
  readonly version?: number;
  readonly isEncrypted?: boolean;
  readonly isUnreadable?: boolean;
  /** logging.debug is on. */
  readonly isVerbose?: boolean;
  /** corosync.conf gives no names. */
  readonly isNameless?: boolean;
}

const seed = 1;
/** Of the namespaces in which the recordings were made. */
const mtu = 65_000;
const devicePollMs = 2000;

const addressOf = (nodeid: number, link: number): string => `10.96.${link}.${nodeid}`;

export class ToolWorld {
  /** What every row that was run has printed. */
  readonly printed: Printed[] = [];
  readonly #maps = new WeakMap<Cluster, ConfigurationMap>();
  readonly #agenda = new Agenda();
  readonly #network: Network;
  readonly #nodes: readonly SimNode[];
  readonly #lines = new Map<number, string[]>();
  /** By node, what its files say. */
  readonly #confs: ToolConf[];

  constructor(conf: ToolConf, machines = conf.nodes) {
    const agenda = this.#agenda;
    const checker = new RingChecker();
    this.#confs = Array.from({ length: machines }, () => conf);
    this.#network = new Network({
      agenda,
      random: new SeededRandom(seed, "network"),
      deliver: (source, target, bytes, link) =>
        this.#nodes[target - 1]?.receive(source, bytes, link),
    });
    this.#nodes = this.#confs.map((_, at) => {
      const nodeid = at + 1;
      const ignored = (): void => undefined;
      return new SimNode({
        ...{ nodeid, seed, agenda, network: this.#network, checker, clockRate: 1 },
        ...{ onQuorum: ignored, acknowledged: ignored, forgot: ignored },
        trace: (id, text) => void this.lines(id).push(text),
        interfaces: { addressOf, mtu },
        settings: () => settingsOf(nodeid, this.#conf(nodeid)),
        load: () => {
          const now = this.#conf(nodeid);
          if (now.isUnreadable === true) return { ok: false, reason: "Missing closing brace" };
          return { ok: true, value: settingsOf(nodeid, now) };
        },
      });
    });
  }

  #conf(nodeid: number): ToolConf {
    return present(this.#confs[nodeid - 1], `node ${nodeid} has a corosync.conf`);
  }

  node(nodeid: number): SimNode {
    return present(this.#nodes[nodeid - 1], `there is a node ${nodeid}`);
  }

  /** Changes the corosync.conf of some nodes, of all unless said otherwise. */
  edit(change: Partial<ToolConf>, nodeids = this.#nodes.map(({ nodeid }) => nodeid)): void {
    for (const nodeid of nodeids) {
      this.#confs[nodeid - 1] = { ...this.#conf(nodeid), ...change };
    }
  }

  /** What a node has logged, and how it began and ended. */
  lines(nodeid: number): string[] {
    const lines = this.#lines.get(nodeid) ?? [];
    this.#lines.set(nodeid, lines);
    return lines;
  }

  async pass(seconds: number): Promise<void> {
    await this.#agenda.runUntil(this.#agenda.now + seconds * 1000);
  }

  /** Starts nodes and waits until those that run are in one ring, their paths measured. */
  async start(...nodeids: readonly number[]): Promise<void> {
    for (const nodeid of nodeids) {
      this.node(nodeid).start();
      this.#map(this.node(nodeid).cluster);
    }
    const running = this.#nodes.filter((node) => node.running);
    const isWhole = (): boolean =>
      running.every(({ member }) => member?.quorum.members.length === running.length);
    for (let waitedS = 0; !isWhole(); waitedS += 1) {
      if (waitedS > 60) throw new Error("the nodes form no ring");
      await this.pass(1);
    }
    await this.pass(5);
  }

  /** Nodes die without a word; the others notice. */
  async kill(...nodeids: readonly number[]): Promise<void> {
    for (const nodeid of nodeids) this.node(nodeid).crash();
    await this.pass(15);
  }

  async leave(nodeid: number): Promise<void> {
    this.node(nodeid).leave();
    await this.pass(15);
  }

  async cut(one: readonly number[], other: readonly number[]): Promise<void> {
    this.#network.partition(one, other);
    await this.pass(15);
  }

  async cutLink(nodeid: number, link: number): Promise<void> {
    this.#network.cutLink(nodeid, link);
    await this.pass(15);
  }

  async heal(): Promise<void> {
    this.#network.heal();
    await this.pass(15);
  }

  /** A client of votequorum in the place of corosync-qdevice, under the name that the recordings have. */
  device(nodeid: number): TestDevice {
    return new TestDevice(this.#agenda, this.node(nodeid));
  }

  /** Every row of a situation that only looks. */
  async look(situation: string): Promise<void> {
    const rows = toolRows.filter((row) => row.situation === situation && !isActing(row));
    if (rows.length === 0) throw new Error(`no recording looks at ${situation}`);
    for (const row of rows) await this.#run(row);
  }

  /** One row, by the name of its file without ".txt". False: its program is not answered for yet. */
  async act(name: string): Promise<boolean> {
    const file = `${name}.txt`;
    const row = toolRows.find((one) => one.file === file);
    return this.#run(present(row, `${file} is in INDEX.tsv`));
  }

  async #run(row: ToolRow): Promise<boolean> {
    if (programs[row.program] === undefined) return false;
    const { code, output, errors } = await this.call(row.program, row.nodeid, row.args);
    this.printed.push({ row, code, text: normalised(row.program, errors + output), output });
    return true;
  }

  /** One call of a tool on a node, undefined: where none is. `again`: before a monitoring tool looks again. */
  async call(
    program: string,
    nodeid: number | undefined,
    args: readonly string[],
    again: () => Promise<boolean> = async () => false,
  ): Promise<Called> {
    const tool = present(programs[program], `${program} is a tool of ours`);
    let output = "";
    let errors = "";
    const running = tool({
      args,
      node: this.client(nodeid),
      write: (text) => void (output += text),
      writeError: (text) => void (errors += text),
      now: () => new Date(2026, 10, 1, 9, 5, 7),
      hostName: async (address) => (address.endsWith(".2") ? "two.example" : ""),
      again,
    });
    const code = await this.finished(running);
    return { code, output, errors };
  }

  /** Lets virtual time go on only as far as the answer needs it. */
  async finished<T>(promise: Promise<T>): Promise<T> {
    const state = { isOver: false };
    const over = (): void => void (state.isOver = true);
    promise.then(over, over);
    for (let rounds = 0; !state.isOver; rounds += 1) {
      if (rounds > 100_000) throw new Error("no answer");
      await new Promise(setImmediate);
      if (!state.isOver) await this.pass(0.001);
    }
    // What a route does after its answer.
    await new Promise(setImmediate);
    return promise;
  }

  /** One for each life of a node. */
  #map(cluster: Cluster | undefined): ConfigurationMap | undefined {
    if (cluster === undefined) return undefined;
    const known = this.#maps.get(cluster) ?? new ConfigurationMap(cluster, () => 0);
    this.#maps.set(cluster, known);
    return known;
  }

  /** Of a node as its own API answers; a node that is down, or none at all, has no socket. */
  client(nodeid: number | undefined): NodeClient {
    const node = nodeid === undefined ? undefined : this.node(nodeid);
    const cluster = node?.cluster;
    if (node === undefined || cluster === undefined) {
      return new NodeClient("/nonexistent/quorate.sock");
    }
    const app = new Hono();
    answerFaults(app);
    ringRoutes(app, {
      ring: async () => ringReport(cluster.settings, await cluster.snapshot()),
      setExpectedVotes: (votes) => cluster.setExpectedVotes(votes),
      setVotes: (id, votes) => cluster.setVotes(id, votes),
      cancelWaitForAll: () => cluster.cancelWaitForAll(),
      stopDevice: () => cluster.stopDevice(),
      killNode: (id, reason) => cluster.killNode(id, reason),
      reload: () => cluster.reload(),
      shutdown: () => node.leave(),
    });
    mapRoutes(app, { map: this.#map(cluster), groups: async () => [] });
    const carry = async (url: string, init: RequestInit) => app.request(url, init);
    return new NodeClient("/nonexistent/quorate.sock", 60_000, carry);
  }
}

/** Stands for a quorum device's daemon: registers, and polls as long as it is told to. */
class TestDevice {
  readonly #agenda: Agenda;
  readonly #node: SimNode;
  #castsVote: boolean | undefined;

  constructor(agenda: Agenda, node: SimNode) {
    this.#agenda = agenda;
    this.#node = node;
    this.#poll();
  }

  register(): void {
    this.#node.askAsDevice({ kind: "register", name: "SvDev" });
  }

  unregister(): void {
    this.#castsVote = undefined;
    this.#node.askAsDevice({ kind: "unregister", name: "SvDev" });
  }

  masterWins(): void {
    this.#node.askAsDevice({ kind: "masterWins", name: "SvDev", isAllowed: true });
  }

  /** Casts the vote or not from now on, at each poll; undefined: polls no more. */
  vote(castsVote: boolean | undefined): void {
    this.#castsVote = castsVote;
    this.#ask();
  }

  #poll(): void {
    this.#ask();
    this.#agenda.after(devicePollMs, () => this.#poll());
  }

  #ask(): void {
    const ring = this.#node.member?.ring;
    if (ring === undefined || this.#castsVote === undefined) return;
    const castsVote = this.#castsVote;
    this.#node.askAsDevice({ kind: "poll", name: "SvDev", ring, castsVote });
  }
}

function settingsOf(nodeid: number, conf: ToolConf): NodeSettings {
  const { nodes, links = 1, version = 1, isEncrypted = false } = conf;
  const { isVerbose = false, isNameless = false } = conf;
  const { quorum = ["provider: corosync_votequorum"] } = conf;
  const ids = Array.from({ length: nodes }, (_, at) => at + 1);
  const numbers = Array.from({ length: links }, (_, link) => link);
  const text = [
    "totem {",
    "version: 2",
    "cluster_name: svlab",
    `config_version: ${version}`,
    "transport: knet",
    `crypto_cipher: ${isEncrypted ? "aes256" : "none"}`,
    `crypto_hash: ${isEncrypted ? "sha256" : "none"}`,
    ...(links === 1 ? [] : numbers.flatMap(interfaceLines)),
    "}",
    ...["logging {", "to_syslog: no", "to_stderr: yes", "timestamp: hires"],
    ...[`debug: ${isVerbose ? "on" : "off"}`, "}"],
    ...["quorum {", ...quorum, "}"],
    "nodelist {",
    ...ids.flatMap((id) => [
      ...["node {", ...(isNameless ? [] : [`name: n${id}`]), `nodeid: ${id}`, "quorum_votes: 1"],
      ...numbers.map((link) => `ring${link}_addr: ${addressOf(id, link)}`),
      "}",
    ]),
    "}",
  ].join("\n");
  const settings = settingsOfText(text, {
    nodeid,
    addresses: ids.flatMap((id) => numbers.map((link) => addressOf(id, link))),
    own: numbers.map((link) => addressOf(nodeid, link)),
    key: new Uint8Array(128).fill(1),
  });
  const { device } = settings.quorum;
  if (device === undefined) return settings;
  // The device's daemon was not run for the recordings: a client of our own must not start either.
  return {
    ...settings,
    quorum: { ...settings.quorum, device: { ...device, model: "in the hands of TestDevice" } },
  };
}

function interfaceLines(link: number): readonly string[] {
  return ["interface {", `linknumber: ${link}`, `knet_link_priority: ${link === 0 ? 10 : 5}`, "}"];
}
