// A standalone node's files become a member's and back, ended at every single change of the disk.
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Database } from "bun:sqlite";
import { ConfigurationTree } from "../../fs/fs.ts";
import { type NodePaths, nodePaths } from "../paths.ts";
import { Changeover } from "./changeover.ts";

const identity = {
  conf: "totem {\n  config_version: 7\n}\n",
  key: new Uint8Array(256).fill(200),
  nodeid: 3,
  stamp: 1_772_967_600,
};

class Killed extends Error {}

async function inDirectory<T>(work: (paths: NodePaths) => Promise<T>): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), "quorate-changeover-"));
  try {
    return await work(nodePaths(root));
  } finally {
    rmSync(root, { recursive: true });
  }
}

async function localTree(paths: NodePaths, file: string): Promise<void> {
  mkdirSync(paths.treeDir, { recursive: true });
  const opened = await ConfigurationTree.open({
    directory: paths.treeDir,
    ...{ nodeid: 0, nodeName: "pve3", pid: 1, groups: undefined, cluster: undefined },
    corosyncConfPath: paths.conf,
    durability: "normal",
    wallS: () => 1000,
    log: () => undefined,
    onFatal: () => undefined,
    onCorosyncConf: () => undefined,
  });
  if (!opened.ok) throw new Error(opened.reason);
  await opened.value.create(file);
  await opened.value.write(file, 0, new TextEncoder().encode("it's mine\n"));
  await opened.value.stop();
}

/** Everything below the root but what only remembers. */
function contents({ root, operationDir }: NodePaths): Record<string, string> {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted();
  return Object.fromEntries(
    names
      .map((name) => join(root, name))
      .filter((path) => statSync(path).isFile() && !path.startsWith(operationDir))
      .filter((path) => !path.includes("/backup/") && !path.endsWith("lockfile"))
      .map((path) => [path.slice(root.length), readFileSync(path).toString("base64")]),
  );
}

/** Applies until it is done; `endAt`: the process ends before that change of the disk, counted over all of `work`. */
async function endedAt(
  paths: NodePaths,
  endAt: number,
  work: (changeover: Changeover) => Promise<void>,
) {
  let changes = 0;
  const before = () => {
    changes += 1;
    if (changes === endAt) throw new Killed();
  };
  try {
    await work(new Changeover(paths, () => undefined, before));
    return false;
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return true;
  }
}

const again = (paths: NodePaths) => new Changeover(paths, () => undefined);

describe("a standalone node becomes a member", () => {
  test("with key and corosync.conf of the cluster, and its old tree as a dump that sqlite reads", () =>
    inDirectory(async (paths) => {
      await localTree(paths, "own.txt");
      const said: string[] = [];
      const changeover = new Changeover(paths, (text) => said.push(text));
      changeover.order(identity);
      expect(changeover.state).toEqual({ kind: "ordered" });
      expect(await changeover.apply()).toEqual({ kind: "onTrial" });
      expect(readFileSync(paths.conf, "latin1")).toBe(identity.conf);
      expect(new Uint8Array(readFileSync(paths.authkey))).toEqual(identity.key);
      expect(statSync(paths.authkey).mode & 0o777).toBe(0o400);
      expect(existsSync(join(paths.treeDir, "config.db"))).toBe(false);
      const dump = `${paths.treeDir}/backup/config-1772967600.sql.gz`;
      expect(said).toEqual([`backup old database to '${dump}'`]);
      expect(changeover.backup).toBe(dump);
      expect(statSync(dirname(dump)).mode & 0o777).toBe(0o700);
      changeover.settle();
      expect(changeover.state).toEqual({ kind: "none" });
      expect(readdirSync(paths.treeDir).filter((name) => name.includes(".bak"))).toEqual([]);
      using restored = new Database(":memory:");
      restored.run(gunzipSync(readFileSync(dump)).toString("latin1"));
      expect(
        restored.query("SELECT name, CAST(data AS TEXT) AS text FROM tree WHERE inode > 0").all(),
      ).toEqual([{ name: "own.txt", text: "it's mine\n" }]);
    }));

  test(
    "killed before any change of the disk, it becomes one at the next start; called back, it is as before to the byte",
    () =>
      inDirectory(async (model) => {
        await localTree(model, "own.txt");
        for (let endAt = 1; ; endAt += 1) {
          const wasKilled = await inDirectory(async (paths) => {
            await Bun.$`cp -a ${model.root}/. ${paths.root}`.quiet();
            mkdirSync(dirname(paths.authkey), { recursive: true });
            // Left over from another cluster (--force).
            writeFileSync(paths.authkey, "old key");
            const before = contents(paths);
            const isKilled = await endedAt(paths, endAt, async (changeover) => {
              changeover.order(identity);
              await changeover.apply();
            });
            const next = again(paths);
            if (next.state.kind === "none") {
              expect(contents(paths)).toEqual(before);
              return isKilled;
            }
            expect(await next.apply()).toEqual({ kind: "onTrial" });
            const after = contents(paths);
            expect(
              Buffer.from(after["/etc/corosync/corosync.conf"] ?? "", "base64").toString(),
            ).toBe(identity.conf);
            expect(Buffer.from(after["/etc/corosync/authkey"] ?? "", "base64").length).toBe(256);
            expect(after["/var/lib/pve-cluster/config.db.1772967600.bak"]).toBe(
              before["/var/lib/pve-cluster/config.db"] ?? "none",
            );
            expect(existsSync(join(paths.treeDir, "config.db"))).toBe(false);
            next.orderBack("never mind");
            expect(await again(paths).apply()).toEqual({
              kind: "back",
              reason: "never mind",
              isDone: true,
            });
            expect(contents(paths)).toEqual(before);
            return isKilled;
          });
          if (endAt > 50) throw new Error("it never ends");
          if (!wasKilled) break;
        }
      }),
    60_000,
  );

  test(
    "called back in the middle, and killed on the way back, it is as before to the byte",
    () =>
      inDirectory(async (model) => {
        await localTree(model, "own.txt");
        for (const reached of [2, 4, 6, 99]) {
          for (let endAt = 1; ; endAt += 1) {
            const wasKilled = await inDirectory(async (paths) => {
              await Bun.$`cp -a ${model.root}/. ${paths.root}`.quiet();
              const before = contents(paths);
              await endedAt(paths, reached, async (changeover) => {
                changeover.order(identity);
                await changeover.apply();
                // As a member it has made its own.
                writeFileSync(join(paths.treeDir, "config.db"), "the cluster's");
                writeFileSync(join(paths.treeDir, "config.db-wal"), "log");
                mkdirSync(paths.stateDir, { recursive: true });
                writeFileSync(join(paths.stateDir, "ringid_3"), "ring");
              });
              const isKilled = await endedAt(paths, endAt, async (changeover) => {
                changeover.orderBack("given up");
                await changeover.apply();
              });
              const next = again(paths);
              next.orderBack("given up");
              expect(await next.apply()).toEqual({
                kind: "back",
                reason: "given up",
                isDone: true,
              });
              expect(contents(paths)).toEqual(before);
              next.settle();
              expect(next.state).toEqual({ kind: "none" });
              expect(contents(paths)).toEqual(before);
              return isKilled;
            });
            if (endAt > 50) throw new Error("it never ends");
            if (!wasKilled) break;
          }
        }
      }),
    60_000,
  );

  test("is standalone again after five starts that came to nothing", () =>
    inDirectory(async (paths) => {
      await localTree(paths, "own.txt");
      const before = contents(paths);
      again(paths).order(identity);
      for (let start = 1; start <= 5; start += 1) {
        expect(await again(paths).apply()).toEqual({ kind: "onTrial" });
      }
      expect(await again(paths).apply()).toMatchObject({ kind: "back", isDone: true });
      expect(contents(paths)).toEqual(before);
    }));

  test("keeps a database that cannot be dumped as it is", () =>
    inDirectory(async (paths) => {
      mkdirSync(paths.treeDir, { recursive: true });
      writeFileSync(join(paths.treeDir, "config.db"), "no database");
      const said: string[] = [];
      const changeover = new Changeover(paths, (text) => said.push(text));
      changeover.order(identity);
      expect(await changeover.apply()).toEqual({ kind: "onTrial" });
      expect(said[0]).toStartWith("failed to create backup of pre-join config database - ");
      const kept = join(paths.treeDir, "config.db.1772967600.bak");
      expect(changeover.backup).toBe(kept);
      changeover.settle();
      expect(readFileSync(kept, "utf8")).toBe("no database");
    }));

  test("keeps the ten newest backups", () =>
    inDirectory(async (paths) => {
      const directory = join(paths.treeDir, "backup");
      mkdirSync(directory, { recursive: true });
      for (let at = 1; at <= 12; at += 1) writeFileSync(join(directory, `config-${at}.sql.gz`), "");
      await localTree(paths, "own.txt");
      const changeover = again(paths);
      changeover.order(identity);
      await changeover.apply();
      changeover.settle();
      expect(readdirSync(directory).length).toBe(10);
      expect(existsSync(join(directory, "config-3.sql.gz"))).toBe(false);
    }));

  test("with a damaged record does not start at all", () =>
    inDirectory(async (paths) => {
      mkdirSync(paths.operationDir, { recursive: true });
      writeFileSync(join(paths.operationDir, "changeover.json"), "{}");
      expect(() => again(paths).state).toThrow(/changeover.json is damaged: .* or remove it once/);
    }));
});
