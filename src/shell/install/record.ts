// What was installed, a line each, in `installed` of the state directory (engineering.md §13 I16): "/a/file", "/a/directory/" that was
// not there before, "user:NAME", "service:MANAGER:NAME". Only what is written there is ever removed, and only if it looks like ours: a
// damaged or forged file must not become a list of things to delete.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { linkNames } from "../tool/link-names.ts";
import { type ManagerKind, managerKinds } from "../unit/services.ts";
import { type Role, roles } from "../upgrade/events.ts";
import { serverUser } from "../unit/unit-text.ts";

const recordBytesMax = 1_048_576;

export interface InstalledService {
  readonly manager: ManagerKind;
  readonly role: Role;
}

/** Paths as on the running system: without the directory of --root. */
export interface Installed {
  readonly files: readonly string[];
  /** Parents before what is in them. */
  readonly directories: readonly string[];
  readonly users: readonly string[];
  readonly services: readonly InstalledService[];
  /** Lines that are none of these, or name what cannot be ours. */
  readonly foreign: readonly string[];
}

/** The places where an installation keeps its things. */
export interface InstallPlaces {
  /** "" for the machine's own, else an absolute path before all others. */
  readonly base: string;
  readonly state: string;
  readonly record: string;
}

/** Without root all files of the vote server are below one directory of the user's. */
export function installPlaces(isRoot: boolean, home: string): InstallPlaces {
  const base = isRoot ? "" : join(home, ".local/share/quorate");
  const state = `${base}/var/lib/quorate`;
  return { base, state, record: join(state, "installed") };
}

export function readInstalled(text: string): Installed {
  const lines = [...new Set(text.slice(0, recordBytesMax).split("\n"))].filter(
    (line) => line !== "",
  );
  const files: string[] = [];
  const directories: string[] = [];
  const users: string[] = [];
  const services: InstalledService[] = [];
  const foreign: string[] = [];
  for (const line of lines) {
    const service = serviceOf(line);
    if (service !== undefined) services.push(service);
    else if (line === `user:${serverUser}`) users.push(serverUser);
    else if (isPath(line) && line.endsWith("/")) directories.push(line.slice(0, -1));
    else if (isPath(line) && isOurName(line)) files.push(line);
    else foreign.push(line);
  }
  return { files, directories: directories.toSorted(), users, services, foreign };
}

function serviceOf(line: string): InstalledService | undefined {
  const [, kind, name] = /^service:([a-z-]+):quorate-([a-z]+)$/.exec(line) ?? [];
  const manager = managerKinds.find((each) => each === kind);
  const role = roles.find((each) => each === name);
  return manager === undefined || role === undefined ? undefined : { manager, role };
}

function isPath(line: string): boolean {
  return /^\/[^\0]*[^/\0]\/?$/.test(line) && !/\/\.{0,2}\//.test(line) && !/\/\.{1,2}$/.test(line);
}

/** quorate, quorate-qnetd.service, quorate-qnetd.8, _quorate …, or one of the names it answers to. */
function isOurName(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return /^_?quorate(?:[-@.][\w@.-]*)?$/.test(name) || linkNames.includes(name);
}

/** Writes lines down before what they name is made. */
export class InstallRecord {
  readonly #places: InstallPlaces;
  readonly #known: Set<string>;

  constructor(places: InstallPlaces) {
    this.#places = places;
    this.#known = new Set(
      existsSync(places.record) ? readFileSync(places.record, "utf8").split("\n") : [],
    );
  }

  has(line: string): boolean {
    return this.#known.has(line);
  }

  /** Each line once. Makes the state directory. */
  add(...lines: readonly string[]): void {
    const fresh = lines.filter((line) => !this.#known.has(line));
    if (fresh.length === 0) return;
    const missing = missingDirectories(dirname(this.#places.record));
    mkdirSync(dirname(this.#places.record), { recursive: true, mode: 0o755 });
    // Only the state directory's parents: it goes as a whole.
    const all = [...missing.slice(0, -1).map((path) => `${path}/`), ...fresh];
    for (const line of all) this.#known.add(line);
    appendFileSync(this.#places.record, all.map((line) => `${line}\n`).join(""), {
      mode: 0o644,
      flush: true,
    });
  }
}

/** Which of `path` and its parents do not exist, outermost first. */
export function missingDirectories(path: string): readonly string[] {
  if (path === "/" || existsSync(path)) return [];
  return [...missingDirectories(dirname(path)), path];
}
