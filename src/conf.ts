// The corosync.conf grammar as corosync really parses it (services.md §5.1): line oriented, `{` wins over `:` wins over `}`.
// Comments, order and unknown keys are kept, so that an edited file differs only where it was edited.

const lineLengthMax = 511;
const keyPattern = /^[A-Za-z0-9._\-/:]*$/;
/** Of a whole dotted path; it bounds how deep sections can be nested, too. */
const pathLengthMax = 254;

export interface ConfEntry {
  readonly kind: "entry";
  readonly key: string;
  value: string;
  /** 1-based line of the file; 0 for one that was added. */
  readonly line: number;
}

export interface ConfSection {
  readonly kind: "section";
  readonly name: string;
  readonly items: ConfItem[];
  readonly line: number;
}

/** A comment or blank line, kept as it is. */
export interface ConfRemark {
  readonly kind: "remark";
  readonly text: string;
}

export type ConfItem = ConfEntry | ConfSection | ConfRemark;

/** The whole file: a section without name. */
export type Conf = ConfSection;

export type ConfResult =
  | { readonly ok: true; readonly value: Conf }
  | { readonly ok: false; readonly line: number; readonly reason: string };

const trimBlanks = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, "");
const trimName = (text: string): string => text.replace(/^[ \t]+/, "").replace(/[ \t:{]+$/, "");

/** Parses a corosync.conf. Errors carry corosync's own words and the line where it gives up. */
export function parseConf(text: string): ConfResult {
  const root: Conf = { kind: "section", name: "", items: [], line: 0 };
  const open: ConfSection[] = [root];
  const lines = text.split("\n");
  const isEnded = lines.at(-1) === "";
  if (isEnded) lines.pop();
  let number = 0;
  for (const whole of lines) {
    number += 1;
    const raw = beforeNul(whole, isEnded || number < lines.length);
    const reason = raw === undefined ? "Line too long" : parseLine(raw, number, open);
    if (reason !== "") return { ok: false, line: number, reason };
  }
  if (open.length > 1) return { ok: false, line: number, reason: "Missing closing brace" };
  return { ok: true, value: root };
}

/**
 * corosync reads lines as C strings: of one with a NUL byte it sees the beginning, and misses the line feed there (undefined). It takes
 * no notice of a line that begins with one.
 */
function beforeNul(line: string, hasLineFeed: boolean): string | undefined {
  const at = line.indexOf("\0");
  if (at < 0) return line;
  return at === 0 || !hasLineFeed ? line.slice(0, at) : undefined;
}

/** Adds one line to the innermost open section; returns "" or what is wrong with it. */
function parseLine(raw: string, number: number, open: ConfSection[]): string {
  if (raw.length >= lineLengthMax) return "Line too long";
  const line = raw.replace(/\r$/, "").replace(/[ \t]+$/, "");
  const inner = open.at(-1);
  if (inner === undefined) return "Unexpected closing brace";
  const bare = line.replace(/^[ \t]+/, "");
  if (bare === "" || bare.startsWith("#")) {
    inner.items.push({ kind: "remark", text: line });
    return "";
  }
  const brace = line.indexOf("{");
  if (brace >= 0) {
    if (trimBlanks(line.slice(brace + 1)) !== "") {
      return "Extra characters after opening bracket '{'";
    }
    const name = trimName(line.slice(0, brace));
    if (name === "") return "Missing section name before opening bracket '{'";
    if (pathOf(open, name).length > pathLengthMax) {
      return "Start of section makes total cmap path too long";
    }
    const section: ConfSection = { kind: "section", name, items: [], line: number };
    inner.items.push(section);
    open.push(section);
    return "";
  }
  const colon = line.indexOf(":");
  if (colon >= 0) return parseEntry(line, colon, number, open, inner);
  if (line.includes("}")) {
    if (bare !== "}") return "Extra characters before or after closing bracket '}'";
    if (open.length === 1) return "Unexpected closing brace";
    open.pop();
    return "";
  }
  return "Line is not opening or closing section or key value";
}

function parseEntry(
  line: string,
  colon: number,
  number: number,
  open: readonly ConfSection[],
  inner: ConfSection,
): string {
  // A colon with nothing before it is cut off at the next blank, and is the key then.
  const key = trimName(line.slice(0, colon)) || (/^[ \t]/.test(line.slice(colon + 1)) ? ":" : "");
  const path = pathOf(open, key);
  if (path.length > pathLengthMax) return "New key makes total cmap path too long";
  if (!keyPattern.test(path) || path.length < 3) {
    return `Can't store key "${path}" into icmap, returned error is CS_ERR_NAME_TOO_LONG`;
  }
  inner.items.push({ kind: "entry", key, value: trimBlanks(line.slice(colon + 1)), line: number });
  return "";
}

function pathOf(open: readonly ConfSection[], name: string): string {
  return [...open.slice(1).map((section) => section.name), name].join(".");
}

/** The file's text, two blanks of indentation a level, as Proxmox writes it. */
export function printConf(conf: Conf): string {
  const lines: string[] = [];
  printItems(conf.items, "", lines);
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** A colon with nothing before it is the key when a blank follows, and parts an empty key from its value when none does. */
function printEntry(key: string, value: string): string {
  if (key === "") return `:${value}`;
  return key === ":" ? `: ${value}` : `${key}: ${value}`;
}

function printItems(items: readonly ConfItem[], indent: string, lines: string[]): void {
  for (const item of items) {
    switch (item.kind) {
      case "remark":
        lines.push(item.text);
        break;
      case "entry":
        lines.push(indent + printEntry(item.key, item.value));
        break;
      case "section":
        lines.push(`${indent}${item.name} {`);
        printItems(item.items, `${indent}  `, lines);
        lines.push(`${indent}}`);
        break;
      default:
        item satisfies never;
    }
  }
}

/** All sections with this name directly inside `section`, in file order. */
export function sectionsOf(section: ConfSection, name: string): ConfSection[] {
  return section.items.filter(
    (item): item is ConfSection => item.kind === "section" && item.name === name,
  );
}

/** The entry that counts for a dotted path: sections of one name merge and the last value wins; undefined when absent. */
export function entryAt(section: ConfSection, path: readonly string[]): ConfEntry | undefined {
  const [head, ...rest] = path;
  if (head === undefined) return undefined;
  let found: ConfEntry | undefined;
  if (rest.length === 0) {
    for (const item of section.items) {
      if (item.kind === "entry" && item.key === head) found = item;
    }
    return found;
  }
  for (const inner of sectionsOf(section, head)) found = entryAt(inner, rest) ?? found;
  return found;
}
