// The simulator's own ordered messages: an id and filling, found again in what the ring delivers.
import { Reader, bytesOf, byteString, equalBytes } from "../../src/bytes.ts";

export const simGroup = "sim\0";
const magic = bytesOf("SIM1");
const cpgMcastId = 131_075;
/** totempg group prefix of "a", and the header of a CPG mcast (services.md §1.6). */
const prefixBytes = 5;
const mcastBytes = 184;
const idBytesMax = 40;

/** At least the id; at most `size` bytes beyond it. */
export function payload(id: string, size: number): Uint8Array {
  const text = bytesOf(id);
  const bytes = new Uint8Array(magic.length + 1 + text.length + size);
  bytes.set(magic);
  bytes[magic.length] = text.length;
  bytes.set(text, magic.length + 1);
  return bytes;
}

/** The id in a logical message of the ring (group prefix in front); undefined when it is none of ours. */
export function messageId(message: Uint8Array): string | undefined {
  if (message.length < prefixBytes + mcastBytes + magic.length + 1) return undefined;
  const header = new Reader(message.subarray(prefixBytes));
  if (header.i32() !== cpgMcastId) return undefined;
  const body = new Reader(message.subarray(prefixBytes + mcastBytes));
  if (!equalBytes(body.take(magic.length), magic)) return undefined;
  const length = body.u8();
  if (length > idBytesMax) return undefined;
  const id = body.take(length);
  return body.failed ? undefined : byteString(id);
}
