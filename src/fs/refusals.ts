// Why a change was refused, as sentences for whoever asked for it.
import type { Errno } from "./tree/files.ts";

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
