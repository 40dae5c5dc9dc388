// What the routes of /api/v1 share: who may look and who may change, dry runs, and how a refusal of the tree is answered.
import type { Errno, Outcome } from "../../../fs/tree/files.ts";
import * as parameter from "../parameters.ts";
import { ApiError, privileged } from "../route.ts";

export const mayAudit = privileged("/", "Sys.Audit");
export const mayModify = privileged("/", "Sys.Modify");

/** Shows what would be, and changes nothing. */
export const dryRunParameter = { "dry-run": parameter.optional(parameter.boolean()) };

/** Throws what the ring has refused. */
export function settled({ ok, reason }: { readonly ok: boolean; readonly reason: string }): void {
  if (!ok) throw new ApiError(409, reason, { code: "refused" });
}

/** HTTP statuses of what the tree refuses. */
export const treeStatus: Readonly<Record<Errno, 400 | 403 | 404 | 409 | 413 | 500 | 503>> = {
  EACCES: 403,
  EBUSY: 503,
  EEXIST: 409,
  EFBIG: 413,
  EINVAL: 400,
  EIO: 500,
  EISDIR: 409,
  ENAMETOOLONG: 400,
  ENOENT: 404,
  ENOSYS: 400,
  ENOTDIR: 409,
  ENOTEMPTY: 409,
  EPERM: 403,
};

/** The value, or the refusal as an ApiError that names the object. `subject`: as people write it. */
export function treeValue<T>(subject: string, outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  const { errno, reason } = outcome;
  throw new ApiError(treeStatus[errno], `/${subject}: ${reason}`, { code: errno });
}
