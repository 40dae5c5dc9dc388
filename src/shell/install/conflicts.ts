// Programs that cannot run beside a service of ours: corosync and pmxcfs with a node, corosync-qnetd with a vote server
// (engineering.md §13 I14). Only looks; stopping them is the operator's decision.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import type { Role } from "../upgrade/events.ts";

const programs: Readonly<Record<Role, readonly string[]>> = {
  node: ["corosync", "pmxcfs"],
  qnetd: ["corosync-qnetd"],
};

/** Units of Debian's packages. */
export const conflictingUnits: Readonly<Record<Role, readonly string[]>> = {
  node: ["corosync", "pve-cluster"],
  qnetd: ["corosync-qnetd"],
};

/** Each as "corosync runs (process 12)". `isEnabled` asks the service manager for a unit; undefined where there is none to ask. */
export async function findConflicts(
  role: Role,
  isEnabled: ((unit: string) => Promise<boolean>) | undefined,
  processes = "/proc",
): Promise<readonly string[]> {
  const found: string[] = [];
  const pids = readdirSync(processes).filter((name) => /^\d+$/.test(name));
  for (const pid of pids.toSorted((a, b) => Number(a) - Number(b))) {
    const program = programOf(`${processes}/${pid}`);
    if (program !== undefined && programs[role].includes(program))
      found.push(`${program} runs (process ${pid})`);
  }
  if (isEnabled === undefined) return found;
  for (const unit of conflictingUnits[role]) {
    if (await isEnabled(unit)) found.push(`${unit}.service is enabled`);
  }
  return found;
}

/** The process's name, unless it is quorate under one of its other names; undefined when it has ended meanwhile. */
function programOf(directory: string): string | undefined {
  try {
    if (/^quorate\b/.test(basename(readlinkSync(`${directory}/exe`)))) return undefined;
    return readFileSync(`${directory}/comm`, "utf8").trimEnd();
  } catch {
    return undefined; // Gone, or of the kernel.
  }
}
