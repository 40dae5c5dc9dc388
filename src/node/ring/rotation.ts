// Times between two visits of the token, for the status: the last few thousand, in microseconds. An idle ring holds the token on
// purpose: how long it is held says nothing of the network, so such a round is no sample.

const samplesMax = 4096;
/** Of the original's mean (stats.srp.mtt_rx_token), which counts held tokens too. */
const meanSamplesMax = 100;

export class Rotation {
  readonly #samplesUs = new Uint32Array(samplesMax);
  #count = 0;
  #lastMs: number | undefined;
  #visitedMs: number | undefined;
  readonly #intervalsMs: number[] = [];

  /** The token came (again); `nowMs` monotonic. `isHeld`: before it comes the next time, it is held. */
  visited(nowMs: number, isHeld: boolean): void {
    if (this.#visitedMs !== undefined) {
      this.#intervalsMs.push(nowMs - this.#visitedMs);
      if (this.#intervalsMs.length > meanSamplesMax) this.#intervalsMs.shift();
    }
    this.#visitedMs = nowMs;
    if (this.#lastMs !== undefined) {
      this.#samplesUs[this.#count % samplesMax] = Math.round((nowMs - this.#lastMs) * 1000);
      this.#count += 1;
    }
    this.#lastMs = isHeld ? undefined : nowMs;
  }

  /** Mean time between the last hundred visits, also of an idle ring; 0 as long as nothing was seen. */
  meanMs(): number {
    const sum = this.#intervalsMs.reduce((total, ms) => total + ms, 0);
    return sum / Math.max(1, this.#intervalsMs.length);
  }

  /** Zero as long as nothing was seen. */
  percentiles(): { readonly p50: number; readonly p99: number } {
    const sorted = this.#samplesUs.slice(0, Math.min(this.#count, samplesMax)).sort();
    const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
    return sorted.length === 0 ? { p50: 0, p99: 0 } : { p50: at(0.5), p99: at(0.99) };
  }
}
