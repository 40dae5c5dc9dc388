// What this machine is and how busy it is: for GET /nodes/{node}/status, for what a node tells the others of itself (pmxcfs.md §3.4), and for lists.
import { existsSync } from "node:fs";
import { readdir, readFile, statfs } from "node:fs/promises";
import { availableParallelism, machine, release, type, version } from "node:os";
import { basename } from "node:path";
import {
  loadAverages,
  type Memory,
  memoryOf,
  type ProcessorInfo,
  processorInfo,
  type ProcessorShares,
  processorShares,
  type ProcessorTimes,
  processorTimes,
  trafficOf,
  uptimeOf,
} from "./processor.ts";
import { readTextFile } from "./text-file.ts";

/** Shares of a shorter time say little. */
const sampleMsMin = 1000;

export interface MachinePlaces {
  /** "/proc", "/sys" but for tests. */
  readonly proc: string;
  readonly sys: string;
  /** "/", or the directory below which a node keeps its things. */
  readonly root: string;
}

/** Bytes of the file system that a node's root is on. */
export interface RootSpace {
  readonly total: number;
  readonly free: number;
  /** To whoever is not root. */
  readonly available: number;
  readonly used: number;
}

export interface Kernel {
  readonly sysname: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
}

/** What changes from moment to moment. */
export interface MachineLoad {
  /** Seconds. */
  readonly uptime: number;
  readonly averages: readonly [string, string, string];
  readonly shares: ProcessorShares;
  readonly processors: number;
  readonly memory: Memory;
  readonly space: RootSpace;
  /** Bytes since boot of the network cards. */
  readonly traffic: { readonly received: number; readonly sent: number };
}

export interface BootInfo {
  readonly mode: "efi" | "legacy-bios";
  readonly secureboot?: boolean;
}

export class MachineFacts {
  readonly #places: MachinePlaces;
  /** Monotonic milliseconds. */
  readonly #now: () => number;
  #before: { readonly times: ProcessorTimes; readonly at: number } | undefined;
  #shares: ProcessorShares = { cpu: 0, wait: 0 };

  constructor(places: MachinePlaces, now: () => number = () => performance.now()) {
    this.#places = places;
    this.#now = now;
  }

  /** What the kernel does not tell is 0. Rejects with what the disk says. */
  async load(): Promise<MachineLoad> {
    const [stat, meminfo, averages, uptime, network, cards, space] = await Promise.all([
      this.#proc("stat"),
      this.#proc("meminfo"),
      this.#proc("loadavg"),
      this.#proc("uptime"),
      this.#proc("net/dev"),
      this.#cards(),
      this.#space(),
    ]);
    return {
      uptime: uptimeOf(uptime),
      averages: loadAverages(averages),
      shares: this.#sample(stat),
      processors: availableParallelism(),
      memory: memoryOf(meminfo),
      space,
      traffic: trafficOf(network, (name) => cards.has(name)),
    };
  }

  async processor(): Promise<ProcessorInfo> {
    return processorInfo(await this.#proc("cpuinfo"), availableParallelism());
  }

  kernel(): Kernel {
    return { sysname: type(), release: release(), version: version(), machine: machine() };
  }

  async boot(): Promise<BootInfo> {
    const { sys } = this.#places;
    if (!existsSync(`${sys}/firmware/efi`)) return { mode: "legacy-bios" };
    const path = `${sys}/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c`;
    if (!existsSync(path)) return { mode: "efi" };
    // Four bytes of attributes, then the value.
    return { mode: "efi", secureboot: (await readFile(path))[4] === 1 };
  }

  /** Bytes of memory that the kernel has merged. */
  async sharedMemory(): Promise<number> {
    const text = await readTextFile(`${this.#places.sys}/kernel/mm/ksm/pages_sharing`);
    return 4096 * Number(/^\d{1,12}$/.exec(text?.trim() ?? "")?.[0] ?? 0);
  }

  async #proc(name: string): Promise<string> {
    return (await readTextFile(`${this.#places.proc}/${name}`)) ?? "";
  }

  /** Of the time since the last sample; at first since boot. */
  #sample(stat: string): ProcessorShares {
    const times = processorTimes(stat);
    const at = this.#now();
    const before = this.#before ?? { times: { used: 0, waiting: 0, total: 0 }, at: -Infinity };
    if (times !== undefined && at - before.at >= sampleMsMin) {
      this.#shares = processorShares(before.times, times);
      this.#before = { times, at };
    }
    return this.#shares;
  }

  /** Interfaces with a device behind them, as the original counts. */
  async #cards(): Promise<ReadonlySet<string>> {
    const folder = `${this.#places.sys}/class/net`;
    const names = existsSync(folder) ? await readdir(folder) : [];
    return new Set(names.filter((name) => existsSync(`${folder}/${basename(name)}/device`)));
  }

  async #space(): Promise<RootSpace> {
    const { bsize, blocks, bfree, bavail } = await statfs(this.#places.root);
    const used = (blocks - bfree) * bsize;
    return { total: blocks * bsize, free: bfree * bsize, available: bavail * bsize, used };
  }
}
