// `quorate verify`: does a release's signature hold, and are these files its files? install.sh asks this of a binary whose
// hash it knows, on machines without openssl 3 and minisign (engineering.md §13 I8); a person may ask it of anything.
import { readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { reasonOf } from "../../result.ts";
import { CommandFailure, exitOk } from "../exit.ts";
import { digestOf } from "../release/digest.ts";
import { type Digest, type Manifest, manifestBytesMax } from "../release/manifest.ts";
import { keyOfWord } from "../release/key-word.ts";
import { signatureBytesMax } from "../release/minisign.ts";
import { verifyRelease } from "../release/verify.ts";

/** As install.sh's: the signature or a hash does not hold. */
const exitVerification = 4;
const sumsName = "SHA256SUMS";

export interface VerifyOptions {
  readonly manifest: string;
  readonly signature: string;
  /** Executables, or their .gz or .zst, under any name. */
  readonly files: readonly string[];
  /** Public keys to trust instead of the compiled-in ones: base64, or the name of a .pub file. */
  readonly keys: readonly string[];
  /** The compiled-in ones. */
  readonly releaseKeys: readonly string[];
  readonly write: (text: string) => void;
}

/** Exit code 0 when all holds; else CommandFailure with code 4 and one sentence. */
export function verifyCommand(options: VerifyOptions): number {
  const keys = options.keys.length > 0 ? options.keys.map(keyOfWord) : options.releaseKeys;
  const manifest = verifyRelease(
    contentOf(options.manifest, manifestBytesMax),
    contentOf(options.signature, signatureBytesMax),
    keys,
  );
  if (!manifest.ok) {
    throw new CommandFailure(
      `${options.manifest} is not to be trusted: ${manifest.reason}`,
      exitVerification,
    );
  }
  const { version, commit, development } = manifest.value;
  const kind = development ? "development release" : "release";
  options.write(`signature good: quorate ${version}, ${kind} of commit ${commit}\n`);
  for (const file of options.files)
    options.write(`${file}: ${nameOf(file, manifest.value)} of that release, unaltered\n`);
  return exitOk;
}

/** What the release calls a file of this content. */
function nameOf(file: string, manifest: Manifest): string {
  const digest = attempt(file, () => digestOf(file));
  const isSame = (other: Digest): boolean =>
    other.bytes === digest.bytes && other.sha256 === digest.sha256;
  for (const entry of manifest.files) {
    if (isSame(entry)) return entry.name;
    if (isSame(entry.gz)) return `${entry.name}.gz`;
    if (isSame(entry.zst)) return `${entry.name}.zst`;
  }
  const name = basename(file);
  const isListed = manifest.files.some((entry) =>
    [entry.name, `${entry.name}.gz`, `${entry.name}.zst`].includes(name),
  );
  throw new CommandFailure(
    isListed
      ? `${file} is no file of quorate ${manifest.version}: it was altered or cut, or is of another version ` +
          `(SHA-256 ${digest.sha256}); fetch ${name} again`
      : `${file} is no file of quorate ${manifest.version} that the signed manifest lists, by name or content ` +
          `(SHA-256 ${digest.sha256}): ${unsignedWord(file, digest.sha256)}`,
    exitVerification,
  );
}

/** What SHA256SUMS beside a file says of it. Nobody signs that list, so it makes nothing good. */
function unsignedWord(file: string, sha256: string): string {
  const name = basename(file);
  const sums = join(dirname(file), sumsName);
  const listed = sumsOf(sums).get(name);
  if (listed === undefined)
    return `the signature says nothing about it; compare it with ${sumsName} of where it came from`;
  if (listed !== sha256)
    return `${sums} has another SHA-256 for it, so one of the two was altered or cut; fetch both again`;
  return `it is as ${sums} says, but that list is not signed: trust it as far as the place that both came from`;
}

/** Names and their SHA-256 in a list of sha256sum(1); none when it cannot be read. */
function sumsOf(path: string): ReadonlyMap<string, string> {
  let text: string;
  try {
    if (statSync(path).size > manifestBytesMax) return new Map();
    text = readFileSync(path, "utf8");
  } catch {
    return new Map(); // Most files have none beside them.
  }
  const lines = text.matchAll(/^([0-9a-f]{64}) [ *](.+)$/gm);
  return new Map([...lines].map(([, sum = "", name = ""]) => [name, sum]));
}

/** One byte more than allowed is enough for the reader to refuse it. */
function contentOf(file: string, bytesMax: number): Uint8Array {
  return attempt(file, () => {
    const { size } = statSync(file);
    return size > bytesMax ? new Uint8Array(bytesMax + 1) : readFileSync(file);
  });
}

function attempt<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const why = reasonOf(error);
    throw new CommandFailure(
      `cannot read ${file}: ${why}. A release is a directory with manifest.json, manifest.json.minisig and its files: go there, or name them (--manifest, --signature)`,
      exitVerification,
    );
  }
}
