// The files of the tasks of a node: a log for each task, the index of those that ended, the list of active ones. Only our own
// process writes logs; index and list may be shared with Proxmox's daemons on the same machine. Spec: pvecm.md §4.6.
import {
  appendFileSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { replaceDurably } from "../../durable-file.ts";
import { closeFd, lockFile } from "../../libc.ts";
import {
  readActive,
  readIndex,
  statusOfLastLine,
  type TaskEntry,
  writeActive,
  writeIndexLine,
} from "./task-list.ts";
import { logPathOf, parseUpid, type Upid } from "./upid.ts";

/** As Proxmox's: then `index` becomes `index.1`, whose tasks' logs go. About 500 tasks. */
const indexBytesMax = 50_000;
/** What is read of a list that somebody else may have written. */
const listBytesMax = 4 * 1024 * 1024;
/** What is read of a log; ours are shorter. */
const logReadBytesMax = 64 * 1024 * 1024;
const lastLineBytesMax = 4096;
/** Of the text of one answer. */
const answerCharactersMax = 2 * 1024 * 1024;
const fileMode = 0o640;
const directoryMode = 0o755;

export interface LogLine {
  /** From 1. */
  readonly n: number;
  readonly t: string;
}

/** Methods throw what the disk says. */
export class TaskFiles {
  readonly #directory: string;

  /** `directory`: /var/log/pve/tasks below the root. It is made with the first task. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** A descriptor of a log, made new or continued; to be closed by the caller. Undefined: it is there already, or is not. */
  openLog(upid: string, parts: Upid, how: "new" | "again"): number | undefined {
    const path = this.#logPath(upid, parts);
    const { O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    if (how === "new") mkdirSync(dirname(path), { recursive: true, mode: directoryMode });
    try {
      const flags = O_RDWR | O_APPEND | O_NOFOLLOW | (how === "new" ? O_CREAT | O_EXCL : 0);
      const fd = openSync(path, flags, fileMode);
      if (how === "again") endLine(fd);
      return fd;
    } catch (error) {
      if (isCode(error, how === "new" ? "EEXIST" : "ENOENT")) return undefined;
      throw error;
    }
  }

  /** Lines from `start` (0: the first), and how many there are. Undefined: there is no such log. */
  async readLog(
    upid: string,
    start: number,
    limit: number,
  ): Promise<{ readonly lines: readonly LogLine[]; readonly total: number } | undefined> {
    const parts = parseUpid(upid);
    if (parts === undefined) return undefined;
    const file = await openIfThere(this.#logPath(upid, parts));
    if (file === undefined) return undefined;
    const lines: LogLine[] = [];
    let total = 0;
    let characters = 0;
    try {
      for await (const line of file.readLines({ autoClose: false, end: logReadBytesMax })) {
        total += 1;
        if (total <= start || lines.length >= limit || characters > answerCharactersMax) continue;
        characters += line.length;
        lines.push({ n: total, t: line });
      }
    } finally {
      await file.close();
    }
    return { lines, total };
  }

  /** The whole log as it is. Undefined: there is none. */
  logFile(upid: string): string | undefined {
    const parts = parseUpid(upid);
    const path = parts === undefined ? undefined : this.#logPath(upid, parts);
    // Proxmox's directories belong to www-data: a link of theirs must not show a file of root's.
    return path !== undefined && lstatSync(path, { throwIfNoEntry: false })?.isFile() === true
      ? path
      : undefined;
  }

  /** How a task ended by its log, and when it was last written; undefined: there is no log. */
  outcomeOf(upid: string, parts: Upid) {
    let fd: number;
    try {
      fd = openSync(this.#logPath(upid, parts), constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (isCode(error, "ENOENT")) return undefined;
      throw error;
    }
    try {
      const { size, mtimeMs } = fstatSync(fd);
      const bytes = new Uint8Array(Math.min(size, lastLineBytesMax));
      const length = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
      const text = new TextDecoder().decode(bytes.subarray(0, length)).trimEnd();
      const status = statusOfLastLine(text.slice(text.lastIndexOf("\n") + 1));
      return { status, endTime: Math.floor(mtimeMs / 1000) };
    } finally {
      closeSync(fd);
    }
  }

  /** Ended tasks, oldest first. */
  readIndex(): TaskEntry[] {
    return [...readIndex(this.#readList("index.1")), ...readIndex(this.#readList("index"))];
  }

  readActive(): TaskEntry[] {
    return readActive(this.#readList("active"));
  }

  /** Adds to the index; the logs of tasks that are too old for it go. */
  appendIndex(entry: TaskEntry): void {
    mkdirSync(this.#directory, { recursive: true, mode: directoryMode });
    const index = join(this.#directory, "index");
    if ((statSync(index, { throwIfNoEntry: false })?.size ?? 0) > indexBytesMax) {
      const forgotten = readIndex(this.#readList("index.1"));
      renameSync(index, `${index}.1`);
      const kept = new Set(this.readIndex().map(({ upid }) => upid));
      for (const { upid, parts } of forgotten) {
        if (!kept.has(upid)) rmSync(this.#logPath(upid, parts), { force: true });
      }
    }
    appendFileSync(index, writeIndexLine(entry), { mode: fileMode });
  }

  /**
   * Replaces the list of active tasks by what `change` makes of it. False: somebody else, such as Proxmox's daemon, is changing it at
   * the moment; nothing was done.
   */
  changeActive(change: (entries: readonly TaskEntry[]) => readonly TaskEntry[]): boolean {
    mkdirSync(this.#directory, { recursive: true, mode: directoryMode });
    const locked = lockFile(join(this.#directory, ".active.lock"));
    if (!locked.ok) {
      if (locked.call === "flock") return false;
      throw new Error(`${join(this.#directory, ".active.lock")} cannot be opened`);
    }
    try {
      const text = writeActive(change(this.readActive()));
      const active = join(this.#directory, "active");
      replaceDurably(active, new TextEncoder().encode(text), fileMode);
      return true;
    } finally {
      closeFd(locked.fd);
    }
  }

  #logPath(upid: string, parts: Upid): string {
    return join(this.#directory, logPathOf(upid, parts));
  }

  #readList(name: string): string {
    const path = join(this.#directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || stat.size > listBytesMax) return "";
    return readFileSync(path, "utf8");
  }
}

/** The whole text, then to the disk when `isFinal`. */
export function writeLog(fd: number, text: string, isFinal: boolean): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
  if (isFinal) fsyncSync(fd);
}

/** A killed writer may have left half a line. */
function endLine(fd: number): void {
  const { size } = fstatSync(fd);
  const last = new Uint8Array(1);
  if (size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a) writeSync(fd, "\n");
}

async function openIfThere(path: string) {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
