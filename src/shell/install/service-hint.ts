// What the service manager says of a service of ours that does not answer, and what to do: for the sentence of a status command.
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { managerOf } from "./service-manager.ts";
import type { Role } from "../upgrade/events.ts";
import { upgradePlaces } from "../upgrade/places.ts";
import { detectManager, servicesOf } from "../unit/services.ts";

/**
 * The second half of "… does not answer: …"; undefined where no service of this machine keeps its files below `root`, or
 * where the service is down although a process holds those files (`isHeld`).
 */
export async function serviceHint(
  role: Role,
  root: string,
  isHeld = false,
): Promise<string | undefined> {
  const places = upgradePlaces(root, "");
  const kind = detectManager(places, [role]);
  const manager = managerOf(kind, process.env["HOME"] ?? userInfo().homedir);
  const unit = manager?.units(role)[0];
  if (manager === undefined || unit === undefined || !isFor(unit.path, places.root))
    return undefined;
  const name = `its service quorate-${role} of ${manager.name}`;
  const why = `why: ${manager.look(role)}`;
  const state = await servicesOf(kind, places).state(role);
  if (isHeld && (state === "failed" || state === "stopped")) return undefined;
  switch (state) {
    case "failed":
      return `${name} has failed. ${why}; when that is mended, start it: ${manager.startFailed(role)}`;
    case "stopped":
      return `${name} is stopped; start it: ${manager.start(role).join(" ")}`;
    case "starting":
      return `${name} is being started; ${why}, if that takes long`;
    case "running":
    case "unknown":
      return `${name} does not answer; ${why}`;
  }
}

function isFor(unit: string, root: string): boolean {
  if (!existsSync(unit)) return false;
  const text = readFileSync(unit, "utf8");
  return root === "/" ? !text.includes(" --root ") : text.includes(` --root ${root}`);
}
