// What an operation under way has on disk (`operation.json`), and what one left that could be neither completed nor undone
// (`operation-by-hand.json`). Read by programs of two versions: fields are only added, `format` changes when that is not enough.
import * as v from "valibot";
import type { Result } from "../../result.ts";
import { decodeJson } from "../stored-json.ts";

export const recordBytesMax = 16 * 1024 * 1024;

const text = v.pipe(v.string(), v.maxLength(16_384));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const recordSchema = v.object({
  format: v.literal(1),
  kind: text,
  /** The task's UPID, or another name that its starter gave. */
  id: text,
  /** Unix time, milliseconds. */
  beganAtMs: count,
  /** forward: `at` was begun, and those before it are done. back: `at` is being undone, those before it are to be undone still. */
  phase: v.picklist(["forward", "back"]),
  at: text,
  /** How often somebody resumed since the last step that was done. */
  resumptions: count,
  /** Why it goes back; "" while it does not. */
  reason: text,
  facts: v.unknown(),
});
export type OperationRecord = v.InferOutput<typeof recordSchema>;

const leftoverSchema = v.object({
  format: v.literal(1),
  kind: text,
  id: text,
  endedAtMs: count,
  /** Why it was not completed. */
  reason: text,
  /** Why it could not be undone, or completed, either. */
  obstacle: text,
  /** What somebody has to do, a sentence each. */
  left: v.array(text),
});
/** What is left to be done by hand. */
export type Leftover = v.InferOutput<typeof leftoverSchema>;

export function encodeJson(value: OperationRecord | Leftover): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}

export function decodeOperation(content: string): Result<OperationRecord> {
  return decodeJson(recordSchema, content, recordBytesMax);
}

export function decodeLeftover(content: string): Result<Leftover> {
  return decodeJson(leftoverSchema, content, recordBytesMax);
}
