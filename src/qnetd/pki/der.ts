// ASN.1 as certificates, requests and PKCS#12 files need it (X.690): a reader that takes foreign bytes and small functions that write
// DER. The reader must never throw, recurse deeper than `depthMax`, or look past the end; what it answers are views of the bytes.
import { byteString, decoded, type Decoded, joinBytes, malformed } from "../../bytes.ts";

/** A PKCS#12 file has 10 levels, a certificate 8. */
const depthMax = 24;
const elementsMax = 10_000;
const objectIdentifierBytesMax = 64;
/** Numbers of these formats (versions, iterations) are small; serial numbers are never read here. */
const integerBytesMax = 6;

/** Identifier octets of the types used here. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  /** Context-specific and constructed, number 0; add the number. */
  context: 0xa0,
} as const;

const constructedBit = 0x20;
const longTag = 0x1f;
const indefiniteLength = 0x80;

export interface Element {
  readonly tag: number;
  /** All of it, from the tag on. */
  readonly bytes: Uint8Array;
  readonly content: Uint8Array;
  /** Empty when it is primitive. */
  readonly children: readonly Element[];
}

const nothing: Element = {
  tag: -1,
  bytes: new Uint8Array(0),
  content: new Uint8Array(0),
  children: [],
};

/**
 * One element that fills the bytes exactly. `der`: lengths in their one shortest form; `ber`: indefinite lengths and padded ones too, as NSS
 * writes PKCS#12. The bytes are not copied.
 */
export function readElement(bytes: Uint8Array, rules: "der" | "ber"): Decoded<Element> {
  const parser = new Parser(bytes, rules === "ber");
  const element = parser.element(bytes.length, 0);
  if (element === undefined) return malformed(parser.reason);
  if (element.bytes.length !== bytes.length) return malformed("something follows its end");
  return decoded(element);
}

class Parser {
  readonly #bytes: Uint8Array;
  readonly #isBer: boolean;
  #at = 0;
  #elements = 0;
  reason = "";

  constructor(bytes: Uint8Array, isBer: boolean) {
    this.#bytes = bytes;
    this.#isBer = isBer;
  }

  element(end: number, depth: number): Element | undefined {
    this.#elements += 1;
    if (depth > depthMax) return this.#fail("it is nested too deeply");
    if (this.#elements > elementsMax) return this.#fail("it has too many elements");
    const start = this.#at;
    const tag = this.#bytes[start];
    if (tag === undefined || start + 2 > end) return this.#fail("it is cut short");
    if ((tag & longTag) === longTag) return this.#fail("it has a tag of another format");
    this.#at = start + 1;
    const isConstructed = (tag & constructedBit) !== 0;
    const length = this.#length(end);
    if (length === undefined) return undefined;
    if (length === "indefinite" && !(isConstructed && this.#isBer)) {
      return this.#fail("a length is missing");
    }
    const from = this.#at;
    const stop = length === "indefinite" ? end : from + length;
    if (stop > end) return this.#fail("it is cut short");
    if (!isConstructed) {
      this.#at = stop;
      return this.#made(tag, start, [from, stop], []);
    }
    const children = this.#children(stop, length === "indefinite", depth);
    if (children === undefined) return undefined;
    const to = this.#at;
    if (length === "indefinite") this.#at += 2;
    return this.#made(tag, start, [from, to], children);
  }

  #made(
    tag: number,
    start: number,
    [from, to]: readonly [number, number],
    children: readonly Element[],
  ): Element {
    const bytes = this.#bytes.subarray(start, this.#at);
    return { tag, bytes, content: this.#bytes.subarray(from, to), children };
  }

  #children(stop: number, isIndefinite: boolean, depth: number): Element[] | undefined {
    const children: Element[] = [];
    for (;;) {
      if (isIndefinite) {
        if (this.#at + 2 > stop) return this.#fail("it is cut short");
        if (this.#bytes[this.#at] === 0 && this.#bytes[this.#at + 1] === 0) return children;
      } else if (this.#at === stop) return children;
      const child = this.element(stop, depth + 1);
      if (child === undefined) return undefined;
      children.push(child);
    }
  }

  #length(end: number): number | "indefinite" | undefined {
    const first = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    if (first < indefiniteLength) return first;
    if (first === indefiniteLength) return "indefinite";
    const size = first & 0x7f;
    if (size > 4) return this.#fail("a length is too long");
    if (this.#at + size > end) return this.#fail("it is cut short");
    let length = 0;
    for (let count = 0; count < size; count += 1) {
      length = length * 256 + (this.#bytes[this.#at + count] ?? 0);
    }
    this.#at += size;
    const isShortest = length >= 0x80 && length >= 256 ** (size - 1);
    return isShortest || this.#isBer ? length : this.#fail("a length is not in its shortest form");
  }

  #fail(reason: string): undefined {
    this.reason = reason;
    return undefined;
  }
}

/** The element at a path of indices below `element`; where there is none, an element whose tag is -1 and which is empty. */
export function at(element: Element, ...path: readonly number[]): Element {
  let found = element;
  for (const index of path) found = found.children[index] ?? nothing;
  return found;
}

/** An object identifier in dots; "" when it is none. */
export function objectIdentifier({ tag, content }: Element): string {
  if (tag !== tags.objectIdentifier || content.length > objectIdentifierBytesMax) return "";
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of content) {
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) return "";
    if ((byte & 0x80) !== 0) continue;
    if (arcs.length === 0) {
      const first = Math.min(2, Math.floor(arc / 40));
      arcs.push(first, arc - first * 40);
    } else arcs.push(arc);
    arc = 0;
  }
  const isWhole = content.length > 0 && ((content.at(-1) ?? 0) & 0x80) === 0;
  return isWhole ? arcs.join(".") : "";
}

/** A number of 0 to 2^47; undefined: negative, larger, or none. */
export function integer({ tag, content }: Element): number | undefined {
  const isFit = content.length > 0 && content.length <= integerBytesMax;
  if (tag !== tags.integer || !isFit || (content[0] ?? 0) >= 0x80) return undefined;
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

/** The octets of an octet string or of one behind an implicit tag, also of one in pieces (BER). */
export function octets(element: Element): Uint8Array {
  if (element.children.length === 0) return element.content;
  return joinBytes(element.children.map(octets));
}

/** A bit string of whole octets; undefined: none. */
export function bits({ tag, content }: Element): Uint8Array | undefined {
  return tag === tags.bitString && content[0] === 0 ? content.subarray(1) : undefined;
}

/** A string of any of the kinds that names come in; undefined: none, or not well-formed. */
export function text({ tag, content }: Element): string | undefined {
  switch (tag) {
    case tags.printableString:
    case tags.ia5String:
    case tags.teletexString:
      return byteString(content);
    case tags.utf8String:
      return decodeText("utf-8", content);
    case tags.bmpString:
      return content.length % 2 === 0 ? decodeText("utf-16be", content) : undefined;
    default:
      return undefined;
  }
}

function decodeText(encoding: "utf-8" | "utf-16be", content: Uint8Array): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined; // Not well-formed.
  }
}

/** An element of any tag. The writers below allocate by their arguments: those are ours. */
export function writeElement(
  tag: number,
  ...pieces: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const size = length < 0x80 ? 0 : Math.ceil((32 - Math.clz32(length)) / 8);
  const made = new Uint8Array(2 + size + length);
  made[0] = tag;
  made[1] = size === 0 ? length : 0x80 | size;
  for (let index = 0; index < size; index += 1) made[1 + size - index] = length >>> (8 * index);
  let offset = 2 + size;
  for (const piece of pieces) {
    made.set(piece, offset);
    offset += piece.length;
  }
  return made;
}

export function writeSequence(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return writeElement(tags.sequence, ...pieces);
}

export function writeSet(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return writeElement(tags.set, ...pieces);
}

/** An explicit context tag around the pieces. */
export function writeContext(
  number: number,
  ...pieces: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  return writeElement(tags.context + number, ...pieces);
}

export function writeOctets(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return writeElement(tags.octetString, content);
}

export function writeBits(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return writeElement(tags.bitString, Uint8Array.of(0), content);
}

export const writtenNull: Uint8Array = writeElement(tags.null);
export const writtenTrue: Uint8Array = writeElement(tags.boolean, Uint8Array.of(0xff));

/** A whole number of 0 to 2^53 - 1. */
export function writeInteger(value: number): Uint8Array<ArrayBuffer> {
  const content: number[] = [];
  for (let rest = value; rest > 0 || content.length === 0; rest = Math.floor(rest / 256)) {
    content.unshift(rest % 256);
  }
  // Without it the number would be negative.
  if ((content[0] ?? 0) >= 0x80) content.unshift(0);
  return writeElement(tags.integer, Uint8Array.from(content));
}

/** `dots`: as in "2.5.4.3". */
export function writeObjectIdentifier(dots: string): Uint8Array<ArrayBuffer> {
  const [first = 0, second = 0, ...more] = dots.split(".").map(Number);
  const content = [first * 40 + second, ...more].flatMap((arc) => {
    const groups = [arc % 128];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
      groups.unshift(0x80 | (rest % 128));
    }
    return groups;
  });
  return writeElement(tags.objectIdentifier, Uint8Array.from(content));
}

/** UTF-16, big end first, without an end mark. */
export function bmpBytes(value: string): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(2 * value.length);
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index);
    content[2 * index] = code >> 8;
    content[2 * index + 1] = code;
  }
  return content;
}
