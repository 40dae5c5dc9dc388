// `corosync-keygen`: options, texts and exit codes of the original's 3.1.7. The key is written as a whole and durably, where the original
// writes in place.
import { closeSync, openSync, readSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { replaceDurably } from "../../durable-file.ts";
import { getoptLong } from "./getopt.ts";
import { exits, wholeNumber } from "./node-tool.ts";

const name = "corosync-keygen";
const keyBytesMin = 128;
const keyBytesMax = 4096;
const keyBytesDefault = 256;
const exitNotWritten = 2;

const usage = `Usage: ${name} [-k <keyfile>] [-s size] [-m <randomfile>] [-l] [-h]
     -k / --key-file=<filename> -  Write to the specified keyfile
            instead of the default /etc/corosync/authkey.
     -r / --random-file -  Random number source file. Default is 
            /dev/urandom. As an example /dev/random may be requested
            (that may require user input for entropy).
     -l / --less-secure - Not used, option is kept only
            for compatibility.
     -s / --size -  Length of key.
     -h / --help -  Print basic usage.

`;

export interface KeygenOptions {
  readonly args: readonly string[];
  /** Where the key goes unless -k says otherwise. */
  readonly keyFile: string;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** Runs one call; answers the exit code. */
export function keygen({ args, keyFile, write, writeError }: KeygenOptions): number {
  let path = keyFile;
  let source = "/dev/urandom";
  let bytes: number | undefined = keyBytesDefault;
  const long = { "key-file": "k:", "random-file": "r:", "less-secure": "l", size: "s:", help: "h" };
  for (const option of getoptLong(args, "k:r:ls:h", long)) {
    if (typeof option === "string") {
      writeError(`${name}: ${option}\n`);
      write("Error parsing command line options.\n");
      return exits.failure;
    }
    const { letter, value } = option;
    if (letter === "h") {
      write(usage);
      return exits.success;
    }
    if (letter === "k") path = value;
    else if (letter === "r") source = value;
    else if (letter === "s") {
      bytes = wholeNumber(value, keyBytesMin, keyBytesMax);
      if (bytes !== undefined) continue;
      const range = `<${keyBytesMin},${keyBytesMax}>`;
      writeError(`${name}: Unsupported key size (supported ${range})\n\n`);
      return exits.failure;
    }
  }
  write("Corosync Cluster Engine Authentication key generator.\n");
  write(`Gathering ${bytes * 8} bits for key from ${source}.\n`);
  const key = gather(source, bytes);
  if (typeof key === "string") {
    writeError(`${name}: ${key}\n`);
    return exits.failure;
  }
  try {
    writeKey(path, key);
  } catch (error) {
    writeError(`${name}: Could not create ${path}: ${errnoText(error)}\n`);
    return exitNotWritten;
  }
  write(`Writing corosync key to ${path}.\n`);
  return exits.success;
}

/** The bytes, or why there are none. A source that ends, for which the original waits for ever, is refused. */
function gather(source: string, bytes: number): Uint8Array | string {
  let fd: number;
  try {
    fd = openSync(source, "r");
  } catch (error) {
    return `Failed to open random source: ${errnoText(error)}`;
  }
  try {
    const key = new Uint8Array(bytes);
    for (let at = 0; at < bytes;) {
      const read = readSync(fd, key, at, bytes - at, null);
      if (read === 0) return `Could not read ${source}: it ends after ${at} of ${bytes} bytes`;
      at += read;
    }
    return key;
  } catch (error) {
    return `Could not read ${source}: ${errnoText(error)}`;
  } finally {
    closeSync(fd);
  }
}

/** Where a name leads to is replaced, not the name; what is no file (a pipe, /dev/stdout) is written into. */
function writeKey(path: string, key: Uint8Array): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) replaceDurably(path, key, 0o400);
  else if (found.isFile()) replaceDurably(realpathSync(path), key, 0o400);
  else writeFileSync(path, key);
}

/** The C library's words for what may happen to a file. */
function errnoText(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const texts: Readonly<Record<string, string>> = {
    EACCES: "Permission denied",
    EISDIR: "Is a directory",
    ELOOP: "Too many levels of symbolic links",
    ENAMETOOLONG: "File name too long",
    ENOENT: "No such file or directory",
    ENOSPC: "No space left on device",
    ENOTDIR: "Not a directory",
    EPERM: "Operation not permitted",
    EROFS: "Read-only file system",
  };
  const words = texts[code] ?? code;
  return words === "" ? String(error) : words;
}
