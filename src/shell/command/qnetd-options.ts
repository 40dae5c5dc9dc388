// The command line of `corosync-qnetd` (qnetd.md §5.1): options, complaints and exit codes of the original.
import { onOff } from "../../qnetd/advanced-words.ts";
import {
  type AdvancedSettings,
  defaultAdvancedSettings,
  tlsMode,
  type VoteServerConfiguration,
  withAdvancedSetting,
} from "../../qnetd/server/configuration.ts";
import { algorithms, messageNames } from "../../qnetd/session/message.ts";
import { failure, type Result, success } from "../../result.ts";
import { getopt } from "../tool/getopt.ts";

const name = "corosync-qnetd";
const portDefault = 5403;
const portMax = 65_535;
/** Of the original that we stand for; scripts compare it. */
const originalVersion = "3.0.3";
const usage = `usage: ${name} [-46dfhv] [-l listen_addr] [-p listen_port] [-s tls]
              [-c client_cert_required] [-m max_clients] [-S option=value[,option2=value2,...]]
`;

export interface QnetdWords {
  readonly family: 0 | 4 | 6;
  /** How often -d was given. */
  readonly debug: number;
  readonly isForeground: boolean;
  readonly address: string | undefined;
  readonly port: number;
  readonly tls: VoteServerConfiguration["tls"];
  readonly isClientCertificateRequired: boolean;
  /** 0: no limit. */
  readonly clientsMax: number;
  readonly settings: AdvancedSettings;
  /** What is to be said on stderr about what was accepted. */
  readonly warnings: readonly string[];
}

const defaults = {
  family: 0,
  debug: 0,
  isForeground: false,
  address: undefined,
  port: portDefault,
  tls: "on",
  isClientCertificateRequired: true,
  clientsMax: 0,
} as const;

/**
 * What `quorate qnetd` runs with: the same, from options that have been read already. `lists` are its --set, in the form of -S; a reason
 * when one of them is wrong.
 */
export function serverWords(
  given: Partial<Omit<QnetdWords, "settings" | "warnings">>,
  settings: AdvancedSettings,
  lists: readonly string[],
): Result<QnetdWords> {
  const warnings: string[] = [];
  const words: Mutable<QnetdWords> = { ...defaults, ...given, settings, warnings };
  for (const list of lists) {
    const complaint = takeSettings(words, list, warnings);
    if (complaint !== undefined) return failure(complaint);
  }
  return success(words);
}

/** What an early end prints; the original ends with 1 for its help too. */
export interface EarlyEnd {
  readonly output: string;
  readonly error: string;
  readonly code: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** `version` is ours; `settings` those before the command line, other paths perhaps. */
export function qnetdWords(
  args: readonly string[],
  version: string,
  settings: AdvancedSettings = defaultAdvancedSettings,
): QnetdWords | EarlyEnd {
  const warnings: string[] = [];
  const words: Mutable<QnetdWords> = { ...defaults, settings, warnings };
  const end = (complaint: string, output = ""): EarlyEnd => ({
    output,
    error: [...warnings, ...(complaint === "" ? [] : [complaint])]
      .map((text) => `${name}: ${text}\n`)
      .join(""),
    code: 1,
  });
  for (const option of getopt(args, "46dfhvl:p:s:c:m:S:")) {
    if (typeof option === "string") return end(option, usage);
    if (option.letter === "h") return end("", usage);
    if (option.letter === "v") return end("", versionText(version));
    const complaint = take(words, option, warnings);
    if (complaint !== undefined) return end(complaint);
  }
  return words;
}

function take(
  words: Mutable<QnetdWords>,
  { letter, value }: { readonly letter: string; readonly value: string },
  warnings: string[],
): string | undefined {
  switch (letter) {
    case "4":
      words.family = 4;
      return undefined;
    case "6":
      words.family = 6;
      return undefined;
    case "d":
      words.debug += 1;
      return undefined;
    case "f":
      words.isForeground = true;
      return undefined;
    case "l":
      words.address = value === "" ? undefined : value;
      return undefined;
    case "p": {
      const port = /^\d{1,5}$/.test(value) ? Number(value) : 0;
      if (port < 1 || port > portMax) return `host port must be in range 1-${portMax}`;
      words.port = port;
      return undefined;
    }
    case "s": {
      const tls = tlsMode(value);
      if (tls === undefined) return "tls must be one of on, off, req";
      words.tls = tls;
      return undefined;
    }
    case "c": {
      const isOn = onOff(value);
      if (isOn === undefined) return "client_cert_required should be on/yes/1, off/no/0";
      words.isClientCertificateRequired = isOn;
      return undefined;
    }
    case "m":
      if (!/^\d{1,9}$/.test(value)) return `max clients value ${value} is invalid`;
      words.clientsMax = Number(value);
      return undefined;
    default:
      return takeSettings(words, value, warnings);
  }
}

/** `name=value,name=value`; empty pieces are nothing. */
function takeSettings(
  words: Mutable<QnetdWords>,
  list: string,
  warnings: string[],
): string | undefined {
  for (const piece of list.split(",")) {
    const [, key = "", value = ""] = /^([^=]*)=?(.*)$/s.exec(piece) ?? [];
    if (key === "") continue;
    const set = withAdvancedSetting(words.settings, key, value, warnings);
    if (!set.ok) return set.reason;
    words.settings = set.value;
  }
  return undefined;
}

function versionText(version: string): string {
  const algorithmTexts = {
    test: "Test",
    ffsplit: "Fifty-Fifty split",
    "2nodelms": "2 Node LMS",
    lms: "LMS",
  };
  const numbered = (names: readonly string[]): string =>
    names.map((text, number) => `${text} (${number})`).join(", ");
  return `Corosync Qdevice Network Daemon, version '${originalVersion}' (quorate ${version})

Supported algorithms: ${numbered(algorithms.map((algorithm) => algorithmTexts[algorithm]))}
Supported message types: ${numbered(messageNames)}
`;
}
