// Taking over the certificates of an original vote server (qnetd.md §4.5): its NSS database through PKCS#12 files, made by NSS's
// own `pk12util` here or elsewhere. The database itself is only read.
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Result, failure, reasonOf } from "../../result.ts";
import { Directory } from "../../directory.ts";
import type { FileOwner } from "../../durable-file.ts";
import { authorityName, type Identity, isPair, readCertificate, serverName } from "./pki.ts";
import type { NamedDer } from "./pkcs12.ts";
import type { CertificateStore } from "./store.ts";

const exportDeadlineMs = 60_000;
const identitiesMax = 64;
const databaseBytesMax = 64 << 20;
/** Not the lists of modules: those name libraries that NSS would load, and the directory's owner writes them. */
const databaseFiles = ["cert9.db", "key4.db", "cert8.db", "key3.db", "pwdfile.txt"] as const;

/**
 * Takes over from the NSS database of the store's own directory, where `pk12util` is installed. It works on a copy: NSS wants to write,
 * and neither may a service do so everywhere nor should root in a directory of others. `now`: wall clock, milliseconds.
 */
export async function importNss(
  store: CertificateStore,
  nickname: string,
  now: number,
): Promise<Result<void>> {
  const program = Bun.which("pk12util", { PATH: process.env["PATH"] ?? "" });
  if (program === null) return failure(wayOut(store, nickname));
  const directory = mkdtempSync(join(temporary(), "quorate-import-"));
  try {
    const owner = copyDatabase(store.directory, directory);
    const files: Pkcs12File[] = [];
    for (const [index, name] of [authorityName, nickname].entries()) {
      const file = `${index}.p12`;
      const reason = await exportFrom(program, { directory, owner }, { name, file });
      if (reason !== undefined) {
        return failure(
          `"${name}" could not be exported from the NSS database in ${store.directory} (${reason})`,
        );
      }
      using exported = Directory.open(directory);
      files.push({ path: join(directory, file), bytes: exported.read(file, databaseBytesMax) });
    }
    return await adoptPkcs12(store, { files, password: "", now });
  } catch (error) {
    return failure(
      `the NSS database in ${store.directory} cannot be read here: ${reasonOf(error)}`,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** As root not where a service's TMPDIR may lie, in a directory of its user. */
function temporary(): string {
  return process.geteuid?.() === 0 && existsSync("/tmp") ? "/tmp" : tmpdir();
}

/** Answers as whom root reads the copy: whoever could write the database could have made it for NSS to stumble over. */
function copyDatabase(from: string, to: string): FileOwner | undefined {
  using directory = Directory.open(from);
  for (const name of databaseFiles) {
    if (directory.statOf(name) === undefined) continue;
    writeFileSync(join(to, name), directory.read(name, databaseBytesMax), { mode: 0o600 });
  }
  // The original's database has an empty password.
  writeFileSync(join(to, "pwdfile.txt"), "\n", { flag: "a", mode: 0o600 });
  const { uid, gid } = directory.stat();
  if (process.geteuid?.() !== 0 || uid === 0) return undefined;
  for (const name of [...readdirSync(to), "."]) chownSync(join(to, name), uid, gid);
  return { uid, gid };
}

/**
 * Takes over an authority, and the server's certificate if it is there, from PKCS#12 files in any distribution. Without one the
 * server gets a new certificate, which its nodes accept as well. `now`: wall clock, milliseconds.
 */
export async function importPkcs12(
  store: CertificateStore,
  options: { readonly files: readonly string[]; readonly password: string; readonly now: number },
): Promise<Result<void>> {
  const files = options.files.map((path) => ({ path, bytes: new Uint8Array(readFileSync(path)) }));
  return adoptPkcs12(store, { ...options, files });
}

interface Pkcs12File {
  readonly path: string;
  readonly bytes: Uint8Array;
}

async function adoptPkcs12(
  store: CertificateStore,
  options: {
    readonly files: readonly Pkcs12File[];
    readonly password: string;
    readonly now: number;
  },
): Promise<Result<void>> {
  const { readPkcs12 } = await import("./pkcs12.ts");
  const keys: NamedDer[] = [];
  const certificates: NamedDer[] = [];
  for (const { path, bytes } of options.files) {
    const contents = await readPkcs12(bytes, options.password);
    if (!contents.ok) return failure(`${path}: ${contents.reason}`);
    keys.push(...contents.value.keys);
    certificates.push(...contents.value.certificates);
  }
  const identities = pairs(keys, certificates);
  const authority = identities.find((identity) => isAuthority(identity));
  if (authority === undefined) {
    return failure(
      `there is no authority with its key in ${options.files.map(({ path }) => path).join(", ")}: export "${authorityName}"`,
    );
  }
  const server = identities.find((identity) => identity !== authority && isServer(identity));
  return store.adopt(authority, server, options.now);
}

/** What to do where `pk12util` is missing. */
function wayOut(store: CertificateStore, nickname: string): string {
  const exports = [authorityName, nickname].map(
    (name, index) =>
      `pk12util -d ${store.directory} -n "${name}" -o ${index === 0 ? "ca" : "server"}.p12 -W "" -K ""`,
  );
  return (
    `${store.directory} holds the NSS database of an original vote server, and pk12util (Debian: libnss3-tools) is not ` +
    `installed here to read it. Install it and repeat; or run ${exports.join(" and ")} where it is, and import both files; ` +
    "or delete the directory and set the device up again on every cluster"
  );
}

async function exportFrom(
  program: string,
  { directory, owner }: { readonly directory: string; readonly owner: FileOwner | undefined },
  { name, file }: { readonly name: string; readonly file: string },
): Promise<string | undefined> {
  const words = ["-o", join(directory, file), "-d", directory, "-n", name];
  const passwords = ["-W", "", "-k", join(directory, "pwdfile.txt")];
  const child = Bun.spawn([program, ...words, ...passwords], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: exportDeadlineMs,
    ...owner,
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) === 0) return undefined;
  return (stderr.trim() || stdout.trim() || "pk12util failed").split("\n").at(-1) ?? "";
}

/** Each key with its certificate. */
function pairs(keys: readonly NamedDer[], certificates: readonly NamedDer[]): readonly Identity[] {
  return keys.slice(0, identitiesMax).flatMap((key) => {
    const found = certificates
      .slice(0, identitiesMax)
      .find((certificate) => isPair({ key: key.der, certificate: certificate.der }));
    return found === undefined ? [] : [{ key: key.der, certificate: found.der }];
  });
}

function isAuthority(identity: Identity): boolean {
  const certificate = readCertificate(identity.certificate);
  return certificate.ok && certificate.value.ca;
}

function isServer(identity: Identity): boolean {
  const certificate = readCertificate(identity.certificate);
  const name = certificate.ok ? certificate.value.subject : "";
  return name.toLowerCase() === `cn=${serverName}`.toLowerCase();
}
