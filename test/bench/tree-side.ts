// Three nodes with their trees mounted, each in namespaces of its own, aes256/sha256: ours, or corosync with a pmxcfs given by path. What both offer
// alike to the bench: a directory for writers, processes to look at, and whether a change has reached all nodes.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { present } from "../../src/assert.ts";
import { reasonOf } from "../../src/result.ts";
import { Lab, type LabNode, showLogs } from "../interop/lab.ts";
import { areWritable, nodeClient } from "../interop/quorate.ts";
import { pending, type Progress, ready, until } from "../interop/wait.ts";
import {
  bytesToDisk,
  residentBytes,
  type ThreadTimes,
  threadTimes,
  together,
} from "./processor.ts";

const openMsMax = 60_000;
const arrivalMsMax = 60_000;

interface Machine {
  readonly node: LabNode;
  /** The mount, as it is reached from outside the node's namespaces. */
  readonly mount: string;
  /** By what they are called; the one that keeps the tree first. */
  readonly processes: readonly (readonly [name: string, pid: number])[];
}

export class TreeSide {
  readonly name: "quorate" | "original";
  readonly #lab: Lab;
  readonly #machines: readonly Machine[];
  readonly #tokens: () => Promise<number>;

  private constructor(
    name: TreeSide["name"],
    lab: Lab,
    machines: readonly Machine[],
    tokens: () => Promise<number>,
  ) {
    this.name = name;
    this.#lab = lab;
    this.#machines = machines;
    this.#tokens = tokens;
  }

  /** `program`: the words that start quorate; `more`: of the node's command line. */
  static async quorate(
    program: readonly string[],
    more: readonly string[] = [],
  ): Promise<TreeSide> {
    const lab = await Lab.create({
      ...{ kinds: ["quorate", "quorate", "quorate"], crypto: "aes", tokenMs: 3000 },
      quorate: program,
    });
    const machines = lab.nodes.map((node) => {
      const { root, name } = node;
      mkdirSync(`${root}/etc/pve`, { recursive: true });
      const words = [...program, "node", "--root", root, "--name", name, "--no-api", ...more];
      const { pid } = node.spawn(words, node.logPath);
      const mount = `/proc/${pid}/root${root}/etc/pve`;
      return { node, mount, processes: [["quorate", pid] as const] };
    });
    await opened(lab, () => areWritable(lab.nodes), "three nodes quorate, their trees writable");
    const first = present(lab.nodes[0], "there is a first node");
    const tokens = async (): Promise<number> =>
      (await nodeClient(first.root).ring()).ring.counters.tokensReceived;
    return new TreeSide("quorate", lab, machines, tokens);
  }

  /** `pmxcfs`: the original's executable. */
  static async original(pmxcfs: string): Promise<TreeSide> {
    const lab = await Lab.create({
      ...{ kinds: ["corosync", "corosync", "corosync"], crypto: "aes", tokenMs: 3000, quorate: [] },
    });
    lab.startAll();
    const hosts = lab.nodes.map(({ address, name }) => `${address} ${name}\n`).join("");
    const machines: Machine[] = [];
    for (const node of lab.nodes) {
      const upper = `${node.root}/upper`;
      for (const place of ["pve", "corosync"]) mkdirSync(`${upper}/${place}`, { recursive: true });
      mkdirSync(`${node.root}/work`);
      writeFileSync(`${upper}/hosts`, `127.0.0.1 localhost\n${hosts}`);
      // It waits for corosync by itself.
      const { pid } = node.spawn(["sh", "-c", originalScript, pmxcfs, node.root], node.logPath);
      const corosync = present(node.pid, `${node.name} runs corosync`);
      const processes = [["pmxcfs", pid] as const, ["corosync", corosync] as const];
      machines.push({ node, mount: `/proc/${pid}/root/etc/pve`, processes });
    }
    await opened(lab, () => areMounted(machines), "three pmxcfs mounted and quorate");
    const first = present(lab.nodes[0], "there is a first node");
    const tokens = async (): Promise<number> => {
      const key = "stats.srp.orf_token_rx";
      const { stdout } = await first.exec(["corosync-cmapctl", "-m", "stats", "-g", key]);
      return Number(/= (\d+)/.exec(stdout)?.[1] ?? Number.NaN);
    };
    const side = new TreeSide("original", lab, machines, tokens);
    await side.#becomesWritable();
    return side;
  }

  /** Of the first node, where everything is written. */
  get mount(): string {
    return this.#at(0).mount;
  }

  /** Of all nodes, in their order. */
  get mounts(): readonly string[] {
    return this.#machines.map(({ mount }) => mount);
  }

  /** Visits of the token at the first node. */
  tokens(): Promise<number> {
    return this.#tokens();
  }

  /** Of all nodes; the two that only follow as one. */
  times(): ThreadTimes {
    const all = this.#machines.flatMap(({ processes }, index) =>
      processes.map(([name, pid]) =>
        threadTimes(`${index === 0 ? "writer's" : "followers'"} ${name}`, pid),
      ),
    );
    return together(all);
  }

  /** Bytes that all processes of the second node have sent to its disk. */
  followerDiskBytes(): number {
    return this.#at(1).processes.reduce((sum, [, pid]) => sum + bytesToDisk(pid), 0);
  }

  /** Resident memory of the processes of the second node, bytes. */
  followerResidentBytes(): number {
    return this.#at(1).processes.reduce((sum, [, pid]) => sum + residentBytes(pid), 0);
  }

  /** Until a file of the first node is, or is no more, on all others: they have executed all before it too. */
  async arrived(name: string, isThere: boolean): Promise<void> {
    const late = (): Progress<void> => {
      const missing = this.#machines.filter(
        ({ mount }) => existsSync(`${mount}/${name}`) !== isThere,
      );
      if (missing.length === 0) return ready(undefined);
      return pending(`not on ${missing.map(({ node }) => node.name).join(", ")}`);
    };
    await until(late, arrivalMsMax, `${name} ${isThere ? "is" : "is no more"} on all nodes`);
  }

  /** A tree that is still being synchronised takes no changes. */
  async #becomesWritable(): Promise<void> {
    const place = `${this.mount}/bench`;
    const make = (): Progress<void> => {
      try {
        mkdirSync(place);
        return ready(undefined);
      } catch (error) {
        return pending(reasonOf(error));
      }
    };
    await until(make, openMsMax, "the tree takes a change");
    await this.arrived("bench", true);
    rmdirSync(place);
    await this.arrived("bench", false);
  }

  async close(): Promise<void> {
    // A mount whose server is killed stays; the namespaces take theirs along.
    await this.#lab.close();
  }

  #at(index: number): Machine {
    return present(this.#machines[index], "there are three nodes");
  }
}

/** Its own view of /etc, where nothing of the machine is changed: a directory for the mount, and the nodes' names. */
const originalScript = `exec unshare -m sh -c '
set -eu
mount --make-rprivate /
mount --bind /etc/corosync "$1/upper/corosync"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
mount --bind "$1/etc/corosync" /etc/corosync
mount -t tmpfs lib /var/lib
mkdir /var/lib/pve-cluster
mount --bind "$1/var/lib/pve-cluster" /var/lib/pve-cluster
exec "$0" -f' "$0" "$1"`;

/** Who does not come up has said why. */
async function opened(
  lab: Lab,
  condition: () => Promise<Progress<void>> | Progress<void>,
  what: string,
): Promise<void> {
  try {
    await until(condition, openMsMax, what);
  } catch (error) {
    showLogs(lab);
    throw error;
  }
}

/** What a pmxcfs says of its cluster, in a file of its own. */
function areMounted(machines: readonly Machine[]): Progress<void> {
  const members = machines.map(({ mount }) => {
    try {
      return readFileSync(`${mount}/.members`, "utf8");
    } catch (error) {
      // It may still be starting.
      return reasonOf(error);
    }
  });
  const isGood = members.every(
    (text) => /"quorate": 1/.test(text) && text.split('"online": 1').length > machines.length,
  );
  return isGood ? ready(undefined) : pending(members.join("; "));
}
