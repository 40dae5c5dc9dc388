// One writer: replaces one file atomically (temporary file, rename) for a while, `bun writer.ts DIRECTORY MILLISECONDS`; prints
// the count and the milliseconds it took. A process of its own: nobody may wait for a mount that it serves itself.
import { renameSync, unlinkSync, writeFileSync } from "node:fs";

const [directory = "", limit = "0"] = process.argv.slice(2);
const limitMs = Number(limit);
const content = "cores: 2\nmemory: 2048\nname: bench\n".repeat(10);
const started = performance.now();
let count = 0;
while (performance.now() - started < limitMs) {
  writeFileSync(`${directory}/bench.tmp`, content);
  renameSync(`${directory}/bench.tmp`, `${directory}/bench.cfg`);
  count += 1;
}
const tookMs = performance.now() - started;
unlinkSync(`${directory}/bench.cfg`);
console.log(JSON.stringify({ count, tookMs }));
