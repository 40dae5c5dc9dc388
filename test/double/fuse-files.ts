// For tests and measurements only: a small tree in memory that keeps the contract of `Files`. It can hold
// changes back, and refuse them as a node without quorum does.
import { systemClock } from "../../src/deadlines.ts";
import { Gathering } from "../../src/fs/gathering.ts";
import { directoryType, fileType } from "../../src/fs/tree/entry.ts";
import type {
  Files,
  FileStat,
  FileSystemStat,
  Gathered,
  Outcome,
} from "../../src/fs/tree/files.ts";
import type { Clock } from "../../src/world.ts";

interface Entry {
  readonly type: FileStat["type"];
  mtime: number;
  data: Uint8Array;
  readonly target: string;
}

const FILE_BYTES_MAX = 1_048_576;

const fine = { ok: true, value: undefined } as const;

function refused(errno: Extract<Outcome<never>, { ok: false }>["errno"]) {
  return { ok: false, errno, reason: `${errno} of the test tree` } as const;
}

export class TestingFiles implements Files {
  readonly entries = new Map<string, Entry>([["", directory()]]);
  /** Paths whose text is made anew by each read. */
  readonly generated = new Map<string, () => string>();
  /** Changes wait for this. */
  changesWait: Promise<void> = Promise.resolve();
  isQuorate = true;
  /** What was received and not yet seen. */
  catchUp: () => Promise<void> = () => Promise.resolve();
  /** Sizes of the writes that came, in order. */
  readonly writes: number[] = [];
  readonly #gathering: Gathering;
  losses = 0;

  constructor(clock: Clock = systemClock) {
    this.#gathering = new Gathering({
      ...{ clock, wallS: now },
      send: ({ path, offset, data }, executed) => this.#write(path, offset, data, executed),
    });
  }

  /** With what was gathered for it. */
  #content(path: string, { type, data, mtime }: Entry): Uint8Array {
    const number = type === "file" ? fileType : directoryType;
    const head = { inode: 2, parent: 0, version: 2, writer: 0, name: "" };
    return this.#gathering.ahead(path, { ...head, type: number, data, mtime }).data;
  }

  #parentProblem(path: string): Extract<Outcome<never>, { ok: false }> | undefined {
    const parent = this.entries.get(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
    if (parent === undefined) return refused("ENOENT");
    return parent.type === "directory" ? undefined : refused("ENOTDIR");
  }

  async #change<T>(change: () => Outcome<T>): Promise<Outcome<T>> {
    if (!this.isQuorate) return refused("EACCES");
    await this.changesWait;
    return change();
  }

  stat(path: string): Outcome<FileStat> {
    const text = this.generated.get(path);
    if (text !== undefined) {
      const size = text().length;
      const stat = {
        type: "file",
        mode: 0o440,
        size,
        mtime: 0,
        links: 1,
        version: 0,
        generated: true,
      } as const;
      return { ok: true, value: stat };
    }
    const entry = this.entries.get(path);
    if (entry === undefined) return this.#parentProblem(path) ?? refused("ENOENT");
    const { type, mtime } = entry;
    const isDirectory = type === "directory";
    const quorateMode = isDirectory || type === "symlink" ? 0o755 : 0o640;
    return {
      ok: true,
      value: {
        type,
        mode: this.isQuorate || path === "" ? quorateMode : quorateMode & 0o555,
        size: type === "symlink" ? entry.target.length : this.#content(path, entry).length,
        mtime,
        links: isDirectory ? 2 : 1,
        version: 0,
        generated: false,
      },
    };
  }

  list(path: string): Outcome<readonly { readonly name: string; readonly stat: FileStat }[]> {
    if (this.entries.get(path)?.type !== "directory") return refused("ENOTDIR");
    const start = path === "" ? "" : `${path}/`;
    const listed: { name: string; stat: FileStat }[] = [];
    for (const other of [...this.generated.keys(), ...this.entries.keys()]) {
      const name = other.slice(start.length);
      if (other === "" || !other.startsWith(start) || name.includes("/")) continue;
      const stat = this.stat(other);
      if (stat.ok) listed.push({ name, stat: stat.value });
    }
    return { ok: true, value: listed };
  }

  read(path: string): Outcome<Uint8Array> {
    const text = this.generated.get(path);
    if (text !== undefined) return { ok: true, value: new TextEncoder().encode(text()) };
    const entry = this.entries.get(path);
    if (entry === undefined) return refused("ENOENT");
    if (entry.type !== "file") return refused("EISDIR");
    return { ok: true, value: this.#content(path, entry) };
  }

  readlink(path: string): Outcome<string> {
    const entry = this.entries.get(path);
    return entry?.type === "symlink" ? { ok: true, value: entry.target } : refused("EINVAL");
  }

  statfs(): FileSystemStat {
    return {
      blockSize: 4096,
      blocks: 32_768,
      blocksFree: 32_000,
      files: 262_144,
      filesFree: 262_144 - this.entries.size,
      nameMax: 256,
    };
  }

  caughtUp(): Promise<void> {
    return this.catchUp();
  }

  mkdir(path: string): Promise<Outcome<undefined>> {
    return this.#add(path, directory());
  }
  create(path: string): Promise<Outcome<undefined>> {
    return this.#add(path, { ...directory(), type: "file" });
  }
  symlink(path: string, target: string): void {
    this.entries.set(path, { ...directory(), type: "symlink", target });
  }
  #add(path: string, entry: Entry): Promise<Outcome<undefined>> {
    return this.#change(() => {
      const problem = this.#parentProblem(path);
      if (problem !== undefined) return problem;
      if (this.entries.has(path) || this.generated.has(path)) return refused("EEXIST");
      this.entries.set(path, entry);
      return fine;
    });
  }

  write(path: string, offset: number, data: Uint8Array): Promise<Outcome<number>> {
    this.#gathering.send(path);
    return this.#write(path, offset, data, () => undefined);
  }

  gather(
    path: string,
    offset: number,
    data: Uint8Array,
  ): Outcome<Gathered> | Promise<Outcome<Gathered>> {
    if (!this.isQuorate) return refused("EACCES");
    const stat = this.stat(path);
    if (!stat.ok) return stat;
    if (stat.value.generated) return refused("EIO");
    if (offset + data.length > FILE_BYTES_MAX) return refused("EFBIG");
    const gathered = this.#gathering.add(path, offset, data);
    if (!(gathered instanceof Promise)) return { ok: true, value: gathered };
    return gathered.then((value) => ({ ok: true, value }));
  }

  async replace(path: string, data: Uint8Array): Promise<Outcome<undefined>> {
    this.#gathering.send(path);
    const stat = this.stat(path);
    if (stat.ok && stat.value.type === "directory") return refused("EISDIR");
    if (data.length > FILE_BYTES_MAX) return refused("EFBIG");
    return this.#change(() => {
      const problem = this.#parentProblem(path);
      if (problem !== undefined) return problem;
      this.entries.set(path, { ...directory(), type: "file", data: data.slice() });
      return fine;
    });
  }

  #write(
    path: string,
    offset: number,
    data: Uint8Array,
    executed: () => void,
  ): Promise<Outcome<number>> {
    return this.#change(() => {
      executed();
      const entry = this.entries.get(path);
      if (entry === undefined) return this.generated.has(path) ? refused("EIO") : refused("ENOENT");
      const end = offset + data.length;
      if (end > FILE_BYTES_MAX) return refused("EFBIG");
      const content = new Uint8Array(Math.max(end, entry.data.length));
      content.set(entry.data);
      content.set(data, offset);
      entry.data = content;
      entry.mtime = now();
      this.writes.push(data.length);
      return { ok: true, value: data.length };
    });
  }

  truncate(path: string, size: number): Promise<Outcome<undefined>> {
    this.#gathering.send(path);
    return this.#change(() => {
      const entry = this.entries.get(path);
      if (entry === undefined) return this.generated.has(path) ? refused("EIO") : refused("ENOENT");
      if (size > FILE_BYTES_MAX) return refused("EFBIG");
      const content = new Uint8Array(size);
      content.set(entry.data.subarray(0, size));
      entry.data = content;
      return fine;
    });
  }

  #isEmpty(path: string): boolean {
    const listed = this.entries.get(path)?.type === "directory" ? this.list(path) : undefined;
    return listed === undefined || !listed.ok || listed.value.length === 0;
  }

  remove(path: string): Promise<Outcome<undefined>> {
    this.#gathering.send(path);
    return this.#change(() => {
      if (this.generated.has(path)) return refused("EACCES");
      if (!this.entries.has(path)) return refused("ENOENT");
      if (!this.#isEmpty(path)) return refused("ENOTEMPTY");
      this.entries.delete(path);
      return fine;
    });
  }

  rename(from: string, to: string): Promise<Outcome<undefined>> {
    this.#gathering.send(from);
    this.#gathering.send(to);
    return this.#change(() => {
      if (this.generated.has(from) || this.generated.has(to)) return refused("EACCES");
      const entry = this.entries.get(from);
      if (entry === undefined) return refused("ENOENT");
      const problem = this.#parentProblem(to);
      if (problem !== undefined) return problem;
      if (!this.#isEmpty(from) || !this.#isEmpty(to)) return refused("ENOTEMPTY");
      this.entries.delete(from);
      this.entries.set(to, entry);
      return fine;
    });
  }

  /** Asked for so often, by what was asked for. */
  readonly syncs = { held: 0, durable: 0 };

  async sync(
    promised: "held" | "durable" = "durable",
    since?: number,
  ): Promise<Outcome<undefined>> {
    this.syncs[promised] += 1;
    if (promised === "durable") await this.#gathering.settled();
    if (since !== undefined && since !== this.losses) return refused("EIO");
    return this.#change(() => fine);
  }

  setMtime(path: string, seconds: number): Promise<Outcome<undefined>> {
    this.#gathering.send(path);
    return this.#change(() => {
      const entry = this.entries.get(path);
      if (path === "" || entry === undefined) return refused("EACCES");
      // On a lock a time only goes forward (pmxcfs.md §2.9).
      if (path.startsWith("priv/lock/") && seconds < entry.mtime) return refused("EACCES");
      entry.mtime = seconds;
      return fine;
    });
  }

  chmod(path: string, mode: number): Outcome<undefined> {
    if (!this.entries.has(path)) return refused("ENOENT");
    return mode === 0o640 ? fine : refused("EPERM");
  }

  chown(path: string, uid: number | undefined): Outcome<undefined> {
    if (!this.entries.has(path)) return refused("ENOENT");
    return uid === undefined || uid === 0 ? fine : refused("EPERM");
  }
}

function directory(): Entry {
  return { type: "directory", mtime: now(), data: new Uint8Array(0), target: "" };
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
