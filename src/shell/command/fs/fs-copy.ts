// Whole directories of the tree: listed to the bottom, made with what is missing above, copied out of it and into it. Names come
// from other nodes: none may lead out of the directory that is written.
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { byteString, byteStringOfText, bytesOf } from "../../../bytes.ts";
import { fileBytesMax } from "../../../fs/tree/rules.ts";
import { fileReasonOf } from "../../../result.ts";
import { type ListedEntry, type NodeClient, NodeRefusal } from "../../api/client.ts";
import { CommandFailure, exitUsage } from "../../exit.ts";
import { pathOfText, textOfPath } from "../../api/path-text.ts";

export interface Below {
  readonly entry: ListedEntry;
  /** Path from the directory that was asked for, and from the root. */
  readonly from: string;
  readonly path: string;
}

/** Everything below a directory, each directory before what it holds. */
export async function belowOf(client: NodeClient, path: string): Promise<readonly Below[]> {
  const found: Below[] = [];
  const folders = [{ path: path.replace(/\/+$/, ""), from: "" }];
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
    for (const entry of await client.list(folder.path)) {
      const under = (above: string) => (above === "" ? entry.name : `${above}/${entry.name}`);
      const below = { entry, from: under(folder.from), path: under(folder.path) };
      found.push(below);
      if (entry.type === "directory") folders.push(below);
    }
  }
  return found;
}

/** Makes a directory and those above that are missing; one that is there already is no error. */
export async function makeDirectory(client: NodeClient, path: string): Promise<void> {
  const names = path.split("/").filter((name) => name !== "");
  for (let count = 1; count <= names.length; count += 1) {
    const made = names.slice(0, count).join("/");
    try {
      await client.mkdir(made);
    } catch (error) {
      // A link of the root (local, lxc, …) leads to a directory, and so does the next name.
      const isThere = error instanceof NodeRefusal && error.errno === "EEXIST";
      if (!isThere || (await client.typeOf(made)) === "file") throw error;
    }
  }
}

/** Bytes for a file of the tree, or the sentence that they are too many. `source` names them. */
export function readInput(source: string, data: Uint8Array): Uint8Array {
  if (data.length <= fileBytesMax) return data;
  throw new CommandFailure(
    `${source}: a file of the tree holds at most 1 MiB; this one has ${data.length} bytes (EFBIG)`,
  );
}

/** Copies a local file or directory to `path`. All is looked at first: what cannot be copied keeps all from being copied. */
export async function putFrom(
  client: NodeClient,
  path: string,
  source: string,
  isForced: boolean,
): Promise<void> {
  const objects = local(() => localObjects(byteStringOfText(source)), source);
  for (const { name, isDirectory } of objects) {
    const to = name === "" ? path : `${path}/${textOfPath(name)}`;
    if (isDirectory) {
      await makeDirectory(client, to);
      continue;
    }
    const file = name === "" ? source : `${source}/${textOfPath(name)}`;
    const full = fileName(byteStringOfText(source), name);
    const data = local(() => new Uint8Array(readFileSync(full)), file);
    await client.put(to, readInput(file, data), isForced);
  }
}

interface LocalObject {
  /** Byte string from the source on; "" is the source itself. */
  readonly name: string;
  readonly isDirectory: boolean;
}

/** The source and what is below it, each directory before what it holds. A source may be a link, what is below must not. */
function localObjects(source: string): readonly LocalObject[] {
  const objects: LocalObject[] = [];
  const names = [""];
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const full = fileName(source, name);
    const isDirectory = name === "" ? isDirectoryAt(full) : lstatSync(full).isDirectory();
    const shown = textOfPath(full.toString("latin1"));
    if (!isDirectory && name !== "") {
      const stat = lstatSync(full);
      if (!stat.isFile()) {
        throw new CommandFailure(`${shown} is no file and no directory: nothing was copied`);
      }
      if (stat.size > fileBytesMax) {
        throw new CommandFailure(
          `${shown}: a file of the tree holds at most 1 MiB; this one has ${stat.size} bytes (EFBIG): nothing was copied`,
        );
      }
    }
    objects.push({ name, isDirectory });
    if (!isDirectory) continue;
    for (const child of readdirSync(full, { encoding: "buffer" })) {
      const base = byteString(child);
      names.push(name === "" ? base : `${name}/${base}`);
    }
  }
  return objects;
}

function isDirectoryAt(path: Buffer): boolean {
  try {
    readdirSync(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return false;
    throw error;
  }
}

/**
 * Copies a file or directory of the tree to `target`, which must not exist; modes are kept, so that what is private stays so.
 * Generated files and links belong to a running node and are left out, but for one that is asked for itself.
 */
export async function getTree(
  client: NodeClient,
  path: string,
  target: string | undefined,
): Promise<void> {
  const own = basename(path);
  if (target === undefined && own === "") {
    throw new CommandFailure("say where to: `quorate fs get / DIRECTORY`", exitUsage);
  }
  const to = byteStringOfText(target ?? own);
  const type = await client.typeOf(path);
  if (type !== "directory")
    return writeNew(to, "", await client.read(path), await modeOf(client, path));
  const below = (await belowOf(client, path)).filter(({ entry }) => !entry.generated);
  local(() => mkdirSync(fileName(to, ""), { mode: 0o700 }), textOfPath(to));
  for (const { entry, from, path: source } of below) {
    const name = pathOfText(from);
    if (name.split("/").some((part) => part === "" || part === "." || part === "..")) {
      throw new CommandFailure(
        `${source}: no file here may have this name; the rest was not copied`,
      );
    }
    if (entry.type === "file") writeNew(to, name, await client.read(source), entry.mode);
    else
      local(
        () => mkdirSync(fileName(to, name), { mode: entry.mode | 0o700 }),
        textOfPath(`${to}/${name}`),
      );
  }
}

async function modeOf(client: NodeClient, path: string): Promise<number> {
  const clean = path.replace(/\/+$/, "");
  const slash = clean.lastIndexOf("/");
  const entries = await client.list(slash < 0 ? "" : clean.slice(0, slash));
  return entries.find(({ name }) => name === clean.slice(slash + 1))?.mode ?? 0o600;
}

function writeNew(target: string, name: string, data: Uint8Array, mode: number): void {
  const path = fileName(target, name);
  local(
    () => writeFileSync(path, data, { flag: "wx", mode: mode | 0o600 }),
    textOfPath(byteString(path)),
  );
}

/** Byte strings to what the file system takes. */
function fileName(directory: string, name: string): Buffer {
  return Buffer.from(bytesOf(name === "" ? directory : `${directory}/${name}`));
}

/** A local operation; `subject` names the file in its sentence. */
function local<T>(operation: () => T, subject: string): T {
  try {
    return operation();
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(`${subject}: ${fileReasonOf(error)}`);
  }
}
