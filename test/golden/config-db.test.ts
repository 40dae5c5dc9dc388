// A database that the original pmxcfs wrote, opened as it is and listed through `Files`: names, modes, sizes, times and content
// must be what the original's mount showed (config.db.expected.tsv). And it must go back: unharmed, readable by SQLite.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { textOfByteString } from "../../src/bytes.ts";
import { ConfigurationTree } from "../../src/fs/fs.ts";

const startTime = 1_800_000_000;
let directory = "";
let tree: ConfigurationTree;

async function open(): Promise<ConfigurationTree> {
  const opened = await ConfigurationTree.open({
    directory,
    nodeid: 1,
    nodeName: "pve1",
    pid: 1,
    groups: undefined,
    cluster: undefined,
    corosyncConfPath: join(directory, "corosync.conf"),
    durability: "full",
    wallS: () => startTime,
    log: () => undefined,
    onFatal: (reason) => {
      throw new Error(reason);
    },
    onCorosyncConf: () => undefined,
  });
  if (!opened.ok) throw new Error(opened.reason);
  return opened.value;
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "quorate-config-db-"));
  cpSync(join(import.meta.dir, "config.db"), join(directory, "config.db"));
  tree = await open();
});

afterAll(async () => {
  await tree.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Lines like those of the table: name, type, mode, owner, size, time, SHA-256 or link target. */
function listing(path: string): string[] {
  const listed = tree.list(path);
  if (!listed.ok) throw new Error(listed.reason);
  return listed.value.flatMap(({ name, stat }) => {
    const full = path === "" ? name : `${path}/${name}`;
    // The table leaves out the generated files: they belong to a running daemon.
    if (stat.generated && stat.type === "file") return [];
    const mode = stat.mode.toString(8);
    const head = [
      textOfByteString(full),
      { directory: "d", file: "f", symlink: "l" }[stat.type],
      mode,
      "root:www-data",
    ];
    if (stat.type === "symlink") {
      const target = tree.readlink(full);
      return [[...head, "-", "-", target.ok ? target.value : target.errno].join("\t")];
    }
    const time = `${stat.mtime}.0000000000`;
    if (stat.type === "directory")
      return [[...head, stat.size, time, "-"].join("\t"), ...listing(full)];
    const read = tree.read(full);
    const hash = new Bun.CryptoHasher("sha256").update(read.ok ? read.value : "").digest("hex");
    return [[...head, stat.size, time, hash].join("\t")];
  });
}

test("every object is as the original shows it", () => {
  const expected = readFileSync(join(import.meta.dir, "config.db.expected.tsv"), "utf8")
    .trim()
    .split("\n");
  expect(expected.length).toBe(234);
  expect(listing("").sort()).toEqual(expected.sort());
});

test("it goes back: after a change and a stop the file is one plain database that holds everything", async () => {
  const before = tree.status();
  expect(before).toMatchObject({ mode: "local", version: 445, entries: 231 });
  expect((await tree.create("written-by-quorate")).ok).toBe(true);
  expect((await tree.remove("written-by-quorate")).ok).toBe(true);
  await tree.stop();
  expect(readdirSync(directory).sort()).toEqual([".pmxcfs.lockfile", "config.db"]);
  const database = new Database(join(directory, "config.db"), { readonly: true });
  const golden = new Database(join(import.meta.dir, "config.db"), { readonly: true });
  const schema = "SELECT sql FROM sqlite_master";
  expect(database.query(schema).all()).toEqual(golden.query(schema).all());
  const rows =
    "SELECT inode, parent, version, writer, mtime, type, hex(name), hex(data), typeof(data) FROM tree WHERE inode > 0 ORDER BY inode";
  expect(database.query(rows).all()).toEqual(golden.query(rows).all());
  expect(database.query("SELECT version, writer, mtime FROM tree WHERE inode = 0").all()).toEqual([
    { version: 447, writer: 0, mtime: startTime },
  ]);
  database.close();
  golden.close();
  tree = await open();
  expect(tree.status()).toMatchObject({ version: 447, entries: 231 });
});
