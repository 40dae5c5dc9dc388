// Cuts under write load: three quorate nodes, a writer on each, one random cut after another; at the end the trees must be
// equal and hold every write that was acknowledged (engineering.md §9, F1 and F3).
import type { Lab, LabNode } from "./lab.ts";
import { nodeClient } from "./quorate.ts";
import { expectEqualAndWhole, TreeWriter } from "./tree-writer.ts";
import { holds, pending, type Progress, ready } from "./wait.ts";

export interface CutPlan {
  readonly cuts: number;
  readonly cutMs: number;
  readonly seed: number;
}

/** Plays the plan; `merged` waits until all nodes are one quorate ring again. Answers what was measured. */
export async function cutsUnderLoad(
  lab: Lab,
  plan: CutPlan,
  merged: () => Promise<unknown>,
): Promise<string> {
  await nodeClient(lab.node(1).root).mkdir("load");
  const writers = lab.nodes.map((node) => new TreeWriter(node));
  for (const writer of writers) writer.start();
  const names: string[] = [];
  try {
    for (const cut of drawCuts(lab, plan)) {
      await lab.cut(cut.sideA, cut.sideB);
      await holds(() => allRun(lab), plan.cutMs, "every node survives the cut");
      await lab.heal();
      await merged();
      names.push(cut.name);
    }
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
  }
  for (const writer of writers) {
    if (writer.acknowledged === 0) throw new Error(`${writer.name} had no write acknowledged`);
  }
  await expectEqualAndWhole(lab, writers);
  const done = writers.map((writer) => `${writer.name} ${writer.acknowledged}+${writer.refused}`);
  return `${names.join(" ")}; acknowledged+refused writes: ${done.join(" ")}`;
}

interface Cut {
  readonly name: string;
  readonly sideA: readonly LabNode[];
  readonly sideB: readonly LabNode[];
}

/** One node against all others, or one pair that no longer hears each other while both hear the third. */
function drawCuts(lab: Lab, plan: CutPlan): readonly Cut[] {
  const choices: Cut[] = [];
  for (const node of lab.nodes) {
    const others = lab.nodes.filter((other) => other !== node);
    const names = others.map((other) => other.nodeid).join(",");
    choices.push({ name: `${node.nodeid}|${names}`, sideA: [node], sideB: others });
    for (const other of others) {
      if (other.nodeid < node.nodeid) continue;
      choices.push({ name: `${node.nodeid}x${other.nodeid}`, sideA: [node], sideB: [other] });
    }
  }
  return Array.from({ length: plan.cuts }, (_, index) => {
    const draw = Bun.hash.wyhash(`${plan.seed} ${index}`) % BigInt(choices.length);
    return choices[Number(draw)] ?? { name: "none", sideA: [], sideB: [] };
  });
}

function allRun(lab: Lab): Progress<void> {
  const dead = lab.nodes.find((node) => !node.running);
  return dead === undefined ? ready(undefined) : pending(`${dead.name} does not run`);
}
