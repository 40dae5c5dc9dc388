import { expect, test } from "bun:test";
import { ownDirectory } from "./own-directory.ts";

test("the own directory follows the host name up to its first dot, whatever the nodelist says", () => {
  for (const nodeName of ["oldname2", "pve2.example.org", "10.0.0.2", "PVE2"]) {
    const own = ownDirectory("pve2.example.org", nodeName, false);
    expect(own.name).toBe("pve2");
    expect(own.remark).toContain(`nodes/pve2 after the host name`);
    expect(own.remark).toContain(nodeName);
  }
  expect(ownDirectory("PVE2", "pve2", false).name).toBe("PVE2");
});

test("--name overrides the host name, and says so", () => {
  const own = ownDirectory("machine.example.org", "pve2", true);
  expect(own.name).toBe("pve2");
  expect(own.remark).toContain("nodes/pve2 as --name says, not nodes/machine");
});

test("nothing is said where both names agree, or there is no host name", () => {
  expect(ownDirectory("pve2.example.org", "pve2", false)).toEqual({ name: "pve2", remark: "" });
  expect(ownDirectory("pve2", "pve2", true)).toEqual({ name: "pve2", remark: "" });
  expect(ownDirectory("", "pve2", false)).toEqual({ name: "pve2", remark: "" });
});
