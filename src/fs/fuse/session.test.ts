import { expect, test } from "bun:test";
import fc from "fast-check";
import { errnos } from "../../libc.ts";
import { opcodes } from "./abi.ts";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { SharedReceipts } from "../../node/thread/receipts.ts";
import { encodeAttributesInvalid, openCached, openDirectIo, openNoFlush } from "./reply.ts";
import {
  bodies,
  encodeRequest,
  readAttr,
  readEntry,
  readNames,
  TestingKernel,
} from "../../../test/double/fuse-kernel.ts";

function started() {
  const files = new TestingFiles();
  const kernel = new TestingKernel(files, { interruptGraceMs: 5 });
  return { files, kernel };
}

async function attributesOf(kernel: TestingKernel, nodeid: number) {
  const reply = await kernel.ask(opcodes.getattr, nodeid, bodies.getattr());
  return reply.errno === 0 ? readAttr(reply.body) : reply.errno;
}

function holdChanges(files: TestingFiles): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  files.changesWait = promise;
  return () => {
    files.changesWait = Promise.resolve();
    resolve();
  };
}

test("a file is made, written, looked up, read, resized and removed", async () => {
  const { files, kernel } = started();
  const { nodeid, fh, mode } = await kernel.create(1, "a");
  expect(mode).toBe(0o100640);
  expect(await kernel.write(fh, 0, "hello")).toBe(0);
  expect(await kernel.read(fh)).toBe("hello");
  expect((await kernel.lookup(1, "a")).nodeid).toBe(nodeid);
  const change = bodies.setattr({ size: 2, mtime: 77 });
  const reply = await kernel.ask(opcodes.setattr, nodeid, change);
  expect(readAttr(reply.body).size).toBe(2);
  expect(files.entries.get("a")?.mtime).toBe(77);
  expect((await kernel.ask(opcodes.unlink, 1, bodies.name("a"))).errno).toBe(0);
  expect((await kernel.ask(opcodes.lookup, 1, bodies.name("a"))).errno).toBe(errnos.ENOENT);
  await kernel.ask(opcodes.release, nodeid, bodies.release(fh));
  kernel.tell(opcodes.forget, nodeid, bodies.forget(2));
  expect(kernel.session.snapshot()).toEqual({ nodes: 1, handles: 0, waiting: 0 });
});

test("a removed file stays readable and writable through its handles", async () => {
  const { files, kernel } = started();
  const { nodeid, fh } = await kernel.create(1, "a");
  await kernel.write(fh, 0, "hello");
  await kernel.ask(opcodes.unlink, 1, bodies.name("a"));
  expect(files.entries.has("a")).toBe(false);
  expect(await kernel.read(fh)).toBe("hello");
  expect(await attributesOf(kernel, nodeid)).toEqual({ size: 5, mode: 0o100600, links: 0 });
  expect(await kernel.write(fh, 7, "x")).toBe(0);
  expect(await kernel.read(fh)).toBe("hello\0\0x");
  expect(await kernel.write(fh, 1_048_576, "x")).toBe(errnos.EFBIG);
  const shorter = await kernel.ask(opcodes.setattr, nodeid, bodies.setattr({ size: 1 }));
  expect(readAttr(shorter.body).size).toBe(1);
  const again = await kernel.create(1, "a");
  expect(again.nodeid).not.toBe(nodeid);
  expect(await kernel.read(fh)).toBe("h");
  expect(await kernel.read(again.fh)).toBe("");
  await kernel.ask(opcodes.release, nodeid, bodies.release(fh));
  expect(await attributesOf(kernel, nodeid)).toBe(errnos.ESTALE);
});

test("a rename over an open file leaves its reader with the old content, and both nodes right", async () => {
  const { kernel } = started();
  const old = await kernel.create(1, "conf");
  await kernel.write(old.fh, 0, "old");
  const temporary = await kernel.create(1, "conf.tmp");
  await kernel.write(temporary.fh, 0, "new");
  const rename = bodies.rename(1, "conf.tmp", "conf");
  expect((await kernel.ask(opcodes.rename, 1, rename)).errno).toBe(0);
  expect(await kernel.read(old.fh)).toBe("old");
  expect(await kernel.read(temporary.fh)).toBe("new");
  expect((await kernel.lookup(1, "conf")).nodeid).toBe(temporary.nodeid);
  expect(await kernel.write(temporary.fh, 3, "er")).toBe(0);
  expect(await kernel.read(temporary.fh)).toBe("newer");
});

test("a refused removal or rename changes nothing", async () => {
  const { files, kernel } = started();
  const a = await kernel.create(1, "a");
  await kernel.write(a.fh, 0, "x");
  await kernel.flush(a.fh);
  files.isQuorate = false;
  for (const [opcode, body] of [
    [opcodes.unlink, bodies.name("a")],
    [opcodes.rename, bodies.rename(1, "a", "b")],
    [opcodes.mkdir, bodies.mkdir("d")],
    [opcodes.create, bodies.create("c")],
    [opcodes.setattr, bodies.setattr({ size: 0 })],
  ] as const) {
    const nodeid = opcode === opcodes.setattr ? a.nodeid : 1;
    expect((await kernel.ask(opcode, nodeid, body)).errno).toBe(errnos.EACCES);
  }
  expect(kernel.logged.length).toBe(1); // One line for all of them.
  expect(kernel.logged[0]).toContain("EACCES of the test tree");
  expect(await attributesOf(kernel, a.nodeid)).toMatchObject({ mode: 0o100440 });
  files.isQuorate = true;
  expect(await kernel.write(a.fh, 1, "y")).toBe(0);
  expect(await kernel.read(a.fh)).toBe("xy");
  expect((await kernel.lookup(1, "a")).nodeid).toBe(a.nodeid);
});

test("what a peer removes is gone for names, and left for handles that have read it", async () => {
  const { files, kernel } = started();
  const a = await kernel.create(1, "a");
  await kernel.write(a.fh, 0, "hello");
  const fh = await kernel.open(a.nodeid);
  expect(await kernel.read(fh)).toBe("hello");
  files.entries.delete("a");
  // Not ENOENT: the kernel must look the name up again, or open(O_CREAT) would fail where it remembers it.
  expect(await attributesOf(kernel, a.nodeid)).toBe(errnos.ESTALE);
  expect((await kernel.ask(opcodes.open, a.nodeid, bodies.open())).errno).toBe(errnos.ESTALE);
  expect(await kernel.read(fh)).toBe("hello");
  expect(await kernel.write(fh, 0, "x")).toBe(errnos.ENOENT);
  expect((await kernel.ask(opcodes.lookup, 1, bodies.name("a"))).errno).toBe(errnos.ENOENT);
  // Nor then may who still has the name's node take the file for missing: the peer may have made another.
  expect(await attributesOf(kernel, a.nodeid)).toBe(errnos.ESTALE);
  expect((await kernel.ask(opcodes.open, a.nodeid, bodies.open())).errno).toBe(errnos.ESTALE);
  const byHandle = await kernel.ask(opcodes.getattr, a.nodeid, bodies.getattr(true));
  expect(readAttr(byHandle.body)).toMatchObject({ size: 5, links: 0 });
  // The peer makes a directory of that name: another node.
  await files.mkdir("a");
  expect((await kernel.lookup(1, "a")).nodeid).not.toBe(a.nodeid);
});

test("a directory in the place of a file known to the kernel is stale, not a file", async () => {
  const { files, kernel } = started();
  const a = await kernel.create(1, "a");
  files.entries.delete("a");
  await files.mkdir("a");
  expect(await attributesOf(kernel, a.nodeid)).toBe(errnos.ESTALE);
});

test("one reading of a generated file sees one text", async () => {
  const { files, kernel } = started();
  let version = 0;
  files.generated.set(".version", () => `version ${version}`);
  const { nodeid } = await kernel.lookup(1, ".version");
  const fh = await kernel.open(nodeid);
  expect(await kernel.read(fh, 0, 4)).toBe("vers");
  version = 1;
  expect(await kernel.read(fh, 4)).toBe("ion 0");
  expect(await kernel.read(fh)).toBe("version 1");
});

test("between delivery and answer of a rename, attributes wait for the new name", async () => {
  const { files, kernel } = started();
  const { nodeid } = await kernel.create(1, "a");
  const release = holdChanges(files);
  const renamed = kernel.ask(opcodes.rename, 1, bodies.rename(1, "a", "b"));
  const entry = files.entries.get("a")!;
  files.entries.delete("a"); // Delivered, not yet answered.
  files.entries.set("b", entry);
  const attributes = attributesOf(kernel, nodeid);
  files.entries.delete("b");
  files.entries.set("a", entry); // The test tree carries it out itself.
  release();
  expect((await renamed).errno).toBe(0);
  expect(await attributes).toMatchObject({ mode: 0o100640 });
});

test("reads are answered while changes wait, and an interrupted change lets its process go", async () => {
  const { files, kernel } = started();
  const { fh } = await kernel.create(1, "a");
  const release = holdChanges(files);
  const written = kernel.writeSync(fh, 0, "later");
  const number = kernel.unique;
  expect(await kernel.read(fh)).toBe("");
  expect(kernel.session.snapshot().waiting).toBe(1);
  kernel.tell(opcodes.interrupt, 0, bodies.interrupt(number));
  kernel.tell(opcodes.interrupt, 0, bodies.interrupt(number));
  expect(await written).toBe(errnos.EINTR);
  kernel.tell(opcodes.interrupt, 0, bodies.interrupt(number)); // Answered: harmless.
  // A create that was given up must leave no node and no handle behind.
  const created = kernel.ask(opcodes.create, 1, bodies.create("b"));
  kernel.tell(opcodes.interrupt, 0, bodies.interrupt(kernel.unique));
  expect((await created).errno).toBe(errnos.EINTR);
  const room = Promise.withResolvers<void>();
  kernel.session.changes.onRoom(() => kernel.session.changes.onRoom(room.resolve));
  release();
  await room.promise;
  expect(await kernel.read(fh)).toBe("later");
  expect(files.entries.has("b")).toBe(true);
  expect(kernel.session.snapshot()).toMatchObject({ handles: 1, waiting: 0 });
});

test("an interrupted change that ends in time is answered as if nothing had been", async () => {
  const { files, kernel } = started();
  const { fh } = await kernel.create(1, "a");
  const release = holdChanges(files);
  const written = kernel.writeSync(fh, 0, "now");
  kernel.tell(opcodes.interrupt, 0, bodies.interrupt(kernel.unique));
  release();
  expect(await written).toBe(0);
});

test("a reply that finds nobody leaves no lookup count and no handle", async () => {
  const { files, kernel } = started();
  await files.create("a");
  kernel.isListening = false;
  const entry = await kernel.lookup(1, "a");
  await kernel.open(entry.nodeid);
  await kernel.create(1, "b");
  await kernel.ask(opcodes.opendir, 1, bodies.open());
  expect(kernel.session.snapshot().handles).toBe(0);
  kernel.isListening = true;
  await files.remove("a");
  await files.remove("b");
  for (const name of ["a", "b"]) await kernel.ask(opcodes.lookup, 1, bodies.name(name));
  expect(kernel.session.snapshot().nodes).toBe(1);
});

test("the session stops taking requests when too much waits", async () => {
  const { files, kernel } = started();
  const { fh } = await kernel.create(1, "a");
  const release = holdChanges(files);
  const large = bodies.write(fh, 0, new Uint8Array(131_072), 0o10001);
  const replies = [];
  const isFull = () => kernel.session.changes.isFull;
  while (!isFull()) replies.push(kernel.ask(opcodes.write, 0, large));
  expect(replies.length).toBe(512);
  release();
  for (const reply of await Promise.all(replies)) expect(reply.errno).toBe(0);
  expect(isFull()).toBe(false);
  expect(files.writes.length).toBe(512); // With O_SYNC each kernel WRITE is one write.
});

test("directories are listed in pieces, each name once", async () => {
  const { files, kernel } = started();
  for (let i = 0; i < 300; i += 1) await files.create(`file-${i}`);
  for (const opcode of [opcodes.readdir, opcodes.readdirplus]) {
    const opened = await kernel.ask(opcodes.opendir, 1, bodies.open());
    const fh = Number(new DataView(opened.body.buffer).getBigUint64(0, true));
    const names: string[] = [];
    for (let offset = 0; ;) {
      const reply = await kernel.ask(opcode, 1, bodies.read(fh, offset, 1000));
      const piece = readNames(reply.body, opcode === opcodes.readdirplus);
      if (piece.length === 0) break;
      for (const { name, nodeid, nextOffset } of piece) {
        names.push(name);
        offset = nextOffset;
        if (nodeid !== 0) kernel.tell(opcodes.forget, nodeid, bodies.forget(1));
      }
      if (names.length > 4 && !files.entries.has(`made-while-listing-${opcode}`))
        await files.create(`made-while-listing-${opcode}`);
    }
    expect(new Set(names).size).toBe(names.length);
    // What was made meanwhile is seen by the next listing.
    expect(names.length).toBe(opcode === opcodes.readdir ? 302 : 303);
    expect(names.slice(0, 3)).toEqual([".", "..", "file-0"]);
    await kernel.ask(opcodes.releasedir, 1, bodies.release(fh));
  }
});

test("what is not implemented says so as pmxcfs does", async () => {
  const { kernel } = started();
  const errno = async (opcode: number, body: Uint8Array) =>
    (await kernel.ask(opcode, 1, body)).errno;
  expect(await errno(opcodes.symlink, bodies.name("x"))).toBe(errnos.ENOSYS);
  expect(await errno(opcodes.link, bodies.name("x"))).toBe(errnos.EPERM);
  expect(await errno(opcodes.mknod, bodies.mknod("fifo", 0o010644))).toBe(errnos.ENOSYS);
  expect(await errno(opcodes.mknod, bodies.mknod("file", 0o100644))).toBe(0);
  expect(await errno(opcodes.rename2, bodies.rename2(1, 1, "file", "y"))).toBe(errnos.EINVAL);
  expect(await errno(opcodes.lookup, bodies.name("a/b"))).toBe(errnos.EINVAL);
  expect(await errno(opcodes.read, bodies.read(99, 0, 1))).toBe(errnos.EBADF);
  expect((await kernel.ask(opcodes.lookup, 99, bodies.name("a"))).errno).toBe(errnos.ESTALE);
  expect((await kernel.ask(opcodes.statfs, 1, bodies.empty())).body.length).toBe(80);
});

test("fsync waits for what was written, and says when that cannot be kept", async () => {
  const { files, kernel } = started();
  expect(await kernel.fsync(0)).toBe(0);
  expect(files.syncs).toEqual({ held: 0, durable: 1 });
  files.isQuorate = false;
  expect(await kernel.fsync(0)).toBe(errnos.EIO);
});

test("the INIT of a usable kernel is accepted, of an old one refused", async () => {
  const { kernel } = started();
  expect((await kernel.ask(opcodes.init, 0, bodies.init(7, 45, 0))).errno).toBe(0);
  expect(kernel.refusal).toBe("");
  expect((await kernel.ask(opcodes.init, 0, bodies.init(7, 8, 0))).errno).toBe(errnos.EINVAL);
  expect(kernel.refusal).toContain("7.8");
});

/** Seconds for which the kernel may keep the attributes that it asks for. */
async function validS(kernel: TestingKernel, nodeid: number): Promise<number> {
  const { body } = await kernel.ask(opcodes.getattr, nodeid, bodies.getattr());
  return Number(new DataView(body.buffer).getBigUint64(0, true));
}

test("alone: attributes are kept once the kernel has had them for a while, until a change withdraws them", async () => {
  const files = new TestingFiles();
  let now = 0;
  const kernel = new TestingKernel(files, { now: () => now });
  await files.mkdir("d");
  await files.create("d/f");
  files.generated.set(".version", () => "text");
  expect(kernel.session.changed("d/f", false)).toBeUndefined(); // The kernel knows no such node.
  const d = await kernel.lookup(1, "d");
  const f = await kernel.lookup(d.nodeid, "f");
  expect(await validS(kernel, f.nodeid)).toBe(0);
  now = 249;
  expect(await validS(kernel, f.nodeid)).toBe(0);
  expect(kernel.session.changed("d/f", false)).toBeUndefined(); // It keeps nothing.
  expect(await validS(kernel, f.nodeid)).toBe(0);
  now = 499;
  expect(await validS(kernel, f.nodeid)).toBe(1);
  const message = kernel.session.changed("d/f", false)!;
  expect(new DataView(message.buffer).getBigUint64(16, true)).toBe(BigInt(f.nodeid));
  expect(await validS(kernel, f.nodeid)).toBe(0);
  const { nodeid } = await kernel.lookup(1, ".version");
  for (now = 500; now < 1200; now += 300) expect(await validS(kernel, nodeid)).toBe(0);
});

test("in a cluster: attributes are kept only with a withdrawal, and not while something has come that is not in the tree", async () => {
  const files = new TestingFiles();
  let now = 0;
  const receipts = new SharedReceipts("g");
  const kernel = new TestingKernel(files, { now: () => now, receipts });
  const written: string[] = [];
  const event = { kind: "delivered", group: "g", nodeid: 2, pid: 2 } as const;
  const hear = () => {
    const message = new Uint8Array(0);
    receipts.heard({ ...event, message }, (fd, bytes) => written.push(`${fd} ${bytes.toHex()}`));
  };
  receipts.device(7);
  await files.create("f");
  const { nodeid } = await kernel.lookup(1, "f");
  expect(await validS(kernel, nodeid)).toBe(0);
  now = 250;
  for (let n = 0; n < 2; n += 1) expect(await validS(kernel, nodeid)).toBe(1);
  hear();
  expect(written).toEqual([`7 ${encodeAttributesInvalid(nodeid).toHex()}`]);
  expect(await validS(kernel, nodeid)).toBe(0); // Not in the tree yet; withdrawn in any case:
  hear();
  expect(written.length).toBe(2);
  receipts.passedOne();
  expect(await validS(kernel, nodeid)).toBe(0);
  receipts.passedOne();
  expect(kernel.session.changed("f", false)).toBeUndefined(); // The ring thread does it.
  expect(await validS(kernel, nodeid)).toBe(0);
  now = 500;
  expect(await validS(kernel, nodeid)).toBe(1);
  // More than there is room for is not kept.
  const names = Array.from({ length: 600 }, (_, index) => `n${index}`);
  const nodes: number[] = [];
  for (const name of names) {
    await files.create(name);
    nodes.push((await kernel.lookup(1, name)).nodeid);
  }
  for (const each of nodes) expect(await validS(kernel, each)).toBe(0);
  now = 750;
  let kept = 0;
  for (const each of nodes) kept += await validS(kernel, each);
  expect(kept).toBe(511);
});

test("hostile requests never throw and get one reply at most", async () => {
  const anyBody = fc.oneof(
    fc.uint8Array({ maxLength: 120 }),
    fc.constantFrom(
      bodies.name("a"),
      bodies.create("b"),
      bodies.rename(1, "a", "b"),
      bodies.read(1, 0, 4096),
      bodies.write(1, 0, new Uint8Array(9)),
      bodies.setattr({ size: 3 }),
      bodies.batchForget([{ nodeid: 2, count: 1 }]),
      bodies.release(1),
    ),
  );
  const request = fc.record({
    opcode: fc.integer({ min: 0, max: 50 }),
    nodeid: fc.integer({ min: 0, max: 5 }),
    body: anyBody,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 30 }), async (requests) => {
      const files = new TestingFiles();
      await files.create("a");
      const kernel = new TestingKernel(files);
      const replies = [];
      for (const { opcode, nodeid, body } of requests) {
        const isSilent = (
          [opcodes.forget, opcodes.batchForget, opcodes.interrupt] as number[]
        ).includes(opcode);
        if (!isSilent) replies.push(kernel.ask(opcode, nodeid, body));
      }
      await Promise.all(replies);
      expect(kernel.waiting).toBe(0);
    }),
    { numRuns: 500 },
  );
  const kernel = new TestingKernel(new TestingFiles());
  const whole = encodeRequest({ opcode: 1, unique: 2, nodeid: 1, body: bodies.name("a") });
  for (let size = 0; size < 40; size += 1) kernel.session.handle(whole.subarray(0, size));
  expect(kernel.logged.length).toBe(40);
});

test("the pieces of a handle are one write of the tree, seen by everybody here before", async () => {
  const { files, kernel } = started();
  const { nodeid, fh } = await kernel.create(1, "a");
  for (let at = 0; at < 256; at += 1) expect(await kernel.write(fh, at * 4, "abcd")).toBe(0);
  expect(files.writes).toEqual([]);
  const reader = await kernel.open(nodeid);
  expect(await kernel.read(reader, 1020)).toBe("abcd");
  expect(await attributesOf(kernel, nodeid)).toMatchObject({ size: 1024 });
  expect(await kernel.flush(fh)).toBe(0);
  expect(files.writes).toEqual([1024]);
  expect(files.syncs).toEqual({ held: 1, durable: 0 });
  // Nothing is asked for twice, and never for whoever only reads.
  expect([await kernel.flush(fh), await kernel.flush(reader)]).toEqual([0, 0]);
  expect(files.syncs).toEqual({ held: 1, durable: 0 });
});

test("what comes behind a gathered write finds it done: cuts, times, renames, removals, synchronous writes", async () => {
  const { files, kernel } = started();
  const { nodeid, fh } = await kernel.create(1, "a");
  await kernel.write(fh, 0, "0123456789");
  await kernel.ask(opcodes.setattr, nodeid, bodies.setattr({ size: 4 }));
  expect(await kernel.read(fh)).toBe("0123");
  await kernel.write(fh, 4, "45");
  await kernel.ask(opcodes.setattr, nodeid, bodies.setattr({ mtime: 77 }));
  expect(await kernel.flush(fh)).toBe(0);
  expect(files.entries.get("a")).toMatchObject({ mtime: 77 });
  await kernel.write(fh, 6, "67");
  await kernel.writeSync(fh, 8, "89");
  await kernel.write(fh, 10, "ab");
  await kernel.ask(opcodes.rename, 1, bodies.rename(1, "a", "b"));
  expect(new TextDecoder().decode(files.entries.get("b")!.data)).toBe("0123456789ab");
  await kernel.write(fh, 12, "cd");
  await kernel.ask(opcodes.unlink, 1, bodies.name("b"));
  expect(await kernel.read(fh)).toBe("0123456789abcd");
  expect([await kernel.write(fh, 14, "ef"), await kernel.flush(fh)]).toEqual([0, 0]);
  expect(await kernel.read(fh)).toBe("0123456789abcdef");
  expect(files.writes).toEqual([10, 2, 2, 2, 2, 2]);
});

test("what is refused late is told at close, to each who was writing then, once", async () => {
  const { files, kernel } = started();
  const { nodeid, fh } = await kernel.create(1, "a");
  const other = await kernel.open(nodeid, 1);
  const reader = await kernel.open(nodeid);
  expect(await kernel.write(fh, 0, "x")).toBe(0);
  files.isQuorate = false;
  expect(await kernel.write(fh, 1, "y")).toBe(errnos.EACCES); // What is known is told at once.
  expect(await kernel.flush(reader)).toBe(0);
  expect(await kernel.flush(fh)).toBe(errnos.EACCES);
  expect(await kernel.flush(fh)).toBe(0);
  const later = await kernel.open(nodeid, 1);
  expect(await kernel.flush(later)).toBe(0);
  expect(await kernel.fsync(other)).toBe(errnos.EIO);
  files.isQuorate = true;
  expect(await kernel.flush(other)).toBe(0);
  expect(await kernel.read(fh)).toBe("");
});

test("a tree that was replaced after a write was answered is told of at close and at fsync", async () => {
  const { files, kernel } = started();
  const [a, b] = [await kernel.create(1, "a"), await kernel.create(1, "b")];
  files.losses += 1;
  expect(await kernel.flush(a.fh)).toBe(errnos.EIO);
  expect(await kernel.fsync(b.fh)).toBe(errnos.EIO);
  expect([await kernel.flush(a.fh), await kernel.fsync(b.fh)]).toEqual([0, 0]);
  expect(await kernel.write(a.fh, 0, "x")).toBe(0);
  expect(await kernel.flush(a.fh)).toBe(0);
});

test("who reads a file that has rested goes through the page cache; generated ones pass it by; who only reads is not asked at close", async () => {
  const files = new TestingFiles();
  let now = 0;
  const kernel = new TestingKernel(files, { now: () => now });
  const flagsOf = async (nodeid: number, flags: number) => {
    const { body } = await kernel.ask(opcodes.open, nodeid, bodies.open(flags));
    return new DataView(body.buffer).getUint32(8, true);
  };
  const made = await kernel.ask(opcodes.create, 1, bodies.create("a"));
  expect(new DataView(made.body.buffer).getUint32(128 + 8, true)).toBe(openCached);
  const { nodeid } = readEntry(made.body);
  const [O_RDONLY, O_WRONLY, O_RDWR] = [0, 1, 2];
  expect(await flagsOf(nodeid, O_WRONLY)).toBe(openCached);
  expect(await flagsOf(nodeid, O_RDWR)).toBe(openCached);
  expect(await flagsOf(nodeid, O_RDONLY)).toBe(openDirectIo | openNoFlush);
  await attributesOf(kernel, nodeid);
  now = 249;
  expect(await flagsOf(nodeid, O_RDONLY)).toBe(openDirectIo | openNoFlush);
  now = 250;
  expect(await flagsOf(nodeid, O_RDONLY)).toBe(openCached | openNoFlush);
  kernel.session.changed("a", false);
  expect(await flagsOf(nodeid, O_RDONLY)).toBe(openDirectIo | openNoFlush);
  files.generated.set(".version", () => "text");
  const generated = await kernel.lookup(1, ".version");
  await attributesOf(kernel, generated.nodeid);
  now = 1000;
  expect(await flagsOf(generated.nodeid, O_RDONLY)).toBe(openDirectIo | openNoFlush);
});

test("an append goes behind the end that the tree has, a page of a mapping to its place", async () => {
  const { files, kernel } = started();
  const { fh } = await kernel.create(1, "a");
  await kernel.write(fh, 0, "one\n");
  // The kernel still believes in 4 bytes, and even the tree does, until it has caught up with what this node received.
  files.catchUp = async () => {
    files.catchUp = () => Promise.resolve();
    await files.write("a", 4, new TextEncoder().encode("peer\n"));
  };
  const line = new TextEncoder().encode("two\n");
  const append = 0o2001;
  const write = (flags: number, writeFlags: number) =>
    kernel.ask(opcodes.write, 0, bodies.write(fh, 4, line, flags, writeFlags));
  expect((await write(append, 0)).errno).toBe(0);
  expect(await kernel.read(fh)).toBe("one\npeer\ntwo\n");
  expect((await write(append, 1)).errno).toBe(0);
  expect((await write(1, 0)).errno).toBe(0);
  expect(await kernel.read(fh)).toBe("one\ntwo\n\ntwo\n");
});

test("the kernel is told of what others change, and its pages of an open file get another time", async () => {
  const { files, kernel } = started();
  const { session } = kernel;
  const a = await kernel.create(1, "a");
  const timeNs = async () => {
    const { body } = await kernel.ask(opcodes.getattr, a.nodeid, bodies.getattr());
    return new DataView(body.buffer).getUint32(16 + 52, true);
  };
  const release = holdChanges(files);
  const written = kernel.writeSync(a.fh, 0, "own");
  session.changed("a", true); // Its answer tells the kernel.
  expect(await timeNs()).toBe(0);
  session.changed("a", false);
  expect(await timeNs()).toBe(1);
  release();
  await written;
  session.changed("a", true); // By the local API.
  expect(session.changed("unknown", false)).toBeUndefined();
  const b = await kernel.create(1, "b");
  session.allChanged();
  expect(await timeNs()).toBe(3);
  for (const { nodeid, fh } of [a, b]) {
    await kernel.ask(opcodes.release, nodeid, bodies.release(fh));
  }
  // Its pages outlive its handles; they go with its inode.
  expect(await timeNs()).toBe(3);
  kernel.tell(opcodes.forget, a.nodeid, bodies.forget(1));
  expect(await timeNs()).toBe(0);
});

test("open(O_CREAT) of what a peer has just made opens it, emptied or not; O_EXCL is refused", async () => {
  const { files, kernel } = started();
  const [O_WRONLY, O_CREAT, O_EXCL, O_TRUNC] = [1, 0o100, 0o200, 0o1000];
  await files.create("a");
  await files.write("a", 0, new TextEncoder().encode("peer"));
  const create = (flags: number) =>
    kernel.ask(opcodes.create, 1, bodies.create("a", O_WRONLY | O_CREAT | flags));
  expect((await create(O_EXCL)).errno).toBe(errnos.EEXIST);
  const opened = await create(0);
  expect(opened.errno).toBe(0);
  expect(readEntry(opened.body).size).toBe(4);
  expect(new DataView(opened.body.buffer).getUint32(128 + 8, true)).toBe(openCached);
  const emptied = await create(O_TRUNC);
  expect(readEntry(emptied.body).size).toBe(0);
  expect(readEntry(emptied.body).nodeid).toBe(readEntry(opened.body).nodeid);
  await files.mkdir("d");
  expect((await kernel.ask(opcodes.create, 1, bodies.create("d"))).errno).toBe(errnos.EEXIST);
});
