// A process for journal.test.ts to kill: commits one file after the other and says so when each is durable.
import { decoded } from "../../src/bytes.ts";
import { Journal } from "../../src/fs/disk/journal.ts";
import { Tree } from "../../src/fs/tree/tree.ts";
import type { Sha256 } from "../../src/world.ts";

const sha256: Sha256 = (pieces) => {
  const hash = new Bun.CryptoHasher("sha256");
  for (const piece of pieces) hash.update(piece);
  return new Uint8Array(hash.digest());
};

const directory = process.argv[2] ?? "";
const opened = await Journal.open({ directory, durability: "full" }, (rows) => decoded(rows));
if (!opened.ok) throw new Error(opened.reason);
const { journal } = opened.value;
const tree = Tree.fresh(1, { sha256 });
await journal.commit([{ stored: [tree.root], deleted: [] }]);
for (let i = 0; ; i += 1) {
  const made = tree.apply({ kind: "create", path: `f${i}` }, 1, i);
  if (!made.ok) throw new Error(made.errno);
  const stored = await journal.commit([made.change]);
  if (!stored.ok) throw new Error(stored.reason);
  process.stdout.write(`${i}\n`);
}
