// The two vote servers of the load bench: ours, compiled, and Debian's. Each with an authority that its own tool made, of which the
// bench has the key, so that it can sign for hundreds of clusters at once.
import type { Subprocess } from "bun";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import { readPkcs12 } from "../../src/qnetd/pki/pkcs12.ts";
import { certutil } from "../../src/qnetd/tool/certutil.ts";
import {
  tags,
  writeElement,
  writeObjectIdentifier,
  writeSequence,
  writeSet,
} from "../../src/qnetd/pki/der.ts";
import { createRequest, readRequest, signRequest } from "../../src/qnetd/pki/issue.ts";
import { type Identity, pem } from "../../src/qnetd/pki/pki.ts";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";

const startMsMax = 20_000;
const askAgainMs = 50;
const descriptors = 16_384;
const ticksPerSecond = 100;
const firstSerial = 1000;

interface Started {
  readonly name: string;
  readonly port: number;
  readonly authority: Identity;
  readonly process: Subprocess;
  readonly logPath: string;
}

export class VoteServerProcess {
  readonly name: string;
  readonly port: number;
  readonly #authority: Identity;
  readonly #process: Subprocess;
  readonly #logPath: string;

  private constructor(options: Started) {
    this.name = options.name;
    this.port = options.port;
    this.#authority = options.authority;
    this.#process = options.process;
    this.#logPath = options.logPath;
  }

  /** `binary`: the built executable. */
  static async ours(directory: string, binary: string): Promise<VoteServerProcess> {
    const home = join(directory, "ours");
    mkdirSync(home, { recursive: true });
    let said = "";
    const code = await certutil({
      name: "corosync-qnetd-certutil",
      args: ["-i"],
      directory: join(home, "nssdb"),
      nickname: "QNetd Cert",
      write: (text) => void (said += text),
      writeError: (text) => void (said += text),
      now: () => Date.now(),
    });
    if (code !== 0) throw new Error(said);
    const authority = new CertificateStore(join(home, "nssdb")).authority();
    if (!authority.ok) throw new Error(authority.reason);
    return new VoteServerProcess(
      await start({ name: "ours", home, binary, authority: authority.value }),
    );
  }

  static async original(directory: string): Promise<VoteServerProcess> {
    const home = join(directory, "original");
    mkdirSync(home, { recursive: true });
    // The original's tool has one fixed place: this one takes it for the time of the call.
    const inPlace = 'mount --bind "$1" /etc/corosync/qnetd && exec corosync-qnetd-certutil -i';
    run("unshare", "--mount", "sh", "-c", inPlace, "sh", home);
    const database = join(home, "nssdb");
    const file = join(home, "ca.p12");
    const password = join(database, "pwdfile.txt");
    run("pk12util", "-o", file, "-d", database, "-n", "QNet CA", "-W", "", "-k", password);
    const read = await readPkcs12(new Uint8Array(readFileSync(file)), "");
    if (!read.ok) throw new Error(read.reason);
    const [key, certificate] = [read.value.keys[0], read.value.certificates[0]];
    if (key === undefined || certificate === undefined) throw new Error("no authority exported");
    const authority = { key: key.der, certificate: certificate.der };
    return new VoteServerProcess(
      await start({ name: "original", home, binary: "corosync-qnetd", authority }),
    );
  }

  /** What each cluster's nodes show. All have one key, as the nodes of one cluster do. */
  async contexts(clusters: readonly string[]): Promise<readonly SecureContext[]> {
    const { key, request } = await createRequest("bench");
    const read = await readRequest(request);
    if (!read.ok) throw new Error(read.reason);
    const contexts: SecureContext[] = [];
    for (const [index, cluster] of clusters.entries()) {
      const certificate = signRequest({
        authority: this.#authority,
        request: { ...read.value, subject: subjectOf(cluster) },
        serial: firstSerial + index,
        from: new Date(),
      });
      contexts.push(
        createSecureContext({
          ca: pem("CERTIFICATE", this.#authority.certificate),
          cert: pem("CERTIFICATE", certificate),
          key: pem("PRIVATE KEY", key),
        }),
      );
    }
    return contexts;
  }

  get rssBytes(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "latin1");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** Processor time of all threads so far. */
  get cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.#process.pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }

  log(): string {
    return readFileSync(this.#logPath, "utf8").trimEnd().split("\n").slice(-15).join("\n");
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.exited;
  }
}

/** Waits until the server listens. */
async function start(options: {
  readonly name: string;
  readonly home: string;
  readonly binary: string;
  readonly authority: Identity;
}): Promise<Started> {
  const { name, home, binary, authority } = options;
  const port = await freePort();
  const logPath = join(home, "log");
  const places = { nss_db_dir: "nssdb", lock_file: "lock", local_socket_file: "socket" };
  const settings = Object.entries(places).map(([key, file]) => `${key}=${join(home, file)}`);
  const words = ["-f", "-l", "127.0.0.1", "-p", String(port), "-s", "req", "-S", settings.join()];
  // Called by the original's name; one shell line, so that the limit of open files holds for it.
  const line = `ulimit -n ${descriptors}; exec -a corosync-qnetd "$0" "$@"`;
  const log = Bun.file(logPath);
  const child = Bun.spawn(["bash", "-c", line, binary, ...words], {
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  const end = performance.now() + startMsMax;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > end) {
      child.kill("SIGKILL");
      throw new Error(`${name} does not serve: ${readFileSync(logPath, "utf8")}`);
    }
    await Bun.sleep(askAgainMs);
  }
  return { name, port, authority, process: child, logPath };
}

async function answers(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: () => undefined },
    });
    socket.end();
    return true;
  } catch {
    return false; // Not yet.
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", () => resolve());
  await promise;
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
  return port;
}

function subjectOf(commonName: string): Uint8Array {
  const value = writeElement(tags.printableString, new TextEncoder().encode(commonName));
  return writeSequence(writeSet(writeSequence(writeObjectIdentifier("2.5.4.3"), value)));
}

function run(...words: readonly string[]): void {
  const done = Bun.spawnSync([...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  if (done.exitCode === 0) return;
  throw new Error(`${words.join(" ")}: ${done.stdout.toString()}${done.stderr.toString()}`);
}
