// totempg, receive side (totem.md §2.5): one buffer per source node puts fragments together again, with exactly corosync's rules
// for what is thrown away, since all nodes must deliver the same messages. It must never grow past corosync's buffer.
import { joinBytes } from "../../bytes.ts";
import type { Packet } from "./packing.ts";

/** corosync's assembly buffer; a sender that overruns it kills an original node, we drop the message. */
export const assemblyBytesMax = 1_048_576 + 65_536;

interface Source {
  /** Number of the last fragment taken. */
  last: number;
  isThrowing: boolean;
  /** The unfinished message, in views of stored mcasts. */
  pieces: Uint8Array[];
  bytes: number;
}

export class Assembly {
  readonly #sources = new Map<number, Source>();

  /** Bytes waiting for the rest of their message. */
  get pendingBytes(): number {
    let bytes = 0;
    for (const source of this.#sources.values()) bytes += source.bytes;
    return bytes;
  }

  /**
   * Takes the next packet of `nodeid` in order and returns the messages it completes, undefined when it overran the buffer.
   * The blocks are kept as they are: they must not change afterwards.
   */
  accept(nodeid: number, packet: Packet): Uint8Array[] | undefined {
    const source = this.#sources.get(nodeid) ?? {
      last: 0,
      isThrowing: false,
      pieces: [],
      bytes: 0,
    };
    let packetBytes = 0;
    for (const block of packet.blocks) packetBytes += block.length;
    if (source.bytes + packetBytes > assemblyBytesMax) {
      throwAway(source, packet);
      this.#keep(nodeid, source, packet);
      return undefined;
    }
    let complete: Uint8Array[] = [];
    if (source.isThrowing) {
      // Nothing of this packet is delivered, not even what is whole.
      if (packet.fragmented <= 1) source.isThrowing = false;
    } else if (packet.continuation === source.last) {
      complete = take(source, packet);
    } else {
      throwAway(source, packet);
    }
    this.#keep(nodeid, source, packet);
    return complete;
  }

  #keep(nodeid: number, source: Source, packet: Packet): void {
    if (packet.fragmented === 0) this.#sources.delete(nodeid);
    else this.#sources.set(nodeid, source);
  }

  /** A node that left takes its half-sent messages along. */
  drop(nodeids: readonly number[]): void {
    for (const nodeid of nodeids) this.#sources.delete(nodeid);
  }

  /**
   * To be called on a new ring: a source that was being thrown away has finished its message or isolates the end of it, so its
   * next packet must not be swallowed.
   */
  dropThrowing(): void {
    for (const [nodeid, source] of this.#sources) {
      if (source.isThrowing) this.#sources.delete(nodeid);
    }
  }

  clear(): void {
    this.#sources.clear();
  }
}

function take(source: Source, packet: Packet): Uint8Array[] {
  source.last = packet.fragmented;
  const complete: Uint8Array[] = [];
  const isCut = packet.fragmented !== 0;
  packet.blocks.forEach((block, index) => {
    source.pieces.push(block);
    source.bytes += block.length;
    if (isCut && index === packet.blocks.length - 1) return;
    complete.push(source.pieces.length === 1 ? block : joinBytes(source.pieces));
    source.pieces = [];
    source.bytes = 0;
  });
  return complete;
}

/** What is half received can not be finished: its next fragment will not match either, until a message ends. */
function throwAway(source: Source, packet: Packet): void {
  source.isThrowing = packet.fragmented !== 0;
  source.last = 0;
  source.pieces = [];
  source.bytes = 0;
}
