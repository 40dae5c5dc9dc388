// Runs the operator's heuristics commands (qnetd.md §3.7): all at once, without a shell, output thrown away. A host. The result is
// pass only if all end with 0 in time, and fail as soon as one does not; what still runs then is ended, by force in the end.
import { spawn, type ChildProcess } from "node:child_process";
import type { HeuristicsCommand } from "./command-line.ts";

export interface CommandLimits {
  /** From SIGTERM to SIGKILL. */
  readonly killAfterMs: number;
  /** Processes not ended yet, those of earlier runs too; a run that would need more fails at once. */
  readonly processesMax: number;
}

interface Run {
  readonly running: Set<ChildProcess>;
  readonly timeout: ReturnType<typeof setTimeout>;
  readonly done: (result: "pass" | "fail") => void;
}

export class Commands {
  /** For the next run. */
  limits: CommandLimits;
  readonly #children = new Set<ChildProcess>();
  #run: Run | undefined;

  constructor(limits: CommandLimits) {
    this.limits = limits;
  }

  /** Processes not ended yet, of any run. */
  get count(): number {
    return this.#children.size;
  }

  /** Ends a run under way without a result, then begins. `done` is called once, never from within this call. */
  start(
    commands: readonly HeuristicsCommand[],
    timeoutMs: number,
    done: (result: "pass" | "fail") => void,
  ): void {
    this.end();
    const timeout = setTimeout(() => this.#finish(run, "fail"), timeoutMs);
    const run: Run = { running: new Set(), timeout, done };
    this.#run = run;
    if (this.#children.size + commands.length > this.limits.processesMax) {
      queueMicrotask(() => this.#finish(run, "fail"));
      return;
    }
    for (const command of commands) this.#spawn(run, command);
  }

  /** Ends the run under way; its result is never reported. */
  end(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    clearTimeout(run.timeout);
    for (const child of run.running) this.#terminate(child);
  }

  #spawn(run: Run, { words }: HeuristicsCommand): void {
    const [program, ...rest] = words;
    if (program === undefined) return queueMicrotask(() => this.#finish(run, "fail"));
    const child = spawn(program, rest, { stdio: "ignore", cwd: "/" });
    this.#children.add(child);
    run.running.add(child);
    // A program that cannot be started has no exit, only this.
    child.once("error", () => this.#ended(run, child, false));
    child.once("exit", (code) => this.#ended(run, child, code === 0));
  }

  #ended(run: Run, child: ChildProcess, isWell: boolean): void {
    this.#children.delete(child);
    if (!run.running.delete(child)) return;
    if (!isWell) this.#finish(run, "fail");
    else if (run.running.size === 0) this.#finish(run, "pass");
  }

  #finish(run: Run, result: "pass" | "fail"): void {
    if (this.#run !== run) return;
    this.end();
    run.done(result);
  }

  #terminate(child: ChildProcess): void {
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), this.limits.killAfterMs);
    child.once("exit", () => clearTimeout(force));
  }
}
