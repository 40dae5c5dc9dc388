// What a user of the tree is told: why a change was refused, and what the tree is doing.
import type { Mode } from "./replica/dfsm-events.ts";
import type { Errno, TreeStatus } from "./tree/files.ts";

export const reasons: { readonly [E in Errno]?: string } = {
  EACCES: "this is not allowed here",
  EBUSY: "the group did not take the change; try again",
  EEXIST: "it exists already, or its VMID belongs to another guest",
  EFBIG: "a file may have 1048576 bytes",
  EINVAL: "this makes no sense here",
  EISDIR: "this is a directory",
  ENOENT: "no such file or directory",
  ENOTDIR: "a part of the path is not a directory, or the target is one",
  ENOTEMPTY: "the directory is not empty",
};

export const lostContact =
  "the other nodes were lost before they confirmed the change: it may hold or not, look before you repeat it";

export const lostSince =
  "another part of the cluster went on without this node, and its tree has replaced this one's: what was written here before may be gone; `quorate fs lost list` names what this node has kept of it";

export function modeWord(mode: Mode): TreeStatus["mode"] {
  switch (mode) {
    case "start":
      return "starting";
    case "startSync":
      return "synchronising";
    case "synced":
      return "synced";
    case "update":
      return "updating";
    case "leave":
      return "left";
    case "versionError":
    case "error":
      return "error";
  }
  return mode satisfies never;
}
