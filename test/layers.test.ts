// The layers of engineering.md §2 as a machine sees them: who imports whom, what a pure core never names, how long a file
// may be. A new file in src/node, src/qnetd or src/fs is a pure core unless it is listed here as a host.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const root = join(import.meta.dir, "..");
const lineCountMax = 500;
/** Tests tell one story a file and may take a little longer. */
const testLineCountMax = 800;
/** Without unit tests. */
const folderFilesMax = 20;
const groundFilesMax = 12;

/** The ground that cores stand on. */
const pureGround = ["bytes", "world", "assert", "conf", "result"];

/** Files with sockets, files, threads, clocks or promises, as patterns below src/. */
const hosts: readonly string[] = [
  "node/thread/*.ts",
  "node/settings/{key-file,load-settings,machine,own-address,resolve}.ts",
  "node/compression/{library,inflate}.ts",
  "node/link/{mismatch,own-addresses,probe-socket}.ts",
  "node/device/{connection,commands,credentials,device-host,pkcs12}.ts",
  "fs/{fs,tree-store,answers,callers,gathering,outcomes}.ts",
  "fs/tree/files.ts",
  "fs/replica/{group-host,status-host}.ts",
  "fs/disk/{journal,database,read-database,commit-queue,conf-file,first-content,load-tree,lost-trees}.ts",
  // All of fs/fuse but its codec answers to promises of the tree.
  "fs/fuse/[!a]*.ts",
  "qnetd/server/{server,server-connection,server-log,tls}.ts",
  "qnetd/enrol/enrolment-{server,invites}.ts",
  "qnetd/pki/{pki,issue,issued-certificates,pkcs12,store,store-nss}.ts",
  "qnetd/tool/{certutil,tool-socket}.ts",
];

/** Pure files that stand in a folder of hosts. */
const pureAmongHosts: readonly string[] = [
  "node/thread/{bridge,cluster,key-watch,scheduling-watch}.ts",
];

const globs = (patterns: readonly string[]) => patterns.map((pattern) => new Bun.Glob(pattern));

/** Names of the machine. A core may have a parameter or a method of such a name, so most look at what follows. */
const forbidden: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: "Date", pattern: /(?<![\w$.])Date\b/ },
  { what: "performance", pattern: /(?<![\w$.])performance\s*\./ },
  { what: "Math.random", pattern: /\bMath\s*\.\s*random\b/ },
  { what: "crypto", pattern: /(?<![\w$.])crypto\s*\.\s*(?:subtle|get|random|create)/ },
  {
    what: "process",
    pattern: /(?<![\w$.])process\s*\.\s*(?:env|argv|exit|on|pid|hrtime|nextTick|std|cwd|kill)/,
  },
  { what: "a timer", pattern: /(?<![\w$.])(?:set|clear)(?:Timeout|Interval|Immediate)\b/ },
  { what: "queueMicrotask", pattern: /\bqueueMicrotask\b/ },
  { what: "Promise", pattern: /(?<![\w$.])Promise\b/ },
  { what: "async", pattern: /(?<![\w$.])async\s+(?:function|\(|\w+\s*\(|\w+\s*=>|#)/ },
  { what: "await", pattern: /(?<![\w$.])await\s/ },
  { what: "console", pattern: /(?<![\w$.])console\s*\./ },
  { what: "Bun", pattern: /(?<![\w$.])Bun\s*\./ },
  { what: "fetch", pattern: /(?<![\w$.#])fetch\s*\(/ },
  { what: "globalThis", pattern: /\bglobalThis\b/ },
];

interface Import {
  /** As written. */
  readonly name: string;
  /** Path below src/ when it is a file of ours, else undefined. */
  readonly file: string | undefined;
  readonly isType: boolean;
  readonly isDynamic: boolean;
}

interface Source {
  /** Path below src/. */
  readonly file: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const importPatterns = {
  fixed: /^(?:import|export)\s+(type\s)?(?:[\w*{][^;"']*?\sfrom\s+)?"([^"]+)"/gms,
  dynamic: /\bimport\(\s*"([^"]+)"/g,
  worker: /new URL\(\s*"([^"]+)",\s*import\.meta\.url/g,
} as const;

/** Exported for nobody: the tests below try it on small texts. */
function read(file: string, text: string): Source {
  const resolve = (name: string): string | undefined =>
    name.startsWith(".") ? normalize(join(dirname(file), name)) : undefined;
  const imports: Import[] = [];
  for (const match of text.matchAll(importPatterns.fixed)) {
    const name = match[2] ?? "";
    imports.push({ name, file: resolve(name), isType: match[1] !== undefined, isDynamic: false });
  }
  for (const pattern of [importPatterns.dynamic, importPatterns.worker]) {
    for (const match of text.matchAll(pattern)) {
      const name = match[1] ?? "";
      imports.push({ name, file: resolve(name), isType: false, isDynamic: true });
    }
  }
  return { file, text, imports };
}

/** Tests, and what only tests use. One of qnetd's algorithms is itself called "test". */
function isTest(file: string): boolean {
  if (file === "qnetd/vote/test-algorithm.ts") return false;
  return /\.test\.tsx?$|(?:^|\/)test(?:ing)?-/.test(file);
}

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** The program without comments, types and the insides of strings. */
function bare(text: string): string {
  const script = transpiler.transformSync(text);
  const tokens = /(["'`])(?:\\[\s\S]|(?!\1)[^\\])*\1|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return script.replace(tokens, (token) => (token.startsWith("/") ? " " : '""'));
}

const hostGlobs = globs(hosts);
const pureGlobs = globs(pureAmongHosts);

function isPure(file: string): boolean {
  if (isTest(file)) return false;
  if (!file.includes("/")) return pureGround.includes(file.replace(/\.ts$/, ""));
  if (!/^(?:node|qnetd|fs)\//.test(file)) return false;
  return pureGlobs.some((glob) => glob.match(file)) || !hostGlobs.some((glob) => glob.match(file));
}

/** Rule 1: what a pure core does that it must not, as sentences. */
function impurities(source: Source): string[] {
  const found: string[] = [];
  for (const { name, file, isType } of source.imports) {
    if (file === undefined) found.push(`imports ${name}`);
    // The shape of what a host gives may be known; its code may not.
    else if (!isPure(file) && !isType) found.push(`imports the host ${file}`);
  }
  const program = bare(source.text);
  for (const { what, pattern } of forbidden) {
    // A member of a group is a process: a core's own variable of that name is not the machine's.
    if (what === "process" && /[(,]\s*process\b(?!\s*\.)/.test(program)) continue;
    if (pattern.test(program)) found.push(`names ${what}`);
  }
  return found;
}

type Layer = "ground" | "node" | "qnetd" | "fs" | "shell" | "main";

function layerOf(file: string): Layer {
  if (file === "main.ts") return "main";
  const folder = file.split("/")[0] ?? "";
  if (folder === "node" || folder === "qnetd" || folder === "fs" || folder === "shell")
    return folder;
  return "ground";
}

const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  ground: ["ground"],
  node: ["ground", "node"],
  qnetd: ["ground", "qnetd"],
  fs: ["ground", "fs"],
  shell: ["ground", "node", "qnetd", "fs", "shell"],
  main: ["ground", "shell"],
};

/** What both ends of the vote protocol share. */
const votes = new Set([
  "qnetd/session/message.ts",
  "qnetd/advanced-words.ts",
  "qnetd/pki/pkcs12.ts",
]);

/**
 * What the outside (commands, tools, operations, pages) may have of the inside: formats, rules, certificates and the vote server's own
 * socket, never a part that runs. Only shell/daemon puts a daemon together.
 */
const shared = globs([
  "node/device/{advice,connection,device-settings}.ts",
  "node/link/own-addresses.ts",
  "node/quorum/{foresee,message,needed}.ts",
  "fs/replica/log-entry.ts",
  "fs/tree/rules.ts",
  "fs/disk/corosync-conf.ts",
  "qnetd/advanced-words.ts",
  "qnetd/enrol/enrolment{,-invites,-message,-token}.ts",
  "qnetd/pki/{der,issue,pki,pkcs12,store,store-nss}.ts",
  "qnetd/server/{configuration,origin}.ts",
  "qnetd/session/{frames,known-clusters,message}.ts",
  "qnetd/tool/*.ts",
]);

/** Outside files that take a running part, as sentences. */
function compositions(source: Source): string[] {
  if (layerOf(source.file) !== "shell" || source.file.startsWith("shell/daemon/")) return [];
  return source.imports.flatMap(({ name, file, isType }) => {
    if (file === undefined || isType || !/^(?:node|fs|qnetd)\//.test(file)) return [];
    // A Worker that is asked for nothing: does this executable have it (shell/self-test)?
    if (source.file === "shell/self-test/checks.ts") return [];
    return shared.some((glob) => glob.match(file)) ? [] : [`composes ${name}`];
  });
}

/** Files that import each other in a circle, each circle once, by its first file. Types count: a reader has to follow them too. */
function circles(of: readonly Source[]): string[] {
  const imports = new Map(of.map(({ file, imports: all }) => [file, all]));
  const reachable = (from: string): Set<string> => {
    const seen = new Set<string>();
    const waiting = [from];
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      for (const { file: next, isDynamic } of imports.get(file) ?? []) {
        if (next === undefined || isDynamic || seen.has(next)) continue;
        seen.add(next);
        waiting.push(next);
      }
    }
    return seen;
  };
  const reach = new Map(of.map(({ file }) => [file, reachable(file)]));
  const found = new Set<string>();
  for (const [file, seen] of reach) {
    if (!seen.has(file)) continue;
    const circle = [...seen].filter((other) => reach.get(other)?.has(file) === true);
    found.add(circle.toSorted().join(" ↔ "));
  }
  return [...found];
}

/** Rules 2 and 3: imports that point up or sideways. */
function crossings(source: Source): string[] {
  const layer = layerOf(source.file);
  return source.imports.flatMap(({ name, file }) => {
    if (file === undefined || file === "../package.json") return [];
    if (source.file.startsWith("node/device/") && votes.has(file)) return [];
    return mayImport[layer].includes(layerOf(file)) ? [] : [`${layer} imports ${name}`];
  });
}

/** Rule 4: packages and the foreign function interface, each with the files that may have it. */
const owners: readonly { readonly packages: RegExp; readonly files: RegExp }[] = [
  { packages: /^(?:libsql|drizzle-orm)(?:\/|$)/, files: /^fs\/disk\/database\.ts$/ },
  {
    packages: /^bun:ffi$/,
    files:
      /^(?:libc|node\/compression\/library|node\/link\/probe-socket|shell\/access\/libcrypt)\.ts$/,
  },
  { packages: /^valibot$/, files: /^shell\/|^(?:node|qnetd)\/[\w-]*settings\.ts$/ },
  { packages: /^@valibot\/to-json-schema$/, files: /^shell\/openapi\/json-schema\.ts$/ },
  { packages: /^hono(?:\/|$)/, files: /^(?:shell|qnetd)\// },
  { packages: /^(?:preact(?:\/|$)|uqr$)/, files: /^shell\/page\/browser\// },
  { packages: /^bun:sqlite$/, files: /^fs\/disk\/read-database\.ts$/ },
];

function foreignPackages(source: Source): string[] {
  return source.imports.flatMap(({ name, file }) => {
    if (file !== undefined || /^(?:node:|bun$)/.test(name)) return [];
    const owner = owners.find(({ packages }) => packages.test(name));
    if (owner === undefined) return [`imports ${name}, which no rule of this test allows`];
    return owner.files.test(source.file) ? [] : [`imports ${name}`];
  });
}

/** What other files import of a file, by its name in that file; "*": all. */
function importedNames({ file, text }: Pick<Source, "file" | "text">): string[] {
  const patterns = [
    /(?:import|export)\s+(?:type\s+)?\{([^}]*)\}\s+from\s+"(\.[^"]+)"/g,
    /\{([^{}]*)\}\s*=\s*await\s+import\(\s*"(\.[^"]+)"/g,
    /(?:import|export)\s+\*()(?:\s+as\s+\w+)?\s+from\s+"(\.[^"]+)"/g,
  ];
  return patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].flatMap(([, names = "", path = ""]) => {
      const target = normalize(join(dirname(file), path));
      const plain = names.split(",").map((name) => name.trim().replace(/^type\s+/, ""));
      const known = plain.map((name) => name.split(/\s+as\s+|:/)[0] ?? "").filter(Boolean);
      return (known.length === 0 ? ["*"] : known).map((name) => `${target} ${name}`);
    }),
  );
}

/** Values that nobody but tests in other folders imports, as "file name"; types are there to be named. */
function exportsForTests(of: readonly Pick<Source, "file" | "text">[]): string[] {
  const users = Map.groupBy(
    of.flatMap((user) => importedNames(user).map((name) => ({ name, file: user.file }))),
    ({ name }) => name,
  );
  const isOfTests = (file: string): boolean => isTest(file) || file.startsWith("test/");
  return of
    .filter(({ file }) => !isOfTests(file))
    .flatMap(({ file, text }) => {
      const found = text.matchAll(/^export\s+(?:async\s+)?(?:function\*?|class|const)\s+(\w+)/gm);
      return [...found].flatMap(([, name = ""]) => {
        const all = [`${file} ${name}`, `${file} *`].flatMap((key) => users.get(key) ?? []);
        const isBeside = all.some((user) => dirname(user.file) === dirname(file));
        const isOnly = all.length > 0 && all.every((user) => isOfTests(user.file));
        return isOnly && !isBeside ? [`${file} ${name}`] : [];
      });
    });
}

/** By reason. Of the inside; what is printed (src/shell) is compared with recordings everywhere. */
const knownExportsForTests: Readonly<Record<string, readonly string[]>> = {
  "the simulator's agenda is the same heap": ["src/deadlines.ts Heap"],
  "limits that the abuse tests go up to": [
    "src/qnetd/server/server-log.ts kindBurst",
    "src/qnetd/server/server-log.ts strangersLimits",
    "src/qnetd/server/server.ts lingeringMax",
    "src/qnetd/session/qnetd-core.ts emptyClustersMax",
    "src/qnetd/session/snapshot.ts toldMax",
    "src/qnetd/vote/cluster.ts clientsMax",
  ],
  "recordings of pmxcfs are taken apart and replayed": [
    "src/fs/replica/dcdb.ts indexOf",
    "src/fs/replica/message.ts normalHeaderBytes",
  ],
};

const sources = [...new Bun.Glob("**/*.{ts,tsx}").scanSync(join(root, "src"))]
  .toSorted()
  .map((file) => read(file, readFileSync(join(root, "src", file), "utf8")));
const program = sources.filter(({ file }) => !isTest(file));

/** Every offence as "file: what", so that a failure names all of them. */
function offences(of: readonly Source[], rule: (source: Source) => readonly string[]): string[] {
  return of.flatMap((source) => rule(source).map((what) => `src/${source.file}: ${what}`));
}

describe("the layers", () => {
  test("pure cores import only pure cores and name nothing of the machine", () => {
    const cores = program.filter(({ file }) => isPure(file));
    expect(cores.length).toBeGreaterThan(20);
    expect(offences(cores, impurities)).toEqual([]);
  });

  test("nothing points up or sideways", () => {
    expect(offences(program, crossings)).toEqual([]);
  });

  test("only shell/daemon takes parts that run", () => {
    expect(offences(program, compositions)).toEqual([]);
  });

  test("no files import each other in a circle", () => {
    expect(circles(program)).toEqual([]);
  });

  test("each package has its one place", () => {
    expect(offences(program, foreignPackages)).toEqual([]);
  });

  test("every import names a file that is there, with its ending", () => {
    const missing = (source: Source): string[] =>
      source.imports.flatMap(({ name, file }) =>
        file === undefined || existsSync(join(root, "src", file)) ? [] : [`imports ${name}`],
      );
    expect(offences(sources, missing)).toEqual([]);
  });

  test("a command line without a role loads neither ring nor tree", () => {
    const byFile = new Map(program.map((source) => [source.file, source]));
    const loaded = new Set(["shell/cli/cli.ts"]);
    for (const file of loaded) {
      for (const { file: next, isType, isDynamic } of byFile.get(file)?.imports ?? []) {
        if (next !== undefined && !isType && !isDynamic) loaded.add(next);
      }
    }
    expect([...loaded].filter((file) => /^(?:node|fs|qnetd)\//.test(file))).toEqual([]);
    expect(loaded.size).toBeGreaterThan(2);
  });
});

describe("the form of files", () => {
  const everywhere = ["src/**/*.{ts,tsx}", "build/**/*.{ts,mjs}", "test/**/*.ts"]
    .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(root)])
    .filter((file) => !file.startsWith("test/golden/qnetd/"))
    .map((file) => ({ file, text: readFileSync(join(root, file), "utf8") }));

  test("no file is longer than its limit", () => {
    const long = everywhere
      .map(({ file, text }) => ({ file, lines: text.split("\n").length - 1 }))
      .filter(({ file, lines }) => lines > (isTest(file) ? testLineCountMax : lineCountMax));
    expect(long).toEqual([]);
  });

  test("no folder has more than about twenty files", () => {
    const folders = Map.groupBy(program, ({ file }) => dirname(file));
    const long = [...folders].filter(([, files]) => files.length > folderFilesMax);
    expect(long.map(([folder, files]) => `src/${folder}: ${files.length} files`)).toEqual([]);
    expect(folders.get(".")?.length).toBeLessThanOrEqual(groundFilesMax);
  });

  test("nothing below src is there for tests only", () => {
    const doubles = sources.filter(({ file }) => isTest(file) && !/\.test\.tsx?$/.test(file));
    expect(doubles.map(({ file }) => file)).toEqual([]);
  });

  test("nothing of the inside is exported for tests of other folders, but for a reason", () => {
    const found = exportsForTests(everywhere).filter((each) => /^src\/(?!shell\/)/.test(each));
    expect(found.toSorted()).toEqual(Object.values(knownExportsForTests).flat().toSorted());
  });

  test("each file of the program begins by saying what it is", () => {
    expect(program.filter(({ text }) => !text.startsWith("//")).map(({ file }) => file)).toEqual(
      [],
    );
  });

  test("no file has a name that says nothing, or only re-exports", () => {
    const names = /(?:^|\/)(?:index|utils?|helpers?|common|types|manager)\.tsx?$/;
    expect(everywhere.filter(({ file }) => names.test(file)).map(({ file }) => file)).toEqual([]);
  });
});

describe("this test sees", () => {
  const core = (text: string): string[] => impurities(read("node/ring/example.ts", text));

  test("what a core must not do", () => {
    expect(core('import { readFileSync } from "node:fs";')).toEqual(["imports node:fs"]);
    expect(core('import {\n  a,\n  b,\n} from "../thread/socket.ts";')).toEqual([
      "imports the host node/thread/socket.ts",
    ]);
    expect(core('export * from "../thread/client.ts";')).toEqual([
      "imports the host node/thread/client.ts",
    ]);
    expect(core('export const f = () => import("../thread/thread.ts");')).toEqual([
      "imports the host node/thread/thread.ts",
    ]);
    expect(core("export const now = () => Date.now();")).toEqual(["names Date"]);
    expect(core("export const x = Math.random() + performance.now();")).toEqual([
      "names performance",
      "names Math.random",
    ]);
    expect(core("setTimeout(() => console.log(1), 5);")).toEqual([
      "names a timer",
      "names console",
    ]);
    expect(core("export async function f() { await g(); }")).toEqual([
      "names async",
      "names await",
    ]);
    expect(core("export const p = `${process.env['A']}` + process.pid;")).toEqual([
      "names process",
    ]);
    expect(core("export const p = new Promise(() => undefined);")).toEqual(["names Promise"]);
  });

  test("what a core may do", () => {
    expect(
      core(
        'import { Reader } from "../../bytes.ts";\nimport type { RingSockets } from "../thread/ring-thread.ts";',
      ),
    ).toEqual([]);
    expect(
      core("// Date.now() and process.env\nexport const text = 'await the Date of process.env';"),
    ).toEqual([]);
    expect(
      core(
        "export const performance = 1; export function processes(a: Promise<void>) { return a; }",
      ),
    ).toEqual([]);
    expect(core("export class A { step(process: { exit: number }) { return process; } }")).toEqual(
      [],
    );
  });

  test("wrong directions and wrong packages", () => {
    expect(crossings(read("fs/a.ts", 'import { a } from "../node/node.ts";'))).toEqual([
      "fs imports ../node/node.ts",
    ]);
    expect(crossings(read("node/a.ts", 'import type { A } from "../shell/cli.ts";'))).toHaveLength(
      1,
    );
    expect(
      crossings(read("node/ring/a.ts", 'import { a } from "../../qnetd/session/message.ts";')),
    ).toHaveLength(1);
    expect(
      crossings(read("node/device/a.ts", 'import { a } from "../../qnetd/session/message.ts";')),
    ).toEqual([]);
    expect(crossings(read("log.ts", 'import { a } from "./shell/cli.ts";'))).toHaveLength(1);
    expect(
      foreignPackages(read("fs/tree/tree.ts", 'import { sql } from "drizzle-orm";')),
    ).toHaveLength(1);
    expect(
      foreignPackages(read("fs/disk/database.ts", 'import { sql } from "drizzle-orm/libsql";')),
    ).toEqual([]);
    expect(foreignPackages(read("node/a.ts", 'import { dlopen } from "bun:ffi";'))).toHaveLength(1);
    expect(foreignPackages(read("shell/a.ts", 'import left from "left-pad";'))).toHaveLength(1);
  });

  test("what is exported for tests only", () => {
    const of = [
      {
        file: "src/a/a.ts",
        text: "export const a = 1;\nexport function b() {}\nexport class C {}",
      },
      { file: "src/a/d.ts", text: "export const d = 1;\nexport const e = 1;\nexport const f = 1;" },
      { file: "src/b/b.ts", text: 'import { type C } from "../a/a.ts";' },
      { file: "src/b/c.ts", text: 'const { f } = await import("../a/d.ts");' },
      { file: "src/a/d.test.ts", text: 'import { e } from "./d.ts";' },
      { file: "test/t.ts", text: 'import { a, b as B, C } from "../src/a/a.ts";' },
      { file: "test/u.ts", text: 'import { d, e, f } from "../src/a/d.ts";' },
    ];
    expect(exportsForTests(of)).toEqual(["src/a/a.ts a", "src/a/a.ts b", "src/a/d.ts d"]);
  });

  test("who composes, and who imports each other", () => {
    const command = (text: string) => compositions(read("shell/command/a.ts", text));
    expect(command('import { b } from "../../node/thread/client.ts";')).toHaveLength(1);
    expect(command('import { b } from "../../fs/tree/rules.ts";')).toEqual([]);
    expect(command('import type { B } from "../../node/thread/client.ts";')).toEqual([]);
    const daemon = read("shell/daemon/a.ts", 'import { b } from "../../fs/fs.ts";');
    expect(compositions(daemon)).toEqual([]);
    const pair = [
      read("node/a.ts", 'import type { B } from "./b.ts";'),
      read("node/b.ts", 'import { a } from "./a.ts";'),
      read("node/c.ts", 'import { a } from "./a.ts";'),
    ];
    expect(circles(pair)).toEqual(["node/a.ts ↔ node/b.ts"]);
  });
});
