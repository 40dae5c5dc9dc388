// What an upgrade remembers on disk (`upgrade.json`), the versions that were rolled back (`upgrade-bad.json`) and the events (`upgrade.log`,
// one JSON object a line). Read by programs of two versions: fields are only added, `format` changes when that is not enough.
import * as v from "valibot";
import type { Result } from "../../result.ts";
import { decodeJson } from "../stored-json.ts";
import type { UpgradeRecord } from "./events.ts";

export const recordBytesMax = 16 * 1024 * 1024;
export const badBuildsMax = 16;

const idsMax = 2048;
const clustersMax = 16_384;
const text = v.pipe(v.string(), v.maxLength(4096));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const ids = v.pipe(v.array(count), v.maxLength(idsMax));
const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const build = v.object({ version: text, sha256: hash });

const nodeFacts = v.object({
  role: v.literal("node"),
  version: text,
  ringState: text,
  isSynchronising: v.boolean(),
  members: ids,
  isQuorate: v.boolean(),
  treeMode: text,
  treeVersion: count,
  treeMembers: ids,
  isTreeDifferent: v.boolean(),
});
const serverFacts = v.object({
  role: v.literal("qnetd"),
  version: text,
  clusters: v.pipe(v.array(v.object({ name: text, nodes: ids })), v.maxLength(clustersMax)),
});

const recordSchema = v.object({
  format: v.literal(1),
  from: build,
  to: build,
  phase: v.picklist(["staged", "probation", "rollingBack"]),
  before: v.pipe(v.array(v.variant("role", [nodeFacts, serverFacts])), v.maxLength(2)),
  isRestarted: v.boolean(),
  attempts: count,
  reason: text,
  patience: v.object({ healthyMs: count, silentMsMax: count, unhealthyMsMax: count }),
});

const badSchema = v.pipe(
  v.array(v.object({ version: text, sha256: hash, reason: text, at: text })),
  v.maxLength(badBuildsMax),
);
export type BadBuild = v.InferOutput<typeof badSchema>[number];

const lineSchema = v.object({ at: text, event: text, text });
export type EventLine = v.InferOutput<typeof lineSchema>;

export function encodeRecord(record: UpgradeRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

export function decodeRecord(content: string): Result<UpgradeRecord> {
  return decodeJson(recordSchema, content, recordBytesMax);
}

export function decodeBadBuilds(content: string): Result<readonly BadBuild[]> {
  return decodeJson(badSchema, content, recordBytesMax);
}

export function decodeEventLine(content: string): Result<EventLine> {
  return decodeJson(lineSchema, content, recordBytesMax);
}
