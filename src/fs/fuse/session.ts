// One mounted tree as the kernel sees it: FUSE requests in, calls of `Files` out, replies back (pmxcfs.md §2.2–2.6, §2.10).
// Reads (reads.ts) are answered at once. A change (edits.ts) is answered when `Files` says so, however late; others are served
// meanwhile. It knows no descriptor and no cluster; rules of the tree (limits, quorum, modes) belong to `Files`.
import { errnos } from "../../libc.ts";
import type { Level, Receipts } from "../../world.ts";
import type { Files } from "../tree/files.ts";
import {
  decodeBody,
  decodeHeader,
  initFlags2,
  protocolMajor,
  type InitRequest,
  type RequestBody,
  type Unique,
} from "./abi.ts";
import { Changes, type Reply } from "./changes.ts";
import { create, flush, fsync, make, remove, rename, setattr, write } from "./edits.ts";
import { keepLeft } from "./handles.ts";
import { changedElsewhere, type Node } from "./nodes.ts";
import { done, failure, Objects } from "./objects.ts";
import { getattr, lookup, open, opendir, read, readdir, readlink } from "./reads.ts";
import { encodeInit, encodeStatfs, typeBits } from "./reply.ts";

/** Bound the requests that wait for the cluster, and what they hold; beyond them the kernel's queue waits, and so its programs. */
const CHANGES_MAX = 4096;
const CHANGES_BYTES_MAX = 64 * 1024 * 1024;
const FORMAT_BITS = 0o170000;

export interface SessionOptions {
  readonly files: Files;
  /** Group of everything (the owner is root): www-data. */
  readonly gid: number;
  /** Writes one reply in one piece; false: the kernel no longer waits for it. */
  readonly send: (unique: Unique, errno: number, body: Uint8Array | undefined) => boolean;
  readonly log: (level: Level, text: string) => void;
  /** Of the ring thread, where the tree is replicated (cached.ts). */
  readonly receipts?: Receipts;
  /** INIT came; `refusal` is "" when the versions fit. */
  readonly onInit: (refusal: string) => void;
  /** For tests: milliseconds. */
  readonly now?: () => number;
  /** For tests: how long an interrupted request may still be answered. */
  readonly interruptGraceMs?: number;
}

type Answer = Reply | Promise<Reply> | undefined;

export class Session {
  readonly changes: Changes;
  readonly #options: SessionOptions;
  readonly #objects: Objects;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#objects = new Objects(options);
    const { interruptGraceMs } = options;
    this.changes = new Changes({
      reply: (unique, reply) => this.#send(unique, reply),
      countMax: CHANGES_MAX,
      bytesMax: CHANGES_BYTES_MAX,
      ...(interruptGraceMs === undefined ? {} : { interruptGraceMs }),
    });
  }

  /** What the kernel makes us remember. */
  snapshot(): { readonly nodes: number; readonly handles: number; readonly waiting: number } {
    const { nodes, handles } = this.#objects;
    return { nodes: nodes.size, handles: handles.size, waiting: this.changes.count };
  }

  /** Takes one request. `bytes` may be used again as soon as this returns. */
  handle(bytes: Uint8Array): void {
    const header = decodeHeader(bytes);
    if (!header.ok) {
      this.#options.log("error", `a FUSE request was not understood: ${header.reason}`);
      return;
    }
    const { opcode, unique, nodeid } = header.value;
    const body = decodeBody(opcode, bytes);
    if (!body.ok) return this.#send(unique, failure(errnos.EINVAL));
    const answer = this.#answer(nodeid, body.value);
    if (answer === undefined) return;
    if (!(answer instanceof Promise)) return this.#send(unique, answer);
    const bytesKept = body.value.kind === "write" ? body.value.data.length : 0;
    this.changes.add(unique, bytesKept, answer);
  }

  /** After a change of `path`: the message that makes the kernel ask anew, where that is for us to send (cached.ts). */
  changed(path: string, isOwn: boolean): Uint8Array | undefined {
    const { files, cached, late } = this.#objects;
    const node = this.#knownNode(path);
    if (node === undefined) return undefined;
    keepLeft(files, node, path);
    // A change through this mount the kernel follows by itself.
    if (isOwn && (node.changing > 0 || node.moving !== undefined)) {
      node.told = undefined;
      return undefined;
    }
    // What was gathered here has its pages in place already; its time may be another than was shown.
    if (isOwn && late.isGathering(node)) node.told = undefined;
    else changedElsewhere(node);
    return cached.changed(node);
  }

  /** The same for all nodes. Each counts as changed when this returns, so that no answer meanwhile looks like the one before. */
  allChanged(): IterableIterator<Uint8Array> {
    const { nodes, files, cached } = this.#objects;
    const messages: Uint8Array[] = [];
    for (const node of nodes.known()) {
      const path = nodes.path(node);
      if (path !== undefined) keepLeft(files, node, path);
      changedElsewhere(node);
      const message = cached.changed(node);
      if (message !== undefined) messages.push(message);
    }
    return messages.values();
  }

  #knownNode(path: string): Node | undefined {
    const { nodes } = this.#objects;
    let node: Node | undefined = nodes.root;
    for (const name of path === "" ? [] : path.split("/")) {
      node = node === undefined ? undefined : nodes.child(node, name);
    }
    return node === undefined || (node.lookups === 0 && node !== nodes.root) ? undefined : node;
  }

  #send(unique: Unique, reply: Reply): void {
    if (!this.#options.send(unique, reply.errno, reply.body)) reply.undelivered?.();
  }

  #answer(nodeid: number, body: RequestBody): Answer {
    const objects = this.#objects;
    switch (body.kind) {
      case "init":
        return this.#init(body.init);
      case "forget":
        for (const node of body.nodes) objects.nodes.forget(node.nodeid || nodeid, node.count);
        return undefined;
      case "interrupt":
        this.changes.interrupt(body.unique);
        return undefined;
      case "read":
        return read(objects, body);
      case "write":
        return write(objects, body);
      case "readdir":
        return readdir(objects, body);
      case "release":
      case "releasedir":
        objects.handles.close(body.fh);
        return done;
      case "statfs":
        return { errno: 0, body: encodeStatfs(objects.files.statfs()) };
      case "fsync":
        return fsync(objects, body.fh);
      case "flush":
        return flush(objects, body.fh);
      case "destroy":
        return done;
      case "link":
        return failure(errnos.EPERM);
      case "unsupported":
        return failure(errnos.ENOSYS);
      default: {
        const node = objects.nodes.get(nodeid);
        return node === undefined ? failure(errnos.ESTALE) : onNode(objects, node, body);
      }
    }
  }

  #init(request: InitRequest): Reply {
    const body = encodeInit(request);
    if (body === undefined) {
      const version = `${request.major}.${request.minor}`;
      this.#options.onInit(`the kernel speaks FUSE ${version}, which is too old`);
      return failure(errnos.EINVAL);
    }
    this.#objects.mapsDirect = (request.flags2 & initFlags2.directIoAllowMmap) !== 0;
    // A kernel with a newer major version asks again with ours.
    if (request.major === protocolMajor) this.#options.onInit("");
    return { errno: 0, body };
  }
}

type NodeRequest = Extract<
  RequestBody,
  {
    kind:
      | "lookup"
      | "getattr"
      | "setattr"
      | "readlink"
      | "open"
      | "opendir"
      | "create"
      | "mknod"
      | "mkdir"
      | "remove"
      | "rename";
  }
>;

/** Requests about the node that their header names. */
function onNode(objects: Objects, node: Node, body: NodeRequest): Answer {
  switch (body.kind) {
    case "lookup":
      return lookup(objects, node, body.name);
    case "getattr":
      return getattr(objects, node, body.byHandle);
    case "setattr":
      return setattr(objects, node, body.change);
    case "readlink":
      return readlink(objects, node);
    case "open":
      return open(objects, node, body.mayWrite);
    case "opendir":
      return opendir(objects, node);
    case "create":
      return create(objects, node, body);
    case "mknod": {
      const format = body.mode & FORMAT_BITS;
      if (format !== typeBits("file") && format !== 0) return failure(errnos.ENOSYS);
      return make(objects, node, body);
    }
    case "mkdir":
      return make(objects, node, body);
    case "remove":
      return remove(objects, node, body.name);
    case "rename":
      return rename(objects, node, body);
  }
  return body satisfies never;
}
