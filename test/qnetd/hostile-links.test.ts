// Root works in directories that a daemon's user owns: whatever link that user lays there, nothing outside is opened, changed or given
// away. Needs root, for files of two users.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { Directory } from "../../src/directory.ts";
import { closeFd } from "../../src/libc.ts";
import { hashOf, InviteStore } from "../../src/qnetd/enrol/enrolment-invites.ts";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";
import { importNss } from "../../src/qnetd/pki/store-nss.ts";
import { ToolSocket } from "../../src/qnetd/tool/tool-socket.ts";
import { inviteCommand } from "../../src/shell/command/qnetd-invite.ts";
import { Daemon } from "../double/qnetd-daemon.ts";

const isRoot = process.geteuid?.() === 0;
/** A user of no other files. */
const uid = 54_321;
const gid = 54_322;
let dir = "";
let good: CertificateStore;
let place = "";
let store: CertificateStore;
let victim = "";

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "quorate-links-"));
  chmodSync(dir, 0o755);
  good = new CertificateStore(join(dir, "good"));
  expect(good.prepare({ isGroupWritable: true }).ok).toBe(true);
  expect((await good.create(Date.now())).ok).toBe(true);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A store of the daemon's user, and a file of root's that must stay as it is. */
beforeEach(() => {
  place = mkdtempSync(join(dir, "case-"));
  store = new CertificateStore(join(place, "qnetd/nssdb"));
  mkdirSync(store.directory, { recursive: true });
  for (const name of readdirSync(good.directory)) {
    writeFileSync(join(store.directory, name), readFileSync(join(good.directory, name)));
  }
  for (const path of [dirname(store.directory), store.directory]) chownSync(path, uid, gid);
  for (const name of readdirSync(store.directory)) {
    chownSync(join(store.directory, name), uid, gid);
  }
  mkdirSync(join(place, "root"), { mode: 0o755 });
  victim = join(place, "root/shadow");
  writeFileSync(victim, "secret", { mode: 0o600 });
});
afterEach(() => {
  const { uid: owner, gid: group, mode } = lstatSync(victim);
  expect([owner, group, (mode & 0o7777).toString(8)]).toEqual([0, 0, "600"]);
  expect(readFileSync(victim, "utf8")).toBe("secret");
  expect(readdirSync(dirname(victim))).toEqual([basename(victim)]);
  expect(statSync(dirname(victim))).toMatchObject({ uid: 0, gid: 0 });
});

type Lay = (path: string) => void;
const lays: readonly (readonly [string, Lay])[] = [
  [
    "symbolic link",
    (path) => {
      symlinkSync(victim, path);
      lchownSync(path, uid, gid);
    },
  ],
  [
    "link to what is not there",
    (path) => {
      symlinkSync(join(dirname(victim), "new"), path);
      lchownSync(path, uid, gid);
    },
  ],
  ["second name", (path) => linkSync(victim, path)],
  [
    "pipe",
    (path) => {
      expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    },
  ],
];

const invite = {
  cluster: "lab",
  secretHash: hashOf(new Uint8Array(16)),
  createdAt: 0,
  expiresAt: Date.now() + 3_600_000,
  used: undefined,
};
const inviteFile = `invite-${invite.secretHash.slice(0, 16)}.json`;

/** All that root does with a store. What comes of it is not the question here. */
async function everything(): Promise<void> {
  store.prepare({ isGroupWritable: true });
  store.certificates(Date.now());
  store.authority();
  await store.create(Date.now());
  await store.renewServer(Date.now());
  const invites = new InviteStore(store.directory);
  invites.add(invite, Date.now());
  invites.all(() => undefined);
  invites.sweep(Date.now() + 7_200_000);
  await inviteCommand({
    directory: store.directory,
    // Of a daemon that is neither root nor the owner: the case in which files are given to the group.
    server: { address: "*", port: 1, tls: "on", uid: uid + 7 },
    verb: { kind: "invite", cluster: "lab" },
    addresses: ["127.0.0.1"],
    port: undefined,
    lifetimeMs: undefined,
    json: true,
    letServerSign: true,
    write: () => undefined,
    note: () => undefined,
    now: () => Date.now(),
  }).catch(() => undefined);
  await importNss(store, "QNetd Cert", Date.now());
}

describe.skipIf(!isRoot)("links that a daemon's user lays", () => {
  for (const [kind, lay] of lays) {
    for (const name of [
      ...["quorate.lock", "serial.txt", "qnetd-ca.pem", "qnetd-cacert.crt", "qnetd-server.pem"],
      ...[`qnetd-server.pem.${process.pid}.tmp`, `serial.txt.${process.pid}.tmp`],
      ...[inviteFile, "cluster-lab.crt", "cert9.db", "key4.db", "pwdfile.txt"],
    ]) {
      test(`${kind} at ${name}`, async () => {
        rmSync(join(store.directory, name), { force: true });
        if (name.endsWith(".db")) rmSync(join(store.directory, "qnetd-server.pem"));
        lay(join(store.directory, name));
        await everything();
      }, 60_000);
    }

    test(`${kind} at the pid file of a server that root starts`, async () => {
      const run = join(place, "var/run/corosync-qnetd");
      mkdirSync(run, { recursive: true });
      chownSync(run, uid, gid);
      lay(join(run, "corosync-qnetd.pid"));
      const daemon = await Daemon.start({ root: place });
      await daemon.logged(/lock file .*corosync-qnetd\.pid cannot be written/);
      expect(await daemon.exited()).toBe(1);
    }, 60_000);

    test(`${kind} at a local socket: it is replaced`, async () => {
      const path = join(place, "run/tool.sock");
      mkdirSync(dirname(path));
      chownSync(dirname(path), uid, gid);
      lay(path);
      const socket = await ToolSocket.listen({
        path,
        backlog: 1,
        umask: 0o007,
        group: String(gid),
        clientsMax: 1,
        requestBytesMax: 100,
        answerBytesMax: 100,
        answer: () => "",
        shutdown: () => undefined,
        onRefused: () => undefined,
      });
      if (!socket.ok) throw new Error(socket.reason);
      const made = lstatSync(path);
      socket.value.close();
      expect(made.isSocket()).toBe(true);
      expect([made.uid, made.gid, (made.mode & 0o777).toString(8)]).toEqual([0, gid, "770"]);
    });
  }

  test("a link in place of the directory is not entered, root's own link is", async () => {
    rmSync(store.directory, { recursive: true });
    symlinkSync(dirname(victim), store.directory);
    lchownSync(store.directory, uid, gid);
    await everything();
    const renewed = await store.renewServer(Date.now());
    expect(renewed).toEqual({
      ok: false,
      reason: expect.stringMatching(/"nssdb" on the way to .* is a symbolic link of user 54321/),
    });
    const other = join(place, "root-link");
    symlinkSync(good.directory, other);
    expect(new CertificateStore(other).authority().ok).toBe(true);
  });

  test("a link on the way is checked as one at the end is", () => {
    mkdirSync(join(place, "inner/deep"), { recursive: true });
    symlinkSync("inner/../inner", join(place, "mine"));
    symlinkSync("inner", join(place, "theirs"));
    lchownSync(join(place, "theirs"), uid, gid);
    Directory.open(join(place, "mine/deep"))[Symbol.dispose]();
    expect(() => Directory.open(join(place, "theirs/deep"))).toThrow("is a symbolic link of user");
    symlinkSync("loop", join(place, "loop"));
    expect(() => Directory.open(join(place, "loop"))).toThrow("too many symbolic links");
  });

  test("a directory that is exchanged while root works in it stays the one that was opened", () => {
    using opened = Directory.open(store.directory);
    renameSync(store.directory, `${store.directory}.old`);
    symlinkSync(dirname(victim), store.directory);
    opened.replace("serial.txt", new TextEncoder().encode("7"), 0o600);
    opened.remove("qnetd-cacert.crt");
    const lock = opened.lock("quorate.lock");
    if (lock.ok) closeFd(lock.fd);
    expect(readFileSync(join(`${store.directory}.old`, "serial.txt"), "utf8")).toBe("7");
  });

  test("what is made on the way is open to others, whatever the umask", () => {
    const before = process.umask(0o077);
    try {
      Directory.make(join(place, "a/b/c"), 0o750);
    } finally {
      process.umask(before);
    }
    const modes = ["a", "a/b", "a/b/c"].map((path) => statSync(join(place, path)).mode & 0o777);
    expect(modes.map((mode) => mode.toString(8))).toEqual(["755", "755", "750"]);
  });
});
