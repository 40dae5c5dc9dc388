// The world of a script: a simulated cluster, and maybe a vote server, that does what the commands say and prints what its nodes log.
import { SeededRandom } from "../sim/random.ts";
import { Agenda } from "../sim/agenda.ts";
import { RingChecker } from "../sim/checkers.ts";
import { Network } from "../sim/network.ts";
import { loadedSettings, simulatedSettings } from "../sim/settings.ts";
import { SimNode } from "../sim/sim-node.ts";
import { SimServer } from "../sim/sim-server.ts";
import { Streams } from "../sim/streams.ts";
import { bytesOf } from "../../src/bytes.ts";
import { present } from "../../src/assert.ts";
import { ringText } from "../../src/world.ts";

/** A command as it stands in a script: words, and settings as key=value. */
export interface Command {
  readonly name: string;
  readonly words: readonly string[];
  readonly settings: ReadonlyMap<string, string>;
}

/** Lines of these are the protocols' own; those of links and debug lines would hide them. */
const subsystems = ["TOTEM", "QUORUM", "VOTEQ", "SYNC", "CFG", "MAIN", "dcdb", "QDEVICE"];
const seed = 1;

export class ScriptWorld {
  readonly #agenda = new Agenda();
  readonly #checker = new RingChecker();
  readonly #network: Network;
  readonly #streams: Streams;
  /** By who printed them: "n1" …, "vote server", or "" for the script itself. */
  readonly #lines = new Map<string, string[]>();
  #shown: readonly string[] = subsystems;
  #withDebug = false;
  #nodes: SimNode[] = [];
  #server: SimServer | undefined;
  #conf: {
    version: number;
    key: number | undefined;
    quorum: readonly string[];
    without: readonly number[];
  } = { version: 1, key: undefined, quorum: [], without: [] };
  #writes = 0;

  constructor() {
    const agenda = this.#agenda;
    this.#network = new Network({
      agenda,
      random: new SeededRandom(seed, "network"),
      deliver: (source, target, bytes) => this.#nodes[target - 1]?.receive(source, bytes),
    });
    this.#streams = new Streams({ agenda, random: new SeededRandom(seed, "streams") });
  }

  /** Carries out one command; the lines that were printed meanwhile. Throws what is wrong with the command. */
  async run(command: Command): Promise<readonly string[]> {
    const act = present(actions[command.name], `${command.name} is a command`);
    await act(this, command);
    const printed = [...this.#lines].toSorted(([a], [b]) => a.localeCompare(b, "en"));
    this.#lines.clear();
    return printed.flatMap(([who, lines]) => lines.map((line) => `${who}  ${line}`.trim()));
  }

  /** Which subsystems are shown from now on (none named: as at first), and whether with their debug lines. */
  log(words: readonly string[]): void {
    this.#withDebug = words.includes("debug");
    const named = words.filter((word) => word !== "debug");
    this.#shown = named.length === 0 ? subsystems : named;
  }

  #print(who: string, text: string): void {
    const lines = this.#lines.get(who) ?? [];
    this.#lines.set(who, [...lines, text]);
  }

  create(count: number, quorum: readonly string[]): void {
    this.#conf = { ...this.#conf, quorum };
    const hasDevice = quorum.some((line) => line.startsWith("device"));
    this.#nodes = Array.from({ length: count }, (_, at) => {
      const nodeid = at + 1;
      const heuristics = () => ({ result: "pass", tookMs: 1 }) as const;
      return new SimNode({
        ...{ nodeid, seed, agenda: this.#agenda, network: this.#network, checker: this.#checker },
        settings: () => simulatedSettings(nodeid, { nodes: count, ...this.#conf }),
        load: (running) => loadedSettings(nodeid, { nodes: count, ...this.#conf }, running),
        ...(hasDevice
          ? { device: { host: `n${nodeid}`, streams: this.#streams, heuristics } }
          : {}),
        clockRate: 1,
        onQuorum: () => undefined,
        acknowledged: (token) => this.#print(`n${nodeid}`, `write ${token} is acknowledged`),
        forgot: () => undefined,
        trace: (id, text, line) => {
          if (line === undefined) return this.#print(`n${id}`, text);
          if (line.level === "debug" && !this.#withDebug) return;
          if (!this.#shown.includes(line.subsystem)) return;
          this.#print(`n${id}`, `${line.subsystem.padEnd(7)} ${line.text}`);
        },
      });
    });
  }

  /** Starts everything and waits for one ring; what is printed meanwhile is the matter of scripts of its own. */
  async form(): Promise<void> {
    for (const node of this.#nodes) node.start();
    const isWhole = (): boolean =>
      this.#nodes.every((node) => {
        const isSynced = node.store?.status().mode === "synced";
        return isSynced && node.member?.members.length === this.#nodes.length;
      });
    while (!isWhole()) await this.pass(100);
    // The vote of a device may come later than the ring.
    await this.pass(this.#server === undefined ? 500 : 20_000);
    this.#lines.clear();
  }

  startServer(): void {
    this.#server ??= new SimServer({
      agenda: this.#agenda,
      streams: this.#streams,
      random: new SeededRandom(seed, "server"),
      clockRate: 1,
      isWaitingAfterStart: true,
      said: (host, { vote, kind }) => {
        if (vote !== undefined) this.#print("vote server", `to ${host}: ${vote} (${kind})`);
      },
      trace: () => undefined,
    });
    this.#server.start();
  }

  stopServer(): void {
    this.#server?.kill();
  }

  each(words: readonly string[], act: (node: SimNode) => void): void {
    const named = words.length === 0 ? this.#nodes : words.map((word) => this.node(word));
    for (const node of named) act(node);
  }

  node(word: string): SimNode {
    return present(this.#nodes[Number(word) - 1], `there is a node ${word}`);
  }

  async pass(ms: number): Promise<void> {
    await this.#agenda.runUntil(this.#agenda.now + ms);
  }

  cut(sides: readonly (readonly string[])[]): void {
    for (const [at, one] of sides.entries()) {
      for (const other of sides.slice(at + 1)) {
        this.#network.partition(one.map(Number), other.map(Number));
      }
    }
  }

  heal(): void {
    this.#network.heal();
    this.#streams.healAll();
  }

  /** What is lost on its way from now on, 0 … 1. */
  loss(part: number): void {
    this.#network.weather = { ...this.#network.weather, loss: part };
  }

  write(word: string, path: string, text: string | undefined): void {
    this.#writes += 1;
    const data = bytesOf(text ?? "");
    const isTaken =
      text === undefined
        ? this.node(word).write(this.#writes, { kind: "create", path })
        : this.node(word).write(this.#writes, {
            ...{ kind: "write", path, offset: 0, data, truncate: true },
          });
    if (!isTaken) this.#print(`n${word}`, "takes no change: it is not quorate");
  }

  /** All machines get the next version of corosync.conf, and with it a new key if `withNewKey`, or a node less; the node is asked to reload. */
  reload(word: string, withNewKey: boolean, without: string | undefined): void {
    const { version, key, quorum, without: before } = this.#conf;
    this.#conf = {
      ...{ version: version + 1, key: withNewKey ? (key ?? 0) + 1 : key, quorum },
      without: without === undefined ? before : [...before, Number(without)],
    };
    this.node(word).reload();
  }

  /** One line a node: its ring, its votes, its tree. */
  show(): void {
    for (const node of this.#nodes) {
      const { member, store } = node;
      if (member === undefined || store === undefined) {
        this.#print(`n${node.nodeid}`, "is down");
        continue;
      }
      const { ring, members, quorum } = member;
      const votes = `${quorum.totalVotes} of ${quorum.expectedVotes} votes, ${quorum.quorum} needed`;
      const names = [...store.tree.children(0)].map(({ name }) => name);
      const words = [
        `ring ${ringText(ring)} {${members.join(",")}}`,
        `${votes}: ${quorum.quorate ? "quorate" : "not quorate"}`,
        `tree ${store.status().mode}: ${names.toSorted().join(" ") || "empty"}`,
      ];
      this.#print(`n${node.nodeid}`, words.join("; "));
    }
  }
}

const actions: Readonly<
  Record<string, ((world: ScriptWorld, command: Command) => void | Promise<void>) | undefined>
> = {
  cluster: (world, { words, settings }) =>
    world.create(Number(words[0]), linesOf(settings.get("quorum"))),
  start: (world, { words }) => world.each(words, (node) => node.start()),
  form: (world) => world.form(),
  stop: (world, { words }) => world.each(words, (node) => node.leave()),
  kill: (world, { words }) => world.each(words, (node) => node.crash()),
  pass: (world, { words }) => world.pass(Number(words[0]) * 1000),
  cut: (world, { words }) => world.cut(words.map((side) => side.split(","))),
  heal: (world) => world.heal(),
  loss: (world, { words }) => world.loss(Number(words[0])),
  write: (world, { words: [node = "", path = "", text] }) => world.write(node, path, text),
  send: (world, { words: [node = "", count = "1", bytes = "100"] }) => {
    for (let sent = 0; sent < Number(count); sent += 1) world.node(node).send(Number(bytes));
  },
  expected: (world, { words: [node = "", votes = ""] }) =>
    world.node(node).setExpectedVotes(Number(votes)),
  reload: (world, { words: [node = ""], settings }) =>
    world.reload(node, settings.get("key") === "new", settings.get("without")),
  server: (world, { words: [word] }) => {
    if (word === "start") world.startServer();
    else world.stopServer();
  },
  log: (world, { words }) => world.log(words),
  show: (world) => world.show(),
};

/** Lines of a section, as a script has them in one value. */
function linesOf(text: string | undefined): readonly string[] {
  return (text ?? "").split(";").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
}
