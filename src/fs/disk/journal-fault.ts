// What went wrong with the database, as one sentence that says what to do. Spec: pmxcfs.md §1.4; engineering.md §7.
// Only reads error codes; never touches the file, so that whatever is in it stays there.

/** A log that stays behind would be written into a backup, or be taken for one of a new file. */
export const replaceAdvice =
  "move it away together with its -wal, -shm and -journal, then restore a backup, or start without one so that the other nodes send their tree";

/** SQLite's result code ("SQLITE_FULL", …) of anything thrown by the driver; ENOSPC or EIO of a copy or a flush; "" when there is none. */
export function sqliteCodeOf(error: unknown): string {
  let cause: unknown = error;
  for (let depth = 0; depth < 8 && typeof cause === "object" && cause !== null; depth += 1) {
    if ("code" in cause && typeof cause.code === "string") {
      const code = /^(?:SQLITE_[A-Z]+|ENOSPC$|EIO$)/.exec(cause.code)?.[0];
      if (code !== undefined) return code;
    }
    cause = "cause" in cause ? cause.cause : undefined;
  }
  return /SQLITE_[A-Z]+|ENOSPC/.exec(String(error))?.[0] ?? "";
}

function innermostMessage(error: unknown): string {
  let message = String(error);
  let cause: unknown = error;
  for (let depth = 0; depth < 8 && cause instanceof Error; depth += 1) {
    message = cause.message;
    cause = cause.cause;
  }
  return message.replace(/\s+/g, " ").trim();
}

/** One sentence for the operator. `path`: the database file. */
export function journalFault(path: string, error: unknown): string {
  switch (sqliteCodeOf(error)) {
    case "SQLITE_NOTADB":
      return `${path} is not an SQLite database: unable to set WAL mode: file is not a database; ${replaceAdvice}`;
    case "SQLITE_CORRUPT":
      return `${path} is damaged (database disk image is malformed): ${replaceAdvice}`;
    case "SQLITE_FULL":
    case "ENOSPC":
      return `no space left on the disk of ${path}: free some space, then start the node again`;
    case "SQLITE_READONLY":
    case "SQLITE_PERM":
    case "SQLITE_AUTH":
      return `${path} cannot be written (read-only file, directory or file system): make it writable for this node`;
    case "SQLITE_CANTOPEN":
      return `${path} cannot be opened: check that the directory exists and may be read and written by this node`;
    case "SQLITE_BUSY":
    case "SQLITE_LOCKED":
      return `${path} is locked by another program for more than 10 seconds: end that program (fuser ${path})`;
    case "SQLITE_IOERR":
    case "EIO":
      return `the disk of ${path} reports an input/output error: check the disk, then restore the file from a backup or another node`;
    default:
      return `${path} cannot be used: ${innermostMessage(error)}`;
  }
}
