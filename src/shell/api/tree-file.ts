// What the node itself does with files of the tree beyond a single request: it holds the cluster-wide locks of
// Proxmox's tools (a directory below priv/lock, pmxcfs.md §6.2) from inside the daemon.
import { setTimeout as wait } from "node:timers/promises";
import type { Files, Outcome } from "../../fs/tree/files.ts";
import { type Result, failure, success } from "../../result.ts";

const lockFolder = "priv/lock";
const acquireMsMax = 10_000;
/** After which one that a killed daemon left is free, with what a change of the membership and its last answers add. */
export const leftLockMsMax = 150_000;
const retryMs = 500;
/** As the original's tools: half of the time after which an untouched lock may be freed (pmxcfs.md §2.9). */
const workMsMax = 60_000;
/** A removal that is sent by then is in the ring's order before anybody frees the lock. */
const releaseMsMax = 100_000;

export interface TreeLockOptions {
  /** For how long the lock is asked for, milliseconds. */
  readonly waitMs?: number;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
  readonly pause?: (pauseMs: number) => Promise<unknown>;
}

/**
 * Runs `work` while no other node holds the lock; `name` is Proxmox's: "authkey", "file-priv_tfa_cfg". A failure says who waits for what.
 * A lock that its holder abandoned is freed by asking, as the tools do. `work` changes the tree by the `held` files only: those refuse
 * (EBUSY) once its minute is over, or the lock another's. Rejects only when `work` does.
 */
export async function withTreeLock<Value>(
  files: Files,
  name: string,
  work: (held: Files) => Promise<Value>,
  options: TreeLockOptions = {},
): Promise<Result<Value>> {
  const { waitMs = acquireMsMax, now = () => performance.now(), pause = wait } = options;
  const path = `${lockFolder}/${name}`;
  const begun = now();
  let takenAt = begun;
  for (;;) {
    // There already, as a rule; what cannot be made is refused with its reason by the step after.
    if (!files.stat(lockFolder).ok) {
      await files.mkdir("priv");
      await files.mkdir(lockFolder);
    }
    // Its time begins when all nodes have it, which is later.
    takenAt = now();
    const made = await files.mkdir(path);
    if (made.ok) break;
    if (made.errno !== "EEXIST")
      return failure(`the lock '${name}' cannot be taken: ${made.reason}`);
    if (now() - begun > waitMs) {
      return failure(
        `the lock '${name}' is held by another node: try again; one that nobody uses is free after two minutes`,
      );
    }
    // Refused unless it is abandoned; taken away then.
    await files.setMtime(path, 0);
    await pause(retryMs);
  }
  const stampOf = (): number | undefined => {
    const stat = files.stat(path);
    return stat.ok ? stat.value.mtime : undefined;
  };
  const stamp = stampOf();
  // Who takes it after us does so two minutes later, and at another time.
  const isOurs = (): boolean => stamp !== undefined && stampOf() === stamp;
  const problem = (): string => {
    if (now() - takenAt >= workMsMax)
      return `the lock '${name}' was held for longer than ${workMsMax / 1000} s`;
    return isOurs() ? "" : `the lock '${name}' was lost to another node`;
  };
  try {
    return success(await work(filesUnder(files, problem)));
  } finally {
    // One that cannot be given back (quorum lost meanwhile) ends by itself, as one does whose end is so near that another may have it.
    if (now() - takenAt < releaseMsMax && isOurs()) await files.remove(path);
  }
}

/** The tree as it is, changed only while `problem` says "". */
function filesUnder(files: Files, problem: () => string): Files {
  const allowed = async <T>(change: () => Promise<Outcome<T>>): Promise<Outcome<T>> => {
    const text = problem();
    return text === "" ? change() : lost(text);
  };
  return {
    stat: (path) => files.stat(path),
    list: (path) => files.list(path),
    read: (path) => files.read(path),
    readlink: (path) => files.readlink(path),
    statfs: () => files.statfs(),
    caughtUp: () => files.caughtUp(),
    chmod: (path, mode) => files.chmod(path, mode),
    chown: (path, uid, gid) => files.chown(path, uid, gid),
    mkdir: (path) => allowed(() => files.mkdir(path)),
    create: (path, promised) => allowed(() => files.create(path, promised)),
    write: (path, offset, data, promised) =>
      allowed(() => files.write(path, offset, data, promised)),
    gather: (path, offset, data) => {
      const text = problem();
      return text === "" ? files.gather(path, offset, data) : lost(text);
    },
    replace: (path, data, promised) => allowed(() => files.replace(path, data, promised)),
    sync: (promised, since) => files.sync(promised, since),
    get losses() {
      return files.losses;
    },
    truncate: (path, size, promised) => allowed(() => files.truncate(path, size, promised)),
    remove: (path) => allowed(() => files.remove(path)),
    rename: (from, to) => allowed(() => files.rename(from, to)),
    setMtime: (path, seconds, promised) => allowed(() => files.setMtime(path, seconds, promised)),
  };
}

function lost(text: string): Outcome<never> {
  return { ok: false, errno: "EBUSY", reason: `${text}: nothing more is changed; try again` };
}
