// Shows every file of test/golden/verdicts to Debian's corosync, at start and at reload, and compares its verdicts with the recorded
// ones, which a unit test compares with ours. On machines other than the usual one our loader is asked here too: that test has machines
// of its own making. One line for each difference, then "N passed, N failed".
//   bun test/interop/verdicts.ts [--only TEXT] [--write]
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Case, goodText, type Machine, usual } from "../golden/verdicts/corpus.ts";
import {
  allCases,
  readTable,
  tablePath,
  tableText,
  type Verdict,
  type Word,
} from "../golden/verdicts/table.ts";
import { Lab, type LabNode, runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { pending, ready, until } from "./wait.ts";

/** A start mostly waits. */
const lanes = 4;
const startMsMax = 20_000;
/** After its links are configured a daemon that does not like them ends at once; with a long token the ring takes longer. */
const linkedMs = 2000;

interface Started extends Pick<Verdict, "start" | "reason"> {
  /** Undefined: not asked. */
  readonly ours?: string;
}

/** One machine that becomes any machine of the corpus. */
class Lane {
  readonly #node: LabNode;
  #machine: Machine | undefined;
  #log = "";
  #runs = 0;
  /** Runs with the good file. */
  #daemon: ReturnType<LabNode["spawn"]> | undefined;

  constructor(node: LabNode) {
    this.#node = node;
  }

  async prepare(): Promise<void> {
    const { root } = this.#node;
    writeFileSync(join(root, "resolv.conf"), "");
    writeFileSync(join(root, "nsswitch.conf"), "hosts: files\npasswd: files\ngroup: files\n");
    writeFileSync(join(root, "hosts"), "");
    await this.#must(
      ["hosts", "resolv.conf", "nsswitch.conf"]
        .map((name) => `mount --bind ${join(root, name)} /etc/${name}`)
        .join("\n"),
    );
  }

  /** "none" where the machine is not the one of the good file. */
  async reload({ text, machine }: Case): Promise<Word> {
    if (machine !== usual) return "none";
    await this.#become(machine);
    const word = await this.#reload(text);
    // Back to the good file: a daemon that does not take it any more is started anew.
    if (word !== "refused" && (await this.#reload(goodText)) !== "accepted") await this.#end();
    return word;
  }

  async start({ text, machine }: Case): Promise<Started> {
    await this.#become(machine);
    await this.#end();
    const started = await this.#start(text);
    return machine === usual ? started : { ...started, ours: await this.#ours() };
  }

  /** What our loader makes of the file that is there now. */
  async #ours(): Promise<string> {
    const program = [process.execPath, join(import.meta.dir, "own-verdict.ts")];
    const files = ["corosync.conf", "authkey"].map((name) => `/etc/corosync/${name}`);
    const asked = await this.#node.exec([...program, ...files]);
    return asked.stdout.trim() || asked.stderr;
  }

  async #must(script: string): Promise<void> {
    const done = await this.#node.exec(["sh", "-euc", script]);
    if (done.code !== 0) throw new Error(`${script}: ${done.stderr}`);
  }

  async #become(machine: Machine): Promise<void> {
    if (this.#machine === machine) return;
    await this.#end();
    this.#machine = machine;
    writeFileSync(
      join(this.#node.root, "hosts"),
      ["127.0.0.1 localhost", ...machine.hosts, ""].join("\n"),
    );
    const addresses = machine.addresses.map(
      (address) => `ip addr add ${address}/${address.includes(":") ? "64 nodad" : "24"} dev eth0`,
    );
    await this.#must(
      [`hostname ${machine.host}`, "ip addr flush dev eth0", ...addresses].join("\n"),
    );
  }

  #spawn(text: string): ReturnType<LabNode["spawn"]> {
    const { root } = this.#node;
    this.#runs += 1;
    this.#log = join(root, `log${this.#runs % 2}`);
    rmSync(this.#log, { force: true });
    writeFileSync(join(root, "etc/corosync/corosync.conf"), text, "latin1");
    return this.#node.spawn(["corosync", "-f"], this.#log);
  }

  async #isUp(daemon: ReturnType<LabNode["spawn"]>): Promise<boolean> {
    const log = this.#log;
    let linkedAt = Number.POSITIVE_INFINITY;
    return until(
      () => {
        if (daemon.exitCode !== null || daemon.signalCode !== null) return ready(false);
        const said = readFileSync(log, "latin1");
        if (said.includes("ready to provide service")) return ready(true);
        if (said.includes("Configured link number"))
          linkedAt = Math.min(linkedAt, performance.now());
        return performance.now() - linkedAt > linkedMs ? ready(true) : pending(said);
      },
      startMsMax,
      "corosync starts or refuses",
      10,
    );
  }

  async #end(): Promise<void> {
    if (this.#daemon !== undefined) await this.#kill(this.#daemon);
    this.#daemon = undefined;
  }

  /** By SIGKILL, so its shared memory stays. */
  async #kill(daemon: ReturnType<LabNode["spawn"]>): Promise<void> {
    daemon.kill("SIGKILL");
    await daemon.exited;
    await this.#must("rm -rf /dev/shm/*");
  }

  async #start(text: string): Promise<{ start: Word; reason: string }> {
    const daemon = this.#spawn(text);
    const isUp = await this.#isUp(daemon);
    if (isUp) {
      await this.#kill(daemon);
      return { start: "accepted", reason: "" };
    }
    const start = daemon.signalCode === null ? "refused" : "crashed";
    return { start, reason: reasonIn(readFileSync(this.#log, "latin1")) };
  }

  async #reload(text: string): Promise<Word> {
    if (this.#daemon === undefined) {
      this.#daemon = this.#spawn(goodText);
      if (!(await this.#isUp(this.#daemon))) throw new Error("corosync refuses the good file");
    }
    const daemon = this.#daemon;
    writeFileSync(join(this.#node.root, "etc/corosync/corosync.conf"), text, "latin1");
    const asked = await this.#node.exec(["corosync-cfgtool", "-R"]);
    if (daemon.exitCode !== null || daemon.signalCode !== null) return "crashed";
    return asked.code === 0 ? "accepted" : "refused";
  }
}

/** The sentence with which corosync refused, in ASCII; the file's place is left out. */
function reasonIn(output: string): string {
  const forms = [
    /^parser error: \S+?:\d+: (.*)$/m,
    /failed to load for reason '(.*)'$/m,
    /error {3}\[MAIN {2}\] (.*)$/m,
    /^(parse error in config: .*)$/m,
  ];
  const reason = forms.map((form) => form.exec(output)?.[1]).find((text) => text !== undefined);
  return (reason ?? "").replaceAll(/[^ -~]/g, "?");
}

async function checkAll(all: readonly Case[]): Promise<(Verdict & Started)[]> {
  const starts: Started[] = [];
  const reloads: Word[] = [];
  const [toReload, toStart] = [[...all.entries()], [...all.entries()]];
  const work = async (): Promise<void> => {
    const lab = await Lab.create({
      kinds: ["corosync"],
      crypto: "none",
      tokenMs: 1000,
      quorate: [],
    });
    const lane = new Lane(lab.node(1));
    await lane.prepare();
    // All reloads first: what is refused leaves the daemon as it was, for the next.
    for (let next = toReload.shift(); next !== undefined; next = toReload.shift()) {
      reloads[next[0]] = await lane.reload(next[1]);
    }
    for (let next = toStart.shift(); next !== undefined; next = toStart.shift()) {
      starts[next[0]] = await lane.start(next[1]);
    }
    await lab.close();
  };
  await Promise.all(Array.from({ length: lanes }, work));
  return all.map(({ name }, index) => ({
    name,
    ...(starts[index] ?? { start: "none", reason: "" }),
    reload: reloads[index] ?? "none",
  }));
}

async function main(): Promise<number> {
  const obstacle = obstacleTo(["corosync", "corosync-cfgtool"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const at = process.argv.indexOf("--only");
  const only = at < 0 ? "" : (process.argv[at + 1] ?? "");
  const verdicts = await checkAll(allCases().filter(({ name }) => name.includes(only)));
  if (process.argv.includes("--write")) {
    writeFileSync(tablePath, tableText(verdicts), "latin1");
    console.log(`${verdicts.length} passed, 0 failed`);
    return 0;
  }
  const recorded = new Map(readTable().map((verdict) => [verdict.name, verdict]));
  const differing = verdicts.filter(({ name, start, reload, ours = start }) => {
    const old = recorded.get(name);
    const isSame = old?.start === start && old.reload === reload;
    // corosync takes udpu, which is not here; a crash is a refusal.
    const isOurs = ours.startsWith(start) || start === "crashed" || ours.includes("knet only");
    return !isSame || !isOurs;
  });
  for (const verdict of differing) {
    console.log(
      `FAIL  ${JSON.stringify(verdict)}, recorded ${JSON.stringify(recorded.get(verdict.name))}`,
    );
  }
  console.log(`${verdicts.length - differing.length} passed, ${differing.length} failed`);
  return differing.length === 0 ? 0 : 1;
}

await runLabs(main);
