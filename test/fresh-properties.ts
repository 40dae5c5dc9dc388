// Property tests with a seed that nobody has drawn, besides the fixed one of CI (properties.ts): every file that has some, all of its
// tests. When something fails, each file is run again with the same seed, and counts only when it fails again.
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const given = process.env["QUORATE_SEED"];
const seed = given === undefined ? randomInt(2, 2 ** 31) : Number(given);

const files = [...new Bun.Glob("{src,test,build}/**/*.test.ts").scanSync(root)]
  .filter((file) => readFileSync(join(root, file), "utf8").includes('from "fast-check"'))
  .toSorted();

const words = ["test", "--only-failures", "--timeout", "600000"];

/** What `bun test` says of these files, "" when they pass. */
async function failureOf(these: readonly string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, ...words, ...these.map((file) => `./${file}`)], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, QUORATE_SEED: String(seed) },
  });
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return code === 0 ? "" : `${out}\n${errors}`;
}

console.log(`fresh seed ${seed}, ${files.length} files`);
const failed: string[] = [];
const first = await failureOf(files);
for (const file of first === "" ? [] : files) {
  const again = await failureOf([file]);
  if (again === "") continue;
  failed.push(file);
  console.log(again);
  console.log(`it failed twice; replay: QUORATE_SEED=${seed} node build/ensure.mjs test ${file}`);
  console.log(
    `once it is mended, add to test/sim/seeds.txt: property ${seed} ${file}  COMMIT  what it was`,
  );
}
if (first !== "" && failed.length === 0) {
  console.log(`${first}\nit failed, but not when it was run again with seed ${seed}`);
}
console.log(`${files.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
