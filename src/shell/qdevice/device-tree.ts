// What a quorum device has in the tree: its section of corosync.conf, and the cluster's certificate. All of it is written under the lock.
import { equalBytes } from "../../bytes.ts";
import type { NodeClient } from "../api/client.ts";
import { CommandFailure } from "../exit.ts";
import { treeAuthority, treeDirectory, treeIdentity } from "./device-identity.ts";

const confPath = "corosync.conf";
const draftPath = `${confPath}.new`;

export type TreeClient = Pick<NodeClient, "read" | "put" | "move" | "mkdir" | "remove">;

/** The two files of a certificate as they lie in the tree; undefined: not there. */
export interface StoredFiles {
  readonly identity: Uint8Array | undefined;
  readonly authority: Uint8Array | undefined;
}

/** One character a byte. */
export async function readConf(client: Pick<NodeClient, "read">): Promise<string> {
  return Buffer.from(await client.read(confPath)).toString("latin1");
}

/** As the original: a new file beside it, then one rename, which all nodes see as one change. */
export async function writeConf(client: TreeClient, text: string): Promise<void> {
  await client.put(draftPath, bytesOf(text));
  await client.move(draftPath, confPath);
}

/** Removes what a `writeConf` of this text left beside corosync.conf when it was killed or refused. */
export async function dropDraft(client: TreeClient, text: string): Promise<void> {
  const draft = await readIfThere(client, draftPath);
  if (draft !== undefined && equalBytes(draft, bytesOf(text)))
    await removeIfThere(client, draftPath);
}

export async function storedFiles(client: Pick<NodeClient, "read">): Promise<StoredFiles> {
  return {
    identity: await readIfThere(client, treeIdentity),
    authority: await readIfThere(client, treeAuthority),
  };
}

/** Makes it so; without either the directory goes as well. What is right already is not written. */
export async function putFiles(client: TreeClient, files: StoredFiles): Promise<void> {
  const wanted = [
    [treeAuthority, files.authority],
    [treeIdentity, files.identity],
  ] as const;
  if (wanted.some(([, bytes]) => bytes !== undefined)) {
    // Both are there as a rule; what cannot be made is refused with its reason by the files in them.
    for (const directory of ["priv", treeDirectory]) {
      await client.mkdir(directory).catch(() => undefined);
    }
  }
  for (const [path, bytes] of wanted) {
    const there = await readIfThere(client, path);
    if (bytes === undefined) {
      if (there !== undefined) await removeIfThere(client, path);
    } else if (there === undefined || !equalBytes(there, bytes)) await client.put(path, bytes);
  }
  if (wanted.every(([, bytes]) => bytes === undefined)) await removeIfThere(client, treeDirectory);
}

async function readIfThere(
  client: Pick<NodeClient, "read">,
  path: string,
): Promise<Uint8Array | undefined> {
  return client.read(path).catch((error: unknown) => {
    if (error instanceof CommandFailure && error.message.includes("ENOENT")) return undefined;
    throw error;
  });
}

async function removeIfThere(client: TreeClient, path: string): Promise<void> {
  await client.remove(path).catch((error: unknown) => {
    const isGone = error instanceof CommandFailure && /ENOENT|ENOTEMPTY/.test(error.message);
    if (!isGone) throw error;
  });
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}
