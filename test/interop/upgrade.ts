// Upgrades of running services (issue 4): N → N+1 → N of a vote server with two Debian nodes and their device clients, and of a node in a
// cluster of three; then versions that crash or hang, which are rolled back in time. The others' quorum is watched without a pause. One line
// a step, a closing line "N passed, N failed".
//   bun test/interop/upgrade.ts [--only vote-server|node] [--short]     (--short: without the versions that do not work)
// Without root or Debian's programs it says "skipped: …" and exits 0; with QUORATE_CI=1 that is a failure.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { thisMachine } from "../../build/executable.ts";
import { reasonOf } from "../../src/result.ts";
import { NodeClient } from "../../src/shell/api/client.ts";
import { Lab, runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { sourceProgram } from "./qnetd/server-program.ts";
import { VoteLab } from "./qnetd/vote-lab.ts";
import {
  InstalledMachine,
  makeReleases,
  newVersion,
  oldVersion,
  type Releases,
} from "./upgrade-lab.ts";
import { askToolsAgainMs, pending, ready, until } from "./wait.ts";

const startMsMax = 60_000;
const crashMsMax = 90_000;
const hangMsMax = 180_000;
const rolledBackCode = 6;

let passed = 0;
let failed = 0;

/** Of each step how long it took. */
async function step(name: string, work: () => Promise<string>): Promise<void> {
  const begun = performance.now();
  const remark = await work();
  passed += 1;
  const spent = `${((performance.now() - begun) / 1000).toFixed(1)} s`.padStart(8);
  console.log(`ok    ${name.padEnd(44)} ${spent}  ${remark}`);
}

/** Asks without a pause until it is stopped; `look` answers what is wrong, or undefined. */
class Watch {
  readonly #done: Promise<void>;
  #isOver = false;
  looks = 0;
  readonly faults: string[] = [];

  constructor(look: () => Promise<string | undefined>) {
    this.#done = this.#watch(look);
  }

  async #watch(look: () => Promise<string | undefined>): Promise<void> {
    while (!this.#isOver) {
      const fault = await look();
      this.looks += 1;
      if (fault !== undefined) this.faults.push(fault);
      await Bun.sleep(askToolsAgainMs);
    }
  }

  /** Throws when anything was ever wrong. */
  async end(): Promise<string> {
    this.#isOver = true;
    await this.#done;
    if (this.faults.length > 0) throw new Error(`${this.faults.length} times: ${this.faults[0]}`);
    return `quorum of the others held at all ${this.looks} looks`;
  }
}

/** There and back. */
async function thereAndBack(
  what: string,
  service: InstalledMachine,
  releases: Releases,
  after: (version: string) => Promise<void>,
): Promise<void> {
  for (const [words, version] of [
    [["--from", releases.new], newVersion],
    [["--from", releases.old, "--downgrade"], oldVersion],
  ] as const) {
    await step(`${what}: to ${version}`, async () => {
      const done = await service.upgrade(...words, "--healthy", "5");
      if (done.code !== 0) throw new Error(`exit ${done.code}\n${done.stdout}${done.stderr}`);
      const said = ["staged", "swapped", "probation", "kept"].filter(
        (event) => !done.stderr.includes(`quorate: ${event}: `),
      );
      if (said.length > 0) throw new Error(`not told: ${said.join(", ")}\n${done.stderr}`);
      if ((await service.version()) !== version) throw new Error(await service.version());
      await after(version);
      return "kept";
    });
  }
}

/** Versions that do not work, with the times that everybody has. */
async function rolledBack(
  what: string,
  service: InstalledMachine,
  releases: Releases,
  after: () => Promise<void>,
): Promise<void> {
  for (const [kind, msMax] of [
    ["crashing", crashMsMax],
    ["hanging", hangMsMax],
  ] as const) {
    await step(`${what}: a ${kind} version is rolled back`, async () => {
      const begun = performance.now();
      const done = await service.upgrade("--from", releases[kind]);
      const spentMs = performance.now() - begun;
      if (done.code !== rolledBackCode) {
        throw new Error(`exit ${done.code}\n${done.stdout}${done.stderr}`);
      }
      if ((await service.version()) !== oldVersion) throw new Error(await service.version());
      if (spentMs > msMax) throw new Error(`only after ${spentMs} ms`);
      await after();
      const again = await service.upgrade("--from", releases[kind]);
      if (again.code !== 1 || !again.stderr.includes("was rolled back here")) {
        throw new Error(`tried again: exit ${again.code}\n${again.stderr}`);
      }
      return /rolled back: (.*)/.exec(done.stderr)?.[1] ?? "";
    });
  }
}

async function voteServer(releases: Releases, isShort: boolean): Promise<void> {
  const program = sourceProgram();
  const votes = await VoteLab.create({
    tls: "off",
    clusters: [{ name: "upgraded", nodes: 2, algorithm: "ffsplit" }],
    server: program,
  });
  const service = new InstalledMachine(votes.server, "qnetd", releases.oldFile);
  try {
    if ((await service.service("start")) !== 0) throw new Error("the service does not start");
    await Promise.all(votes.nodes.map((node) => node.start()));
    const whole = (): Promise<void> =>
      until(
        async () => {
          const seen = await Promise.all(votes.nodes.map((node) => node.quorum()));
          const bad = seen.find(
            (one) => typeof one === "string" || !one.quorate || one.totalVotes !== 3,
          );
          return bad === undefined ? ready(undefined) : pending(JSON.stringify(bad));
        },
        startMsMax,
        "both nodes have the device's vote",
        askToolsAgainMs,
      );
    await step("vote server: two device clients connect", async () => {
      await whole();
      return "3 of 3 votes on both";
    });
    const watch = new Watch(async () => {
      for (const node of votes.nodes) {
        const seen = await node.quorum();
        if (typeof seen === "string") return seen;
        if (!seen.quorate) return `${node.machine.name} lost its quorum`;
      }
      return undefined;
    });
    await thereAndBack("vote server", service, releases, whole);
    if (!isShort) await rolledBack("vote server", service, releases, whole);
    await step("vote server: nobody lost quorum", () => watch.end());
  } catch (error) {
    console.log(serviceLog(service, "qnetd"));
    console.log(votes.logs());
    throw error;
  } finally {
    await service.service("stop");
    await votes.close();
    program.close();
  }
}

async function nodeOfThree(releases: Releases, isShort: boolean): Promise<void> {
  const lab = await Lab.create({
    kinds: ["quorate", "quorate", "quorate"],
    crypto: "none",
    tokenMs: 1000,
    quorate: [releases.oldFile],
  });
  const first = lab.node(1);
  const others = [lab.node(2), lab.node(3)];
  const client = (nodeid: number): NodeClient =>
    new NodeClient(join(lab.node(nodeid).root, "run/quorate.sock"));
  const service = new InstalledMachine(first, "node", releases.oldFile);
  /** Three members, quorate, equal trees. */
  const whole = (): Promise<void> =>
    until(
      async () => {
        const all = await Promise.all(
          [1, 2, 3].map((nodeid) =>
            client(nodeid)
              .status()
              .catch(() => undefined),
          ),
        );
        const digests = new Set(all.map((status) => status?.tree.digest));
        const isWhole = all.every(
          (status) =>
            status?.quorum.quorate === true &&
            status.ring.members.length === 3 &&
            status.tree.mode === "synced",
        );
        const seen = all.map(
          (status) =>
            `${status?.ring.state} ${status?.ring.members.join(",")} ${status?.tree.mode} ${status?.tree.digest.slice(0, 8)}`,
        );
        return isWhole && digests.size === 1 ? ready(undefined) : pending(seen.join(" | "));
      },
      startMsMax,
      "three nodes, one tree",
      askToolsAgainMs,
    );
  /** The last event is in the own status and in the log that all nodes keep. */
  const told = (event: string): Promise<string> =>
    until(
      async () => {
        const { upgrade } = await client(1).status();
        const log = new TextDecoder().decode(await client(2).read(".clusterlog"));
        const line = new RegExp(`"msg": "(upgrade ${event}: [^"]*)"`).exec(log)?.[1];
        if (upgrade?.event === event && line !== undefined) return ready(line);
        return pending(`${JSON.stringify(upgrade)}\n${log}`);
      },
      startMsMax,
      `n2's cluster log has "upgrade ${event}"`,
      askToolsAgainMs,
    );
  try {
    if ((await service.service("start")) !== 0) throw new Error("the service does not start");
    for (const other of others) other.start();
    await step("node: three nodes form a cluster", async () => {
      await whole();
      return "one tree";
    });
    let writes = 0;
    const watch = new Watch(async () => {
      for (const other of others) {
        const seen = await other.view();
        if (typeof seen === "string") return seen;
        if (!seen.quorate) return `${other.name} lost its quorum`;
      }
      // The tree is written all the time: the upgraded node has something to catch up with.
      writes += 1;
      await client(2)
        .put(`written-${writes % 20}`, new TextEncoder().encode(String(writes)))
        .catch((error: unknown) => {
          // A write that meets the ring's change may be told to look again; losing quorum is what counts here.
          if (!/EBUSY/.test(String(error))) throw error;
        });
      return undefined;
    });
    await thereAndBack("node", service, releases, whole);
    await step("node: the others read of it in the cluster log", () => told("kept"));
    if (!isShort) {
      await rolledBack("node", service, releases, whole);
      await step("node: and of the way back", () => told("rolled back"));
    }
    await step("node: nobody lost quorum", async () => `${await watch.end()}, ${writes} writes`);
    await step("node: all trees are equal at the end", async () => {
      await whole();
      return "one tree";
    });
  } catch (error) {
    console.log(serviceLog(service, "node"));
    throw error;
  } finally {
    await service.service("stop");
    await lab.close();
  }
}

function serviceLog({ machine }: InstalledMachine, role: string): string {
  try {
    const text = readFileSync(join(machine.root, `var/log/quorate-${role}.log`), "utf8");
    return text.trimEnd().split("\n").slice(-40).join("\n");
  } catch {
    return "the service has no log";
  }
}

const scenarios = { "vote-server": voteServer, node: nodeOfThree } as const;

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  const isShort = words.includes("--short");
  const only = words.includes("--only") ? words[words.indexOf("--only") + 1] : undefined;
  const chosen = Object.entries(scenarios).filter(([name]) => only === undefined || name === only);
  if (chosen.length === 0) {
    console.error("usage: upgrade.ts [--only vote-server|node] [--short]");
    return 2;
  }
  const obstacle = obstacleTo(["corosync", "corosync-qdevice", "corosync-qnetd-tool"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const directory = mkdtempSync(join(tmpdir(), "quorate-releases-"));
  try {
    const releases = await makeReleases(directory, thisMachine());
    for (const [name, scenario] of chosen) {
      try {
        await scenario(releases, isShort);
      } catch (error) {
        failed += 1;
        console.log(`FAIL  ${name}: ${reasonOf(error)}`);
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runLabs(main);
