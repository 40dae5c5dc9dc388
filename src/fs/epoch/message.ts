// What quorate nodes tell each other in a process group of their own, in which originals are not. Spec: design.md decisions 2 and 3.
// Little-endian; every message begins with version, kind and the state exchange that it belongs to. Who does not know the version
// ignores the message. Decoders never throw on bytes.
import { type Decoded, decoded, malformed, Reader, Writer } from "../../bytes.ts";
import { quorateGroup } from "../../world.ts";
import { numberMax } from "../disk/row.ts";
import type { Epoch as Exchange } from "../replica/message.ts";
import { type Lineage, putExchange, putLineage, takeExchange, takeLineage } from "./lineage.ts";

export const ownGroup = quorateGroup;

const version = 1;
const kinds = { state: 1, promised: 2, durable: 3, asked: 4 } as const;
/** Of `state`: what it calls durable survives a power failure. */
const flushesFlag = 1;

export type OwnMessage = { readonly exchange: Exchange } & (
  | {
      /** With the STATE of the tree's group. */
      readonly kind: "state";
      readonly flushes: boolean;
      /** Sequence of the ring that the sender knows last. */
      readonly ringSeq: number;
      readonly lineage: Lineage;
    }
  /** The sender's disk has the promise to draw no number up to this one any more. */
  | { readonly kind: "promised"; readonly number: number }
  /** The sender's disk has the tree up to this version, and that it is of the epoch of this number. */
  | { readonly kind: "durable"; readonly number: number; readonly version: number }
  /** Somebody waits for the disks of the others to have this version. */
  | { readonly kind: "asked"; readonly number: number; readonly version: number }
);

export function encodeOwn(message: OwnMessage): Uint8Array {
  const w = new Writer(128).u8(version).u8(kinds[message.kind]).u16(0);
  putExchange(w, message.exchange);
  switch (message.kind) {
    case "state":
      w.u32(message.flushes ? flushesFlag : 0).u64(message.ringSeq);
      return putLineage(w, message.lineage).finish();
    case "promised":
      return w.u64(message.number).finish();
    case "durable":
    case "asked":
      return w.u64(message.number).u64(message.version).finish();
  }
  return message satisfies never;
}

export function decodeOwn(bytes: Uint8Array): Decoded<OwnMessage> {
  const r = new Reader(bytes);
  const form = r.u8();
  const kind = r.u8();
  r.skip(2);
  if (!r.failed && form !== version) return malformed(`version ${form} is not known here`);
  const exchange = takeExchange(r);
  const message = take(r, kind, exchange);
  if (message === undefined || r.failed || r.remaining > 0) {
    return malformed(`${bytes.length} bytes of kind ${kind} are no message`);
  }
  return decoded(message);
}

function take(r: Reader, kind: number, exchange: Exchange): OwnMessage | undefined {
  switch (kind) {
    case kinds.state: {
      const flushes = (r.u32() & flushesFlag) !== 0;
      const ringSeq = number(r);
      const lineage = takeLineage(r);
      if (ringSeq === undefined || lineage === undefined) return undefined;
      return { kind: "state", exchange, flushes, ringSeq, lineage };
    }
    case kinds.promised: {
      const promised = number(r);
      return promised === undefined ? undefined : { kind: "promised", exchange, number: promised };
    }
    case kinds.durable:
    case kinds.asked: {
      const epoch = number(r);
      const at = number(r);
      if (epoch === undefined || at === undefined) return undefined;
      const name = kind === kinds.durable ? "durable" : "asked";
      return { kind: name, exchange, number: epoch, version: at };
    }
    default:
      return undefined;
  }
}

function number(r: Reader): number | undefined {
  const value = r.u64();
  return value > numberMax ? undefined : value;
}
