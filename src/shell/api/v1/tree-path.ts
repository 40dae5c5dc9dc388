// Paths of the tree as /api/v1 takes them, and who may see what is there: as on /etc/pve, `priv` is root's alone, and so are keys and what else holds a
// secret, which the group www-data may read there for the daemons of Proxmox that run as it, not for every auditor.
import { createHash } from "node:crypto";
import { bytesOf } from "../../../bytes.ts";
import type { Files } from "../../../fs/tree/files.ts";
import { isPrivatePath } from "../../../fs/tree/rules.ts";
import { pathOfText } from "../path-text.ts";
import { ApiError, type Caller } from "../route.ts";

/** Byte string without empty parts, a link of the root followed: each object has one. "" is the root. */
export function storedPath(files: Pick<Files, "readlink">, text: string): string {
  const [first = "", ...rest] = pathOfText(text)
    .split("/")
    .filter((part) => part !== "");
  const target = files.readlink(first);
  return [target.ok ? target.value : first, ...rest].join("/");
}

/** realm secrets of OpenID: `client-key`. */
const secretFiles: ReadonlySet<string> = new Set(["domains.cfg"]);

/** For root alone. `path`: of `storedPath`. */
export function isSecretPath(path: string): boolean {
  return isPrivatePath(path) || secretFiles.has(path) || /\.key(?:\.|$)/.test(path);
}

/** root@pam itself, not by an API token. */
export function isRoot({ user, isToken }: Caller): boolean {
  return user === "root@pam" && !isToken;
}

/** Throws ApiError 403 for what is root's alone. */
export function checkReadable(path: string, caller: Caller): void {
  if (isRoot(caller) || !isSecretPath(path)) return;
  throw new ApiError(403, "Permission check failed (user != root@pam)", { code: "rootOnly" });
}

/** What whoever may audit reads as it is: it has no secret, and no other route hides any of it. */
const openFiles: ReadonlySet<string> = new Set([
  ...["corosync.conf", "quorate.cfg", "pve-root-ca.pem", ".members", ".version"],
]);

/**
 * Of all other files an auditor sees that they are there, and not what is in them: the log of others, keys of second factors in user.cfg, passwords in the
 * configuration of guests on which it may nothing. Throws ApiError 403.
 */
export function checkContentReadable(path: string, caller: Caller): void {
  checkReadable(path, caller);
  if (isRoot(caller) || openFiles.has(path)) return;
  throw new ApiError(403, "Permission check failed (user != root@pam)", {
    code: "rootOnly",
    hint: `what is in files of the tree is for root@pam, without an API token, but for ${[...openFiles].join(", ")}`,
  });
}

/** The cluster-wide lock of a file, as Proxmox's tools name it; of a long name its digest. */
export function fileLockName(path: string): string {
  const name = `file-${path.replace(/[./]/g, "_")}`;
  if (name.length <= 200) return name;
  return `file-${createHash("sha256").update(bytesOf(path)).digest("hex")}`;
}
