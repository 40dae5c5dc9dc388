// The data of a role: what --purge may remove of it, and what there belongs to others. Only looks.
import { join } from "node:path";
import type { Role } from "../upgrade/events.ts";
import type { InstallPlaces } from "./record.ts";
import { dataOf } from "./service-manager.ts";
import { isThere, linkTarget } from "./steps.ts";
import { readdirSync } from "node:fs";

export interface RoleData {
  /** To be removed: files, and directories with all that is in them. */
  readonly ours: readonly string[];
  /** What stays, a sentence each. */
  readonly left: readonly string[];
}

/** Whose files have the same names and forms as a node's. A vote server's tell whose they are. */
const originals = ["/usr/sbin/corosync", "/usr/bin/pmxcfs"];
/** What a vote server of quorate writes beside an NSS database. */
const ownBesideNss = /^(?:qnetd-ca\.pem|qnetd-server\.pem|quorate\.lock|invite-[\w.-]+\.json)$/;

/** `isRecorded`: a service of this role was installed, so that its data is quorate's whatever else is on the machine. */
export function roleData(role: Role, isRecorded: boolean, places: InstallPlaces): RoleData {
  const present = dataOf(role, places).filter(isThere);
  if (present.length === 0) return { ours: [], left: [] };
  const database = `${places.base}/etc/corosync/qnetd/nssdb`;
  if (role === "qnetd" && ["cert9.db", "cert8.db"].some((name) => isThere(join(database, name)))) {
    const names = readdirSync(database).filter((name) => ownBesideNss.test(name));
    return {
      ours: names.map((name) => join(database, name)),
      left: [`${database} (the NSS database and certificates of corosync-qnetd)`],
    };
  }
  if (isRecorded || role === "qnetd") return { ours: present, left: [] };
  const program = originals
    .map((path) => `${places.base}${path}`)
    .find((path) => isThere(path) && linkTarget(path) === undefined);
  if (program === undefined) return { ours: present, left: [] };
  return {
    ours: [],
    left: [`${present.join(" ")} (${program} is here, and no service of quorate was)`],
  };
}
