// Quorum devices with real daemons in namespaces: quorate nodes, alone and mixed with Debian's corosync and corosync-qdevice, with
// Debian's vote server and with ours, TLS off, required, and on without certificates. One line a scenario, then "N passed, N failed".
//   bun test/interop/device.ts [--short] [--only WORD] [--binary FILE]
// --only: the chapters or scenarios whose line has the word. Without root or Debian's programs it says "skipped: …" and exits 0;
// with QUORATE_CI=1 that is a failure.
import { reasonOf } from "../../src/result.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { DeviceLab, type DevicePlan } from "./device-lab.ts";
import {
  certificateComes,
  connect,
  heuristics,
  killed,
  lastMan,
  name,
  powerLoss,
  type Scenario,
  serverRestarts,
  shutdown,
  silentServer,
  splitAndHeal,
  tools,
} from "./device-scenarios.ts";
import { type NodeKind, runLabs } from "./lab.ts";
import {
  binaryProgram,
  originalProgram,
  type ServerProgram,
  sourceProgram,
} from "./qnetd/server-program.ts";

const needed = [
  "corosync",
  "corosync-qdevice",
  "corosync-qdevice-net-certutil",
  "corosync-qdevice-tool",
  "corosync-qnetd",
  "certutil",
];

interface Chapter {
  readonly plan: DevicePlan;
  readonly scenarios: readonly Scenario[];
  /** Those of the short form; none: the chapter is left out there. */
  readonly short: readonly Scenario[];
}

function chapters(ours: ServerProgram, binary: string | undefined): readonly Chapter[] {
  const base = { tls: "off", algorithm: "ffsplit", heuristics: "off" } as const;
  const both: readonly NodeKind[] = ["quorate", "quorate"];
  const mixed: readonly NodeKind[] = ["corosync", "quorate"];
  const mixedToo: readonly NodeKind[] = ["quorate", "corosync"];
  const all = [
    connect,
    tools,
    splitAndHeal,
    killed,
    powerLoss,
    serverRestarts,
    silentServer,
    shutdown,
  ];
  const most = [connect, tools, splitAndHeal, killed, powerLoss, serverRestarts];
  const chapter = (
    plan: Partial<DevicePlan>,
    scenarios: readonly Scenario[],
    short: readonly Scenario[] = [],
  ): Chapter => ({
    plan: { ...base, kinds: both, server: originalProgram, binary, ...plan },
    scenarios,
    short,
  });
  return [
    chapter({}, all, [connect, tools, splitAndHeal, powerLoss, serverRestarts]),
    chapter({ server: ours, tls: "required" }, all, [connect, splitAndHeal, shutdown]),
    chapter({ kinds: mixed, server: ours }, most, [connect, tools, splitAndHeal]),
    chapter({ kinds: mixedToo, tls: "required" }, most, [connect, tools, splitAndHeal]),
    chapter({ tls: "on" }, [connect, certificateComes], [connect, certificateComes]),
    chapter({ heuristics: "on" }, [heuristics], [heuristics]),
    chapter({ algorithm: "lms", kinds: [...both, "quorate"] }, lmsScenarios, [lastMan]),
    chapter({ tls: "required" }, most),
    chapter({ server: ours }, most),
    chapter({ kinds: mixed, server: ours, tls: "required" }, most),
    chapter({ kinds: mixedToo }, most),
    chapter({ heuristics: "sync", server: ours }, [heuristics]),
    chapter({ heuristics: "on", server: ours, kinds: mixed }, [heuristics]),
    chapter({ algorithm: "lms", kinds: [...mixed, "quorate"], server: ours }, lmsScenarios),
    chapter({ host: "votes.test" }, [name, connect]),
  ];
}

const lmsScenarios = [connect, tools, splitAndHeal, lastMan];

interface Choice {
  readonly isShort: boolean;
  readonly only: string | undefined;
  readonly binary: string | undefined;
}

function choose(words: readonly string[]): Choice {
  const after = (option: string): string | undefined => {
    const at = words.indexOf(option);
    return at < 0 ? undefined : words[at + 1];
  };
  return { isShort: words.includes("--short"), only: after("--only"), binary: after("--binary") };
}

/** Why nothing can be run here; undefined when all is there. */
function labelOf({ kinds, server, tls, algorithm, heuristics: mode, host }: DevicePlan): string {
  const whose = server === originalProgram ? "qnetd" : "ours";
  const parts = [
    kinds.join("+"),
    whose,
    tls === "off" ? "plain" : tls === "on" ? "tls-on" : "tls",
    algorithm,
  ];
  if (mode !== "off") parts.push(`heuristics-${mode}`);
  if (host !== undefined) parts.push(host);
  return parts.join(" ");
}

class Run {
  passed = 0;
  failed = 0;

  /** A failed scenario leaves its laboratory behind: the next one gets a new one. */
  async chapter(plan: DevicePlan, scenarios: readonly Scenario[]): Promise<void> {
    let lab: DeviceLab | undefined;
    for (const scenario of scenarios) {
      const begun = performance.now();
      const label = `${labelOf(plan)}: ${scenario.name}`.padEnd(60);
      const spent = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
      try {
        if (lab === undefined) {
          lab = await DeviceLab.create(plan);
          if (scenario !== name) for (const node of lab.nodes) lab.startNode(node);
        }
        const remark = await scenario.run(lab);
        this.passed += 1;
        console.log(`ok    ${label} ${spent()}  ${remark}`);
      } catch (error) {
        this.failed += 1;
        const reason = reasonOf(error);
        console.log(`FAIL  ${label} ${spent()}  ${reason}\n${lab?.logs() ?? ""}`);
        await lab?.close();
        lab = undefined;
      }
    }
    await lab?.close();
  }
}

async function main(): Promise<number> {
  const obstacle = obstacleTo(needed);
  if (obstacle !== undefined) return skipped(obstacle);
  const { isShort, only, binary } = choose(process.argv.slice(2));
  const ours = binary === undefined ? sourceProgram() : binaryProgram(binary);
  const run = new Run();
  try {
    for (const { plan, scenarios, short } of chapters(ours, binary)) {
      const chosen = (isShort ? short : scenarios).filter(
        (scenario) => only === undefined || `${labelOf(plan)}: ${scenario.name}`.includes(only),
      );
      await run.chapter(plan, chosen);
    }
  } finally {
    ours.close();
  }
  console.log(`${run.passed} passed, ${run.failed} failed`);
  return run.failed === 0 ? 0 : 1;
}

await runLabs(main);
