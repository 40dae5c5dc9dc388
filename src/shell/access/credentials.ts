// What a request says of who sends it: the ticket's cookie, or an Authorization header with a ticket or an API token. Spec: pvecm.md §4.3.
// Pure; foreign text, bounded.
import { ticketCharactersMax } from "./ticket.ts";

const headerCharactersMax = 32_768;
const tokenCharactersMax = 512;

export type Credentials =
  | { readonly kind: "none" }
  | { readonly kind: "ticket"; readonly ticket: string }
  /** "user@realm!id=uuid". */
  | { readonly kind: "token"; readonly token: string }
  /** Something that can be neither. */
  | { readonly kind: "malformed" };

/** A ticket wins when both are sent. */
export function credentialsOf(headers: {
  readonly get: (name: string) => string | null;
}): Credentials {
  const cookie = headers.get("cookie") ?? "";
  const authorization = headers.get("authorization") ?? "";
  if (cookie.length > headerCharactersMax || authorization.length > headerCharactersMax) {
    return { kind: "malformed" };
  }
  const encoded =
    cookieValue(cookie, "PVEAuthCookie") ?? cookieValue(authorization, "PVEAuthCookie");
  if (encoded !== undefined && encoded !== "") {
    const ticket = decoded(encoded);
    return ticket === undefined || ticket.length > ticketCharactersMax
      ? { kind: "malformed" }
      : { kind: "ticket", ticket };
  }
  const token = /^PVEAPIToken[= ](.*)$/s.exec(authorization)?.[1];
  if (token === undefined) return { kind: "none" };
  return token.length > tokenCharactersMax || !/^[\x21-\x7e]+$/.test(token)
    ? { kind: "malformed" }
    : { kind: "token", token };
}

/** The first of that name. */
function cookieValue(header: string, name: string): string | undefined {
  for (const part of header.split(";")) {
    const at = part.indexOf("=");
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // A per cent sign that begins nothing.
  }
}
