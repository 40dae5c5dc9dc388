// A task that is followed: its log as it grows, and how it ended. The node may restart meanwhile, so that no answer is only said, and asked again.
import { taskLines, taskStatus } from "../../answers/task.ts";
import { type Api, type Failure, failureText } from "./api.ts";
import { Store } from "./store.ts";

export interface FollowedTask {
  /** What it does, for its heading. */
  readonly title: string;
  readonly node: string;
  readonly upid: string;
  readonly lines: readonly string[];
  /** "": it runs; "OK", or why not. */
  readonly end: string;
  /** Why nothing comes, a sentence; "": it comes. */
  readonly silence: string;
}

export interface FollowOptions {
  readonly api: Api;
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

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  begin(title: string, node: string, upid: string): void {
    this.#cancel();
    this.task.set({ title, node, upid, lines: [], end: "", silence: "" });
    void this.#look(upid);
  }

  /** It goes on; nobody looks. */
  close(): void {
    this.#cancel();
    this.task.set(undefined);
  }

  async #look(upid: string): Promise<void> {
    const task = this.task.value;
    if (task === undefined || task.upid !== upid || task.end !== "") return;
    const { api, after, onEnd } = this.#options;
    const path = `/api2/json/nodes/${encodeURIComponent(task.node)}/tasks/${encodeURIComponent(upid)}`;
    // First whether it has ended: no line comes after that.
    const status = await api.get(taskStatus, `${path}/status`);
    // The last line that is known is read again: of an empty log there comes one that says so.
    const start = Math.max(0, task.lines.length - 1);
    const log = status.ok
      ? await api.get(taskLines, `${path}/log`, { start, limit: linesAtOnce })
      : status;
    const now = this.task.value;
    if (now?.upid !== upid) return;
    if (!status.ok || !log.ok)
      this.task.set({ ...now, silence: silenceOf(status.ok ? log : status) });
    else {
      const lines = [...now.lines];
      for (const { n, t } of log.data) if (n >= 1 && n <= linesMax) lines[n - 1] = t;
      const isMore = log.data.length === linesAtOnce;
      const isOver = status.data.status === "stopped" && !isMore;
      const end = isOver ? (status.data.exitstatus ?? "OK") : "";
      this.task.set({ ...now, lines, end, silence: "" });
      if (isOver) return onEnd();
    }
    this.#cancel = after(everyMs, () => void this.#look(upid));
  }
}

function silenceOf(answer: { readonly ok: true } | Failure): string {
  return answer.ok ? "" : failureText(answer);
}
