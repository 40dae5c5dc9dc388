// What trees of this node had that lost to the cluster's, on the local socket: which are kept, what of one is not in the tree now, and one
// file or directory of it put back.
import type { Hono } from "hono";
import * as v from "valibot";
import { equalBytes } from "../../../bytes.ts";
import type { LostTree } from "../../../fs/epoch/lost-changes.ts";
import type { LostObject } from "../../../fs/disk/lost-trees.ts";
import type { Files, Outcome } from "../../../fs/tree/files.ts";
import type { Result } from "../../../result.ts";
import { pathOfText, textOfPath } from "../path-text.ts";
import { checked, Refusal } from "../refusal.ts";
import { treeStatus } from "./v1-rules.ts";

/** As LostTrees (fs/disk/lost-trees.ts). */
export interface LostSource {
  list(): readonly { readonly name: string; readonly bytes: number }[];
  read(name: string): Result<LostTree>;
  objectsOf(tree: LostTree): ReadonlyMap<string, LostObject>;
}

const nameMax = 64;
const pathBytesMax = 4096;
const name = v.pipe(v.string(), v.maxLength(nameMax));
const nameQuery = v.object({ name });
const restoreBody = v.object({ name, path: v.pipe(v.string(), v.maxLength(pathBytesMax)) });

export const lostListSchema = v.object({
  trees: v.array(v.object({ name: v.string(), bytes: v.number() })),
});
/** Of one kept path: what the tree has there now. */
export const lostDiffSchema = v.object({
  version: v.number(),
  leaderVersion: v.number(),
  changes: v.array(
    v.object({
      path: v.string(),
      type: v.picklist(["file", "directory"]),
      bytes: v.number(),
      now: v.picklist(["missing", "different", "same"]),
    }),
  ),
});

type Change = v.InferOutput<typeof lostDiffSchema>["changes"][number];

export function lostRoutes(app: Hono, lost: LostSource, files: Files): void {
  app.get("/v1/lost", (c) => c.json({ trees: lost.list() }));
  app.get("/v1/lost/diff", (c) => {
    const tree = treeOf(lost, checked(nameQuery, c.req.query()).name);
    const { version, leaderVersion, paths } = tree;
    const all = lost.objectsOf(tree);
    const changes = paths.flatMap((path) => {
      const kept = all.get(path);
      return kept === undefined ? [] : [changeOf(path, kept, files)];
    });
    return c.json({ version, leaderVersion, changes });
  });
  app.post("/v1/lost/restore", async (c) => {
    const given = checked(restoreBody, await c.req.json().catch(() => undefined));
    const path = pathOfText(given.path).replace(/^\/+|\/+$/g, "");
    const kept = lost.objectsOf(treeOf(lost, given.name)).get(path);
    if (kept === undefined) {
      const reason = `${given.name} has no ${textOfPath(path)}`;
      throw new Refusal({ errno: "ENOENT", reason }, 404);
    }
    await restore(files, path, kept);
    return c.json({ restored: textOfPath(path) });
  });
}

function treeOf(lost: LostSource, wanted: string): LostTree {
  const read = lost.read(wanted);
  if (!read.ok) throw new Refusal({ errno: "ENOENT", reason: read.reason }, 404);
  return read.value;
}

function changeOf(path: string, { type, data }: LostObject, files: Files): Change {
  const stat = files.stat(path);
  const read = stat.ok && stat.value.type === "file" ? files.read(path) : undefined;
  const isSame =
    stat.ok &&
    stat.value.type === type &&
    (type === "directory" || (read?.ok === true && equalBytes(read.value, data)));
  const now = stat.ok ? (isSame ? "same" : "different") : "missing";
  return { path: textOfPath(path), type, bytes: data.length, now };
}

/** With the directories above it that are missing. */
async function restore(files: Files, path: string, { type, data }: LostObject): Promise<void> {
  const names = path.split("/");
  const depth = type === "directory" ? names.length : names.length - 1;
  for (let at = 1; at <= depth; at += 1) {
    const directory = names.slice(0, at).join("/");
    if (!files.stat(directory).ok) done(await files.mkdir(directory));
  }
  if (type === "file") done(await files.replace(path, data));
}

function done(outcome: Outcome<undefined>): void {
  if (outcome.ok) return;
  const { errno, reason } = outcome;
  throw new Refusal({ errno, reason }, treeStatus[errno]);
}
