// A task's name: who started what, where and when. Pure. Spec: pvecm.md §4.6.

/** A name in the file system has at most 255 bytes. */
export const upidBytesMax = 255;

export interface Upid {
  /** The node's name. */
  readonly node: string;
  /** The process that runs the task, and when that was started, in clock ticks since boot. */
  readonly pid: number;
  readonly pstart: number;
  /** Unix seconds. */
  readonly startTime: number;
  /** "clustercreate", "clusterjoin", … */
  readonly type: string;
  /** What it is about; may be empty. */
  readonly id: string;
  /** "root@pam". */
  readonly user: string;
}

// Stricter than the original in one thing: nothing outside visible ASCII, for the name becomes a file's.
const pattern =
  /^UPID:([A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?):([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):([0-9A-Fa-f]{8}):([!-.0-9;-~]{1,80}):([!-.0-9;-~]{0,160}):([!-.0-9;-~]{1,80}):$/;

/** Undefined: the text is no UPID. */
export function parseUpid(text: string): Upid | undefined {
  if (text.length > upidBytesMax) return undefined;
  const [, node, pid, pstart, startTime, type, id, user] = pattern.exec(text) ?? [];
  if (node === undefined || pid === undefined || pstart === undefined) return undefined;
  if (startTime === undefined || type === undefined) return undefined;
  if (id === undefined || user === undefined) return undefined;
  return {
    node,
    pid: Number.parseInt(pid, 16),
    pstart: Number.parseInt(pstart, 16),
    startTime: Number.parseInt(startTime, 16),
    type,
    id,
    user,
  };
}

/** Undefined: a part has a character or a length that no UPID may have. */
export function formatUpid(upid: Upid): string | undefined {
  const { node, pid, pstart, startTime, type, id, user } = upid;
  const text = `UPID:${node}:${hex(pid)}:${hex(pstart)}:${hex(startTime)}:${type}:${id}:${user}:`;
  return parseUpid(text) === undefined ? undefined : text;
}

/** Where its log lies below the directory of tasks. */
export function logPathOf(upid: string, { startTime }: Upid): string {
  return `${hex(startTime).slice(-1)}/${upid}`;
}

/** Upper case, eight digits at least. */
export function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, "0");
}
