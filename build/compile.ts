// One executable out of our source: the flags of engineering.md §12 and the target's database addon embedded.
// Same source, same Bun, same bytes: nothing here may depend on the time, the machine or where the checkout lies.
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { version } from "../package.json" with { type: "json" };
import { bundlePage, type PageTexts } from "../src/shell/page/node/bundle.ts";
import { runtimeFile } from "./runtimes.ts";
import type { Target } from "./targets.ts";

export interface CompileOptions {
  readonly target: Target;
  /** The first is the program, the others are Worker files. */
  readonly entrypoints: readonly string[];
  readonly outfile: string;
  readonly commit: string;
  /** Default: package.json's. */
  readonly version?: string;
  /** Default: true. */
  readonly isDevelopment?: boolean;
  /** Public release keys that the program trusts, base64; default: none. */
  readonly keys?: readonly string[];
}

/** Writes `outfile`, replacing one that may be running. Throws an Error with a sentence when the bundle fails. */
export async function compile(options: CompileOptions): Promise<void> {
  const { target, outfile } = options;
  const page = await bundlePage();
  // Beside the target, for the rename; the executable's name inside it becomes the bundle's own path, so it is fixed.
  const directory = mkdtempSync(join(dirname(outfile), ".build-"));
  try {
    const built = join(directory, "quorate");
    const result = await Bun.build({
      entrypoints: [...options.entrypoints],
      target: "bun",
      format: "esm",
      // Names are kept: a stack trace or a snapshot of a core must be readable.
      minify: { whitespace: true, syntax: true, identifiers: false },
      // Bytecode would start a verb 8 ms sooner and make the file 4 MB larger.
      bytecode: false,
      sourcemap: "linked",
      // What a role does not import it does not load: the vote server carries neither ring nor tree in memory.
      splitting: true,
      // All files in one folder, so that `new URL("./thread.ts", import.meta.url)` names the Worker's file from
      // source and from inside the executable alike.
      naming: { entry: "[name].[ext]", chunk: "[name]-[hash].[ext]" },
      define: {
        QUORATE_COMMIT: JSON.stringify(options.commit),
        QUORATE_TARGET: JSON.stringify(target.name),
        QUORATE_VERSION: JSON.stringify(options.version ?? version),
        QUORATE_DEVELOPMENT: JSON.stringify(options.isDevelopment ?? true),
        QUORATE_RELEASE_KEYS: JSON.stringify(options.keys ?? []),
      },
      plugins: [addonPlugin(runtimeFile(target.addon)), pagePlugin(page)],
      throw: false,
      compile: {
        target: target.bun,
        executablePath: runtimeFile(target.runtime),
        outfile: built,
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
        execArgv: ["--disallow-code-generation-from-strings=strict"],
      },
    });
    if (!result.success)
      throw new Error(`${basename(outfile)}: ${result.logs.map((log) => log.message).join("\n")}`);
    chmodSync(built, 0o755);
    renameSync(built, outfile);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * libsql's loader asks for its addon by a name computed on the running machine, which a bundler cannot follow and a
 * cross build would get wrong. This puts the target's own file in that place.
 */
function addonPlugin(addon: string): Bun.BunPlugin {
  return {
    name: "database-addon",
    setup(build) {
      // By a name of its own: a path would reach the source map, and so the bytes.
      build.onResolve({ filter: /^database-addon$/ }, () => ({ path: addon }));
      build.onLoad({ filter: /node_modules[\\/]libsql[\\/]promise\.js$/ }, ({ path }) => ({
        contents: withAddon(readFileSync(path, "utf8")),
        loader: "js",
      }));
    },
  };
}

/** The page's files as texts, in place of the module that would bundle them from source. */
function pagePlugin(page: PageTexts): Bun.BunPlugin {
  return {
    name: "page",
    setup(build) {
      build.onLoad({ filter: /shell[\\/]page[\\/]node[\\/]embedded\.ts$/ }, () => ({
        contents: `export async function embeddedPage() { return ${JSON.stringify(page)}; }`,
        loader: "js",
      }));
    },
  };
}

const loaderFunction = /function requireNative\(\) \{[\s\S]*?\n\}\n/;
/** For bundlers that read what is never run; the file is not in the package. */
const neverLoaded = 'require("./.targets");';
const loaderImports = /^const \{[^}]*\} = require\("(?:@neon-rs\/load|detect-libc)"\);$/gm;

function withAddon(text: string): string {
  if (!loaderFunction.test(text) || text.match(loaderImports)?.length !== 2) {
    throw new Error("libsql's loader has changed its form: adapt build/compile.ts to it");
  }
  return text
    .replaceAll(loaderImports, "")
    .replace(neverLoaded, "")
    .replace(loaderFunction, 'function requireNative() { return require("database-addon"); }\n');
}
