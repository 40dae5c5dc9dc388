// Sections of corosync.conf that concern corosync's own daemon alone: logging{}, system{}, uidgid{}. A node has no use for them, yet
// refuses what corosync refuses, so that one file is good or bad for all nodes (services.md §5.2, §5.3). Pure.
import { type Conf, type ConfEntry, type ConfSection, sectionsOf } from "../../conf.ts";
import { ConfError } from "./conf-value.ts";

/** What only the machine knows. */
export interface DaemonFacts {
  /** Whether there is such a user, or group, by name. */
  readonly isKnown: (kind: "user" | "group", name: string) => boolean;
  /** Why corosync could not open this file for its log, in the system's words; undefined when it could. */
  readonly logfileFault: (path: string) => string | undefined;
  /** Why this is no directory that corosync could work in, in the system's words; undefined when it is. */
  readonly directoryFault: (path: string) => string | undefined;
}

const system: ReadonlyMap<string, { readonly words: readonly string[]; readonly reason: string }> =
  new Map([
    ["qb_ipc_type", { words: ["native", "shm", "socket"], reason: "Invalid system.qb_ipc_type" }],
    ["sched_rr", { words: ["yes", "no"], reason: "Invalid system.sched_rr value" }],
    [
      "move_to_root_cgroup",
      { words: ["yes", "no", "auto"], reason: "Invalid system.move_to_root_cgroup" },
    ],
    [
      "allow_knet_handle_fallback",
      { words: ["yes", "no"], reason: "Invalid system.allow_knet_handle_fallback" },
    ],
  ]);

/** What corosync's parser refuses, at a start and at a reload. */
export function checkDaemonWords(conf: Conf, facts: DaemonFacts | undefined): void {
  for (const { key, value, line } of entriesOf(conf, "system")) {
    const rule = system.get(key);
    if (rule !== undefined && !rule.words.includes(value)) throw new ConfError(rule.reason, line);
  }
  for (const entry of entriesOf(conf, "uidgid")) checkUser(entry, facts);
  for (const logging of sectionsOf(conf, "logging")) {
    need(logging, "logger_subsys", "subsys");
    need(logging, "logging_daemon", "name");
  }
  for (const link of sectionsOf(conf, "totem").flatMap((each) => sectionsOf(each, "interface"))) {
    for (const { key, line } of entriesOf(link, "member")) {
      if (key !== "memberaddr")
        throw new ConfError("Only memberaddr is allowed in member section", line);
    }
  }
}

function checkUser({ key, value, line }: ConfEntry, facts: DaemonFacts | undefined): void {
  if (key !== "uid" && key !== "gid") {
    throw new ConfError("uidgid: Only uid and gid are allowed items", line);
  }
  const [kind, file] =
    key === "uid" ? (["user", "passwd"] as const) : (["group", "group"] as const);
  if (/^\+?\d+$/.test(value) || facts === undefined || facts.isKnown(kind, value)) return;
  throw new ConfError(
    `The '${value}' ${kind} is not found in /etc/${file}, please read the documentation.`,
    line,
  );
}

function need(logging: ConfSection, name: string, key: string): void {
  for (const section of sectionsOf(logging, name)) {
    if (section.items.some((item) => item.kind === "entry" && item.key === key)) continue;
    throw new ConfError(`No ${key} key in ${name} directive`, section.line);
  }
}

const switches = ["yes", "on", "no", "off"];
const facilities =
  "auth authpriv cron daemon ftp kern lpr mail news syslog user uucp local0 local1 local2 local3 local4 local5 local6 local7".split(
    " ",
  );
const priorities = "alert crit debug emerg err error info notice warning".split(" ");

interface Words {
  readonly words: readonly string[];
  /** What corosync calls another one. */
  readonly fault: string;
}
const either = (key: string, words: readonly string[]): [string, Words] => [
  key,
  { words, fault: `unknown value for ${key}` },
];
const level = (key: string): [string, Words] => [
  key,
  { words: priorities, fault: `unknown ${key.replace("_", " ")} specified` },
];

/** Of logging{} and of a subsystem in it. */
const loggingWords: ReadonlyMap<string, Words> = new Map([
  ...["to_stderr", "to_syslog", "to_file", "to_logfile"].map((key) => either(key, switches)),
  ...["syslog_level", "syslog_priority", "logfile_priority"].map(level),
  ["syslog_facility", { words: facilities, fault: "unknown syslog facility specified" }],
  either("debug", ["trace", "on", "off"]),
]);

/** Of logging{} alone. */
const formatWords: ReadonlyMap<string, Words> = new Map([
  ...["fileline", "function_name", "blackbox"].map((key) => either(key, ["on", "off"])),
  either("timestamp", ["on", "hires", "off"]),
]);

/** What stops corosync's start only. */
export function checkDaemonStart(conf: Conf, facts: DaemonFacts | undefined): void {
  for (const [subsystem, entries] of loggingKeys(conf)) {
    for (const entry of entries.values()) checkLogging(entry, subsystem, facts);
  }
  const last = new Map(entriesOf(conf, "system").map((entry) => [entry.key, entry]));
  const priority = last.get("priority");
  if (priority !== undefined && !/^(max|min|[+-]?\d+)$/.test(priority.value)) {
    throw new ConfError(`Priority value ${priority.value} is invalid`, priority.line);
  }
  const directory = last.get("state_dir");
  const fault = directory === undefined ? undefined : facts?.directoryFault(directory.value);
  if (directory === undefined || fault === undefined) return;
  const reason = `Cannot chdir to state directory ${directory.value}. ${fault}`;
  throw new ConfError(reason, directory.line);
}

function checkLogging(entry: ConfEntry, subsystem: string, facts: DaemonFacts | undefined): void {
  const { key, value, line } = entry;
  const rule = loggingWords.get(key) ?? (subsystem === "" ? formatWords.get(key) : undefined);
  // Names of priorities are taken in any case.
  const word = rule?.words === priorities ? value.toLowerCase() : value;
  if (rule !== undefined && !rule.words.includes(word)) {
    throw new ConfError(`parse error in config: ${rule.fault}`, line);
  }
  const fault = key === "logfile" ? facts?.logfileFault(value) : undefined;
  if (fault !== undefined) {
    const reason = `parse error in config: Can't open logfile '${value}' for reason: ${fault}. Make its directory, or remove the line: quorate itself logs as its service manager wants`;
    throw new ConfError(reason, line);
  }
}

/** The keys that count, last one wins, by subsystem ("": all of them). Those of daemons other than corosync are nobody's. */
function loggingKeys(conf: Conf): Map<string, Map<string, ConfEntry>> {
  const found = new Map<string, Map<string, ConfEntry>>();
  const add = (subsystem: string, entries: readonly ConfEntry[]): void => {
    const keys = found.get(subsystem) ?? new Map<string, ConfEntry>();
    for (const entry of entries) keys.set(entry.key, entry);
    found.set(subsystem, keys);
  };
  for (const logging of sectionsOf(conf, "logging")) {
    add("", ownEntries(logging));
    for (const section of sectionsOf(logging, "logger_subsys")) {
      add(lastOf(section, "subsys"), ownEntries(section));
    }
    for (const section of sectionsOf(logging, "logging_daemon")) {
      if (lastOf(section, "name") === "corosync")
        add(lastOf(section, "subsys"), ownEntries(section));
    }
  }
  return found;
}

function lastOf(section: ConfSection, key: string): string {
  return ownEntries(section).findLast((entry) => entry.key === key)?.value ?? "";
}

function ownEntries(section: ConfSection): ConfEntry[] {
  return section.items.filter((item) => item.kind === "entry");
}

/** Of all sections with this name directly inside. */
function entriesOf(section: ConfSection, name: string): ConfEntry[] {
  return sectionsOf(section, name).flatMap(ownEntries);
}
