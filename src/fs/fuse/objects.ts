// What reads and edits of a session share: the node table, the open handles, and how an object is shown to the kernel
// (owner root:www-data, times and blocks as pmxcfs.md §2.4).
import { errnos } from "../../libc.ts";
import type { Level } from "../../world.ts";
import type { Files, FileStat, Outcome } from "../tree/files.ts";
import type { Receipts } from "../../world.ts";
import { CachedAttributes } from "./cached.ts";
import type { Reply } from "./changes.ts";
import { Handles } from "./handles.ts";
import { LateWrites } from "./late-writes.ts";
import { NodeTable, type Node } from "./nodes.ts";
import { encodeAttributes, encodeEntry, typeBits, type Attributes, type Entry } from "./reply.ts";

const BLOCK_BYTES = 4096;
const REFUSAL_LOG_MS = 10_000;

export interface ObjectsOptions {
  readonly files: Files;
  /** Group of everything (the owner is root): www-data. */
  readonly gid: number;
  readonly log: (level: Level, text: string) => void;
  /** Of the ring thread, where the tree is replicated. */
  readonly receipts?: Receipts;
  /** For tests: milliseconds. */
  readonly now?: () => number;
}

export const done: Reply = { errno: 0 };

export function failure(errno: number): Reply {
  return { errno };
}

export class Objects {
  readonly files: Files;
  readonly nodes = new NodeTable();
  readonly handles = new Handles(this.nodes);
  readonly cached: CachedAttributes;
  readonly late: LateWrites;
  /** The kernel maps files that were opened with direct I/O; Linux 6.6. */
  mapsDirect = false;
  readonly #options: ObjectsOptions;
  #refusalLoggedAt = -REFUSAL_LOG_MS;

  constructor(options: ObjectsOptions) {
    this.files = options.files;
    const { receipts, now = () => performance.now() } = options;
    this.cached = new CachedAttributes({ receipts, now });
    this.late = new LateWrites(options.files);
    this.#options = options;
  }

  /** The path of a name in a directory; undefined when the directory itself lost its path. */
  childPath(parent: Node, name: string): string | undefined {
    const path = this.nodes.path(parent);
    if (path === undefined) return undefined;
    return path === "" ? name : `${path}/${name}`;
  }

  attributes(node: Node, stat: FileStat): Attributes {
    return {
      ino: node.id,
      size: stat.size,
      blocks: stat.type === "file" ? Math.ceil(stat.size / BLOCK_BYTES) : 0,
      time: stat.mtime,
      timeNs: node.changedElsewhere,
      mode: typeBits(stat.type) | stat.mode,
      links: stat.links,
      uid: 0,
      gid: this.#options.gid,
    };
  }

  /** The node of a name that exists, counted as told to the kernel. */
  entry(parent: Node, name: string, stat: FileStat): Entry & { readonly node: Node } {
    const node = this.nodes.found(parent, name, stat.type);
    this.nodes.remember(node);
    return { node, nodeid: node.id, attributes: this.attributes(node, stat) };
  }

  /** Whether the kernel has known this state of a file for a while (cached.ts). */
  isSettled(node: Node, stat: FileStat): boolean {
    return this.cached.isSettled(node, this.attributes(node, stat));
  }

  /** Attributes of `path` that the kernel asked for. */
  attributesReply(node: Node, path: string, stat: FileStat): Reply {
    const attributes = this.attributes(node, stat);
    // A generated file changes without any change of the tree.
    if (stat.type === "file" && stat.generated) {
      return { errno: 0, body: encodeAttributes(attributes, 0) };
    }
    const content = stat.type === "file" ? this.files.read(path) : undefined;
    const validS = this.cached.validS(node, attributes, content?.ok ? content.value : undefined);
    return { errno: 0, body: encodeAttributes(attributes, validS) };
  }

  entryReply(parent: Node, name: string, stat: FileStat): Reply {
    const entry = this.entry(parent, name, stat);
    const undelivered = () => this.nodes.forget(entry.nodeid, 1);
    return { errno: 0, body: encodeEntry(entry), undelivered };
  }

  /** A change that the tree refused. What an operator should know is logged, once in ten seconds at most. */
  refused(outcome: Extract<Outcome<unknown>, { ok: false }>): Reply {
    const { errno, reason } = outcome;
    if (errno === "EACCES" || errno === "EBUSY" || errno === "EIO") {
      const now = performance.now();
      if (now - this.#refusalLoggedAt >= REFUSAL_LOG_MS) {
        this.#refusalLoggedAt = now;
        this.#options.log("notice", `a change of the tree was refused (${errno}): ${reason}`);
      }
    }
    return failure(errnos[errno]);
  }
}
