// `quorate fs …`: the tree without a mount. Changes are answered once the cluster has agreed and this node has stored them.
import { NodeClient, type ListedEntry } from "../api/client.ts";
import { CommandFailure, exitOk, exitUsage } from "../exit.ts";
import { belowOf, getTree, makeDirectory, putFrom, readInput } from "./fs-copy.ts";
import { fsUsage } from "./fs-usage.ts";
import { nodePaths } from "../paths.ts";
import type { DumpEntry } from "../api/tree-dump.ts";

export interface FsOptions {
  readonly root: string;
  readonly json: boolean;
  /** ls: all below as well. */
  readonly isRecursive?: boolean;
  /** mkdir: what is missing above as well. */
  readonly withParents?: boolean;
  /** put, mv: a corosync.conf that the cluster could not use too. */
  readonly isForced?: boolean;
  readonly verb: string;
  readonly args: readonly string[];
  readonly write: (bytes: string | Uint8Array) => void;
  readonly stdin: () => Promise<Uint8Array>;
}

export async function fsCommand(options: FsOptions): Promise<number> {
  const client = new NodeClient(nodePaths(options.root).socket);
  const [first, second] = options.args;
  const isForced = options.isForced === true;
  switch (options.verb) {
    case "ls":
      expectArgs(options, 0, 1);
      return list(options, await listed(client, first ?? "", options.isRecursive === true));
    case "cat":
      options.write(await client.read(required(options, first)));
      return exitOk;
    case "get":
      await getTree(client, required(options, first), second);
      return exitOk;
    case "put": {
      const path = required(options, first);
      if (second !== undefined && second !== "-") await putFrom(client, path, second, isForced);
      else await client.put(path, readInput("standard input", await options.stdin()), isForced);
      return exitOk;
    }
    case "mkdir": {
      const path = required(options, first);
      await (options.withParents === true ? makeDirectory(client, path) : client.mkdir(path));
      return exitOk;
    }
    case "rm":
      await client.remove(required(options, first));
      return exitOk;
    case "mv":
      expectArgs(options, 2, 2);
      await client.move(required(options, first), required(options, second), isForced);
      return exitOk;
    case "dump":
      expectArgs(options, 0, 0);
      return dump(options, await client.dump());
    default:
      throw new CommandFailure(
        `\`quorate fs\` has no verb "${options.verb}"; see \`quorate fs --help\``,
        exitUsage,
      );
  }
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

function expectArgs(options: FsOptions, min: number, max: number): void {
  const count = options.args.length;
  if (count < min || count > max) {
    const line = fsUsage.split("\n").find((each) => each.startsWith(`${options.verb} `)) ?? "";
    const [form = options.verb] = line.split(/\s{2,}/);
    throw new CommandFailure(
      `it is \`quorate fs ${form}\`; ${count === 0 ? "no argument was" : count === 1 ? "1 argument was" : `${count} arguments were`} given`,
      exitUsage,
    );
  }
}

/** The path of a verb that needs one, and nothing more than it takes. */
function required(options: FsOptions, path: string | undefined): string {
  const most = ["get", "put", "mv"].includes(options.verb) ? 2 : 1;
  expectArgs(options, 1, most);
  if (path === undefined || path === "") {
    throw new CommandFailure(
      `\`quorate fs ${options.verb}\` needs a path inside the tree`,
      exitUsage,
    );
  }
  return path;
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
