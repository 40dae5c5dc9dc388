// `npm run release [-- OPTION…]`: all executables, compressed, listed, signed, with their install.sh, in one directory.
//   --out DIR          the release directory (default: dist/release)
//   --only TARGET…     not all targets
//   --executables DIR  where the executables are made (default: dist)
//   --skip-build       take the executables that lie there, if they are of this version, commit and key
//   --base URL         where the directory will be published; install.sh then needs no address
//   --fast             compress badly but at once (development releases)
//   --development      sign a development release with QUORATE_RELEASE_KEY
//   --serve [PORT]     then serve the directory on 127.0.0.1 (default port: 8080; 0: any); --only-serve: just that
// The private key is QUORATE_RELEASE_KEY of the environment; without one it is a development release with a key made on
// the spot. build/keys/README.md tells how to make one. Ends with "N passed, N failed".
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { version as packageVersion } from "../package.json" with { type: "json" };
import { reasonOf } from "../src/result.ts";
import type { Digest, ReleaseFile } from "../src/shell/release/manifest.ts";
import { type Count, commitId, makeExecutable, root, type Stamp, targetsOf } from "./executable.ts";
import { type Mirror, serveMirror } from "./mirror.ts";
import { makeRelease } from "./release-files.ts";
import { publishedKeys, signingOf } from "./release-keys.ts";
import { fileName, type Target } from "./targets.ts";

const portDefault = 8080;

async function main(): Promise<number> {
  const releaseKey = process.env["QUORATE_RELEASE_KEY"];
  // No program that the builder starts has any business with it.
  delete process.env["QUORATE_RELEASE_KEY"];
  const options = readOptions();
  if (options.isOnlyServe) return serveOnly(options);
  mkdirSync(options.out, { recursive: true });
  const commit = commitId();
  const signing = signingOf({
    ...{ releaseKey, commit, published: publishedKeys() },
    isDevelopment: options.isDevelopment,
  });
  if (!signing.isDevelopment && options.isFast)
    throw new Error("--fast is for development releases");
  const plain = packageVersion.replace(/-dev$/, "");
  const version = signing.isDevelopment ? `${plain}-dev+${commit}` : plain;
  const stamp = { version, commit, isDevelopment: signing.isDevelopment, keys: signing.keys };
  const count = { passed: 0, failed: 0 };
  await provideExecutables(options, stamp, count);
  if (count.failed > 0) return close(count);

  // Before install.sh is written: it carries the address.
  const mirror = options.port === undefined ? undefined : serveMirror(options.out, options.port);
  try {
    const manifest = await makeRelease({
      ...options,
      ...stamp,
      signer: signing.signer,
      base: options.base ?? mirror?.url ?? "",
      installScript: readFileSync(join(root, "install.sh"), "utf8"),
    });
    count.passed += manifest.files.length;
    const kind = signing.isDevelopment ? "DEVELOPMENT release" : "release";
    process.stdout.write(
      manifest.files.map(sizes).join("") +
        `${kind} ${version} in ${options.out}, signed by ${signing.signer.publicKey}\n`,
    );
    close(count);
    if (mirror !== undefined) await untilStopped(mirror, options.base === undefined);
    return 0;
  } finally {
    await mirror?.stop();
  }
}

function sizes({ name, gz, zst, ...plain }: ReleaseFile): string {
  const megabytes = ({ bytes }: Digest): string => `${(bytes / 1e6).toFixed(1)} MB`;
  return `${name}: ${megabytes(plain)}, gz ${megabytes(gz)}, zst ${megabytes(zst)}\n`;
}

async function serveOnly({ out, port }: Options): Promise<number> {
  if (!existsSync(join(out, "manifest.json")))
    throw new Error(`there is no release in ${out} to serve; make one without --only-serve`);
  const mirror = serveMirror(out, port);
  try {
    await untilStopped(mirror, false);
    return 0;
  } finally {
    await mirror.stop();
  }
}

interface Options {
  readonly out: string;
  readonly executables: string;
  readonly targets: readonly Target[];
  readonly base: string | undefined;
  readonly isFast: boolean;
  readonly isDevelopment: boolean;
  readonly isBuilt: boolean;
  readonly isOnlyServe: boolean;
  /** Undefined: do not serve. */
  readonly port: number | undefined;
}

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: "string", default: join(root, "dist", "release") },
      executables: { type: "string", default: join(root, "dist") },
      only: { type: "string", multiple: true, default: [] },
      base: { type: "string" },
      fast: { type: "boolean", default: false },
      development: { type: "boolean", default: false },
      "skip-build": { type: "boolean", default: false },
      serve: { type: "boolean", default: false },
      "only-serve": { type: "boolean", default: false },
    },
  });
  const isServe = values.serve || values["only-serve"];
  // The words after --only are further targets, a number after --serve is its port.
  const ports = isServe ? positionals.filter((word) => /^\d{1,5}$/.test(word)) : [];
  const names = positionals.filter((word) => !ports.includes(word));
  if (ports.length > 1) throw new Error(`one port is enough: ${ports.join(", ")}`);
  if (names.length > 0 && values.only.length === 0)
    throw new Error(`"${names[0]}" is no option; name targets after --only`);
  if (values.base !== undefined && !/^https:\/\/[^\s'\\]+$/.test(values.base))
    throw new Error(`--base takes an https address, not "${values.base}"`);
  return {
    out: resolve(values.out),
    executables: resolve(values.executables),
    targets: targetsOf([...values.only, ...names]),
    base: values.base?.replace(/\/+$/, ""),
    isFast: values.fast,
    isDevelopment: values.development,
    isBuilt: values["skip-build"],
    isOnlyServe: values["only-serve"],
    port: isServe ? Number(ports[0] ?? portDefault) : undefined,
  };
}

async function provideExecutables(options: Options, stamp: Stamp, count: Count): Promise<void> {
  mkdirSync(options.executables, { recursive: true });
  for (const target of options.targets) {
    if (options.isBuilt) checkStamp(join(options.executables, fileName(target)), stamp);
    else await makeExecutable(target, options.executables, stamp, { isTwice: false, count });
  }
}

/** What is compiled in stands in the file as text. */
function checkStamp(file: string, { version, keys }: Stamp): void {
  const bytes = readFileSync(file);
  const missing = [version, ...keys].find((text) => !bytes.includes(text));
  if (missing === undefined) return;
  throw new Error(
    `${file} was not built as this release: it lacks ${missing}; leave --skip-build out`,
  );
}

function close(count: Count): number {
  process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`);
  return count.failed === 0 ? 0 : 1;
}

/** `isKnown`: install.sh carries the mirror's address. */
async function untilStopped(mirror: Mirror, isKnown: boolean): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => stopped.resolve());
  const told = isKnown ? "" : `QUORATE_MIRROR=${mirror.url} `;
  process.stdout.write(
    `Serving at ${mirror.url} until Ctrl-C. On this machine:\n` +
      `  curl -fsSL ${mirror.url}/install.sh | ${told}sh -s -- qnetd\n`,
  );
  await stopped.promise;
}

try {
  process.exitCode = await main();
} catch (error) {
  // What is thrown above is a sentence for the person who releases; anything else shows its place.
  process.stderr.write(`release: ${reasonOf(error)}\n`);
  process.exitCode = 1;
}
