// A release directory out of checked executables: compressed twice, listed in a signed manifest, with an install.sh that
// knows all hashes. Same executables, same key, same base: same bytes. Nothing here may depend on the time.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Digest,
  type Manifest,
  manifestText,
  type ReleaseFile,
} from "../src/shell/release/manifest.ts";
import { verifyRelease } from "../src/shell/release/verify.ts";
import type { Signer } from "./signer.ts";
import { fileName, type Target } from "./targets.ts";

/** engineering.md §12. */
const zstBytesMax = 48_000_000;
/** zstd's and libdeflate's: the first for what is published, the second for a quick development release. */
const levels = {
  full: { zstd: 19, gzip: 12 },
  fast: { zstd: 3, gzip: 1 },
} as const;
/** Each holds an executable and two compressed forms in memory, and one processor for a minute. */
const packersMax = 2;

export interface ReleaseOptions {
  /** Holds quorate-TARGET for each target. */
  readonly executables: string;
  readonly out: string;
  readonly targets: readonly Target[];
  readonly version: string;
  readonly commit: string;
  readonly isDevelopment: boolean;
  /** Public keys for install.sh, base64. */
  readonly keys: readonly string[];
  readonly signer: Signer;
  /** Address the directory will be published at; "" when install.sh must be told. */
  readonly base: string;
  /** install.sh of the project, with its empty pinned block. */
  readonly installScript: string;
  /** Compresses badly but at once. */
  readonly isFast: boolean;
}

/** Writes the directory, replacing the files of a release that was in it. Throws a sentence when it cannot be right. */
export async function makeRelease(options: ReleaseOptions): Promise<Manifest> {
  const { out, signer, version, commit } = options;
  mkdirSync(out, { recursive: true });
  clear(out);
  const manifest: Manifest = {
    product: "quorate",
    version,
    commit,
    development: options.isDevelopment,
    files: await packAll(options),
  };
  const text = Buffer.from(manifestText(manifest));
  const mark = options.isDevelopment ? "development release" : "release";
  const signature = Buffer.from(signer.sign(text, `quorate ${version} ${mark} manifest.json`));
  const check = verifyRelease(text, signature, [signer.publicKey]);
  if (!check.ok) throw new Error(`the manifest does not pass its own check: ${check.reason}`);
  const script = pinScript(options.installScript, {
    version,
    development: options.isDevelopment ? "yes" : "no",
    base: options.base,
    keys: options.keys.join(" "),
    manifest_sha256: digestOfBytes(text).sha256,
    pinned: manifest.files.flatMap(pinnedLines).join("\n"),
  });
  put(out, "manifest.json", text);
  put(out, "manifest.json.minisig", signature);
  put(out, "install.sh", Buffer.from(script), 0o755);
  put(out, "SHA256SUMS", Buffer.from(sums(out)));
  return manifest;
}

/** Of a former release, so that none of its files stays beside the new ones; anything else is left. */
function clear(out: string): void {
  const ours =
    /^(?:install\.sh|manifest\.json(?:\.minisig)?|SHA256SUMS|quorate-linux-[a-z0-9-]+\.(?:gz|zst))(?:\.new)?$/;
  for (const name of readdirSync(out)) if (ours.test(name)) rmSync(join(out, name));
}

async function packAll(options: ReleaseOptions): Promise<readonly ReleaseFile[]> {
  const files = new Map<Target, ReleaseFile>();
  const waiting = [...options.targets];
  const packer = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift())
      files.set(target, await pack(target, options));
  };
  await Promise.all(Array.from({ length: packersMax }, packer));
  return options.targets.flatMap((target) => files.get(target) ?? []);
}

async function pack(target: Target, options: ReleaseOptions): Promise<ReleaseFile> {
  const name = fileName(target);
  const plain = new Uint8Array(readFileSync(join(options.executables, name)));
  const level = options.isFast ? levels.fast : levels.full;
  const packing = Bun.zstdCompress(plain, { level: level.zstd });
  // libdeflate writes neither name nor time, and the same bytes on every processor.
  const gz = Bun.gzipSync(plain, { library: "libdeflate", level: level.gzip });
  const zst = await packing;
  if (!options.isFast && zst.length > zstBytesMax)
    throw new Error(`${name}.zst has ${zst.length} bytes; the limit is ${zstBytesMax}`);
  const back = [Bun.gunzipSync(gz), Bun.zstdDecompressSync(zst)];
  if (!back.every((bytes) => Buffer.from(bytes).equals(plain)))
    throw new Error(`${name} does not come out of its compressed form as it went in`);
  put(options.out, `${name}.gz`, gz);
  put(options.out, `${name}.zst`, zst);
  const digests = { gz: digestOfBytes(gz), zst: digestOfBytes(zst) };
  return { target: target.name, name, ...digestOfBytes(plain), ...digests };
}

function digestOfBytes(bytes: Uint8Array): Digest {
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** "NAME BYTES SHA256" of the executable and both compressed forms. */
function pinnedLines({ name, gz, zst, ...plain }: ReleaseFile): string[] {
  const line = (file: string, { bytes, sha256 }: Digest): string => `${file} ${bytes} ${sha256}`;
  return [line(name, plain), line(`${name}.gz`, gz), line(`${name}.zst`, zst)];
}

const pinnedBlock = /^(# BEGIN PINNED[^\n]*\n)([\s\S]*?)(^# END PINNED[^\n]*$)/m;

/** Fills install.sh's pinned block. Throws when the script has none, or sets other variables in it than we know. */
export function pinScript(script: string, values: Readonly<Record<string, string>>): string {
  const match = pinnedBlock.exec(script);
  if (match === null)
    throw new Error("install.sh has no lines between # BEGIN PINNED and # END PINNED to fill");
  const wanted = [...(match[2] ?? "").matchAll(/(?:^|\s)([a-z_0-9]+)=/gm)].map(
    ([, name]) => name ?? "",
  );
  const given = Object.keys(values);
  if (wanted.toSorted().join() !== given.toSorted().join()) {
    throw new Error(
      `install.sh's pinned block sets ${wanted.join(", ")}; build/release-files.ts fills ${given.join(", ")}`,
    );
  }
  const lines = Object.entries(values).map(([name, value]) => {
    if (/['\\]/.test(value))
      throw new Error(`"${value}" cannot be pinned as ${name}: it has a quote`);
    return `${name}='${value}'\n`;
  });
  // By function: a "$" in a value is no pattern.
  return script.replace(pinnedBlock, (_all, head: string, _body, end: string) =>
    [head, ...lines, end].join(""),
  );
}

/** In the form of sha256sum(1), of everything else in the directory. */
function sums(out: string): string {
  const names = readdirSync(out, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "SHA256SUMS")
    .map(({ name }) => name)
    .toSorted();
  return names
    .map((name) => `${digestOfBytes(readFileSync(join(out, name))).sha256}  ${name}\n`)
    .join("");
}

/** Whole or not at all: a mirror may be serving the directory. */
function put(out: string, name: string, bytes: Uint8Array, mode = 0o644): void {
  const temporary = join(out, `${name}.new`);
  writeFileSync(temporary, bytes, { mode });
  renameSync(temporary, join(out, name));
}
