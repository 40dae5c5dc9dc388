// A task that is followed: its log as it grows, and how it ended. The node may restart meanwhile, so that no answer is only said, and asked again.
import { isGoodEnd } from "../../answers/task-end.ts";
import { taskLines, taskStatus } from "../../answers/task.ts";
import { type Api, type Failure, failureText } from "./api.ts";
import { Store } from "./store.ts";

export interface FollowedTask {
  /** What it does, for its heading. */
  readonly title: string;
  readonly node: string;
  readonly upid: string;
  /** What a login is told that is needed because of it; "": nothing. */
  readonly farewell: string;
  /** What it will do, as its log names it; empty: nobody has said. */
  readonly steps: readonly string[];
  readonly lines: readonly string[];
  /** When each line was seen first, milliseconds of `now`. */
  readonly seenAt: readonly number[];
  /** "": it runs; "OK", or why not. */
  readonly end: string;
  /** Why nothing comes, a sentence; "": it comes. */
  readonly silence: string;
}

export interface FollowOptions {
  readonly api: Api;
  /** Milliseconds. */
  readonly now: () => number;
  /** Returns how to cancel it. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** It has ended, well or not. */
  readonly onEnd: () => void;
}

const everyMs = 1000;
const linesAtOnce = 500;
const linesMax = 5000;

export class Follow {
  readonly task = new Store<FollowedTask | undefined>(undefined);
  readonly #options: FollowOptions;
  #cancel: () => void = () => undefined;
  #isSeen = true;
  /** Looks that were begun; what an overtaken one brings is not taken. */
  #looks = 0;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  begin(
    title: string,
    node: string,
    upid: string,
    steps: readonly string[] = [],
    farewell = "",
  ): void {
    this.#cancel();
    const nothing = { lines: [], seenAt: [], end: "", silence: "" };
    this.task.set({ title, node, upid, steps, farewell, ...nothing });
    void this.#look(upid);
  }

  /** Why the session may have ended, a sentence; "": not by a task that is followed here, or that one has failed. */
  get farewell(): string {
    const { end = "", farewell = "" } = this.task.value ?? {};
    return end === "" || isGoodEnd(end) ? farewell : "";
  }

  /** Whether somebody sees the page: nothing is asked until then. */
  seen(isSeen: boolean): void {
    this.#isSeen = isSeen;
    this.#cancel();
    const task = this.task.value;
    if (isSeen && task !== undefined) void this.#look(task.upid);
  }

  /** It goes on; nobody looks. */
  close(): void {
    this.#cancel();
    this.task.set(undefined);
  }

  async #look(upid: string): Promise<void> {
    const task = this.task.value;
    if (task === undefined || task.upid !== upid || task.end !== "") return;
    const { api, now: clock, after, onEnd } = this.#options;
    this.#looks += 1;
    const own = this.#looks;
    const path = `/api2/json/nodes/${encodeURIComponent(task.node)}/tasks/${encodeURIComponent(upid)}`;
    // First whether it has ended: no line comes after that.
    const status = await api.get(taskStatus, `${path}/status`);
    // The last line that is known is read again: of an empty log there comes one that says so.
    const start = Math.max(0, task.lines.length - 1);
    const log = status.ok
      ? await api.get(taskLines, `${path}/log`, { start, limit: linesAtOnce })
      : status;
    const now = this.task.value;
    if (now?.upid !== upid || own !== this.#looks) return;
    if (!status.ok || !log.ok)
      this.task.set({ ...now, silence: silenceOf(status.ok ? log : status) });
    else {
      const lines = [...now.lines];
      const seenAt = [...now.seenAt];
      for (const { n, t } of log.data) {
        if (n < 1 || n > linesMax) continue;
        lines[n - 1] = t;
        seenAt[n - 1] ??= clock();
      }
      const isMore = log.data.length === linesAtOnce;
      const isOver = status.data.status === "stopped" && !isMore;
      const end = isOver ? (status.data.exitstatus ?? "OK") : "";
      this.task.set({ ...now, lines, seenAt, end, silence: "" });
      if (isOver) return onEnd();
    }
    if (this.#isSeen) this.#cancel = after(everyMs, () => void this.#look(upid));
  }
}

export interface TaskStep {
  readonly text: string;
  readonly state: "done" | "runs" | "waits" | "failed";
  /** Until the next one began; undefined: it did not begin, or it runs. */
  readonly ms: number | undefined;
}

/**
 * How far a task is: the log has a line for each step as it begins. Names in quotes may be said only then. A step whose line is not found was passed when
 * a later one is.
 */
export function stepsOf({
  steps,
  lines,
  seenAt,
  end,
}: Pick<FollowedTask, "steps" | "lines" | "seenAt" | "end">): readonly TaskStep[] {
  const begun: number[] = [];
  let from = 0;
  let last = -1;
  for (const [at, text] of steps.entries()) {
    const found = lines.findIndex((line, index) => index >= from && bare(line) === bare(text));
    begun.push(found);
    if (found < 0) continue;
    from = found + 1;
    last = at;
  }
  return steps.map((text, at) => {
    const isPast = at < last || end === "OK";
    const state = isPast ? "done" : at > last ? "waits" : end === "" ? "runs" : "failed";
    const start = seenAt[begun[at] ?? -1];
    const next = begun.slice(at + 1).find((each) => each >= 0);
    const until = next === undefined ? (end === "" ? undefined : seenAt.at(-1)) : seenAt[next];
    const ms = start === undefined || until === undefined ? undefined : until - start;
    return { text, state, ms };
  });
}

function bare(text: string): string {
  return text.replace(/ ?'[^']*'/g, "");
}

function silenceOf(answer: { readonly ok: true } | Failure): string {
  return answer.ok ? "" : failureText(answer);
}
