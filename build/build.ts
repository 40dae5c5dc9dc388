// The one builder: `bun build/build.ts [--here] [--twice] [--out DIR] [TARGET…]` makes dist/quorate-* for all targets (or
// for this machine, or the named ones), checks each and writes SHA256SUMS. Ends with "N passed, N failed".
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../package.json" with { type: "json" };
import { reasonOf } from "../src/result.ts";
import { commitId, makeExecutable, root, targetsOf, thisMachine } from "./executable.ts";
import { publishedKeys } from "./release-keys.ts";
import { fileHash } from "./runtimes.ts";

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      here: { type: "boolean", default: false },
      twice: { type: "boolean", default: false },
      out: { type: "string", default: join(root, "dist") },
    },
  });
  const out = resolve(values.out);
  mkdirSync(out, { recursive: true });
  const stamp = { version, commit: commitId(), isDevelopment: true, keys: publishedKeys() };
  const count = { passed: 0, failed: 0 };
  for (const target of values.here ? [thisMachine()] : targetsOf(positionals))
    await makeExecutable(target, out, stamp, { isTwice: values.twice, count });
  writeSums(out);
  process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`);
  return count.failed === 0 ? 0 : 1;
}

/** In the form of sha256sum(1), of every executable in the directory: install.sh checks against it. */
function writeSums(directory: string): void {
  const files = readdirSync(directory).filter((name) => /^quorate-[a-z0-9-]+$/.test(name));
  const lines = files.toSorted().map((name) => `${fileHash(join(directory, name))}  ${name}\n`);
  writeFileSync(join(directory, "SHA256SUMS"), lines.join(""));
}

try {
  process.exitCode = await main();
} catch (error) {
  // What is thrown above is a sentence for the person who builds; anything else shows its place.
  process.stderr.write(`build: ${reasonOf(error)}\n`);
  process.exitCode = 1;
}
