// Rules of the tree that need a path only: how paths split, which are private, guests, locks or scripts, and the
// permission bits that follow. Spec: pmxcfs.md §1.7, §2.4, §2.6–2.9. Paths are byte strings; nothing here knows the tree.

/** Content of one file; a write that would end behind this is EFBIG. */
export const fileBytesMax = 1_048_576;
/** What one kernel write request carries at most, and so one WRITE message. */
export const writeBytesMax = 131_072;
/** The kernel's limit of one name. */
export const nameBytesMax = 1024;
/** Path limit of ours: far above what a mounted tree can ask for (PATH_MAX). */
export const pathBytesMax = 65_536;
/** Shown by statfs, not enforced (pmxcfs.md §1.7). */
export const blockBytes = 4096;
export const blocksTotal = 32_768;
export const inodesTotal = 262_144;
/** statfs's f_namemax, smaller than what is really accepted. */
export const statfsNameMax = 256;
/** The directory of the cluster-wide locks. */
export const lockParent = "priv/lock";
/** The file that corosync reads its configuration from. */
export const corosyncConfPath = "corosync.conf";

/** Parent path and last component; trailing slashes do not count (`priv/x/` = `priv/x`). */
export interface SplitPath {
  readonly parent: string;
  readonly base: string;
}

export function splitPath(path: string): SplitPath {
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end -= 1;
  const trimmed = path.slice(0, end);
  const slash = trimmed.lastIndexOf("/");
  return slash < 0
    ? { parent: "", base: trimmed }
    : { parent: trimmed.slice(0, slash), base: trimmed.slice(slash + 1) };
}

/** Strips what must never travel: leading slashes (a path with one escapes the rules below on every member). */
export function withoutLeadingSlashes(path: string): string {
  let start = 0;
  while (path[start] === "/") start += 1;
  return path.slice(start);
}

export type GuestType = "qemu" | "openvz" | "lxc";

/** What the name of a guest's configuration file says (pmxcfs.md §2.7). */
export interface GuestPath {
  readonly vmid: number;
  readonly node: string;
  readonly type: GuestType;
}

const guestPattern =
  /^nodes\/([a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)\/(qemu-server|openvz|lxc)\/([1-9][0-9]{0,9})\.conf$/;
const guestTypes = { "qemu-server": "qemu", openvz: "openvz", lxc: "lxc" } as const;
const vmidMax = 0xffff_ffff;

/** The guest of `nodes/<node>/<dir>/<id>.conf`; undefined for every other path. Ids are 1 … 4294967295. */
export function guestOfPath(path: string): GuestPath | undefined {
  const match = guestPattern.exec(path);
  const node = match?.[1];
  const directory = match?.[2];
  const vmid = Number(match?.[3]);
  if (node === undefined || !(vmid >= 1 && vmid <= vmidMax)) return undefined;
  switch (directory) {
    case "qemu-server":
    case "openvz":
    case "lxc":
      return { vmid, node, type: guestTypes[directory] };
    default:
      return undefined;
  }
}

/** `priv` and below, and `nodes/<any>/priv` and below: for root alone. */
export function isPrivatePath(path: string): boolean {
  return /^(?:priv|nodes\/[^/]+\/priv)(?:\/|$)/.test(path);
}

/** Hook scripts of containers, which are shown as executable: `100.mount`, `vps.premount`, … */
export function isScriptPath(path: string): boolean {
  return /(?:^|\/)(?:[0-9]+|vps)\.(?:mount|umount|start|stop|premount|postumount)$/.test(path);
}

/** Permission bits of a stored object (pmxcfs.md §2.4). `writable`: quorate or local mode. */
export function modeOf(path: string, type: "directory" | "file", writable: boolean): number {
  const base = type === "directory" ? (writable ? 0o777 : 0o555) : writable ? 0o666 : 0o444;
  const executable = type === "file" && isScriptPath(path) ? 0o100 : 0;
  if (isPrivatePath(path)) return (base & 0o700) | executable;
  return (base & (type === "directory" ? 0o755 : 0o750)) | executable;
}

/** The only mode that chmod accepts for a path (pmxcfs.md §2.5). */
export function acceptedMode(path: string): number {
  return isPrivatePath(path) ? 0o600 : 0o640;
}

/** True for `priv/lock/<name>`: a directory there is a lock (pmxcfs.md §2.9). */
export function isLockPath(path: string): boolean {
  const { parent, base } = splitPath(path);
  return parent === lockParent && base !== "";
}
