// Runs what takes longer than an answer: each task has a UPID, a log that can be followed while it runs, and an end that is found again.
// A task outlives its daemon: what is unfinished when one ends is resumed by the next under the same UPID, or ends there.
// Spec: pvecm.md §4.6.
import { closeSync, readFileSync } from "node:fs";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import { interruptedStatus, isGoodEnd } from "../answers/task-end.ts";
import { type TaskFiles, writeLog } from "./task-files.ts";
import {
  oneLine,
  selectTasks,
  type TaskEntry,
  type TaskFilter,
  unexpectedStatus,
} from "./task-list.ts";
import { formatUpid, parseUpid, type Upid } from "./upid.ts";

const runningMax = 64;
const lineLengthMax = 4000;
/** Of one log, without its last line. */
const logBytesMax = 1024 * 1024;
/** Ended tasks that stay in the list of active ones, as with the original. */
const endedInActiveMax = 25;
/** Until the list of active tasks is tried again that somebody else was changing. */
const lockedAgainMs = 100;
/** Seconds that a UPID may lie ahead because its own were taken. */
const aheadSecondsMax = 60;

export interface TaskSpec {
  /** Proxmox's word where there is one: "clustercreate", "clusterjoin". */
  readonly type: string;
  /** What it is about; "" for nothing. */
  readonly id: string;
  /** "root@pam". */
  readonly user: string;
}

/** What a task's work is given. */
export interface TaskContext {
  readonly upid: string;
  /** Aborted when somebody stops the task: the work ends where it may, or goes on when it may not. */
  readonly signal: AbortSignal;
  /** Adds to the task's log; several lines are possible. Never throws. */
  log(text: string): void;
  /** The same as a warning: the task ends with the count of these. */
  warn(text: string): void;
}

/**
 * A failure's reason, or what is thrown, is the task's error. "suspended": this process ends, and the next one resumes the task; until
 * then it counts as running.
 */
export type TaskWork = (task: TaskContext) => Promise<Result<unknown> | "suspended">;

export interface TaskLogging {
  /** A line for the cluster log: who did what. */
  readonly cluster: (line: {
    readonly user: string;
    readonly isFailure: boolean;
    readonly message: string;
  }) => void;
  /** For the daemon's own log. */
  readonly warn: (text: string) => void;
}

export interface TasksOptions {
  readonly files: TaskFiles;
  /** This node's name, now. */
  readonly node: () => string;
  readonly logging: TaskLogging;
}

interface Running {
  readonly parts: Upid;
  readonly stop: AbortController;
  readonly end: PromiseWithResolvers<string>;
  /** False: of a daemon before this one, and nobody has taken it up. */
  isTaken: boolean;
}

export class Tasks {
  readonly #files: TaskFiles;
  readonly #node: () => string;
  readonly #logging: TaskLogging;
  readonly #running = new Map<string, Running>();
  /** Newest last. */
  #ended: TaskEntry[] = [];
  #activeTimer: ReturnType<typeof setTimeout> | undefined;
  #isDiskReported = false;
  #changed: () => void = () => undefined;

  /** Tasks that an earlier daemon left unfinished wait for `resume`, until `settle`. */
  constructor({ files, node, logging }: TasksOptions) {
    this.#files = files;
    this.#node = node;
    this.#logging = logging;
    this.#onDisk("read the list of tasks", () => {
      for (const { upid, parts, endTime } of files.readActive()) {
        if (endTime !== undefined || isOfAnotherProcess(parts)) continue;
        this.#add(upid, parts, false);
      }
    });
  }

  /** Sets what is called whenever a task has begun or ended. */
  onChanged(changed: () => void): void {
    this.#changed = changed;
  }

  /** Starts `work` and gives its UPID, or the sentence that says why it cannot start. */
  start(spec: TaskSpec, work: TaskWork): Result<string> {
    if (this.#running.size >= runningMax) {
      return failure(`${runningMax} tasks are running already: wait until one has ended`);
    }
    const opened = this.#openNew(spec);
    if (!opened.ok) return opened;
    const { upid, parts, fd } = opened.value;
    const { user } = spec;
    this.#add(upid, parts, true);
    this.#logging.cluster({ user, isFailure: false, message: `starting task ${upid}` });
    this.#run(upid, fd, work);
    return success(upid);
  }

  /** Goes on with a task of a daemon before this one: the log is continued. */
  resume(upid: string, work: TaskWork): Result<undefined> {
    const parts = parseUpid(upid);
    if (parts === undefined) return failure(`"${upid}" is no UPID`);
    if (this.#running.get(upid)?.isTaken === true) return failure(`${upid} is running already`);
    if (isOfAnotherProcess(parts)) return failure(`process ${parts.pid} is still running ${upid}`);
    let fd: number | undefined;
    try {
      fd = this.#files.openLog(upid, parts, "again") ?? this.#files.openLog(upid, parts, "new");
    } catch (error) {
      return failure(`the log of ${upid} cannot be continued: ${reasonOf(error)}`);
    }
    if (fd === undefined) return failure(`the log of ${upid} cannot be continued`);
    this.#add(upid, parts, true);
    this.#run(upid, fd, work, "the node's daemon was started again: going on");
    return success(undefined);
  }

  /** Ends the tasks of an earlier daemon that nobody has resumed. */
  settle(): void {
    for (const [upid, { parts, isTaken, end }] of this.#running) {
      if (isTaken) continue;
      this.#running.delete(upid);
      this.#onDisk(`end ${upid}`, () => {
        const outcome = this.#files.outcomeOf(upid, parts) ?? {
          status: unexpectedStatus,
          endTime: seconds(),
        };
        this.#settleOne({ upid, parts, ...outcome });
        end.resolve(outcome.status);
      });
    }
  }

  /** Asks a running task to stop; false: no such task is running. */
  stop(upid: string): boolean {
    const running = this.#running.get(upid);
    running?.stop.abort(new Error(interruptedStatus));
    return running !== undefined;
  }

  /** Resolves with the status of a task's end: "OK", "WARNINGS: 1", or why it failed. Undefined: no such task is running. */
  ended(upid: string): Promise<string> | undefined {
    return this.#running.get(upid)?.end.promise;
  }

  /** Undefined: there is no such task here. Throws what the disk says. */
  find(upid: string): TaskEntry | undefined {
    const parts = parseUpid(upid);
    if (parts === undefined) return undefined;
    if (this.#running.has(upid)) return { upid, parts };
    const outcome = this.#files.outcomeOf(upid, parts);
    if (outcome === undefined) return undefined;
    return isOfAnotherProcess(parts) ? { upid, parts } : { upid, parts, ...outcome };
  }

  /** As `TaskFiles.readLog`. */
  readLog(upid: string, start: number, limit: number) {
    return this.#files.readLog(upid, start, limit);
  }

  /** The path of the log, to be sent as it is; undefined: there is none. */
  logFile(upid: string): string | undefined {
    return this.#files.logFile(upid);
  }

  /** Newest first. Throws what the disk says. */
  list(filter: TaskFilter): ReturnType<typeof selectTasks> {
    const entries = new Map<string, TaskEntry>();
    const add = (entry: TaskEntry): unknown => entries.set(entry.upid, entry);
    if (filter.source !== "active") this.#files.readIndex().forEach(add);
    // Those that ended are in the archive alone.
    const running = this.active().filter(({ endTime }) => endTime === undefined);
    if (filter.source !== "archive") running.forEach(add);
    return selectTasks([...entries.values()], filter);
  }

  /** Running ones, also of Proxmox's daemons on this machine, and those that ended last. */
  active(): readonly TaskEntry[] {
    return this.#withOwn(this.#files.readActive());
  }

  /** A new log. A name that is taken (two tasks alike in one second) is tried for the seconds after. */
  #openNew(
    spec: TaskSpec,
  ): Result<{ readonly upid: string; readonly parts: Upid; readonly fd: number }> {
    const at = seconds();
    for (let ahead = 0; ahead < aheadSecondsMax; ahead += 1) {
      const parts = {
        node: this.#node(),
        pid: process.pid,
        pstart: startOfProcess(process.pid) ?? 0,
        startTime: at + ahead,
        ...spec,
      };
      const upid = formatUpid(parts);
      if (upid === undefined) {
        return failure(`no task can be named "${spec.type}", "${spec.id}", "${spec.user}"`);
      }
      try {
        const fd = this.#files.openLog(upid, parts, "new");
        if (fd !== undefined) return success({ upid, parts, fd });
      } catch (error) {
        return failure(`the task's log cannot be made: ${reasonOf(error)}`);
      }
    }
    return failure(`too many tasks of type "${spec.type}" were started within a minute`);
  }

  #add(upid: string, parts: Upid, isTaken: boolean): void {
    const running = this.#running.get(upid);
    if (running !== undefined) {
      running.isTaken = isTaken;
      return;
    }
    const stop = new AbortController();
    this.#running.set(upid, { parts, stop, end: Promise.withResolvers(), isTaken });
    if (!isTaken) return;
    this.#saveActive();
    this.#onDisk("tell of the tasks", () => this.#changed());
  }

  /** The work begins when the caller has its UPID. */
  #run(upid: string, fd: number, work: TaskWork, firstLine?: string): void {
    const running = this.#running.get(upid);
    if (running === undefined) return closeSync(fd);
    const log = new TaskLog(fd, (reason) =>
      this.#logging.warn(`the log of task ${upid} is incomplete: ${reason}`),
    );
    if (firstLine !== undefined) log.add(firstLine);
    let warnings = 0;
    const context: TaskContext = {
      upid,
      signal: running.stop.signal,
      log: (text) => log.add(text),
      warn: (text) => {
        warnings += 1;
        log.add(`WARN: ${text}`);
      },
    };
    const carryOut = async (): Promise<void> => {
      let status: string;
      try {
        const result = await work(context);
        if (result === "suspended") return log.leave();
        const fine = warnings === 0 ? "OK" : `WARNINGS: ${warnings}`;
        status = result.ok ? fine : oneLine(result.reason) || "unknown error";
        log.end(result.ok ? `TASK ${status}` : `TASK ERROR: ${status}`);
      } catch (error) {
        status = oneLine(reasonOf(error)) || "unknown error";
        log.end(`TASK ERROR: ${status}`);
      }
      this.#finish(upid, running, status);
    };
    queueMicrotask(() => void carryOut());
  }

  #finish(upid: string, { parts, end }: Running, status: string): void {
    this.#running.delete(upid);
    this.#onDisk(`note the end of ${upid}`, () =>
      this.#settleOne({ upid, parts, endTime: seconds(), status }),
    );
    const isFailure = !isGoodEnd(status);
    const message = `end task ${upid} ${status}`;
    this.#logging.cluster({ user: parts.user, isFailure, message });
    end.resolve(status);
  }

  #settleOne(entry: TaskEntry): void {
    this.#ended = [...this.#ended, entry].slice(-endedInActiveMax);
    this.#files.appendIndex(entry);
    this.#saveActive();
    this.#changed();
  }

  #withOwn(entries: readonly TaskEntry[]): TaskEntry[] {
    const all = new Map<string, TaskEntry>();
    for (const entry of entries) all.set(entry.upid, entry);
    for (const entry of this.#ended) all.set(entry.upid, entry);
    for (const [upid, { parts }] of this.#running) all.set(upid, { upid, parts });
    const ended = [...all.values()].filter(({ endTime }) => endTime !== undefined);
    ended.sort((a, b) => (a.endTime ?? 0) - (b.endTime ?? 0));
    for (const { upid } of ended.slice(0, -endedInActiveMax)) all.delete(upid);
    return [...all.values()];
  }

  #saveActive(): void {
    clearTimeout(this.#activeTimer);
    this.#onDisk("write the list of tasks", () => {
      if (this.#files.changeActive((entries) => this.#withOwn(entries))) return;
      this.#activeTimer = setTimeout(() => this.#saveActive(), lockedAgainMs);
    });
  }

  /** What the disk refuses is reported once, and the tasks go on. */
  #onDisk(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (this.#isDiskReported) return;
      this.#isDiskReported = true;
      this.#logging.warn(`cannot ${what}: ${reasonOf(error)}`);
    }
  }
}

/** The open log of one running task. */
class TaskLog {
  readonly #fd: number;
  readonly #report: (reason: string) => void;
  #bytes = 0;
  #isReported = false;

  constructor(fd: number, report: (reason: string) => void) {
    this.#fd = fd;
    this.#report = report;
  }

  add(text: string): void {
    for (const line of text.replace(/\n$/, "").split("\n")) this.#addLine(line);
  }

  /** In place of an end. */
  leave(): void {
    closeSync(this.#fd);
  }

  /** Once, as the last. */
  end(line: string): void {
    this.#write(`${line}\n`, true);
    closeSync(this.#fd);
  }

  #addLine(line: string): void {
    if (this.#bytes > logBytesMax) return;
    const shown = line.slice(0, lineLengthMax).replace(/[^\P{C}\t]/gu, "?");
    this.#bytes += Buffer.byteLength(shown) + 1;
    const text = this.#bytes > logBytesMax ? "(the log is full: more is left out)" : shown;
    this.#write(`${text}\n`, false);
  }

  #write(text: string, isFinal: boolean): void {
    try {
      writeLog(this.#fd, text, isFinal);
    } catch (error) {
      if (!this.#isReported) this.#report(reasonOf(error));
      this.#isReported = true;
    }
  }
}

/** True for a living process that is not this one: a task of Proxmox's own daemons. */
function isOfAnotherProcess({ pid, pstart }: Upid): boolean {
  return pid !== process.pid && startOfProcess(pid) === pstart;
}

/** In clock ticks since boot; undefined: there is no such process. */
export function startOfProcess(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // It has ended.
  }
  // The second field is a name in brackets with anything in it; the start is the 22nd.
  const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return start !== undefined && /^\d{1,15}$/.test(start) ? Number(start) : undefined;
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}
