import { afterAll, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { present } from "../../assert.ts";
import { parseConf, type Conf } from "../../conf.ts";
import { cryptoWarnings, keyAdvice, readKey } from "./key-file.ts";
import type { CryptoSettings } from "./settings.ts";

const folder = mkdtempSync(`${tmpdir()}/quorate-key-`);
afterAll(() => rmSync(folder, { recursive: true }));

const key = new Uint8Array(256).fill(3);
const full: CryptoSettings = { cipher: "aes256", hash: "sha256", key };

function conf(text: string): Conf {
  const parsed = parseConf(text);
  return present(parsed.ok ? parsed.value : undefined, "the text is a configuration");
}

test("a key that is missing may be made; one that is there is never to be overwritten", async () => {
  const secure = conf("totem {\nsecauth: on\n}\n");
  const missing = readKey(secure, "/conf", `${folder}/none`);
  expect(!missing.ok && missing.reason).toContain(`head -c 256 /dev/urandom > ${folder}/none`);
  const directory = readKey(secure, "/conf", folder);
  expect(!directory.ok && directory.reason).toContain("the key could not be read: EISDIR");
  expect(!directory.ok && directory.reason).not.toContain("urandom");
  for (const code of ["EACCES", "EPERM"]) {
    const advice = keyAdvice(Object.assign(new Error("denied"), { code }), "/etc/corosync/authkey");
    expect(advice).toContain("start the node as root, or as a user who may read");
    expect(advice).not.toContain("urandom");
  }
});

test("the key, and the file that has it", async () => {
  const path = `${folder}/authkey`;
  writeFileSync(path, key);
  expect(readKey(conf("totem {\n}\n"), "/conf", path)).toMatchObject({ path: undefined });
  expect(readKey(conf("totem {\nsecauth: on\n}\n"), "/conf", path)).toEqual({
    ok: true,
    bytes: key,
    path,
  });
  expect(readKey(conf("totem {\nsecauth: on\nkey: abc\n}\n"), "/conf", path)).toMatchObject({
    path: "/conf",
  });
});

test("warnings: no crypto, no cipher, a key that others may read or write", async () => {
  const path = `${folder}/key`;
  writeFileSync(path, key);
  const warnings = async (mode: number, gid = 0): Promise<string[]> => {
    if (process.getuid?.() === 0) chownSync(path, 0, gid);
    chmodSync(path, mode);
    return cryptoWarnings(full, path, 5405);
  };
  for (const mode of [0o400, 0o600, 0o700]) expect(await warnings(mode)).toEqual([]);
  for (const mode of [0o404, 0o644, 0o602]) {
    expect((await warnings(mode))[0]).toContain(`chmod 400 ${path}, then quorate reload`);
  }
  if (process.getuid?.() === 0) {
    // Root's own group is root; any other is a matter of other users.
    expect(await warnings(0o440)).toEqual([]);
    expect(await warnings(0o440, 33)).toHaveLength(1);
  }
  const none = { cipher: "none", hash: "none", key: new Uint8Array(0) } as const;
  expect((await cryptoWarnings(none, undefined, 5406))[0]).toContain(
    "the ring runs without crypto: who can send to UDP port 5406",
  );
  expect((await cryptoWarnings({ ...full, cipher: "none" }, undefined, 5405))[0]).toContain(
    "the ring is not encrypted",
  );
});
