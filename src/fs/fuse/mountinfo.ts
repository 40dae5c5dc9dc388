// Reads /proc/self/mountinfo text: what is mounted on a directory (proc(5)). Pure.

export interface MountedOn {
  readonly type: string;
  readonly source: string;
}

/** The uppermost mount on exactly `target` (an absolute path without links), or undefined. */
export function mountedOn(mountinfo: string, target: string): MountedOn | undefined {
  let top: MountedOn | undefined;
  for (const line of mountinfo.split("\n")) {
    const [left, right] = line.split(" - ", 2);
    const point = left?.split(" ")[4];
    const [type, source] = right?.split(" ") ?? [];
    if (point === undefined || type === undefined || source === undefined) continue;
    if (unescape(point) === target) top = { type, source: unescape(source) };
  }
  return top;
}

/** Space, tab, newline and backslash stand there as \040 and so on. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
