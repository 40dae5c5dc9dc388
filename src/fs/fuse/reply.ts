// The kernel's FUSE protocol 7.31 (include/uapi/linux/fuse.h), replies. Requests: abi.ts. Pure: values in, bytes out.
import { Writer } from "../../bytes.ts";
import {
  initFlags,
  initFlags2,
  protocolMajor,
  protocolMinor,
  protocolMinorMin,
  writeBytesMax,
  type InitRequest,
  type Unique,
} from "./abi.ts";

/** FOPEN_DIRECT_IO: sizes of generated files need not be right, and each reading has a text of its own. */
export const openDirectIo = 1;
/** FOPEN_KEEP_CACHE: pages stay as long as size and time do, of which the kernel asks whenever its attributes are no longer valid. */
export const openCached = 2;
/** FOPEN_NOFLUSH: nobody asks at close; kernels before 5.18 ask all the same. */
export const openNoFlush = 32;
export const outHeaderBytes = 16;

/** fuse_attr, as far as it differs between objects here. */
export interface Attributes {
  readonly ino: number;
  readonly size: number;
  readonly blocks: number;
  /** Unix seconds; atime, mtime and ctime alike. */
  readonly time: number;
  /** Nanoseconds of mtime. */
  readonly timeNs: number;
  /** Type and permission bits. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
}

const BLOCK_BYTES = 4096;

function putAttributes(writer: Writer, of: Attributes): void {
  writer.u64(of.ino).u64(of.size).u64(of.blocks);
  writer.u64(of.time).u64(of.time).u64(of.time).u32(0).u32(of.timeNs).u32(0);
  writer.u32(of.mode).u32(of.links).u32(of.uid).u32(of.gid);
  writer.u32(0).u32(BLOCK_BYTES).u32(0);
}

/**
 * How long the kernel may believe that a name is this node, in seconds. It never uses a name without the attributes of its node, and is
 * told ESTALE where the name is gone: then it asks for the name again.
 */
const NAME_VALID_S = 3600;

export interface Entry {
  readonly nodeid: number;
  readonly attributes: Attributes;
}

/**
 * fuse_entry_out; node ids are never used twice, so the generation never changes. The attributes are not to be kept: the kernel may have
 * no inode yet that could be made invalid, and asks for them at the first use.
 */
function putEntry(writer: Writer, entry: Entry | undefined): void {
  if (entry === undefined) {
    writer.zeros(entryBytes); // nodeid 0: "no attributes for this name" in a READDIRPLUS reply
    return;
  }
  writer.u64(entry.nodeid).u64(1).u64(NAME_VALID_S).u64(0).u64(0);
  putAttributes(writer, entry.attributes);
}

export const entryBytes = 128;

export function encodeEntry(entry: Entry): Uint8Array {
  const writer = new Writer(entryBytes);
  putEntry(writer, entry);
  return writer.finish();
}

/** fuse_attr_out. `validS`: how long the kernel may keep them, seconds. */
export function encodeAttributes(attributes: Attributes, validS: number): Uint8Array {
  const writer = new Writer(104).u64(validS).u64(0);
  putAttributes(writer, attributes);
  return writer.finish();
}

/** fuse_open_out */
export function encodeOpen(fh: number, flags: number): Uint8Array {
  return new Writer(16).u64(fh).u32(flags).u32(0).finish();
}

/** fuse_entry_out + fuse_open_out: the reply to CREATE. */
export function encodeCreate(entry: Entry, fh: number, flags: number): Uint8Array {
  const writer = new Writer(entryBytes + 16);
  putEntry(writer, entry);
  return writer.u64(fh).u32(flags).u32(0).finish();
}

/** fuse_write_out */
export function encodeWritten(size: number): Uint8Array {
  return new Writer(8).u32(size).u32(0).finish();
}

/** fuse_statfs_out */
export function encodeStatfs(stat: {
  readonly blockSize: number;
  readonly blocks: number;
  readonly blocksFree: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameMax: number;
}): Uint8Array {
  const writer = new Writer(80).u64(stat.blocks).u64(stat.blocksFree).u64(stat.blocksFree);
  writer.u64(stat.files).u64(stat.filesFree);
  return writer.u32(stat.blockSize).u32(stat.nameMax).u32(stat.blockSize).zeros(28).finish();
}

/**
 * fuse_init_out. Kernels before 7.23 know only the first 24 bytes and refuse more. For a newer major version the kernel wants
 * just ours back and asks again; an older one cannot be served (undefined).
 */
export function encodeInit(request: InitRequest): Uint8Array | undefined {
  if (request.major > protocolMajor) {
    return new Writer(64).u32(protocolMajor).u32(protocolMinor).zeros(56).finish();
  }
  if (request.major < protocolMajor || request.minor < protocolMinorMin) return undefined;
  const known =
    initFlags.bigWrites |
    initFlags.autoInvalData |
    initFlags.doReaddirplus |
    initFlags.readdirplusAuto |
    initFlags.parallelDirops |
    initFlags.initExt;
  const writer = new Writer(64).u32(protocolMajor).u32(Math.min(request.minor, protocolMinor));
  writer.u32(Math.min(request.maxReadahead, writeBytesMax)).u32(request.flags & known);
  writer.u16(64).u16(48).u32(writeBytesMax); // max_background, congestion_threshold, max_write
  if (request.minor >= 23) {
    writer.u32(1).zeros(4); // time_gran in ns; max_pages and map_alignment stay off
    writer.u32(request.flags2 & initFlags2.directIoAllowMmap).zeros(28);
  }
  return writer.finish();
}

/** fuse_out_header; `errno` positive or 0. Written together with its body in one call. */
export function encodeReplyHeader(
  into: DataView,
  unique: Unique,
  errno: number,
  bodyBytes: number,
): void {
  into.setUint32(0, outHeaderBytes + bodyBytes, true);
  into.setInt32(4, -errno, true);
  into.setUint32(8, unique.low, true);
  into.setUint32(12, unique.high, true);
}

/** fuse_notify_inval_inode_out with its header: the kernel forgets the attributes of a node, and waits for nothing. */
export function encodeAttributesInvalid(nodeid: number): Uint8Array {
  const notifyInvalidInode = 2;
  const writer = new Writer(40).u32(40).i32(notifyInvalidInode).u64(0).u64(nodeid);
  return writer.u32(0xffff_ffff).u32(0xffff_ffff).u64(0).finish(); // offset -1: attributes only
}

const FILE_TYPES = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;

/** S_IFDIR, S_IFREG or S_IFLNK. */
export function typeBits(type: keyof typeof FILE_TYPES): number {
  return FILE_TYPES[type];
}

export interface DirectoryEntry {
  readonly name: string;
  readonly ino: number;
  readonly type: keyof typeof FILE_TYPES;
  /** Where reading goes on after this entry. */
  readonly nextOffset: number;
}

/** Builds READDIR and READDIRPLUS replies of at most `size` bytes. */
export class DirectoryReply {
  readonly #writer: Writer;
  readonly #size: number;
  readonly #isPlus: boolean;

  constructor(size: number, isPlus: boolean) {
    this.#size = size;
    this.#isPlus = isPlus;
    this.#writer = new Writer(Math.min(size, 65_536));
  }

  /** Whether an entry of this name still fits. Ask before a node is looked up for it. */
  fits(name: string): boolean {
    const padded = Math.ceil((24 + name.length) / 8) * 8;
    return this.#writer.length + padded + (this.#isPlus ? entryBytes : 0) <= this.#size;
  }

  /** fuse_dirent, or fuse_direntplus; `entry` undefined gives the name without attributes ("." and ".."). */
  add(directoryEntry: DirectoryEntry, entry: Entry | undefined): void {
    const { name, ino, type, nextOffset } = directoryEntry;
    const writer = this.#writer;
    if (this.#isPlus) putEntry(writer, entry);
    writer
      .u64(ino)
      .u64(nextOffset)
      .u32(name.length)
      .u32(typeBits(type) >> 12);
    for (let i = 0; i < name.length; i += 1) writer.u8(name.charCodeAt(i));
    writer.zeros((8 - (writer.length % 8)) % 8);
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}
