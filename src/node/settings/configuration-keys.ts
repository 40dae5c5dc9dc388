// corosync.conf as keys of the configuration map, with the names, types and values that corosync gives them (services.md §5.2, §6.1). Pure.
import { type Conf, type ConfEntry, type ConfItem, type ConfSection } from "../../conf.ts";
import { integerTypeOf } from "./conf-value.ts";

/** The map's integer types, and text; those that only a client writes are not among them. */
export type ConfigurationType = "u8" | "u16" | "u32" | "i32" | "u64" | "str";

export interface ConfigurationKey {
  readonly key: string;
  readonly type: ConfigurationType;
  /** An integer in decimal, or the text as it stands in the file. */
  readonly value: string;
}

/** Keys of totem.interface that are stored below the link's number; any other stays where it stands. */
const linkKeys: ReadonlySet<string> = new Set([
  "bindnetaddr",
  "mcastaddr",
  "broadcast",
  "mcastport",
  "ttl",
  "knet_link_priority",
  "knet_ping_interval",
  "knet_ping_timeout",
  "knet_ping_precision",
  "knet_pong_count",
  "knet_transport",
]);

type Keys = Map<string, ConfigurationKey>;

/** All keys of a checked file, by name; of a key that is given twice the last value counts. */
export function configurationKeys(conf: Conf): ConfigurationKey[] {
  const keys: Keys = new Map();
  for (const section of sections(conf)) {
    switch (section.name) {
      case "nodelist":
        readNodelist(section, keys);
        break;
      case "logging":
        readLogging(section, keys);
        break;
      case "uidgid":
        readUsers(section, keys);
        break;
      case "totem":
        readTotem(section, keys);
        break;
      default:
        readSection(section, section.name, keys);
    }
  }
  readEntries(conf, "", keys);
  return [...keys.values()].toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** `kind`: the path by which the key's type is known, when that is not the path itself. */
function put(keys: Keys, key: string, value: string, kind = key): void {
  const type = integerTypeOf(kind) ?? "str";
  keys.set(key, { key, type, value: type === "str" ? value : integer(value, type) });
}

/** Decimal without a plus or leading zeros; what 64 bits cannot hold wraps around, as in corosync. */
function integer(text: string, type: ConfigurationType): string {
  if (!/^[+-]?\d+$/.test(text)) return text;
  const value = BigInt(text.replace(/^\+/, ""));
  return String(type === "u64" ? BigInt.asUintN(64, value) : value);
}

function sections(section: ConfSection): ConfSection[] {
  return section.items.filter((item) => item.kind === "section");
}

function entries(section: ConfSection): ConfEntry[] {
  return section.items.filter((item) => item.kind === "entry");
}

function readEntries(section: ConfSection, path: string, keys: Keys): void {
  for (const { key, value } of entries(section)) {
    put(keys, path === "" ? key : `${path}.${key}`, value);
  }
}

function readSection(section: ConfSection, path: string, keys: Keys): void {
  readEntries(section, path, keys);
  for (const inner of sections(section)) readSection(inner, `${path}.${inner.name}`, keys);
}

function readTotem(totem: ConfSection, keys: Keys): void {
  readEntries(totem, "totem", keys);
  for (const section of sections(totem)) {
    if (section.name !== "interface") {
      readSection(section, `totem.${section.name}`, keys);
      continue;
    }
    const given = entries(section);
    const number = Number(given.findLast(({ key }) => key === "linknumber")?.value ?? "0");
    for (const { key, value } of given) {
      if (key === "linknumber" || key === "ringnumber") continue;
      const kind = `totem.interface.${key}`;
      put(keys, linkKeys.has(key) ? `totem.interface.${number}.${key}` : kind, value, kind);
    }
  }
}

/** A second nodelist begins at node 0 again. */
function readNodelist(nodelist: ConfSection, keys: Keys): void {
  readEntries(nodelist, "nodelist", keys);
  let index = 0;
  for (const section of sections(nodelist)) {
    if (section.name !== "node") {
      readSection(section, `nodelist.${section.name}`, keys);
      continue;
    }
    for (const { key, value } of entries(section)) {
      put(keys, `nodelist.node.${index}.${key}`, value, `nodelist.node.${key}`);
    }
    index += 1;
  }
}

/** Keys of a subsystem lie below its name; those of the daemon "corosync" are corosync's own. */
function readLogging(logging: ConfSection, keys: Keys): void {
  readEntries(logging, "logging", keys);
  for (const section of sections(logging)) {
    const given = entries(section);
    const subsystem = given.findLast(({ key }) => key === "subsys")?.value;
    const name = given.findLast(({ key }) => key === "name")?.value;
    const isDaemon = section.name === "logging_daemon";
    if (!isDaemon && section.name !== "logger_subsys") {
      readSection(section, `logging.${section.name}`, keys);
      continue;
    }
    const isOwn = !isDaemon || name === "corosync";
    const path = isOwn ? "logging.logger_subsys" : `logging.logging_daemon.${name}`;
    const base = isOwn && subsystem === undefined ? "logging" : path;
    for (const { key, value } of given) {
      if (isDaemon && isOwn && key === "name") continue;
      put(keys, [base, subsystem, key].filter((part) => part !== undefined).join("."), value);
    }
  }
}

/** Who may use corosync's sockets, by number; a name is nothing that a pure reader could resolve. */
function readUsers(users: ConfSection, keys: Keys): void {
  for (const { key, value } of entries(users)) {
    if ((key !== "uid" && key !== "gid") || !/^\+?\d+$/.test(value)) continue;
    const name = `uidgid.config.${key}.${Number(value)}`;
    keys.set(name, { key: name, type: "u8", value: "1" });
  }
}

/** Sections and keys whose new values a running node does not take (services.md §5.4): they keep what they had. */
const fixedAtStart: ReadonlySet<string> = new Set([
  "totem.version",
  "totem.threads",
  "totem.ip_version",
  "totem.rrp_mode",
  "totem.netmtu",
  "totem.transport",
  "totem.cluster_name",
  "quorum.provider",
]);

/** The keys after a reload: of `next`, with the values of `running` where they cannot change at run-time. */
export function keysAfterReload(
  running: readonly ConfigurationKey[],
  next: readonly ConfigurationKey[],
): ConfigurationKey[] {
  const isFixed = ({ key }: ConfigurationKey): boolean =>
    fixedAtStart.has(key) || key.startsWith("system.");
  return [...running.filter(isFixed), ...next.filter((key) => !isFixed(key))].toSorted((a, b) =>
    a.key < b.key ? -1 : 1,
  );
}

/** A file that has these keys; what it says of the loggers of other daemons is left out. */
export function confOfKeys(keys: readonly ConfigurationKey[]): Conf {
  const root: Conf = newSection("");
  for (const { key, value } of keys) {
    const numbered = /^(totem|nodelist)\.(interface|node)\.(\d+)\.(.+)$/.exec(key);
    const [, top = "", inner = "", number = "", name = ""] = numbered ?? [];
    if (numbered !== null) {
      const place = indexed(open(root, top), inner, Number(number));
      place.items.push(newEntry(name, value));
      continue;
    }
    const subsystem = /^logging\.logger_subsys\.(.+)\.([^.]+)$/.exec(key);
    if (subsystem !== null) {
      const [, which = "", field = ""] = subsystem;
      if (field !== "subsys") loggerOf(root, which).items.push(newEntry(field, value));
      continue;
    }
    const user = /^uidgid\.config\.([ug]id)\.(\d+)$/.exec(key);
    if (user !== null) open(root, "uidgid").items.push(newEntry(user[1] ?? "", user[2] ?? ""));
    else if (!key.startsWith("logging.logging_daemon.")) {
      const path = key.split(".");
      const last = path.pop() ?? "";
      path.reduce(open, root).items.push(newEntry(last, value));
    }
  }
  return root;
}

function newSection(name: string, ...items: ConfItem[]): ConfSection {
  return { kind: "section", name, items, line: 0 };
}

function newEntry(key: string, value: string): ConfEntry {
  return { kind: "entry", key, value, line: 0 };
}

/** The section of that name, made if need be. */
function open(outer: ConfSection, name: string): ConfSection {
  const known = sections(outer).find((inner) => inner.name === name);
  if (known !== undefined) return known;
  const made = newSection(name);
  outer.items.push(made);
  return made;
}

/** A link by its number, or a node by its place in the list; keys come sorted, so that places before it may still be to come. */
function indexed(outer: ConfSection, name: string, index: number): ConfSection {
  if (name === "interface") {
    const isLink = (inner: ConfSection): boolean =>
      entries(inner).some(({ key, value }) => key === "linknumber" && value === String(index));
    const known = sections(outer).find(isLink);
    if (known !== undefined) return known;
    const made = newSection(name, newEntry("linknumber", String(index)));
    outer.items.push(made);
    return made;
  }
  const nodes = (): ConfSection[] => sections(outer).filter((inner) => inner.name === name);
  while (nodes().length <= index) outer.items.push(newSection(name));
  return nodes()[index] ?? outer;
}

function loggerOf(root: Conf, subsystem: string): ConfSection {
  const logging = open(root, "logging");
  const known = sections(logging).find((inner) =>
    entries(inner).some(({ key, value }) => key === "subsys" && value === subsystem),
  );
  if (known !== undefined) return known;
  const made = newSection("logger_subsys", newEntry("subsys", subsystem));
  logging.items.push(made);
  return made;
}
