// What processes of this machine used, out of /proc: processor time of each thread, bytes that went to disk, resident memory.
import { readdirSync, readFileSync } from "node:fs";

/** Processor microseconds by "process/thread", names as the kernel has them. */
export type ThreadTimes = ReadonlyMap<string, number>;

/** The scheduler's own count, in nanoseconds; a thread that ends between two looks takes what it used with it. */
export function threadTimes(name: string, pid: number): ThreadTimes {
  const times = new Map<string, number>();
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const at = `/proc/${pid}/task/${task}`;
    try {
      const thread = readFileSync(`${at}/comm`, "utf8").trimEnd();
      const ns = Number(readFileSync(`${at}/schedstat`, "utf8").split(" ")[0]);
      const key = `${name}/${task === String(pid) ? "main" : thread}`;
      times.set(key, (times.get(key) ?? 0) + ns / 1000);
    } catch (error) {
      // It ended between the list and the look.
      if (!isGone(error)) throw error;
    }
  }
  return times;
}

function isGone(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return error.code === "ENOENT" || error.code === "ESRCH";
}

/** Several processes as one. */
export function together(all: readonly ThreadTimes[]): ThreadTimes {
  const sum = new Map<string, number>();
  for (const times of all) for (const [key, us] of times) sum.set(key, (sum.get(key) ?? 0) + us);
  return sum;
}

/** What each thread used per operation between two looks, microseconds, most first; below a hundredth of all it is left out. */
export function perOperation(
  before: ThreadTimes,
  after: ThreadTimes,
  operations: number,
): { readonly allUs: number; readonly threads: readonly (readonly [string, number])[] } {
  const used = [...after].map(
    ([key, us]) => [key, Math.max(0, us - (before.get(key) ?? 0)) / operations] as const,
  );
  const allUs = used.reduce((sum, [, us]) => sum + us, 0);
  const threads = used.filter(([, us]) => us > allUs / 100).toSorted((a, b) => b[1] - a[1]);
  return { allUs, threads };
}

/** Bytes that this process has sent to the storage layer since it began. */
export function bytesToDisk(pid: number): number {
  const match = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"));
  return Number(match?.[1] ?? Number.NaN);
}

/** Resident memory, bytes. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? Number.NaN) * 1024;
}
