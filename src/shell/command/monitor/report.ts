// `quorate report`: what the running node tells, or what lies on this machine when none answers.
import { readFileSync } from "node:fs";
import { reportSections } from "../../answers/monitor.ts";
import { CommandFailure, exitNotRunning, exitOk } from "../../exit.ts";
import { machineFacts, reportText, type Section, sectionsOf } from "../../monitor/report.ts";
import { nodePaths } from "../../paths.ts";
import { upgradePlaces } from "../../upgrade/places.ts";
import { versionLine } from "../../version.ts";
import { LocalApi } from "../cluster/local-api.ts";

export interface ReportOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

/** The last lines of a log are what matters. */
const logCharactersMax = 65_536;

export async function reportCommand({ root, json, write }: ReportOptions): Promise<number> {
  const { sections, code } = await sectionsFor(root);
  write(json ? `${JSON.stringify(sections, undefined, 2)}\n` : reportText(sections));
  return code;
}

async function sectionsFor(
  root: string,
): Promise<{ readonly sections: readonly Section[]; readonly code: number }> {
  try {
    const api = new LocalApi(nodePaths(root).socket);
    const told = await api.call(reportSections, "GET", "/report");
    return { sections: [...told, ...(await ownSections(root))], code: exitOk };
  } catch (error) {
    if (!(error instanceof CommandFailure) || error.code !== exitNotRunning) throw error;
    const head = await sectionsOf([
      ["the node", () => error.message],
      ["this program", () => versionLine()],
      ["machine", machineFacts],
    ]);
    return { sections: [...head, ...(await ownSections(root))], code: exitNotRunning };
  }
}

/** Of this machine's disk. */
function ownSections(root: string): Promise<readonly Section[]> {
  const text = (path: string) => () => readFileSync(path, "utf8");
  const { conf } = nodePaths(root);
  const { log, record } = upgradePlaces(root, process.execPath);
  return sectionsOf([
    [`${conf} of this machine`, text(conf)],
    ["upgrade that is going on", text(record)],
    ["log of upgrades", () => readFileSync(log, "utf8").slice(-logCharactersMax)],
  ]);
}
