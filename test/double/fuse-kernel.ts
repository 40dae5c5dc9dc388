// For tests only: the kernel's side of the FUSE protocol. Encodes requests as Linux does and gives back the replies.
import { bytesOf, Reader, Writer } from "../../src/bytes.ts";
import { opcodes, type AttributeChange } from "../../src/fs/fuse/abi.ts";
import { Session, type SessionOptions } from "../../src/fs/fuse/session.ts";
import type { Files } from "../../src/fs/tree/files.ts";

export function encodeRequest(request: {
  readonly opcode: number;
  readonly unique: number;
  readonly nodeid: number;
  readonly body: Uint8Array;
}): Uint8Array {
  const writer = new Writer().u32(40 + request.body.length).u32(request.opcode);
  writer.u64(request.unique).u64(request.nodeid).u32(0).u32(0).u32(4711).u32(0);
  return writer.put(request.body).finish();
}

function name(writer: Writer, text: string): Writer {
  return writer.put(bytesOf(text)).u8(0);
}

/** Bodies of requests, after the header. */
export const bodies = {
  empty: () => new Uint8Array(0),
  name: (text: string) => name(new Writer(), text).finish(),
  init: (major: number, minor: number, flags: number) =>
    new Writer().u32(major).u32(minor).u32(131_072).u32(flags).zeros(48).finish(),
  forget: (count: number) => new Writer().u64(count).finish(),
  batchForget: (nodes: readonly { nodeid: number; count: number }[]) => {
    const writer = new Writer().u32(nodes.length).u32(0);
    for (const { nodeid, count } of nodes) writer.u64(nodeid).u64(count);
    return writer.finish();
  },
  getattr: (byHandle = false) =>
    new Writer()
      .u32(byHandle ? 1 : 0)
      .zeros(12)
      .finish(),
  setattr: (change: Partial<AttributeChange>) => {
    const order = [change.mode, change.uid, change.gid, change.size, undefined, change.mtime];
    let valid = 0;
    for (const [bit, value] of order.entries()) if (value !== undefined) valid |= 1 << bit;
    const writer = new Writer()
      .u32(valid)
      .u32(0)
      .u64(0)
      .u64(change.size ?? 0)
      .zeros(16);
    writer
      .u64(change.mtime ?? 0)
      .zeros(8 + 12)
      .u32(change.mode ?? 0)
      .u32(0);
    return writer
      .u32(change.uid ?? 0)
      .u32(change.gid ?? 0)
      .u32(0)
      .finish();
  },
  mkdir: (text: string) => name(new Writer().u32(0o755).u32(0o22), text).finish(),
  mknod: (text: string, mode: number) => name(new Writer().u32(mode).zeros(12), text).finish(),
  create: (text: string, flags = 0o101) =>
    name(new Writer().u32(flags).u32(0o100640).zeros(8), text).finish(),
  rename: (targetParent: number, from: string, to: string) =>
    name(name(new Writer().u64(targetParent), from), to).finish(),
  rename2: (targetParent: number, flags: number, from: string, to: string) =>
    name(name(new Writer().u64(targetParent).u32(flags).u32(0), from), to).finish(),
  /** `flags`: of open(2). */
  open: (flags = 0) => new Writer().u32(flags).u32(0).finish(),
  read: (fh: number, offset: number, size: number) =>
    new Writer().u64(fh).u64(offset).u32(size).zeros(20).finish(),
  /** `flags`: of open(2); `writeFlags`: 1 for pages of a mapping. */
  write: (fh: number, offset: number, data: Uint8Array, flags = 0, writeFlags = 0) =>
    new Writer()
      .u64(fh)
      .u64(offset)
      .u32(data.length)
      .u32(writeFlags)
      .zeros(8)
      .u32(flags)
      .zeros(4)
      .put(data)
      .finish(),
  release: (fh: number) => new Writer().u64(fh).zeros(16).finish(),
  interrupt: (unique: number) => new Writer().u64(unique).finish(),
} as const;

export interface KernelReply {
  readonly errno: number;
  readonly body: Uint8Array;
}

export interface KnownEntry {
  readonly nodeid: number;
  readonly size: number;
  readonly mode: number;
  readonly links: number;
}

/** Drives a Session as the kernel would; every reply is awaited by its request number. */
export class TestingKernel {
  readonly session: Session;
  readonly logged: string[] = [];
  refusal: string | undefined;
  /** Set to false to be a kernel whose process has been killed: replies find nobody. */
  isListening = true;
  readonly #waiting = new Map<number, (reply: KernelReply) => void>();
  #unique = 0;

  constructor(files: Files, options: Partial<SessionOptions> = {}) {
    this.session = new Session({
      files,
      gid: 33,
      log: (_level, text) => void this.logged.push(text),
      onInit: (refusal) => (this.refusal = refusal),
      send: (unique, errno, body) => {
        const number = unique.high * 0x1_0000_0000 + unique.low;
        const answer = this.#waiting.get(number);
        if (answer === undefined) throw new Error(`a reply to ${number}, which waits for none`);
        this.#waiting.delete(number);
        answer({ errno, body: body?.slice() ?? new Uint8Array(0) });
        return this.isListening;
      },
      ...options,
    });
  }

  /** Requests without a reply so far. */
  get waiting(): number {
    return this.#waiting.size;
  }
  /** The number of the last request. */
  get unique(): number {
    return this.#unique;
  }

  ask(opcode: number, nodeid: number, body: Uint8Array): Promise<KernelReply> {
    this.#unique += 2;
    const { promise, resolve } = Promise.withResolvers<KernelReply>();
    this.#waiting.set(this.#unique, resolve);
    const bytes = encodeRequest({ opcode, unique: this.#unique, nodeid, body });
    this.session.handle(bytes);
    bytes.fill(0xee); // The device's buffer is used again at once.
    return promise;
  }

  /** FORGET, BATCH_FORGET and INTERRUPT have no reply. */
  tell(opcode: number, nodeid: number, body: Uint8Array): void {
    this.#unique += 2;
    this.session.handle(encodeRequest({ opcode, unique: this.#unique, nodeid, body }));
  }

  async lookup(parent: number, text: string): Promise<KnownEntry> {
    const reply = await this.ask(opcodes.lookup, parent, bodies.name(text));
    if (reply.errno !== 0) throw new Error(`lookup of ${text}: errno ${reply.errno}`);
    return readEntry(reply.body);
  }

  /** `flags`: of open(2). */
  async open(nodeid: number, flags = 0): Promise<number> {
    const reply = await this.ask(opcodes.open, nodeid, bodies.open(flags));
    if (reply.errno !== 0) throw new Error(`open: errno ${reply.errno}`);
    return new Reader(reply.body).u64();
  }

  async read(fh: number, offset = 0, size = 4096): Promise<string> {
    const reply = await this.ask(opcodes.read, 0, bodies.read(fh, offset, size));
    if (reply.errno !== 0) throw new Error(`read: errno ${reply.errno}`);
    return new TextDecoder().decode(reply.body);
  }

  async create(parent: number, text: string): Promise<KnownEntry & { readonly fh: number }> {
    const reply = await this.ask(opcodes.create, parent, bodies.create(text));
    if (reply.errno !== 0) throw new Error(`create of ${text}: errno ${reply.errno}`);
    return { ...readEntry(reply.body), fh: new Reader(reply.body.subarray(128)).u64() };
  }

  async write(fh: number, offset: number, text: string): Promise<number> {
    const data = new TextEncoder().encode(text);
    return (await this.ask(opcodes.write, 0, bodies.write(fh, offset, data))).errno;
  }

  /** Through a descriptor with O_DSYNC. */
  async writeSync(fh: number, offset: number, text: string): Promise<number> {
    const data = new TextEncoder().encode(text);
    return (await this.ask(opcodes.write, 0, bodies.write(fh, offset, data, 0o10001))).errno;
  }

  /** FLUSH, as close(2) sends it. */
  async flush(fh: number): Promise<number> {
    return (await this.ask(opcodes.flush, 0, bodies.release(fh))).errno;
  }

  async fsync(fh: number): Promise<number> {
    return (await this.ask(opcodes.fsync, 0, bodies.release(fh))).errno;
  }
}

/** The interesting fields of a fuse_entry_out. */
export function readEntry(body: Uint8Array): KnownEntry {
  const reader = new Reader(body);
  const nodeid = reader.u64();
  reader.skip(32 + 8);
  return { nodeid, ...readAttributes(reader) };
}

/** The interesting fields of a fuse_attr_out. */
export function readAttr(body: Uint8Array): Omit<KnownEntry, "nodeid"> {
  const reader = new Reader(body);
  reader.skip(16 + 8);
  return readAttributes(reader);
}

function readAttributes(reader: Reader): Omit<KnownEntry, "nodeid"> {
  const size = reader.u64();
  reader.skip(8 + 24 + 12);
  return { size, mode: reader.u32(), links: reader.u32() };
}

/** Names and node ids (0: none told) of a READDIR or READDIRPLUS reply. */
export function readNames(
  body: Uint8Array,
  isPlus: boolean,
): { readonly name: string; readonly nodeid: number; readonly nextOffset: number }[] {
  const found: { name: string; nodeid: number; nextOffset: number }[] = [];
  const reader = new Reader(body);
  while (reader.remaining > 0) {
    const nodeid = isPlus ? new Reader(reader.take(128)).u64() : 0;
    reader.skip(8);
    const nextOffset = reader.u64();
    const length = reader.u32();
    reader.skip(4);
    const text = new TextDecoder().decode(reader.take(length));
    reader.skip((8 - ((24 + length) % 8)) % 8);
    found.push({ name: text, nodeid, nextOffset });
  }
  if (reader.failed) throw new Error("a directory reply is cut");
  return found;
}
