// Whether a corosync.conf that the tree has written here is in force without this node's doing.
import { expect, test } from "bun:test";
import { isOvertaken } from "./ring.ts";

const of = (configVersion: number) => ({ configVersion });

test("a file that the tree has written is read here when no reload since has read it", () => {
  const before = of(12);
  expect(isOvertaken(13, before, before)).toBe(true);
  expect(isOvertaken(13, before, of(13))).toBe(false);
  expect(isOvertaken(13, before, of(14))).toBe(false);
  // The reload of the version before was under way when the file was written.
  expect(isOvertaken(13, before, of(12))).toBe(true);
  // Two parts have written one version; an old file is nobody's wish.
  const same = of(13);
  expect(isOvertaken(13, same, same)).toBe(true);
  expect(isOvertaken(13, same, of(13))).toBe(false);
  expect(isOvertaken(12, same, same)).toBe(false);
});
