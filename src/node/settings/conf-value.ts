// Typed reading of corosync.conf values: ranges, defaults ("0 means default") and corosync's own error words
// (services.md §5.2, §5.3). Errors are collected by throwing ConfError inside this folder's reader only.
import { entryAt, type Conf, type ConfSection } from "../../conf.ts";

/** A fault of the file. `line` 0: not about one line. `file`: of another one, as the key. Caught by readSettings; never leaves it. */
export class ConfError {
  readonly reason: string;
  readonly line: number;
  readonly file: string | undefined;
  constructor(reason: string, line = 0, file?: string) {
    this.file = file;
    this.reason = reason;
    this.line = line;
  }
}

/** The node that runs is not in the nodelist. */
export class NotListed extends ConfError {}

const u8Max = 0xff;
const u16Max = 0xffff;
const u32Max = 0xffff_ffff;
const i32Max = 0x7fff_ffff;

const totemU32 = [
  "version nodeid threads netmtu token token_coefficient token_warning token_retransmit",
  "token_retransmits_before_loss_const hold join send_join consensus merge downcheck fail_recv_const",
  "seqno_unchanged_const heartbeat_failures_allowed max_network_delay window_size max_messages miss_count_const",
  "knet_pmtud_interval knet_mtu knet_compression_threshold",
  "rrp_token_expired_timeout rrp_problem_count_timeout rrp_problem_count_threshold",
  "rrp_problem_count_mcast_threshold rrp_autorecovery_check_timeout",
].flatMap((names) => names.split(" "));

/** Highest value of every integer key, by its dotted path without indices. */
const ranges = new Map<string, number>([
  ...totemU32.map((name): [string, number] => [`totem.${name}`, u32Max]),
  ["totem.interface.linknumber", u8Max],
  ["totem.interface.ttl", u8Max],
  ["totem.interface.knet_link_priority", u8Max],
  ["totem.interface.mcastport", u16Max],
  ["totem.interface.knet_ping_interval", u32Max],
  ["totem.interface.knet_ping_timeout", u32Max],
  ["totem.interface.knet_ping_precision", u32Max],
  ["totem.interface.knet_pong_count", u32Max],
  ["nodelist.node.nodeid", u32Max],
  ["nodelist.node.quorum_votes", u32Max],
  ["quorum.expected_votes", u32Max],
  ["quorum.votes", u32Max],
  ["quorum.last_man_standing_window", u32Max],
  ["quorum.leaving_timeout", u32Max],
  ...[
    "two_node wait_for_all last_man_standing auto_tie_breaker expected_votes_tracking allow_downscale",
  ]
    .flatMap((names) => names.split(" "))
    .map((name): [string, number] => [`quorum.${name}`, u8Max]),
  ["quorum.device.votes", u32Max],
  ["quorum.device.timeout", u32Max],
  ["quorum.device.sync_timeout", u32Max],
  ["quorum.device.master_wins", u8Max],
  ["resources.watchdog_timeout", u32Max],
]);

/** The only one that may be negative. */
const signed = "totem.knet_compression_level";

/** 64 bits: corosync ends by an assertion where there is no integer. */
const u64Keys: ReadonlySet<string> = new Set([
  "totem.config_version",
  ...["system", "system.memory_used", "process", "process.memory_used"].map(
    (name) => `resources.${name}.poll_period`,
  ),
]);

/** The type of an integer key in the configuration map, by its dotted path without indices; undefined: it is text. */
export function integerTypeOf(path: string): "u8" | "u16" | "u32" | "i32" | "u64" | undefined {
  if (path === signed) return "i32";
  if (u64Keys.has(path)) return "u64";
  switch (ranges.get(path)) {
    case u8Max:
      return "u8";
    case u16Max:
      return "u16";
    case u32Max:
      return "u32";
    default:
      return undefined;
  }
}

function checkRange(path: string, text: string, [min, max]: [number, number], line: number): void {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return;
  throw new ConfError(
    `Value of key "${path}" is expected to be integer in range (${min}..${max}), but "${text}" was given`,
    line,
  );
}

/** Checks every integer key of the file, used or not, as corosync's parser does; `shown` has the nodes numbered. */
export function checkIntegers(section: ConfSection, path = "", shown = path): void {
  let node = 0;
  for (const item of section.items) {
    if (item.kind === "remark") continue;
    const own = item.kind === "section" ? item.name : item.key;
    const name = path === "" ? own : `${path}.${own}`;
    if (item.kind === "section") {
      const index = name === "nodelist.node" ? `.${node++}` : "";
      checkIntegers(item, name, (shown === "" ? item.name : `${shown}.${item.name}`) + index);
      continue;
    }
    const max = ranges.get(name);
    const shownKey = `${shown}.${item.key}`;
    if (max !== undefined) checkRange(shownKey, item.value, [0, max], item.line);
    if (name === signed) checkRange(shownKey, item.value, [-i32Max - 1, i32Max], item.line);
    if (u64Keys.has(name) && !/^[+-]?\d+$/.test(item.value)) {
      throw new ConfError(
        `Value of key "${shownKey}" is expected to be integer, but "${item.value}" was given`,
        item.line,
      );
    }
  }
}

export function textAt(conf: ConfSection, path: readonly string[]): string | undefined {
  return entryAt(conf, path)?.value;
}

/** An integer that is present, or undefined. */
export function integerAt(conf: ConfSection, path: readonly string[]): number | undefined {
  const text = textAt(conf, path);
  if (text === undefined) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A totem integer for which 0 means "the default". */
export function nonZeroAt(conf: Conf, path: readonly string[], fallback: number): number {
  const value = integerAt(conf, path);
  return value === undefined || value === 0 ? fallback : value;
}

/** One of the allowed words, checked at the line where it stands. */
export function choiceAt<Word extends string>(
  conf: Conf,
  path: readonly string[],
  words: readonly Word[],
  fallback: Word,
  reason: string,
): Word {
  const entry = entryAt(conf, path);
  if (entry === undefined) return fallback;
  const word = words.find((candidate) => candidate === entry.value);
  if (word === undefined) throw new ConfError(reason, entry.line);
  return word;
}
