// The guests that the tree knows (pmxcfs.md §3.3), with the few settings of theirs that lists show. Guests themselves are not ours.
import * as v from "valibot";
import type { Files } from "../../../fs/tree/files.ts";
import { ApiError } from "../route.ts";

export interface KnownGuest {
  readonly vmid: number;
  readonly node: string;
  readonly type: "qemu" | "lxc" | "openvz";
  /** "" where its configuration has none. */
  readonly name: string;
  readonly lock: string;
  readonly tags: readonly string[];
  readonly isTemplate: boolean;
}

/** Of the head of a configuration; the rest is devices and snapshots. */
const configBytesMax = 64 * 1024;

const listSchema = v.object({
  ids: v.optional(
    v.record(
      v.pipe(v.string(), v.regex(/^\d{1,10}$/)),
      v.object({ node: v.string(), type: v.picklist(["qemu", "lxc", "openvz"]) }),
    ),
    {},
  ),
});

/** The numbers that are taken. */
export function takenVmids(files: Files): ReadonlySet<number> {
  return new Set(Object.keys(listOf(files)).map(Number));
}

/** By number. */
export function guestsOf(files: Files): readonly KnownGuest[] {
  return Object.entries(listOf(files))
    .map(([vmid, { node, type }]) => ({
      vmid: Number(vmid),
      ...{ node, type },
      ...settingsOf(files, node, type, vmid),
    }))
    .toSorted((a, b) => a.vmid - b.vmid);
}

function listOf(files: Files): v.InferOutput<typeof listSchema>["ids"] {
  const read = files.read(".vmlist");
  if (!read.ok) throw new ApiError(500, `the guests of the cluster are not known: ${read.reason}`);
  return v.parse(listSchema, JSON.parse(new TextDecoder().decode(read.value))).ids;
}

function settingsOf(
  files: Files,
  node: string,
  type: KnownGuest["type"],
  vmid: string,
): Pick<KnownGuest, "name" | "lock" | "tags" | "isTemplate"> {
  const folder = type === "qemu" ? "qemu-server" : type;
  const read = files.read(`nodes/${node}/${folder}/${vmid}.conf`);
  const bytes = read.ok ? read.value.subarray(0, configBytesMax) : new Uint8Array(0);
  // Snapshots and what is pending come in sections behind.
  const head = new TextDecoder().decode(bytes).split(/^\[/m, 1)[0] ?? "";
  const value = (key: string): string =>
    new RegExp(`^${key}:\\s*(\\S.*?)\\s*$`, "m").exec(head)?.[1] ?? "";
  return {
    name: value(type === "qemu" ? "name" : "hostname"),
    lock: value("lock"),
    tags: value("tags")
      .split(/[;, ]+/)
      .filter((tag) => tag !== ""),
    isTemplate: value("template") === "1",
  };
}
