// Whether the tree of a database is still the one that its lineage was stored with. The version record says so itself, and costs no page of its
// own: pmxcfs reads no more of the record's type than one byte (pmxcfs.md §1.4), and writes nothing but that byte. Above it stands a hash of
// the lineage and of the rest of the record, in each of our commits. Whoever else writes the record leaves none, or one that does not fit. Pure.
import type { Sha256 } from "../../world.ts";
import { Writer } from "../../bytes.ts";
import type { VersionRecord } from "./row.ts";

/** 40 bits: the type stays below 2^53. */
const tagBytes = 5;
/** Values of the byte that pmxcfs reads. */
const plainTypes = 256;

/** The record's type with its tag; `form`: of the lineage as it is stored. */
export function taggedType(record: VersionRecord, form: Uint8Array, sha256: Sha256): number {
  const { version, writer, mtime, type } = record;
  const head = new Writer(16)
    .u64(version)
    .u32(writer >>> 0)
    .u32(mtime >>> 0)
    .finish();
  const tag = sha256([form, head])
    .subarray(0, tagBytes)
    .reduce((sum, byte) => sum * 256 + byte, 0);
  return tag * plainTypes + (type & (plainTypes - 1));
}

export function isTagged({ type }: VersionRecord): boolean {
  return type >= plainTypes;
}

/** True when nobody but us has changed the tree since. */
export function fits(record: VersionRecord, form: Uint8Array, sha256: Sha256): boolean {
  return isTagged(record) && record.type === taggedType(record, form, sha256);
}
