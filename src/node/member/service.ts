// What every service above the ring shares (services.md §1): the group prefix of a totempg message, the request header, the
// service numbers, and the form in which a service takes part in synchronisation. It must never look at pad bytes.
import { byteString, decoded, malformed, Reader, Writer, type Decoded } from "../../bytes.ts";
import type { GroupEvent, LogAction, Level, TimerAction, RingId } from "../../world.ts";
import type { MemberAction } from "./events.ts";
import type { SendQueue } from "../ring/events.ts";

/** The two totempg groups corosync uses: all services, and the synchronisation engine. */
export type TotemGroup = "a" | "sync";

export const serviceIds = {
  configMap: 0,
  configuration: 1,
  groups: 2,
  quorum: 3,
  load: 4,
  votequorum: 5,
} as const;

/** At most 32 groups per message (totem.md §2.2). */
const groupsMax = 32;
const requestHeaderBytes = 16;

const prefixes: Readonly<Record<TotemGroup, Uint8Array>> = {
  a: encodePrefix("a"),
  sync: encodePrefix("sync"),
};

const noPrefix = new Uint8Array(0);

function encodePrefix(group: TotemGroup): Uint8Array {
  const writer = new Writer(4 + group.length).u16(1).u16(group.length);
  for (let i = 0; i < group.length; i += 1) writer.u8(group.charCodeAt(i));
  return writer.finish();
}

/** One totempg message: the prefix that names `group`, then the service message (services.md §1.1). */
export function withPrefix(group: TotemGroup, message: Uint8Array): Uint8Array {
  const prefix = prefixes[group];
  const bytes = new Uint8Array(prefix.length + message.length);
  bytes.set(prefix, 0);
  bytes.set(message, prefix.length);
  return bytes;
}

export interface Prefixed {
  /** The group of ours that is named; undefined when the message is for groups that we do not join. */
  readonly group: TotemGroup | undefined;
  /** A view of the service message. */
  readonly message: Uint8Array;
}

/** Takes the group prefix off a totempg message; any one name that is ours suffices (services.md §1.1). */
export function decodePrefix(bytes: Uint8Array): Decoded<Prefixed> {
  // As nearly all begin.
  if (prefixes.a.every((byte, at) => bytes[at] === byte)) {
    return decoded({ group: "a", message: bytes.subarray(prefixes.a.length) });
  }
  const reader = new Reader(bytes);
  const count = reader.u16();
  if (reader.failed || count > groupsMax) return malformed("group prefix: count");
  const sizes: number[] = [];
  for (let i = 0; i < count; i += 1) sizes.push(reader.u16());
  let group: TotemGroup | undefined;
  for (const size of sizes) {
    const name = reader.take(size);
    if (reader.failed) break;
    if (group !== undefined || size > 4) continue;
    const text = byteString(name);
    if (text === "a" || text === "sync") group = text;
  }
  if (reader.failed) return malformed("group prefix: cut short");
  return decoded({ group, message: reader.rest() });
}

/** `struct qb_ipc_request_header`: id at 0, size at 8, each padded to 8. */
export interface RequestHeader {
  readonly service: number;
  readonly fn: number;
}

/** Reads the 16-byte header and leaves the reader behind it. The size field must be the real length (services.md §1.2). */
export function readHeader(reader: Reader): Decoded<RequestHeader> {
  const id = reader.u32();
  reader.skip(4);
  const size = reader.u32();
  reader.skip(4);
  if (reader.failed) return malformed("request header: cut short");
  if (size !== reader.bytes.length) return malformed("request header: size");
  return decoded({ service: id >>> 16, fn: id & 0xffff });
}

/** A writer with the request header of a message of `size` bytes in all, behind the prefix of `group` if one is given. */
export function openMessage(service: number, fn: number, size: number, group?: TotemGroup): Writer {
  const prefix = group === undefined ? noPrefix : prefixes[group];
  return new Writer(prefix.length + Math.max(size, requestHeaderBytes))
    .put(prefix)
    .u32(service * 0x1_0000 + fn)
    .u32(0)
    .u32(size)
    .u32(0);
}

export function readRingId(reader: Reader): RingId {
  const rep = reader.u32();
  return { rep, seq: reader.u64() };
}

export type ServiceTimer = "lastManStanding" | "deviceTimeout" | "configurationBehind";

/** What a service may ask of the member that composes it. */
export type ServiceAction =
  /** A whole totempg message, prefix included, for the ring. */
  | { readonly kind: "submit"; readonly queue: SendQueue; readonly message: Uint8Array }
  /** All services agree on the ring: ready to provide service. */
  | { readonly kind: "synchronised"; readonly ring: RingId; readonly members: readonly number[] }
  /** The node must leave the cluster by itself, cleanly: its configuration is not the cluster's (services.md §2.4). */
  | { readonly kind: "leave"; readonly reason: string }
  /** The node must end at once, without a word to the others (cfg kill). */
  | { readonly kind: "die"; readonly reason: string }
  | Extract<
      MemberAction,
      {
        readonly kind:
          | "quorumChanged"
          | "replied"
          | "reloadRequested"
          | "keyPhase"
          | "persistTracking"
          | "nodeListChanged"
          | "deviceAnswered";
      }
    >
  | TimerAction<ServiceTimer>
  | GroupEvent
  | LogAction;

export function log(out: ServiceAction[], subsystem: string, level: Level, text: string): void {
  out.push({ kind: "log", level, subsystem, text });
}

/** The membership a synchronisation is about. */
export interface SyncView {
  readonly ring: RingId;
  /** Ascending. */
  readonly members: readonly number[];
  /** Those that came with us from our last ring, ourselves included. */
  readonly transitional: readonly number[];
}

/** A service's part in the synchronisation after a membership change (services.md §2.3). */
export interface SyncService {
  readonly id: number;
  /** A new ring: nothing may be sent yet. */
  syncInit(view: SyncView, now: number, out: ServiceAction[]): void;
  /** Sends this service's state. False: not finished, to be called again. */
  syncProcess(now: number, out: ServiceAction[]): boolean;
  /** Everybody's state was delivered. */
  syncActivate(now: number, out: ServiceAction[]): void;
  /** The ring changed again: whatever was collected is void. */
  syncAbort(now: number, out: ServiceAction[]): void;
}
