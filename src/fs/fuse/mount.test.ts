// The real kernel. Everything that touches the mount runs in child processes: this one would wait for itself.
import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { umount2, unmountFlags } from "../../libc.ts";
import { FuseMount } from "./mount.ts";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { pending, ready, until } from "../../../test/interop/wait.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-fuse-"));
const target = join(base, "mount");
let problem = "";
if (process.getuid?.() !== 0) problem = "needs root";
else if (!existsSync("/dev/fuse")) problem = "needs /dev/fuse";
if (problem !== "") console.log(`skipped: FUSE mount tests (${problem})`);
// In CI nothing may be skipped.
const mountTest = test.skipIf(problem !== "" && process.env["QUORATE_CI"] !== "1");

let files = new TestingFiles();
let mounted: FuseMount | undefined;
const logged: string[] = [];
const log = (_level: string, text: string) => void logged.push(text);

async function mount(): Promise<FuseMount> {
  files = new TestingFiles();
  const outcome = await FuseMount.mount({ target, files, gid: 33, log });
  if (!outcome.ok) throw new Error(outcome.reason);
  mounted = outcome.value;
  return mounted;
}

beforeEach(() => {
  logged.length = 0;
  mkdirSync(target, { recursive: true });
});
afterEach(async () => {
  await mounted?.unmount();
  mounted = undefined;
  umount2(target, unmountFlags.DETACH); // What a failed test left; else there is nothing.
});
afterAll(() => {
  umount2(target, unmountFlags.DETACH);
  rmSync(base, { recursive: true });
});

async function shell(script: string): Promise<{ code: number; out: string }> {
  const child = Bun.spawn(["bash", "-c", `cd "$T" && { ${script}\n}`], {
    env: { PATH: process.env["PATH"], T: target, BASE: base, LC_ALL: "C" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out: out + err };
}

/** What a script prints; it must succeed. */
async function run(script: string): Promise<string> {
  const { code, out } = await shell(script);
  if (code !== 0) throw new Error(`exit ${code}: ${script}\n${out}`);
  return out;
}

mountTest("looks in /proc/mounts and df as pmxcfs does", async () => {
  await mount();
  expect(await run(`grep "$T" /proc/mounts | sed "s#$T#/etc/pve#"`)).toBe(
    "/dev/fuse /etc/pve fuse rw,nosuid,nodev,relatime,user_id=0,group_id=0,default_permissions,allow_other 0 0\n",
  );
  expect(await run("df --output=source,itotal,size . | tail -1")).toMatch(
    /^\/dev\/fuse +262144 +131072\n$/,
  );
  expect(await run("stat -f -c '%s %S %b %f %l' .")).toBe("4096 4096 32768 32000 256\n");
});

mountTest("shows owner, modes, sizes and times of pmxcfs", async () => {
  await mount();
  files.symlink("local", "nodes/pa");
  files.generated.set(".version", () => "some text\n");
  await run("mkdir d; printf 12345 > f; touch -d @1700000000 f d");
  const format = "%n %A %h %u %g %s %b %o %X %Y %Z";
  expect(await run(`stat -c '${format}' f d local .version`)).toBe(
    [
      "f -rw-r----- 1 0 33 5 1 4096 1700000000 1700000000 1700000000",
      "d drwxr-xr-x 2 0 33 0 0 4096 1700000000 1700000000 1700000000",
      `local lrwxr-xr-x 1 0 33 8 0 4096 ${`${files.entries.get("local")!.mtime} `.repeat(3).trim()}`,
      ".version -r--r----- 1 0 33 10 1 4096 0 0 0",
      "",
    ].join("\n"),
  );
  expect(await run("readlink local; cat .version; ls -A | sort | tr '\\n' ' '")).toBe(
    "nodes/pa\nsome text\n.version d f local ",
  );
  expect(
    await run("a=$(stat -c %i f); mv f g; b=$(stat -c %i g); ls -i g; echo $((a - b))"),
  ).toMatch(/^(\d+) g\n0\n$/);
});

mountTest("a file of 1 MiB comes in pieces of 128 KiB and is one write of the tree", async () => {
  await mount();
  await run(
    `head -c 1048576 /dev/urandom > "$BASE/random"; cp "$BASE/random" big; cmp "$BASE/random" big`,
  );
  expect(files.writes).toEqual([1_048_576]);
  expect(Buffer.compare(files.entries.get("big")!.data, readFileSync(join(base, "random")))).toBe(
    0,
  );
  expect(await shell("printf x >> big")).toEqual({
    code: 1,
    out: expect.stringContaining("File too large"),
  });
});

mountTest("append, truncate, overwrite, hole, rename over, remove", async () => {
  await mount();
  await run("echo one > f; echo two >> f");
  expect(await run("cat f")).toBe("one\ntwo\n");
  await run("truncate -s 3 f; printf x | dd of=f bs=1 seek=5 conv=notrunc status=none");
  expect(await run("od -An -c f")).toBe("   o   n   e  \\0  \\0   x\n");
  await run("echo new > t; mv t f; echo other > g; mv -f g f");
  expect(await run("cat f; ls")).toBe("other\nf\n");
  await run("mkdir d; mv f d/f; mkdir d/e; rmdir d/e; rm -r d; sync; sync -f .");
  expect(await run("ls -A")).toBe("");
  expect([...files.entries.keys()]).toEqual([""]);
});

mountTest("errors are those of pmxcfs", async () => {
  await mount();
  await run("echo x > f; mkdir -p d/e");
  for (const [script, message] of [
    ["ln -s a b", "Function not implemented"],
    ["ln f g", "Operation not permitted"],
    ["mkfifo p", "Function not implemented"],
    ["chmod 600 f", "Operation not permitted"],
    ["chown 1000 f", "Operation not permitted"],
    ["rmdir d", "Directory not empty"],
    ["mv d x", "Directory not empty"],
    ["cat missing", "No such file or directory"],
    ["echo > f/x", "Not a directory"],
    ["set -C; echo > f", "cannot overwrite existing file"],
    ["fallocate -l 9 f", "Operation not supported"],
  ] as const) {
    const { code, out } = await shell(script);
    expect(`${script}: ${out}`).toContain(message);
    expect(code).toBeGreaterThan(0);
  }
  await run("chmod 640 f; chown root f; flock f true; mknod 2>&1 | true");
});

mountTest("removed and replaced files stay whole for who has them open", async () => {
  await mount();
  await run("echo old > f; echo gone > g");
  const out = await run(`
    exec 3< f 4<> g
    echo new > t; mv t f; rm g
    cat <&3; cat f; cat <&4
    echo more >&4
    cat /dev/fd/4
    stat -L -c '%h %s' /dev/fd/4
    ls`);
  expect(out).toBe("old\nnew\ngone\ngone\nmore\n0 10\nf\n");
});

mountTest("many files, eight writers at once", async () => {
  const busy = await mount();
  const writers = Array.from({ length: 8 }, (_, i) =>
    run(
      `for n in $(seq 60); do echo "$n" > "t$.${i}"; mv "t$.${i}" "f${i}-$n"; echo ${i} >> log; done`,
    ),
  );
  await Promise.all(writers);
  expect(
    await run("ls | wc -l; ls -la | wc -l; cat f7-60; sort log | uniq -c | tr -s ' \\n' ' '"),
  ).toBe("481\n484\n60\n 60 0 60 1 60 2 60 3 60 4 60 5 60 6 60 7 ");
  expect(await run("rm f*; ls")).toBe("log\n");
  expect(busy.snapshot()).toMatchObject({ waiting: 0 });
});

mountTest("without quorum: reads go on, changes are refused, modes show it", async () => {
  await mount();
  await run("echo x > f; mkdir d");
  files.isQuorate = false;
  mounted!.changed(undefined, false);
  expect(await run("cat f; stat -c %A f d .")).toBe("x\n-r--r-----\ndr-xr-xr-x\ndrwxr-xr-x\n");
  for (const script of ["echo y > f", "echo y > g", "mkdir e", "rm f", "mv f g", "touch f"]) {
    expect((await shell(script)).out).toContain("Permission denied");
  }
  files.isQuorate = true;
  expect(await run("echo y > f; cat f")).toBe("y\n");
});

// Linux itself lets a listing wait for a creation in the same directory, so each has its own here.
mountTest("who waits for the cluster stops nobody else and can be killed", async () => {
  const waiting = await mount();
  await run("mkdir a b c; echo x > c/f");
  const hold = Promise.withResolvers<void>();
  files.changesWait = hold.promise;
  const stuck = Bun.spawn(["bash", "-c", `echo stuck > "${target}/a/g"`]);
  const late = run("echo late > b/h; cat b/h");
  const bothWait = () => (waiting.snapshot().waiting === 2 ? ready(true) : pending("fewer"));
  await until(bothWait, 30_000, "two writers wait");
  expect(await run("cat c/f; ls c")).toBe("x\nf\n");
  stuck.kill("SIGINT");
  await stuck.exited;
  expect(stuck.signalCode).toBe("SIGINT");
  expect(waiting.snapshot().waiting).toBe(2); // Given up by its process, but not taken back.
  hold.resolve();
  expect(await late).toBe("late\n");
});

mountTest("the mount of a killed process is repaired", async () => {
  const daemon = Bun.spawn(
    [process.execPath, join(import.meta.dir, "../../../test/double/fuse-daemon.ts"), target],
    {
      stdout: "pipe",
    },
  );
  const { value } = await daemon.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("mounted\n");
  expect(await run("ls")).toBe("from-the-daemon\n");
  const second = await FuseMount.mount({ target, files, gid: 33, log });
  expect(second).toMatchObject({ ok: false, errno: "EBUSY" });
  expect(second.ok ? "" : second.reason).toContain("already a mount of type fuse");
  daemon.kill("SIGKILL");
  await daemon.exited;
  expect((await shell("stat -f .")).out).toContain("Transport endpoint is not connected");
  await mount();
  expect(logged.join()).toContain("stale mount");
  expect(await run("echo x > f; ls")).toBe("f\n");
});

mountTest("unmounting while busy takes the name away at once", async () => {
  const busy = await mount();
  await run("echo x > f");
  const holder = Bun.spawn(
    ["bash", "-c", `cd "${target}" && exec 3< f && echo open; read; cat <&3`],
    {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  await holder.stdout.getReader().read();
  await busy.unmount();
  expect(await busy.ended).toBe("the file system was unmounted");
  expect(logged.join()).toContain("is in use");
  expect(readFileSync("/proc/mounts", "utf8")).not.toContain(target);
  await holder.stdin.write("\n");
  await holder.stdin.end();
  expect(await new Response(holder.stderr).text()).toContain("not connected");
  await holder.exited;
  await busy.unmount(); // Once more: harmless.
});

mountTest("an unmount by somebody else is noticed", async () => {
  const { ended } = await mount();
  await run(`cd /; umount "$T"`);
  expect(await ended).toBe("the file system was unmounted by another program");
});

mountTest("two mounts in one process", async () => {
  await mount();
  const other = join(base, "other");
  const second = await FuseMount.mount({ target: other, files: new TestingFiles(), gid: 33, log });
  if (!second.ok) throw new Error(second.reason);
  await run(
    `for n in $(seq 50); do echo $n > a; echo $n > "$BASE/other/b"; cmp a "$BASE/other/b"; done`,
  );
  await second.value.unmount();
  expect(await run("cat a")).toBe("50\n");
  rmSync(other, { recursive: true });
});

mountTest("who may not mount is told so", async () => {
  const command = [
    process.execPath,
    join(import.meta.dir, "../../../test/double/fuse-daemon.ts"),
    target,
  ];
  const child = Bun.spawn(["setpriv", "--bounding-set=-sys_admin", ...command], { stdout: "pipe" });
  const out = await new Response(child.stdout).text();
  expect(out).toMatch(/^EACCES: mounting on .* is not permitted: .*CAP_SYS_ADMIN/);
});

mountTest("a target that cannot be used is explained", async () => {
  const attempt = async (where: string, device?: string) => {
    const options = { target: where, files, gid: 33, log };
    const outcome = await FuseMount.mount(device === undefined ? options : { ...options, device });
    if (outcome.ok) throw new Error("mounted");
    return `${outcome.errno} ${outcome.reason}`;
  };
  writeFileSync(join(base, "file"), "");
  mkdirSync(join(base, "full"), { recursive: true });
  writeFileSync(join(base, "full", "something"), "");
  expect(await attempt(join(base, "file"))).toMatch(/^ENOTDIR .*file is not a directory/);
  expect(await attempt(join(base, "file", "below"))).toMatch(/^ENOTDIR .*is not a directory/);
  expect(await attempt(join(base, "full"))).toMatch(
    /^EBUSY .*is not empty \(something\).*move them/,
  );
  expect(await attempt(target, "/dev/no-fuse")).toMatch(/^ENOSYS there is no .*modprobe fuse/);
  expect(await attempt(target, "/dev/null")).toMatch(/^EIO .*failed: EINVAL/);
});
