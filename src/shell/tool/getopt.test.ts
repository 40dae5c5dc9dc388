// Long options beside single letters, as the C library's getopt_long reads them.
import { expect, test } from "bun:test";
import { getoptLong } from "./getopt.ts";

const long = { force: "f", "key-file": "k:", "key-size": "s:" };
const read = (...args: string[]) => [...getoptLong(args, "abk:s:", long)];

test("letters, joined values, words between, and the end of options", () => {
  expect(read("-ab", "x", "-kfile", "-k", "-a", "--", "-b")).toEqual([
    { letter: "a", value: "" },
    { letter: "b", value: "" },
    { letter: "k", value: "file" },
    { letter: "k", value: "-a" },
  ]);
  expect(read("-ak", "--force", "-b")).toEqual([
    { letter: "a", value: "" },
    { letter: "k", value: "--force" },
    { letter: "b", value: "" },
  ]);
});

test("long options, shortened, with their values behind = or in the next word", () => {
  expect(
    read("--force", "--fo", "--key-file=a=b", "--key-f", "c", "--key-size", "--force"),
  ).toEqual([
    { letter: "f", value: "" },
    { letter: "f", value: "" },
    { letter: "k", value: "a=b" },
    { letter: "k", value: "c" },
    { letter: "s", value: "--force" },
  ]);
});

test("what getopt_long complains of", () => {
  expect(read("-Z", "-k")).toEqual(["invalid option -- 'Z'", "option requires an argument -- 'k'"]);
  expect(read("--no", "--force=1", "--key=1", "--key-file")).toEqual([
    "unrecognized option '--no'",
    "option '--force' doesn't allow an argument",
    "option '--key' is ambiguous; possibilities: '--key-file' '--key-size'",
    "option '--key-file' requires an argument",
  ]);
});
