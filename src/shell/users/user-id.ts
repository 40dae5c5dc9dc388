// Users and API tokens as Proxmox names them: "root@pam", "root@pam!backup". Pure.

/** As the original's (maxLength of `username`). */
export const userIdCharactersMax = 64;
/** Of a token's own name; no longer one fits a header (credentials.ts). */
export const tokenNameCharactersMax = 128;

const realmPattern = /^[A-Za-z][A-Za-z0-9.\-_]+$/;

export interface UserId {
  /** "root". */
  readonly name: string;
  /** "pam", "pve", … */
  readonly realm: string;
}

export interface TokenId {
  /** "root@pam". */
  readonly user: string;
  /** "backup". */
  readonly name: string;
}

/** The superuser: everything is allowed, and only to it. */
export const rootUser = "root@pam";

/** Undefined: the text names no user. A name has no colon, slash, white space or control character. */
export function parseUserId(text: string): UserId | undefined {
  if (text.length > userIdCharactersMax) return undefined;
  const at = text.lastIndexOf("@");
  const name = text.slice(0, at);
  const realm = text.slice(at + 1);
  if (at < 1 || !/^[^\s:/\p{C}]+$/u.test(name) || !realmPattern.test(realm)) return undefined;
  return { name, realm };
}

/** Can stand in a list of user.cfg: nothing in it parts one name from the next (text-code.ts, `splitList`). */
export function isListable(text: string): boolean {
  return text !== "" && !/[,;:\s\0]/.test(text);
}

/** Undefined: the text names no token. */
export function parseTokenId(text: string): TokenId | undefined {
  const at = text.lastIndexOf("!");
  const user = text.slice(0, Math.max(at, 0));
  const name = text.slice(at + 1);
  if (at < 1 || !isTokenName(name) || parseUserId(user) === undefined) return undefined;
  return { user, name };
}

/** "backup": the form of a realm's name. */
export function isTokenName(text: string): boolean {
  return text.length <= tokenNameCharactersMax && realmPattern.test(text);
}

/** "pam", "corp.example". */
export function isRealm(text: string): boolean {
  return text.length <= 32 && realmPattern.test(text);
}

/** Of groups and roles. Perl takes a name "0" for none. */
export function isGroupOrRoleName(text: string): boolean {
  return text !== "0" && /^[A-Za-z0-9.\-_]+$/.test(text);
}

/** Up to three levels: "customers/small". */
export function isPoolName(text: string): boolean {
  return text !== "0" && /^[A-Za-z0-9.\-_]+(?:\/[A-Za-z0-9.\-_]+){0,2}$/.test(text);
}
