// Login tickets: who somebody is and since when, signed with the cluster's key. Spec: pvecm.md §4.3. Foreign text is bounded before
// any arithmetic with it. A signature is PKCS#1 v1.5 over SHA-1, which is what Proxmox VE 8 and 9 make and take; SHA-256 is taken too.
import { constants, type KeyObject, sign, verify } from "node:crypto";
import { hex8 } from "./time-text.ts";

export const ticketCharactersMax = 8192;
const signatureBytesMax = 1024;
const prefix = "PVE";
const halfMark = "!tfa!";

export interface Ticket {
  /** "root@pam", or the half of a login: see `challengeOf`. */
  readonly data: string;
  /** Unix seconds. */
  readonly at: number;
  /** What is signed. */
  readonly plain: string;
  readonly signature: Uint8Array;
}

/** `secret`: what must be known besides to check the ticket; a half ticket has its user there. `at`: Unix seconds. */
export function makeTicket(
  key: KeyObject,
  { data, at, secret }: { readonly data: string; readonly at: number; readonly secret?: string },
): string {
  const plain = `${prefix}:${encodedData(data)}:${hex8(at)}`;
  const signature = sign("sha1", signed(plain, secret), {
    key,
    padding: constants.RSA_PKCS1_PADDING,
  });
  return `${plain}::${signature.toString("base64")}`;
}

/** Undefined: the text has not the form of a ticket. Nothing is checked yet. */
export function parseTicket(text: string): Ticket | undefined {
  if (text.length > ticketCharactersMax) return undefined;
  const [, plain, data, at, base64] =
    /^(PVE:([\x21-\x7e]{1,7000}):([0-9A-F]{8}))::([A-Za-z0-9+/]{1,1400}={0,2})$/.exec(text) ?? [];
  if (plain === undefined || data === undefined || at === undefined || base64 === undefined) {
    return undefined;
  }
  const signature = new Uint8Array(Buffer.from(base64, "base64"));
  if (signature.length > signatureBytesMax) return undefined;
  const decoded = decodedData(data);
  if (decoded === undefined) return undefined;
  return { data: decoded, at: Number.parseInt(at, 16), plain, signature };
}

/** True when the key's owner has made this ticket, with this secret. */
export function isTicketOf(key: KeyObject, ticket: Ticket, secret?: string): boolean {
  const bytes = signed(ticket.plain, secret);
  const padding = constants.RSA_PKCS1_PADDING;
  return ["sha1", "sha256"].some((digest) =>
    verify(digest, bytes, { key, padding }, ticket.signature),
  );
}

/** The data of a half ticket: the first step of a login was right, the second is missing. */
export function halfTicketData(challenge: object): string {
  return `${halfMark}${JSON.stringify(challenge)}`;
}

/** Kinds of second factors that a half ticket's challenge offers, as "totp"; of any text, none that cannot be read. */
export function challengeKinds(ticket: string): string[] {
  const text = /^PVE:!tfa!([^:]*):/.exec(ticket)?.[1];
  if (text === undefined) return [];
  try {
    const challenge: unknown = JSON.parse(decodeURIComponent(text));
    if (typeof challenge !== "object" || challenge === null) return [];
    return Object.entries(challenge)
      .filter(([kind, value]) => /^[a-z0-9-]{1,16}$/.test(kind) && isOffered(value))
      .map(([kind]) => kind);
  } catch {
    return []; // Another form of challenge: a code can be tried all the same.
  }
}

/** A kind that is set up: true, its options, or a list of what is left, as of recovery codes. */
function isOffered(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value === true || (typeof value === "object" && value !== null);
}

/** Whether a ticket is such a half. */
export function isHalf({ data }: Ticket): boolean {
  return data.startsWith(halfMark);
}

function signed(plain: string, secret: string | undefined): Uint8Array {
  return new TextEncoder().encode(secret === undefined ? plain : `${plain}:${secret}`);
}

/** Everything in the JSON of a half ticket that could be taken for something else; of a user only what would part the ticket. */
function encodedData(data: string): string {
  if (!data.startsWith(halfMark)) return data.replaceAll("%", "%25").replaceAll(":", "%3A");
  return `${halfMark}${encodeURIComponent(data.slice(halfMark.length))}`;
}

/** Older originals write a colon as it is. */
function decodedData(data: string): string | undefined {
  try {
    return decodeURIComponent(data);
  } catch {
    return undefined; // A per cent sign that begins nothing.
  }
}
