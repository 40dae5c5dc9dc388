// Tokens against cross-site requests: a page of another site can make a browser send the ticket's cookie, but not this. Spec: pvecm.md §4.3.
import { createHmac, timingSafeEqual } from "node:crypto";
import { fullRange, hex8, isWithin } from "./time-text.ts";

const tokenCharactersMax = 64;

/** `wwwKey`: the content of pve-www.key, as it is. */
export function csrfSecret(wwwKey: Uint8Array): string {
  return base64(createHmac("sha256", "").update(wwwKey));
}

/** `at`: Unix seconds. */
export function csrfToken(secret: string, user: string, at: number): string {
  const time = hex8(at);
  return `${time}:${base64(createHmac("sha256", secret).update(`${time}:${user}`))}`;
}

/** `now`: Unix seconds. */
export function isCsrfToken(secret: string, user: string, token: string, now: number): boolean {
  if (token.length > tokenCharactersMax) return false;
  const time = /^([0-9A-F]{8}):[A-Za-z0-9+/]{43}$/.exec(token)?.[1];
  if (time === undefined) return false;
  const at = Number.parseInt(time, 16);
  const expected = Buffer.from(csrfToken(secret, user, at));
  const given = Buffer.from(token);
  const isSame = expected.length === given.length && timingSafeEqual(expected, given);
  return isSame && isWithin(now - at, fullRange);
}

function base64(hmac: ReturnType<typeof createHmac>): string {
  return hmac.digest("base64").replace(/=+$/, "");
}
