// totempg, send side (totem.md §2.1–§2.4): the packet inside an mcast, and a bounded queue of logical messages that is packed
// when the token is here. A packet carries blocks: whole messages, the end of one, the beginning of one. It must never send a
// message larger than a receiver's assembly buffer, which corosync guards with an assertion.
import { decoded, malformed, Reader, type Decoded } from "../../bytes.ts";

const packetHeaderBytes = 8;
const lengthBytes = 2;
/** A continued block brings at least this much, so that no packet is spent on nothing. */
const blockBytesMin = 1;
const fragmentMax = 255;
/** Two totem mcast headers, so that a packet still fits when it is wrapped in RECOVERY. */
const wrapBytes = 90;
const netMtuMin = 256;
const netMtuMax = 65_536;

/**
 * Largest logical message: a service payload of 1 MiB and its group header. A receiver's buffer is 1 MiB + 64 KiB and must
 * also hold the rest of the packet that brings the last block.
 */
export const logicalMessageBytesMax = 1_048_576 + 64;
/** Bounds what waits for the token; the ring host keeps further requests, and with them their credit (thread/client.ts). */
const queuedBytesMax = 4 * 1_048_576;
/** What a waiting message costs besides its bytes, so that a flood of tiny ones is bounded too. */
const queuedMessageCost = 64;

/** struct totempg_mcast with its blocks. */
export interface Packet {
  readonly version: number;
  readonly type: number;
  /** 0: the last block is complete; else the number under which it continues in the next packet. */
  readonly fragmented: number;
  /** 0: the first block begins a message; else the previous packet's `fragmented`. */
  readonly continuation: number;
  readonly blocks: readonly Uint8Array[];
}

/** Reads a packet; the blocks are views into `body`. The length must be exactly that of its parts (totem.md §2.1). */
export function decodePacket(body: Uint8Array): Decoded<Packet> {
  const reader = new Reader(body);
  const version = reader.u16();
  const type = reader.u16();
  const fragmented = reader.u8();
  const continuation = reader.u8();
  const count = reader.u16();
  if (reader.failed || reader.remaining < count * lengthBytes) {
    return malformed(`is too short for a totempg packet (has ${body.length} bytes)`);
  }
  let expected = packetHeaderBytes + count * lengthBytes;
  const lengths: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const length = reader.u16();
    lengths.push(length);
    expected += length;
  }
  if (expected !== body.length) {
    return malformed(
      `doesn't have expected length of ${expected} (has ${body.length}) bytes...  Ignoring.`,
    );
  }
  if (count === 0) return malformed("has no blocks...  Ignoring.");
  const blocks = lengths.map((length) => reader.take(length));
  return decoded({ version, type, fragmented, continuation, blocks });
}

/** Writes a packet with `before` bytes left free in front of it for the mcast header. */
export function encodePacket(packet: Packet, before = 0): Uint8Array {
  let size = before + packetHeaderBytes + packet.blocks.length * lengthBytes;
  let at = size;
  for (const block of packet.blocks) size += block.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint16(before, packet.version, true);
  view.setUint16(before + 2, packet.type, true);
  view.setUint8(before + 4, packet.fragmented);
  view.setUint8(before + 5, packet.continuation);
  view.setUint16(before + 6, packet.blocks.length, true);
  let lengthAt = before + packetHeaderBytes;
  for (const block of packet.blocks) {
    view.setUint16(lengthAt, block.length, true);
    lengthAt += lengthBytes;
    bytes.set(block, at);
    at += block.length;
  }
  return bytes;
}

/** Largest totempg packet for a configured netmtu, whatever that is. */
export function packetBytesMax(netMtu: number): number {
  return Math.min(Math.max(netMtu, netMtuMin), netMtuMax) - wrapBytes;
}

/** In the place of what was sent, which must not be kept. */
const nothing = new Uint8Array(0);

/** 1 … 255 and again 1: 0 means "whole". */
function nextFragment(fragment: number): number {
  return (fragment % fragmentMax) + 1;
}

/** One send queue with its own fragment numbers. */
export class Packer {
  #packetBytesMax: number;
  /** A list with a moving head: shifting a long array would cost its length. */
  #messages: Uint8Array[] = [];
  #head = 0;
  /** How much of the head message is sent. */
  #sent = 0;
  #bytes = 0;
  #fragment = 0;
  /** Not 0: the continuation of the packet that has to go out before a message begins again. */
  #resetFragment = 0;

  constructor(netMtu: number) {
    this.#packetBytesMax = packetBytesMax(netMtu);
  }

  get messages(): number {
    return this.#messages.length - this.#head;
  }

  get hasRoom(): boolean {
    return this.#cost() < queuedBytesMax;
  }

  /** Whether receivers hold the beginning of a message of this queue. */
  get isHalfSent(): boolean {
    return this.#sent > 0 || this.#resetFragment > 0;
  }

  /** About how many packets the queue will fill: the ring's backlog figure. */
  get packets(): number {
    if (this.messages === 0) return 0;
    const bytes = this.#bytes + this.messages * lengthBytes;
    return Math.ceil(bytes / (this.#packetBytesMax - packetHeaderBytes));
  }

  /** Queues a message. False: larger than any receiver can take, nothing was queued. */
  push(message: Uint8Array): boolean {
    if (message.length > logicalMessageBytesMax) return false;
    this.#messages.push(message);
    this.#bytes += message.length;
    return true;
  }

  #cost(): number {
    return this.#bytes + this.messages * queuedMessageCost;
  }

  setNetMtu(netMtu: number): void {
    this.#packetBytesMax = packetBytesMax(netMtu);
  }

  /**
   * To be called when a new ring begins. A node that joins has not received the beginning of a half-sent message: the original
   * sends only the rest, so old members deliver it and new ones do not. We send it again from its beginning, behind a packet
   * whose continuation fits no receiver, so that each drops what it has of our message (totem.md §2.5, 3 and 5).
   */
  ringChanged(): void {
    if (this.#sent === 0) return;
    this.#bytes += this.#sent;
    this.#sent = 0;
    this.#resetFragment = nextFragment(this.#fragment);
    this.#fragment = 0;
  }

  /** Takes one packet off the queue with `before` free bytes in front; undefined when the queue is empty. */
  pack(before: number): Uint8Array | undefined {
    if (this.messages === 0) return undefined;
    if (this.#resetFragment > 0) {
      const reset = { version: 0, type: 0, fragmented: 0, continuation: this.#resetFragment };
      this.#resetFragment = 0;
      return encodePacket({ ...reset, blocks: [new Uint8Array(1)] }, before);
    }
    const continuation = this.#sent > 0 ? this.#fragment : 0;
    const blocks: Uint8Array[] = [];
    let room = this.#packetBytesMax - packetHeaderBytes;
    let isCut = false;
    while (room >= lengthBytes + blockBytesMin && !isCut) {
      const message = this.#messages[this.#head];
      if (message === undefined) break;
      const from = this.#sent;
      const size = Math.min(message.length - from, room - lengthBytes);
      blocks.push(size === message.length ? message : message.subarray(from, from + size));
      room -= lengthBytes + size;
      this.#bytes -= size;
      isCut = from + size < message.length;
      if (isCut) {
        this.#sent = from + size;
      } else {
        this.#shift();
      }
    }
    this.#fragment = isCut ? nextFragment(continuation) : 0;
    return encodePacket(
      { version: 0, type: 0, fragmented: this.#fragment, continuation, blocks },
      before,
    );
  }

  #shift(): void {
    this.#sent = 0;
    this.#messages[this.#head] = nothing;
    this.#head += 1;
    // Compacting at half keeps the cost of each message constant.
    if (this.#head * 2 >= this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
  }
}
