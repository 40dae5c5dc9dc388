// What a daemon needed only to start, given back: garbage, and the runtime's code, which is most of its resident memory. Code pages are
// the file's own: the kernel would take them back under pressure anyhow, and brings them again when they are used. It must touch no
// mapping that can be written, or holds a page that was (a relocation, a breakpoint): its bytes are in no file.
import { readFileSync } from "node:fs";
import { discardCodePages, errnoName } from "../../libc.ts";

export interface Mapping {
  readonly address: number;
  readonly bytes: number;
}

/** Call once when the daemon serves. Undefined, or why the memory stays as it is, which harms nothing. */
export function releaseStartupMemory(): string | undefined {
  Bun.gc(true);
  let smaps = "";
  try {
    smaps = readFileSync("/proc/self/smaps", "latin1");
  } catch (error) {
    return `/proc/self/smaps cannot be read: ${String(error)}`;
  }
  for (const { address, bytes } of codeMappings(smaps)) {
    const errno = discardCodePages(address, bytes);
    if (errno !== 0) return `madvise: ${errnoName(errno)}`;
  }
  return undefined;
}

/** Mappings of files that may be executed and not written, and of which no page is a copy, out of the text of /proc/PID/smaps (proc(5)). */
export function codeMappings(smaps: string): readonly Mapping[] {
  const found: Mapping[] = [];
  for (const part of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) r-xp [0-9a-f]+ \S+ \d+ +\/.*$/m.exec(part);
    if (head === null || !/^Anonymous: +0 kB$/m.test(part)) continue;
    const [, from = "", to = ""] = head;
    const [address, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
    if (end <= Number.MAX_SAFE_INTEGER) found.push({ address, bytes: end - address });
  }
  return found;
}
