// Values of the configuration map as a person types and reads them (services.md §7.3): parsed as C's scanf does, printed as
// corosync-cmapctl prints them. Pure.
import type { MapEntry, MapType } from "./map-entry.ts";

export type ParsedValue =
  { readonly ok: true; readonly value: string } | { readonly ok: false; readonly reason: string };

const ranges: Readonly<Record<string, readonly [bigint, bigint]>> = {
  i8: [-(1n << 7n), (1n << 7n) - 1n],
  u8: [0n, (1n << 8n) - 1n],
  i16: [-(1n << 15n), (1n << 15n) - 1n],
  u16: [0n, (1n << 16n) - 1n],
  i32: [-(1n << 31n), (1n << 31n) - 1n],
  u32: [0n, (1n << 32n) - 1n],
};
const i64: readonly [bigint, bigint] = [-(1n << 63n), (1n << 63n) - 1n];
const u64Max = (1n << 64n) - 1n;

/** `type`: any but bin, whose bytes come from a file. What stands behind a number is not looked at. */
export function parseValue(type: Exclude<MapType, "bin">, text: string): ParsedValue {
  if (type === "str") return { ok: true, value: text };
  if (type === "flt" || type === "dbl") return parseFloating(type, text);
  const digits = /^[ \t\n\v\f\r]*([+-]?\d+)/.exec(text)?.[1];
  if (digits === undefined) return { ok: false, reason: `${text} is not valid ${type} type value` };
  const number = BigInt(digits.replace(/^\+/, ""));
  if (type === "u64") return { ok: true, value: String(unsigned(number)) };
  const [min, max] = ranges[type] ?? i64;
  if (type === "i64") return { ok: true, value: String(clamp(number, i64)) };
  if (number < min || number > max) {
    return { ok: false, reason: `${text} is not valid ${type} integer` };
  }
  return { ok: true, value: String(number) };
}

function clamp(number: bigint, [min, max]: readonly [bigint, bigint]): bigint {
  if (number < min) return min;
  return number > max ? max : number;
}

/** A negative number wraps around, one that is too long is the highest. */
function unsigned(number: bigint): bigint {
  return number > u64Max || number < -u64Max ? u64Max : BigInt.asUintN(64, number);
}

const floating =
  /^[ \t\n\v\f\r]*([+-]?)(?:(inf(?:inity)?|nan)|0x([\da-f]+)(?:\.([\da-f]*))?(?:p([+-]?\d+))?|((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))/i;

function parseFloating(type: "flt" | "dbl", text: string): ParsedValue {
  const match = floating.exec(text);
  if (match === null) return { ok: false, reason: `${text} is not valid ${type} type value` };
  const [, sign = "", word, whole, fraction = "", power = "0", decimal = "0"] = match;
  let value = Number(decimal);
  if (word !== undefined) value = /^nan$/i.test(word) ? Number.NaN : Number.POSITIVE_INFINITY;
  if (whole !== undefined) {
    value = Number.parseInt(whole + fraction, 16) * 2 ** (Number(power) - 4 * fraction.length);
  }
  if (sign === "-") value = -value;
  return { ok: true, value: fixed(type === "flt" ? Math.fround(value) : value) };
}

/** C's "%f". */
function fixed(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  const isLarge = Math.abs(value) >= 1e21;
  return isLarge ? `${BigInt(value)}.000000` : value.toFixed(6);
}

/** The line of a key. `isBinaryShown`: bytes too, as text with escapes. */
export function entryLine(entry: MapEntry, isBinaryShown: boolean): string {
  const head = `${entry.key} (${entry.type})`;
  if (entry.type === "bin" && !isBinaryShown) return head;
  return `${head} = ${valueText(entry)}`;
}

export function valueText({ type, value }: MapEntry): string {
  if (type !== "bin") return value;
  const bytes = Buffer.from(value, "base64");
  if (bytes.length === 0) return "*empty*";
  return [...bytes].map(byteText).join("");
}

function byteText(byte: number): string {
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  const hex = byte.toString(16).toUpperCase().padStart(2, "0");
  // The original prints a char as an int: above 127 it is negative.
  return byte < 0x80 ? `\\x${hex}` : `\\xFFFFFF${hex}`;
}
