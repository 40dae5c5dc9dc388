// corosync's own tools on a Debian node and ours on a quorate node in one ring (services.md §7): the same text but for what is local, each
// changes what the other shows, each ends the other's node. One line each, then "N passed, N failed".
//   bun test/interop/mixed-tools.ts [--binary FILE]
import { reasonOf } from "../../src/result.ts";
import { type Finished, Lab, type LabNode, runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { quorateProgram } from "./quorate.ts";
import { pending, ready, until } from "./wait.ts";

const settleMsMax = 40_000;
const tokenMs = 1000;
const toolMsMax = 20_000;
const askAgainMs = 300;

class Trial {
  readonly lab: Lab;
  readonly #quorate: readonly string[];

  constructor(lab: Lab, quorate: readonly string[]) {
    this.lab = lab;
    this.#quorate = quorate;
  }

  get debian(): LabNode {
    return this.lab.node(1);
  }
  get ours(): LabNode {
    return this.lab.node(2);
  }
  /** Debian's too, where the tools do not run. */
  get third(): LabNode {
    return this.lab.node(3);
  }

  /** A tool by its name, as that node has it. */
  call(node: LabNode, words: string): Promise<Finished> {
    const [tool = "", ...args] = words.split(" ");
    if (node.kind === "corosync") return node.exec([tool, ...args], { deadlineMs: toolMsMax });
    // Ours answer to the name that they are called by.
    const called = ["bash", "-c", 'exec -a "$0" "$@"', tool, ...this.#quorate, ...args];
    return node.exec(called, { deadlineMs: toolMsMax });
  }

  /** Waits until both say the same to each, with the same exit code; answers ours of the last. */
  async agree(...calls: readonly string[]): Promise<string> {
    let text = "";
    for (const words of calls) {
      text = await until(
        async () => {
          const theirs = await this.call(this.debian, words);
          const ours = await this.call(this.ours, words);
          const [a, b] = [common(theirs, this.debian), common(ours, this.ours)];
          if (a === b) return ready(a);
          return pending(`\n${a}\n-- ours\n${b}`);
        },
        settleMsMax,
        `${words} says the same on both`,
        askAgainMs,
      );
    }
    return text;
  }

  /** Ours shows `pattern`, and Debian's the same text. */
  async show(pattern: RegExp, words = "corosync-quorumtool -s"): Promise<void> {
    await until(
      async () => {
        const { stdout } = await this.call(this.ours, words);
        return pattern.test(stdout) ? ready(undefined) : pending(stdout);
      },
      settleMsMax,
      `${words} shows ${String(pattern)}`,
      askAgainMs,
    );
    await this.agree(words);
  }

  async must(node: LabNode, words: string, output = ""): Promise<void> {
    const { code, stdout, stderr } = await this.call(node, words);
    if (code === 0 && stdout === output && stderr === "") return;
    throw new Error(`${words} on ${node.name}: ${code}, ${stdout}${stderr}`);
  }

  async ended(node: LabNode): Promise<void> {
    await until(
      () => (node.running ? pending("it runs") : ready(undefined)),
      settleMsMax,
      `${node.name} ends`,
    );
  }
}

/** What does not depend on where the tool runs, and its exit code. */
function common({ code, stdout, stderr }: Finished, { nodeid, address }: LabNode): string {
  const own = address.replaceAll(".", "\\.");
  const text = stdout
    .replace(/^Date: .*$/m, "Date")
    .replace(/^(Node ID: +|Local node ID )(?:0x0*)?(\d+)/m, (_all, title: string, id: string) =>
      Number(id) === nodeid ? `${title}<own>` : `${title}${id}`,
    )
    .replace(/ \(local\)$/gm, "")
    .replace(/\tlocalhost$/m, "\tconnected")
    .replace(/(status\t= \d*)n/, "$13")
    .replace(new RegExp(`(addr\\t= )${own}$`, "m"), "$1<own>")
    .replaceAll(new RegExp(`\\(${own}->`, "g"), "(<own>->");
  // Each lists the other where the other lists it: what both see of the third is left.
  const others = text.replaceAll(/^nodeid: [12] reachable\n(?: {3}LINK: .*\n)+\n/gm, "");
  return `${others}${stderr}exit ${code}`;
}

interface Scenario {
  readonly name: string;
  readonly run: (trial: Trial) => Promise<void>;
}

const quorum = (...args: readonly string[]) => args.map((words) => `corosync-quorumtool ${words}`);
const cfg = (...args: readonly string[]) => args.map((words) => `corosync-cfgtool ${words}`);

const scenarios: readonly Scenario[] = [
  {
    name: "three members",
    async run(trial) {
      await trial.show(/^Nodes: +3$/m);
      await trial.agree(
        // The first as pvecm asks it.
        ...quorum("-siH", "-i", "-l -a", "-s -p", "-lon", "-e 9", "-v 1 -n 9"),
        ...cfg("-s", "-s -b", "-n", "-a 1", "-a 9", "-k 9", "-L"),
      );
    },
  },
  {
    name: "ours changes votes, Debian's shows them, and back",
    async run(trial) {
      await trial.must(trial.ours, "corosync-quorumtool -e 5");
      await trial.show(/^Expected votes: +5$/m);
      await trial.must(trial.debian, "corosync-quorumtool -e 3");
      await trial.show(/^Expected votes: +3$/m);
      await trial.must(trial.ours, "corosync-quorumtool -v 2 -n 1");
      await trial.show(/^Total votes: +4$/m);
      await trial.must(trial.debian, "corosync-quorumtool -v 1 -n 1");
      await trial.show(/^Total votes: +3$/m);
      // Four votes were expected for a moment: with that, two nodes would not be quorate, and who joins them would expect three.
      await trial.must(trial.ours, "corosync-quorumtool -e 3");
      await trial.show(/^Expected votes: +3$/m);
    },
  },
  {
    name: "ours ends a node of Debian's",
    async run(trial) {
      await trial.must(trial.ours, "corosync-cfgtool -k 3", "Killing node 3\n");
      await trial.ended(trial.third);
      if (!trial.third.log().includes("Killed by node 2 : Killed by corosync-cfgtool")) {
        throw new Error(`n3 does not say why it ended: ${trial.third.log().slice(-500)}`);
      }
      await trial.show(/^Nodes: +2$/m);
      await trial.show(/nodeid: +3:\tdisconnected/, "corosync-cfgtool -s");
      await trial.agree(...quorum("-l"), ...cfg("-s -b", "-n", "-k 3"));
    },
  },
  {
    name: "Debian's ends ours",
    async run(trial) {
      trial.third.start();
      await trial.show(/^Nodes: +3$/m);
      await trial.must(trial.debian, "corosync-cfgtool -k 2", "Killing node 2\n");
      await trial.ended(trial.ours);
      if (!trial.ours.log().includes("Killed by node 1 : Killed by corosync-cfgtool")) {
        throw new Error(`n2 does not say why it ended: ${trial.ours.log().slice(-500)}`);
      }
      await trial.agree(...quorum("-V", "-h")); // Of what is there without a daemon.
      const words = "corosync-cfgtool -s";
      const { code, stderr } = await trial.call(trial.ours, words);
      if (code !== 1 || stderr !== "Could not initialize corosync configuration API error 2\n") {
        throw new Error(`${words} without a node: ${code} ${stderr}`);
      }
    },
  },
  {
    name: "ours shuts its node down",
    async run(trial) {
      trial.ours.start();
      await trial.show(/^Nodes: +3$/m);
      const heard = trial.debian.logFromHere();
      await trial.must(trial.ours, "corosync-cfgtool -H", "Shutting down corosync\n");
      await trial.ended(trial.ours);
      await until(
        () => (/Node 2 was shut down by sysadmin/.test(heard()) ? ready(0) : pending(heard())),
        settleMsMax,
        "Debian's node hears of the shutdown",
      );
    },
  },
];

function after(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

async function main(): Promise<number> {
  const obstacle = obstacleTo(["corosync", "bash"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const quorate = quorateProgram(after("--binary"));
  const kinds = ["corosync", "quorate", "corosync"] as const;
  const lab = await Lab.create({ kinds, crypto: "aes", tokenMs, quorate });
  lab.startAll();
  const trial = new Trial(lab, quorate);
  let passed = 0;
  let failed = 0;
  for (const { name, run } of scenarios) {
    const begun = performance.now();
    const label = name.padEnd(52);
    try {
      await run(trial);
      passed += 1;
      console.log(`ok    ${label} ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${label} ${reasonOf(error)}`);
      break; // The next begins where this one ends.
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runLabs(main);
