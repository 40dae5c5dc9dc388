// The recorded deliveries of real pmxcfs daemons (pmxcfs-*.jsonl): reading them, and a tree of which only digests are known,
// so that a recorded node can be played without its file contents.
import { readdirSync, readFileSync } from "node:fs";
import { type Decoded, decoded } from "../../src/bytes.ts";
import type { ReplicatedTree } from "../../src/fs/replica/dcdb.ts";
import {
  type ApplyResult,
  directoryType,
  fileType,
  type TreeEntry,
  type TreeOperation,
} from "../../src/fs/tree/entry.ts";
import {
  decodeIndex,
  decodeMessage,
  type Message,
  type TreeIndex,
} from "../../src/fs/replica/message.ts";
import { Tree } from "../../src/fs/tree/tree.ts";
import type { GroupEvent, GroupReason } from "../../src/world.ts";
import { hexOf, sha256 } from "../fs/tree-group.ts";

const folder = new URL(".", import.meta.url).pathname;

export interface Recorded {
  readonly seq: number;
  readonly step: string;
  readonly t: number;
  readonly observer: number;
  readonly ev: "confchg" | "deliver";
  readonly group: string;
  readonly members: [number, number][];
  readonly left: { nodeid: number; pid: number; reason: GroupReason }[];
  readonly joined: { nodeid: number; pid: number; reason: GroupReason }[];
  readonly nodeid: number;
  readonly pid: number;
  readonly len: number;
  readonly hex: string;
  readonly tail?: { byte: number; count: number };
  /** The meaning as the recorder's own decoder wrote it. */
  readonly decoded: Said;
}

export interface SaidLogEntry {
  readonly pos: number;
  readonly uid: number;
  readonly time: number;
  readonly node_digest: string;
  readonly ident_digest: string;
  readonly pid: number;
  readonly priority: number;
  readonly node: string;
  readonly ident: string;
  readonly tag: string;
  readonly msg: string;
}

export interface SaidInode {
  readonly parent: number;
  readonly inode: number;
  readonly version: number;
  readonly writer: number;
  readonly mtime: number;
  readonly size: number;
  readonly type: 4 | 8;
  readonly name: string;
  readonly data: string;
  readonly index_digest: string;
}

/** The recorder's names; a message has those of its type. */
export interface Said {
  readonly type_name: string;
  readonly subtype: number;
  readonly protocol_version: number;
  readonly time: number;
  readonly count: number;
  readonly op: string;
  readonly size: number;
  readonly offset: number;
  readonly flags: number;
  readonly path: string;
  readonly to: string;
  readonly data: string;
  readonly csum: string;
  readonly csum_id: number;
  readonly key: string;
  readonly entry: SaidLogEntry;
  readonly epoch: { epoch: number; time: number; nodeid: number; pid: number };
  readonly inode: SaidInode;
  readonly index: {
    readonly version: number;
    readonly last_inode: number;
    readonly writer: number;
    readonly mtime: number;
    readonly size: number;
    readonly entries: [number, string][];
  };
  readonly clog: { readonly entries: readonly SaidLogEntry[] };
}

export const recordings = readdirSync(folder)
  .filter((name) => /^pmxcfs-.*\.jsonl$/.test(name))
  .toSorted();

export function eventsOf(recording: string): Recorded[] {
  const lines = readFileSync(`${folder}${recording}`, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Recorded);
}

export function bytesOfEvent(event: Recorded): Uint8Array {
  const head = Buffer.from(event.hex, "hex");
  const bytes = new Uint8Array(head.length + (event.tail?.count ?? 0));
  bytes.set(head);
  bytes.fill(event.tail?.byte ?? 0, head.length);
  return bytes;
}

export function messageOf(event: Recorded): Message {
  const read = decodeMessage(bytesOfEvent(event));
  if (!read.ok) throw new Error(`${event.seq}: ${read.reason}`);
  return read.value;
}

export function value<T>(read: { ok: true; value: T } | { ok: false; reason: string }): T {
  if (!read.ok) throw new Error(read.reason);
  return read.value;
}

/** As our group layer would report it. */
export function groupEventOf(event: Recorded): GroupEvent {
  const group = `${event.group}\0`;
  if (event.ev === "deliver") {
    const { nodeid, pid } = event;
    return { kind: "delivered", group, nodeid, pid, message: bytesOfEvent(event) };
  }
  const members = event.members.map(([nodeid, pid]) => ({ nodeid, pid }));
  return { kind: "configured", group, members, left: event.left, joined: event.joined };
}

/** What is known of entries of a recorded tree besides their digests. */
export interface Known {
  readonly entries?: readonly TreeEntry[];
  /** Names of root's files of which only the digest is known. */
  readonly names?: ReadonlyMap<number, string>;
  /** Other inodes that must be directories. */
  readonly directories?: ReadonlySet<number>;
}

const placeholderVersion = 1;

/** A real `Tree` in which unknown objects are placeholders that keep their recorded digest until they are changed. */
export class DigestTree implements ReplicatedTree {
  readonly #tree: Tree;
  readonly #digests: ReadonlyMap<number, Uint8Array>;

  private constructor(tree: Tree, digests: ReadonlyMap<number, Uint8Array>) {
    this.#tree = tree;
    this.#digests = digests;
  }

  static ofState(body: Uint8Array, known: Known = {}): DigestTree {
    const index = decodeIndex(body);
    if (!index.ok) throw new Error(index.reason);
    const entries = new Map((known.entries ?? []).map((entry) => [entry.inode, entry]));
    const digests = new Map<number, Uint8Array>();
    const rows: TreeEntry[] = [];
    for (const { inode, digest } of index.value.entries) {
      const entry = entries.get(inode);
      if (entry === undefined && inode !== 0) digests.set(inode, digest.slice());
      rows.push(entry ?? (inode === 0 ? rootOf(index.value) : placeholder(inode, known)));
    }
    const tree = Tree.load(rows, { sha256, rootName: "" });
    if (!tree.ok) throw new Error(tree.reason);
    return new DigestTree(tree.value, digests);
  }

  static load(rows: readonly TreeEntry[], before: DigestTree): Decoded<DigestTree> {
    const tree = Tree.load(rows, { sha256, rootName: "" });
    return tree.ok ? decoded(new DigestTree(tree.value, before.#digests)) : tree;
  }

  get version(): number {
    return this.#tree.version;
  }
  get writer(): number {
    return this.#tree.writer;
  }
  get mtime(): number {
    return this.#tree.mtime;
  }
  entries(): readonly TreeEntry[] {
    return this.#tree.entries();
  }
  byInode(inode: number): TreeEntry | undefined {
    return this.#tree.byInode(inode);
  }
  lookup(path: string): TreeEntry | undefined {
    return this.#tree.lookup(path);
  }
  digest(inode: number): Uint8Array | undefined {
    const recorded = this.#digests.get(inode);
    const entry = this.#tree.byInode(inode);
    const isUntouched = entry?.version === placeholderVersion && recorded !== undefined;
    return isUntouched ? recorded : this.#tree.digest(inode);
  }
  entryChecksum(inode: number): Uint8Array | undefined {
    return this.#tree.entryChecksum(inode);
  }
  checksum(): Uint8Array {
    return this.#tree.checksum();
  }
  lockDirectories(): readonly { readonly path: string; readonly entry: TreeEntry }[] {
    return this.#tree.lockDirectories();
  }
  apply(operation: TreeOperation, writer: number, timeS: number): ApplyResult {
    return this.#tree.apply(operation, writer, timeS);
  }
}

export function rootOf(index: Pick<TreeIndex, "version" | "writer" | "mtime">): TreeEntry {
  const { version, writer, mtime } = index;
  const fixed = { inode: 0, parent: 0, type: directoryType, name: "" } as const;
  return { ...fixed, version, writer, mtime, data: new Uint8Array(0) };
}

function placeholder(inode: number, known: Known): TreeEntry {
  return {
    inode,
    parent: 0,
    version: placeholderVersion,
    writer: 0,
    mtime: 0,
    type: known.directories?.has(inode) === true ? directoryType : fileType,
    name: known.names?.get(inode) ?? `unknown-${inode}`,
    data: new Uint8Array(0),
  };
}

export { hexOf, sha256 };
