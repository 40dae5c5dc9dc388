// Users as Proxmox names them: "root@pam". Pure.

/** As the original's (maxLength of `username`). */
export const userIdCharactersMax = 64;

const realmPattern = /^[A-Za-z][A-Za-z0-9.\-_]+$/;

export interface UserId {
  /** "root". */
  readonly name: string;
  /** "pam", "pve", … */
  readonly realm: string;
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
