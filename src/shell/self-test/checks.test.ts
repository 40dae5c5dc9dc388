// The self-test holds here, and finds what is broken: each check is shown something wrong once.
import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { doctorCommand } from "../command/doctor.ts";
import { runCheck, selfChecks } from "./checks.ts";
import golden from "../../../test/golden/knet-vectors.json";
import { ed25519, qnetdInit, sealedToken, treeWrite } from "./vectors.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-self-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.each(selfChecks.map((check) => [check.name, check] as const))("%s", async (_name, check) => {
  expect(await runCheck(check, "/nonexistent")).toBeUndefined();
});

test("the vectors are those of the recordings", async () => {
  const folder = join(import.meta.dir, "../../../test/golden");
  const knet = golden.vectors.find(({ name }) => name === "aes256-sha256-data-ucast")!;
  expect([knet.wire, "plaintext" in knet && knet.plaintext]).toEqual([
    sealedToken.sealed,
    sealedToken.clear,
  ]);
  const holds = async (file: string, hex: string) =>
    (await Bun.file(join(folder, file)).text()).includes(`"hex":"${hex}"`);
  expect(await holds("qnetd-ffsplit2-connect.jsonl", qnetdInit)).toBe(true);
  expect(await holds("pmxcfs-operations.jsonl", treeWrite)).toBe(true);
  expect(ed25519.key.length).toBe(64);
});

test("a real database is opened as a copy, a damaged one is found, neither is touched", async () => {
  const check = selfChecks.find(({ name }) => name === "copy of the database")!;
  const folder = join(directory, "var/lib/pve-cluster");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "config.db");
  copyFileSync(join(import.meta.dir, "../../../test/golden/config.db"), file);
  expect(await runCheck(check, directory)).toBeUndefined();
  expect(readdirSync(folder)).toEqual(["config.db"]);
  const bytes = new Uint8Array(await Bun.file(file).arrayBuffer());
  writeFileSync(file, bytes.subarray(0, 20_000));
  expect(await runCheck(check, directory)).toContain("damaged");
  expect((await Bun.file(file).arrayBuffer()).byteLength).toBe(20_000);
});

test("the exit code tells; a role's own conditions only when asked", async () => {
  const lines: string[] = [];
  const ask = (role: "node" | "qnetd", json: boolean) =>
    doctorCommand({ root: directory, role, json, write: (text) => void lines.push(text) });
  expect(await ask("qnetd", false)).toBe(0);
  expect(lines.join("")).not.toContain("database");
  lines.length = 0;
  // The database below this root is damaged (above).
  expect(await ask("node", true)).toBe(1);
  const { ok, checks } = JSON.parse(lines.join(""));
  expect(ok).toBe(false);
  expect(
    checks.filter((one: { ok: boolean }) => !one.ok).map((one: { name: string }) => one.name),
  ).toEqual(["copy of the database"]);
});
