// The vote server on the smallest machine that it promises to run on (issue 3, "Small machines"): a root that cannot be written and holds
// our file, libc and a /dev/null, one writable directory from which nothing can be executed, an ordinary user without a home, no
// /dev/fuse. Clients vote, plain and with TLS, and the database addon is never unpacked. The file is compiled here: one in dist may be old.
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Subprocess } from "bun";
import { compile } from "../../build/compile.ts";
import { targets } from "../../build/targets.ts";
import { derOf } from "../../src/qnetd/pki/pki.ts";
import { createRequest } from "../../src/qnetd/pki/issue.ts";
import { init, LoopbackClient, preinit } from "../double/qnetd-client.ts";

const projectDir = join(import.meta.dir, "../..");
const entrypoints = ["src/main.ts", "src/node/thread/thread.ts"].map((file) =>
  join(projectDir, file),
);
/** Debian's user `nobody`. */
const userId = 65_534;
const startMsMax = 30_000;
const links = ["corosync-qnetd", "corosync-qnetd-tool", "corosync-qnetd-certutil"];
/** The one writable directory: where the original keeps what it may not lose. */
const writable = "/etc/corosync/qnetd";
const settings = `lock_file=${writable}/run/pid,local_socket_file=${writable}/run/socket`;

const isRoot = process.getuid?.() === 0;
const hasTools = ["unshare", "setpriv", "chroot", "ldd", "mount", "ip"].every((tool) =>
  Bun.which(tool),
);
const target = targets.find(
  ({ arch, libc, name }) => arch === process.arch && libc === "glibc" && !name.includes("baseline"),
);
const canRun = isRoot && hasTools && target !== undefined;
if (!canRun && process.env["QUORATE_CI"] === "1")
  throw new Error("a small machine needs root and util-linux");

setDefaultTimeout(60_000);

let home = "";
let jail = "";
let port = 0;
let server: Subprocess<"ignore", "pipe", "pipe"> | undefined;
const clients: LoopbackClient[] = [];

beforeAll(async () => {
  if (!canRun) return;
  home = mkdtempSync(join(tmpdir(), "quorate-small-"));
  jail = join(home, "root");
  const place = (file: string): string => {
    mkdirSync(dirname(join(jail, file)), { recursive: true });
    return join(jail, file);
  };
  const binary = place("/usr/bin/quorate");
  await compile({ target, entrypoints, outfile: binary, commit: "c0ffee" });
  for (const link of links) symlinkSync("quorate", place(`/usr/bin/${link}`));
  const libraries = Bun.spawnSync(["ldd", binary]).stdout.toString();
  for (const [, library = ""] of libraries.matchAll(/(\/\S+) \(0x/g)) {
    copyFileSync(library, place(library));
    chmodSync(join(jail, library), 0o755);
  }
  writeFileSync(place("/dev/null"), "");
  mkdirSync(place("/proc"));
  // Belongs to the user, as a volume of a container would.
  const state = place(writable);
  mkdirSync(state);
  Bun.spawnSync(["chown", `${userId}:${userId}`, state]);
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  ({ port } = probe);
  probe.stop(true);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  server?.kill("SIGKILL");
  await server?.exited;
  server = undefined;
});
afterAll(() => {
  if (home !== "") rmSync(home, { recursive: true, force: true });
});

/** Mounts are private to the command and end with it; everything but one directory is read-only, and that one is not executable. */
const enter = `set -eu
jail=$1 writable=$2 user=$3; shift 3
mount --bind "$jail" /mnt
mount --bind "$jail$writable" "/mnt$writable"
mount -o remount,bind,noexec,nosuid,nodev "/mnt$writable"
mount -o remount,bind,ro /mnt
mount --bind /dev/null /mnt/dev/null
mount -t proc proc /mnt/proc
exec setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=+sys_chroot --ambient-caps=+sys_chroot \\
  --pdeathsig KILL -- "$(command -v chroot)" /mnt "$@"`;

function spawn(...words: readonly string[]): Subprocess<"ignore", "pipe", "pipe"> {
  const inside = ["sh", "-c", enter, "sh", jail, writable, String(userId), ...words];
  return Bun.spawn(["unshare", "--mount", ...inside], {
    // No HOME; a temporary directory that is as read-only as the rest.
    env: { PATH: process.env["PATH"] ?? "", TMPDIR: "/tmp" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(...words: readonly string[]) {
  const child = spawn(...words);
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, error };
}

/** Starts a server and waits for the line that says it serves; answers the log so far. */
async function serve(...words: readonly string[]): Promise<string> {
  const child = spawn(...words);
  server = child;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, startMsMax);
  let log = "";
  const isServing = (): boolean => log.includes("vote server is running");
  // Read to the end: a log that nobody takes would stop the server.
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stderr) {
      log += decoder.decode(bytes, { stream: true });
      if (isServing()) resolve();
    }
  })();
  await Promise.race([promise, reading]);
  clearTimeout(timer);
  if (!isServing()) throw new Error(`it did not start:\n${log}`);
  return log;
}

async function connect(): Promise<LoopbackClient> {
  const client = await LoopbackClient.open(port);
  clients.push(client);
  client.send(preinit());
  expect(await client.next()).toMatchObject({ kind: "preinitReply", tlsSupport: "supported" });
  return client;
}

/** A cluster of this node alone, which a server that has just started need not wait for; answers the first vote. */
async function voteOf(client: LoopbackClient): Promise<string | undefined> {
  const ring = { rep: 1, seq: 1 };
  const nodes = [{ nodeId: 1 }];
  client.send(
    init(1),
    { kind: "nodeList", seq: 4, nodeListType: "initialConfig", nodes, configVersion: 1 },
    { kind: "nodeList", seq: 5, nodeListType: "membership", ring, nodes },
  );
  for (;;) {
    const message = await client.next();
    if (message === "closed") return "closed";
    if (message.kind === "voteInfo") return message.vote;
  }
}

/** What is mapped into the process; a library that was deleted after it was loaded is still named here. */
function mapped(pid: number): string {
  return readFileSync(`/proc/${pid}/maps`, "latin1");
}

describe.skipIf(!canRun)("a machine with one writable directory", () => {
  test("corosync-qnetd gives its vote, plain and with TLS, and writes nothing but its own files", async () => {
    const options = ["-f", "-l", "127.0.0.1", "-p", String(port), "-S", settings];
    const log = await serve("/usr/bin/corosync-qnetd", ...options);
    expect(log).toContain("a new certificate authority was made");
    expect(await voteOf(await connect())).toBe("ack");
    clients.splice(0).forEach((client) => client.destroy());

    const { key, request } = await createRequest("lab");
    writeFileSync(join(jail, writable, "lab.crq"), request);
    const files = ["-c", `${writable}/lab.crq`, "-n", "lab"];
    const signed = await run("/usr/bin/corosync-qnetd-certutil", "-s", ...files);
    expect(signed).toEqual({
      code: 0,
      out: `Signing cluster certificate\nCertificate stored in ${writable}/nssdb/cluster-lab.crt\n`,
      error: "",
    });
    const read = (name: string): Uint8Array =>
      new Uint8Array(readFileSync(join(jail, writable, "nssdb", name)));
    const client = await connect();
    client.send({ kind: "startTls", seq: 2 });
    await client.startTls({
      authority: derOf(read("qnetd-cacert.crt"), /CERTIFICATE/),
      identity: { key, certificate: read("cluster-lab.crt") },
    });
    expect(await voteOf(client)).toBe("ack");

    const list = await run(
      "/usr/bin/corosync-qnetd-tool",
      "-l",
      "-v",
      "-p",
      `${writable}/run/socket`,
    );
    expect(list.error).toBe("");
    expect(list.out).toContain("TLS active:\t\tYes (client certificate verified)\n");
    const pid = server?.pid ?? 0;
    expect(mapped(pid)).not.toContain(".node");
    const written = readdirSync(join(jail, writable), { recursive: true, encoding: "utf8" });
    expect(written.filter((name) => !name.startsWith("nssdb/")).toSorted()).toEqual([
      "lab.crq",
      "nssdb",
      "run",
      "run/pid",
      "run/socket",
    ]);
    expect(written.filter((name) => /\.(?:node|so)$/.test(name))).toEqual([]);

    const stopped = await run("/usr/bin/corosync-qnetd-tool", "-H", "-p", `${writable}/run/socket`);
    expect(stopped).toEqual({ code: 0, out: "", error: "" });
    expect(await server?.exited).toBe(0);
  });

  test("quorate qnetd keeps everything below one directory", async () => {
    const root = `${writable}/all`;
    const where = ["--root", root];
    await serve(
      "/usr/bin/quorate",
      "qnetd",
      ...where,
      "--listen",
      "127.0.0.1",
      "--port",
      String(port),
    );
    expect(await voteOf(await connect())).toBe("ack");
    const status = await run("/usr/bin/quorate", "qnetd", "status", "--json", ...where);
    expect(status.error).toBe("");
    expect(JSON.parse(status.out)).toMatchObject({ clients: 1, clusters: [{ name: "lab" }] });
    expect(mapped(server?.pid ?? 0)).not.toContain(".node");
    server?.kill("SIGTERM");
    expect(await server?.exited).toBe(0);
  });

  test("what cannot be written is said with the way out", async () => {
    const { code, error } = await run("/usr/bin/corosync-qnetd", "-f", "-p", String(port));
    expect(code).toBe(1);
    expect(error).toContain("name another with -S lock_file=PATH");
    expect(error).not.toContain("    at "); // No stack.
  });
});

// Said once, so that a run without root does not look complete.
if (!canRun) {
  test.skip("a machine with one writable directory: needs root, util-linux and glibc", () =>
    undefined);
}
