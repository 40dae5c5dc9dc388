import { afterAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { linkNames } from "../tool/link-names.ts";
import { InstallRecord, installPlaces, missingDirectories, readInstalled } from "./record.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-record-"));
afterAll(() => rmSync(base, { recursive: true }));

describe("what is written down", () => {
  test("is read by kind, parents first, each once", () => {
    const text = [
      "/usr/local/share/man/man8/",
      "/usr/local/share/man/",
      "/usr/local/bin/quorate",
      "/usr/local/bin/pvecm",
      "/usr/local/bin/quorate",
      "/etc/systemd/system/quorate-rescue@.service",
      "/usr/local/share/zsh/site-functions/_quorate",
      "user:coroqnetd",
      "service:systemd:quorate-qnetd",
      "",
    ].join("\n");
    expect(readInstalled(text)).toEqual({
      directories: ["/usr/local/share/man", "/usr/local/share/man/man8"],
      files: [
        "/usr/local/bin/quorate",
        "/usr/local/bin/pvecm",
        "/etc/systemd/system/quorate-rescue@.service",
        "/usr/local/share/zsh/site-functions/_quorate",
      ],
      users: ["coroqnetd"],
      services: [{ manager: "systemd", role: "qnetd" }],
      foreign: [],
    });
  });

  test.each([
    "/etc/passwd",
    "/usr/local/bin/../../etc/quorate",
    "/home/./quorate",
    "//quorate",
    "quorate",
    "/",
    "/quoratex",
    "/etc/quorate passwd",
    "user:root",
    "service:systemd:sshd",
    "service:init:quorate-qnetd",
    "service:systemd:quorate-rescue",
  ])("never names what is not ours: %s", (line) => {
    expect(readInstalled(`${line}\n`)).toEqual({
      ...{ files: [], directories: [], users: [], services: [] },
      foreign: [line],
    });
  });

  test("whatever is in it, only files with our names are files, and no path leads up", () => {
    const piece = fc.constantFrom(
      "/",
      "..",
      ".",
      "quorate",
      "etc",
      "pvecm",
      "-x",
      "\n",
      "user:",
      "service:rc:",
      " ",
      "\0",
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece).map((pieces) => pieces.join("")),
    );
    fc.assert(
      fc.property(text, (content) => {
        const { files, directories, users } = readInstalled(content);
        for (const file of files) {
          expect(
            /^_?quorate(?![a-z])/.test(basename(file)) || linkNames.includes(basename(file)),
          ).toBe(true);
        }
        for (const path of [...files, ...directories]) {
          expect(path.split("/").slice(1)).not.toContain("..");
          expect(path).toStartWith("/");
        }
        expect(users.filter((user) => user !== "coroqnetd")).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  test("is kept over runs, each line once, with the directories that its own place needed", () => {
    const state = join(base, "a/b/var/lib/quorate");
    const places = { base: "", state, record: join(state, "installed") };
    new InstallRecord(places).add("/bin/quorate");
    const second = new InstallRecord(places);
    expect(second.has("/bin/quorate")).toBe(true);
    second.add("/bin/quorate", "user:coroqnetd");
    expect(readFileSync(places.record, "utf8").split("\n")).toEqual([
      ...["a", "a/b", "a/b/var", "a/b/var/lib"].map((path) => `${join(base, path)}/`),
      "/bin/quorate",
      "user:coroqnetd",
      "",
    ]);
  });

  test("without root lies below the home directory", () => {
    expect(installPlaces(true, "/root").record).toBe("/var/lib/quorate/installed");
    expect(installPlaces(false, "/home/ann")).toEqual({
      base: "/home/ann/.local/share/quorate",
      state: "/home/ann/.local/share/quorate/var/lib/quorate",
      record: "/home/ann/.local/share/quorate/var/lib/quorate/installed",
    });
  });
});

test("missing directories are named outermost first", () => {
  mkdirSync(join(base, "there"));
  expect(missingDirectories(join(base, "there"))).toEqual([]);
  expect(missingDirectories(join(base, "there/x/y"))).toEqual([
    join(base, "there/x"),
    join(base, "there/x/y"),
  ]);
});
