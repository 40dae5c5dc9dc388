// Mounts the tree without libfuse: /dev/fuse and mount(2), seen in /proc/mounts as pmxcfs's is (pmxcfs.md §2.2), the repair of
// a stale mount that a killed process left behind, and unmounting. Needs root (CAP_SYS_ADMIN).
// Our own process must never touch the mounted tree synchronously: it would wait for itself.
import { mkdir, readFile, readdir, realpath, stat, statfs } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import {
  closeFd,
  errnoName,
  errnos,
  mount,
  mountFlags,
  openFuse,
  umount2,
  unmountFlags,
} from "../../libc.ts";
import type { Level, Receipts } from "../../world.ts";
import type { Errno, Files, Outcome } from "../tree/files.ts";
import { DeviceLoop } from "./loop.ts";
import { mountedOn } from "./mountinfo.ts";

/** One stale mount may lie over another. */
const STALE_MOUNTS_MAX = 8;
const PROBE_MS = 2000;
const INIT_MS = 5000;
/** Requests that wait for the cluster get so long to end before the unmount breaks them off. */
const QUIET_MS = 1000;

export interface MountOptions {
  /** Directory to mount on, usually /etc/pve; made when it is missing. */
  readonly target: string;
  readonly files: Files;
  /** gid of www-data (`groupId` of libc.ts). */
  readonly gid: number;
  readonly log: (level: Level, text: string) => void;
  /** Of the ring thread, where others change the tree too: without it the kernel may show a change of theirs a second late. */
  readonly receipts?: Receipts | undefined;
  /** For tests: another device file. */
  readonly device?: string;
}

export class FuseMount {
  /** Why the mount ended, as a sentence; after `unmount` too. */
  readonly ended: Promise<string>;
  readonly target: string;
  readonly #loop: DeviceLoop;
  readonly #log: (level: Level, text: string) => void;

  /**
   * Mounts and waits until the kernel has said hello. A stale mount on the target is taken away first. EACCES: not allowed;
   * ENOSYS: no FUSE here; EBUSY: a living mount or other files are there; ENOTDIR, ENOENT: the target; EIO: the rest.
   */
  static async mount(options: MountOptions): Promise<Outcome<FuseMount>> {
    const prepared = await prepareMountPoint(options.target, options.log);
    if (!prepared.ok) return prepared;
    const target = prepared.value;
    const device = options.device ?? "/dev/fuse";
    const opened = openFuse(device);
    if (!opened.ok) return refuse(...deviceProblem(device, opened.errno));
    const errno = mount({
      source: "/dev/fuse",
      target,
      type: "fuse",
      flags: mountFlags.NOSUID | mountFlags.NODEV,
      options: `fd=${opened.fd},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other`,
    });
    if (errno !== 0) {
      closeFd(opened.fd);
      return refuse(...mountProblem(target, errno));
    }
    const { files, gid, log, receipts } = options;
    const loop = new DeviceLoop({ fd: opened.fd, files, gid, log, receipts });
    const mounted = new FuseMount(target, loop, log);
    const refusal = await mounted.#initialised();
    if (refusal === "") return { ok: true, value: mounted };
    await mounted.unmount();
    return refuse("EIO", `${target} could not be mounted: ${refusal}`);
  }

  private constructor(target: string, loop: DeviceLoop, log: MountOptions["log"]) {
    this.target = target;
    this.#loop = loop;
    this.#log = log;
    this.ended = loop.ended;
  }

  async #initialised(): Promise<string> {
    const late = Promise.withResolvers<string>();
    const timer = setTimeout(() => late.resolve("the kernel sent no INIT request"), INIT_MS);
    const refusal = await Promise.race([this.#loop.initialised, this.#loop.ended, late.promise]);
    clearTimeout(timer);
    return refusal;
  }

  /** Nodes, handles and waiting requests of the kernel. */
  snapshot(): ReturnType<DeviceLoop["snapshot"]> {
    return this.#loop.snapshot();
  }

  /** Tells the kernel that objects changed, of `paths` or (undefined) all. `isOwn`: by this node, perhaps through this mount. */
  changed(paths: readonly string[] | undefined, isOwn: boolean): void {
    this.#loop.changed(paths, isOwn);
  }

  /**
   * Takes the mount away. Changes under way get a second to end. Where programs still have files open, the name goes at once
   * and they get errors. Harmless when the mount has ended already.
   */
  async unmount(): Promise<void> {
    await this.#loop.quiet(QUIET_MS);
    let errno = umount2(this.target, 0);
    if (errno === errnos.EBUSY) {
      this.#log(
        "notice",
        `${this.target} is in use: programs with open files there get errors now`,
      );
      errno = umount2(this.target, unmountFlags.DETACH);
    }
    // EINVAL: it is no mount (any more).
    if (errno !== 0 && errno !== errnos.EINVAL) {
      this.#log(
        "error",
        `${this.target} could not be unmounted (${errnoName(errno)}): run umount -l`,
      );
    }
    this.#loop.stop("the file system was unmounted");
    await this.ended;
  }
}

function refuse(errno: Errno, reason: string): { ok: false; errno: Errno; reason: string } {
  return { ok: false, errno, reason };
}

/** /proc names mounts by real paths; the last component itself may be a stale mount, so it is not looked at. */
async function absolute(target: string): Promise<string> {
  const path = resolve(target);
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch {
    return path; // The directory above is missing: mkdir makes it or says why not.
  }
}

/**
 * Makes the directory, or says why nothing could be mounted there: before anything that a failed start would disturb. Answers its
 * path without links.
 */
export async function prepareMountPoint(
  directory: string,
  log: MountOptions["log"],
): Promise<Outcome<string>> {
  const target = await absolute(directory);
  const repaired = await repair(target, log);
  if (!repaired.ok) return repaired;
  try {
    await mkdir(target, { recursive: true, mode: 0o755 });
    if (!(await stat(target)).isDirectory()) {
      return refuse("ENOTDIR", `${target} is not a directory, so nothing can be mounted on it`);
    }
    const names = await readdir(target);
    if (names.length === 0) return { ok: true, value: target };
    return refuse(
      "EBUSY",
      `${target} is not empty (${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""}): ` +
        "a mount would hide these files; move them away and start again",
    );
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST" || code === "ENOTDIR") {
      return refuse("ENOTDIR", `${target} is not a directory, so nothing can be mounted on it`);
    }
    if (code === "EACCES" || code === "EPERM") {
      return refuse("EACCES", `${target} may not be made or read: start as root, ${otherwise}`);
    }
    return refuse(
      "ENOENT",
      `${target} cannot be used as mount point (${code}): make the directory`,
    );
  }
}

/** Takes away mounts whose process is gone ("Transport endpoint is not connected"); a living one is left alone. */
async function repair(target: string, log: MountOptions["log"]): Promise<Outcome<undefined>> {
  for (let round = 0; round < STALE_MOUNTS_MAX; round += 1) {
    const found = mountedOn(await mountTable(), target);
    if (found === undefined || !/^fuse(\.|$)/.test(found.type))
      return { ok: true, value: undefined };
    const state = await probe(target);
    if (state !== "stale") {
      const what = `${target} is already a mount of type ${found.type} (${found.source})`;
      return state === "alive"
        ? refuse("EBUSY", `${what}, and its program answers: stop that (pmxcfs, quorate) first`)
        : refuse("EBUSY", `${what}, and its program does not answer: end that first`);
    }
    const errno = umount2(target, unmountFlags.DETACH);
    if (errno !== 0 && errno !== errnos.EINVAL) {
      return errno === errnos.EPERM
        ? refuse(
            "EACCES",
            `a stale mount on ${target} can be removed by root only: umount -l ${target}`,
          )
        : refuse("EIO", `a stale mount on ${target} cannot be removed (${errnoName(errno)})`);
    }
    log("notice", `a stale mount on ${target} (its program had been killed) was removed`);
  }
  return refuse(
    "EBUSY",
    `${target} has more than ${STALE_MOUNTS_MAX} stale mounts: umount -l them`,
  );
}

async function mountTable(): Promise<string> {
  try {
    return await readFile("/proc/self/mountinfo", "utf8");
  } catch {
    return ""; // No /proc: mount(2) itself will speak.
  }
}

/** statfs always reaches the program, while stat may be answered from what the kernel remembers of it for a second. */
async function probe(target: string): Promise<"stale" | "alive" | "silent"> {
  const late = Promise.withResolvers<"silent">();
  const timer = setTimeout(() => late.resolve("silent"), PROBE_MS);
  const answer = statfs(target).then(
    () => "alive" as const,
    (error: unknown) =>
      codeOf(error) === "ENOTCONN" || codeOf(error) === "ECONNABORTED"
        ? ("stale" as const)
        : ("alive" as const),
  );
  const state = await Promise.race([answer, late.promise]);
  clearTimeout(timer);
  return state;
}

function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string")
    return error.code;
  return String(error);
}

const otherwise = "or start without a mount (--no-mount)";

function deviceProblem(device: string, errno: number): [Errno, string] {
  switch (errno) {
    case errnos.EACCES:
    case errnos.EPERM:
      return ["EACCES", `${device} may not be opened: start as root, ${otherwise}`];
    case errnos.ENOENT:
    case errnos.ENODEV:
    case errnos.ENXIO:
      return [
        "ENOSYS",
        `there is no ${device} here: load it (modprobe fuse) or give it to the container, ${otherwise}`,
      ];
    default:
      return ["EIO", `${device} cannot be opened: ${errnoName(errno)}`];
  }
}

function mountProblem(target: string, errno: number): [Errno, string] {
  switch (errno) {
    case errnos.EACCES:
    case errnos.EPERM:
      return [
        "EACCES",
        `mounting on ${target} is not permitted: start as root with CAP_SYS_ADMIN, ${otherwise}`,
      ];
    case errnos.ENODEV:
      return [
        "ENOSYS",
        `this kernel has no FUSE file system: load it (modprobe fuse), ${otherwise}`,
      ];
    case errnos.EBUSY:
      return ["EBUSY", `${target} is busy: see what uses it with fuser -vm ${target}`];
    default:
      return ["EIO", `mounting on ${target} failed: ${errnoName(errno)}`];
  }
}
