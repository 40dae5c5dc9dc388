// The tree as it is looked at: stored objects with the synthetic names of the root laid over them, and the permission
// bits that show the quorum state. Spec: pmxcfs.md §2.3–2.5. Reads only; never waits, never changes anything.
import { bytesOf } from "../../bytes.ts";
import { directoryType, type TreeEntry } from "./entry.ts";
import type { Errno, FileStat, FileSystemStat, Outcome } from "./files.ts";
import {
  acceptedMode,
  blockBytes,
  blocksTotal,
  inodesTotal,
  modeOf,
  nameBytesMax,
  pathBytesMax,
  statfsNameMax,
  withoutLeadingSlashes,
} from "./rules.ts";
import type { Tree } from "./tree.ts";

export function refused(errno: Errno, reason: string): { ok: false; errno: Errno; reason: string } {
  return { ok: false, errno, reason };
}

/** What a path names: an object of the tree (present or not), or a synthetic name of the root. */
export type Named =
  | { readonly kind: "stored"; readonly path: string }
  | { readonly kind: "generated"; readonly name: string }
  | { readonly kind: "link"; readonly name: string; readonly target: string };

export interface ViewOptions {
  /** The current tree. */
  readonly tree: () => Tree;
  /** An object with what was written to it here and has not reached the tree. */
  readonly ahead: (path: string, entry: TreeEntry) => TreeEntry;
  /** Quorate, or local mode. */
  readonly isWritable: () => boolean;
  /** Text (byte strings) of the generated files by name. */
  readonly generated: ReadonlyMap<string, () => string>;
  /** Targets of the symbolic links by name. */
  readonly links: ReadonlyMap<string, string>;
  /** gid of www-data; chown to it is accepted. Undefined: there is no such group. */
  readonly gid: number | undefined;
}

/** The one generated file that may be written. */
export const debugName = ".debug";

export class View {
  readonly #options: ViewOptions;

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  /** Names a path after cleaning it: slashes at both ends go, a leading link of the root is followed. */
  named(given: string): Outcome<Named> {
    const path = withoutLeadingSlashes(given).replace(/\/+$/, "");
    if (path.length > pathBytesMax) {
      return refused("ENAMETOOLONG", `the path has more than ${pathBytesMax} bytes`);
    }
    const parts = path.split("/");
    for (const part of parts) {
      if (part.length > nameBytesMax) {
        return refused("ENAMETOOLONG", `a name may have ${nameBytesMax} bytes`);
      }
    }
    if (path.includes("\0")) return refused("EINVAL", "a path cannot contain a NUL byte");
    const first = parts[0] ?? "";
    const isRootName = parts.length === 1;
    const target = this.#options.links.get(first);
    if (target !== undefined) {
      if (isRootName) return found({ kind: "link", name: first, target });
      return found({ kind: "stored", path: [target, ...parts.slice(1)].join("/") });
    }
    if (this.#options.generated.has(first)) {
      if (isRootName) return found({ kind: "generated", name: first });
      return refused("ENOTDIR", `${first} is a file`);
    }
    return found({ kind: "stored", path: parts.filter((part) => part !== "").join("/") });
  }

  stat(path: string): Outcome<FileStat> {
    const named = this.named(path);
    if (!named.ok) return named;
    switch (named.value.kind) {
      case "link":
        return found(this.#linkStat(named.value.target));
      case "generated":
        return found(this.#generatedStat(named.value.name));
      case "stored":
        return this.#storedStat(named.value.path);
    }
    named.value satisfies never;
    return refused("EINVAL", "no such kind of object");
  }

  list(path: string): Outcome<readonly { readonly name: string; readonly stat: FileStat }[]> {
    const named = this.named(path);
    if (!named.ok) return named;
    if (named.value.kind !== "stored") return refused("ENOTDIR", "not a directory");
    const directory = this.stored(named.value.path);
    if (!directory.ok) return directory;
    if (directory.value.type !== directoryType) return refused("ENOTDIR", "not a directory");
    const isRoot = directory.value.inode === 0;
    const names: { name: string; stat: FileStat }[] = isRoot ? this.#syntheticNames() : [];
    const prefix = isRoot ? "" : `${named.value.path}/`;
    for (const entry of this.#options.tree().children(directory.value.inode)) {
      if (isRoot && this.#isSynthetic(entry.name)) continue;
      const child = `${prefix}${entry.name}`;
      const ahead = this.#options.ahead(child, entry);
      names.push({ name: entry.name, stat: this.#entryStat(child, ahead) });
    }
    return found(names);
  }

  read(path: string): Outcome<Uint8Array> {
    const named = this.named(path);
    if (!named.ok) return named;
    if (named.value.kind === "link") return refused("EINVAL", "a symbolic link has no content");
    if (named.value.kind === "generated") return found(bytesOf(this.#textOf(named.value.name)));
    const entry = this.stored(named.value.path);
    if (!entry.ok) return entry;
    if (entry.value.type === directoryType) return refused("EISDIR", "this is a directory");
    return found(entry.value.data);
  }

  readlink(path: string): Outcome<string> {
    const named = this.named(path);
    if (!named.ok) return named;
    if (named.value.kind === "link") return found(named.value.target);
    if (named.value.kind === "generated") return refused("EACCES", "this is a generated file");
    const entry = this.stored(named.value.path);
    return entry.ok ? refused("EINVAL", "not a symbolic link") : entry;
  }

  statfs(): FileSystemStat {
    const tree = this.#options.tree();
    const used = Math.ceil(tree.totalBytes / blockBytes);
    return {
      blockSize: blockBytes,
      blocks: blocksTotal,
      // The original wraps below zero when the tree is overfull; full is the honest word.
      blocksFree: Math.max(0, blocksTotal - used),
      files: inodesTotal,
      filesFree: Math.max(0, inodesTotal - tree.size),
      nameMax: statfsNameMax,
    };
  }

  /** Succeeds only for the mode that the object has by rule; changes nothing (pmxcfs.md §2.5). */
  chmod(path: string, mode: number): Outcome<undefined> {
    const present = this.#present(path);
    if (!present.ok) return present;
    const accepted = acceptedMode(present.value);
    if ((mode & 0o7777) === accepted) return found(undefined);
    return refused(
      "EPERM",
      `modes follow from the path and cannot be changed; only ${accepted.toString(8)} is accepted here`,
    );
  }

  /** Succeeds only for the owner that every object has; changes nothing. */
  chown(path: string, uid: number | undefined, gid: number | undefined): Outcome<undefined> {
    const present = this.#present(path);
    if (!present.ok) return present;
    const uidOk = uid === undefined || uid === 0;
    const gidOk = gid === undefined || gid === this.#options.gid;
    if (uidOk && gidOk) return found(undefined);
    return refused("EPERM", "everything here belongs to root:www-data; that cannot be changed");
  }

  /** The object of a cleaned path, or ENOENT or ENOTDIR as a walk along the path would find. */
  stored(path: string): Outcome<TreeEntry> {
    const tree = this.#options.tree();
    const entry = tree.lookup(path);
    if (entry !== undefined) return found(this.#options.ahead(path, entry));
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
      const ancestor = tree.lookup(path.slice(0, at));
      if (ancestor === undefined) break;
      if (ancestor.type !== directoryType) {
        return refused("ENOTDIR", "a part of the path is not a directory");
      }
    }
    return refused("ENOENT", "no such file or directory");
  }

  #present(path: string): Outcome<string> {
    const named = this.named(path);
    if (!named.ok) return named;
    if (named.value.kind !== "stored") return found(named.value.name);
    const entry = this.stored(named.value.path);
    return entry.ok ? found(named.value.path) : entry;
  }

  #storedStat(path: string): Outcome<FileStat> {
    const entry = this.stored(path);
    return entry.ok ? found(this.#entryStat(path, entry.value)) : entry;
  }

  #entryStat(path: string, entry: TreeEntry): FileStat {
    const isDirectory = entry.type === directoryType;
    // The root itself keeps its mode without quorum.
    const writable = entry.inode === 0 || this.#options.isWritable();
    return {
      type: isDirectory ? "directory" : "file",
      mode: modeOf(path, isDirectory ? "directory" : "file", writable),
      size: entry.data.length,
      mtime: entry.inode === 0 ? 0 : entry.mtime,
      links: isDirectory ? 2 : 1,
      version: entry.inode === 0 ? 0 : entry.version,
      generated: false,
    };
  }

  #generatedStat(name: string): FileStat {
    return {
      type: "file",
      mode: name === debugName ? 0o640 : 0o440,
      size: this.#textOf(name).length,
      mtime: 0,
      links: 1,
      version: 0,
      generated: true,
    };
  }

  #linkStat(target: string): FileStat {
    return {
      type: "symlink",
      mode: this.#options.isWritable() ? 0o755 : 0o555,
      size: target.length,
      mtime: 0,
      links: 1,
      version: 0,
      generated: true,
    };
  }

  #syntheticNames(): { name: string; stat: FileStat }[] {
    const { generated, links } = this.#options;
    const names: { name: string; stat: FileStat }[] = [];
    for (const name of generated.keys()) names.push({ name, stat: this.#generatedStat(name) });
    for (const [name, target] of links) names.push({ name, stat: this.#linkStat(target) });
    return names;
  }

  #isSynthetic(name: string): boolean {
    return this.#options.generated.has(name) || this.#options.links.has(name);
  }

  #textOf(name: string): string {
    return this.#options.generated.get(name)?.() ?? "";
  }
}

function found<T>(value: T): { ok: true; value: T } {
  return { ok: true, value };
}
