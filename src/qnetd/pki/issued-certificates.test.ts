// When the issued certificates are read again: after every change of their directory, and only then, whatever the clock says.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IssuedCertificates } from "./issued-certificates.ts";

let directory = "";
let issued: IssuedCertificates;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "quorate-issued-"));
  issued = new IssuedCertificates({ directory, authorityPath: join(directory, "ca.crt") });
});
afterEach(() => rmSync(directory, { recursive: true }));

const now = Date.UTC(2026, 0, 1);

/** Damaged: its name alone tells of a certificate. The directory is dated so many seconds from now. */
function issue(cluster: string, seconds: number): void {
  writeFileSync(join(directory, `cluster-${cluster}.crt`), "damaged");
  const at = new Date(now + seconds * 1000);
  utimesSync(directory, at, at);
}
const names = () => issued.changed(now)?.map(({ commonName }) => commonName ?? "");

test.each([-10, 10, 1_700_000_000])("a directory dated %d s from now is read once", (seconds) => {
  issue("one", seconds);
  expect(names()).toEqual(["one"]);
  expect([names(), names()]).toEqual([undefined, undefined]);
  issue("two", seconds + 1);
  expect(names()?.toSorted()).toEqual(["one", "two"]);
  expect(names()).toBeUndefined();
});

test("one that has just changed is read again: a second change may leave the same time", () => {
  issue("one", 0);
  expect([names(), names()]).toEqual([["one"], ["one"]]);
});
