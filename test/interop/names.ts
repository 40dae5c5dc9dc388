// What a node makes of host names and addresses, beside Debian's corosync in namespaces of their own: names that /etc/hosts has with a
// DNS server that is no help, an address that comes later, and the directory of the tree that is this machine's own.
// One line each, then "N passed, N failed".
//   bun test/interop/names.ts [--only NAME] [--binary FILE]
import type { Subprocess } from "bun";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "../../src/result.ts";
import { Lab, type LabNode, runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { ringConf } from "./ring-conf.ts";
import { parseQuorumStatus } from "./tools.ts";
import { pending, ready, until } from "./wait.ts";

const formMsMax = 30_000;
/** glibc asks twice, once with the host's domain: together more than the ten to twelve seconds that Bun lets a request idle. */
const nameServerS = 7;

/** n1 is ours and started without --name; n2 is Debian's. Both find each other by names of /etc/hosts alone. */
class Trial {
  readonly lab: Lab;
  readonly quorate: readonly string[];
  #daemon: Subprocess | undefined;
  #server: Subprocess | undefined;

  constructor(lab: Lab, quorate: readonly string[]) {
    this.lab = lab;
    this.quorate = quorate;
  }

  get ours(): LabNode {
    return this.lab.node(1);
  }

  get theirs(): LabNode {
    return this.lab.node(2);
  }

  get #questionsFile(): string {
    return this.lab.file("questions");
  }

  /** `more`: lines of the node list of nodes that do not exist, by name. */
  writeConf(version: number, ...more: readonly string[]): void {
    const nodes = [...this.lab.nodes.map(({ name }) => name), ...more];
    const text = ringConf({
      crypto: "none",
      tokenMs: this.lab.options.tokenMs,
      nodes: nodes.map((name, at) => ({ name, nodeid: at + 1, address: `${name}.lab` })),
    }).replace("config_version: 1", `config_version: ${version}`);
    for (const { root } of this.lab.nodes) {
      writeFileSync(
        join(root, "etc/corosync/corosync.conf"),
        text.replace("name: n1", "name: oldname"),
      );
    }
  }

  async must(node: LabNode, ...command: string[]): Promise<void> {
    const done = await node.exec(command);
    if (done.code !== 0) throw new Error(`${node.name}: ${command.join(" ")}: ${done.stderr}`);
  }

  async hosts(): Promise<void> {
    const names = this.lab.nodes.map(({ name, address }) => `${address} ${name}.lab`);
    const files = {
      hosts: ["127.0.0.1 localhost", ...names],
      "resolv.conf": ["nameserver 127.0.0.1", `options timeout:${nameServerS} attempts:1`],
      "nsswitch.conf": ["hosts: files dns"],
    };
    for (const node of this.lab.nodes) {
      for (const [name, lines] of Object.entries(files)) {
        writeFileSync(join(node.root, name), `${lines.join("\n")}\n`);
        await this.must(node, "mount", "--bind", join(node.root, name), join("/etc", name));
      }
    }
    await this.must(this.ours, "hostname", "pve1.lab.example");
  }

  /** The name server of our node; nothing was asked yet. */
  async serveNames(mode: "silent" | "aaaa"): Promise<void> {
    this.#server?.kill("SIGKILL");
    await this.#server?.exited;
    writeFileSync(this.#questionsFile, "");
    const program = [process.execPath, join(import.meta.dir, "name-server.ts"), mode];
    this.#server = this.ours.spawn(program, this.#questionsFile);
    await until(
      () => (this.questions().includes("serving") ? ready(undefined) : pending(this.questions())),
      formMsMax,
      "the name server runs",
    );
  }

  questions(): string {
    return readFileSync(this.#questionsFile, "utf8");
  }

  async stop(): Promise<void> {
    this.#daemon?.kill("SIGTERM");
    await this.#daemon?.exited;
  }

  async restart(): Promise<void> {
    await this.stop();
    const command = [...this.quorate, "node", "--root", this.ours.root, "--no-mount", "--no-api"];
    this.#daemon = this.ours.spawn(command, this.ours.logPath);
  }

  /** Both see both; answers the ring's id. */
  async formed(): Promise<string> {
    return until(
      async () => {
        const ours = await nodeClient(this.ours.root).status().catch(reasonOf);
        const done = await this.theirs.exec(["corosync-quorumtool", "-s"]);
        const theirs = parseQuorumStatus(done.stdout);
        if (typeof ours === "string" || theirs === undefined)
          return pending(`${JSON.stringify(ours)} ${done.stderr}`);
        const isOne = ours.ring.members.length === 2 && theirs.members.length === 2;
        return isOne && ours.ring.id === theirs.ring
          ? ready(ours.ring.id)
          : pending(`${ours.ring.id} ${theirs.ring}`);
      },
      formMsMax,
      "n1 and n2 form one ring",
      100,
    );
  }
}

interface Scenario {
  readonly name: string;
  run(trial: Trial): Promise<string>;
}

async function formsWith(trial: Trial, mode: "silent" | "aaaa"): Promise<string> {
  await trial.serveNames(mode);
  await trial.restart();
  if (!trial.theirs.running) trial.theirs.start();
  const ring = await trial.formed();
  if (trial.questions().includes("asked")) throw new Error(`DNS was asked: ${trial.questions()}`);
  return `ring ${ring}, DNS was not asked`;
}

const scenarios: readonly Scenario[] = [
  {
    name: "a DNS server that has an IPv6 address for everything",
    run: (trial) => formsWith(trial, "aaaa"),
  },
  { name: "a DNS server that does not answer", run: (trial) => formsWith(trial, "silent") },
  {
    name: "the own directory follows the host name",
    async run(trial) {
      const client = nodeClient(trial.ours.root);
      const local = (await client.list("")).find(({ name }) => name === "local");
      const members: unknown = JSON.parse(new TextDecoder().decode(await client.read(".members")));
      const told = Object(members);
      if (local?.target !== "nodes/pve1") throw new Error(`local is ${local?.target}`);
      if (told.nodename !== "pve1") throw new Error(`nodename is ${told.nodename}`);
      if (told.nodelist?.oldname?.id !== 1) throw new Error("the nodelist's own name is not kept");
      return "nodes/pve1; the nodelist calls it oldname";
    },
  },
  {
    name: "a reload waits for the name server, and so does who asked",
    async run(trial) {
      const ring = await trial.formed();
      trial.writeConf(2, "nowhere");
      const asked = trial.ours.exec([...trial.quorate, "reload", "--root", trial.ours.root], {
        deadlineMs: 8 * nameServerS * 1000,
      });
      await until(
        () =>
          trial.questions().includes("asked nowhere")
            ? ready(undefined)
            : pending(trial.questions()),
        formMsMax,
        "our node asks for the unknown name",
      );
      const meanwhile = await nodeClient(trial.ours.root).status();
      const { code, stderr } = await asked;
      trial.writeConf(1);
      if (code !== 8 || !stderr.includes("failed to parse node address 'nowhere.lab'")) {
        throw new Error(`quorate reload ends with ${code}: ${stderr}`);
      }
      if (meanwhile.ring.id !== ring) throw new Error(`the ring broke: ${meanwhile.ring.id}`);
      if ((await trial.formed()) !== ring) throw new Error("the ring broke");
      return stderr.trim();
    },
  },
  {
    name: "an address that comes after the start",
    async run(trial) {
      await trial.stop();
      // Without its address it is known by its name alone.
      await trial.must(trial.ours, "hostname", "oldname");
      await trial.must(trial.ours, "ip", "addr", "flush", "dev", "eth0");
      await trial.restart();
      const client = nodeClient(trial.ours.root);
      const status = await until(
        async () => {
          const answer = await client.status().catch(reasonOf);
          return typeof answer === "string" ? pending(answer) : ready(answer);
        },
        formMsMax,
        "our node runs without its address",
      );
      const absent = status.absentAddresses?.[0];
      if (absent?.address !== trial.ours.address)
        throw new Error(`absent: ${JSON.stringify(absent)}`);
      const shown = await trial.ours.exec([...trial.quorate, "status", "--root", trial.ours.root]);
      if (!shown.stdout.includes(`Address ${trial.ours.address} port 5405/udp (link 0)`))
        throw new Error(shown.stdout);
      await trial.must(trial.ours, "ip", "addr", "add", `${trial.ours.address}/24`, "dev", "eth0");
      const ring = await trial.formed();
      const later = await client.status();
      if (later.absentAddresses !== undefined) throw new Error("status still misses the address");
      return `ring ${ring} once it was there`;
    },
  },
];

function after(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

async function main(): Promise<number> {
  const obstacle = obstacleTo(["corosync"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const quorate = quorateProgram(after("--binary"));
  const lab = await Lab.create({
    kinds: ["quorate", "corosync"],
    crypto: "none",
    tokenMs: 3000,
    quorate,
  });
  const trial = new Trial(lab, quorate);
  await trial.hosts();
  trial.writeConf(1);
  const only = after("--only");
  const count = { passed: 0, failed: 0 };
  for (const scenario of scenarios.filter(({ name }) => only === undefined || name === only)) {
    const begun = performance.now();
    const ended = (word: string, remark: string): void =>
      console.log(
        `${word.padEnd(5)} ${scenario.name.padEnd(56)} ${((performance.now() - begun) / 1000).toFixed(1)} s  ${remark}`,
      );
    try {
      ended("ok", await scenario.run(trial));
      count.passed += 1;
    } catch (error) {
      ended("FAIL", reasonOf(error));
      for (const node of lab.nodes)
        console.log(
          node
            .log()
            .split("\n")
            .slice(-12)
            .map((line) => `      ${node.name} | ${line}`)
            .join("\n"),
        );
      count.failed += 1;
    }
  }
  await trial.stop();
  await lab.close();
  console.log(`${count.passed} passed, ${count.failed} failed`);
  return count.failed === 0 ? 0 : 1;
}

await runLabs(main);
