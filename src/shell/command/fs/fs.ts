// `quorate fs …`: the tree without a mount. Changes are answered once the cluster has agreed and this node has stored them.
import { NodeClient, type ListedEntry } from "../../api/client.ts";
import { exitOk } from "../../exit.ts";
import { belowOf, getTree, makeDirectory, putFrom, readInput } from "./fs-copy.ts";
import { fsLost, type FsLostOptions } from "./fs-lost.ts";
import { nodePaths } from "../../paths.ts";
import type { DumpEntry } from "../../api/tree-dump.ts";

export interface FsOptions {
  readonly root: string;
  readonly json: boolean;
  /** ls: all below as well. */
  readonly isRecursive?: boolean;
  /** mkdir: what is missing above as well. */
  readonly withParents?: boolean;
  /** put, mv: a corosync.conf that the cluster could not use too; rm, mv: the one that it has. */
  readonly isForced?: boolean;
  readonly verb: "ls" | "cat" | "get" | "put" | "mkdir" | "rm" | "mv" | "dump" | "lost";
  /** From the root of the tree, which is "". */
  readonly path: string;
  /** get, put: a file here, "-" for none; mv: the new path. */
  readonly other?: string | undefined;
  readonly lost?: Pick<FsLostOptions, "action" | "name" | "path">;
  readonly write: (bytes: string | Uint8Array) => void;
  readonly stdin: () => Promise<Uint8Array>;
}

export async function fsCommand(options: FsOptions): Promise<number> {
  const client = new NodeClient(nodePaths(options.root).socket);
  const { path, other, isForced = false } = options;
  switch (options.verb) {
    case "ls":
      return list(options, await listed(client, path, options.isRecursive === true));
    case "cat":
      options.write(await client.read(path));
      return exitOk;
    case "get":
      await getTree(client, path, other);
      return exitOk;
    case "put":
      if (other !== undefined && other !== "-") await putFrom(client, path, other, isForced);
      else await client.put(path, readInput("standard input", await options.stdin()), isForced);
      return exitOk;
    case "mkdir":
      await (options.withParents === true ? makeDirectory(client, path) : client.mkdir(path));
      return exitOk;
    case "rm":
      await client.remove(path, isForced);
      return exitOk;
    case "mv":
      await client.move(path, other ?? "", isForced);
      return exitOk;
    case "dump":
      return dump(options, await client.dump());
    case "lost": {
      const { json, write, lost } = options;
      const asked = lost ?? { action: "list", name: undefined, path: undefined };
      return fsLost({ client, json, write, ...asked });
    }
  }
  return options.verb satisfies never;
}

/** A directory's entries; those of everything below with their paths from there. */
async function listed(
  client: NodeClient,
  path: string,
  isRecursive: boolean,
): Promise<readonly ListedEntry[]> {
  if (!isRecursive) return client.list(path);
  const below = await belowOf(client, path);
  return below.map(({ entry, from }) => ({ ...entry, name: from }));
}

function list(options: FsOptions, entries: readonly ListedEntry[]): number {
  if (options.json) {
    options.write(`${JSON.stringify(entries)}\n`);
    return exitOk;
  }
  const sizeWidth = Math.max(1, ...entries.map((entry) => String(entry.size).length));
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const time = entry.mtime === 0 ? "-".padEnd(19) : isoSeconds(entry.mtime);
    const target = entry.target === undefined ? "" : ` -> ${entry.target}`;
    const size = String(entry.size).padStart(sizeWidth);
    options.write(`${modeText(entry)} ${size} ${time} ${entry.name}${target}\n`);
  }
  return exitOk;
}

function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}

function modeText(entry: ListedEntry): string {
  const letters = ["r", "w", "x", "r", "w", "x", "r", "w", "x"];
  const kind = { directory: "d", file: "-", symlink: "l" }[entry.type];
  return kind + letters.map((letter, at) => (entry.mode & (1 << (8 - at)) ? letter : "-")).join("");
}

function dump(options: FsOptions, entries: readonly DumpEntry[]): number {
  if (options.json) {
    options.write(`${JSON.stringify(entries)}\n`);
    return exitOk;
  }
  for (const { path, type, mode, size, mtime, sha256, target } of entries) {
    options.write([path, type, mode, size, mtime, sha256 || "-", target || "-"].join("\t") + "\n");
  }
  return exitOk;
}
