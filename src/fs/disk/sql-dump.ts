// The rows of a tree as the SQL text that `sqlite3 config.db .dump` prints, which is the form of Proxmox's backups (pvecm.md §3.4): whoever
// has sqlite3 can make the database of it again. Pure.
import { bytesOf } from "../../bytes.ts";
import { createTable, type TreeRow } from "./row.ts";

/** In pieces: a full tree is 256 MiB of text. */
export function* sqlDump(rows: Iterable<TreeRow>): Generator<Uint8Array> {
  const schema = createTable.replace("IF NOT EXISTS ", "");
  yield bytesOf(`PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n${schema}\n`);
  for (const row of rows) yield bytesOf(insertOf(row));
  yield bytesOf("COMMIT;\n");
}

/** One character a byte: a name is bytes, and stands in the text as it is. */
function insertOf({ inode, parent, version, writer, mtime, type, name, data }: TreeRow): string {
  const numbers = [inode, parent, version, writer, mtime, type].join(",");
  const content = data.length === 0 ? "NULL" : `X'${hexOf(data)}'`;
  return `INSERT INTO tree VALUES(${numbers},${textOf(name)},${content});\n`;
}

/** Line ends by their number, so that each row is one line. */
function textOf(name: string): string {
  const quoted = `'${name.replaceAll("'", "''")}'`;
  if (!/[\n\r]/.test(quoted)) return quoted;
  return quoted.replace(/[\n\r]/g, (end) => `'||char(${end.charCodeAt(0)})||'`);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
