// A seeded network between numbered nodes: loss, delay, duplication, reordering, corruption and partitions, per direction.
import type { Agenda } from "./agenda.ts";
import type { SeededRandom } from "./random.ts";

export interface Weather {
  /** Probability that a packet is lost. */
  readonly loss: number;
  /** Mean of the exponential part of the delay, ms. */
  readonly delayMs: number;
  /** Smallest delay, ms. */
  readonly floorMs: number;
  readonly duplicate: number;
  /** Probability that a packet is held back and so overtaken. */
  readonly reorder: number;
}

export const calm: Weather = { loss: 0, delayMs: 0.05, floorMs: 0.05, duplicate: 0, reorder: 0 };

/** Nothing is lost or overtaken, but much is on its way at any time. */
export const slow: Weather = { ...calm, delayMs: 30, floorMs: 1 };

export interface NetworkOptions {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly deliver: (source: number, target: number, bytes: Uint8Array, link: number) => void;
  /** The process of a node is gone while its machine lives, which then refuses packets; default: never. */
  readonly isRefusing?: (target: number) => boolean;
}

const refusalsAtOnce = 6;

export class Network {
  weather: Weather = calm;
  packets = 0;
  readonly #options: NetworkOptions;
  /** Refusals that a machine may still send on a way. */
  readonly #refusals = new Map<string, { readonly tokens: number; readonly at: number }>();
  /** "a>b" for every direction that is cut. */
  readonly #cuts = new Set<string>();
  /** "node/link". */
  readonly #deadLinks = new Set<string>();
  /** Latest arrival per direction: without reordering, packets of one direction keep their order. */
  readonly #latest = new Map<string, number>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  cut(source: number, target: number): void {
    this.#cuts.add(`${source}>${target}`);
  }

  /** Both directions between the two sides. */
  partition(one: readonly number[], other: readonly number[]): void {
    for (const a of one) {
      for (const b of other) {
        this.cut(a, b);
        this.cut(b, a);
      }
    }
  }

  /** One link of a node to and from everybody. */
  cutLink(nodeid: number, link: number): void {
    this.#deadLinks.add(`${nodeid}/${link}`);
  }

  heal(): void {
    this.#cuts.clear();
    this.#deadLinks.clear();
  }

  #isCut(source: number, target: number, link: number): boolean {
    if (this.#cuts.has(`${source}>${target}`)) return true;
    return this.#deadLinks.has(`${source}/${link}`) || this.#deadLinks.has(`${target}/${link}`);
  }

  /** The way back, in the same weather; a machine sends few refusals to one address: six at once, then one a second. */
  #refuse(source: number, target: number, link: number, refused: () => void): void {
    const { agenda, random } = this.#options;
    const way = `${source}>${target}/${link}`;
    const { tokens, at } = this.#refusals.get(way) ?? { tokens: refusalsAtOnce, at: agenda.now };
    const now = Math.min(refusalsAtOnce, tokens + (agenda.now - at) / 1000);
    this.#refusals.set(way, { tokens: now < 1 ? now : now - 1, at: agenda.now });
    if (now < 1 || random.chance(this.weather.loss)) return;
    const delayMs = this.weather.floorMs + random.exponential(this.weather.delayMs);
    agenda.after(delayMs, () => {
      if (!this.#isCut(source, target, link)) refused();
    });
  }

  get whole(): boolean {
    return this.#cuts.size === 0 && this.#deadLinks.size === 0;
  }

  /** `refused`: told when the target's machine answers that nobody is there. */
  send(
    source: number,
    target: number,
    bytes: Uint8Array,
    link = 0,
    refused: () => void = () => undefined,
  ): void {
    const { agenda, random } = this.#options;
    this.packets += 1;
    const way = `${source}>${target}`;
    if (this.#isCut(source, target, link) || random.chance(this.weather.loss)) return;
    const copies = random.chance(this.weather.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const delay = this.weather.floorMs + random.exponential(this.weather.delayMs);
      let at = agenda.now + delay;
      if (random.chance(this.weather.reorder)) at += random.exponential(this.weather.delayMs * 3);
      else {
        at = Math.max(at, this.#latest.get(way) ?? 0);
        this.#latest.set(way, at);
      }
      agenda.after(at - agenda.now, () => {
        // A cut also stops what is still on its way.
        if (this.#isCut(source, target, link)) return;
        if (this.#options.isRefusing?.(target) === true)
          this.#refuse(target, source, link, refused);
        else this.#options.deliver(source, target, bytes, link);
      });
    }
  }
}
