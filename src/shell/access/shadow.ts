// /etc/shadow: the hash of a user's password, and whether the account may be used. Pure; shadow(5).

/** No hash that crypt makes is longer. */
const hashCharactersMax = 384;

export type ShadowEntry =
  | { readonly kind: "hash"; readonly hash: string }
  /** `reason`: for the log, a predicate without the user. */
  | { readonly kind: "closed"; readonly reason: string };

/** `today`: days since 1970. */
export function shadowEntry(text: string, user: string, today: number): ShadowEntry {
  const line = text.split("\n").find((each) => each.startsWith(`${user}:`));
  if (line === undefined) return closed("has no entry in the file of passwords");
  const [, hash = "", , , , , , expires = ""] = line.split(":");
  if (/^\d{1,9}$/.test(expires) && Number(expires) <= today) return closed("has expired");
  return hashEntry(hash);
}

/** What a file of passwords has as somebody's hash. */
export function hashEntry(hash: string): ShadowEntry {
  if (hash === "") return closed("has no password");
  if (/^[!*]/.test(hash)) return closed("is locked, or has no password to log in with");
  if (hash.length > hashCharactersMax || !/^[\x21-\x39\x3b-\x7e]+$/.test(hash)) {
    return closed("has a password hash that cannot be read");
  }
  return { kind: "hash", hash };
}

function closed(reason: string): ShadowEntry {
  return { kind: "closed", reason };
}
