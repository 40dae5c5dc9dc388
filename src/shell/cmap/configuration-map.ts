// The two maps of a running node as its clients see them: read from the ring at every question, with the keys that clients have added.
// Those and what was cleared of the statistics live as long as the node; both are bounded.
import type { Cluster } from "../../node/thread/cluster.ts";
import { accessTo, runtimeTypeOf } from "./access.ts";
import { icmapEntries } from "./icmap.ts";
import {
  type MapEntry,
  type MapName,
  type MapResult,
  nameProblem,
  sorted,
  valueBytesMax,
} from "./map-entry.ts";
import { statsEntries } from "./stats-map.ts";

/** Keys that clients may add. */
const freeKeysMax = 1000;

export const clearable = ["totem", "knet", "ipc", "schedmiss", "all"] as const;
export type Clearable = (typeof clearable)[number];

const clearedPrefixes: Readonly<Record<Clearable, readonly string[]>> = {
  totem: ["stats.srp."],
  knet: ["stats.knet."],
  ipc: [],
  schedmiss: ["stats.schedmiss."],
  all: ["stats."],
};

/** Numbers that only grow, of which a clearing takes away what they were. */
function isCounter({ key, type }: MapEntry): boolean {
  if (key.endsWith(".time_since_token_last_received") || key.endsWith(".timestamp")) return false;
  return type === "u64" || /\.(?:up|down)_count$/.test(key);
}

export class ConfigurationMap {
  readonly #cluster: Cluster;
  readonly #wallMs: () => number;
  readonly #free = new Map<string, MapEntry>();
  /** What the counters were when they were cleared. */
  readonly #cleared = new Map<string, bigint>();
  /** Scheduling misses before this are forgotten, Unix milliseconds. */
  #missesSince = 0;
  #hasReloaded = false;

  constructor(cluster: Cluster, wallMs: () => number) {
    this.#cluster = cluster;
    this.#wallMs = wallMs;
    cluster.onReloaded(() => {
      this.#hasReloaded = true;
    });
  }

  /** All keys of a map that begin with `prefix`, sorted by name. Rejects when the ring thread gives no answer. */
  async read(map: MapName, prefix: string): Promise<MapEntry[]> {
    const entries = map === "icmap" ? await this.#icmap() : await this.#stats();
    return entries.filter(({ key }) => key.startsWith(prefix));
  }

  async #icmap(): Promise<MapEntry[]> {
    const { settings, lastReload } = this.#cluster;
    const { member } = await this.#cluster.snapshot();
    const own = icmapEntries({
      settings,
      member,
      reload: lastReload,
      hasReloaded: this.#hasReloaded,
    });
    const known = new Set(own.map(({ key }) => key));
    return sorted([...own, ...[...this.#free.values()].filter(({ key }) => !known.has(key))]);
  }

  async #stats(): Promise<MapEntry[]> {
    const snapshot = await this.#cluster.snapshot();
    const wallMs = this.#wallMs();
    const { schedulingMisses } = snapshot.counts;
    const since = schedulingMisses.filter(({ agoMs }) => wallMs - agoMs >= this.#missesSince);
    const counts = { ...snapshot.counts, schedulingMisses: since };
    const { settings } = this.#cluster;
    return statsEntries({ settings, snapshot: { ...snapshot, counts }, wallMs }).map((entry) => {
      const before = this.#cleared.get(entry.key);
      if (before === undefined) return entry;
      const rest = BigInt(entry.value) - before;
      // A link that was configured anew counts from the beginning.
      return rest < 0n ? entry : { ...entry, value: String(rest) };
    });
  }

  /** `entry.value` in the form of its type. */
  async set(map: MapName, entry: MapEntry): Promise<MapResult> {
    const { key, value } = entry;
    if (map === "stats") {
      const what = clearable.find((name) => key === `stats.clear.${name}`);
      if (what === undefined) return "CS_ERR_ACCESS";
      await this.clear(what);
      return "CS_OK";
    }
    const access = accessTo(key);
    if (access === "readOnly" || access === "configuration") return "CS_ERR_ACCESS";
    const problem = nameProblem(key);
    if (problem !== undefined) return problem;
    const bytes = entry.type === "bin" ? Buffer.from(value, "base64").length : value.length + 1;
    if (bytes === 0 || bytes > valueBytesMax) return "CS_ERR_INVALID_PARAM";
    if (access === "own") return "CS_OK";
    if (access === "runtime") return this.#change(key, entry);
    if (access === "cancelWaitForAll") return this.#cancelWaitForAll(entry);
    if (!this.#free.has(key) && this.#free.size >= freeKeysMax) return "CS_ERR_NO_MEMORY";
    this.#free.set(key, entry);
    return "CS_OK";
  }

  /** The key goes back to 0, as a trigger that has fired. Another value than 1 of its type is only kept. */
  async #cancelWaitForAll(entry: MapEntry): Promise<MapResult> {
    this.#free.set(entry.key, entry);
    if (entry.type !== "u8" || entry.value !== "1") return "CS_OK";
    const { ok } = await this.#cluster.cancelWaitForAll();
    this.#free.set(entry.key, { ...entry, value: "0" });
    return ok ? "CS_OK" : "CS_ERR_TRY_AGAIN";
  }

  /** Undefined: the key is taken away, and its default counts. */
  async #change(key: string, entry: MapEntry | undefined): Promise<MapResult> {
    const { configuration = [] } = this.#cluster.settings;
    const others = configuration.filter((each) => each.key !== key);
    if (entry === undefined && others.length === configuration.length) return "CS_ERR_NOT_EXIST";
    const type = runtimeTypeOf(key);
    if (entry !== undefined && entry.type !== type) return "CS_ERR_INVALID_PARAM";
    const added = entry === undefined ? [] : [{ key, type, value: entry.value }];
    const { ok } = await this.#cluster.changeConfiguration([...others, ...added]);
    return ok ? "CS_OK" : "CS_ERR_INVALID_PARAM";
  }

  async delete(map: MapName, key: string): Promise<MapResult> {
    if (map === "stats") return "CS_ERR_ACCESS";
    if (this.#free.delete(key)) return "CS_OK";
    if (accessTo(key) === "runtime") return this.#change(key, undefined);
    const isKnown = (await this.#icmap()).some((entry) => entry.key === key);
    return isKnown ? "CS_ERR_ACCESS" : "CS_ERR_NOT_EXIST";
  }

  /** Counters of this part begin again at 0. */
  async clear(what: Clearable): Promise<void> {
    const prefixes = clearedPrefixes[what];
    const snapshot = await this.#cluster.snapshot();
    const wallMs = this.#wallMs();
    for (const entry of statsEntries({ settings: this.#cluster.settings, snapshot, wallMs })) {
      const isMeant = prefixes.some((prefix) => entry.key.startsWith(prefix));
      if (isMeant && isCounter(entry)) this.#cleared.set(entry.key, BigInt(entry.value));
    }
    if (what === "schedmiss" || what === "all") this.#missesSince = wallMs;
  }
}
