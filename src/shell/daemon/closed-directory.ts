// Why a service cannot reach its files although they are where they should be: a directory above them that its user may not enter.
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";

/** A sentence with its remedy about the outermost directory above `path` that is closed to this process; undefined: there is none. */
export function closedAbove(path: string): string | undefined {
  const parent = dirname(path);
  if (parent === path) return undefined;
  const above = closedAbove(parent);
  if (above !== undefined) return above;
  try {
    accessSync(parent, constants.X_OK);
    return undefined;
  } catch (error) {
    if (!isErrno(error, "EACCES")) return undefined;
  }
  const { mode, uid, gid } = statSync(parent);
  const bits = (mode & 0o7777).toString(8).padStart(4, "0");
  return `User ${process.geteuid?.() ?? "?"} may not enter ${parent} (mode ${bits}, owner ${uid}:${gid}): run "chmod o+x ${parent}" as root, and start the service again`;
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
