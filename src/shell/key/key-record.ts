// How a new key for the ring comes to all nodes: it lies in the tree while it is on its way, which only members read, and each node says by its
// status which key it has on disk and which it runs with. Pure.
import { createHash } from "node:crypto";
import * as v from "valibot";
import { decodeJson } from "../stored-json.ts";

/** Below `priv`; it is there only while keys change. */
export const nextKeyPath = "priv/quorate/next-key";
/** Of a node's value in the status store (pmxcfs.md §3.5). */
export const toldKeyName = "quorate-key";
const recordCharactersMax = 16 * 1024;
const toldCharactersMax = 1024;
const keyBytes = { min: 128, max: 4096 } as const;

const nextSchema = v.object({
  format: v.literal(1),
  key: v.pipe(v.string(), v.base64()),
  /** Unix seconds; what was left behind is taken by nobody later. */
  until: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));
const toldSchema = v.object({ disk: hash, running: hash });

/** Hashes of the keys that a node has. */
export type ToldKeys = Readonly<v.InferOutput<typeof toldSchema>>;

/** By which nodes compare keys without showing them; a key is as random as its hash is long, many times over. */
export function keyHash(key: Uint8Array): string {
  return createHash("sha256").update("quorate authkey\n").update(key).digest("hex").slice(0, 32);
}

/** `key`: base64. `until`: Unix seconds. */
export function encodeNextKey(key: string, until: number): string {
  return `${JSON.stringify({ format: 1, key, until })}\n`;
}

/** Undefined: the file is none of ours, its time is over, or what it holds is no key. */
export function decodeNextKey(text: string, nowS: number): Uint8Array | undefined {
  const read = decodeJson(nextSchema, text, recordCharactersMax);
  if (!read.ok || read.value.until < nowS) return undefined;
  const key = Uint8Array.fromBase64(read.value.key);
  return key.length >= keyBytes.min && key.length <= keyBytes.max ? key : undefined;
}

/** With the NUL at its end that Proxmox's values have. */
export function encodeTold(told: ToldKeys): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(told)}\0`);
}

/** Undefined: the node tells nothing that is known here. */
export function decodeTold(bytes: Uint8Array | undefined): ToldKeys | undefined {
  if (bytes === undefined || bytes.length > toldCharactersMax) return undefined;
  const read = decodeJson(
    toldSchema,
    new TextDecoder().decode(bytes).replace(/\0+$/, ""),
    toldCharactersMax,
  );
  return read.ok ? read.value : undefined;
}
