// What the routes of the tree answer.
import * as v from "valibot";
import { effectAnswer } from "./change.ts";

const stat = {
  type: v.picklist(["directory", "file", "symlink"]),
  /** As ls shows it: "0640". */
  mode: v.string(),
  size: v.number(),
  /** Unix seconds. */
  mtime: v.number(),
  /** Of the tree when it was last changed; 0 for the root and generated objects. */
  version: v.number(),
  generated: v.boolean(),
};
export const treeListed = v.object({
  path: v.string(),
  ...stat,
  /** Of a directory. */
  entries: v.optional(
    v.array(v.object({ name: v.string(), ...stat, target: v.optional(v.string()) })),
  ),
});
export const treeFile = v.object({
  path: v.string(),
  size: v.number(),
  mtime: v.number(),
  version: v.number(),
  encoding: v.picklist(["text", "base64"]),
  content: v.string(),
});
export const treeChanged = v.object({
  path: v.string(),
  ...effectAnswer.entries,
  /** That it has now; null: it is gone, was changed again meanwhile, or nothing was done. */
  version: v.nullable(v.number()),
});
