// Our vote server with Debian's corosync and corosync-qdevice, each scenario at the same time with Debian's corosync-qnetd: the same
// votes and the same texts of all tools after every step. One line a step, a closing line "N passed, N failed".
//   bun test/interop/qnetd/run.ts [--short] [--only NAME] [--binary FILE [--emulator FILE [--libraries DIR]]]
// Without root or Debian's programs it says "skipped: …" and exits 0; with QUORATE_CI=1 that is a failure.
import { reasonOf } from "../../../src/result.ts";
import { runLabs } from "../lab.ts";
import { obstacleTo, skipped } from "../needs.ts";
import { emulatedScenarios, type Scenario, scenarios } from "./scenarios.ts";
import {
  binaryProgram,
  emulatedProgram,
  type ServerProgram,
  sourceProgram,
} from "./server-program.ts";
import { takeover } from "./takeover.ts";
import { OriginalFailure, runOnBoth, type StepTimes } from "./both-servers.ts";

const needed = [
  "corosync",
  "corosync-qdevice",
  "corosync-qdevice-net-certutil",
  "corosync-qnetd",
  "corosync-qnetd-tool",
  "certutil",
];
const takeoverName = "takeover";
/** Where Debian's libc6-arm64-cross puts it. */
const armLibraries = "/usr/aarch64-linux-gnu";
/** Faults of the original can leave it without a vote (qnetd.md §2.2): such a run says nothing and is made again. */
const attemptsMax = 3;

interface Choice {
  readonly program: ServerProgram;
  readonly chosen: readonly Scenario[];
  readonly isTakingOver: boolean;
}

const usage =
  "usage: run.ts [--short] [--only NAME] [--binary FILE [--emulator FILE [--libraries DIR]]]";

/** A sentence when the words make no sense. */
function choose(words: readonly string[]): Choice | string {
  const given = new Map<string, string>();
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--short") {
      given.set(word, "");
    } else if (["--only", "--binary", "--emulator", "--libraries"].includes(word)) {
      const value = words[(at += 1)];
      if (value === undefined) return usage;
      given.set(word, value);
    } else return usage;
  }
  const [binary, emulator] = [given.get("--binary"), given.get("--emulator")];
  const known = emulator === undefined ? scenarios : emulatedScenarios;
  const only = given.get("--only");
  const isShort = given.has("--short");
  const chosen = known
    .filter(({ name, shortSteps }) =>
      only === undefined ? !isShort || shortSteps !== undefined : name === only,
    )
    .map((one) => (isShort ? { ...one, steps: one.steps.slice(0, one.shortSteps) } : one));
  const isTakingOver =
    only === undefined ? emulator === undefined && !isShort : only === takeoverName;
  if (chosen.length === 0 && !isTakingOver) {
    return `--only is one of: ${[...known.map(({ name }) => name), takeoverName].join(", ")}`;
  }
  if (emulator !== undefined && binary === undefined) return usage;
  return { program: programOf(binary, emulator, given.get("--libraries")), chosen, isTakingOver };
}

function programOf(
  binary: string | undefined,
  emulator: string | undefined,
  libraries = armLibraries,
): ServerProgram {
  if (binary === undefined) return sourceProgram();
  if (emulator === undefined) return binaryProgram(binary);
  return emulatedProgram(binary, emulator, libraries);
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1).padStart(5)} s`;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

async function run(scenario: Scenario, program: ServerProgram): Promise<boolean> {
  const report = (step: string, { oursMs, originalMs }: StepTimes): void => {
    const times = `${seconds(oursMs)}  original ${seconds(originalMs)}`;
    console.log(`ok    ${scenario.name.padEnd(12)} ${step.padEnd(16)} ${times}`);
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      const bytes = await runOnBoth(scenario, program, report);
      const { ours, original } = bytes;
      console.log(`      resident: ${megabytes(ours)}, original ${megabytes(original)}`);
      return true;
    } catch (error) {
      const reason = reasonOf(error);
      const isOriginals = error instanceof OriginalFailure && attempt < attemptsMax;
      console.log(`${isOriginals ? "again" : "FAIL "} ${scenario.name}: ${reason}`);
      if (!isOriginals) return false;
    }
  }
}

async function main(): Promise<number> {
  const choice = choose(process.argv.slice(2));
  if (typeof choice === "string") {
    console.error(choice);
    return 2;
  }
  const obstacle = obstacleTo(needed);
  if (obstacle !== undefined) return skipped(obstacle);
  const { program, chosen, isTakingOver } = choice;
  console.log(`vote server: ${program.what}`);
  const results: boolean[] = [];
  try {
    for (const scenario of chosen) results.push(await run(scenario, program));
    if (isTakingOver) results.push(await takeover(program));
  } finally {
    program.close();
  }
  const passed = results.filter((ok) => ok).length;
  console.log(`${passed} passed, ${results.length - passed} failed`);
  return passed === results.length ? 0 : 1;
}

await runLabs(main);
