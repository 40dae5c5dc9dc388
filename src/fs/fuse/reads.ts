// Requests that change nothing: names, attributes, contents, listings (pmxcfs.md §2.2–2.4). Answered at once from `Files`.
import { bytesOf } from "../../bytes.ts";
import { errnos } from "../../libc.ts";
import type { Errno } from "../tree/files.ts";
import type { RequestBody } from "./abi.ts";
import type { Reply } from "./changes.ts";
import { contentFor, keepLeft } from "./handles.ts";
import type { Node } from "./nodes.ts";
import { failure, type Objects } from "./objects.ts";
import {
  DirectoryReply,
  encodeAttributes,
  encodeOpen,
  openCached,
  openDirectIo,
  openNoFlush,
} from "./reply.ts";

export function lookup(objects: Objects, parent: Node, name: string): Reply {
  const path = objects.childPath(parent, name);
  if (path === undefined) return failure(errnos.ENOENT);
  const stat = objects.files.stat(path);
  if (stat.ok) return objects.entryReply(parent, name, stat.value);
  const known = objects.nodes.child(parent, name);
  // A peer removed it; but a rename or removal of our own gives the node its new place when it is answered.
  if (stat.errno === "ENOENT" && known !== undefined && known.moving === undefined) {
    objects.nodes.removed(known);
  }
  return failure(errnos[stat.errno]);
}

export function getattr(objects: Objects, node: Node, byHandle: boolean): Reply | Promise<Reply> {
  const path = objects.nodes.path(node);
  if (path === undefined) return leftAttributes(objects, node, byHandle);
  const stat = objects.files.stat(path);
  // Another object of this name came from a peer: ESTALE makes the kernel look the name up again.
  const isOther = stat.ok && stat.value.type !== node.type;
  if (stat.ok && !isOther) return objects.attributesReply(node, path, stat.value);
  if (!stat.ok && stat.errno === "ENOENT" && node.moving !== undefined) {
    return node.moving.then(() => getattr(objects, node, byHandle));
  }
  if (!stat.ok && stat.errno !== "ENOENT") return failure(errnos[stat.errno]);
  return leftAttributes(objects, node, byHandle);
}

/** read(2) asks too before it uses its pages: what a peer has removed stays readable where it is open. By its name it is gone. */
function leftAttributes(objects: Objects, node: Node, byHandle: boolean): Reply {
  const content = node.kept ?? (byHandle ? node.left : undefined);
  return content === undefined
    ? failure(errnos.ESTALE)
    : attributesOfRemoved(objects, node, content);
}

/**
 * For a node whose name a peer took away. ESTALE makes the kernel look the name up again, which finds it missing; after
 * ENOENT an open(O_CREAT) by a name that the kernel still remembers would fail instead of making the file.
 */
function goneOr(errno: Errno): number {
  return errno === "ENOENT" ? errnos.ESTALE : errnos[errno];
}

/** A removed file that is still open, shown as Unix shows one: no links. */
export function attributesOfRemoved(objects: Objects, node: Node, content: Uint8Array): Reply {
  const attributes = objects.attributes(node, {
    type: "file",
    mode: 0o600,
    size: content.length,
    mtime: 0,
    links: 0,
    version: 0,
    generated: false,
  });
  return { errno: 0, body: encodeAttributes(attributes, 0) };
}

export function readlink(objects: Objects, node: Node): Reply {
  const path = objects.nodes.path(node);
  if (path === undefined) return failure(errnos.ENOENT);
  const target = objects.files.readlink(path);
  if (!target.ok) return failure(errnos[target.errno]);
  return { errno: 0, body: bytesOf(target.value) };
}

/**
 * Who only reads does so past the page cache: content and length come in one answer, so a reader beside a writer gets one state or the other, never
 * the bytes of one cut to the size of the other. Where the kernel cannot map such a file, only while it has just been changed (cached.ts). All
 * writers, who share the cache, go through it.
 */
export function open(objects: Objects, node: Node, mayWrite: boolean): Reply {
  const path = objects.nodes.path(node);
  let isGenerated = false;
  let isDirect = false;
  if (path === undefined) {
    if (node.kept === undefined) return failure(errnos.ESTALE);
  } else {
    const stat = objects.files.stat(path);
    if (!stat.ok) return failure(goneOr(stat.errno));
    if (stat.value.type !== node.type) return failure(errnos.ESTALE);
    isGenerated = stat.value.generated;
    const mayTear = objects.mapsDirect || !objects.isSettled(node, stat.value);
    isDirect = isGenerated || (!mayWrite && mayTear);
  }
  const refusalsTold = objects.late.refusals(node);
  const fh = objects.handles.open(node, { isGenerated, isDirect, mayWrite, refusalsTold });
  if (path !== undefined && !isGenerated) keepLeft(objects.files, node, path);
  const undelivered = () => objects.handles.close(fh);
  const flags = (isDirect ? openDirectIo : openCached) | (mayWrite ? 0 : openNoFlush);
  return { errno: 0, body: encodeOpen(fh, flags), undelivered };
}

export function opendir(objects: Objects, node: Node): Reply {
  const path = objects.nodes.path(node);
  if (path === undefined) return failure(errnos.ESTALE);
  const stat = objects.files.stat(path);
  if (!stat.ok) return failure(goneOr(stat.errno));
  if (stat.value.type !== "directory") return failure(errnos.ESTALE);
  const fh = objects.handles.openDirectory(node);
  return { errno: 0, body: encodeOpen(fh, 0), undelivered: () => objects.handles.close(fh) };
}

export function read(
  objects: Objects,
  request: { readonly fh: number; readonly offset: number; readonly size: number },
): Reply {
  const handle = objects.handles.file(request.fh);
  if (handle === undefined) return failure(errnos.EBADF);
  const { offset, size } = request;
  const content = contentFor({ files: objects.files, nodes: objects.nodes, handle, offset });
  if (!content.ok) return failure(errnos[content.errno]);
  return { errno: 0, body: content.value.subarray(offset, offset + size) };
}

/** One reading of a directory, from offset 0 on, sees one listing; offsets count its entries, "." and ".." first. */
export function readdir(
  objects: Objects,
  request: Extract<RequestBody, { kind: "readdir" }>,
): Reply {
  const handle = objects.handles.directory(request.fh);
  if (handle === undefined) return failure(errnos.EBADF);
  const { node } = handle;
  const path = objects.nodes.path(node);
  if (path === undefined) return failure(errnos.ENOENT);
  if (handle.listing === undefined || request.offset === 0) {
    const listing = objects.files.list(path);
    if (!listing.ok) return failure(errnos[listing.errno]);
    handle.listing = listing.value;
  }
  const reply = new DirectoryReply(request.size, request.plus);
  const told: number[] = [];
  let at = request.offset;
  for (const name of [".", ".."].slice(at)) {
    const ino = name === "." ? node.id : (node.parent ?? node).id;
    if (!reply.fits(name)) return { errno: 0, body: reply.finish() };
    at += 1;
    reply.add({ name, ino, type: "directory", nextOffset: at }, undefined);
  }
  for (;;) {
    const listed = handle.listing[at - 2];
    if (listed === undefined || !reply.fits(listed.name)) break;
    at += 1;
    const { name, stat } = listed;
    const entry = request.plus ? objects.entry(node, name, stat) : undefined;
    if (entry !== undefined) told.push(entry.nodeid);
    const ino = entry?.nodeid ?? objects.nodes.found(node, name, stat.type).id;
    reply.add({ name, ino, type: stat.type, nextOffset: at }, entry);
  }
  const undelivered = () => {
    for (const nodeid of told) objects.nodes.forget(nodeid, 1);
  };
  return { errno: 0, body: reply.finish(), undelivered };
}
