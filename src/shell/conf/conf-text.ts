// What all edits of corosync.conf share: the parsed file, its version, and the two ways to write it down again: in the form it had
// (`printConf`), or in the exact form of Proxmox's writer (pvecm.md §2.1). Pure. Texts hold one character a byte.
import { bytesOf } from "../../bytes.ts";
import {
  type Conf,
  type ConfItem,
  type ConfSection,
  entryAt,
  parseConf,
  printConf,
  sectionsOf,
} from "../../conf.ts";
import { configVersionOf } from "../../fs/disk/corosync-conf.ts";
import { type Result, success, failure } from "../../result.ts";

const versionMax = 2 ** 31;

/** Sections that corosync numbers instead of merging them. */
const repeatable: ReadonlySet<string> = new Set(["node", "interface", "logger_subsys", "uidgid"]);

export interface ConfEdit {
  readonly text: string;
  readonly version: number;
  /** What else was changed or is to be known, in sentences. */
  readonly notes: readonly string[];
}

/** The reason names the line. */
export function parsed(text: string): Result<Conf> {
  const conf = parseConf(text);
  return conf.ok ? success(conf.value) : failure(`corosync.conf:${conf.line}: ${conf.reason}`);
}

/** As pmxcfs reads it: the first one anywhere in the file. */
export function versionOf(conf: Conf, text: string): Result<number> {
  const version = configVersionOf(bytesOf(text));
  const inTotem = Number(entryAt(conf, ["totem", "config_version"])?.value ?? 0);
  if (version > 0 && version === inTotem && version < versionMax) return success(version);
  return failure(
    "invalid corosync config: unable to read config version. It must stand once in the file, in the totem section",
  );
}

/** `conf` under the version after that of `text`, with its comments and order. */
export function finished(conf: Conf, text: string, notes: readonly string[]): Result<ConfEdit> {
  return numbered(conf, text, notes, printConf);
}

/** The same in the form of Proxmox's writer, which loses comments: a note says so. */
export function finishedCanonical(
  conf: Conf,
  text: string,
  notes: readonly string[],
): Result<ConfEdit> {
  const before = parsed(text);
  const count = before.ok ? commentCount(before.value) : 0;
  const lost = count === 1 ? "its comment is" : `its ${count} comments are`;
  const added = count === 0 ? [] : [`corosync.conf is written anew: ${lost} lost`];
  return numbered(conf, text, [...notes, ...added], canonicalText);
}

function numbered(
  conf: Conf,
  text: string,
  notes: readonly string[],
  print: (conf: Conf) => string,
): Result<ConfEdit> {
  const current = parsed(text);
  if (!current.ok) return current;
  const before = versionOf(current.value, text);
  if (!before.ok) return before;
  const version = before.value + 1;
  for (const totem of sectionsOf(conf, "totem")) {
    for (const item of totem.items) {
      if (item.kind === "entry" && item.key === "config_version") item.value = String(version);
    }
  }
  const printed = print(conf);
  const after = parsed(printed);
  if (!after.ok) return after;
  const read = versionOf(after.value, printed);
  return read.ok ? success({ text: printed, version, notes }) : read;
}

/** Proxmox's writer: keys and sections of a section in byte order, nodes by name, links by number, no comments. */
export function canonicalText(conf: Conf): string {
  const { items } = canonical(conf);
  return items.map((item) => `${printConf({ ...conf, items: [item] })}${after(item)}`).join("");
}

const after = (item: ConfItem): string => (item.kind === "section" ? "\n" : "");

/** As corosync reads it: the last value of a key counts, sections of one name are one. Sorted; a copy. */
export function canonical(conf: Conf): Conf {
  const entries = new Map<string, ConfItem>();
  const sections = new Map<string, ConfSection>();
  const repeated: ConfSection[] = [];
  for (const item of conf.items) {
    if (item.kind === "entry") entries.set(item.key, { ...item });
    if (item.kind !== "section") continue;
    if (repeatable.has(item.name)) {
      repeated.push(item);
      continue;
    }
    const before = sections.get(item.name)?.items ?? [];
    sections.set(item.name, { ...item, items: [...before, ...item.items] });
  }
  const inner = [...sections.values(), ...repeated].map(canonical);
  const items = [...entries.values(), ...inner];
  items.sort((a, b) => order(nameOf(a), nameOf(b)) || order(indexOf(a), indexOf(b)));
  return { ...conf, items };
}

const order = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

function nameOf(item: ConfItem): string {
  if (item.kind === "entry") return item.key;
  return item.kind === "section" ? item.name : "";
}

/** What a repeated section is sorted by. */
function indexOf(item: ConfItem): string {
  if (item.kind !== "section") return "";
  const keys =
    item.name === "node" ? ["name", "ring0_addr"] : ["linknumber", "ringnumber", "subsys"];
  return keys.map((key) => entryAt(item, [key])?.value).find((value) => value !== undefined) ?? "";
}

function commentCount({ items }: ConfSection): number {
  let count = 0;
  for (const item of items) {
    if (isComment(item)) count += 1;
    if (item.kind === "section") count += commentCount(item);
  }
  return count;
}

export function isComment(item: ConfItem | undefined): boolean {
  return item?.kind === "remark" && item.text.trimStart().startsWith("#");
}

export function section(name: string, items: ConfItem[]): ConfSection {
  return { kind: "section", name, items, line: 0 };
}

export function entry(key: string, value: string): ConfItem {
  return { kind: "entry", key, value, line: 0 };
}

/** Removes what is directly in `from`. */
export function drop(from: ConfSection, isDropped: (item: ConfItem) => boolean): void {
  const kept = from.items.filter((item) => !isDropped(item));
  from.items.splice(0, from.items.length, ...kept);
}

/** The only entry of `key` directly in `section` gets this value. */
export function setEntry(into: ConfSection, key: string, value: string): void {
  drop(into, (item) => item.kind === "entry" && item.key === key);
  into.items.push(entry(key, value));
}
