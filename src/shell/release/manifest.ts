// The list of a release's files: version, and for each target name, length and SHA-256 of the executable and of its two
// compressed forms. Canonical JSON, one line a file, so that install.sh reads it with awk. Whoever reads one must have
// checked its signature first (verify.ts).
import * as v from "valibot";
import { success, type Result, failure } from "../../result.ts";

export const manifestBytesMax = 65_536;
const filesMax = 32;
/** Far above the builder's own limit (engineering.md §12), far below what a small machine's disk holds. */
export const fileBytesMax = 268_435_456;

/** Semantic version without a leading "v". */
const versionPattern =
  /^(?:0|[1-9]\d{0,8})\.(?:0|[1-9]\d{0,8})\.(?:0|[1-9]\d{0,8})(?:-[0-9a-z.-]{1,40})?(?:\+[0-9a-z.-]{1,60})?$/;
const commitPattern = /^(?:[0-9a-f]{7,40}(?:-dirty)?|unknown)$/;
const targetPattern = /^linux-[a-z0-9]+(?:-[a-z0-9]+){0,3}$/;

const digestEntries = {
  bytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(fileBytesMax)),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
} as const;
const digestSchema = v.object(digestEntries);

/** Fields that a later version adds are passed over, so that this one can still upgrade to it. */
const manifestSchema = v.object({
  product: v.literal("quorate"),
  version: v.pipe(v.string(), v.maxLength(128), v.regex(versionPattern)),
  commit: v.pipe(v.string(), v.regex(commitPattern)),
  development: v.boolean(),
  files: v.pipe(
    v.array(
      v.object({
        target: v.pipe(v.string(), v.maxLength(48), v.regex(targetPattern)),
        name: v.pipe(v.string(), v.maxLength(64)),
        ...digestEntries,
        gz: digestSchema,
        zst: digestSchema,
      }),
    ),
    v.minLength(1),
    v.maxLength(filesMax),
  ),
});

export interface Digest {
  readonly bytes: number;
  /** 64 lower-case hexadecimal digits. */
  readonly sha256: string;
}

export interface ReleaseFile extends Digest {
  /** As in build/targets.ts and `identity.target`. */
  readonly target: string;
  /** "quorate-" and the target: never a path. */
  readonly name: string;
  readonly gz: Digest;
  readonly zst: Digest;
}

export interface Manifest {
  readonly product: "quorate";
  readonly version: string;
  readonly commit: string;
  readonly development: boolean;
  readonly files: readonly ReleaseFile[];
}

/** Reads manifest.json; a sentence when it is not one that this program may follow. */
export function readManifest(bytes: Uint8Array): Result<Manifest> {
  if (bytes.length > manifestBytesMax)
    return failure(`a manifest has at most ${manifestBytesMax} bytes; this has ${bytes.length}`);
  const json = parsed(bytes);
  if (!json.ok) return json;
  const result = v.safeParse(manifestSchema, json.value, { abortEarly: true });
  if (!result.success) {
    const [issue] = result.issues;
    return failure(`the manifest's "${v.getDotPath(issue) ?? "content"}" is wrong`);
  }
  const manifest = result.output;
  const misnamed = manifest.files.find(({ target, name }) => name !== `quorate-${target}`);
  if (misnamed !== undefined)
    return failure(`the manifest names a file for ${misnamed.target} that is not quorate's`);
  if (new Set(manifest.files.map(({ target }) => target)).size !== manifest.files.length)
    return failure("the manifest lists a target twice");
  return success(manifest);
}

function parsed(bytes: Uint8Array): Result<unknown> {
  try {
    return success(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    return failure("the manifest is no JSON text"); // Where it breaks helps nobody: it was made by a program.
  }
}

/** The canonical text: the same manifest always gives the same bytes. */
export function manifestText(manifest: Manifest): string {
  const { product, version, commit, development } = manifest;
  const head = JSON.stringify({ product, version, commit, development }).slice(0, -1);
  const line = ({ target, name, bytes, sha256, gz, zst }: ReleaseFile): string =>
    JSON.stringify({
      ...{ target, name, bytes, sha256 },
      gz: { bytes: gz.bytes, sha256: gz.sha256 },
      zst: { bytes: zst.bytes, sha256: zst.sha256 },
    });
  return `${head},"files":[\n${manifest.files.map(line).join(",\n")}\n]}\n`;
}

export function fileFor(manifest: Manifest, target: string): ReleaseFile | undefined {
  return manifest.files.find((file) => file.target === target);
}

/** Is `text` a version as a manifest states it? For what a person types after --to. */
export function isVersion(text: string): boolean {
  return text.length <= 128 && versionPattern.test(text);
}

/** Order of semantic versions (semver.org §11): negative when `a` is older. What follows "+" does not count. */
export function compareVersions(a: string, b: string): number {
  const [coreA, preA] = partsOf(a);
  const [coreB, preB] = partsOf(b);
  const core = compareLists(coreA, coreB);
  if (core !== 0 || preA.length === 0 || preB.length === 0)
    return core !== 0 ? core : preB.length - preA.length;
  return compareLists(preA, preB);
}

function partsOf(version: string): readonly [readonly string[], readonly string[]] {
  const plain = version.split("+")[0] ?? "";
  const dash = plain.indexOf("-");
  if (dash < 0) return [plain.split("."), []];
  return [plain.slice(0, dash).split("."), plain.slice(dash + 1).split(".")];
}

function compareLists(a: readonly string[], b: readonly string[]): number {
  for (const [at, left] of a.entries()) {
    const right = b[at];
    if (right === undefined) return 1;
    const order = compareWords(left, right);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Numbers by value and before words; words by their characters. */
function compareWords(a: string, b: string): number {
  const isNumber = (word: string): boolean => /^\d+$/.test(word);
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b);
  if (isNumber(a) !== isNumber(b)) return isNumber(a) ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
