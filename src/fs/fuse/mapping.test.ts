// Files that programs map into memory, through the real kernel: new ones as on pmxcfs, existing ones where Linux allows it,
// and the program that needs it most, SQLite in WAL mode. What is mapped and written must be what the tree holds.
import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { umount2, unmountFlags } from "../../libc.ts";
import { FuseMount } from "./mount.ts";
import { TestingFiles } from "../../../test/double/fuse-files.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-mapping-"));
const target = join(base, "mount");
const canMount = process.getuid?.() === 0 && existsSync("/dev/fuse");
const mountTest = test.skipIf(!canMount && process.env["QUORATE_CI"] !== "1");
const [major = 0, minor = 0] = release().split(".").map(Number);
/** Linux 6.6 maps files that were opened with direct I/O. */
const mapsExisting = major > 6 || (major === 6 && minor >= 6);

let files = new TestingFiles();
let mounted: FuseMount | undefined;

beforeEach(async () => {
  mkdirSync(target, { recursive: true });
  files = new TestingFiles();
  const outcome = await FuseMount.mount({ target, files, gid: 33, log: () => undefined });
  if (!outcome.ok) throw new Error(outcome.reason);
  mounted = outcome.value;
});
afterEach(async () => {
  await mounted?.unmount();
  mounted = undefined;
});
afterAll(() => {
  umount2(target, unmountFlags.DETACH);
  rmSync(base, { recursive: true });
});

/** Not by `cwd`: the child would enter the mount while this process, which serves it, waits for the child to begin. */
function spawned(command: readonly string[]) {
  return Bun.spawn(["sh", "-c", 'cd "$0" && exec "$@"', target, ...command], {
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(command: readonly string[], script: string): Promise<string> {
  const file = join(base, "script");
  writeFileSync(file, script);
  const child = spawned([...command, file]);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`exit ${child.exitCode}: ${err}`);
  return out;
}

const content = (path: string) => Buffer.from(files.entries.get(path)?.data ?? "").toString();

/** Opens, maps 8 kB shared, writes through the mapping and reads the file back with read(2). */
const mapping = (flags: string) => `
import mmap, os
fd = os.open("f", ${flags}, 0o640)
os.ftruncate(fd, 8192)
try:
    m = mmap.mmap(fd, 8192, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
except OSError as e:
    print(e.strerror)
    raise SystemExit
m[0:5] = b"hello"
m[4096:4101] = b"world"
os.pwrite(fd, b"J", 0)
m[4100:4101] = b"D"
m.flush()
print(bytes(m[0:5]), os.pread(fd, 5, 0), os.pread(fd, 5, 4096))
`;

mountTest(
  "a new file can be mapped shared, and its mapping, reads and the tree agree",
  async () => {
    const out = await run(["python3"], mapping("os.O_RDWR | os.O_CREAT | os.O_EXCL"));
    expect(out).toBe("b'Jello' b'Jello' b'worlD'\n");
    expect(content("f").replaceAll("\0", "")).toBe("JelloworlD");
    expect(content("f").length).toBe(8192);
  },
);

mountTest(
  "an existing file can be mapped shared from Linux 6.6 on, before as on pmxcfs",
  async () => {
    await files.create("f");
    const out = await run(["python3"], mapping("os.O_RDWR"));
    expect(out).toBe(mapsExisting ? "b'Jello' b'Jello' b'worlD'\n" : "No such device\n");
    if (mapsExisting) expect(content("f").replaceAll("\0", "")).toBe("JelloworlD");
  },
);

const sqlite = (statements: string) => `
import { Database } from "bun:sqlite";
const db = new Database("app.db", { create: true });
const one = (sql) => Object.values(db.query(sql).get())[0];
${statements}
`;
const bun = [process.execPath, "run"];

mountTest("SQLite works in WAL mode, with two programs at once and after a kill", async () => {
  const make = `
    console.log(one("PRAGMA journal_mode=WAL"));
    db.run("CREATE TABLE t (writer, n)");`;
  expect(await run(bun, sqlite(make))).toBe("wal\n");
  const insert = (writer: number) =>
    sqlite(`db.run("PRAGMA busy_timeout=20000");
    for (let n = 0; n < 20; n += 1) db.run("INSERT INTO t VALUES (${writer}, ?)", [n]);`);
  writeFileSync(join(base, "second"), insert(2));
  const second = spawned([...bun, join(base, "second")]);
  await run(bun, insert(1));
  expect(await second.exited).toBe(0);
  // Killed in the middle: -wal and -shm stay, and the next one opens existing files.
  const killed = sqlite(
    `db.run("INSERT INTO t VALUES (3, 0)"); process.kill(process.pid, "SIGKILL");`,
  );
  await run(bun, killed).catch(() => undefined);
  expect(files.entries.has("app.db-shm")).toBe(true);
  const look = sqlite(`
    console.log(one("PRAGMA integrity_check"), one("SELECT count(*) FROM t"), one("SELECT count(*) FROM t WHERE writer = 3"));
    console.log(one("PRAGMA journal_mode=DELETE"));`);
  if (mapsExisting) expect(await run(bun, look)).toBe("ok 41 1\ndelete\n");
});
