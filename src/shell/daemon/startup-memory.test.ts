// Code pages given back: which mappings are meant, and that the process goes on with less.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { codeMappings, releaseStartupMemory } from "./startup-memory.ts";

test("only code out of files is meant, and none with a page of its own", () => {
  const mapping = (head: string, anonymousKilobytes = 0): string =>
    `${head}\nSize:  80 kB\nRss:  80 kB\nAnonymous:   ${anonymousKilobytes} kB\nVmFlags: rd mr\n`;
  const smaps = [
    mapping("00200000-01a39000 r--p 00000000 fe:00 5308466          /opt/quorate"),
    mapping("01a40000-0684a000 r-xp 01838000 fe:00 5308466          /opt/quorate"),
    mapping("06867000-0790e000 rw-p 0665e000 fe:00 5308466          /opt/quorate"),
    mapping("0790e000-0790f000 r-xs 0665e000 fe:00 5308466          /opt/quorate"),
    mapping("07910000-07911000 r-xp 0665e000 fe:00 5308466          /opt/patched", 4),
    mapping("56825600000-56865600000 rw-p 00000000 00:00 0"),
    mapping("7f0000000000-7f0000001000 rwxp 00000000 00:00 0"),
    mapping("7f0000001000-7f0000002000 r-xp 00000000 00:00 0       [vdso]"),
    mapping("7f0000002000-7f0000003000 r-xp 00000000 00:00 0"),
    mapping("7f4dcb170000-7f4dcb2c6000 r-xp 00026000 fe:00 33938   /usr/lib/libc.so.6 (deleted)"),
  ].join("");
  expect(codeMappings(smaps)).toEqual([
    { address: 0x1a40000, bytes: 0x4e0a000 },
    { address: 0x7f4dcb170000, bytes: 0x156000 },
  ]);
  expect(codeMappings("")).toEqual([]);
});

test("the process goes on with less of its file in memory", () => {
  const fileKilobytes = (): number =>
    Number(/^RssFile:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1]);
  const before = fileKilobytes();
  expect(releaseStartupMemory()).toBeUndefined();
  expect(fileKilobytes()).toBeLessThan(before - 5000);
  expect(JSON.parse(JSON.stringify({ works: /a+/.test("caat") }))).toEqual({ works: true });
});
