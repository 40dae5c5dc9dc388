// The entries of priv/tfa.cfg as its users see and change them (pvecm.md §4.2, /access/tfa): listed without their secrets, added, changed, removed.
// Pure but for random bytes. Codes are judged in second-factor.ts.
import { randomBytes, randomUUID } from "node:crypto";
import { type Result, failure, success } from "../../result.ts";
import {
  isTotpCode,
  parseTotpUri,
  readFactorFile,
  recoveryHash,
  type UserFactors,
} from "./second-factor.ts";

/** As the original's. */
const recoveryCodes = 10;
const entriesMax = 64;

export type FactorKind = "recovery" | "totp" | "webauthn" | "u2f" | "yubico";
const kinds = ["totp", "webauthn", "u2f", "yubico"] as const;

export interface FactorEntry {
  readonly type: FactorKind;
  /** Of recovery codes "recovery". */
  readonly id: string;
  readonly description: string;
  /** Unix seconds. */
  readonly created: number;
  readonly enable: boolean;
}

/** Absent: nothing is locked. */
export interface FactorLock {
  readonly "totp-locked"?: true;
  /** Unix seconds. */
  readonly "tfa-locked-until"?: number;
}

/** Everybody with entries, in the file's order. A failure: the file, or an entry of it, is not understood. */
export function listFactors(
  text: string,
): Result<readonly { readonly user: string; readonly entries: readonly FactorEntry[] }[]> {
  const file = readFactorFile(text);
  if (!file.ok) return file;
  const listed = [];
  for (const user of file.value.users) {
    const factors = file.value.of(user);
    if (!factors.ok) return factors;
    listed.push({ user, entries: factors.value === undefined ? [] : entriesOf(factors.value) });
  }
  return success(listed);
}

function entriesOf(factors: UserFactors): readonly FactorEntry[] {
  const { recovery } = factors;
  const codes: readonly FactorEntry[] =
    recovery === undefined
      ? []
      : [
          {
            ...{ type: "recovery", id: "recovery", description: "", enable: true },
            created: recovery.created ?? 0,
          },
        ];
  const others = kinds.flatMap((type) =>
    factors[type].map(({ id, description = "", created = 0, enable }) => ({
      ...{ type, id, description, created, enable },
    })),
  );
  return [...codes, ...others];
}

/** What of a user is locked now; nothing when the file is not understood: a login says so then. `now`: Unix seconds. */
export function lockOf(text: string, user: string, now: number): FactorLock {
  const file = readFactorFile(text);
  const factors = file.ok ? file.value.of(user) : file;
  if (!factors.ok || factors.value === undefined) return {};
  const until = factors.value["tfa-locked-until"] ?? 0;
  return {
    ...(factors.value["totp-locked"] ? { "totp-locked": true } : {}),
    ...(until > now ? { "tfa-locked-until": until } : {}),
  };
}

/** A changed file. */
export interface ChangedFactors {
  readonly text: string;
  /** The user has some yet. */
  readonly isAnyLeft: boolean;
}

const nobody: UserFactors = {
  totp: [],
  webauthn: [],
  u2f: [],
  yubico: [],
  "totp-locked": false,
};

interface Edited<T> {
  readonly factors: UserFactors;
  readonly value: T;
}

function edited<T>(
  text: string,
  user: string,
  edit: (factors: UserFactors) => Result<Edited<T>>,
): Result<ChangedFactors & { readonly value: T }> {
  const file = readFactorFile(text);
  if (!file.ok) return file;
  const before = file.value.of(user);
  if (!before.ok) return before;
  const made = edit(before.value ?? nobody);
  if (!made.ok) return made;
  const { factors, value } = made.value;
  const isAnyLeft = hasAny(factors);
  return success({
    text: file.value.withUser(user, isAnyLeft ? factors : undefined),
    isAnyLeft,
    value,
  });
}

/** Entries of kinds that are not known here count, too. */
function hasAny(factors: UserFactors): boolean {
  return Object.entries(factors).some(([key, value]) =>
    Array.isArray(value) ? value.length > 0 : key === "recovery" && value !== undefined,
  );
}

/** Adds time-based codes, once one of them has been shown. Answers the entry's id. `now`: Unix seconds. */
export function addTotp(
  text: string,
  user: string,
  added: {
    readonly description: string;
    readonly uri: string;
    readonly code: string;
    readonly now: number;
  },
): Result<ChangedFactors & { readonly value: string }> {
  const { description, uri, code, now } = added;
  const settings = parseTotpUri(uri);
  if (settings === undefined) return failure("that is no otpauth://totp/ address that can be used");
  if (!isTotpCode(settings, code, now)) return failure("failed to verify TOTP challenge");
  return edited(text, user, (factors) => {
    if (factors.totp.length >= entriesMax) return failure("a user has at most 64 of them");
    const id = randomUUID();
    const entry = { id, description, created: now, enable: true, entry: uri };
    return success({ factors: { ...factors, totp: [...factors.totp, entry] }, value: id });
  });
}

/** Answers ten codes, each good once, which are nowhere else. */
export function addRecovery(
  text: string,
  user: string,
  now: number,
): Result<ChangedFactors & { readonly value: readonly string[] }> {
  return edited(text, user, (factors) => {
    if (factors.recovery !== undefined) return failure("user already has recovery keys");
    const secret = randomBytes(8).toString("hex");
    const codes = Array.from({ length: recoveryCodes }, () =>
      (randomBytes(8).toString("hex").match(/.{4}/g) ?? []).join("-"),
    );
    const entries = codes.map((code) => recoveryHash(secret, code));
    const recovery = { secret, entries, created: now };
    return success({ factors: { ...factors, recovery }, value: codes });
  });
}

function noEntry(id: string): Result<never> {
  return failure(`No such tfa entry '${id}'`);
}

export function removeFactor(text: string, user: string, id: string): Result<ChangedFactors> {
  return edited(text, user, (factors) => {
    if (!entriesOf(factors).some((entry) => entry.id === id)) return noEntry(id);
    const { recovery, ...rest } = factors;
    const kept = Object.fromEntries(
      kinds.map((kind) => [kind, rest[kind].filter((entry) => entry.id !== id)]),
    );
    const withRecovery = id === "recovery" || recovery === undefined ? {} : { recovery };
    return success({ factors: { ...rest, ...kept, ...withRecovery }, value: undefined });
  });
}

/** Another description, or switched on or off; not of recovery codes. */
export function updateFactor(
  text: string,
  user: string,
  id: string,
  change: { readonly description: string | undefined; readonly enable: boolean | undefined },
): Result<ChangedFactors> {
  return edited(text, user, (factors) => {
    const isThere = entriesOf(factors).some((entry) => entry.id === id);
    if (!isThere || id === "recovery") return noEntry(id);
    const changed = Object.fromEntries(
      kinds.map((kind) => [
        kind,
        factors[kind].map((entry) =>
          entry.id === id
            ? {
                ...entry,
                ...(change.description === undefined ? {} : { description: change.description }),
                enable: change.enable ?? entry.enable,
              }
            : entry,
        ),
      ]),
    );
    return success({ factors: { ...factors, ...changed }, value: undefined });
  });
}

/** Ends what wrong codes have locked; `value`: something was. `now`: Unix seconds. */
export function unlockFactors(
  text: string,
  user: string,
  now: number,
): Result<ChangedFactors & { readonly value: boolean }> {
  return edited(text, user, (factors) => {
    const { "tfa-locked-until": until, ...rest } = factors;
    const value = factors["totp-locked"] || (until ?? 0) > now;
    return success({ factors: value ? { ...rest, "totp-locked": false } : factors, value });
  });
}

/** All of a user's. */
export function withoutUser(text: string, user: string): Result<string> {
  const file = readFactorFile(text);
  if (!file.ok) return file;
  return success(file.value.users.includes(user) ? file.value.withUser(user, undefined) : text);
}
