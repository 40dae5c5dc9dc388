// Texts that were begun: kept for whoever began them, and for nobody else.
import { expect, test } from "bun:test";
import { Drafts } from "./drafts.ts";

const read = {
  ...{ path: "f", size: 1, mtime: 1, version: 1, content: "a" },
  encoding: "text" as const,
};

test("a draft is found again by who has made it, until it is dropped", () => {
  const drafts = new Drafts();
  expect(drafts.of("root@pam", "f")).toBeUndefined();
  drafts.keep("root@pam", "f", { read, text: "b" });
  expect(drafts.of("root@pam", "f")?.text).toBe("b");
  expect(drafts.of("other@pve", "f")).toBeUndefined();
  drafts.keep("other@pve", "g", { read, text: "c" });
  expect(drafts.of("root@pam", "f")).toBeUndefined();
  drafts.drop("g");
  expect(drafts.of("other@pve", "g")).toBeUndefined();
});

test("no more than eight: the oldest goes", () => {
  const drafts = new Drafts();
  for (let n = 0; n < 9; n += 1) drafts.keep("u", `f${n}`, { read, text: String(n) });
  expect(drafts.of("u", "f0")).toBeUndefined();
  expect(drafts.of("u", "f8")?.text).toBe("8");
});
