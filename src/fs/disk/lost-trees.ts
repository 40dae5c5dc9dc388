// Trees that lost a state exchange with something that the leader's lacks: kept whole, dated, on the node that had them, a file each, few
// and not too many bytes. Spec: pmxcfs.md §4.8; design.md decision 3. A file is written and flushed before its tree is replaced.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { byteString, bytesOf, Reader, textOfByteString, Writer } from "../../bytes.ts";
import { replaceDurably } from "../../durable-file.ts";
import { failure, reasonOf, type Result, success } from "../../result.ts";
import type { LostTree } from "../epoch/lost-changes.ts";
import { decodeUpdate, encodeUpdate } from "../replica/message.ts";
import { directoryType, entriesByPath, type TreeEntry } from "../tree/entry.ts";

/** The oldest go; the newest is always kept. */
export const lostTreesMax = 16;
export const lostBytesMax = 256 * 1_048_576;

const magic = "quorate lost tree 1\n";
const namePattern = /^\d{8}T\d{6}Z-v\d{1,16}$/;

/** One that is kept, without its objects. */
export interface KeptTree {
  /** `20261130T204951Z-v123`: when it lost, and its version. */
  readonly name: string;
  /** Bytes of its file. */
  readonly bytes: number;
}

export interface LostObject {
  readonly type: "file" | "directory";
  readonly data: Uint8Array;
}

export interface LostTreesOptions {
  /** Made when the first is kept. */
  readonly directory: string;
  /** Unix seconds. */
  readonly wallS: () => number;
}

export class LostTrees {
  readonly #options: LostTreesOptions;

  constructor(options: LostTreesOptions) {
    this.#options = options;
  }

  /** Durable when it returns. `dropped`: older ones that had to go for it. */
  keep(lost: LostTree): Result<{ readonly name: string; readonly dropped: readonly string[] }> {
    const { directory, wallS } = this.#options;
    const stamp = new Date(wallS() * 1000).toISOString().replace(/\.\d+|[-:]/g, "");
    const name = `${stamp}-v${lost.version}`;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      replaceDurably(join(directory, name), encode(lost), 0o600);
      return success({ name, dropped: this.#dropOldest() });
    } catch (error) {
      return failure(`${join(directory, name)} could not be written (${reasonOf(error)})`);
    }
  }

  /** Ascending by date; empty when none was ever kept. */
  list(): readonly KeptTree[] {
    const { directory } = this.#options;
    let names: string[] = [];
    try {
      names = readdirSync(directory).filter((name) => namePattern.test(name));
    } catch {
      // No directory: nothing was lost here.
      return [];
    }
    return names.toSorted().flatMap((name) => {
      const stat = statSync(join(directory, name), { throwIfNoEntry: false });
      return stat === undefined ? [] : [{ name, bytes: stat.size }];
    });
  }

  /** One of `list`; the reason says what is wrong with the name or the file. */
  read(name: string): Result<LostTree> {
    const path = join(this.#options.directory, name);
    if (!namePattern.test(name)) return failure(`${name} is no name of a kept tree`);
    try {
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size === undefined) return failure(`there is no kept tree ${name} on this node`);
      if (size > lostBytesMax) return failure(`${path} is too large to be a kept tree`);
      const lost = decode(new Uint8Array(readFileSync(path)));
      return lost === undefined ? failure(`${path} is damaged`) : success(lost);
    } catch (error) {
      return failure(`${path} cannot be read (${reasonOf(error)})`);
    }
  }

  /** What a tree consists of, by path. */
  objectsOf({ entries }: LostTree): ReadonlyMap<string, LostObject> {
    const objects = new Map<string, LostObject>();
    for (const [path, { type, data }] of entriesByPath(entries)) {
      objects.set(path, { type: type === directoryType ? "directory" : "file", data });
    }
    return objects;
  }

  #dropOldest(): string[] {
    const kept = [...this.list()];
    const dropped: string[] = [];
    const bytes = (): number => kept.reduce((sum, each) => sum + each.bytes, 0);
    while (kept.length > 1 && (kept.length > lostTreesMax || bytes() > lostBytesMax)) {
      const oldest = kept.shift();
      if (oldest === undefined) break;
      rmSync(join(this.#options.directory, oldest.name), { force: true });
      dropped.push(oldest.name);
    }
    return dropped;
  }
}

function encode({ entries, version, leaderVersion, paths }: LostTree): Uint8Array {
  const w = new Writer(65_536).put(bytesOf(magic)).u64(version).u64(leaderVersion);
  w.u32(paths.length).u32(entries.length);
  for (const path of paths) w.u32(path.length).put(bytesOf(path));
  for (const entry of entries) {
    const body = encodeUpdate(entry);
    w.u32(body.length).put(body);
  }
  return w.finish();
}

function decode(bytes: Uint8Array): LostTree | undefined {
  const r = new Reader(bytes);
  if (byteString(r.take(magic.length)) !== magic) return undefined;
  const version = r.u64();
  const leaderVersion = r.u64();
  const counts = { paths: r.u32(), entries: r.u32() };
  if (r.failed || (counts.paths + counts.entries) * 4 > r.remaining) return undefined;
  const paths: string[] = [];
  for (let i = 0; i < counts.paths && !r.failed; i += 1) paths.push(byteString(r.take(r.u32())));
  const entries: TreeEntry[] = [];
  for (let i = 0; i < counts.entries && !r.failed; i += 1) {
    const entry = decodeUpdate(r.take(r.u32()));
    if (!entry.ok) return undefined;
    entries.push(entry.value);
  }
  return r.failed || r.remaining > 0 ? undefined : { entries, version, leaderVersion, paths };
}

const pathsShown = 5;

/** For the log of all nodes: what is not in the tree of the cluster any more, and where it is. */
export function lostSentence(lost: LostTree, kept: ReturnType<LostTrees["keep"]>): string {
  const { paths, version, leaderVersion } = lost;
  const shown = paths.slice(0, pathsShown).map(textOfByteString).join(", ");
  const more = paths.length > pathsShown ? ` and ${paths.length - pathsShown} more` : "";
  const what = `the tree of this node (version ${version}) had what the cluster's (version ${leaderVersion}) lacks: ${shown}${more}`;
  if (!kept.ok) return `${what}; it is gone: ${kept.reason}`;
  const { name, dropped } = kept.value;
  const gone = dropped.length === 0 ? "" : `; the oldest kept ones went: ${dropped.join(", ")}`;
  return `${what}; it is kept: quorate fs lost diff ${name}${gone}`;
}
