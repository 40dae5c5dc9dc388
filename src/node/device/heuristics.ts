// When the operator's commands are run and what their results mean (qnetd.md §3.7): at each connect and membership change, and
// with mode `on` again and again. One run at a time; the result of a run that was overtaken is void.
import type { Heuristics as Result } from "../../qnetd/session/message.ts";
import type { HeuristicsSettings } from "./device-settings.ts";
import type { DeviceAction } from "./events.ts";

/** Later ones may overtake earlier ones, never the other way round. */
export type Purpose = "regular" | "membership" | "connect";

const rank: Readonly<Record<Purpose, number>> = { regular: 0, membership: 1, connect: 2 };

export class HeuristicsRuns {
  #settings: HeuristicsSettings;
  #run = 0;
  #purpose: Purpose | undefined;
  readonly results: { [P in Purpose]?: Result } = {};
  #last: Result | undefined;

  constructor(settings: HeuristicsSettings) {
    this.#settings = settings;
  }

  /** The newest result of any purpose; undefined: none, or heuristics are off. */
  get last(): Result | undefined {
    return this.#last;
  }

  retune(settings: HeuristicsSettings, out: DeviceAction[]): void {
    this.#settings = settings;
    if (settings.mode !== "on") out.push({ kind: "disarm", timer: "heuristics" });
    if (settings.mode === "off") this.#forget();
  }

  /** Starts a run. True: heuristics are off, there is nothing to wait for. */
  start(purpose: Purpose, out: DeviceAction[]): boolean {
    const { mode, commands, timeoutMs, syncTimeoutMs } = this.#settings;
    if (mode === "off") return true;
    const running = this.#purpose;
    if (running !== undefined && rank[running] > rank[purpose]) {
      // A connect sends the membership as well: it goes on under its own name, with a fresh look at the world.
      if (purpose === "regular") return false;
      this.#begin(running, commands, syncTimeoutMs, out);
      return false;
    }
    this.#begin(purpose, commands, purpose === "membership" ? syncTimeoutMs : timeoutMs, out);
    return false;
  }

  #begin(
    purpose: Purpose,
    commands: HeuristicsSettings["commands"],
    timeoutMs: number,
    out: DeviceAction[],
  ): void {
    this.#purpose = purpose;
    this.#run += 1;
    out.push({ kind: "disarm", timer: "heuristics" });
    out.push({ kind: "runHeuristics", run: this.#run, commands, timeoutMs });
  }

  /** What the run was for and whether its result is news; undefined: it was overtaken. */
  done(
    run: number,
    result: Result,
    now: number,
    out: DeviceAction[],
  ): { readonly purpose: Purpose; readonly isNews: boolean } | undefined {
    const purpose = this.#purpose;
    if (run !== this.#run || purpose === undefined) return undefined;
    this.#purpose = undefined;
    const isNews = result !== this.#last;
    this.#last = result;
    this.results[purpose] = result;
    if (this.#settings.mode === "on") {
      out.push({ kind: "arm", timer: "heuristics", at: now + this.#settings.intervalMs });
    }
    return { purpose, isNews };
  }

  /** No server to report to: no more runs until the next start. */
  end(out: DeviceAction[]): void {
    if (this.#settings.mode === "off") return;
    if (this.#purpose !== undefined) out.push({ kind: "endHeuristics" });
    out.push({ kind: "disarm", timer: "heuristics" });
    this.#purpose = undefined;
  }

  #forget(): void {
    this.#purpose = undefined;
    this.#last = undefined;
    delete this.results.connect;
    delete this.results.membership;
    delete this.results.regular;
  }
}
