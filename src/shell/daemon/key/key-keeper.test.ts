import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestingFiles } from "../../../../test/double/fuse-files.ts";
import { confOf, settingsOf } from "../../../../test/double/map-cluster.ts";
import {
  decodeTold,
  encodeNextKey,
  encodeTold,
  keyHash,
  nextKeyPath,
} from "../../key/key-record.ts";
import { keepKey, type KeeperParts, toldKeys } from "./key-keeper.ts";

const keyOf = (byte: number): Uint8Array => new Uint8Array(256).fill(byte);
const at = (path: string): string => readFileSync(path).toString("hex");
let folder = "";
let authkey = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-key-"));
  authkey = join(folder, "authkey");
  writeFileSync(authkey, keyOf(1), { mode: 0o400 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Node 1 of three, running with the key 1. */
function node(isSynced = true) {
  const files = new TestingFiles();
  const logged: string[] = [];
  const values = new Map<number, Uint8Array>();
  let changed: Parameters<KeeperParts["tree"]["onChanged"]>[0] = () => undefined;
  let reloaded: () => void = () => undefined;
  const settings = settingsOf(confOf(3), "n1");
  const running = { ...settings, crypto: { ...settings.crypto, key: keyOf(1) } };
  const parts: KeeperParts = {
    mode: "cluster",
    log: (level, text) => void logged.push(`${level}: ${text}`),
    options: { paths: { authkey } },
    cluster: {
      get settings() {
        return running;
      },
      onReloaded: (listener) => void (reloaded = () => listener(running)),
    },
    tree: {
      read: (path) => files.read(path),
      onChanged: (listener) => void (changed = listener),
      onMode: () => undefined,
      synced: isSynced ? [1, 2, 3] : [],
      statusStore: {
        set: (_, value) => {
          values.set(1, value);
          return { ok: true, value: undefined };
        },
        store: { get: (nodeid) => values.get(nodeid) },
      },
    },
  };
  const offer = async (text: string): Promise<void> => {
    for (const path of ["priv", "priv/quorate"]) await files.mkdir(path);
    await files.create(nextKeyPath);
    await files.write(nextKeyPath, 0, new TextEncoder().encode(text));
    changed([nextKeyPath], false);
  };
  return { parts, offer, values, logged, running, reload: () => reloaded() };
}

const later = (): number => Math.floor(Date.now() / 1000) + 60;

test("what the tree offers is on the disk, the former key beside it, and the others are told", async () => {
  const { parts, offer, values, running, reload } = node();
  keepKey(parts);
  const first = keyHash(keyOf(1));
  expect(decodeTold(values.get(1))).toEqual({ disk: first, running: first });
  await offer(encodeNextKey(keyOf(2).toBase64(), later()));
  expect(at(authkey)).toBe(keyOf(2).toHex());
  expect(at(`${authkey}.previous`)).toBe(keyOf(1).toHex());
  expect([authkey, `${authkey}.previous`].map((path) => statSync(path).mode & 0o777)).toEqual([
    0o400, 0o400,
  ]);
  const second = keyHash(keyOf(2));
  expect(decodeTold(values.get(1))).toEqual({ disk: second, running: first });
  running.crypto.key = keyOf(2);
  reload();
  expect(decodeTold(values.get(1))).toEqual({ disk: second, running: second });
  values.set(2, encodeTold({ disk: second, running: first }));
  values.set(3, new TextEncoder().encode("junk"));
  expect([...toldKeys(parts)]).toEqual([
    [1, { disk: second, running: second }],
    [2, { disk: second, running: first }],
  ]);
});

test("nothing is taken of a tree that is not the cluster's yet, after its time, or that is no key", async () => {
  const apart = node(false);
  keepKey(apart.parts);
  await apart.offer(encodeNextKey(keyOf(2).toBase64(), later()));
  for (const text of [
    "junk",
    encodeNextKey(keyOf(2).toBase64(), 1),
    encodeNextKey("AAAA", later()),
  ]) {
    const { parts, offer } = node();
    keepKey(parts);
    await offer(text);
  }
  expect(at(authkey)).toBe(keyOf(1).toHex());
});

test("a disk that takes nothing is said, and the others are not told of the new key", async () => {
  const { parts, offer, values, logged } = node();
  keepKey(parts);
  rmSync(authkey);
  chmodSync(folder, 0o500);
  await offer(encodeNextKey(keyOf(2).toBase64(), later()));
  expect(logged.at(-1)).toStartWith("error: the cluster's new key cannot be written: ");
  expect(decodeTold(values.get(1))?.disk).toBe(keyHash(keyOf(1)));
});
