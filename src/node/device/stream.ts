// Cuts the vote server's byte stream into messages (qnetd.md §1.1): split at any byte, several at once. A client gives up on
// what it cannot read, so there is nothing to skip; it must never buffer more than one message of the allowed length.
import {
  decodeMessage,
  headerBytes,
  messageKinds,
  type Message,
} from "../../qnetd/session/message.ts";

export type StreamResult =
  | { readonly kind: "message"; readonly message: Message }
  /** Nothing more can be read from this connection. */
  | {
      readonly kind: "fault";
      readonly fault: "unknownType" | "tooLong" | "undecodable";
      readonly reason: string;
    }
  | { readonly kind: "more" };

const more: StreamResult = { kind: "more" };

export class MessageStream {
  /** Longest message, header included; may grow after the init reply. */
  bytesMax: number;
  #buffer: Uint8Array = new Uint8Array(0);

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Bytes of a message that is not whole yet. */
  get bufferedBytes(): number {
    return this.#buffer.length;
  }

  /** Adds received bytes (copied); `next` is then to be called until it says `more` or `fault`. */
  push(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.#buffer.length + bytes.length);
    joined.set(this.#buffer);
    joined.set(bytes, this.#buffer.length);
    this.#buffer = joined;
  }

  next(): StreamResult {
    const buffer = this.#buffer;
    if (buffer.length < headerBytes) return more;
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const type = view.getUint16(0);
    const size = headerBytes + view.getUint32(2);
    if (type >= messageKinds.length) {
      return { kind: "fault", fault: "unknownType", reason: `unknown message type ${type}` };
    }
    if (size > this.bytesMax) {
      const reason = `a message of ${size} bytes, ${this.bytesMax} are allowed`;
      return { kind: "fault", fault: "tooLong", reason };
    }
    if (buffer.length < size) return more;
    this.#buffer = buffer.subarray(size);
    const decoded = decodeMessage(buffer.subarray(0, size));
    if (!decoded.ok) return { kind: "fault", fault: "undecodable", reason: decoded.reason };
    return { kind: "message", message: decoded.value };
  }
}
