import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { readRingSeq, ringFile, writeRingSeq } from "./ring-file.ts";

test("eight little-endian bytes, missing and short files count as 0", () => {
  const folder = mkdtempSync(`${tmpdir()}/quorate-ring-`);
  try {
    const path = ringFile(`${folder}/corosync`, 3);
    expect(path).toEndWith("/ringid_3");
    expect(readRingSeq(path)).toBe(0);
    writeRingSeq(path, 0x1_0000_0012);
    expect([...readFileSync(path)]).toEqual([0x12, 0, 0, 0, 1, 0, 0, 0]);
    expect(readRingSeq(path)).toBe(0x1_0000_0012);
    writeFileSync(path, "abc");
    expect(readRingSeq(path)).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
