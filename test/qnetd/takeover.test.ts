// The certificates of Debian's vote server under our service: its user may read the database and write nothing there. What the server
// advises is done, and helps. Needs root, Debian's corosync-qnetd-certutil and pk12util.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";
import { askTool } from "../../src/qnetd/tool/tool-socket.ts";
import type { QnetdStatus } from "../../src/shell/daemon/qnetd.ts";
import { unitText } from "../../src/shell/unit/unit-text.ts";

/** A user and group of no other files. */
const uid = 54_321;
const main = join(import.meta.dir, "../../src/main.ts");
const asUser = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
const isPossible =
  process.geteuid?.() === 0 &&
  existsSync("/etc/corosync/qnetd") &&
  ["corosync-qnetd-certutil", "pk12util", "certutil", "setpriv", "unshare"].every(
    (name) => Bun.which(name) !== null,
  ) &&
  // Sources in a directory that is root's alone are none that a service's user could start.
  Bun.spawnSync([...asUser, "test", "-r", main]).exitCode === 0;

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "quorate-takeover-"));
  chmodSync(dir, 0o755);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const storeOf = (root: string): string => join(root, "etc/corosync/qnetd/nssdb");
const quorate = (root: string, ...words: string[]): string[] => [
  ...[process.execPath, main, ...words, "--root", root],
];

/** As Debian's package makes it: root's, and the group of the daemon reads; the directory above as our unit leaves it. */
function debian(name: string): string {
  const root = join(dir, name);
  const place = join(root, "etc/corosync/qnetd");
  for (const path of [place, join(root, "var/run/corosync-qnetd"), join(root, "tmp")]) {
    mkdirSync(path, { recursive: true });
  }
  const make = 'mount --bind "$1" /etc/corosync/qnetd && exec corosync-qnetd-certutil -i -G';
  const made = Bun.spawnSync(["unshare", "-m", "sh", "-c", make, "sh", place]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  for (const file of ["", "cert9.db", "key4.db"]) chownSync(join(storeOf(root), file), 0, uid);
  for (const path of ["etc/corosync/qnetd", "var/run/corosync-qnetd", "tmp"]) {
    chownSync(join(root, path), uid, uid);
  }
  return root;
}

/** The server as the service's user; ended with the block. */
function serve(root: string) {
  const port = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const command = [...asUser, ...quorate(root, "qnetd", "--port", String(port.port))];
  port.stop(true);
  const child = Bun.spawn(command, {
    env: { ...process.env, TMPDIR: join(root, "tmp") },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: 60_000,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await child.exited;
    },
    log: async (pattern: RegExp): Promise<string> => {
      let log = "";
      const decoder = new TextDecoder();
      for await (const piece of child.stderr) {
        log += decoder.decode(piece, { stream: true });
        if (pattern.test(log)) break;
      }
      expect(log).toMatch(pattern);
      return log;
    },
  };
}

async function status(root: string): Promise<QnetdStatus> {
  const path = join(root, "var/run/corosync-qnetd/corosync-qnetd.sock");
  const answer = await askTool(path, { command: "snapshot", isVerbose: false, cluster: undefined });
  if (answer.kind !== "ok") throw new Error(JSON.stringify(answer));
  return JSON.parse(new TextDecoder().decode(answer.text)) as QnetdStatus;
}

function authorityOf(root: string): string {
  const file = readFileSync(join(storeOf(root), "qnetd-cacert.crt"));
  return new X509Certificate(file).fingerprint256;
}

describe.skipIf(!isPossible)("a vote server of Debian's under our service", () => {
  test("the unit takes it over as root; the server serves, and the authority stays", async () => {
    const root = debian("unit");
    const before = new CertificateStore(storeOf(root));
    expect(before.state()).toBe("nss");
    const authority = authorityOf(root);
    const bin = join(root, "quorate");
    writeFileSync(bin, `#!/bin/sh\nexec ${process.execPath} ${main} "$@" --root ${root}\n`);
    chmodSync(bin, 0o755);
    const unit = unitText({ service: "qnetd", form: "systemd", bin, root: "/", isUser: false });
    const text = "text" in unit ? unit.text : "";
    const [, line = ""] = /^ExecStartPre=-\+\/bin\/sh -c '(.*import.*)'$/m.exec(text) ?? [];
    const here = line.replaceAll("/etc/corosync", `${root}/etc/corosync`);
    const take = (): [number, string] => {
      const taken = Bun.spawnSync(["/bin/sh", "-c", here]);
      return [taken.exitCode, taken.stdout.toString() + taken.stderr.toString()];
    };
    expect(take()).toEqual([0, expect.stringContaining("taken over")]);
    expect(take()).toEqual([0, ""]);
    expect(authorityOf(root)).toBe(authority);
    expect(existsSync(join(storeOf(root), "cert9.db"))).toBe(true);
    const key = statSync(join(storeOf(root), "qnetd-server.pem"));
    expect([key.uid, key.gid, (key.mode & 0o777).toString(8)]).toEqual([0, uid, "640"]);
    await using server = serve(root);
    const log = await server.log(/vote server is running/);
    expect(log).not.toContain("no client can use TLS");
    expect((await status(root)).warnings).toEqual([]);
  }, 60_000);

  test("without that the server says what to do; done, it helps without a restart", async () => {
    const root = debian("advice");
    const authority = authorityOf(root);
    await using server = serve(root);
    const log = await server.log(/vote server is running/);
    const advice = `run "quorate qnetd certificates import --root ${root}" as root on this host; no restart is needed`;
    expect(log).toContain(advice);
    expect(log).not.toContain("certutil");
    expect((await status(root)).warnings).toEqual([expect.stringContaining(advice)]);
    const done = Bun.spawnSync(quorate(root, "qnetd", "certificates", "import"));
    expect([done.exitCode, done.stderr.toString()]).toEqual([0, ""]);
    expect((await status(root)).warnings).toEqual([]);
    expect(authorityOf(root)).toBe(authority);
    // And what is said when its own files cannot be read.
    chmodSync(storeOf(root), 0o700);
    await using other = serve(join(root, "nothing"));
    await other.log(/lock file .* cannot be written: EACCES/);
  }, 60_000);

  test("of a store that is its user's, root has the database read as that user", async () => {
    const root = debian("own");
    expect(Bun.spawnSync(["chown", "-R", `${uid}:${uid}`, storeOf(root)]).exitCode).toBe(0);
    const spy = join(root, "bin/pk12util");
    mkdirSync(dirname(spy));
    const ids = join(root, "tmp/ids");
    writeFileSync(spy, `#!/bin/sh\nid -u >>${ids}\nexec ${Bun.which("pk12util")} "$@"\n`);
    chmodSync(spy, 0o755);
    const env = { ...process.env, PATH: `${dirname(spy)}:${process.env["PATH"]}` };
    const taken = Bun.spawnSync(quorate(root, "qnetd", "certificates", "import"), { env });
    expect([taken.exitCode, taken.stderr.toString()]).toEqual([0, ""]);
    expect(readFileSync(ids, "utf8")).toBe(`${uid}\n${uid}\n`);
    expect(statSync(join(storeOf(root), "qnetd-ca.pem"))).toMatchObject({ uid, gid: uid });
  }, 60_000);

  test("files that its user cannot read, and a directory that it cannot make: the advice helps", async () => {
    const root = debian("unreadable");
    expect(Bun.spawnSync(quorate(root, "qnetd", "certificates", "import")).exitCode).toBe(0);
    chmodSync(join(storeOf(root), "qnetd-server.pem"), 0o600);
    await using server = serve(root);
    const log = await server.log(/vote server is running/);
    const [, command = "false"] = /\(as root: (chown [^)]*)\)/.exec(log) ?? [];
    expect(command).toBe(`chown -hR ${uid} ${storeOf(root)}`);
    expect(Bun.spawnSync(command.split(" ")).exitCode).toBe(0);
    expect((await status(root)).warnings).toEqual([]);

    const bare = join(dir, "bare");
    for (const path of ["etc/corosync/qnetd", "var/run/corosync-qnetd"]) {
      mkdirSync(join(bare, path), { recursive: true });
    }
    chownSync(join(bare, "var/run/corosync-qnetd"), uid, uid);
    const advised = await (async () => {
      await using first = serve(bare);
      const words = await first.log(/vote server is running/);
      return /\(as root: (chown [^)]*)\) and start the server again/.exec(words)?.[1] ?? "false";
    })();
    expect(Bun.spawnSync(advised.split(" ")).exitCode).toBe(0);
    await using second = serve(bare);
    await second.log(/vote server is running/);
    expect((await status(bare)).warnings).toEqual([]);
  }, 60_000);
});
