// What paths say: splitting, guests, privacy, locks, scripts, modes. Spec: pmxcfs.md §2.4, §2.6–2.9.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  guestOfPath,
  isLockPath,
  isPrivatePath,
  isScriptPath,
  modeOf,
  splitPath,
  withoutLeadingSlashes,
} from "./rules.ts";

test("paths split at the last slash, trailing ones do not count, leading ones are stripped before", () => {
  expect(splitPath("priv/x/")).toEqual({ parent: "priv", base: "x" });
  expect(splitPath("x")).toEqual({ parent: "", base: "x" });
  expect(splitPath("")).toEqual({ parent: "", base: "" });
  expect(splitPath("///")).toEqual({ parent: "", base: "" });
  expect(splitPath("a/b/c//")).toEqual({ parent: "a/b", base: "c" });
  expect(withoutLeadingSlashes("//a/b")).toBe("a/b");
  fc.assert(
    fc.property(fc.string(), (path) => {
      const { parent, base } = splitPath(path);
      expect(base.includes("/")).toBe(false);
      const whole = withoutLeadingSlashes(path.replace(/\/+$/, ""));
      expect(withoutLeadingSlashes(`${parent}/${base}`)).toBe(whole);
    }),
  );
});

test("guests", () => {
  expect(guestOfPath("nodes/pa/qemu-server/100.conf")).toEqual({
    vmid: 100,
    node: "pa",
    type: "qemu",
  });
  expect(guestOfPath("nodes/a-1/lxc/1.conf")).toEqual({ vmid: 1, node: "a-1", type: "lxc" });
  expect(guestOfPath("nodes/A/openvz/4294967295.conf")).toEqual({
    vmid: 4_294_967_295,
    node: "A",
    type: "openvz",
  });
  for (const path of [
    "nodes/pa/qemu-server/0100.conf",
    "nodes/pa/qemu-server/0.conf",
    "nodes/pa/qemu-server/4294967296.conf",
    "nodes/pa/qemu-server/99999999999.conf",
    "nodes/pa/qemu-server/sub/100.conf",
    "nodes/pa/other/100.conf",
    "nodes/-pa/lxc/100.conf",
    "nodes/pa-/lxc/100.conf",
    "nodes/p.a/lxc/100.conf",
    "/nodes/pa/lxc/100.conf",
    "nodes/pa/lxc/100.conf/",
    "nodes/pa/lxc/100.conf\n",
    "nodes/pa/lxc/100conf",
    "qemu-server/100.conf",
  ]) {
    expect(guestOfPath(path)).toBeUndefined();
  }
});

test("private paths, scripts and locks", () => {
  for (const path of ["priv", "priv/", "priv/a/b", "nodes/x/priv", "nodes/x/priv/k"])
    expect(isPrivatePath(path)).toBe(true);
  for (const path of ["", "privy", "a/priv", "nodes/priv", "nodes/x/y/priv", "nodes/x/private"])
    expect(isPrivatePath(path)).toBe(false);
  for (const path of ["100.mount", "a/vps.premount", "0.stop", "x/100.postumount"])
    expect(isScriptPath(path)).toBe(true);
  for (const path of ["100.mounts", "a100.mount", ".mount", "vps.", "100.restart", "vps.mount/x"])
    expect(isScriptPath(path)).toBe(false);
  expect(
    ["priv/lock/L", "priv/lock/L/", "priv/lock", "priv/lock/L/x", "/priv/lock/L"].map(isLockPath),
  ).toEqual([true, true, false, false, false]);
});

test("modes of the table, with and without quorum", () => {
  const cases: readonly [string, "directory" | "file", number, number][] = [
    ["d", "directory", 0o755, 0o555],
    ["d/f", "file", 0o640, 0o440],
    ["priv", "directory", 0o700, 0o500],
    ["priv/f", "file", 0o600, 0o400],
    ["nodes/n/priv/f", "file", 0o600, 0o400],
    ["100.mount", "file", 0o740, 0o540],
    ["priv/100.mount", "file", 0o700, 0o500],
    ["100.mount", "directory", 0o755, 0o555],
  ];
  for (const [path, type, writable, readOnly] of cases) {
    expect([modeOf(path, type, true), modeOf(path, type, false)]).toEqual([writable, readOnly]);
  }
});
