// Two nodes with real mounts: what one changes, the other's kernel must see at once, and who appends in turns loses nothing.
// The clock stands still, so that no time ever tells a kernel that a file changed.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { present } from "../../src/assert.ts";
import { MountedPair } from "./mounted-pair.ts";

const canMount = process.getuid?.() === 0 && existsSync("/dev/fuse");
const mountTest = test.skipIf(!canMount && process.env["QUORATE_CI"] !== "1");
let pair: MountedPair | undefined;
/** `$A` and `$B` are the two mounts. */
const run = (script: string): Promise<string> => present(pair, "it is open").run(script);

beforeAll(async () => {
  if (canMount) pair = await MountedPair.open();
});
afterAll(() => pair?.close());

const bothTimes40 = Array.from({ length: 40 }, (_, n) => `A ${n}\nB ${n}\n`).join("");

mountTest("who opens and appends in turns loses no line", async () => {
  await run(`for n in {0..39}; do echo "A $n" >> $A/log; echo "B $n" >> $B/log; done`);
  expect(await run("cat $A/log")).toBe(bothTimes40);
  expect(await run("cat $B/log")).toBe(bothTimes40);
});

mountTest("nor who keeps the file open meanwhile", async () => {
  await run(`
    : > $A/kept
    exec 3>> $A/kept 4>> $B/kept
    for n in {0..39}; do echo "A $n" >&3; echo "B $n" >&4; done`);
  expect(await run("cat $B/kept; cmp $A/kept $B/kept")).toBe(bothTimes40);
});

mountTest("sizes and contents are those of now, of an open new file too", async () => {
  expect(
    await run(`
      echo one > $A/f; stat -c %s $A/f $B/f
      echo longer > $B/f; stat -c %s $A/f; cat $A/f
      echo shorter > $B/g; mv $B/g $B/f; cat $A/f`),
  ).toBe("4\n4\n7\nlonger\nshorter\n");
  // Made with O_CREAT it is read through the page cache: the same size and time, other bytes. What is not closed may leave later than what
  // comes of a peer meanwhile, unless it is asked for.
  const held = `python3 -c '
import os, subprocess, sys
fd = os.open(sys.argv[1] + "/made", os.O_RDWR | os.O_CREAT | os.O_EXCL)
os.write(fd, b"aaaa")
os.fsync(fd)
for text in (b"bbbb", b"cccc"):
    print(os.pread(fd, 4, 0))
    peer = os.open(sys.argv[2] + "/made", os.O_WRONLY)
    os.pwrite(peer, text, 0)
    os.close(peer)
print(os.pread(fd, 4, 0))' $A $B`;
  expect(await run(held)).toBe("b'aaaa'\nb'bbbb'\nb'cccc'\n");
});

mountTest("what the other removed is gone, and its name free at once", async () => {
  expect(
    await run(`
      echo x > $A/gone; cat $B/gone; stat -c %s $B/gone
      rm $A/gone
      test ! -e $B/gone
      stat -c %s $A/f > /dev/null; rm $B/f; echo new > $A/f; cat $B/f
      mkdir $A/d; ls -d $B/d > /dev/null; rmdir $A/d; mkdir $B/d; rmdir $B/d`),
  ).toBe("x\n2\nnew\n");
});

mountTest("many changes of one file from both sides end, with its pages mapped", async () => {
  const mapper = `python3 -c '
import mmap, os, sys
fd = os.open(sys.argv[1] + "/busy", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 8192)
try:
    m = mmap.mmap(fd, 8192)
except OSError:
    raise SystemExit # Before Linux 6.6 an existing file cannot be mapped.
for n in range(200):
    m[n * 16] = 65 + n % 26
    os.fstat(fd)
    if n % 20 == 0: m.flush()
m.flush()'`;
  await run(`
    : > $A/busy
    ${mapper} $A & one=$!
    ${mapper} $B & two=$!
    for n in {1..60}; do echo $n >> $A/lines; cat $B/busy > /dev/null; ls -l $A > /dev/null; done & three=$!
    for n in {1..60}; do printf x | dd of=$B/busy bs=1 seek=5000 conv=notrunc status=none; done
    wait $one $two $three`);
  expect(await run("wc -l < $B/lines; cmp $A/busy $B/busy")).toBe("60\n");
});
