// The only file that opens libc (bun:ffi): glibc first, musl second; x64 and arm64. Spec: engineering.md §10.
// Every wrapper is typed and reads errno at once, before the runtime can change it. libc is opened at the first call, so
// importing this file costs nothing. It never decides policy: what an errno means is said by the caller.
import { dlopen, type FFIFunction, FFIType, ptr, read, type Pointer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { present } from "./assert.ts";
import { reasonOf } from "./result.ts";

/** Linux numbers, the same on x64 and arm64. */
export const errnos = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EPIPE: 32,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  ESTALE: 116,
} as const;

const errnoNames = new Map<number, string>(
  Object.entries(errnos).map(([name, number]) => [number, name]),
);

/** "EACCES" for 13; "errno 999" for a number without a name here. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

/** Levels and names of the socket options that this program sets (Linux numbers, x64 and arm64). */
export const socketOptions = {
  SOL_IP: 0,
  SOL_SOCKET: 1,
  SOL_IPV6: 41,
  SO_REUSEADDR: 2,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_PRIORITY: 12,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  IP_TOS: 1,
  IP_MTU_DISCOVER: 10,
  IP_RECVERR: 11,
  IP_FREEBIND: 15,
  IP_PMTUDISC_PROBE: 3,
  IPV6_MTU_DISCOVER: 23,
  IPV6_RECVERR: 25,
  IPV6_V6ONLY: 26,
  IPV6_DONTFRAG: 62,
  IPV6_TCLASS: 67,
} as const;

/** Flags of `mount` and `unmount`. */
export const mountFlags = { NOSUID: 2, NODEV: 4, NOEXEC: 8 } as const;
export const unmountFlags = { FORCE: 1, DETACH: 2 } as const;

/** A new descriptor, or the errno and the name of the call that failed. */
export type Descriptor =
  | { readonly ok: true; readonly fd: number }
  | { readonly ok: false; readonly errno: number; readonly call: string };

const AT_FDCWD = -100;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const O_RDWR = 2;
const O_CREAT = 0x40;
const O_NONBLOCK = 0x800;
const O_CLOEXEC = 0x80000;
const O_NOFOLLOW = process.arch === "arm64" ? 0x8000 : 0x20000;
const O_ASYNC = 0x2000;
const PATH_BYTES_MAX = 4096;
const F_SETFL = 4;
const F_SETOWN = 8;
const LOCK_EX = 2;
const LOCK_NB = 4;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const UNIX_PATH_BYTES_MAX = 107;
const MADV_DONTNEED = 4;
const IOVEC_BYTES = 16;
const IOVECS_MAX = 16;
const SCHED_RR = 2;
/** Threads and programs that are started later are ordinary ones again. */
const SCHED_RESET_ON_FORK = 0x4000_0000;
const PRIO_PROCESS = 0;
const TCSANOW = 0;
/** More than a termios has on any Linux (60). */
const TERMIOS_BYTES = 128;
/** By number: musl's own function refuses to work. */
const SYS_sched_setscheduler = process.arch === "arm64" ? 119 : 144;

const signatures = {
  __errno_location: { args: [], returns: "ptr" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: FFIType.i64_fast },
  inet_pton: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  openat: { args: ["i32", "ptr", "i32", "u32"], returns: "i32" },
  mkdirat: { args: ["i32", "ptr", "u32"], returns: "i32" },
  renameat: { args: ["i32", "ptr", "i32", "ptr"], returns: "i32" },
  unlinkat: { args: ["i32", "ptr", "i32"], returns: "i32" },
  readlinkat: { args: ["i32", "ptr", "ptr", "u64"], returns: FFIType.i64_fast },
  close: { args: ["i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
  write: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
  writev: { args: ["i32", "ptr", "i32"], returns: FFIType.i64_fast },
  mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  umount2: { args: ["ptr", "i32"], returns: "i32" },
  madvise: { args: ["u64", "u64", "i32"], returns: "i32" },
  tcgetattr: { args: ["i32", "ptr"], returns: "i32" },
  tcsetattr: { args: ["i32", "i32", "ptr"], returns: "i32" },
  setpriority: { args: ["i32", "u32", "i32"], returns: "i32" },
  syscall: { args: ["i64", "i64", "i64", "ptr"], returns: FFIType.i64_fast },
} as const;

/** The C library of this process with other functions than those of this file; throws when there is none. */
export function openLibcWith<const Functions extends Record<string, FFIFunction>>(
  functions: Functions,
): ReturnType<typeof dlopen<Functions>>["symbols"] {
  const musl = process.arch === "arm64" ? "libc.musl-aarch64.so.1" : "libc.musl-x86_64.so.1";
  const failures: string[] = [];
  for (const name of ["libc.so.6", musl]) {
    try {
      return dlopen(name, functions).symbols;
    } catch (error) {
      failures.push(`${name}: ${reasonOf(error)}`);
    }
  }
  throw new Error(`no C library could be opened (${failures.join("; ")})`);
}

function openLibc() {
  const symbols = openLibcWith(signatures);
  return { symbols, errnoAt: present(symbols.__errno_location(), "errno has no address") };
}

// errno lives at one address per thread, and a Worker has its own copy of this module: one look-up is enough.
let opened: ReturnType<typeof openLibc> | undefined;
function libc() {
  opened ??= openLibc();
  return opened.symbols;
}

/** Must be the first thing after a failed call. Never 0, so that a failure cannot look like success. */
function lastErrno(): number {
  if (opened === undefined) return errnos.EIO;
  const number = read.i32(opened.errnoAt);
  return number === 0 ? errnos.EIO : number;
}

function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

function failed(call: string, errno: number): Descriptor {
  return { ok: false, errno, call };
}

/** Sets an integer socket option; 0 or the errno. */
export function setSocketOption(fd: number, level: number, name: number, value: number): number {
  const calls = libc();
  const number = new Int32Array([value]);
  return calls.setsockopt(fd, level, name, number, 4) < 0 ? lastErrno() : 0;
}

/** A sockaddr_in or sockaddr_in6 of an address in text ("fe80::1%eth0" too); undefined when it is no such address. */
export function socketAddress(address: string, port: number): Uint8Array | undefined {
  const calls = libc();
  const [host = "", scope] = address.split("%", 2);
  const text = cString(host);
  const four = new Uint8Array(16);
  const view = new DataView(four.buffer);
  if (scope === undefined && calls.inet_pton(AF_INET, text, ptr(four, 4)) === 1) {
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port, false);
    return four;
  }
  const six = new Uint8Array(28);
  if (calls.inet_pton(AF_INET6, text, ptr(six, 8)) !== 1) return undefined;
  const scopeId = scope === undefined ? 0 : interfaceIndex(scope);
  if (scopeId === undefined) return undefined;
  const sixView = new DataView(six.buffer);
  sixView.setUint16(0, AF_INET6, true);
  sixView.setUint16(2, port, false);
  sixView.setUint32(24, scopeId, true);
  return six;
}

/**
 * Opens a UDP socket (IPv4 or IPv6, non-blocking, close-on-exec), sets `options` (each [level, name, value]) in order, then
 * binds it. Hand the descriptor to `Bun.udpSocket({ fd })`. `call` names what failed: "address", "socket", "bind" or
 * "setsockopt(level, name)".
 */
export function bindUdpSocket(request: {
  readonly address: string;
  readonly port: number;
  readonly options: readonly (readonly [level: number, name: number, value: number])[];
}): Descriptor {
  const calls = libc();
  const address = socketAddress(request.address, request.port);
  if (address === undefined) return failed("address", errnos.EINVAL);
  const isSix = address.length === 28;
  const fd = calls.socket(isSix ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("socket", lastErrno());
  // Without this a socket on "::" would also take the IPv4 port of the same number.
  const only: readonly (readonly [number, number, number])[] = isSix
    ? [[socketOptions.SOL_IPV6, socketOptions.IPV6_V6ONLY, 1]]
    : [];
  for (const [level, name, value] of [...only, ...request.options]) {
    const errno = setSocketOption(fd, level, name, value);
    if (errno !== 0) {
      closeFd(fd);
      return failed(`setsockopt(${level}, ${name})`, errno);
    }
  }
  if (calls.bind(fd, address, address.length) < 0) {
    const errno = lastErrno();
    closeFd(fd);
    return failed("bind", errno);
  }
  return { ok: true, fd };
}

/**
 * Opens (creates, 0600) a lock file, never through a symbolic link (ELOOP), and takes its exclusive lock without waiting. EAGAIN of
 * call "flock": somebody holds it. The lock is held until `closeFd` or the end of the process. `directory`: see `openAt`.
 */
export function lockFile(path: string, directory = AT_FDCWD): Descriptor {
  const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const file = openAt(directory, path, flags, 0o600);
  if (!file.ok || libc().flock(file.fd, LOCK_EX | LOCK_NB) === 0) return file;
  const errno = lastErrno();
  closeFd(file.fd);
  return failed("flock", errno);
}

/** Flags of `openAt` (0: O_RDONLY); some differ between the processors. */
export const openFlags = {
  WRONLY: 1,
  CREAT: O_CREAT,
  EXCL: 0x80,
  NONBLOCK: O_NONBLOCK,
  DIRECTORY: process.arch === "arm64" ? 0x4000 : 0x10000,
  NOFOLLOW: O_NOFOLLOW,
  /** Names the thing without opening it: for fstat, and as the directory of further calls. */
  PATH: 0x200000,
} as const;

/** openat(2), close-on-exec; `directory`: a descriptor, or -100 for the working directory. */
export function openAt(directory: number, name: string, flags: number, mode = 0): Descriptor {
  const fd = libc().openat(directory, cString(name), flags | O_CLOEXEC, mode);
  return fd < 0 ? failed("open", lastErrno()) : { ok: true, fd };
}

/** mkdirat(2); 0 or the errno. */
export function makeDirectoryAt(directory: number, name: string, mode: number): number {
  return libc().mkdirat(directory, cString(name), mode) < 0 ? lastErrno() : 0;
}

/** Renames within one directory; 0 or the errno. */
export function renameAt(directory: number, from: string, to: string): number {
  return libc().renameat(directory, cString(from), directory, cString(to)) < 0 ? lastErrno() : 0;
}

/** Removes a name that is no directory's; 0 or the errno. */
export function unlinkAt(directory: number, name: string): number {
  return libc().unlinkat(directory, cString(name), 0) < 0 ? lastErrno() : 0;
}

/** What a symbolic link says that was opened with PATH and NOFOLLOW; or the errno. */
export function linkTarget(link: number): string | number {
  const bytes = new Uint8Array(PATH_BYTES_MAX);
  const length = Number(libc().readlinkat(link, cString(""), bytes, bytes.length));
  return length < 0 ? lastErrno() : new TextDecoder().decode(bytes.subarray(0, length));
}

/** Opens the FUSE device, non-blocking. */
export function openFuse(path = "/dev/fuse"): Descriptor {
  const fd = libc().open(cString(path), O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  return fd < 0 ? failed("open", lastErrno()) : { ok: true, fd };
}

/** 0 or the errno. */
export function closeFd(fd: number): number {
  return libc().close(fd) < 0 ? lastErrno() : 0;
}

/** Makes this process the one that gets SIGIO for a descriptor, once `signalOnInput` is on; 0 or the errno. */
export function ownInputSignal(fd: number): number {
  return libc().fcntl(fd, F_SETOWN, process.pid) < 0 ? lastErrno() : 0;
}

/**
 * Switches SIGIO at the arrival of input for a non-blocking read-write descriptor; 0 or the errno. SIGIO without a listener
 * ends the process: listen before switching it on, and switch it off before the listener goes.
 */
export function signalOnInput(fd: number, isOn: boolean): number {
  const flags = O_RDWR | O_NONBLOCK | (isOn ? O_ASYNC : 0);
  return libc().fcntl(fd, F_SETFL, flags) < 0 ? lastErrno() : 0;
}

/** Reads into `bytes`: the count, or the negative errno (-EAGAIN when a non-blocking file has nothing). */
export function readFd(fd: number, bytes: Uint8Array): number {
  const count = libc().read(fd, bytes, bytes.length);
  return count < 0 ? -lastErrno() : Number(count);
}

/** Writes `bytes` in one call: the count, or the negative errno. */
export function writeFd(fd: number, bytes: Uint8Array): number {
  const count = libc().write(fd, bytes, bytes.length);
  return count < 0 ? -lastErrno() : Number(count);
}

const iovecs = new Uint8Array(IOVEC_BYTES * IOVECS_MAX);
const iovecView = new DataView(iovecs.buffer);

/** Writes up to 16 pieces in one call (FUSE takes a reply only whole): the count, or the negative errno. */
export function writev(fd: number, pieces: readonly Uint8Array[]): number {
  if (pieces.length > IOVECS_MAX) return -errnos.EINVAL;
  let used = 0;
  for (const piece of pieces) {
    if (piece.length === 0) continue;
    const address: Pointer = ptr(piece);
    setU64(used * IOVEC_BYTES, address);
    setU64(used * IOVEC_BYTES + 8, piece.length);
    used += 1;
  }
  if (used === 0) return 0;
  const count = libc().writev(fd, iovecs, used);
  return count < 0 ? -lastErrno() : Number(count);
}

function setU64(at: number, value: number): void {
  iovecView.setUint32(at, value % 0x1_0000_0000, true);
  iovecView.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** mount(2); 0 or the errno. */
export function mount(request: {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly flags: number;
  readonly options: string;
}): number {
  const result = libc().mount(
    cString(request.source),
    cString(request.target),
    cString(request.type),
    request.flags,
    cString(request.options),
  );
  return result < 0 ? lastErrno() : 0;
}

/** umount2(2) with `unmountFlags`; 0 or the errno. */
export function umount2(target: string, flags: number): number {
  return libc().umount2(cString(target), flags) < 0 ? lastErrno() : 0;
}

/**
 * Gives the pages of a mapping back to the kernel, which reads them from their file again at the next use; 0 or the errno. For program
 * code only: what a process has written into a private mapping would be lost.
 */
export function discardCodePages(address: number, bytes: number): number {
  return libc().madvise(address, bytes, MADV_DONTNEED) < 0 ? lastErrno() : 0;
}

/** Sends one datagram to a Unix socket, never waiting; `path` beginning with "@" is in the abstract name space. 0 or the errno. */
export function sendUnixDatagram(path: string, bytes: Uint8Array): number {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length > UNIX_PATH_BYTES_MAX) return errnos.EINVAL;
  const address = new Uint8Array(2 + name.length + 1);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  const isAbstract = path.startsWith("@");
  if (isAbstract) address[2] = 0;
  const calls = libc();
  const fd = calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return lastErrno();
  const sent = calls.sendto(
    fd,
    bytes,
    bytes.length,
    MSG_DONTWAIT | MSG_NOSIGNAL,
    address,
    isAbstract ? 2 + name.length : address.length,
  );
  const errno = sent < 0 ? lastErrno() : 0;
  closeFd(fd);
  return errno;
}

/** The calling thread runs before everything that is not real time, in turns with its equals; 0 or the errno. `priority`: 1 … 99. */
export function setRoundRobinOfThread(priority: number): number {
  const parameters = new Int32Array([priority]);
  const policy = SCHED_RR | SCHED_RESET_ON_FORK;
  return libc().syscall(SYS_sched_setscheduler, 0, policy, parameters) < 0 ? lastErrno() : 0;
}

/** The nice value of the calling thread, -20 … 19; 0 or the errno. */
export function setNiceOfThread(nice: number): number {
  return libc().setpriority(PRIO_PROCESS, 0, nice) < 0 ? lastErrno() : 0;
}

/** The settings of a terminal (a termios, the same on x64 and arm64); or the errno. */
export function terminalSettings(fd: number): Uint8Array | number {
  const settings = new Uint8Array(TERMIOS_BYTES);
  return libc().tcgetattr(fd, settings) < 0 ? lastErrno() : settings;
}

/** At once, and what was typed already is kept; 0 or the errno. */
export function setTerminal(fd: number, settings: Uint8Array): number {
  return libc().tcsetattr(fd, TCSANOW, settings) < 0 ? lastErrno() : 0;
}

function smallFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // Absent or unreadable is an answer here: there is no such group or interface.
  }
}

function numberIn(path: string): number | undefined {
  const text = smallFile(path)?.trim();
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

function isInterfaceName(name: string): boolean {
  return /^[^/\s]{1,15}$/.test(name) && name !== "." && name !== "..";
}

/** The gid of a group of /etc/group (network group databases are not asked), or undefined. */
export function groupId(name: string, groupFile = "/etc/group"): number | undefined {
  for (const line of (smallFile(groupFile) ?? "").split("\n")) {
    const [group, , gid] = line.split(":");
    if (group === name && gid !== undefined && /^\d{1,10}$/.test(gid)) return Number(gid);
  }
  return undefined;
}

/** The MTU in bytes of a network interface, or undefined when there is none of that name. */
export function interfaceMtu(name: string): number | undefined {
  return isInterfaceName(name) ? numberIn(`/sys/class/net/${name}/mtu`) : undefined;
}

/** The index of a network interface, or undefined when there is none of that name. */
export function interfaceIndex(name: string): number | undefined {
  return isInterfaceName(name) ? numberIn(`/sys/class/net/${name}/ifindex`) : undefined;
}
