// Brings the file of a release to `.next`, beside the installed one: found, verified by this very program, unpacked in a stream, flushed
// (U1, U2, U12). Nothing of it runs before its signature and hash hold. Limits on everything that comes from outside.
import { createHash } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { reasonOf } from "../../result.ts";
import { CommandFailure } from "../exit.ts";
import {
  type Digest,
  fileFor,
  type Manifest,
  manifestBytesMax,
  type ReleaseFile,
} from "../release/manifest.ts";
import { signatureBytesMax } from "../release/minisign.ts";
import { verifyRelease } from "../release/verify.ts";
import { upgradeExits } from "./exits.ts";

/** Of a release server that has stopped answering. */
const silenceMsMax = 30_000;
const downloadTries = 3;
const spareBytes = 64 * 1024 * 1024;
const localHosts = /^(?:127\.0\.0\.1|localhost|\[::1\])$/;

/** A directory of a release, or the address of one, without a slash at its end. */
export type Source =
  | { readonly kind: "directory"; readonly path: string; readonly file?: string }
  | { readonly kind: "address"; readonly url: string };

export interface Release {
  readonly manifest: Manifest;
  readonly file: ReleaseFile;
  readonly source: Source;
}

/** `from`: a directory, or one file in a release's directory. */
export function localSource(from: string): Source {
  if (!existsSync(from)) throw new CommandFailure(`there is no ${from}`, upgradeExits.download);
  return statSync(from).isDirectory()
    ? { kind: "directory", path: from }
    : { kind: "directory", path: dirname(from), file: from };
}

/** A host and a path. Only https, except on this machine: what comes over plain http could be anybody's. */
export function remoteSource(url: string): Source {
  const address = URL.canParse(url) ? new URL(url) : undefined;
  if (address === undefined || !isSafe(address)) {
    throw new CommandFailure(
      `"${url}" is no https address of a host, without user, query and fragment`,
      upgradeExits.usage,
    );
  }
  return { kind: "address", url: url.replace(/\/+$/, "") };
}

function isSafe({ protocol, hostname, username, password, search, hash }: URL): boolean {
  if (username !== "" || password !== "" || search !== "" || hash !== "") return false;
  return protocol === "https:" || (protocol === "http:" && localHosts.test(hostname));
}

/** Where a redirect led; its server may ask for a query. */
function isSafeEnd(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return protocol === "https:" || (protocol === "http:" && localHosts.test(hostname));
}

export interface FindOptions {
  readonly source: Source;
  /** Take this version: the source's own, or the folder "v" and the version in it. */
  readonly version: string | undefined;
  readonly target: string;
  readonly keys: readonly string[];
}

/** The release at the source, its signature checked. */
export async function findRelease(options: FindOptions): Promise<Release> {
  const { source, version } = options;
  const first = await readRelease(options);
  if (version === undefined || first.manifest.version === version) return first;
  const inside: Source =
    source.kind === "directory"
      ? { kind: "directory", path: join(source.path, `v${version}`) }
      : { kind: "address", url: `${source.url}/v${encodeURIComponent(version)}` };
  const release = await readRelease({ ...options, source: inside });
  if (release.manifest.version === version) return release;
  throw new CommandFailure(
    `${nameOf(inside)} holds version ${release.manifest.version}, not ${version}`,
    upgradeExits.download,
  );
}

async function readRelease({ source, target, keys }: FindOptions): Promise<Release> {
  const manifest = await small(source, "manifest.json", manifestBytesMax);
  const signature = await small(source, "manifest.json.minisig", signatureBytesMax);
  const verified = verifyRelease(manifest, signature, keys);
  if (!verified.ok) {
    throw new CommandFailure(
      `the release at ${nameOf(source)} is not to be trusted: ${verified.reason}`,
      upgradeExits.verification,
    );
  }
  const file = fileFor(verified.value, target);
  if (file !== undefined) return { manifest: verified.value, file, source };
  throw new CommandFailure(
    `quorate ${verified.value.version} has no file for this machine (${target})`,
    upgradeExits.machine,
  );
}

export interface FetchOptions {
  readonly release: Release;
  /** Where the executable goes. */
  readonly target: string;
  /** Of the bytes that come in, so far. */
  readonly onProgress: (bytes: number, total: number) => void;
}

/** Writes the executable, checked against the manifest; what fails leaves nothing there. */
export async function fetchExecutable(options: FetchOptions): Promise<void> {
  const { release, target } = options;
  checkSpace(release.file, target);
  for (let attempt = 1; ; attempt += 1) {
    const fault = await fetchOnce(options);
    if (fault === undefined) return;
    rmSync(target, { force: true });
    const isWorthAnother =
      release.source.kind === "address" && fault.code === upgradeExits.download;
    if (!isWorthAnother || attempt === downloadTries) throw fault;
  }
}

async function fetchOnce(options: FetchOptions): Promise<CommandFailure | undefined> {
  const { release, target } = options;
  try {
    rmSync(target, { force: true });
    const { name, digest, stream, unpack } = await openPacked(release);
    const before = measured(name, digest, (bytes) => options.onProgress(bytes, digest.bytes));
    const behind = measured(release.file.name, release.file, () => undefined);
    // Opened at once: a stream that opens later could make the file after it was given up.
    const output = createWriteStream(target, { fd: openSync(target, "wx", 0o600) });
    await (unpack === undefined
      ? pipeline(stream, before.pass, behind.pass, output)
      : pipeline(stream, before.pass, unpack, behind.pass, output));
    before.check();
    behind.check();
    return undefined;
  } catch (error) {
    if (error instanceof CommandFailure) return error;
    const why = reasonOf(error);
    // A file that lies here and cannot be unpacked is another one; what came over a network may come better the next time.
    const isSpoiled = release.source.kind === "directory" && isUnpackFault(error);
    return new CommandFailure(
      `${release.file.name} could not be brought from ${nameOf(release.source)}: ${why}`,
      isSpoiled ? upgradeExits.verification : upgradeExits.download,
    );
  }
}

/** Of Zstandard or gzip, by its code. */
function isUnpackFault(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^(?:Z_|ZSTD_)/.test(code);
}

interface Packed {
  readonly name: string;
  readonly digest: Digest;
  readonly stream: Readable;
  readonly unpack: Transform | undefined;
}

/** The plain file where it lies already; else zst, else gz. */
async function openPacked({ file, source }: Release): Promise<Packed> {
  const forms = [
    { name: `${file.name}.zst`, digest: file.zst, unpack: () => createZstdDecompress() },
    { name: `${file.name}.gz`, digest: file.gz, unpack: () => createGunzip() },
    { name: file.name, digest: file, unpack: () => undefined },
  ];
  if (source.kind === "address") {
    const [form] = forms;
    if (form === undefined) throw new Error("invariant broken: a release has forms");
    return { ...form, stream: await download(source.url, form.name), unpack: form.unpack() };
  }
  for (const form of forms) {
    const named = source.file;
    const path = named ?? join(source.path, form.name);
    if (!existsSync(path) || (named !== undefined && statSync(named).size !== form.digest.bytes))
      continue;
    return { ...form, stream: createReadStream(path), unpack: form.unpack() };
  }
  throw new CommandFailure(
    source.file === undefined
      ? `${source.path} has no ${file.name}, packed or not`
      : `${source.file} is not ${file.name} of that release, nor packed: its length is another`,
    upgradeExits.verification,
  );
}

async function download(url: string, name: string): Promise<Readable> {
  const address = `${url}/${name}`;
  const response = await request(address);
  if (response.body === null) throw new Error(`${address} is empty`);
  return Readable.from(whileItComes(response.body, address));
}

async function request(address: string): Promise<Response> {
  let response: Response;
  // Only for the answer to begin: a slow line may take its time for the rest.
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), silenceMsMax);
  try {
    response = await fetch(address, { signal: patience.signal });
  } catch (error) {
    const why = reasonOf(error);
    throw new CommandFailure(`cannot load ${address}: ${why}`, upgradeExits.download);
  } finally {
    clearTimeout(timer);
  }
  if (!isSafeEnd(response.url)) {
    throw new CommandFailure(
      `${address} leads to ${response.url}, which is not https: what comes over plain http could be anybody's`,
      upgradeExits.download,
    );
  }
  if (response.ok) return response;
  throw new CommandFailure(
    `cannot load ${address}: the server answers ${response.status}`,
    upgradeExits.download,
  );
}

async function* whileItComes(
  body: ReadableStream<Uint8Array>,
  address: string,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  for (;;) {
    const silence = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => silence.reject(new Error(`${address}: nothing came for ${silenceMsMax / 1000} s`)),
      silenceMsMax,
    );
    try {
      const piece = await Promise.race([reader.read(), silence.promise]);
      if (piece.done) return;
      yield piece.value;
    } finally {
      clearTimeout(timer);
    }
  }
}

async function small(source: Source, name: string, bytesMax: number): Promise<Uint8Array> {
  if (source.kind === "directory") {
    const path = join(source.path, name);
    if (!existsSync(path)) {
      throw new CommandFailure(
        `there is no ${name} in ${source.path}: a release has manifest.json, manifest.json.minisig and its files in one directory`,
        name.endsWith(".minisig") ? upgradeExits.verification : upgradeExits.download,
      );
    }
    return statSync(path).size > bytesMax ? new Uint8Array(bytesMax + 1) : readFileSync(path);
  }
  const response = await request(`${source.url}/${name}`);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  if (response.body !== null) {
    for await (const piece of whileItComes(response.body, name)) {
      bytes += piece.length;
      if (bytes > bytesMax) return new Uint8Array(bytesMax + 1);
      pieces.push(piece);
    }
  }
  return new Uint8Array(Buffer.concat(pieces));
}

interface Measured {
  /** A stage of a pipeline. */
  readonly pass: (pieces: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>;
  /** Throws unless what passed is what the manifest lists. */
  readonly check: () => void;
}

/** Passes bytes on, counts and hashes them, and refuses more than there may be. */
function measured(name: string, digest: Digest, onBytes: (bytes: number) => void): Measured {
  const hash = createHash("sha256");
  const fail = (what: string): never => {
    throw new CommandFailure(`${name} ${what}`, upgradeExits.verification);
  };
  let bytes = 0;
  return {
    async *pass(pieces) {
      for await (const piece of pieces) {
        bytes += piece.length;
        if (bytes > digest.bytes) fail(`is longer than the ${digest.bytes} bytes of the manifest`);
        hash.update(piece);
        onBytes(bytes);
        yield piece;
      }
    },
    check() {
      const got = hash.digest("hex");
      if (bytes === digest.bytes && got === digest.sha256) return;
      fail(
        `is not what the manifest lists: ${bytes} of ${digest.bytes} bytes, SHA-256 ${got} instead of ${digest.sha256}`,
      );
    },
  };
}

function checkSpace(file: ReleaseFile, target: string): void {
  const { bavail, bsize } = statfsSync(dirname(target));
  const needed = file.bytes + spareBytes;
  if (bavail * bsize >= needed) return;
  throw new CommandFailure(
    `${dirname(target)} has ${megabytes(bavail * bsize)} free and the upgrade needs ${megabytes(needed)}`,
    upgradeExits.download,
  );
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function nameOf(source: Source): string {
  return source.kind === "directory" ? (source.file ?? source.path) : source.url;
}
