// What an executable says of itself: processor and the loader it asks for. Enough to know which machine a file is for.
import { closeSync, openSync, readSync } from "node:fs";

export interface Elf {
  readonly arch: "x64" | "arm64" | "other";
  /** Path of the dynamic loader, "" for a static file. */
  readonly loader: string;
}

const headBytes = 4096;
const machines: Readonly<Record<number, Elf["arch"]>> = { 62: "x64", 183: "arm64" };
const programInterpreter = 3;

/** Reads the ELF header of `file`; undefined when it is not a 64-bit little-endian ELF file. */
export function readElf(file: string): Elf | undefined {
  const head = Buffer.alloc(headBytes);
  const descriptor = openSync(file, "r");
  const length = readSync(descriptor, head, 0, headBytes, 0);
  closeSync(descriptor);
  // Magic, class 64 bit, little endian.
  if (length < 64 || head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1)
    return undefined;
  const arch = machines[head.readUInt16LE(18)] ?? "other";
  const tableOffset = Number(head.readBigUInt64LE(32));
  const entryBytes = head.readUInt16LE(54);
  const entries = head.readUInt16LE(56);
  for (let index = 0; index < entries; index += 1) {
    const entry = tableOffset + index * entryBytes;
    if (entry + 40 > length) break;
    if (head.readUInt32LE(entry) !== programInterpreter) continue;
    const offset = Number(head.readBigUInt64LE(entry + 8));
    const size = Number(head.readBigUInt64LE(entry + 32));
    if (offset + size > length) break;
    return { arch, loader: head.toString("latin1", offset, offset + size - 1) };
  }
  return { arch, loader: "" };
}
