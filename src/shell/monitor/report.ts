// The report of a node for whoever helps: its configuration without secrets, how it is, what happened, its last log lines. Sections of text, each of which
// is bounded and masked here, whoever wrote it; one that cannot be made says why.
import {
  arch,
  cpus,
  freemem,
  loadavg,
  networkInterfaces,
  release,
  totalmem,
  uptime,
} from "node:os";
import { reasonOf } from "../../result.ts";
import { logLine } from "../cli/log.ts";
import { masked } from "./masking.ts";
import type { LoggedLine } from "./recent-log.ts";

const sectionCharactersMax = 262_144;

export interface Section {
  /** What it is, a line. */
  readonly name: string;
  readonly text: string;
}

/** A section's name, and what makes its text: text, lines, or data that is shown as JSON. */
export type SectionSource = readonly [name: string, make: () => unknown];

export async function sectionsOf(sources: readonly SectionSource[]): Promise<readonly Section[]> {
  const sections: Section[] = [];
  for (const [name, make] of sources) sections.push({ name, text: await textOf(make) });
  return sections;
}

async function textOf(make: () => unknown): Promise<string> {
  try {
    const made = await make();
    const text = typeof made === "string" ? made : JSON.stringify(made, undefined, 2);
    return masked(cut(text)).trimEnd();
  } catch (error) {
    return `it could not be read: ${reasonOf(error)}`;
  }
}

/** The end of a log says more than its beginning; of all else the beginning is kept too. */
function cut(text: string): string {
  if (text.length <= sectionCharactersMax) return text;
  const half = sectionCharactersMax / 2;
  const gone = text.length - 2 * half;
  return `${text.slice(0, half)}\n… ${gone} characters are left out here …\n${text.slice(-half)}`;
}

/** As `quorate report` prints it. */
export function reportText(sections: readonly Section[]): string {
  return sections.map(({ name, text }) => `==== ${name} ====\n${text}\n`).join("\n");
}

/** What of the machine matters to a cluster. */
export function machineFacts(): object {
  const interfaces = Object.entries(networkInterfaces()).map(([name, addresses = []]) => ({
    name,
    addresses: addresses.map(({ cidr, address }) => cidr ?? address),
  }));
  return {
    system: `${process.platform} ${release()} ${arch()}`,
    processors: cpus().length,
    loadAverage: loadavg(),
    memoryBytes: totalmem(),
    memoryFreeBytes: freemem(),
    uptimeS: Math.floor(uptime()),
    interfaces,
  };
}

export function logText(lines: readonly LoggedLine[]): string {
  return lines
    .map(({ at, level, subsystem, text }) => logLine({ kind: "log", level, subsystem, text }, at))
    .join("\n");
}
