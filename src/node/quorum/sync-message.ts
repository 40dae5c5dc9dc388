// The two messages of the synchronisation engine, in totempg group "sync" (services.md §1.6). Their ids are bare numbers
// without a service part. Pure.
import type { RingId } from "../../world.ts";
import { decoded, malformed, Reader, type Decoded } from "../../bytes.ts";
import { openMessage, readHeader, readRingId } from "../member/service.ts";

export const serviceEntriesMax = 128;
const barrierBytes = 32;
const serviceBuildBytes = 552;

export type SyncMessage =
  /** `req_exec_barrier_message`: all of the sender's state for the current service has been sent. */
  | { readonly kind: "barrier"; readonly ring: RingId }
  /** `req_exec_service_build_message`: the services the sender synchronises. */
  | {
      readonly kind: "serviceBuild";
      readonly ring: RingId;
      readonly services: readonly number[];
    };

export function encodeSyncMessage(message: SyncMessage): Uint8Array {
  const { ring } = message;
  switch (message.kind) {
    case "barrier":
      return openMessage(0, 0, barrierBytes).u32(ring.rep).u64(ring.seq).zeros(4).finish();
    case "serviceBuild": {
      const writer = openMessage(0, 1, serviceBuildBytes).u32(ring.rep).u64(ring.seq).zeros(4);
      writer.i32(message.services.length).zeros(4);
      for (const id of message.services) writer.i32(id);
      return writer.zeros((serviceEntriesMax - message.services.length) * 4).finish();
    }
  }
  message satisfies never;
}

export function decodeSyncMessage(bytes: Uint8Array): Decoded<SyncMessage> {
  const reader = new Reader(bytes);
  const header = readHeader(reader);
  if (!header.ok) return header;
  const { service, fn } = header.value;
  if (service !== 0 || fn > 1) return malformed("sync: unknown message");
  if (bytes.length !== (fn === 0 ? barrierBytes : serviceBuildBytes)) {
    return malformed("sync: length");
  }
  const ring = readRingId(reader);
  if (reader.failed) return malformed("sync: ring id");
  if (fn === 0) return decoded({ kind: "barrier", ring });
  reader.skip(4);
  const count = reader.i32();
  if (count < 0 || count > serviceEntriesMax) return malformed("service build: entries");
  reader.skip(4);
  const services: number[] = [];
  for (let i = 0; i < count; i += 1) services.push(reader.i32());
  return decoded({ kind: "serviceBuild", ring, services });
}
