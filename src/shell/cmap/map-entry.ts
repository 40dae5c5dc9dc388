// A key of the configuration map: its name's rules, its types, and its value as text, as corosync-cmapctl prints it (services.md §6, §7.3).
// Pure.

export const mapTypes = [
  ...(["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"] as const),
  ...(["flt", "dbl", "str", "bin"] as const),
] as const;
export type MapType = (typeof mapTypes)[number];

export const mapNames = ["icmap", "stats"] as const;
export type MapName = (typeof mapNames)[number];

export interface MapEntry {
  readonly key: string;
  readonly type: MapType;
  /** An integer in decimal, a float with six places, text, or bytes in base64. */
  readonly value: string;
}

/** corosync's word for the outcome of a change. */
export const mapResults = [
  "CS_OK",
  "CS_ERR_ACCESS",
  "CS_ERR_INVALID_PARAM",
  "CS_ERR_NAME_TOO_LONG",
  "CS_ERR_NOT_EXIST",
  "CS_ERR_NO_MEMORY",
  "CS_ERR_TRY_AGAIN",
] as const;
export type MapResult = (typeof mapResults)[number];

const nameLengthMin = 3;
const nameLengthMax = 255;
/** Of a value, bytes, a text's end included. */
export const valueBytesMax = 16 * 1024;

/** The original has this one word for a name of a wrong length and for one with a forbidden character. */
export function nameProblem(key: string): "CS_ERR_NAME_TOO_LONG" | undefined {
  const isLengthGood = key.length >= nameLengthMin && key.length <= nameLengthMax;
  return isLengthGood && /^[A-Za-z0-9._\-/:]+$/.test(key) ? undefined : "CS_ERR_NAME_TOO_LONG";
}

/** By name, as bytes. */
export function sorted(entries: Iterable<MapEntry>): MapEntry[] {
  return [...entries].toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** Collects entries; each type has its method. */
export class EntryList {
  readonly entries: MapEntry[] = [];

  put(key: string, type: MapType, value: string | number | bigint): void {
    this.entries.push({ key, type, value: String(value) });
  }
  str(key: string, value: string): void {
    this.put(key, "str", value);
  }
  u8(key: string, value: number | boolean): void {
    this.put(key, "u8", Number(value));
  }
  u32(key: string, value: number | boolean): void {
    this.put(key, "u32", Math.trunc(Number(value)));
  }
  u64(key: string, value: number | bigint): void {
    this.put(key, "u64", typeof value === "bigint" ? value : Math.trunc(value));
  }
}
