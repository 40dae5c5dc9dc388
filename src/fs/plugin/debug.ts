// `.debug`: the only generated file that can be written; switches debug lines of the log. Spec: pmxcfs.md §2.3, §3.4.

export function debugText(enabled: boolean): string {
  return enabled ? "1\n" : "0\n";
}

/** The new state, or undefined when the write must be refused: only `0\n` or `1\n` at offset 0 count. */
export function debugOfWrite(offset: number, data: Uint8Array): boolean | undefined {
  if (offset !== 0 || data.length !== 2 || data[1] !== 0x0a) return undefined;
  switch (data[0]) {
    case 0x30:
      return false;
    case 0x31:
      return true;
    default:
      return undefined;
  }
}
