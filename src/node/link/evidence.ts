// What shows that a peer's process has ended though its machine lives: on every link that was up, the machine refuses packets that were sent
// to find out, more than once in a short time, and nothing comes from the peer. A hint (the kernel reports some refusal on a socket, without
// saying whose) only begins the search: it costs anybody nothing to forge one. Pure; what follows from the evidence is the ring's
// (ring/deaths.ts). It must never stand against a peer that was heard since its first refusal.

/** Distance of the looks at what came of the probes, ms. */
export const probeEveryMs = 50;
/** So late a look means that we stood still: what the peer has said may be waiting in our own sockets. */
const lateMs = 3 * probeEveryMs;
/** Refused probes on each link; one may be a port that was closed for a moment, as while a process starts again. */
const refusalsMin = 2;
/**
 * The second probe is sent at this look, 100 ms after the first. A machine sends few refusals to one address (Linux: six at once, then one a
 * second), and the ring's own packets use them up: later probes are rare.
 */
const secondProbeAt = 2;
const looksPerProbe = 5;
/** Without evidence by then the search ends; another hint begins a new one. */
const searchMsMax = 2500;

type Search = "none" | "running" | "found";

export class Evidence {
  #search: Search = "none";
  #beganAt = Number.NEGATIVE_INFINITY;
  #lookedAt = 0;
  /** A hint that waits for the next look. */
  #hinted: readonly number[] | undefined;
  #looks = 0;
  /** Refused probes of each link that was up when the search began; one that has not been told of yet may be. */
  readonly #refused = new Map<number, number>();
  readonly #probed = new Map<number, number>();

  /** A search is under way: looks are due. */
  get isSearching(): boolean {
    return this.#search === "running" || this.#hinted !== undefined;
  }

  /** The links on which its machine refuses packets; undefined: there is no evidence. */
  get links(): readonly number[] | undefined {
    return this.#search === "found" ? [...this.#refused.keys()] : undefined;
  }

  /** A hint came. `links`: those that are up. True if a search begins, and every link is to be probed. */
  hint(links: readonly number[], now: number): boolean {
    if (this.#search !== "none" || links.length === 0) return false;
    // Whoever answers ends a search at once, and hints may come by the thousand.
    if (now - this.#beganAt < probeEveryMs) {
      this.#hinted = links;
      return false;
    }
    this.#begin(links, now);
    return true;
  }

  #begin(links: readonly number[], now: number): void {
    this.#search = "running";
    this.#hinted = undefined;
    this.#beganAt = now;
    this.#lookedAt = now;
    this.#looks = 0;
    this.#refused.clear();
    this.#probed.clear();
    for (const link of links) {
      this.#refused.set(link, 0);
      this.#probed.set(link, 1);
    }
  }

  /** An authentic packet of the peer came: it lives, whatever was refused. True if there was evidence. */
  heard(): boolean {
    const was = this.#search;
    this.#search = "none";
    this.#hinted = undefined;
    return was === "found";
  }

  /** A probe on this link came back refused; told twice of one probe it counts once. */
  refused(link: number): void {
    const count = this.#refused.get(link);
    if (count === undefined || count >= (this.#probed.get(link) ?? 0)) return;
    this.#refused.set(link, count + 1);
  }

  /** To be called every `probeEveryMs`, behind `refused`; returns the links to probe. */
  look(now: number): readonly number[] {
    if (this.#search === "none" && this.#hinted !== undefined) {
      const hinted = this.#hinted;
      this.#begin(hinted, now);
      return hinted;
    }
    if (this.#search !== "running") return [];
    const links = [...this.#refused.keys()];
    if (now - this.#lookedAt > lateMs) {
      this.#begin(links, now);
      return links;
    }
    this.#lookedAt = now;
    this.#looks += 1;
    const lacking = links.filter((link) => (this.#refused.get(link) ?? 0) < refusalsMin);
    if (lacking.length === 0) {
      this.#search = "found";
      return [];
    }
    if (now - this.#beganAt >= searchMsMax) {
      this.#search = "none";
      return [];
    }
    const isDue = this.#looks === secondProbeAt || this.#looks % looksPerProbe === 0;
    if (!isDue) return [];
    for (const link of lacking) this.#probed.set(link, (this.#probed.get(link) ?? 0) + 1);
    return lacking;
  }
}
