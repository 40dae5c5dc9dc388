// The one message of corosync's configuration map (cmap.0, services.md §1.6): named, typed values of the sender. Only one key
// is ever sent, totem.config_version. Pure; values are not interpreted beyond that key.
import {
  byteString,
  bytesOf,
  decoded,
  malformed,
  Reader,
  Writer,
  type Decoded,
  ownBytes,
} from "../../bytes.ts";
import { openMessage, readHeader, serviceIds } from "../member/service.ts";

export type MapReason = "sync" | "newConfigVersion";

const configVersionKey = "totem.config_version";
const nameBytesMax = 256;
const headBytes = 48;
const itemHeadBytes = 280;
const valueBytesMax = 1 << 20;

/** cmap's value types as far as they matter here; the rest pass as numbers. */
const valueTypes = { absent: 0, u64: 8 } as const;

export interface MapItem {
  /** A byte string. */
  readonly key: string;
  readonly type: number;
  readonly value: Uint8Array;
}

export interface MapMessage {
  readonly reason: MapReason;
  readonly items: readonly MapItem[];
}

/** `undefined`: the key is not configured. */
export function configVersionItem(version: number | undefined): MapItem {
  if (version === undefined) {
    return { key: configVersionKey, type: valueTypes.absent, value: new Uint8Array(0) };
  }
  return {
    key: configVersionKey,
    type: valueTypes.u64,
    value: new Writer(8).u64(version).finish(),
  };
}

/** The sender's config_version; 0 when it has none. Undefined when the message does not contain it. */
export function configVersionOf(message: MapMessage): number | undefined {
  const item = message.items.find((candidate) => candidate.key === configVersionKey);
  if (item === undefined) return undefined;
  if (item.type !== valueTypes.u64 || item.value.length !== 8) return 0;
  const reader = new Reader(item.value);
  const version = reader.u64();
  // Larger than any real version: the sender is still newer than we are.
  return reader.failed ? Number.MAX_SAFE_INTEGER : version;
}

const padded = (size: number): number => Math.ceil(size / 8) * 8;

export function encodeMapMessage(message: MapMessage): Uint8Array {
  let size = headBytes;
  for (const item of message.items) size += itemHeadBytes + padded(item.value.length);
  const writer = openMessage(serviceIds.configMap, 0, size);
  writer.u8(message.reason === "sync" ? 0 : 1).zeros(7);
  writer.u8(message.items.length).zeros(7 + 16);
  for (const item of message.items) {
    writer.u16(item.key.length).zeros(6).put(bytesOf(item.key));
    writer.zeros(nameBytesMax - item.key.length);
    writer.u8(item.type).zeros(7).u64(item.value.length).put(item.value);
    writer.zeros(padded(item.value.length) - item.value.length);
  }
  return writer.finish();
}

export function decodeMapMessage(bytes: Uint8Array): Decoded<MapMessage> {
  const reader = new Reader(bytes);
  const header = readHeader(reader);
  if (!header.ok) return header;
  const reason = reader.u8();
  reader.skip(7);
  const count = reader.u8();
  reader.skip(7 + 16);
  if (reader.failed || reason > 1) return malformed("cmap: head");
  const items: MapItem[] = [];
  for (let i = 0; i < count; i += 1) {
    const keyBytes = reader.u16();
    reader.skip(6);
    const name = reader.take(nameBytesMax);
    const type = reader.u8();
    reader.skip(7);
    const size = reader.u64();
    if (reader.failed || keyBytes > nameBytesMax || size > valueBytesMax) {
      return malformed("cmap: item");
    }
    const value = ownBytes(reader.take(size));
    reader.skip(padded(size) - size);
    if (reader.failed) return malformed("cmap: value");
    items.push({ key: byteString(name.subarray(0, keyBytes)), type, value });
  }
  if (reader.remaining > 0) return malformed("cmap: trailing bytes");
  return decoded({ reason: reason === 0 ? "sync" : "newConfigVersion", items });
}
