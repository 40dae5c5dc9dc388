import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { ringSeqProblem } from "../ring/sequence.ts";
import { readRingSeq, ringFile, writeRingSeq } from "./ring-file.ts";

function inFolder(body: (path: string) => void): void {
  const folder = mkdtempSync(`${tmpdir()}/quorate-ring-`);
  try {
    const path = ringFile(`${folder}/corosync`, 3);
    expect(path).toEndWith("/ringid_3");
    body(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("eight little-endian bytes; a missing file counts as 0", () => {
  inFolder((path) => {
    expect(readRingSeq(path)).toEqual({ value: 0, damage: "" });
    writeRingSeq(path, 0x1_0000_0012);
    expect([...readFileSync(path)]).toEqual([0x12, 0, 0, 0, 1, 0, 0, 0]);
    expect(readRingSeq(path)).toEqual({ value: 0x1_0000_0012, damage: "" });
  });
});

test("a stored number is believed exactly when a join with it is", () => {
  inFolder((path) => {
    const head = { kind: "join", nodeid: 3, target: 0, from: 3, proc: [3], failed: [] } as const;
    for (let seq = 2 ** 42 - 10; seq <= 2 ** 42 + 10; seq += 1) {
      writeRingSeq(path, seq);
      const isFollowed = ringSeqProblem({ ...head, ringSeq: seq }) === undefined;
      expect(isFollowed).toBe(seq <= 2 ** 42 - 4);
      expect(readRingSeq(path).value).toBe(isFollowed ? seq : 0);
    }
  });
});

test("a short file, and a number that no ring can have reached, count as 0 and say so", () => {
  inFolder((path) => {
    for (const text of ["", "abc"]) {
      writeFileSync(path, text);
      const { value, damage } = readRingSeq(path);
      expect(value).toBe(0);
      expect(damage).toContain(`ringid_3: the stored ring sequence has ${text.length} bytes`);
    }
    for (const seq of [2n ** 42n + 4n, 2n ** 52n, 2n ** 63n + 1n]) {
      writeFileSync(path, new BigUint64Array([seq]));
      const { value, damage } = readRingSeq(path);
      expect(value).toBe(0);
      expect(damage).toContain(`stored ring sequence 0x${seq.toString(16).padStart(16, "0")}`);
    }
  });
});
