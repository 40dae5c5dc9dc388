// How the vote server's programs are run in a laboratory: quorate's from source, from a built file, or from a file built for another
// processor under emulation; or Debian's. Each is called by its link name, as an operator or pvecm calls it.
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export type Link = "corosync-qnetd" | "corosync-qnetd-tool" | "corosync-qnetd-certutil";
const links: readonly Link[] = ["corosync-qnetd", "corosync-qnetd-tool", "corosync-qnetd-certutil"];

/** Which program stands in for the server's side: quorate's, or Debian's. */
export type Whose = "ours" | "original";

export interface ServerProgram {
  /** For the lines of a run. */
  readonly what: string;
  /** True when each call takes a second and more. */
  readonly isSlow: boolean;
  /** The words that run a link; its arguments follow. */
  words(link: Link): readonly string[];
  /** Removes what was made for it. */
  close(): void;
}

/** What Debian installed. */
export const originalProgram: ServerProgram = {
  what: "Debian's",
  isSlow: false,
  words: (link) => [link],
  close: () => undefined,
};

/** The sources under this Bun. */
export function sourceProgram(): ServerProgram {
  const start = [process.execPath, join(import.meta.dir, "program.ts")];
  return {
    what: "source",
    isSlow: false,
    words: (link) => [...start, link],
    close: () => undefined,
  };
}

/** A built file through links to it; throws a sentence when there is none. */
export function binaryProgram(file: string): ServerProgram {
  const target = existing(file);
  const directory = mkdtempSync(join(tmpdir(), "quorate-links-"));
  for (const link of links) symlinkSync(target, join(directory, link));
  return {
    what: file,
    isSlow: false,
    words: (link) => [join(directory, link)],
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A file for another processor under qemu's user-mode emulation; `libraries`: the directory whose lib/ has that processor's libc. */
export function emulatedProgram(file: string, emulator: string, libraries: string): ServerProgram {
  const target = existing(file);
  return {
    what: `${file} under emulation`,
    isSlow: true,
    words: (link) => [emulator, "-0", link, "-L", libraries, target],
    close: () => undefined,
  };
}

function existing(file: string): string {
  if (existsSync(file)) return resolve(file);
  throw new Error(`there is no file ${file}; build it first or leave --binary out`);
}
