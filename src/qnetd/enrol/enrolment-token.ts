// The token of an invitation: everything a node needs to find the vote server, to know that it is the right one, and to be let in
// once. An operator carries it from the server to one node by hand. Pure; it must never throw on what a person pasted.
import {
  byteString,
  bytesOf,
  type Decoded,
  decoded,
  malformed,
  Reader,
  Writer,
} from "../../bytes.ts";

export const secretBytes = 16;
export const fingerprintBytes = 32;
export const addressesMax = 16;
const nameBytesMax = 200;
const addressBytesMax = 253;
const charactersMax = 8192;
const checksumBytes = 4;
/** Before the names: expiry, port, fingerprint and secret. */
const fixedBytes = 4 + 2 + fingerprintBytes + secretBytes;
const labelCharactersMax = 63;
/** Of all kinds of tokens, and a name that a machine may have. */
const sharedBeginning = "quorate";

export interface InviteToken {
  readonly cluster: string;
  /** Where the server may be reached, best first. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** SHA-256 of the authority's certificate (DER). */
  readonly fingerprint: Uint8Array;
  readonly secret: Uint8Array;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** Tokens of one kind: how they begin, and who prints them, for sentences. */
export interface TokenForm {
  readonly prefix: string;
  readonly printer: string;
}

const invitation: TokenForm = { prefix: "quorate1.", printer: "the vote server" };

export function looksLikeToken(text: string, { prefix }: TokenForm = invitation): boolean {
  return text.trim().startsWith(prefix);
}

/**
 * What is wrong with a word that is a part of a token, or a token of another kind, as a sentence; "" of what may be a token, name or address. A
 * double click takes what stands before the dot, or behind it; a line that a terminal broke is copied in part.
 */
export function cutTokenText(text: string, form: TokenForm = invitation): string {
  const { prefix, printer } = form;
  const word = text.trim();
  const whole = `copy the whole line that ${printer} printed`;
  if (word.startsWith(prefix)) return "";
  if (word.length > sharedBeginning.length && prefix.startsWith(word)) {
    return `the token is cut: "${word}" is only its beginning; ${whole}`;
  }
  if (/^quorate[a-z]*\d\.[A-Za-z0-9_-]{20}/.test(word)) {
    return `that is a token of another kind: one that begins with "${prefix}" is needed, as ${printer} prints it`;
  }
  if (!word.split(".").some(isTokenPart)) return "";
  const isComplete = decodeToken(`${prefix}${word}`, form).ok;
  return isComplete
    ? `the token is cut: its beginning "${prefix}" is missing; ${whole}`
    : `that looks like a part of a token: ${whole}. If it is the name of a machine, give it in small letters`;
}

/** No label of a name is so long, and hardly one has so many letters and digits of all kinds. */
function isTokenPart(word: string): boolean {
  if (!/^[A-Za-z0-9_-]{20,}$/.test(word)) return false;
  return (
    word.length > labelCharactersMax || [/[a-z]/, /[A-Z]/, /[0-9]/].every((kind) => kind.test(word))
  );
}

/** Names and addresses must be within their limits: whoever makes an invitation has checked them. */
export function encodeToken(token: InviteToken, { prefix }: TokenForm = invitation): string {
  const writer = new Writer()
    .u32be(token.expiresAt)
    .u16be(token.port)
    .put(token.fingerprint)
    .put(token.secret);
  const texts = [token.cluster, ...token.addresses];
  writer.u8(texts.length);
  for (const text of texts) {
    const bytes = new TextEncoder().encode(text);
    writer.u8(bytes.length).put(bytes);
  }
  const body = writer.finish();
  const whole = new Writer().put(body).u32be(checksum(body)).finish();
  return prefix + Buffer.from(whole).toString("base64url");
}

/** The reason is a sentence for whoever pasted it. Blanks and line breaks that a terminal put in do not count. */
export function decodeToken(
  text: string,
  { prefix, printer }: TokenForm = invitation,
): Decoded<InviteToken> {
  const damaged = (): Decoded<InviteToken> =>
    malformed(`the token is damaged: copy the whole line that ${printer} printed`);
  const word = text.replace(/\s+/g, "");
  if (!word.startsWith(prefix)) return malformed(`a token begins with "${prefix}"`);
  const code = word.slice(prefix.length);
  if (word.length > charactersMax || !/^[A-Za-z0-9_-]*$/.test(code)) return damaged();
  const bytes = new Uint8Array(Buffer.from(code, "base64url"));
  if (isCut(bytes)) {
    return malformed(
      `the token is cut, its end is missing: copy the whole line that ${printer} printed`,
    );
  }
  const body = bytes.subarray(0, bytes.length - checksumBytes);
  if (new Reader(bytes.subarray(body.length)).u32be() !== checksum(body)) return damaged();
  const reader = new Reader(body);
  const expiresAt = reader.u32be();
  const port = reader.u16be();
  const fingerprint = reader.take(fingerprintBytes).slice();
  const secret = reader.take(secretBytes).slice();
  const count = reader.u8();
  if (count > addressesMax + 1) return damaged();
  const texts: string[] = [];
  for (let at = 0; at < count && !reader.failed; at += 1) {
    texts.push(textOf(reader.take(reader.u8())));
  }
  const [cluster, ...addresses] = texts;
  if (reader.failed || reader.remaining > 0 || port === 0) return damaged();
  if (cluster === undefined || addresses.length === 0) return damaged();
  if (!isClusterName(cluster) || !addresses.every(isAddress)) return damaged();
  return decoded({ cluster, addresses, port, fingerprint, secret, expiresAt });
}

/** Its own lengths announce more than there is. */
function isCut(bytes: Uint8Array): boolean {
  const reader = new Reader(bytes);
  reader.skip(fixedBytes);
  const count = reader.u8();
  for (let at = 0; at < count && !reader.failed; at += 1) reader.skip(reader.u8());
  return reader.failed || reader.remaining < checksumBytes;
}

/** A cluster name that may stand in a certificate, a file name and on a terminal. */
export function isClusterName(name: string): boolean {
  const bytes = new TextEncoder().encode(name).length;
  return bytes > 0 && bytes <= nameBytesMax && !hasControls(name) && !/[/*]/.test(name);
}

/** An IP address or a host name, as far as its letters tell. */
export function isAddress(address: string): boolean {
  return address.length <= addressBytesMax && /^[A-Za-z0-9][A-Za-z0-9.:%-]*$|^::/.test(address);
}

function hasControls(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}

function textOf(bytes: Uint8Array): string {
  // What is no UTF-8 becomes characters that no name has.
  return new TextDecoder().decode(bytesOf(byteString(bytes)));
}

/** CRC-32: a slip of the hand shall not look like a wrong secret. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}
