// What the tree keeps of a one-time join token, and whom it lets in: a hash of the secret, never the secret. Pure.
// `priv/quorate` is a directory that no program of Proxmox looks at, and readable by root only, as all below `priv`.
import * as v from "valibot";
import { type Result, failure, success } from "../../result.ts";
import { nodeNamePattern } from "./node-name.ts";

export const tokensDirectory = "priv/quorate/join-tokens";
export const tokenRecordBytesMax = 4096;
/** Open ones at a time. */
export const tokensMax = 64;
/** Seconds. */
export const tokenLifetime = { min: 60, default: 3600, max: 7 * 24 * 3600 } as const;

const seconds = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 32 - 1));
const nodeName = v.pipe(v.string(), v.maxLength(63), v.regex(nodeNamePattern));
const schema = v.object({
  /** SHA-256 of the secret, hex. */
  hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  createdAt: seconds,
  expiresAt: seconds,
  /** Who made it. */
  by: v.pipe(v.string(), v.maxLength(128)),
  /** Of the cluster's own authority, SHA-256, hex. Absent in records of earlier versions, which let nobody in. */
  authority: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  /** The only node that it lets in: the first that came with it. */
  node: v.optional(nodeName),
  /** That node is a member since. */
  usedAt: v.optional(seconds),
});

/** Times in Unix seconds. */
export type TokenRecord = Readonly<v.InferOutput<typeof schema>>;

/** Where a token's record lies; `hash` as in the record. It names no part of the secret. */
export function tokenPath(hash: string): string {
  return `${tokensDirectory}/${hash.slice(0, 16)}`;
}

export function encodeTokenRecord(record: TokenRecord): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(record)}\n`);
}

/** Undefined: the file is none of ours, and lets nobody in. */
export function decodeTokenRecord(bytes: Uint8Array): TokenRecord | undefined {
  if (bytes.length > tokenRecordBytesMax) return undefined;
  try {
    const read = v.safeParse(schema, JSON.parse(new TextDecoder().decode(bytes)));
    return read.success ? read.output : undefined;
  } catch {
    return undefined;
  }
}

export interface Admission {
  readonly node: string;
  /** Unix seconds. */
  readonly nowS: number;
  /** Of the cluster, as in the record; undefined: it has none. */
  readonly authority: string | undefined;
}

/** May `node` come in with this token now? A failure's reason is for the joiner's terminal. */
export function admit(
  record: TokenRecord | undefined,
  { node, nowS, authority }: Admission,
): Result<TokenRecord> {
  const anew = 'make a new one with "quorate join-token" on a member';
  if (record === undefined) {
    return failure(
      `this cluster does not know the join token (never made here, revoked, or expired): ${anew}`,
    );
  }
  if (record.authority !== authority) {
    return failure(`the join token was made for another cluster than this one is now: ${anew}`);
  }
  if (record.usedAt !== undefined) {
    return failure(
      `the join token was used by node '${record.node}' on ${timeText(record.usedAt)}, and serves once only: ${anew}`,
    );
  }
  if (record.expiresAt <= nowS) {
    return failure(`the join token expired on ${timeText(record.expiresAt)}: ${anew}`);
  }
  if (record.node !== undefined && record.node !== node) {
    return failure(
      `the join token is already taken by node '${record.node}': ${anew} for '${node}'`,
    );
  }
  return success(record);
}

/** Nothing more to tell about it: its record may go. A used one is kept as long as it was valid, for a true answer. */
export function isSpent(record: TokenRecord, nowS: number): boolean {
  return record.expiresAt <= nowS;
}

/** "2026-11-30 12:00:00 UTC" */
export function timeText(unixS: number): string {
  return new Date(unixS * 1000).toISOString().replace("T", " ").replace(/\..*$/, " UTC");
}
