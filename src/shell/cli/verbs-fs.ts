// `quorate fs`: the tree without a mount.
import type { FsOptions } from "../command/fs/fs.ts";
import { write } from "./output.ts";
import { done, failed, json, notRunning, root, socketFile, wrongLine } from "./shared.ts";
import { commandOfVerbs, flag, optional, required, verb } from "./table.ts";
import { anyWord, file, oneOf, parsed } from "./values.ts";

const place = (name: string) =>
  parsed(name, "a path inside the tree", (given) => (given === "" ? undefined : given));
const path = required(place("PATH"));
const options = { root, json };
const isForced = flag("force", "The cluster's corosync.conf too, and one that it could not use");

async function fs(given: Omit<FsOptions, "write" | "stdin">): Promise<number> {
  const { fsCommand } = await import("../command/fs/fs.ts");
  const stdin = async () => new Uint8Array(await Bun.stdin.arrayBuffer());
  return fsCommand({ ...given, write, stdin });
}

const verbs = [
  verb("ls", "list a directory; bytes of a name that are no text are shown, and taken, as \\xNN", {
    takes: {
      path: optional(anyWord("PATH")),
      ...options,
      isRecursive: flag("recursive", "All below as well", { short: "r" }),
    },
    run: ({ path: directory = "", ...given }) => fs({ ...given, verb: "ls", path: directory }),
  }),
  verb("cat", "print a file", {
    takes: { path, ...options },
    run: (given) => fs({ ...given, verb: "cat" }),
  }),
  verb(
    "get",
    "copy a file or a directory to FILE, which must not exist (default: the same name here)",
    {
      takes: { path, other: optional(file("FILE")), ...options },
      run: (given) => fs({ ...given, verb: "get" }),
    },
  ),
  verb(
    "put",
    "replace a file with FILE's content (default: standard input); a directory: all that is in it",
    {
      takes: { path, other: optional(file("FILE")), ...options, isForced },
      run: (given) => fs({ ...given, verb: "put" }),
    },
  ),
  verb("mkdir", "make a directory", {
    takes: {
      path,
      ...options,
      withParents: flag(
        "parents",
        "Directories above that are missing as well, no error if it is there",
        { short: "p" },
      ),
    },
    run: (given) => fs({ ...given, verb: "mkdir" }),
  }),
  verb("rm", "remove a file or an empty directory", {
    takes: { path, ...options, isForced },
    run: (given) => fs({ ...given, verb: "rm" }),
  }),
  verb("mv", "rename", {
    takes: {
      path: required(place("FROM")),
      other: required(place("TO")),
      ...options,
      isForced,
    },
    run: (given) => fs({ ...given, verb: "mv" }),
  }),
  verb("dump", "every object with mode, size, time and SHA-256", {
    takes: options,
    run: (given) => fs({ ...given, verb: "dump", path: "" }),
  }),
  verb(
    "lost",
    "what a tree of this node had that lost to the cluster's: which are kept, what of NAME is not in the tree now, and putting it back (default: all of that)",
    {
      takes: {
        action: required(oneOf(["list", "diff", "restore"])),
        name: optional(anyWord("NAME")),
        path: optional(place("PATH")),
        ...options,
      },
      run: ({ action, name, path: inTree, ...given }) =>
        fs({ ...given, verb: "lost", path: "", lost: { action, name, path: inTree } }),
    },
  ),
];

export const fsVerbs = commandOfVerbs("fs", {
  description: "The tree without a mount: list, read, write",
  verbs,
  examples: [
    "quorate fs ls nodes/pve1/qemu-server",
    "quorate fs put datacenter.cfg ./datacenter.cfg",
    "quorate fs get nodes/pve1 ./backup-of-pve1",
  ],
  manual: [
    "Reads and changes the tree of the running node without a mount, with the same rules as below /etc/pve: every change is agreed by all nodes and on the disks of a majority of the votes before the command ends, and refused without quorum. Paths are given from the root of the tree, as nodes/pve1/qemu-server/100.conf.",
    "When nodes meet whose trees differ, the tree of the newest quorate part wins, and no merge is made. What the other tree had alone is kept whole on its node, named in the cluster log, and shown by `lost`: at most 16 trees and 256 MiB, the oldest go.",
  ],
  files: [socketFile],
  exits: [done, failed, wrongLine, notRunning],
});
