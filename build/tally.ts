// Runs suites one after another, shows what they say, adds up what they count, and ends with "N passed, N failed":
// `bun build/tally.ts test` is `npm test`, `bun build/tally.ts ci` is everything (.ci/run). A suite that ends badly
// without having counted a failure is one failure: nothing can go wrong unseen.
import { availableParallelism } from "node:os";
import { join } from "node:path";

export interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** What went wrong or was left out in one suite, by name, for the closing sum. */
export interface Names {
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

interface Suite {
  readonly name: string;
  /** Arguments for the pinned Bun, or for a program if `program` is given. */
  readonly args: readonly string[];
  readonly program?: string;
  /** How it counts: as bun test, by a closing line "N passed, N failed", or only by its exit code. */
  readonly form: "bun" | "line" | "exit";
  /**
   * How it shares the machine; absent: alone. "waits": for clusters in namespaces of its own more than it works, so that another such may run
   * beside it. "works": for minutes, and nobody waits for it: it gets what the others leave of the processors.
   */
  readonly manner?: "waits" | "works";
}

const endedBadly = "the suite itself: it ended badly, or counted nothing";

/** So many suites that wait at a time. */
const lanes = 3;

const root = join(import.meta.dir, "..");
const isCi = process.env["QUORATE_CI"] === "1";

/** A test that names no limit of its own has one for a machine whose processors are busy. */
const bunTest = ["test", "--timeout", "60000"];

/** Minutes of both processors: not part of `npm test`. */
const mutations = "test/sim/mutants.test.ts";

/** Folders whose tests start nodes; their addresses are their own (127.21.…). */
const clusterFolders = ["node/"];
const nodeFolders = ["fs/", "shell/", "upgrade/", "demo/"];

const tests: readonly Suite[] = [
  { name: "unit tests", args: [...bunTest, "./src"], form: "bun" },
  // Longest first, as all that waits.
  patientTests("tests around clusters", ...testFolders((place) => clusterFolders.includes(place))),
  patientTests("tests around nodes", ...testFolders((place) => nodeFolders.includes(place))),
  patientTests(
    "tests around the vote server, and others",
    ...testFolders((place) => ![...clusterFolders, ...nodeFolders].includes(place)),
  ),
];
const interop: readonly Suite[] = [
  patient("interop, encrypted", "test/interop/run.ts", "--crypto", "aes"),
  patient("interop, in the clear", "test/interop/run.ts", "--crypto", "none"),
  patient("device client with both servers", "test/interop/device.ts", "--short"),
  patientTests("build and install tests", "./test/install", "./build"),
  patient("reload with Debian's nodes", "test/interop/reload.ts"),
  patient("reload, other way round", "test/interop/reload.ts", "--kinds", "corosync,quorate"),
  patient("tools beside Debian's", "test/interop/mixed-tools.ts"),
  patient("compressed rings", "test/interop/compression.ts"),
  patient("maps and groups beside Debian's nodes", "test/interop/cmap.ts"),
  patient("names and addresses", "test/interop/names.ts"),
  patient("clients of Proxmox's API", "test/interop/clients.ts"),
  patient("joins, with kills on either side", "test/interop/join.ts", "--short"),
  patient("changes, with kills on either side", "test/interop/change-kills.ts", "--short"),
  patient("kills under load, and disks that stand still", "test/interop/kills.ts", "--short"),
  patient("stale reads at other nodes", "test/interop/stale.ts", "--short"),
  patient("loss beside Debian's nodes", "test/interop/storm.ts", "--short"),
  patient("verdicts on corosync.conf", "test/interop/verdicts.ts"),
];
const x64 = ["--binary", "dist/quorate-linux-x64"];
/** With the executables that the build has just made; longest first. */
const services: readonly Suite[] = [
  patient("page in a browser", "test/page/run.ts"),
  patient("installer in throw-away machines", "test/install/roots.ts"),
  patient("runbooks on empty machines", "test/runbook/run.ts", ...x64),
  patient("upgrade on arm64", "test/interop/upgrade-arm64.ts"),
  patient("upgrades of running services", "test/interop/upgrade.ts", "--short"),
  patient("vote server with Debian's clusters", "test/interop/qnetd/run.ts", "--short", ...x64),
  patient(
    "vote server on arm64 with Debian's clusters",
    ...["test/interop/qnetd/run.ts", "--binary", "dist/quorate-linux-arm64"],
    ...["--emulator", "qemu-aarch64-static"],
  ),
  patient(
    "pvecm qdevice setup over ssh",
    ...["test/interop/qnetd/seventeen-steps.ts", "--quiet", ...x64],
  ),
];

/** Processors and nothing else. */
const work: readonly Suite[] = [
  steady("simulator", "test/sim/run.ts", "--seeds", "200", "--from", "1"),
  {
    ...{ name: "simulator's mutations", args: ["test", "--timeout", "600000", `./${mutations}`] },
    ...{ form: "bun", manner: "works" },
  },
  steady(
    "simulator with vote servers",
    ...["test/sim/run.ts", "--votes", "any", "--seeds", "300", "--from", "1"],
  ),
  // What nobody has run yet: a failure counts when the same seed fails again.
  steady("simulator, fresh seeds", "test/sim/run.ts", "--fresh", "--seeds", "40"),
  steady(
    "simulator with vote servers, fresh seeds",
    ...["test/sim/run.ts", "--votes", "any", "--fresh", "--seeds", "100"],
  ),
  steady("property tests, a fresh seed", "test/fresh-properties.ts"),
  steady("release, full compression", "build/release.ts", "--only", "linux-x64"),
];

/** Cheapest first. */
const everything: readonly Suite[] = [
  npm("format", "fmt", "--check"),
  npm("types", "check"),
  npm("lint", "lint"),
  ...tests,
  line("build of all targets", "build/build.ts", "--twice"),
  npm("demo", "demo", "--check"),
  {
    name: "demo as an ordinary user",
    args: ["build/ordinary-user.ts", "npm", "run", "demo", "--", "--check"],
    form: "exit",
  },
  line("vote server's load", "test/bench/run.ts", "votes", "--quick"),
  line("ring's cost beside corosync's", "test/bench/run.ts", "ring", "--quick"),
  line("tree's bytes to disk", "test/bench/run.ts", "tree", "--quick"),
  ...work,
  ...services,
  ...interop,
];

const plans: Readonly<Record<string, readonly Suite[]>> = {
  test: [...tests, ...interop],
  ci: everything,
};

function line(name: string, ...args: string[]): Suite {
  return { name, args, form: "line" };
}

function patient(name: string, ...args: string[]): Suite {
  return { name, args, form: "line", manner: "waits" };
}

function steady(name: string, ...args: string[]): Suite {
  return { name, args, form: "line", manner: "works" };
}

function patientTests(name: string, ...places: readonly string[]): Suite {
  return { name, args: [...bunTest, ...places], form: "bun", manner: "waits" };
}

function npm(name: string, script: string, ...args: string[]): Suite {
  return { name, program: "npm", args: ["run", "--silent", script, "--", ...args], form: "exit" };
}

/** The folders below test/ with tests of their own but test/install, and the files beside them, that are wanted. */
function testFolders(isWanted: (place: string) => boolean): string[] {
  const files = [...new Bun.Glob("**/*.test.ts").scanSync(join(root, "test"))];
  const others = files.filter((file) => `test/${file}` !== mutations);
  // The simulator's tests by their names, for one of them runs elsewhere.
  const places = others.map((file) =>
    file.includes("/") && !file.startsWith("sim/") ? `${file.split("/")[0]}/` : file,
  );
  return [...new Set(places)]
    .filter((place) => place !== "install/" && isWanted(place))
    .toSorted()
    .map((place) => `./test/${place}`);
}

/** What `output` of a suite that ended with `code` counts; what cannot be read is a failure. */
export function countOf(form: Suite["form"], output: string, code: number): Count {
  const count = form === "bun" ? bunCount(output) : form === "line" ? lineCount(output) : undefined;
  const result = count ?? { passed: 0, failed: 0, skipped: 0 };
  if (form === "exit") result.passed = code === 0 ? 1 : 0;
  const isNothing = result.passed + result.failed + result.skipped === 0;
  if (result.failed === 0 && (code !== 0 || isNothing)) result.failed = 1;
  return result;
}

/** The lines directly before "Ran N tests": a test may print something that looks like one of them. */
function bunCount(output: string): Count | undefined {
  const block = [...output.matchAll(/((?:^ *\d+ [a-z() ]+\n)+)^Ran \d+ tests? /gm)].at(-1)?.[1];
  if (block === undefined) return undefined;
  const sum = (word: RegExp): number =>
    [...block.matchAll(word)].reduce((total, match) => total + Number(match[1]), 0);
  return {
    passed: sum(/^ *(\d+) pass$/gm),
    failed: sum(/^ *(\d+) (?:fail|errors?)$/gm),
    skipped: sum(/^ *(\d+) (?:skip|todo)$/gm),
  };
}

function lineCount(output: string): Count | undefined {
  const last = output.trimEnd().split("\n").at(-1) ?? "";
  if (last.startsWith("skipped:")) return { passed: 0, failed: 0, skipped: 1 };
  const match = /^(\d+) passed, (\d+) failed$/.exec(last);
  return match === null
    ? undefined
    : { passed: Number(match[1]), failed: Number(match[2]), skipped: 0 };
}

/** Lines of a suite that name what failed or was skipped, each once: bun's "(fail) …", our runners' "FAIL  …" and "skipped: …". */
export function namesOf(form: Suite["form"], output: string): Names {
  const names = (pattern: RegExp): string[] => [
    ...new Set([...output.matchAll(pattern)].map((match) => (match[1] ?? "").trim())),
  ];
  if (form === "bun") {
    return {
      failed: names(/^\(fail\) (.*?)(?: \[[\d.]+m?s\])?$/gm),
      skipped: names(/^\((?:skip|todo)\) (.*)$/gm),
    };
  }
  return { failed: names(/^FAIL +(.*)$/gm), skipped: names(/^skipped: (.*)$/gm) };
}

/** Lines that a test of bun may have said before it failed, and characters of each, in the closing sum. */
const toldLines = 30;
const toldCharacters = 200;

/** What each failed test of bun's said: a log that is cut keeps its end, and in it the reason. */
export function toldOf(form: Suite["form"], output: string): string[] {
  if (form !== "bun") return [];
  const parts = output.split(/^\((?:pass|fail|skip|todo)\) .*$/gm);
  const ends = [...output.matchAll(/^\((pass|fail|skip|todo)\) (.*)$/gm)];
  // Bun names the failed ones again at its end.
  const isFirst = (name: string, at: number): boolean =>
    ends.findIndex((end) => end[2] === name) === at;
  return ends.flatMap(([, kind, name = ""], at) => {
    if (kind !== "fail" || !isFirst(name, at)) return [];
    const lines = (parts[at] ?? "").split("\n").filter((text) => text.trim() !== "");
    const shown = lines.slice(-toldLines).map((text) => `    ${text.slice(0, toldCharacters)}`);
    return [`failed: ${name}`, ...shown];
  });
}

interface Result {
  readonly count: Count;
  readonly names: Names;
  readonly told: readonly string[];
}

async function runSuite(suite: Suite, show: (text: string) => void): Promise<Result> {
  const started = performance.now();
  show(`\n=== ${suite.name}\n`);
  const yields = suite.manner === "works" ? ["nice", "-n", "19"] : [];
  const child = Bun.spawn([...yields, suite.program ?? process.execPath, ...suite.args], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  // Own runners close on stdout, bun test on stderr.
  const [out, err, code] = await Promise.all([
    pass(child.stdout, show),
    pass(child.stderr, show),
    child.exited,
  ]);
  const output = suite.form === "bun" ? `${out}\n${err}` : out;
  const count = countOf(suite.form, output, code);
  if (isCi && count.skipped > 0) {
    show(`${count.skipped} skipped, where nothing may be\n`);
    count.failed += count.skipped;
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  // What it waited for of its children; a suite of much waiting has little.
  const worked = (Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6).toFixed(0);
  show(`--- ${suite.name}: ${words(count)} in ${seconds} s, ${worked} s of processor\n`);
  const told = count.failed > 0 ? toldOf(suite.form, output) : [];
  return { count, names: namesOf(suite.form, output), told };
}

/** Hands everything on as it comes and keeps it. */
async function pass(
  from: ReadableStream<Uint8Array>,
  show: (text: string) => void,
): Promise<string> {
  const decoder = new TextDecoder();
  let all = "";
  for await (const chunk of from) {
    const text = decoder.decode(chunk, { stream: true });
    show(text);
    all += text;
  }
  return all + decoder.decode();
}

/** First what runs alone; then the others in lanes, each shown whole when it has ended. */
async function runAll(
  suites: readonly Suite[],
  done: (suite: Suite, result: Result) => void,
): Promise<void> {
  const write = (text: string): void => void process.stdout.write(text);
  const of = (manner: Suite["manner"]): Suite[] =>
    suites.filter((suite) => suite.manner === manner);
  for (const suite of of(undefined)) done(suite, await runSuite(suite, write));
  const lane = async (waiting: Suite[]): Promise<void> => {
    for (let suite = waiting.shift(); suite !== undefined; suite = waiting.shift()) {
      const shown: string[] = [];
      const result = await runSuite(suite, (text) => shown.push(text));
      write(shown.join(""));
      done(suite, result);
    }
  };
  const waiting = of("waits");
  await Promise.all([
    lane(of("works")),
    ...Array.from({ length: lanes }, async () => lane(waiting)),
  ]);
}

/** One suite in the closing sum: its count, and beneath it whatever is no plain success. */
export function sumLines(name: string, count: Count, names: Names): string[] {
  const failed = names.failed.length === 0 && count.failed > 0 ? [endedBadly] : names.failed;
  return [
    `${name.padEnd(44)} ${words(count)}`,
    ...failed.map((each) => `    failed: ${each}`),
    ...(count.skipped > 0 ? names.skipped.map((each) => `    skipped: ${each}`) : []),
  ];
}

function words(count: Count): string {
  const skipped = count.skipped > 0 && !isCi ? `, ${count.skipped} skipped` : "";
  return `${count.passed} passed, ${count.failed} failed${skipped}`;
}

async function main(plan: string): Promise<number> {
  const suites = plans[plan];
  if (suites === undefined) {
    process.stderr.write(`tally: no plan ${plan}; there are ${Object.keys(plans).join(", ")}\n`);
    return 2;
  }
  process.stdout.write(
    `Bun ${Bun.version}, ${process.arch}, ${availableParallelism()} processors\n`,
  );
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  const reasons: string[] = [];
  await runAll(suites, (suite, { count, names, told }) => {
    lines.push(...sumLines(suite.name, count, names));
    reasons.push(...told);
    for (const key of ["passed", "failed", "skipped"] as const) total[key] += count[key];
  });
  if (reasons.length > 0) process.stdout.write(`\n${reasons.join("\n")}\n`);
  process.stdout.write(`\n${lines.join("\n")}\n\n${total.passed} passed, ${total.failed} failed\n`);
  return total.failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv[2] ?? "");
