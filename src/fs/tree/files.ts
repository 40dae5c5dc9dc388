// The tree as its users see it (FUSE, API, command line): paths in, results or errno out. Rules: pmxcfs.md §2.
// Paths are byte strings without a leading slash; "" is the root.

export type Errno =
  | "EACCES"
  | "EBUSY"
  | "EEXIST"
  | "EFBIG"
  | "EINVAL"
  | "EIO"
  | "EISDIR"
  | "ENAMETOOLONG"
  | "ENOENT"
  | "ENOSYS"
  | "ENOTDIR"
  | "ENOTEMPTY"
  | "EPERM";

/** A result, or an errno with a sentence for the operator that says what happened and what to do. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errno: Errno; readonly reason: string };

export interface FileStat {
  readonly type: "directory" | "file" | "symlink";
  /** Permission bits only (0o640, …); they show the quorum state (pmxcfs.md §2.4). */
  readonly mode: number;
  /** Bytes; for a symlink the length of its target. */
  readonly size: number;
  /** Unix seconds; 0 for the root and generated objects. */
  readonly mtime: number;
  readonly links: number;
  /** Of the tree when the object was last changed, the same on all nodes; 0 for the root and generated objects. */
  readonly version: number;
  /** True for the synthetic names of the root. */
  readonly generated: boolean;
}

export interface FileSystemStat {
  readonly blockSize: number;
  readonly blocks: number;
  readonly blocksFree: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameMax: number;
}

/**
 * When a change is answered. ordered: it was carried out here, in its place of the order of all nodes, in a synchronised and quorate tree.
 * held: every member has received it. durable: the disks of a majority of the votes have it, and all that was answered here before (where
 * originals, which cannot say what theirs have, are in the ring: this disk, and held).
 */
export type Promised = "ordered" | "held" | "durable";

/** A write that was answered before it was sent. */
export interface Gathered {
  /** Sends it now, if it was not. */
  readonly send: () => void;
  /** What became of it, once the tree has it (bytes written, of all that it was joined with) or has refused it. */
  readonly done: Promise<Outcome<number>>;
}

/** Reads are answered at once from memory; changes resolve once what was promised holds, and that is `durable` where nothing is said. */
export interface Files {
  stat(path: string): Outcome<FileStat>;
  /** Names of a directory, without "." and "..". */
  list(path: string): Outcome<readonly { readonly name: string; readonly stat: FileStat }[]>;
  /** Whole content of a stored or generated file. The bytes must not be changed. */
  read(path: string): Outcome<Uint8Array>;
  readlink(path: string): Outcome<string>;
  statfs(): FileSystemStat;

  /** Resolves once what follows sees all changes that this node has received so far: those that a writer elsewhere got an answer for. */
  caughtUp(): Promise<void>;

  mkdir(path: string): Promise<Outcome<undefined>>;
  create(path: string, promised?: Promised): Promise<Outcome<undefined>>;
  /** Writes at `offset`; resolves with the number of bytes. */
  write(
    path: string,
    offset: number,
    data: Uint8Array,
    promised?: Promised,
  ): Promise<Outcome<number>>;
  /**
   * The same, answered at once and seen by all readers of this node: those that adjoin leave as one, a moment later, or when somebody asks
   * for it, or before any other change of the file. What can be refused now is; a promise when too much waits.
   */
  gather(
    path: string,
    offset: number,
    data: Uint8Array,
  ): Outcome<Gathered> | Promise<Outcome<Gathered>>;
  /** The whole file at once, which is made if it is not there: no reader on any node sees less than the old or the new content. */
  replace(path: string, data: Uint8Array, promised?: Promised): Promise<Outcome<undefined>>;
  truncate(path: string, size: number, promised?: Promised): Promise<Outcome<undefined>>;
  /** unlink and rmdir are one operation here; the kernel (or the caller) has checked the type. */
  remove(path: string): Promise<Outcome<undefined>>;
  rename(from: string, to: string): Promise<Outcome<undefined>>;
  setMtime(path: string, seconds: number, promised?: Promised): Promise<Outcome<undefined>>;
  /**
   * Resolves once all that was answered here so far is `durable` (default) or `held`, refused when that cannot be said any more. `since`:
   * what `losses` was at the caller's first change, who is told of any loss since; without, it is all of this node, and a loss is told once.
   */
  sync(promised?: "held" | "durable", since?: number): Promise<Outcome<undefined>>;
  /** How often a tree of another part has replaced this one, which had something that the other lacks. */
  readonly losses: number;
  /** No state changes: pmxcfs.md §2.5 says which values are accepted. */
  chmod(path: string, mode: number): Outcome<undefined>;
  chown(path: string, uid: number | undefined, gid: number | undefined): Outcome<undefined>;
}

/** What the node shows its operator of the tree. */
export interface TreeStatus {
  readonly mode: "local" | "starting" | "synchronising" | "synced" | "updating" | "left" | "error";
  readonly writable: boolean;
  /** Why it is not writable, as a sentence; "" when it is. */
  readonly reason: string;
  readonly version: number;
  readonly entries: number;
  readonly bytes: number;
  /** Hex SHA-256 over the whole tree (the verification checksum of pmxcfs.md §4.11). */
  readonly digest: string;
  /** Changes delivered and stored since start. */
  readonly writes: number;
  /** nodeids in the dcdb group. */
  readonly members: readonly number[];
  /** The last comparison with the tree of the lowest nodeid, Unix seconds: soon after each state exchange, then hourly. Absent: none yet. */
  readonly verified?: {
    readonly at: number;
    readonly equal: boolean;
    /** Of the tree that was compared; another than `digest` after a change. */
    readonly digest: string;
  };
  /** What an answered change may count on; absent in local mode. */
  readonly promise?: {
    /** Number of the epoch that this disk's tree is of; 0: of none yet. */
    readonly epoch: number;
    /** The members have agreed on it; no write is answered before. */
    readonly isAgreed: boolean;
    /** nodeids of members that cannot say what their disks have: originals, and nodes that do not flush. Empty: a majority's disks count. */
    readonly silent: readonly number[];
  };
}
