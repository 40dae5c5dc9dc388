// The kernel's FUSE protocol 7.31 (include/uapi/linux/fuse.h), requests: those that pmxcfs's behaviour needs (pmxcfs.md §2.2).
// Little-endian machines only (x64, arm64). Pure: bytes in, values out; names are byte strings. Replies: reply.ts.
import { byteString, decoded, malformed, Reader, type Decoded } from "../../bytes.ts";

export const protocolMajor = 7;
export const protocolMinor = 31;
/** Kernel 3.10 speaks 7.22; anything older than this is refused. */
export const protocolMinorMin = 20;
/** A WRITE carries at most this much, as with libfuse's big_writes; each one is a message to the cluster. */
export const writeBytesMax = 131_072;
export const rootNodeid = 1;
const inHeaderBytes = 40;
/** FUSE_GETATTR_FH in getattr_flags. */
const GETATTR_FH = 1;
/** FUSE_WRITE_CACHE in write_flags. */
const WRITE_CACHE = 1;
/** Flags of open(2), the same on x64 and arm64. */
const O_ACCMODE = 3;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
/** O_SYNC has this bit, too. */
const O_DSYNC = 0o10000;
/** No component of a Linux path is longer; the tree's own, smaller limit is checked by `Files` (ENAMETOOLONG). */
const NAME_BYTES_MAX = 4096;

export const opcodes = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  readdirplus: 44,
  rename2: 45,
} as const;

/** INIT flags that we use. Not among them, on purpose: ATOMIC_O_TRUNC, WRITEBACK_CACHE, POSIX_LOCKS, FLOCK_LOCKS. */
export const initFlags = {
  bigWrites: 1 << 5,
  /** The kernel drops its pages of a file whose size or time differs from what it knew. */
  autoInvalData: 1 << 12,
  doReaddirplus: 1 << 13,
  readdirplusAuto: 1 << 14,
  parallelDirops: 1 << 18,
  /** The second word of flags counts. */
  initExt: 1 << 30,
} as const;

/** INIT flags of the second word. */
export const initFlags2 = {
  /** mmap(MAP_SHARED) of a file that was opened with direct I/O; Linux 6.6. */
  directIoAllowMmap: 1 << 4,
} as const;

/** FATTR_* bits of SETATTR. */
const setattrBits = {
  mode: 1,
  uid: 2,
  gid: 4,
  size: 8,
  atime: 16,
  mtime: 32,
} as const;

/** The kernel's request number; echoed exactly, so it is kept as two halves. */
export interface Unique {
  readonly low: number;
  readonly high: number;
}

export interface RequestHeader {
  readonly opcode: number;
  readonly unique: Unique;
  readonly nodeid: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** What SETATTR wants changed; absent means untouched. Times are Unix seconds cut to 32 bits. */
export interface AttributeChange {
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly size: number | undefined;
  readonly mtime: number | undefined;
}

export type RequestBody =
  | { readonly kind: "lookup"; readonly name: string }
  | { readonly kind: "forget"; readonly nodes: readonly { nodeid: number; count: number }[] }
  | {
      readonly kind: "getattr";
      /** Of an open file: for read(2) and fstat(2), not by a name. */
      readonly byHandle: boolean;
    }
  | { readonly kind: "setattr"; readonly change: AttributeChange }
  | { readonly kind: "readlink" }
  | { readonly kind: "mknod"; readonly name: string; readonly mode: number }
  | { readonly kind: "mkdir"; readonly name: string }
  | { readonly kind: "remove"; readonly name: string }
  | {
      readonly kind: "rename";
      readonly name: string;
      readonly targetParent: number;
      readonly targetName: string;
      readonly flags: number;
    }
  | { readonly kind: "link" }
  | { readonly kind: "open"; readonly mayWrite: boolean }
  | {
      readonly kind: "create";
      readonly name: string;
      /** O_EXCL and O_TRUNC of the open(2). */
      readonly exclusive: boolean;
      readonly truncate: boolean;
    }
  | { readonly kind: "read"; readonly fh: number; readonly offset: number; readonly size: number }
  | {
      readonly kind: "write";
      readonly fh: number;
      readonly offset: number;
      readonly data: Uint8Array;
      /** Of a handle with O_APPEND, by write(2): the data belongs behind the end, wherever the kernel believes that to be. */
      readonly append: boolean;
      /** Of a handle with O_SYNC or O_DSYNC. */
      readonly isSync: boolean;
    }
  | { readonly kind: "fsync"; readonly fh: number }
  /** One of the descriptors of a handle is closed. */
  | { readonly kind: "flush"; readonly fh: number }
  | { readonly kind: "release"; readonly fh: number }
  | { readonly kind: "opendir" }
  | {
      readonly kind: "readdir";
      readonly fh: number;
      readonly offset: number;
      readonly size: number;
      readonly plus: boolean;
    }
  | { readonly kind: "releasedir"; readonly fh: number }
  | { readonly kind: "statfs" }
  | { readonly kind: "init"; readonly init: InitRequest }
  | { readonly kind: "interrupt"; readonly unique: Unique }
  | { readonly kind: "destroy" }
  /** Anything else: answered ENOSYS, which the kernel remembers where that means "works without". */
  | { readonly kind: "unsupported" };

export interface InitRequest {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  /** 0 where the kernel does not know them. */
  readonly flags2: number;
}

/** fuse_in_header. The length field must equal the bytes read: the device gives one whole request at a time. */
export function decodeHeader(bytes: Uint8Array): Decoded<RequestHeader> {
  if (bytes.length < inHeaderBytes) return malformed("shorter than a request header");
  const reader = new Reader(bytes);
  const length = reader.u32();
  const opcode = reader.u32();
  const unique = { low: reader.u32(), high: reader.u32() };
  const nodeid = reader.u64();
  const header = {
    opcode,
    unique,
    nodeid,
    uid: reader.u32(),
    gid: reader.u32(),
    pid: reader.u32(),
  };
  if (reader.failed) return malformed("a node id above 2^53");
  return length === bytes.length ? decoded(header) : malformed("length field and size differ");
}

/** The part after the header. `data` of a write is a view of `bytes`. */
export function decodeBody(opcode: number, bytes: Uint8Array): Decoded<RequestBody> {
  const reader = new Reader(bytes.subarray(inHeaderBytes));
  const body = readBody(opcode, reader);
  if (body === undefined) return malformed(`opcode ${opcode}: bad name or count`);
  return reader.failed ? malformed(`opcode ${opcode}: too short`) : decoded(body);
}

function readBody(opcode: number, reader: Reader): RequestBody | undefined {
  switch (opcode) {
    case opcodes.lookup:
      return named(reader, (name) => ({ kind: "lookup", name }));
    case opcodes.mkdir:
      reader.skip(8); // mode, umask: the tree computes modes from the path.
      return named(reader, (name) => ({ kind: "mkdir", name }));
    case opcodes.mknod:
      return readMknod(reader);
    case opcodes.unlink:
    case opcodes.rmdir:
      return named(reader, (name) => ({ kind: "remove", name }));
    case opcodes.create: {
      const flags = reader.u32();
      reader.skip(12); // mode, umask, open_flags
      const exclusive = (flags & O_EXCL) !== 0;
      const truncate = (flags & O_TRUNC) !== 0;
      return named(reader, (name) => ({ kind: "create", name, exclusive, truncate }));
    }
    case opcodes.rename:
      return readRename(reader, reader.u64(), 0);
    case opcodes.rename2:
      return readRename2(reader);
    case opcodes.getattr:
      return { kind: "getattr", byHandle: (reader.u32() & GETATTR_FH) !== 0 };
    case opcodes.open:
      return { kind: "open", mayWrite: (reader.u32() & O_ACCMODE) !== 0 };
    case opcodes.setattr:
      return { kind: "setattr", change: readSetattr(reader) };
    case opcodes.read:
    case opcodes.readdir:
    case opcodes.readdirplus:
      return readRead(opcode, reader);
    case opcodes.write:
      return readWrite(reader);
    case opcodes.release:
      return { kind: "release", fh: reader.u64() };
    case opcodes.flush:
      return { kind: "flush", fh: reader.u64() };
    case opcodes.fsync:
    case opcodes.fsyncdir:
      return { kind: "fsync", fh: reader.u64() };
    case opcodes.releasedir:
      return { kind: "releasedir", fh: reader.u64() };
    case opcodes.forget:
    case opcodes.batchForget:
      return readForget(opcode, reader);
    case opcodes.init:
      return { kind: "init", init: readInit(reader) };
    case opcodes.interrupt:
      return { kind: "interrupt", unique: { low: reader.u32(), high: reader.u32() } };
    default:
      return plain(opcode);
  }
}

/** Requests of which only the header matters. */
function plain(opcode: number): RequestBody {
  switch (opcode) {
    case opcodes.readlink:
      return { kind: "readlink" };
    case opcodes.link:
      return { kind: "link" };
    case opcodes.opendir:
      return { kind: "opendir" };
    case opcodes.statfs:
      return { kind: "statfs" };
    case opcodes.destroy:
      return { kind: "destroy" };
    default:
      return { kind: "unsupported" };
  }
}

/** One path component, NUL-terminated. */
function readName(reader: Reader): string | undefined {
  const rest = reader.bytes.subarray(reader.offset);
  const end = rest.indexOf(0);
  if (end <= 0 || end > NAME_BYTES_MAX) return undefined;
  const name = byteString(reader.take(end));
  reader.skip(1);
  return name.includes("/") ? undefined : name;
}

function named(reader: Reader, make: (name: string) => RequestBody): RequestBody | undefined {
  const name = readName(reader);
  return name === undefined ? undefined : make(name);
}

function readMknod(reader: Reader): RequestBody | undefined {
  const mode = reader.u32();
  reader.skip(12); // rdev, umask, padding
  return named(reader, (name) => ({ kind: "mknod", name, mode }));
}

function readRename2(reader: Reader): RequestBody | undefined {
  const targetParent = reader.u64();
  const flags = reader.u32();
  reader.skip(4);
  return readRename(reader, targetParent, flags);
}

function readRename(reader: Reader, targetParent: number, flags: number): RequestBody | undefined {
  const name = readName(reader);
  const targetName = readName(reader);
  if (name === undefined || targetName === undefined) return undefined;
  return { kind: "rename", name, targetParent, targetName, flags };
}

/** fuse_setattr_in. The kernel fills in the time itself when the caller said "now". */
function readSetattr(reader: Reader): AttributeChange {
  const valid = reader.u32();
  const when = (bit: number, value: number) => ((valid & bit) !== 0 ? value : undefined);
  reader.skip(4 + 8); // padding, fh
  const size = (valid & setattrBits.size) !== 0 ? reader.u64() : (reader.skip(8), undefined);
  reader.skip(8 + 8); // lock_owner, atime
  const mtime = reader.u32();
  reader.skip(4 + 8 + 3 * 4); // upper half of mtime, ctime, nanoseconds
  const mode = reader.u32();
  reader.skip(4);
  const uid = reader.u32();
  const gid = reader.u32();
  reader.skip(4);
  return {
    size,
    mode: when(setattrBits.mode, mode & 0o7777),
    uid: when(setattrBits.uid, uid),
    gid: when(setattrBits.gid, gid),
    mtime: when(setattrBits.mtime, mtime),
  };
}

/** fuse_read_in */
function readRead(opcode: number, reader: Reader): RequestBody {
  const fh = reader.u64();
  const offset = reader.u64();
  const size = reader.u32();
  reader.skip(4 + 8 + 4 + 4); // read_flags, lock_owner, flags, padding
  if (opcode === opcodes.read) return { kind: "read", fh, offset, size };
  return { kind: "readdir", fh, offset, size, plus: opcode === opcodes.readdirplus };
}

/** fuse_write_in */
function readWrite(reader: Reader): RequestBody | undefined {
  const fh = reader.u64();
  const offset = reader.u64();
  const size = reader.u32();
  const isWriteBack = (reader.u32() & WRITE_CACHE) !== 0; // Pages of a mapping: they have their place.
  reader.skip(8); // lock_owner
  const flags = reader.u32();
  reader.skip(4);
  if (size > writeBytesMax || size !== reader.remaining) return undefined;
  const append = (flags & O_APPEND) !== 0 && !isWriteBack;
  const isSync = (flags & O_DSYNC) !== 0;
  return { kind: "write", fh, offset, data: reader.take(size), append, isSync };
}

/** FORGET of one node (in the header's place: nodeid 0 here) or fuse_batch_forget_in. */
function readForget(opcode: number, reader: Reader): RequestBody | undefined {
  if (opcode === opcodes.forget) {
    return { kind: "forget", nodes: [{ nodeid: 0, count: reader.u64() }] };
  }
  const count = reader.u32();
  reader.skip(4);
  if (count * 16 > reader.remaining) return undefined;
  const nodes: { nodeid: number; count: number }[] = [];
  for (let i = 0; i < count; i += 1) nodes.push({ nodeid: reader.u64(), count: reader.u64() });
  return { kind: "forget", nodes };
}

function readInit(reader: Reader): InitRequest {
  const optional = () => (reader.remaining >= 4 ? reader.u32() : 0);
  const versions = { major: reader.u32(), minor: reader.u32() };
  const init = { ...versions, maxReadahead: optional(), flags: optional() };
  return { ...init, flags2: (init.flags & initFlags.initExt) === 0 ? 0 : optional() };
}
