// Runs the interop scenarios: every shape with every crypto setting, one line each, a closing line "N passed, N failed".
//   bun test/interop/run.ts [--long] [--only NAME] [--shape 1+2] [--crypto none|aes] [--binary FILE] [--seed N]
// Without root or without Debian's corosync it says "skipped: …" and exits 0; with QUORATE_CI=1 that is a failure.
import { reasonOf } from "../../src/result.ts";
import { runLabs, Lab, type NodeKind } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { quorateProgram } from "./quorate.ts";
import type { Crypto } from "./ring-conf.ts";
import {
  complaints,
  mixedScenarios,
  type Scenario,
  treeScenarios,
  wholeRing,
} from "./scenarios.ts";

interface Shape {
  readonly name: string;
  readonly kinds: readonly NodeKind[];
  readonly cryptos: readonly Crypto[];
  readonly scenarios: readonly Scenario[];
}

const cryptos: readonly Crypto[] = ["none", "aes"];

const mixed = { cryptos, scenarios: mixedScenarios };
/** quorate + corosync. The lowest nodeid is the ring's representative: once ours, once theirs. */
/** Shows that the scenarios ask for what the originals do; says nothing about us, so only by name or with --long. */
const originals = "0+3";
const shapes: readonly Shape[] = [
  { name: originals, kinds: ["corosync", "corosync", "corosync"], ...mixed },
  { name: "1+2", kinds: ["quorate", "corosync", "corosync"], ...mixed },
  { name: "2+1", kinds: ["corosync", "quorate", "quorate"], ...mixed },
  {
    name: "3+0",
    kinds: ["quorate", "quorate", "quorate"],
    cryptos: ["aes"],
    scenarios: treeScenarios,
  },
];

interface Choice {
  readonly long: boolean;
  readonly only: string | undefined;
  readonly shape: string | undefined;
  readonly crypto: string | undefined;
  readonly binary: string | undefined;
  readonly seed: number;
}

const usage =
  "usage: run.ts [--long] [--only NAME] [--shape 0+3|1+2|2+1|3+0] [--crypto none|aes] [--binary FILE] [--seed N]";

function choose(words: readonly string[]): Choice | string {
  const values = new Map<string, string>();
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--long") {
      values.set(word, "yes");
      continue;
    }
    const value = words[at + 1];
    const known = ["--only", "--shape", "--crypto", "--binary", "--seed"].includes(word);
    if (!known || value === undefined) return usage;
    values.set(word, value);
    at += 1;
  }
  const choice: Choice = {
    long: values.has("--long"),
    only: values.get("--only"),
    shape: values.get("--shape"),
    crypto: values.get("--crypto"),
    binary: values.get("--binary"),
    seed: Number(values.get("--seed") ?? "1"),
  };
  const fits = <T>(list: readonly T[], name: (one: T) => string, wanted: string | undefined) =>
    wanted === undefined || list.some((one) => name(one) === wanted);
  const isKnown =
    fits([...mixedScenarios, ...treeScenarios], (scenario) => scenario.name, choice.only) &&
    fits(shapes, (shape) => shape.name, choice.shape) &&
    fits(cryptos, (crypto) => crypto, choice.crypto) &&
    Number.isSafeInteger(choice.seed);
  return isKnown ? choice : usage;
}

/** Why nothing can be run here; undefined when all is there. */
interface Tally {
  passed: number;
  failed: number;
}

/** One laboratory for all scenarios of a shape; after a failure the next scenario gets a fresh one. */
async function runShape(shape: Shape, crypto: Crypto, choice: Choice, tally: Tally): Promise<void> {
  let lab: Lab | undefined;
  for (const scenario of shape.scenarios) {
    if (choice.only !== undefined && scenario.name !== choice.only) continue;
    const begun = performance.now();
    const label = `${shape.name} ${crypto.padEnd(4)} ${scenario.name.padEnd(18)}`;
    const spent = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`.padStart(7);
    try {
      lab ??= await startLab(shape, crypto, choice);
      const remark = await runScenario(lab, scenario, choice);
      tally.passed += 1;
      console.log(`ok    ${label} ${spent()}  ${remark}`);
    } catch (error) {
      tally.failed += 1;
      const reason = reasonOf(error);
      console.log(`FAIL  ${label} ${spent()}  ${reason}`);
      if (lab !== undefined) console.log(lastLines(lab));
      await lab?.close();
      lab = undefined;
    }
  }
  await lab?.close();
}

async function startLab(shape: Shape, crypto: Crypto, choice: Choice): Promise<Lab> {
  const lab = await Lab.create({
    kinds: shape.kinds,
    crypto,
    // Short tokens keep CI short: the number scales every timeout but changes no rule.
    tokenMs: choice.long ? 3000 : 1000,
    quorate: quorateProgram(choice.binary),
  });
  lab.startAll();
  return lab;
}

async function runScenario(lab: Lab, scenario: Scenario, choice: Choice): Promise<string> {
  await wholeRing(lab);
  const remark = await scenario.run({ lab, long: choice.long, seed: choice.seed });
  const [problem] = complaints(lab);
  if (problem !== undefined) throw new Error(problem);
  return remark;
}

function lastLines(lab: Lab): string {
  return lab.nodes
    .map((node) => {
      const lines = node.log().trimEnd().split("\n").slice(-15);
      return lines.map((line) => `      ${node.name} (${node.kind}) | ${line}`).join("\n");
    })
    .join("\n");
}

async function main(): Promise<number> {
  const choice = choose(process.argv.slice(2));
  if (typeof choice === "string") {
    console.error(choice);
    return 2;
  }
  const obstacle = obstacleTo(["corosync"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const tally: Tally = { passed: 0, failed: 0 };
  for (const shape of shapes) {
    const isChosen =
      choice.shape === undefined
        ? choice.long || shape.name !== originals
        : shape.name === choice.shape;
    if (!isChosen) continue;
    for (const crypto of shape.cryptos) {
      if (choice.crypto === undefined || crypto === choice.crypto) {
        await runShape(shape, crypto, choice, tally);
      }
    }
  }
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
}

await runLabs(main);
