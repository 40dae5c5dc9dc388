// What the routes below /access stand on, and how they change a file of the tree: under its lock of Proxmox's, from the file as it is then, refused
// in the original's words (pvecm.md §4.3, §4.4; pmxcfs.md §6.2).
import type { Files } from "../../../fs/tree/files.ts";
import { bytesOf } from "../../../bytes.ts";
import type { Result } from "../../../result.ts";
import type { Access } from "../../access/access.ts";
import { byteTextAt, type UserFiles, userPaths } from "../../access/user-files.ts";
import { parseUserConfig, type UserConfig, type UserEntry } from "../../users/user-config.ts";
import { UnwritableName, userConfigText } from "../../users/write-user-config.ts";
import { ApiError } from "../route.ts";
import { withTreeLock } from "../tree-file.ts";

export interface AccessRoutesSource {
  readonly files: Files;
  readonly users: UserFiles;
  readonly isQuorate: () => boolean;
  /** Unix seconds. */
  readonly now: () => number;
  /** Of who changes a password or second factor; slowed as logins are. Never rejects. */
  readonly reauthenticate: Access["reauthenticate"];
  /** Of a new password. */
  readonly hash: (password: string) => Promise<Result<string>>;
  /** Gives a user of this machine a new password. */
  readonly setSystemPassword: (name: string, password: string) => Promise<Result<undefined>>;
  /** For the cluster log: who did what. */
  readonly clusterLog: (user: string, message: string) => void;
}

type ChangedFile = (typeof userPaths)[keyof typeof userPaths];

/** A refusal in an edit: its words are completed by those of the whole change ("create user failed: …"). */
export class EditRefusal extends Error {}

/**
 * Replaces a file by what `edit` makes of it, while no other node of the cluster changes it; nothing is written when nothing changes. `what`: the
 * words that a refusal begins with ("create user failed"). Throws ApiError.
 */
export async function changeFile(
  { files, isQuorate }: Pick<AccessRoutesSource, "files" | "isQuorate">,
  path: ChangedFile,
  what: string,
  edit: (text: string, held: Files) => string | Promise<string>,
): Promise<void> {
  const lock = `file-${path.replace(/[./]/g, "_")}`;
  if (!isQuorate()) throw noQuorum(what, lock);
  const locked = await withTreeLock(files, lock, async (held) => {
    const before = byteTextAt(held, path);
    const after = await edit(before, held);
    if (after === before) return;
    const put = await held.replace(path, bytesOf(after));
    if (put.ok) return;
    const cause = put.errno === "EFBIG" ? `; ${largestPart(after)}` : "";
    throw new EditRefusal(`${path}: ${put.reason}${cause}`);
  }).catch((error: unknown) => {
    if (error instanceof EditRefusal) throw new ApiError(500, `${what}: ${error.message}`);
    throw error;
  });
  if (locked.ok) return;
  if (!isQuorate()) throw noQuorum(what, lock);
  throw new ApiError(500, `${what}: cfs-lock '${lock}' error: got lock request timeout`, {
    code: "locked",
    hint: locked.reason,
  });
}

function noQuorum(what: string, lock: string): ApiError {
  return new ApiError(500, `${what}: cfs-lock '${lock}' error: no quorum!`, {
    code: "noQuorum",
    hint: "nothing was changed; the cluster's files can be written while a majority of its votes is here: `quorate status` tells who is missing",
  });
}

/** What of a file that is too large is the most, for whoever is to make room: a user with its tokens, or all lines of a kind. Lines of user.cfg and token.cfg. */
export function largestPart(text: string): string {
  const bytes = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, user] = /^(?:(?:user|token):)?([^:\s]*@[^:!\s]+)/.exec(line) ?? [];
    const part = user === undefined ? `the lines '${line.split(":", 1)[0]?.slice(0, 20)}'` : user;
    bytes.set(part, (bytes.get(part) ?? 0) + line.length + 1);
  }
  const [part, size] = [...bytes].toSorted(([, a], [, b]) => b - a)[0] ?? ["", 0];
  return `most of it is ${part.replace(/[^\x20-\x7e]/g, "?")}: ${size} of ${text.length} bytes, with everything that belongs to it`;
}

/** The same for user.cfg as what it means. `held`: the tree under its lock. */
export async function changeUsers(
  source: Pick<AccessRoutesSource, "files" | "isQuorate">,
  what: string,
  edit: (config: UserConfig, held: Files) => void | Promise<void>,
): Promise<void> {
  await changeFile(source, userPaths.config, what, async (text, held) => {
    const config = parseUserConfig(text);
    await edit(config, held);
    try {
      return userConfigText(config);
    } catch (error) {
      if (error instanceof UnwritableName) throw new EditRefusal(error.message);
      throw error;
    }
  });
}

/** The user, or the original's refusal. */
export function existingUser(config: UserConfig, user: string): UserEntry {
  const entry = config.users.get(user);
  if (entry === undefined) throw new EditRefusal(noSuchUser(user));
  return entry;
}

export function noSuchUser(user: string): string {
  return `no such user ('${user}')`;
}

/** 400, for one parameter. */
export function badParameter(name: string, words: string): ApiError {
  return new ApiError(400, "Parameter verification failed.", { errors: { [name]: words } });
}
