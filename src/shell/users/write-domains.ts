// domains.cfg with one realm changed: its section is written as Proxmox writes it, the lines of all others stay as they are. Pure.
import { parseDomains } from "./domains.ts";
import { encodeText } from "./text-code.ts";

export type RealmSetting = "comment" | "default" | "tfa";

/** What is absent stays as it is. */
export interface RealmEdit {
  /** "": the built-in one. */
  readonly comment: string | undefined;
  /** True: no other one is, then. */
  readonly isDefault: boolean | undefined;
  /** "type=oath,digits=6"; checked by the caller. */
  readonly secondFactor: string | undefined;
  /** Of those that are not set by it. */
  readonly deleted: readonly RealmSetting[];
}

interface Section {
  /** Without the realm's own, and without the default of others when it is to be the default. */
  readonly others: string[];
  /** Where its own stood; undefined: nowhere. */
  readonly at: number | undefined;
}

/** `text`: a byte string. */
export function withRealm(text: string, realm: string, edit: RealmEdit): string {
  const { type = "", settings } = parseDomains(text).get(realm) ?? {};
  const wanted = new Map(settings);
  const put = (name: RealmSetting, given: string | undefined): void => {
    const value = given ?? (edit.deleted.includes(name) ? "" : wanted.get(name));
    if (value === undefined || value === "") wanted.delete(name);
    else wanted.set(name, value);
  };
  put("comment", edit.comment === undefined ? undefined : encodeText(edit.comment));
  put("default", edit.isDefault === undefined ? undefined : edit.isDefault ? "1" : "");
  put("tfa", edit.secondFactor);
  const { others, at } = without(text, realm, edit.isDefault === true);
  const own = [`${type}: ${realm}`, ...[...wanted].map(([key, value]) => line(key, value))];
  if (at !== undefined) return textOf([...others.slice(0, at), ...own, ...others.slice(at)]);
  const isApart = others.length === 0 || others.at(-1) === "";
  return textOf([...others, ...(isApart ? [] : [""]), ...own, ""]);
}

/** The realm has no settings of its own any more: one that is built in is as it was at first. `text`: a byte string. */
export function withoutRealm(text: string, realm: string): string {
  const { others, at } = without(text, realm, false);
  if (at === undefined) return text;
  // The empty line behind it goes with it.
  return textOf(others.filter((each, index) => index !== at || each !== ""));
}

function without(text: string, realm: string, isDefault: boolean): Section {
  const others: string[] = [];
  let at: number | undefined;
  let section: string | undefined;
  for (const each of text === "" ? [] : text.replace(/\n$/, "").split("\n")) {
    if (/^\s*#/.test(each)) {
      others.push(each);
      continue;
    }
    const header = /^\S+:\s*(\S+)\s*$/.exec(each)?.[1];
    const key = /^\s+(\S+)/.exec(each)?.[1];
    if (header !== undefined) section = header;
    else if (key === undefined) section = undefined; // An empty line ends a section.
    if (header === realm) at ??= others.length;
    if (section === realm) continue;
    if (isDefault && section !== undefined && header === undefined && key === "default") continue;
    others.push(each);
  }
  return { others, at };
}

function line(key: string, value: string): string {
  return value === "" ? `\t${key}` : `\t${key} ${value}`;
}

function textOf(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
