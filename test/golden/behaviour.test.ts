// The rows of pmxcfs/behaviour.tsv in file order on one tree for each state, driven through `Files`; at the end the generated files of
// the recorded run in local mode (pmxcfs/local.*.txt), which pin down every counter. Rows that the kernel answers before any file
// system is asked are run through a mount, as all others once more: test/fs/mount-behaviour.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOf } from "../../src/bytes.ts";
import type { Outcome } from "../../src/fs/tree/files.ts";
import type { ConfigurationTree } from "../../src/fs/fs.ts";
import { HandClock } from "../double/hand-clock.ts";
import {
  containers,
  foreign,
  guests,
  matches,
  me,
  openTree,
  other,
  oursOf,
  rowsOf,
  startTimeS,
  states,
  synced,
  type BehaviourTree,
  type State,
} from "./behaviour-tree.ts";
import { plainQuorum } from "../fs/plain-quorum.ts";

let directory = "";
let state: State = "local";
let all: BehaviourTree;
let tree: ConfigurationTree;
let clock = new HandClock();
let timesBefore = "";
/** What `now` is for touch. */
const now = startTimeS;

/** The kernel, the C library or Python answers these, or they tell of what a process holds open. */
const kernelOnly =
  /^open |^lseek|^flock|^fcntl|^mmap|^fsync|^fdatasync|^fallocate|^access|^pread|xattr$|^removexattr|xattr user|^symlink$|^link$|^mkfifo$|^rmdir file$|^unlink dir$|^rmdir local$|^rename file onto dir|^rename dir onto file|^RENAME_NOREPLACE|^rmdir \/etc\/pve|^rename \/etc\/pve|^www-data:|^nobody:|^stat through symlink with missing target|of a file that is open$|over a file that is open$|^lstat \.debug after write|^fill tree with 132 MiB/;

/** The kernel finds these before it asks for a change, which `Files` may refuse first for the lack of quorum; the mount's rows are exact. */
const lookups: ReadonlySet<string> = new Set(["ENOENT", "EEXIST", "ENOTDIR"]);

function text(outcome: Outcome<unknown>, value = ""): string {
  return outcome.ok ? `OK${value === "" ? "" : ` ${value}`}` : outcome.errno;
}

function stat(path: string): string {
  const found = tree.stat(path);
  if (!found.ok) return found.errno;
  const { type, mode, size, links, generated } = found.value;
  const kind = { directory: 0o40000, file: 0o100000, symlink: 0o120000 }[type];
  const head = `OK ${(kind | mode).toString(8)} uid=0 gid=33 nlink=${links}`;
  if (generated && type === "file") return head;
  return `${head} size=${size} blocks=${type === "file" ? Math.ceil(size / 4096) : 0} blksize=4096`;
}

function content(path: string): Buffer {
  const read = tree.read(path);
  if (!read.ok) throw new Error(read.errno);
  return Buffer.from(read.value);
}

async function write(path: string, data: string | Uint8Array, offset = 0): Promise<string> {
  const bytes = typeof data === "string" ? bytesOf(data) : data;
  // The kernel cuts a write into pieces of 128 KiB.
  let done = 0;
  while (done < bytes.length) {
    const piece = bytes.subarray(done, done + 131_072);
    const written = await tree.write(path, offset + done, piece);
    if (!written.ok) return written.errno;
    done += written.value;
  }
  return `OK ${done}`;
}

/** open(O_CREAT|O_TRUNC), write, close. */
async function save(path: string, data: string): Promise<string> {
  const there = tree.stat(path);
  const opened = there.ok ? await tree.truncate(path, 0) : await tree.create(path);
  if (!opened.ok) return opened.errno;
  return data === "" ? "OK 0" : write(path, data);
}

/** open(O_TRUNC), write, close. */
async function overwrite(path: string, data: string): Promise<string> {
  const there = tree.stat(path);
  return there.ok ? save(path, data) : there.errno;
}

/** Without quorum the file of the largest size was never made. */
const bigFile = (): string => (state === "nonquorate" ? "t/big" : "t/f");

function sizeOf(path: string): string {
  const found = tree.stat(path);
  return found.ok ? `OK ${found.value.size}` : found.errno;
}

function times(path: string): string {
  const found = tree.stat(path);
  return found.ok ? String(found.value.mtime) : found.errno;
}

/** Until `isSo`; the group delivers in turns of the event loop. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

const confOf = (version: string): string => `totem {\n${version}cluster_name: c\n}\n`;
const confPath = (): string => join(directory, `${me}.conf`);

/** A corosync.conf of the tree, and whether the ring's own copy follows. */
async function putConf(version: string, isTaken: boolean): Promise<string> {
  const before = existsSync(confPath()) ? readFileSync(confPath(), "utf8") : "";
  const conf = confOf(version);
  const saved = await save("corosync.conf", conf);
  if (isTaken) await until(() => readFileSync(confPath(), "utf8") === conf);
  else expect(readFileSync(confPath(), "utf8")).toBe(before);
  return saved.replace(/^OK .*/, "OK");
}

async function many(...steps: (() => Promise<Outcome<unknown>>)[]): Promise<string> {
  for (const step of steps) {
    const outcome = await step();
    if (!outcome.ok) return outcome.errno;
  }
  return "OK";
}

const rename = async (from: string, to: string) => text(await tree.rename(from, to));
const mkdir = async (path: string) => text(await tree.mkdir(path));
const create = async (path: string) => text(await tree.create(path));
const remove = async (path: string) => text(await tree.remove(path));
const truncate = async (path: string, to: number) => text(await tree.truncate(path, to));
const touch = async (path: string, seconds: number) => text(await tree.setMtime(path, seconds));
const named = async (name: string) => {
  const made = await create(`t/${name}`);
  if (made === "OK") await tree.remove(`t/${name}`);
  return made;
};

const handlers: Record<string, () => Promise<string> | string> = {
  "getattr /": () => stat(""),
  "getattr t (dir)": () => stat("t"),
  "getattr t/f (file)": () => stat("t/f"),
  "getattr priv": () => stat("priv"),
  "getattr priv/secret": () => stat("priv/secret"),
  "getattr nodes/ME/priv": () => stat(`nodes/${me}/priv`),
  "getattr nodes/ME/priv/k": () => stat(`nodes/${me}/priv/k`),
  "getattr nodes/ME/qemu-server/100.conf": () => stat(`${guests}/100.conf`),
  "getattr missing": () => stat("missing"),
  "read file t/f": () => `OK b'${content("t/f").toString("latin1")}'`,
  "create t/new (O_CREAT|O_EXCL)": () => create("t/new"),
  "create t/f O_CREAT|O_EXCL (exists)": () => create("t/f"),
  "create in missing dir": () => create("t/none/x"),
  "create below a file t/f/x": () => create("t/f/x"),
  // The row before it in the table, "open t/f O_RDWR|O_TRUNC", is the kernel's; its truncate is done here.
  "write 5 bytes t/f": async () => {
    await tree.truncate("t/f", 0);
    return write("t/f", "hello");
  },
  "append 6 bytes (O_APPEND)": () => write("t/f", " world", 5),
  "content after append": () => `OK b'${content("t/f").toString("latin1")}'`,
  "pwrite at 20 (hole 11..19)": () => write("t/f", "Z", 20),
  "content after hole": () => `OK ${content("t/f").toString("hex")}`,
  "pwrite at 0, 2 bytes, no truncate": () => write("t/f", "XX", 0),
  "size unchanged": () => `OK ${content("t/f").length}`,
  "truncate shrink 5": () => truncate("t/f", 5),
  "truncate grow 9": () => truncate("t/f", 9),
  "ftruncate 3 on open fd": () => truncate("t/f", 3),
  "truncate missing": () => truncate("t/missing", 3),
  "truncate dir": () => truncate("t", 3),
  "write 1048576 bytes in one file": () => write("t/f", new Uint8Array(1_048_576)),
  "write 1048577 bytes": () => write("t/f", new Uint8Array(1_048_577)),
  "size after failing write": () => sizeOf(bigFile()),
  "pwrite 1 byte at 1048576": () => write(bigFile(), "x", 1_048_576),
  "truncate 1048576": () => truncate("t/f", 1_048_576),
  "truncate 1048577": () => truncate("t/f", 1_048_577),
  "truncate 4294967296+3": () => truncate("t/f", 4_294_967_299),
  "size after": () => sizeOf("t/f"),
  "truncate back 5": () => truncate("t/f", 5),
  "mkdir t/d1": () => mkdir("t/d1"),
  "mkdir existing": () => mkdir("t/full"),
  "mkdir missing parent": () => mkdir("t/none/x"),
  "mkdir below file": () => mkdir("t/f/x"),
  "rmdir non-empty": () => remove("t/full"),
  "rmdir t/d1": () => remove("t/d1"),
  "rmdir missing": () => remove("t/d1"),
  "unlink missing": () => remove("t/missing"),
  "unlink t/new": () => remove("t/new"),
  "rename file t/f -> t/f2": () => rename("t/f", "t/f2"),
  "rename back over existing: t/f2 -> t/g": () => rename("t/f2", "t/g"),
  "rename missing": () => rename("t/f2", "t/x"),
  "rename to missing dir": () => rename("t/g", "t/none/g"),
  "rename empty dir": () =>
    many(
      () => tree.rename("t/empty", "t/e2"),
      () => tree.rename("t/e2", "t/empty"),
    ),
  "rename non-empty dir": () => rename("t/full", "t/full3"),
  "rename empty dir onto empty dir": async () => {
    await tree.mkdir("t/e3");
    return rename("t/e3", "t/empty2");
  },
  "rename empty dir onto non-empty dir": () => rename("t/empty2", "t/full2"),
  "rename dir into itself": () => rename("t/empty", "t/empty/x"),
  "rename lock dir priv/lock/held -> priv/lock/h2": () => rename("priv/lock/held", "priv/lock/h2"),
  "rename t/g -> .version": () => rename("t/g", ".version"),
  "rename t/g -> local": () => rename("t/g", "local"),
  "rename .debug -> t/x": () => rename(".debug", "t/x"),
  "rename local -> t/x": () => rename("local", "t/x"),
  "chmod 0640 file": () => text(tree.chmod("t/g", 0o640)),
  "chmod 0600 file": () => text(tree.chmod("t/g", 0o600)),
  "chmod 0644 file": () => text(tree.chmod("t/g", 0o644)),
  "chmod 0600 priv file": () => text(tree.chmod("priv/secret", 0o600)),
  "chmod 0640 priv file": () => text(tree.chmod("priv/secret", 0o640)),
  "chmod 0755 dir": () => text(tree.chmod("t", 0o755)),
  "chmod 0640 dir": () => text(tree.chmod("t", 0o640)),
  "chmod 0640 missing": () => text(tree.chmod("t/missing", 0o640)),
  "chown root:www-data": () => text(tree.chown("t/g", 0, 33)),
  "chown -1:-1": () => text(tree.chown("t/g", undefined, undefined)),
  "chown root:root": () => text(tree.chown("t/g", 0, 0)),
  "chown 1000:33": () => text(tree.chown("t/g", 1000, 33)),
  "mknod regular file": () => create("t/nod"),
  "utime file 1000000000": () => touch("t/g", 1_000_000_000),
  "stat times": () => {
    const after = times("t/g");
    return after === timesBefore ? "OK unchanged" : `OK (${after}, ${after}, ${after})`;
  },
  "utime file 0,0": () => touch("t/g", 0),
  "utime now": () => touch("t/g", now),
  "utime dir t 5": () => touch("t", 5),
  "utime root": () => touch("", 5),
  "utime .version": () => touch(".version", 5),
  "utime symlink local (nofollow)": () => touch("local", 5),
  "utime missing": () => touch("t/missing", 5),
  statvfs: () => {
    const { blockSize, blocks, blocksFree, files, nameMax } = tree.statfs();
    const isUsed = blocksFree < blocks ? "True" : "False";
    return `OK bsize=${blockSize} frsize=${blockSize} blocks=${blocks} bfree<blocks=${isUsed} files=${files} namemax=${nameMax}`;
  },
  "lstat local: owner write bit": () => (stat("local").includes("120755") ? "OK True" : "OK False"),
  "write .version": () => write(".version", "x"),
  "truncate .version": () => truncate(".version", 0),
  "unlink .version": () => remove(".version"),
  "unlink local": () => remove("local"),
  "create .version O_CREAT|O_EXCL": () => create(".version"),
  "mkdir local": () => mkdir("local"),
  "mkdir .version/x": () => mkdir(".version/x"),
  "create arbitrary dotfile .foo": () => create(".foo"),
  "unlink .foo": () => remove(".foo"),
  'write .debug "1\\n"': () => write(".debug", "1\n"),
  'write .debug "0\\n"': () => write(".debug", "0\n"),
  'write .debug "1" (no newline)': () => write(".debug", "1"),
  'write .debug "2\\n"': () => write(".debug", "2\n"),
  "write .debug at offset 1": () => write(".debug", "1\n", 1),
  "chmod .debug 0640": () => text(tree.chmod(".debug", 0o640)),
  "create VM conf nodes/ME/qemu-server/101.conf": () => save(`${guests}/101.conf`, "vm101"),
  "create same VMID other node": () => save(`${foreign}/101.conf`, "x"),
  "create same VMID as CT": () => save(`${containers}/101.conf`, "x"),
  "write VM conf via symlink qemu-server/101.conf": () =>
    overwrite("qemu-server/101.conf", "vm1o1"),
  "write other node VM 200.conf": () => save(`${foreign}/200.conf`, "vm200"),
  "mv 101.conf to other node (migration)": () =>
    rename(`${guests}/101.conf`, `${foreign}/101.conf`),
  "mv back": () => rename(`${foreign}/101.conf`, `${guests}/101.conf`),
  "mv 101.conf -> ME/lxc/101.conf (type change, same id)": () =>
    rename(`${guests}/101.conf`, `${containers}/101.conf`),
  "mv lxc/101.conf -> qemu-server/101.conf": () =>
    rename(`${containers}/101.conf`, `${guests}/101.conf`),
  "mv 101.conf -> other/200.conf (id of same path)": () =>
    rename(`${guests}/101.conf`, `${foreign}/200.conf`),
  "mv t/g -> ME/qemu-server/300.conf (id used by CT)": () => rename("t/g", `${guests}/300.conf`),
  "create tmp + rename over VM conf": () =>
    many(
      () => tree.create(`${guests}/100.conf.tmp`),
      () => tree.rename(`${guests}/100.conf.tmp`, `${guests}/100.conf`),
    ),
  "create 0100.conf": () => save(`${guests}/0100.conf`, "x"),
  "create 5.conf": () => save(`${guests}/5.conf`, "x"),
  "create 4294967296.conf": () => save(`${guests}/4294967296.conf`, "x"),
  "create 4294967296.conf twice other node": () => save(`${foreign}/4294967296.conf`, "x"),
  "mkdir qemu-server/400.conf (directory)": () => mkdir(`${guests}/400.conf`),
  "create lxc/400.conf": () => save(`${containers}/400.conf`, "x"),
  "create sub dir file qemu-server/sub/100.conf": () =>
    many(
      () => tree.mkdir(`${guests}/sub`),
      () => tree.create(`${guests}/sub/100.conf`),
    ),
  "rename 100.conf -> 102.conf": () => rename(`${guests}/100.conf`, `${guests}/102.conf`),
  "unlink 102.conf": () => remove(`${guests}/102.conf`),
  "create name of 255 bytes": () => named("n".repeat(255)),
  "create name of 256 bytes": () => named("n".repeat(256)),
  "create name of 300 bytes": () => named("n".repeat(300)),
  "create name of 1023 bytes": () => named("n".repeat(1023)),
  "create name of 1024 bytes": () => named("n".repeat(1024)),
  "create name of 1025 bytes": () => named("n".repeat(1025)),
  "create name with newline, tab, quote": () => named('a\nb\tc"d'),
  "create name invalid utf-8 (ff fe)": () => named("\xff\xfe"),
  "create name openvz script 100.mount, mode": async () => {
    const made = await create("t/100.mount");
    return made !== "OK" ? made : stat("t/100.mount").slice(0, "OK 100740".length);
  },
  "rmdir nodes/ME/lxc non-empty": () => remove(containers),
  "rmdir nodes (non-empty)": () => remove("nodes"),
  "rmdir empty nodes/OTHER/lxc": () => remove(`nodes/${other}/lxc`),
  "mkdir nodes/OTHER/lxc": () => mkdir(`nodes/${other}/lxc`),
  "mkdir nodes/-bad-": () => mkdir("nodes/-bad-"),
  "mkdir toplevel dir": () => mkdir("toplevel"),
  "mkdir priv/lock/L": () => mkdir("priv/lock/L"),
  "mkdir priv/lock/L again": () => mkdir("priv/lock/L"),
  "utime priv/lock/L 0,0 (unlock request, not expired)": () => touch("priv/lock/L", 0),
  "utime priv/lock/L now (refresh, same writer)": () => touch("priv/lock/L", now + 1),
  "utime priv/lock/L now-10 (older)": () => touch("priv/lock/L", now - 10),
  "mkdir priv/lock/L/sub": () =>
    many(
      () => tree.mkdir("priv/lock/L/sub"),
      () => tree.remove("priv/lock/L/sub"),
    ),
  "create file priv/lock/F": () => save("priv/lock/F", ""),
  "rename priv/lock/F -> priv/lock/G (file)": () => rename("priv/lock/F", "priv/lock/G"),
  "unlink priv/lock/G": () => remove("priv/lock/G"),
  "rmdir priv/lock/L": () => remove("priv/lock/L"),
  "rename t/full -> priv/lock/Z": () =>
    many(
      () => tree.remove("t/full/x"),
      () => tree.rename("t/full", "priv/lock/Z"),
    ),
  "readdir / names": () => {
    const listed = tree.list("");
    const names = listed.ok ? listed.value.map(({ name }) => name) : [];
    const always = [
      ".clusterlog",
      ".debug",
      ".members",
      ".rrd",
      ".version",
      ".vmlist",
      "local",
      "lxc",
      "openvz",
      "qemu-server",
    ];
    return `OK (always contains ${always.filter((name) => names.includes(name)).join(" ")} besides stored names)`;
  },
};
for (const name of ["local", "lxc", "qemu-server", "openvz"]) {
  handlers[`lstat ${name} (symlink)`] = () => stat(name);
  handlers[`readlink ${name}`] = () => {
    const target = tree.readlink(name);
    return text(target, target.ok ? target.value.replace(me, "ME") : "");
  };
}
for (const name of [".version", ".members", ".vmlist", ".rrd", ".clusterlog", ".debug"]) {
  handlers[`lstat ${name}`] = () => stat(name);
}

/** "content" stands twice in the table: after the cut, and after the growth as hex. */
let contents = 0;
handlers["content"] = () => {
  contents += 1;
  const bytes = content("t/f");
  return contents === 1 ? `OK b'${bytes.toString("latin1")}'` : `OK ${bytes.toString("hex")}`;
};

Object.assign(handlers, {
  "read .debug": () => `OK b'${content(".debug").toString().replace("\n", "\\n")}'`,
  "truncate(2) to 10 on an empty file, then read": async () => {
    await tree.create("t/zero");
    await tree.truncate("t/zero", 10);
    return `OK ${content("t/zero").toString("hex")}`;
  },
  "truncate(2) to 10 on an empty file (size 0)": async () => {
    await tree.create("t/zero");
    return truncate("t/zero", 10);
  },
  "read of that file": () => `OK ${content("t/zero").toString("hex")}`,
  "next state exchange with that file present on the leader": async () => {
    const joined = await all.join(3);
    await synced([tree, all.peer!, joined]);
    expect(joined.status().digest).toBe(tree.status().digest);
    return "OK";
  },
  "rename non-empty dir onto existing empty dir": async () => {
    await tree.mkdir("t/there");
    const got = await rename("t/full2", "t/there");
    expect(stat("t/there")).toStartWith("OK 40755");
    await tree.remove("t/there");
    return got;
  },
  "stat of a path just removed by another node": async () => {
    await tree.create("t/gone");
    await all.peer!.remove("t/gone");
    return stat("t/gone");
  },
  "utime(0,0) on a lock dir older than 120 s from any node": async () => {
    await tree.mkdir("priv/lock/old");
    clock.advance(121_000);
    const got = text(await all.peer!.setMtime("priv/lock/old", 0));
    await until(() => stat("priv/lock/old") === "ENOENT");
    return got;
  },
  "write corosync.conf with higher config_version": async () => {
    await putConf("config_version: 6\n", true);
    return putConf("config_version: 7\n", true);
  },
  "write corosync.conf with lower config_version": () => putConf("config_version: 5\n", false),
  "write corosync.conf without config_version": () => putConf("", false),
});

const golden = (name: string) =>
  readFileSync(join(import.meta.dir, `pmxcfs/local.${name}.txt`), "latin1");
const generated = (name: string) => content(`.${name}`).toString("latin1");

async function open(next: State): Promise<void> {
  directory = mkdtempSync(join(tmpdir(), "quorate-behaviour-"));
  [state, clock, contents] = [next, new HandClock(), 0];
  all = await openTree(state, directory, { wallS: () => startTimeS, clock });
  tree = all.tree;
  timesBefore = times("t/g");
}

async function close(): Promise<void> {
  await all.stop();
  rmSync(directory, { recursive: true, force: true });
}

describe.each([...states])("%s", (each) => {
  beforeAll(() => open(each));
  afterAll(close);

  const rows = rowsOf(each);
  test("what is left to the mount is the kernel's", () => {
    const left = rows.map(({ operation }) => operation).filter((name) => !(name in handlers));
    expect(left.filter((name) => !kernelOnly.test(name))).toEqual([]);
  });

  for (const row of rows) {
    const handler = handlers[row.operation];
    if (handler === undefined) continue;
    const wanted = oursOf(each, row);
    const isLookedUp = each === "nonquorate" && lookups.has(wanted);
    test(`${row.operation}: ${wanted}`, async () => {
      const got = await handler();
      if (isLookedUp && got === "EACCES") return;
      expect(matches(got, wanted) ? wanted : got).toBe(wanted);
    });
  }

  if (each !== "local") return;
  test.each(["version", "members", "clusterlog", "rrd", "debug"])(
    "afterwards .%s is the original's, byte for byte",
    (name) => expect(generated(name)).toBe(golden(name)),
  );

  test("afterwards .vmlist is the original's, in another order", () => {
    const sorted = (list: string) => list.replace(/}}\n/, "},\n").split("\n").sort();
    expect(sorted(generated("vmlist"))).toEqual(sorted(golden("vmlist")));
  });
});

describe("rows of their own states", () => {
  beforeAll(() => open("quorate"));
  afterAll(close);

  test(`sync: ${rowsOf("sync")[0]?.operation}`, async () => {
    const joining = all.join(3, { isMute: true });
    await until(() => tree.status().mode !== "synced");
    let isAnswered = false;
    const written = tree.mkdir("t/late").finally(() => (isAnswered = true));
    for (let turn = 0; turn < 100; turn += 1) await until(() => true);
    expect(isAnswered).toBe(false);
    all.unmute();
    expect(text(await written)).toBe("OK");
    await synced([tree, all.peer!, await joining]);
  });

  // With us ring and tree are one program: what is left of the row is a tree whose ring tells it of no quorum.
  test(`nocorosync: ${rowsOf("nocorosync")[0]?.operation}`, async () => {
    tree.setQuorum(plainQuorum(false), "no quorum");
    expect(await mkdir("t/down")).toBe(rowsOf("nocorosync")[0]!.expected);
  });
});
