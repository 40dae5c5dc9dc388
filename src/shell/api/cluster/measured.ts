// The measured values that nodes tell each other every few seconds (`.rrd`, pmxcfs.md §3.4), as Proxmox's daemons write them: what a node, a guest and a
// storage has at the moment. Those of a node of ours are written here too. Pure but for the tree.
import type { Files } from "../../../fs/tree/files.ts";
import type { MachineLoad } from "../../machine/machine-facts.ts";

export interface NodeMeasures {
  readonly uptime: number;
  /** 0 to 1. */
  readonly cpu: number;
  readonly maxcpu: number;
  /** Bytes. */
  readonly mem: number;
  readonly maxmem: number;
  readonly disk: number;
  readonly maxdisk: number;
  /** Support level. */
  readonly level: string;
}

export interface GuestMeasures {
  readonly uptime: number;
  readonly name: string;
  /** "running", "stopped". */
  readonly status: string;
  readonly template: boolean;
  readonly cpu: number;
  readonly maxcpu: number;
  readonly mem: number;
  readonly maxmem: number;
  readonly disk: number;
  readonly maxdisk: number;
  readonly netin: number;
  readonly netout: number;
  readonly diskread: number;
  readonly diskwrite: number;
}

/** Before a node's key; the original of now and of before. */
const prefixes = {
  node: ["pve-node-9.0/", "pve2-node/"],
  vm: ["pve-vm-9.0/", "pve2.3-vm/"],
  storage: ["pve-storage-9.0/", "pve2-storage/"],
} as const;

/** What is known at one moment. */
export class Measures {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(files: Files) {
    const read = files.read(".rrd");
    const text = read.ok ? new TextDecoder().decode(read.value) : "";
    this.#values = new Map(
      text.split("\n").flatMap((line): [string, readonly string[]][] => {
        const at = line.indexOf(":");
        return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).split(":")]];
      }),
    );
  }

  node(name: string): NodeMeasures | undefined {
    const words = this.#of("node", name);
    if (words === undefined) return undefined;
    return {
      ...{ uptime: number(words, 0), cpu: number(words, 5), maxcpu: number(words, 4) },
      ...{ mem: number(words, 8), maxmem: number(words, 7) },
      ...{ disk: number(words, 12), maxdisk: number(words, 11), level: words[1] ?? "" },
    };
  }

  guest(vmid: number): GuestMeasures | undefined {
    const words = this.#of("vm", String(vmid));
    if (words === undefined) return undefined;
    return {
      ...{ uptime: number(words, 0), name: words[1] ?? "", status: words[2] || "unknown" },
      ...{ template: words[3] === "1", cpu: number(words, 6), maxcpu: number(words, 5) },
      ...{ mem: number(words, 8), maxmem: number(words, 7) },
      ...{ disk: number(words, 10), maxdisk: number(words, 9) },
      ...{ netin: number(words, 11), netout: number(words, 12) },
      ...{ diskread: number(words, 13), diskwrite: number(words, 14) },
    };
  }

  /** Bytes of a storage on a node. */
  storage(node: string, name: string): { disk: number; maxdisk: number } | undefined {
    const words = this.#of("storage", `${node}/${name}`);
    return words && { maxdisk: number(words, 1), disk: number(words, 2) };
  }

  #of(kind: keyof typeof prefixes, key: string): readonly string[] | undefined {
    return prefixes[kind]
      .map((prefix) => this.#values.get(`${prefix}${key}`))
      .find((words) => words !== undefined);
  }
}

/** What is not measured ("U") is 0. */
function number(words: readonly string[], at: number): number {
  const value = Number(words[at] ?? 0);
  return Number.isFinite(value) && value >= 0 ? value : 0;
}

/** The key and the value by which a node tells its load, with the NUL at its end. `now`: Unix seconds. */
export function nodeLoadValue(
  name: string,
  load: MachineLoad,
  now: number,
): { readonly key: string; readonly value: Uint8Array } {
  const { uptime, averages, processors, shares, memory, space, traffic } = load;
  const swapUsed = memory.swapTotal - memory.swapFree;
  const words = [
    ...[uptime, "", now, averages[0], processors, shares.cpu, shares.wait],
    ...[memory.total, memory.used, memory.swapTotal, swapUsed, space.total, space.used],
    ...[traffic.received, traffic.sent, memory.available, "U", "U", "U", "U", "U", "U"],
  ];
  return {
    key: `rrd/pve-node-9.0/${name}`,
    value: new TextEncoder().encode(`${words.join(":")}\0`),
  };
}
