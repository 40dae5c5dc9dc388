// The settings of alerts: lines "alert-…: value" of the cluster's quorate.cfg, which auditors read, and what is secret in a file for root alone: where a
// webhook is (its address is as good as a password for many services), its headers, the login of a mail server. Pure.
import { type Result, failure, success } from "../../result.ts";
import { settingsPath } from "../monitor/metrics-access.ts";
import { type AlertKind, alertKinds, type ChannelName, nameOf } from "./condition.ts";
import { parseQuiet } from "./quiet.ts";
import type { AlertRules } from "./events.ts";
import type { SettingName } from "./setting-names.ts";

/** In the tree, as all below `priv` readable by root only. */
export const secretsPath = "priv/quorate/alert.cfg";
/** Certificates beside the system's that a webhook's or mail server's may come from. */
export const authoritiesPath = "quorate-alert-ca.pem";

const fileCharactersMax = 65_536;
const valueCharactersMax = 2048;
const mutesMax = 32;
const recipientsMax = 20;
const headersMax = 8;
const daySeconds = 86_400;

export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** From the first byte; else by STARTTLS where it is offered. */
  readonly isTls: boolean;
}

export interface MailSettings {
  readonly to: readonly string[];
  /** "": root at this machine's name. */
  readonly from: string;
  /** Undefined: by this machine's sendmail. */
  readonly server: MailServer | undefined;
  readonly user: string;
  readonly password: string;
}

export interface WebhookSettings {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface AlertSettings {
  readonly rules: AlertRules;
  readonly webhook: WebhookSettings | undefined;
  readonly mail: MailSettings | undefined;
  /** What is wrong with the files, sentences that name file and line; what they say is left out. */
  readonly problems: readonly string[];
}

/** A setting by its name without "alert-". */
interface Setting {
  readonly isSecret: boolean;
  /** In help, and in the answer of who looks. */
  readonly what: string;
  /** Why a value is none, a clause; "": it is one. An empty value is never asked about. */
  readonly fault: (value: string) => string;
  /** Several lines of it are possible. */
  readonly isRepeated?: boolean;
}

function ofResult(read: Result<unknown>): string {
  return read.ok ? "" : read.reason;
}

function wholeNumber(min: number, max: number, unit: string): Setting["fault"] {
  return (value) =>
    /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max
      ? ""
      : `it is a number of ${unit} from ${min} to ${max}`;
}

const words = (value: string): readonly string[] =>
  value.split(/[\s,;]+/).filter((word) => word !== "");

/** What has no character that could end a header or an argument; no address needs them. */
const addressPattern =
  /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$/;

function addressesFault(max: number): Setting["fault"] {
  return (value) => {
    const all = words(value);
    const wrong = all.find((word) => !addressPattern.test(word) || word.startsWith("-"));
    if (wrong !== undefined)
      return `"${wrong.slice(0, 60)}" is no mail address such as admin@example.org`;
    return all.length > max ? `at most ${max} addresses, not ${all.length}` : "";
  };
}

const alertSettings: Readonly<Record<SettingName, Setting>> = {
  webhook: {
    isSecret: true,
    what: "where a JSON object is posted for each message: https://… (or http://…)",
    fault: (value) => ofResult(webhookUrl(value)),
  },
  "webhook-header": {
    isSecret: true,
    isRepeated: true,
    what: 'a header of that request, such as "Authorization: Bearer TOKEN"',
    fault: (value) => ofResult(parseHeader(value)),
  },
  "mail-to": {
    isSecret: false,
    what: "mail addresses, with commas between them",
    fault: addressesFault(recipientsMax),
  },
  "mail-from": {
    isSecret: false,
    what: "the sender's mail address (default: root at the node's name)",
    fault: addressesFault(1),
  },
  "mail-by": {
    isSecret: false,
    what: "sendmail (default), smtp://HOST[:PORT] or smtps://HOST[:PORT]",
    fault: (value) => ofResult(mailServer(value)),
  },
  "smtp-user": { isSecret: true, what: "the login at the mail server", fault: () => "" },
  "smtp-password": { isSecret: true, what: "its password", fault: () => "" },
  quiet: {
    isSecret: false,
    what: 'local times when only what is urgent is sent, such as "mon-fri 22:00-07:00"',
    fault: (value) => ofResult(parseQuiet(value)),
  },
  urgent: {
    isSecret: false,
    what: `what passes quiet times, of ${alertKinds.join(", ")}; or none (default: quorum)`,
    fault: (value) => {
      const wrong = words(value).find((word) => word !== "none" && !isKind(word));
      return wrong === undefined
        ? ""
        : `"${wrong.slice(0, 40)}" is none of ${alertKinds.join(", ")}, none`;
    },
  },
  delay: {
    isSecret: false,
    what: "seconds that something must be so before it is sent, a quarter of them for quorum (default: 20)",
    fault: wholeNumber(1, 3600, "seconds"),
  },
  clear: {
    isSecret: false,
    what: "seconds that it must be gone before it is said to be over (default: 60)",
    fault: wholeNumber(1, 3600, "seconds"),
  },
  repeat: {
    isSecret: false,
    what: "hours after which an open alert is sent again, 0: never (default: 24)",
    fault: wholeNumber(0, 720, "hours"),
  },
  mute: {
    isSecret: false,
    isRepeated: true,
    what: 'a kind or an alert that is not sent until a time: "node/3 until 2030-01-31T12:00:00Z"',
    fault: (value) => ofResult(parseMute(value)),
  },
};

function isSettingName(text: string): text is SettingName {
  return Object.hasOwn(alertSettings, text);
}

export function settingOf(name: SettingName): Setting {
  return alertSettings[name];
}

function isKind(word: string): word is AlertKind {
  return alertKinds.some((kind) => kind === word);
}

/** Where the setting's line stands, and how it begins. */
export function placeOf(name: SettingName): { readonly path: string; readonly key: string } {
  return settingOf(name).isSecret
    ? { path: secretsPath, key: name }
    : { path: settingsPath, key: `alert-${name}` };
}

function webhookUrl(value: string): Result<URL> {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    return failure("it is an address such as https://alerts.example.org/hook");
  }
  if (url.username !== "" || url.password !== "") {
    return failure("a name or password does not belong into the address: use webhook-header");
  }
  return success(url);
}

/** The connection is ours, and so is the form of the body. */
const ownHeaders =
  /^(?:host|content-length|content-type|transfer-encoding|connection|expect|upgrade|te|trailer)$/i;

function parseHeader(value: string): Result<readonly [string, string]> {
  const match = /^([!#$%&'*+.^_`|~\w-]{1,64})\s{0,8}:\s{0,8}([\x20-\x7e]{1,1024})$/.exec(value);
  if (match === null) return failure('it is a header such as "Authorization: Bearer TOKEN"');
  const [, name = "", content = ""] = match;
  if (ownHeaders.test(name)) return failure(`the header ${name} is made by quorate itself`);
  return success([name, content]);
}

function mailServer(value: string): Result<MailServer | undefined> {
  if (value === "sendmail") return success(undefined);
  const match =
    /^(smtps?):\/\/(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::(\d{1,5}))?\/?$/.exec(value);
  const port = Number(match?.[3] ?? (match?.[1] === "smtps" ? 465 : 25));
  if (match === null || port < 1 || port > 65_535) {
    return failure("it is sendmail, smtp://HOST, smtp://HOST:PORT or smtps://HOST:PORT");
  }
  const host = (match[2] ?? "").replace(/^\[|\]$/g, "");
  return success({ host, port, isTls: match[1] === "smtps" });
}

interface Mute {
  readonly what: string;
  /** Unix milliseconds. */
  readonly until: number;
}

function parseMute(value: string): Result<Mute> {
  const [, what = "", time = ""] = /^(\S{1,100})\s+until\s+(\S{1,40})$/.exec(value) ?? [];
  const until = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/.test(time)
    ? Date.parse(time)
    : Number.NaN;
  if (!isMutable(what) || !Number.isFinite(until)) {
    return failure(
      'it is a kind or the name of an alert and a time, such as "node/3 until 2030-01-31T12:00:00Z"',
    );
  }
  return success({ what, until });
}

/** A kind, or the name of an alert. */
export function isMutable(what: string): boolean {
  return isKind(what) || nameOf(what) !== undefined;
}

export function muteValue({ what, until }: Mute): string {
  return `${what} until ${new Date(until).toISOString().replace(/\.\d+/, "")}`;
}

type Values = ReadonlyMap<SettingName, readonly string[]>;

/** Of both files; "" where there is none. A line that is none of ours is somebody else's. */
export function readAlertSettings(open: string, secret: string): AlertSettings {
  const problems: string[] = [];
  const values = new Map<SettingName, string[]>();
  collect(open, settingsPath, values, problems);
  collect(secret, secretsPath, values, problems);
  const mail = mailOf(values);
  const webhook = webhookOf(values);
  if (mail === undefined && (values.has("mail-by") || values.has("mail-from"))) {
    problems.push(`${settingsPath}: no mail is sent, for alert-mail-to names nobody`);
  }
  if (mail?.user === "" && mail.password !== "") {
    problems.push(`${secretsPath}: smtp-password without smtp-user is not used`);
  }
  const channels: readonly ChannelName[] = [
    ...(webhook === undefined ? [] : (["webhook"] as const)),
    ...(mail === undefined ? [] : (["mail"] as const)),
  ];
  return { rules: rulesOf(values, channels), webhook, mail, problems };
}

function collect(
  text: string,
  path: string,
  values: Map<SettingName, string[]>,
  problems: string[],
): void {
  if (text.length > fileCharactersMax)
    problems.push(`${path}: only its first ${fileCharactersMax} characters are read`);
  const lines = text.slice(0, fileCharactersMax).split("\n");
  for (const [at, line] of lines.entries()) {
    const found = settingLine(line, path);
    if (found === undefined) continue;
    const where = `${path}, line ${at + 1}`;
    const { key, value } = found;
    const name = path === secretsPath ? key : key.slice("alert-".length);
    if (!isSettingName(name) || placeOf(name).path !== path) {
      problems.push(
        `${where}: there is no setting ${key.slice(0, 40)} here; \`quorate alert settings\` shows all`,
      );
      continue;
    }
    const fault = faultOf(name, value);
    const known = values.get(name) ?? [];
    if (fault !== "") problems.push(`${where}: ${key}: ${fault}`);
    else if (known.length > 0 && settingOf(name).isRepeated !== true)
      problems.push(`${where}: ${key} stands there twice; the first counts`);
    else if (value !== "") values.set(name, [...known, value]);
  }
}

/** Undefined: the line is none of a setting of alerts. */
function settingLine(
  line: string,
  path: string,
): { readonly key: string; readonly value: string } | undefined {
  const pattern =
    path === secretsPath ? /^\s*([a-z-]{1,64})\s*:(.*)$/ : /^\s*(alert-[a-z-]{1,64})\s*:(.*)$/;
  const [, key, value = ""] = pattern.exec(line) ?? [];
  return key === undefined ? undefined : { key, value: value.trim() };
}

/** Why a value is none, a clause; "": it is one. An empty one takes the setting away. */
export function faultOf(name: SettingName, value: string): string {
  if (value.length > valueCharactersMax) return `it may have ${valueCharactersMax} characters`;
  if (/\p{Cc}/u.test(value)) return "it may have one line, without control characters";
  return value === "" ? "" : settingOf(name).fault(value);
}

function first(values: Values, name: SettingName): string {
  return values.get(name)?.[0] ?? "";
}

function rulesOf(values: Values, channels: readonly ChannelName[]): AlertRules {
  const number = (name: SettingName, fallback: number) => Number(first(values, name) || fallback);
  const quiet = parseQuiet(first(values, "quiet"));
  const urgent = words(first(values, "urgent") || "quorum").filter(isKind);
  const mutes = (values.get("mute") ?? []).slice(0, mutesMax).flatMap((value) => {
    const read = parseMute(value);
    return read.ok ? [[read.value.what, read.value.until] as const] : [];
  });
  return {
    delayMs: number("delay", 20) * 1000,
    clearMs: number("clear", 60) * 1000,
    repeatMs: number("repeat", 24) * 3_600_000,
    quiet: quiet.ok ? quiet.value : [],
    urgent,
    mutes: new Map(mutes),
    channels,
  };
}

function webhookOf(values: Values): WebhookSettings | undefined {
  const url = first(values, "webhook");
  if (url === "") return undefined;
  const headers = (values.get("webhook-header") ?? []).slice(0, headersMax).flatMap((value) => {
    const read = parseHeader(value);
    return read.ok ? [read.value] : [];
  });
  return { url, headers: Object.fromEntries(headers) };
}

function mailOf(values: Values): MailSettings | undefined {
  const to = words(first(values, "mail-to"));
  if (to.length === 0) return undefined;
  const server = mailServer(first(values, "mail-by") || "sendmail");
  return {
    to,
    from: first(values, "mail-from"),
    server: server.ok ? server.value : undefined,
    user: first(values, "smtp-user"),
    password: first(values, "smtp-password"),
  };
}

/** The file with these values of a setting in place of those that it has; no value takes it out. Other lines stay as they are. */
export function withSetting(text: string, name: SettingName, values: readonly string[]): string {
  const { path, key } = placeOf(name);
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const kept = lines.filter((line) => settingLine(line, path)?.key !== key);
  const added = values.filter((value) => value !== "").map((value) => `${key}: ${value}`);
  return [...kept, ...added].map((line) => `${line}\n`).join("");
}

/** Values of a setting as they stand in its file, good or not. */
export function valuesIn(text: string, name: SettingName): readonly string[] {
  const { path, key } = placeOf(name);
  return text
    .slice(0, fileCharactersMax)
    .split("\n")
    .flatMap((line) => {
      const found = settingLine(line, path);
      return found?.key === key && found.value !== "" ? [found.value] : [];
    });
}

/** The mutes of a file with another one; those that are over go. `seconds` 0: it is muted no longer. Refused when there are too many. */
export function withMute(
  values: readonly string[],
  {
    what,
    seconds,
    wallMs,
  }: { readonly what: string; readonly seconds: number; readonly wallMs: number },
): Result<readonly string[]> {
  const others = values.filter((value) => {
    const read = parseMute(value);
    return read.ok && read.value.what !== what && read.value.until > wallMs;
  });
  if (seconds === 0) return success(others);
  if (others.length >= mutesMax)
    return failure(`${mutesMax} are muted already: unmute some of them`);
  return success([...others, muteValue({ what, until: wallMs + seconds * 1000 })]);
}

export const muteSecondsMax = 30 * daySeconds;

/** For whoever looks: of a secret only that it is there, of a webhook its machine. */
export function shownValue(name: SettingName, value: string): string {
  if (!settingOf(name).isSecret) return value;
  if (name !== "webhook") return "********";
  return webhookPlace(value);
}

/** Scheme and machine of an address: the rest may be a secret. */
export function webhookPlace(url: string): string {
  if (!URL.canParse(url)) return "********";
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname === "/" ? "/" : "/********"}`;
}
