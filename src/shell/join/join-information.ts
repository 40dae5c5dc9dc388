// Join information: what Proxmox's page makes for copying and `pvecm add` cannot read, base64 of a JSON object without any secret
// (pvecm.md §3.1). Both ways, every field bounded. Pure; it must never throw on what a person pasted.
import * as v from "valibot";
import { type Decoded, decoded, malformed } from "../../bytes.ts";

const charactersMax = 64 * 1024;
const wordMax = 512;
const keysMax = 128;
const linksMax = 8;

/** The totem section of corosync.conf as the API shows it: all values are strings, interfaces by link number. */
export type TotemSection = Readonly<
  Record<string, string | Readonly<Record<string, Readonly<Record<string, string>>>>>
>;

export interface JoinInformation {
  /** Where the member's API answers. */
  readonly ipAddress: string;
  /** SHA-256 of the certificate that it shows there, upper case with colons. */
  readonly fingerprint: string;
  /** The member's address of each link, by link number. */
  readonly peerLinks: Readonly<Record<string, string>>;
  readonly totem: TotemSection;
}

const fingerprintPattern = /^(?:[A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}$/;
const addressPattern = /^[A-Za-z0-9:][A-Za-z0-9.:%-]{0,252}$/;

const word = v.pipe(v.string(), v.maxLength(wordMax), v.check(isPrintable));
const address = v.pipe(v.string(), v.regex(addressPattern));
const link = v.pipe(v.string(), v.regex(/^[0-7]$/));
const section = v.pipe(v.record(word, word), v.maxEntries(keysMax));
const interfaces = v.pipe(v.record(link, section), v.maxEntries(linksMax));
const totemSchema = v.pipe(
  v.record(word, v.union([word, interfaces])),
  v.maxEntries(keysMax),
  v.check((totem) => Object.entries(totem).every(isOwnKind)),
);
const schema = v.object({
  ipAddress: address,
  fingerprint: v.pipe(v.string(), v.regex(fingerprintPattern), v.toUpperCase()),
  peerLinks: v.optional(v.pipe(v.record(link, address), v.maxEntries(linksMax))),
  ring_addr: v.optional(v.pipe(v.array(v.nullable(address)), v.maxLength(linksMax))),
  totem: totemSchema,
});

/** The one line that Proxmox's page takes. Keys in the order in which that page writes them. */
export function encodeJoinInformation(information: JoinInformation): string {
  const { ipAddress, fingerprint, peerLinks, totem } = information;
  const ring = Object.keys(peerLinks)
    .toSorted()
    .map((number) => peerLinks[number]);
  const object = { ipAddress, fingerprint, peerLinks, ring_addr: ring, totem };
  return Buffer.from(JSON.stringify(object)).toString("base64");
}

/** Is it base64 of something that begins as a JSON object? A host name or an address is not. */
export function looksLikeJoinInformation(text: string): boolean {
  return /^eyJ[A-Za-z0-9+/]{20}/.test(text.replace(/\s+/g, ""));
}

/** The reason is a sentence for whoever pasted it. Blanks and line breaks that a terminal put in do not count. */
export function decodeJoinInformation(text: string): Decoded<JoinInformation> {
  const code = text.replace(/\s+/g, "");
  if (code.length > charactersMax || !/^[A-Za-z0-9+/]+={0,2}$/.test(code)) return damaged();
  let object: unknown;
  try {
    object = JSON.parse(Buffer.from(code, "base64").toString("utf8"));
  } catch {
    return damaged();
  }
  if (typeof object !== "object" || object === null || !("totem" in object)) {
    return malformed(
      'this is no join information: it has no "totem" part; copy the whole text from the cluster\'s page, or what "quorate join-info" prints',
    );
  }
  const read = v.safeParse(schema, object);
  if (!read.success) {
    const field = read.issues[0].path?.map(({ key }) => String(key)).join(".") ?? "";
    return malformed(
      `the join information has no usable ${field}: copy it again from the cluster's page, or use what "quorate join-info" prints`,
    );
  }
  const { ipAddress, fingerprint, ring_addr: ring = [], totem } = read.output;
  const peerLinks = read.output.peerLinks ?? linksOf(ring);
  return decoded({ ipAddress, fingerprint, peerLinks, totem });
}

/** Older pages wrote only the list. */
function linksOf(ring: readonly (string | null)[]): Record<string, string> {
  const entries = ring.map((each, at) => [String(at), each] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is readonly [string, string] => entry[1] !== null),
  );
}

function isOwnKind([key, value]: readonly [string, unknown]): boolean {
  return (key === "interface") === (typeof value === "object");
}

function isPrintable(text: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(text);
}

function damaged(): Decoded<JoinInformation> {
  return malformed(
    'the join information is damaged: copy the whole text from the cluster\'s page, or what "quorate join-info" prints',
  );
}
