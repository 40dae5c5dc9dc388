// Requests that change the tree (pmxcfs.md §2.2, §2.5, §2.6): each awaits `Files`, then brings the node table up to date.
// What is removed or replaced here while it is open stays readable through its handles.
import { errnos } from "../../libc.ts";
import type { Gathered, Outcome, Promised } from "../tree/files.ts";
import type { AttributeChange, RequestBody } from "./abi.ts";
import type { Reply } from "./changes.ts";
import { keepContent, keepLeft, resizeKept, writeKept } from "./handles.ts";
import { changedElsewhere, type Node } from "./nodes.ts";
import { done, failure, type Objects } from "./objects.ts";
import { attributesOfRemoved, getattr, lookup } from "./reads.ts";
import { encodeCreate, encodeWritten, openCached, openDirectIo } from "./reply.ts";

/** Mode, owner, size, times: in libfuse's order; the first refusal ends it. */
export async function setattr(
  objects: Objects,
  node: Node,
  change: AttributeChange,
): Promise<Reply> {
  const { files } = objects;
  const path = objects.nodes.path(node);
  if (path === undefined) {
    const errno = change.size === undefined ? 0 : resizeKept(node, change.size);
    if (errno !== 0) return failure(errno);
    return node.kept === undefined
      ? failure(errnos.ESTALE)
      : attributesOfRemoved(objects, node, node.kept);
  }
  const { size, mtime } = change;
  if (change.mode !== undefined) {
    const outcome = files.chmod(path, change.mode);
    if (!outcome.ok) return objects.refused(outcome);
  }
  if (change.uid !== undefined || change.gid !== undefined) {
    const outcome = files.chown(path, change.uid, change.gid);
    if (!outcome.ok) return objects.refused(outcome);
  }
  if (size !== undefined) {
    const outcome = await whileChanging(node, () => files.truncate(path, size, "ordered"));
    if (!outcome.ok) return objects.refused(outcome);
    objects.late.changed(node);
  }
  if (mtime !== undefined) {
    const outcome = await whileChanging(node, () => files.setMtime(path, mtime, "ordered"));
    if (!outcome.ok) return objects.refused(outcome);
    objects.late.changed(node);
  }
  // The kernel takes this answer whatever was withdrawn meanwhile: it is not to be kept.
  node.told = undefined;
  return getattr(objects, node, false);
}

/**
 * Gathered with those that adjoin, unless its place or its promise is a matter of the other nodes. `data` may be overwritten as soon as this
 * returns: it is copied. An append goes behind the end that the tree has: the kernel's offset leaves out what a peer appended since it last
 * asked; and it is answered when all members have it, so that the next one, wherever, comes behind it. Two nodes
 * that append at the same moment may still overwrite each other, as on pmxcfs: the offset travels with the write.
 */
export function write(
  objects: Objects,
  request: Extract<RequestBody, { kind: "write" }>,
): Reply | Promise<Reply> {
  const handle = objects.handles.file(request.fh);
  if (handle === undefined) return failure(errnos.EBADF);
  const { node } = handle;
  const { offset, append, isSync } = request;
  if (!append && !isSync) return gather(objects, node, { offset, data: request.data });
  const data = request.data.slice();
  const promised = isSync ? "durable" : "held";
  if (!append) return writeAt(objects, node, { offset, data, promised });
  return whileChanging(node, async () => {
    // A peer whose append was acknowledged is ahead: the bytes are on this node, perhaps still on their way to the tree.
    await objects.files.caughtUp();
    const path = objects.nodes.path(node);
    const stat = path === undefined ? undefined : objects.files.stat(path);
    const end = stat?.ok === true ? stat.value.size : offset;
    if (end !== offset) changedElsewhere(node);
    return writeAt(objects, node, { offset: end, data, promised });
  });
}

interface Piece {
  readonly offset: number;
  readonly data: Uint8Array;
}

function gather(objects: Objects, node: Node, { offset, data }: Piece): Reply | Promise<Reply> {
  const path = objects.nodes.path(node);
  if (path === undefined) return writeToKept(node, { offset, data });
  const { length } = data;
  node.changing += 1;
  const settle = (outcome: Outcome<Gathered>): Reply => {
    node.changing -= 1;
    if (!outcome.ok) return objects.refused(outcome);
    objects.late.gathered(node, outcome.value);
    // What it was told is of before; of this it knows by the answer.
    node.told = undefined;
    return { errno: 0, body: encodeWritten(length) };
  };
  const gathered = objects.files.gather(path, offset, data);
  return gathered instanceof Promise ? gathered.then(settle) : settle(gathered);
}

function writeToKept(node: Node, { offset, data }: Piece): Reply {
  const errno = writeKept(node, offset, data);
  return errno === 0 ? { errno: 0, body: encodeWritten(data.length) } : failure(errno);
}

function writeAt(
  objects: Objects,
  node: Node,
  { offset, data, promised }: Piece & { readonly promised: Promised },
): Reply | Promise<Reply> {
  const path = objects.nodes.path(node);
  if (path === undefined) return writeToKept(node, { offset, data });
  const work = (): Promise<Outcome<number>> => objects.files.write(path, offset, data, promised);
  return whileChanging(node, work).then((outcome) => {
    if (!outcome.ok) return objects.refused(outcome);
    objects.late.changed(node);
    return { errno: 0, body: encodeWritten(outcome.value) };
  });
}

/** close(2) of one descriptor: every member has then received what was written, or what became of it is told here. */
export function flush(objects: Objects, fh: number): Reply | Promise<Reply> {
  const handle = objects.handles.file(fh);
  if (handle === undefined || !handle.mayWrite) return done;
  const told = objects.late.held(handle);
  return told?.then((outcome) => (outcome.ok ? done : objects.refused(outcome))) ?? done;
}

/** Whatever was written here before is on the disks of a majority then, or what became of this handle's is told. */
export async function fsync(objects: Objects, fh: number): Promise<Reply> {
  const handle = objects.handles.file(fh);
  const outcome = await (handle === undefined
    ? objects.files.sync()
    : objects.late.durable(handle));
  return outcome.ok ? done : failure(errnos.EIO);
}

/** mkdir, and mknod of a regular file. */
export async function make(
  objects: Objects,
  parent: Node,
  request: { readonly name: string; readonly kind: "mkdir" | "mknod" },
): Promise<Reply> {
  const path = objects.childPath(parent, request.name);
  if (path === undefined) return failure(errnos.ENOENT);
  const { files } = objects;
  const outcome = await (request.kind === "mkdir"
    ? files.mkdir(path)
    : files.create(path, "ordered"));
  return outcome.ok ? lookup(objects, parent, request.name) : objects.refused(outcome);
}

/** A file that a peer made since the kernel looked is opened, as open(2) without O_EXCL wants it. */
export async function create(
  objects: Objects,
  parent: Node,
  request: Extract<RequestBody, { kind: "create" }>,
): Promise<Reply> {
  const { name } = request;
  const path = objects.childPath(parent, name);
  if (path === undefined) return failure(errnos.ENOENT);
  const { files } = objects;
  const made = await files.create(path, "ordered");
  // The tree also says EEXIST of a VMID that another guest has: then there is nothing to open.
  const isThere = !made.ok && made.errno === "EEXIST" && !request.exclusive && files.stat(path).ok;
  if (!made.ok && !isThere) return objects.refused(made);
  if (isThere && request.truncate) {
    // The kernel believes that the file is new, and leaves it as it is.
    const emptied = await files.truncate(path, 0, "ordered");
    if (!emptied.ok) return objects.refused(emptied);
  }
  const stat = files.stat(path);
  if (!stat.ok) return failure(errnos[stat.errno]); // A peer removed it at once.
  if (stat.value.type !== "file") return failure(errnos.EEXIST);
  const entry = objects.entry(parent, name, stat.value);
  const { generated } = stat.value;
  const fh = objects.handles.open(entry.node, {
    ...{ isGenerated: generated, isDirect: generated, mayWrite: true },
    refusalsTold: objects.late.refusals(entry.node),
  });
  if (!generated) keepLeft(files, entry.node, path);
  objects.late.changed(entry.node);
  const undelivered = () => {
    objects.handles.close(fh);
    objects.nodes.forget(entry.nodeid, 1);
  };
  const body = encodeCreate(entry, fh, generated ? openDirectIo : openCached);
  return { errno: 0, body, undelivered };
}

/** unlink and rmdir. */
export function remove(objects: Objects, parent: Node, name: string): Reply | Promise<Reply> {
  const path = objects.childPath(parent, name);
  if (path === undefined) return failure(errnos.ENOENT);
  const node = objects.nodes.child(parent, name);
  if (node !== undefined) keepContent(objects.files, node, path);
  return whileMoving(node, objects.files.remove(path), (outcome) => {
    if (outcome.ok) {
      if (node !== undefined) objects.nodes.removed(node);
      return done;
    }
    if (node !== undefined) node.kept = undefined;
    return objects.refused(outcome);
  });
}

export function rename(
  objects: Objects,
  parent: Node,
  request: Extract<RequestBody, { kind: "rename" }>,
): Reply | Promise<Reply> {
  if (request.flags !== 0) return failure(errnos.EINVAL);
  const { nodes } = objects;
  const targetParent = nodes.get(request.targetParent);
  if (targetParent === undefined) return failure(errnos.ESTALE);
  const from = objects.childPath(parent, request.name);
  const to = objects.childPath(targetParent, request.targetName);
  if (from === undefined || to === undefined) return failure(errnos.ENOENT);
  const node = nodes.child(parent, request.name);
  const replaced = nodes.child(targetParent, request.targetName);
  if (replaced !== undefined) keepContent(objects.files, replaced, to);
  return whileMoving(node, objects.files.rename(from, to), (outcome) => {
    if (!outcome.ok) {
      if (replaced !== undefined) replaced.kept = undefined;
      return objects.refused(outcome);
    }
    if (node !== undefined) nodes.moved(node, targetParent, request.targetName);
    else if (replaced !== undefined) nodes.removed(replaced);
    return done;
  });
}

/** Marks the node: the kernel knows of this change by its answer. Alone in its cluster a node makes it within the call. */
async function whileChanging<T>(node: Node, change: () => Promise<T>): Promise<T> {
  node.changing += 1;
  const outcome = await change();
  node.changing -= 1;
  node.told = undefined;
  return outcome;
}

/** Marks the node: between delivery and our answer its old name is already gone from the tree. */
async function whileMoving(
  node: Node | undefined,
  work: Promise<Outcome<undefined>>,
  settle: (outcome: Outcome<undefined>) => Reply,
): Promise<Reply> {
  if (node === undefined) return settle(await work);
  const moving = Promise.withResolvers<void>();
  node.moving = moving.promise;
  const reply = settle(await work);
  node.moving = undefined;
  moving.resolve();
  return reply;
}
