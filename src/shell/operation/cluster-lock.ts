// The cluster-wide lock of Proxmox's tools for corosync.conf (pmxcfs.md §6.2, pvecm.md §1.0): a directory in the tree. Taken, the work
// done within its time, given back whatever happened. A lock that its holder abandoned is freed by asking, as the tools do.
import { setTimeout as wait } from "node:timers/promises";
import { reasonOf } from "../../result.ts";
import type { NodeClient } from "../api/client.ts";
import { CommandFailure } from "../exit.ts";

const parent = "priv/lock";
export const corosyncConfLock = "file-corosync_conf";
const acquireMsMax = 10_000;
const noticeMsMin = 1000;
const retryMs = 500;
/** Half of the time after which an untouched lock may be freed. */
const workMsMax = 60_000;

export interface LockOptions {
  readonly client: NodeClient;
  readonly name: string;
  readonly note: (text: string) => void;
}

/** Runs `work` under the lock; failures carry the tools' prefix. */
export async function withClusterLock<T>(
  { client, name, note }: LockOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const path = `${parent}/${name}`;
  await acquire({ client, name, note }, path);
  const deadline = AbortSignal.timeout(workMsMax);
  try {
    return await work(deadline);
  } finally {
    await client.remove(path).catch((error: unknown) => {
      note(
        `Warning: the lock ${path} could not be given back (${reasonOf(error)}); it ends by itself within two minutes.\n`,
      );
    });
  }
}

/** Throws when the lock's time is over: the work must not go on as if it were alone. */
export function checkLock(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new CommandFailure(`'${corosyncConfLock}'-locked command timed out - aborting`);
  }
}

async function acquire({ client, name, note }: LockOptions, path: string): Promise<void> {
  const fail = (reason: string): never => {
    throw new CommandFailure(`cfs-lock '${name}' error: ${reason}`);
  };
  const begun = performance.now();
  let noticedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    // There already, as a rule; what cannot be made is refused with its reason by the step after.
    await client.mkdir("priv").catch(() => undefined);
    await client.mkdir(parent).catch(() => undefined);
    const refused = await client.mkdir(path).then(
      () => undefined,
      (error: unknown) => reasonOf(error),
    );
    if (refused === undefined) return;
    const now = performance.now();
    const status = await client.status();
    if (!status.quorum.quorate) return fail("no quorum!");
    if (!/EEXIST/.test(refused)) return fail(refused);
    if (now - begun >= acquireMsMax) return fail("got lock request timeout");
    if (now - noticedAt >= noticeMsMin) {
      note(`trying to acquire cfs lock '${name}' ...\n`);
      noticedAt = now;
    }
    // Asks for its release in case nobody holds it any more; the time itself is always refused (pmxcfs.md §2.9).
    await client.setMtime(path, 0).catch(() => undefined);
    await wait(retryMs);
  }
}
