// The second factors of a user as Proxmox stores them (priv/tfa.cfg, JSON): time-based codes and recovery codes are checked here, others
// can only be named. Pure but for HMAC. What is not understood is kept as it is when the file is written again. RFC 4226, RFC 6238.
import { createHmac, timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { type Result, failure, success } from "../../result.ts";

const fileBytesMax = 1024 * 1024;
/** As the original's: then only a recovery code helps. */
export const totpFailuresMax = 8;
/** Steps around now whose codes are taken, for clocks that differ. */
const stepsAround = 1;

/** Some of an entry may be missing in old files. */
const info = {
  id: v.string(),
  description: v.optional(v.string()),
  created: v.optional(v.number()),
  enable: v.optional(v.boolean(), true),
};
const lastCount = v.pipe(v.number(), v.integer());
const totpEntry = v.looseObject({
  ...info,
  entry: v.union([
    v.string(),
    v.looseObject({ totp: v.string(), "last-count": v.optional(lastCount) }),
  ]),
});
const otherEntries = v.optional(v.array(v.looseObject({ ...info })), []);
const userSchema = v.looseObject({
  totp: v.optional(v.array(totpEntry), []),
  recovery: v.optional(
    v.looseObject({
      secret: v.string(),
      entries: v.array(v.nullable(v.string())),
      created: v.optional(v.number()),
    }),
  ),
  webauthn: otherEntries,
  u2f: otherEntries,
  yubico: otherEntries,
  "totp-locked": v.optional(v.boolean(), false),
  "tfa-locked-until": v.optional(v.nullable(v.number())),
});
const knownKeys: ReadonlySet<string> = new Set(Object.keys(userSchema.entries));
const fileSchema = v.looseObject({ users: v.optional(v.record(v.string(), v.unknown()), {}) });

export type UserFactors = v.InferOutput<typeof userSchema>;

/** What a user may answer with, as the original names it in its half ticket. */
export interface Challenge {
  readonly totp?: true;
  /** Which recovery codes are left, by number. */
  readonly recovery?: readonly number[];
  readonly webauthn?: true;
  readonly u2f?: true;
  readonly yubico?: true;
}

export interface SecondFactorFile {
  readonly text: string;
  readonly user: string;
}

/** Undefined: the user has no second factor. A failure: what the file says is not understood, so nobody may be let in without one. */
export function challengeOf(file: SecondFactorFile): Result<Challenge | undefined> {
  const read = factorsOf(file);
  if (!read.ok) return read;
  if (read.value === undefined) return success(undefined);
  const { totp, recovery, webauthn, u2f, yubico } = read.value.factors;
  const isOn = (entries: readonly { readonly enable: boolean }[]) =>
    entries.some(({ enable }) => enable);
  const left = recovery?.entries.flatMap((entry, at) => (entry === null ? [] : [at]));
  const challenge: Challenge = {
    ...(isOn(totp) ? { totp: true } : {}),
    ...(left === undefined ? {} : { recovery: left }),
    ...(isOn(webauthn) ? { webauthn: true } : {}),
    ...(isOn(u2f) ? { u2f: true } : {}),
    ...(isOn(yubico) ? { yubico: true } : {}),
  };
  if (Object.keys(challenge).length > 0) return success(challenge);
  const foreign = Object.entries(read.value.factors).find(
    ([key, value]) => !knownKeys.has(key) && Array.isArray(value) && value.length > 0,
  );
  if (foreign === undefined) return success(undefined);
  return failure(`${file.user} has only second factors of a kind that is not known here`);
}

export type FactorVerdict =
  /**
   * `text`: what the file must say before the answer counts, so that no code is taken twice. `step`: of a time-based code, later ones
   * are greater.
   */
  | { readonly ok: true; readonly text: string; readonly step?: number }
  /** `text`: what the file must say now; absent: no change. */
  | { readonly ok: false; readonly reason: string; readonly text?: string };

/**
 * Checks "totp:123456" or "recovery:abcd-…". `now`: Unix seconds. `earlierFailures`: wrong time-based codes of this user since
 * the last right one, without this one.
 */
export function checkSecondFactor(
  file: SecondFactorFile,
  answer: string,
  { now, earlierFailures }: { readonly now: number; readonly earlierFailures: number },
): FactorVerdict {
  const read = factorsOf(file);
  if (!read.ok) return read;
  if (read.value === undefined) return { ok: false, reason: "there is no second factor" };
  const { factors, withFactors } = read.value;
  const lockedUntil = factors["tfa-locked-until"] ?? 0;
  if (lockedUntil > now) return { ok: false, reason: "second factors are locked" };
  const [, kind, code = ""] = /^(totp|recovery):([0-9A-Za-z-]{1,64})$/.exec(answer) ?? [];
  if (kind === "recovery") return checkRecovery(factors, code, withFactors);
  if (kind === "totp") {
    return checkTotp(factors, code, {
      now,
      isLast: earlierFailures + 1 >= totpFailuresMax,
      withFactors,
    });
  }
  return { ok: false, reason: "only codes of the kinds totp and recovery can be checked here" };
}

function checkTotp(
  factors: UserFactors,
  code: string,
  {
    now,
    isLast,
    withFactors,
  }: {
    readonly now: number;
    readonly isLast: boolean;
    readonly withFactors: (changed: UserFactors) => string;
  },
): FactorVerdict {
  if (factors["totp-locked"]) {
    return { ok: false, reason: "time-based codes are locked after too many wrong ones" };
  }
  for (const [at, { enable, entry }] of factors.totp.entries()) {
    if (!enable) continue;
    const uri = typeof entry === "string" ? entry : entry.totp;
    const lastUsed = typeof entry === "string" ? undefined : entry["last-count"];
    const settings = parseTotpUri(uri);
    const count = settings === undefined ? undefined : matchingCount(settings, code, now);
    if (count === undefined) continue;
    if (lastUsed !== undefined && count <= lastUsed) {
      return { ok: false, reason: "a time-based code was used again" };
    }
    const totp = factors.totp.map((each, index) =>
      index === at ? { ...each, entry: { totp: uri, "last-count": count } } : each,
    );
    return { ok: true, text: withFactors({ ...factors, totp }), step: count };
  }
  const reason = "a wrong time-based code";
  if (!isLast) return { ok: false, reason };
  return {
    ok: false,
    reason: `${reason}; they are locked now, until a recovery code is used`,
    text: withFactors({ ...factors, "totp-locked": true }),
  };
}

function checkRecovery(
  factors: UserFactors,
  code: string,
  withFactors: (changed: UserFactors) => string,
): FactorVerdict {
  const { recovery } = factors;
  if (recovery === undefined) return { ok: false, reason: "there are no recovery codes" };
  const hash = recoveryHash(recovery.secret, code);
  let used = -1;
  for (const [at, entry] of recovery.entries.entries()) {
    if (entry !== null && isSame(entry, hash)) used = at;
  }
  if (used < 0) return { ok: false, reason: "a wrong recovery code" };
  const entries = recovery.entries.map((entry, at) => (at === used ? null : entry));
  const { "tfa-locked-until": _, ...rest } = factors;
  return {
    ok: true,
    text: withFactors({ ...rest, recovery: { ...recovery, entries }, "totp-locked": false }),
  };
}

/** Of one of a user's recovery codes, as the file has it. */
export function recoveryHash(secret: string, code: string): string {
  return createHmac("sha256", secret).update(code).digest("hex");
}

interface Factors {
  readonly factors: UserFactors;
  /** The whole file with the user's factors changed. */
  readonly withFactors: (changed: UserFactors) => string;
}

function factorsOf({ text, user }: SecondFactorFile): Result<Factors | undefined> {
  const read = readFactorFile(text);
  if (!read.ok) return read;
  const found = read.value.of(user);
  if (!found.ok) return found;
  const factors = found.value;
  if (factors === undefined) return success(undefined);
  return success({ factors, withFactors: (changed) => read.value.withUser(user, changed) });
}

/** priv/tfa.cfg; what it says besides is kept. */
export interface FactorFile {
  readonly users: readonly string[];
  /** Undefined: the user has no entry. */
  readonly of: (user: string) => Result<UserFactors | undefined>;
  /** The file with another entry for a user; undefined: with none. */
  readonly withUser: (user: string, factors: UserFactors | undefined) => string;
}

/** A failure: it is none that is known here. */
export function readFactorFile(text: string): Result<FactorFile> {
  if (text.length > fileBytesMax) return failure("priv/tfa.cfg is too long");
  let json: unknown = {};
  try {
    if (text.trim() !== "") json = JSON.parse(text);
  } catch {
    return failure("priv/tfa.cfg is no JSON");
  }
  const file = v.safeParse(fileSchema, json);
  if (!file.success) return failure("priv/tfa.cfg has another form than is known");
  const { users } = file.output;
  return success({
    users: Object.keys(users),
    of: (user) => {
      if (!Object.hasOwn(users, user)) return success(undefined);
      const factors = v.safeParse(userSchema, users[user]);
      return factors.success
        ? success(factors.output)
        : failure(`the entry of ${user} in priv/tfa.cfg has another form than is known`);
    },
    withUser: (user, factors) => {
      const others = Object.entries(users).filter(([name]) => name !== user);
      const own = factors === undefined ? [] : [[user, withoutDefaults(factors)]];
      return JSON.stringify({ ...file.output, users: Object.fromEntries([...others, ...own]) });
    },
  });
}

/** The original refuses what it does not know, and leaves out what is empty. */
function withoutDefaults(factors: UserFactors): object {
  return Object.fromEntries(
    Object.entries(factors).filter(
      ([, value]) => value !== false && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

export interface TotpSettings {
  readonly secret: Uint8Array;
  readonly digits: number;
  readonly algorithm: "sha1" | "sha256" | "sha512";
  /** Seconds. */
  readonly period: number;
}

/** "otpauth://totp/…?secret=…"; undefined: none that can be used. */
export function parseTotpUri(uri: string): TotpSettings | undefined {
  const query = /^otpauth:\/\/totp\/[^?]{0,1000}\?(.{1,2000})$/.exec(uri)?.[1];
  if (query === undefined) return undefined;
  const parameters = new URLSearchParams(query);
  const secret = base32(parameters.get("secret") ?? "");
  const digits = Number(parameters.get("digits") ?? "6");
  const period = Number(parameters.get("period") ?? "30");
  const algorithm = (parameters.get("algorithm") ?? "SHA1").toLowerCase();
  if (secret === undefined || secret.length === 0) return undefined;
  if (algorithm !== "sha1" && algorithm !== "sha256" && algorithm !== "sha512") return undefined;
  if (!Number.isInteger(digits) || digits < 6 || digits > 9) return undefined;
  if (!Number.isInteger(period) || period < 10 || period > 3600) return undefined;
  return { secret, digits, algorithm, period };
}

/** RFC 4226 §5.3. */
export function hotp({ secret, digits, algorithm }: TotpSettings, count: number): string {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(count));
  const hmac = createHmac(algorithm, secret).update(new Uint8Array(counter.buffer)).digest();
  const offset = (hmac.at(-1) ?? 0) & 0xf;
  const value = hmac.readUInt32BE(offset) & 0x7fff_ffff;
  return String(value % 10 ** digits).padStart(digits, "0");
}

/** Whether it is the code of now, or of a step beside it. `now`: Unix seconds. */
export function isTotpCode(settings: TotpSettings, code: string, now: number): boolean {
  return matchingCount(settings, code, now) !== undefined;
}

/** The step whose code this is, all looked at whatever matches; undefined: none. */
function matchingCount(settings: TotpSettings, code: string, now: number): number | undefined {
  const middle = Math.floor(now / settings.period);
  let found: number | undefined;
  for (let count = middle - stepsAround; count <= middle + stepsAround; count += 1) {
    if (count >= 0 && isSame(hotp(settings, count), code)) found = count;
  }
  return found;
}

function isSame(a: string, b: string): boolean {
  const [first, second] = [Buffer.from(a), Buffer.from(b)];
  return first.length === second.length && timingSafeEqual(first, second);
}

/** RFC 4648 without padding; undefined: it is none. */
function base32(text: string): Uint8Array | undefined {
  const letters = text.replace(/=+$/, "").toUpperCase();
  if (letters.length > 1024 || !/^[A-Z2-7]*$/.test(letters)) return undefined;
  const bytes = new Uint8Array(Math.floor((letters.length * 5) / 8));
  let bits = 0;
  let bitCount = 0;
  let at = 0;
  for (const letter of letters) {
    bits = ((bits << 5) | "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter)) & 0xfff;
    bitCount += 5;
    if (bitCount < 8) continue;
    bitCount -= 8;
    bytes[at] = (bits >> bitCount) & 0xff;
    at += 1;
  }
  return bytes;
}
