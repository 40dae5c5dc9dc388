// Who was a member: the tree keeps the last ones that were removed or have left, so that a command that is repeated can say that it is done
// already, and a node that was removed while it was off can be told when and by whom. Nothing is decided by it: two nodes that write it at the same
// moment may lose a line.
import * as v from "valibot";
import { decodeJson } from "../stored-json.ts";
import type { ChangePorts } from "./ports.ts";

/** Below `priv`: no program of Proxmox looks there. */
export const formerMembersPath = "priv/quorate/former-members";
/** How the sentence begins that says so of a running node, in its status. */
export const noMemberText = "this node is no member of its cluster any more";
const membersMax = 64;
const charactersMax = 128 * 1024;

const entrySchema = v.object({
  name: v.pipe(v.string(), v.maxLength(253), v.regex(/^[\x21-\x7e]+$/)),
  nodeid: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  addresses: v.pipe(v.array(v.pipe(v.string(), v.maxLength(253))), v.maxLength(8)),
  /** Unix seconds. */
  at: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(2 ** 32 - 1)),
  /** Who did it: "root@pam". */
  by: v.pipe(v.string(), v.maxLength(128)),
  how: v.picklist(["removed", "left"]),
});
export type FormerMember = v.InferOutput<typeof entrySchema>;
/** For facts of plans. */
export const formerMemberSchema = entrySchema;

const fileSchema = v.object({
  format: v.literal(1),
  members: v.pipe(v.array(entrySchema), v.maxLength(membersMax)),
});

/** Newest first; none when the file is not there or none of ours. `text`: one character a byte. */
export function readFormer(text: string | undefined): readonly FormerMember[] {
  const read = decodeJson(fileSchema, text ?? "", charactersMax);
  return read.ok ? read.value.members : [];
}

/** The file with one more; the oldest go. */
export function withFormer(text: string | undefined, entry: FormerMember): string {
  const others = readFormer(text).filter(({ name }) => name !== entry.name);
  return encode([entry, ...others].slice(0, membersMax));
}

/** The file without a name; undefined: then it holds nobody. */
export function withoutFormer(text: string | undefined, name: string): string | undefined {
  const others = readFormer(text).filter((each) => each.name !== name);
  return others.length === 0 ? undefined : encode(others);
}

/** By name, or the address of one of its links. */
export function formerOf(text: string | undefined, word: string): FormerMember | undefined {
  return readFormer(text).find(({ name, addresses }) => name === word || addresses.includes(word));
}

/** "it was removed on 2026-11-30 12:00:00 UTC by root@pam" */
export function formerText({ at, by, how }: Pick<FormerMember, "at" | "by" | "how">): string {
  const when = new Date(at * 1000).toISOString().replace("T", " ").replace(/\..*$/, " UTC");
  return how === "left"
    ? `it left by itself on ${when} (${by})`
    : `it was removed on ${when} by ${by}`;
}

export async function rememberFormer({ tree }: ChangePorts, entry: FormerMember): Promise<void> {
  const text = await tree.read(formerMembersPath);
  const folders = formerMembersPath.split("/").slice(0, -1);
  // There since its first entry.
  for (const at of text === undefined ? folders.keys() : [])
    await tree.makeDirectory(folders.slice(0, at + 1).join("/"));
  await tree.put(formerMembersPath, withFormer(text, entry));
}

/** It is a member, still or again. */
export async function forgetFormer({ tree }: ChangePorts, name: string): Promise<void> {
  const text = await tree.read(formerMembersPath);
  if (formerOf(text, name)?.name !== name) return;
  const rest = withoutFormer(text, name);
  if (rest === undefined) await tree.remove(formerMembersPath);
  else await tree.put(formerMembersPath, rest);
}

function encode(members: readonly FormerMember[]): string {
  return `${JSON.stringify({ format: 1, members })}\n`;
}
