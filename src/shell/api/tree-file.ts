// What the node itself does with files of the tree beyond a single request: replacing one as a whole, and the cluster-wide locks of
// Proxmox's tools (a directory below priv/lock, pmxcfs.md §6.2) from inside the daemon.
import { setTimeout as wait } from "node:timers/promises";
import type { Files, Outcome } from "../../fs/tree/files.ts";
import { type Result, failure, success } from "../../result.ts";
import { textOfPath } from "./path-text.ts";

const lockFolder = "priv/lock";
const acquireMsMax = 10_000;
/** After which one that a killed daemon left is free, with what a change of the membership and its last answers add. */
export const leftLockMsMax = 150_000;
const retryMs = 500;

/**
 * Replaces a file as a whole: a temporary name beside it, then a rename, so that no reader on any node ever sees half of it.
 * A guest's VMID rule is checked by the rename, as on every node.
 */
export async function replaceFile(
  files: Files,
  path: string,
  data: Uint8Array,
): Promise<Outcome<undefined>> {
  const existing = files.stat(path);
  if (existing.ok && existing.value.type === "directory") {
    return { ok: false, errno: "EISDIR", reason: `${textOfPath(path)} is a directory` };
  }
  const temporary = `${path}.tmp.${process.pid}.${nextTemporary()}`;
  const created = await files.create(temporary);
  if (!created.ok) return created;
  const written = data.length === 0 ? created : await files.write(temporary, 0, data);
  const moved = written.ok ? await files.rename(temporary, path) : written;
  if (moved.ok) return { ok: true, value: undefined };
  // The first failure is what the caller must know; a temporary file that cannot be removed either is only litter.
  await files.remove(temporary);
  return moved;
}

let temporaries = 0;
function nextTemporary(): number {
  temporaries += 1;
  return temporaries;
}

/**
 * Runs `work` while no other node holds the lock; `name` is Proxmox's: "authkey", "file-priv_tfa_cfg". A failure says who waits for what.
 * A lock that its holder abandoned is freed by asking, as the tools do. Rejects only when `work` does.
 */
export async function withTreeLock<Value>(
  files: Files,
  name: string,
  work: () => Promise<Value>,
  waitMs: number = acquireMsMax,
): Promise<Result<Value>> {
  const path = `${lockFolder}/${name}`;
  const begun = performance.now();
  for (;;) {
    // There already, as a rule; what cannot be made is refused with its reason by the step after.
    if (!files.stat(lockFolder).ok) {
      await files.mkdir("priv");
      await files.mkdir(lockFolder);
    }
    const made = await files.mkdir(path);
    if (made.ok) break;
    if (made.errno !== "EEXIST")
      return failure(`the lock '${name}' cannot be taken: ${made.reason}`);
    if (performance.now() - begun > waitMs) {
      return failure(
        `the lock '${name}' is held by another node: try again; one that nobody uses is free after two minutes`,
      );
    }
    // Refused unless it is abandoned; taken away then.
    await files.setMtime(path, 0);
    await wait(retryMs);
  }
  try {
    return success(await work());
  } finally {
    // One that cannot be given back (quorum lost meanwhile) ends by itself.
    await files.remove(path);
  }
}
