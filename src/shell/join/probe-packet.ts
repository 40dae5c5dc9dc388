// What joining node and member send each other before the join, to see whether a link carries packets of full size both ways: a nonce that
// both know from their HTTPS session, a number, and padding. Who sends back sends the same number under the other nonce, so that a
// packet of somebody else, or one that was merely reflected, counts as nothing. Pure.
import { equalBytes, Reader, Writer } from "../../bytes.ts";

const magic = 0x514a5031; // "QJP1"
export const nonceBytes = 16;
/** Of a packet without padding. */
export const headBytes = 4 + nonceBytes + 4;
/** Of a datagram over IPv4. */
export const packetBytesMax = 65_507;

export function encodeProbe(nonce: Uint8Array, number: number, size: number): Uint8Array {
  const writer = new Writer(size).u32be(magic).put(nonce).u32be(number);
  return writer.zeros(Math.max(0, size - headBytes)).finish();
}

/** The number of a packet under this nonce; undefined: it is somebody else's. */
export function decodeProbe(packet: Uint8Array, nonce: Uint8Array): number | undefined {
  const reader = new Reader(packet);
  const isOurs = reader.u32be() === magic && equalBytes(reader.take(nonceBytes), nonce);
  const number = reader.u32be();
  return isOurs && !reader.failed ? number : undefined;
}

/** The payload of the largest datagram that an interface sends in one piece. */
export function payloadOf(mtu: number, isIpv6: boolean): number {
  return Math.min(packetBytesMax, mtu - (isIpv6 ? 40 : 20) - 8);
}
