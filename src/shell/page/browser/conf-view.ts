// corosync.conf for reading and editing: its keys in order with what they mean, and the version that a change must have. Pure.
import { type ConfSection, parseConf } from "../../../conf.ts";
import { words } from "./words.ts";

export interface ConfRow {
  /** "totem.interface": the sections that it is in. */
  readonly section: string;
  readonly key: string;
  readonly value: string;
  /** "": nothing is known of it here. */
  readonly meaning: string;
}

export interface ConfGroup {
  /** "totem", "nodelist.node pve1". */
  readonly title: string;
  readonly rows: readonly ConfRow[];
}

const explained: Readonly<Record<string, string>> = words.confKeys;

/** Undefined: it is no corosync.conf. */
export function confGroups(text: string): readonly ConfGroup[] | undefined {
  const conf = parseConf(text);
  return conf.ok ? groupsOf(conf.value, []) : undefined;
}

function groupsOf(section: ConfSection, above: readonly string[]): ConfGroup[] {
  const path = section.name === "" ? above : [...above, section.name];
  const entries = section.items.filter((item) => item.kind === "entry");
  const inner = section.items.filter((item) => item.kind === "section");
  const rows = entries.map(({ key, value }) => ({
    ...{ section: path.join("."), key, value },
    meaning: explained[meaningKey(path, key)] ?? "",
  }));
  const name = entries.find(({ key }) => key === "name" || key === "linknumber")?.value ?? "";
  const title = [path.join("."), name].filter((each) => each !== "").join(" ");
  const own = rows.length === 0 ? [] : [{ title, rows }];
  return [...own, ...inner.flatMap((each) => groupsOf(each, path))];
}

/** Addresses have a number each. */
function meaningKey(path: readonly string[], key: string): string {
  return [...path, key.replace(/^ring\d+_addr$/, "ringN_addr")].join(".");
}

const versionPattern = /^([ \t]*config_version[ \t]*:[ \t]*)(\d{1,15})([ \t]*)$/m;

export function versionOf(text: string): number | undefined {
  const found = versionPattern.exec(text)?.[2];
  return found === undefined ? undefined : Number(found);
}

/** The text with a version above that of `before`, unless somebody has given it one. */
export function withRaisedVersion(text: string, before: string): string {
  const was = versionOf(before);
  const is = versionOf(text);
  if (was === undefined || is === undefined || is > was) return text;
  return text.replace(
    versionPattern,
    (_, head: string, __, tail: string) => `${head}${was + 1}${tail}`,
  );
}
