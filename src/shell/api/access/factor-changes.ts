// Second factors changed in the tree: priv/tfa.cfg first and under its lock, then the mark in user.cfg by which Proxmox knows that a user has some. The
// other order of the two locks would be Proxmox's deadlock.
import { byteStringOfText, bytesOf } from "../../../bytes.ts";
import type { Result } from "../../../result.ts";
import { type ChangedFactors, withoutUser } from "../../access/factor-entries.ts";
import { userPaths } from "../../access/user-files.ts";
import { type AccessRoutesSource, changeFile, changeUsers, EditRefusal } from "./access-source.ts";

/** "x", and what older versions of Proxmox VE wrote behind it. */
const markPattern = /^x(?:!.*)?$/;

/** Answers the edit's value. Throws ApiError. */
export async function changeFactors<T extends ChangedFactors>(
  source: AccessRoutesSource,
  what: string,
  user: string,
  edit: (text: string) => Result<T>,
): Promise<T> {
  let done: T | undefined;
  await changeFile(source, userPaths.factors, what, async (bytes) => {
    const made = edit(textOf(bytes));
    if (!made.ok) throw new EditRefusal(made.reason);
    done = made.value;
    // A user that gets some is marked before it has them, one that has none any more after.
    if (done.isAnyLeft) await markUser(source, what, user, true);
    return made.value.text === textOf(bytes) ? bytes : byteStringOfText(made.value.text);
  });
  if (done === undefined) throw new Error(`${what}: nothing was done`);
  if (!done.isAnyLeft) await markUser(source, what, user, false);
  return done;
}

/** All of a user's. Throws ApiError. */
export async function removeFactors(
  source: AccessRoutesSource,
  what: string,
  user: string,
): Promise<void> {
  await changeFile(source, userPaths.factors, what, (bytes) => {
    const text = textOf(bytes);
    const made = withoutUser(text, user);
    if (!made.ok) throw new EditRefusal(made.reason);
    return made.value === text ? bytes : byteStringOfText(made.value);
  });
}

function textOf(bytes: string): string {
  return new TextDecoder().decode(bytesOf(bytes));
}

async function markUser(
  source: AccessRoutesSource,
  what: string,
  user: string,
  isMarked: boolean,
): Promise<void> {
  await changeUsers(source, what, ({ users }) => {
    const entry = users.get(user);
    if (entry === undefined) return;
    const isOldKey = entry.keys !== "" && !markPattern.test(entry.keys);
    const [, realm = ""] = /@([^@]*)$/.exec(user) ?? [];
    if (isOldKey && source.users.realms.get(realm)?.secondFactor !== undefined) {
      throw new EditRefusal(
        "the user has second factors of the kind of Proxmox VE 6 in user.cfg, which only its own tools can carry over",
      );
    }
    if (isMarked && markPattern.test(entry.keys)) return;
    entry.keys = isMarked ? "x" : "";
  });
}
