// A directory in which others may write while root works in it: the descriptor is the directory, whatever its path becomes, and no
// name in it is followed through a link. A daemon's user owns such directories and could otherwise choose what root opens or gives away.
import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  readFileSync,
  type Stats,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type FileOwner, writeDraft } from "./durable-file.ts";
import {
  type Descriptor,
  errnoName,
  errnos,
  linkTarget,
  lockFile,
  makeDirectoryAt,
  openAt,
  openFlags,
  renameAt,
  unlinkAt,
} from "./libc.ts";

/** As the kernel's. */
const linksMax = 40;
const parentMode = 0o755;
const itself = openFlags.PATH | openFlags.NOFOLLOW;

/** What a system call said of a path; `code` as node:fs has it. */
class PathError extends Error {
  readonly code: string;

  constructor(path: string, what: string, errno: number) {
    const code = errnoName(errno);
    super(
      errno === errnos.ELOOP
        ? `${path} is a symbolic link: remove it, nothing of quorate makes one there`
        : `${code}: cannot ${what} '${path}'`,
    );
    this.code = code;
  }
}

export class Directory implements Disposable {
  readonly path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /**
   * Opens component by component. As root, a symbolic link on the way is followed only if it is root's. `isMade`: what is missing is made,
   * open to all for reading. Throws PathError, or an Error with a sentence.
   */
  static open(path: string, options: { readonly isMade?: boolean } = {}): Directory {
    return new Directory(resolve(path), walk(resolve(path), options.isMade === true));
  }

  /**
   * Makes the last component alone, for whoever makes it, or, as root, for the `isOfParent` owner of the one above; what is there
   * already is left as it is.
   */
  static make(path: string, mode: number, options: { readonly isOfParent?: boolean } = {}): void {
    using parent = Directory.open(dirname(path), { isMade: true });
    const name = basename(resolve(path));
    const errno = makeDirectoryAt(parent.#fd, name, 0o700);
    if (errno === errnos.EEXIST) return;
    if (errno !== 0) throw new PathError(path, "mkdir", errno);
    const made = openAt(parent.#fd, name, openFlags.DIRECTORY | openFlags.NOFOLLOW);
    const fd = descriptorOf(made, path, "open");
    try {
      // Whoever may write in the parent may have put another in its place.
      if (fstatSync(fd).uid !== process.geteuid?.()) throw new Error(`${path} was exchanged`);
      const { uid, gid } = parent.stat();
      if (options.isOfParent === true && isRoot()) fchownSync(fd, uid, gid);
      fchmodSync(fd, mode);
    } finally {
      closeSync(fd);
    }
  }

  stat(): Stats {
    return fstatSync(this.#fd);
  }

  /** Undefined when there is nothing of that name. A link is itself. */
  statOf(name: string): Stats | undefined {
    const opened = openAt(this.#fd, name, itself);
    if (!opened.ok && opened.errno === errnos.ENOENT) return undefined;
    const fd = this.#descriptorOf(opened, name, "open");
    try {
      return fstatSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** The content of a regular file of at most `bytesMax`. */
  read(name: string, bytesMax: number): Uint8Array {
    const fd = this.openFile(name, 0);
    try {
      if (fstatSync(fd).size > bytesMax) {
        throw new Error(`${join(this.path, name)} is longer than ${bytesMax} bytes`);
      }
      return new Uint8Array(readFileSync(fd));
    } finally {
      closeSync(fd);
    }
  }

  /** A descriptor of a regular file with one name only, to be closed by the caller. `flags`: of `openFlags`. */
  openFile(name: string, flags: number, mode = 0o600): number {
    // A pipe would keep us waiting.
    const safe = flags | openFlags.NOFOLLOW | openFlags.NONBLOCK;
    return this.#onlyRegular(
      this.#descriptorOf(openAt(this.#fd, name, safe, mode), name, "open"),
      name,
    );
  }

  /** As `lockFile`, of a regular file with one name only. */
  lock(name: string): Descriptor {
    const locked = lockFile(name, this.#fd);
    return locked.ok ? { ...locked, fd: this.#onlyRegular(locked.fd, name) } : locked;
  }

  /** As `replaceDurably`. */
  replace(name: string, content: Uint8Array, mode: number, owner?: FileOwner): void {
    const draft = `${name}.${process.pid}.tmp`;
    this.remove(draft);
    const flags = openFlags.WRONLY | openFlags.CREAT | openFlags.EXCL;
    const fd = this.openFile(draft, flags, mode);
    try {
      writeDraft(fd, content, mode, owner);
      const errno = renameAt(this.#fd, draft, name);
      if (errno !== 0) throw new PathError(join(this.path, name), "rename", errno);
    } catch (error) {
      this.remove(draft);
      throw error;
    }
    this.#flush();
  }

  /** A file or a link; nothing there is as good. */
  remove(name: string): void {
    const errno = unlinkAt(this.#fd, name);
    if (errno === 0 || errno === errnos.ENOENT) return;
    throw new PathError(join(this.path, name), "unlink", errno);
  }

  /** Of a socket that this process has just bound there; `group`: -1 leaves it. */
  settleSocket(name: string, mode: number, group: number): void {
    const fd = this.#descriptorOf(openAt(this.#fd, name, itself), name, "open");
    try {
      const stat = fstatSync(fd);
      if (!stat.isSocket() || stat.nlink > 1 || stat.uid !== process.geteuid?.()) {
        throw new Error(`${join(this.path, name)} is not the socket that was made there`);
      }
      // The descriptor only names it: the calls for open files refuse such a one.
      const own = `/proc/self/fd/${fd}`;
      if (group >= 0) chownSync(own, stat.uid, group);
      chmodSync(own, mode);
    } finally {
      closeSync(fd);
    }
  }

  /** For the directory itself. */
  changeMode(mode: number): void {
    const fd = this.#descriptorOf(openAt(this.#fd, ".", openFlags.DIRECTORY), "", "open");
    try {
      fchmodSync(fd, mode);
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #flush(): void {
    const fd = this.#descriptorOf(openAt(this.#fd, ".", openFlags.DIRECTORY), "", "open");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** A second name could be one of a file that is not in this directory's business. */
  #onlyRegular(fd: number, name: string): number {
    const stat = fstatSync(fd);
    if (stat.isFile() && stat.nlink <= 1) return fd;
    closeSync(fd);
    throw new Error(`${join(this.path, name)} is not a file with one name only: remove it`);
  }

  #descriptorOf(opened: Descriptor, name: string, what: string): number {
    return descriptorOf(opened, join(this.path, name), what);
  }
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

function descriptorOf(opened: Descriptor, path: string, what: string): number {
  if (opened.ok) return opened.fd;
  throw new PathError(path, what, opened.errno);
}

/** The descriptor names the directory, without opening it for reading. */
function walk(path: string, isMade: boolean): number {
  const rest = path.split("/");
  let links = 0;
  let at = rootDirectory();
  try {
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === "" || name === ".") continue;
      const next = enter(at, name, { path, isMade });
      try {
        const stat = fstatSync(next);
        if (!stat.isSymbolicLink()) {
          if (!stat.isDirectory()) throw new PathError(path, "open", errnos.ENOTDIR);
          closeSync(at);
          at = next;
          continue;
        }
        if (isRoot() && stat.uid !== 0) {
          throw new Error(
            `"${name}" on the way to ${path} is a symbolic link of user ${stat.uid}, which root does not follow: name the directory that is meant, or \`chown -h root\` the link if it is right`,
          );
        }
        const target = linkTarget(next);
        if (typeof target === "number") throw new PathError(path, "read", target);
        if ((links += 1) > linksMax) throw new Error(`${path} has too many symbolic links`);
        rest.unshift(...target.split("/"));
        if (target.startsWith("/")) {
          const top = rootDirectory();
          closeSync(at);
          at = top;
        }
        closeSync(next);
      } catch (error) {
        closeSync(next);
        throw error;
      }
    }
    return at;
  } catch (error) {
    closeSync(at);
    throw error;
  }
}

/** By a name that user-mode emulation leaves alone: with -L it takes "/" itself for the root of its libraries. */
function rootDirectory(): number {
  return descriptorOf(openAt(-1, "/proc/..", itself | openFlags.DIRECTORY), "/", "open");
}

function enter(
  at: number,
  name: string,
  { path, isMade }: { readonly path: string; readonly isMade: boolean },
): number {
  const opened = openAt(at, name, itself);
  if (opened.ok || !isMade || opened.errno !== errnos.ENOENT) {
    return descriptorOf(opened, path, "open");
  }
  const errno = makeDirectoryAt(at, name, parentMode);
  if (errno !== 0 && errno !== errnos.EEXIST) throw new PathError(path, "mkdir", errno);
  // A umask for the daemon's files would close what others' things lie in, too.
  if (errno === 0) {
    const made = openAt(at, name, openFlags.DIRECTORY | openFlags.NOFOLLOW);
    const fd = descriptorOf(made, path, "open");
    if (fstatSync(fd).uid === process.geteuid?.()) fchmodSync(fd, parentMode);
    closeSync(fd);
  }
  return descriptorOf(openAt(at, name, itself), path, "open");
}
