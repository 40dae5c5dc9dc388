// A command line as Proxmox's tools read it (pvecm.md §1.0): one or two dashes, unique beginnings of option names, `=` or a following
// word, positional words that may be options too; and what is wrong with it in their texts. Pure.
import { isIP } from "node:net";
import { isNodeName } from "../../conf/cluster-conf.ts";

/** Answers "" or what is wrong with a word. */
export type Check = (word: string) => string;

export interface PvecmOption {
  readonly kind: "word" | "boolean";
  readonly check: Check;
  /** In the text of help: "<string>". */
  readonly form: string;
  readonly description: string;
}

export interface PvecmCommand {
  /** "create", "qdevice setup". */
  readonly name: string;
  readonly description: string;
  /** Names of options that are given without their names, in this order. */
  readonly positional: readonly string[];
  readonly options: Readonly<Record<string, PvecmOption>>;
  /** Words behind the positional ones are taken as they are. */
  readonly takesExtra?: true;
}

export interface PvecmWords {
  readonly ok: true;
  /** Of options and positional words. Of a boolean "1" or "0". */
  readonly given: ReadonlyMap<string, string>;
  readonly extra: readonly string[];
}

/** `complaint`: whole lines for standard error, the short usage at the end. */
export type PvecmReading = PvecmWords | { readonly ok: false; readonly complaint: string };

/** Reads what stands behind the command's name. */
export function readWords(command: PvecmCommand, args: readonly string[]): PvecmReading {
  const wrong = (lines: readonly string[]): PvecmReading => ({
    ok: false,
    complaint: [...lines, usageOf(command), ""].join("\n"),
  });
  const split = splitWords(command, args);
  if (split.faults.length > 0) return wrong([...split.faults, "400 unable to parse option"]);
  const { given, words } = split;
  const rest = [...words];
  for (const name of command.positional) {
    const word = rest.shift();
    if (word !== undefined) given.set(name, word);
    else if (!given.has(name)) return wrong(["400 not enough arguments"]);
  }
  if (rest.length > 0 && command.takesExtra === undefined) return wrong(["400 too many arguments"]);
  const reasons = [...given].flatMap(([name, word]) => {
    const reason = command.options[name]?.check(word) ?? "";
    return reason === "" ? [] : [`${name}: ${reason}`];
  });
  if (reasons.length > 0)
    return wrong(["400 Parameter verification failed.", ...reasons.toSorted()]);
  return { ok: true, given: normalised(command, given), extra: rest };
}

function splitWords(
  { options }: PvecmCommand,
  args: readonly string[],
): {
  readonly given: Map<string, string>;
  readonly words: readonly string[];
  readonly faults: readonly string[];
} {
  const names = Object.keys(options);
  const given = new Map<string, string>();
  const words: string[] = [];
  const faults: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? "";
    if (word === "--") {
      words.push(...args.slice(at + 1));
      break;
    }
    const [, beginning, attached] = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (beginning === undefined) {
      words.push(word);
      continue;
    }
    const fitting = names.filter((name) => name.startsWith(beginning));
    const name = fitting.includes(beginning) ? beginning : fitting[0];
    const next = args[at + 1];
    if (name === undefined) faults.push(`Unknown option: ${beginning}`);
    else if (fitting.length > 1 && name !== beginning) {
      faults.push(`Option ${beginning} is ambiguous (${fitting.toSorted().join(", ")})`);
    } else if (attached !== undefined) given.set(name, attached);
    else if (options[name]?.kind === "boolean") {
      // A word that is no truth value belongs to the command.
      const isValue = next !== undefined && booleanOf(next) !== undefined;
      given.set(name, isValue ? next : "1");
      if (isValue) at += 1;
    } else if (next === undefined) faults.push(`Option ${name} requires an argument`);
    else {
      given.set(name, next);
      at += 1;
    }
  }
  return { given, words, faults };
}

function normalised(
  { options }: PvecmCommand,
  given: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  return new Map(
    [...given].map(([name, word]) => {
      if (options[name]?.kind !== "boolean") return [name, word];
      return [name, booleanOf(word) === true ? "1" : "0"];
    }),
  );
}

/** The short usage: "pvecm create <clustername> [OPTIONS]". */
export function usageOf({ name, positional, options, takesExtra }: PvecmCommand): string {
  const words = positional.map((each) => `<${each}>`);
  if (takesExtra !== undefined) words.push("[<extra-args>]");
  const hasOptions = Object.keys(options).some((each) => !positional.includes(each));
  return ["pvecm", name, ...words, ...(hasOptions ? ["[OPTIONS]"] : [])].join(" ");
}

function booleanOf(word: string): boolean | undefined {
  if (/^(?:1|on|yes|true)$/i.test(word)) return true;
  return /^(?:0|off|no|false)$/i.test(word) ? false : undefined;
}

/** A switch. */
export function boolean(description: string): PvecmOption {
  const check: Check = (word) =>
    booleanOf(word) === undefined ? `type check ('boolean') failed - got '${word}'` : "";
  return { kind: "boolean", check, form: "<boolean>", description };
}

export function integer(min: number, description: string): PvecmOption {
  const check: Check = (word) => {
    if (!/^[+-]?\d{1,15}$/.test(word)) return `type check ('integer') failed - got '${word}'`;
    return Number(word) < min ? `value must have a minimum value of ${min}` : "";
  };
  return { kind: "word", check, form: `<integer> (${min} - N)`, description };
}

export function string(description: string): PvecmOption {
  return { kind: "word", check: () => "", form: "<string>", description };
}

/** A string that fits `pattern`. */
export function patterned(pattern: RegExp, description: string): PvecmOption {
  const check: Check = (word) =>
    pattern.test(word) ? "" : "value does not match the regex pattern";
  return { kind: "word", check, form: "<string>", description };
}

/** A string in one of Proxmox's formats. */
export function formatted(
  format: (word: string) => string,
  description: string,
  lengthMax = Number.MAX_SAFE_INTEGER,
): PvecmOption {
  const check: Check = (word) => {
    if (word.length > lengthMax) return `value may only be ${lengthMax} characters long`;
    const fault = format(word);
    return fault === "" ? "" : `invalid format - ${fault}`;
  };
  return { kind: "word", check, form: "<string>", description };
}

export const nodeName: Check = (word) =>
  isNodeName(word) ? "" : "value does not look like a valid node name";

export const ip: Check = (word) =>
  isIP(word) === 0 ? "value does not look like a valid IP address" : "";

export const cidr: Check = (word) => {
  const [, address = "", bits = ""] = /^(.*)\/(\d{1,3})$/.exec(word) ?? [];
  const family = isIP(address);
  const isRight = family !== 0 && Number(bits) <= (family === 4 ? 32 : 128);
  return isRight ? "" : "value does not look like a valid CIDR network";
};

const dnsName =
  /^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/;

export const address: Check = (word) =>
  isIP(word) !== 0 || dnsName.test(word) ? "" : `value does not look like a valid address: ${word}`;

export interface LinkWord {
  readonly address: string;
  /** 0 to 255; 0: none. */
  readonly priority: number;
}

/** `[address=]ADDRESS[,priority=N]`; a string is what is wrong. */
export function readLink(word: string): LinkWord | string {
  let found: string | undefined;
  let priority = "0";
  for (const part of word.split(",")) {
    const [, key, value = ""] = /^(\w+)=(.*)$/s.exec(part) ?? [];
    if (key === "priority") priority = value;
    else if (key !== undefined && key !== "address") {
      return `invalid format - property '${key}' is not defined in schema`;
    } else if (found !== undefined)
      return "invalid format - value without key, but schema does not define a default key";
    else found = key === undefined ? part : value;
  }
  if (found === undefined || found === "")
    return "invalid format - missing key in comma-separated list property";
  const fault = address(found);
  if (fault !== "") return `invalid format - ${fault}`;
  if (!/^\d{1,9}$/.test(priority)) return `type check ('integer') failed - got '${priority}'`;
  if (Number(priority) > 255) return "value must have a maximum value of 255";
  return { address: found, priority: Number(priority) };
}

/** An address and priority for one link. */
export function link(number: number): PvecmOption {
  return {
    kind: "word",
    check: (word) => {
      const read = readLink(word);
      return typeof read === "string" ? read : "";
    },
    form: "[address=]<IP> [,priority=<integer>]",
    description: `Address and priority information of a single corosync link (link ${number}).`,
  };
}
