// Words that the values of `-S name=value` share in corosync-qnetd and corosync-qdevice (qnetd.md §5.1).

const umaskMax = 0o777;

/** The words for yes and no, whatever their case, unlike in corosync.conf; undefined: none of them. */
export function onOff(word: string): boolean | undefined {
  const lower = word.toLowerCase();
  if (lower === "on" || lower === "yes" || lower === "1") return true;
  if (lower === "off" || lower === "no" || lower === "0") return false;
  return undefined;
}

/** Of a local socket, octal; empty: undefined, the process's own. */
export function umaskOf(value: string): number | undefined | "invalid" {
  if (value === "") return undefined;
  const umask = /^[0-7]{1,4}$/.test(value) ? Number.parseInt(value, 8) : umaskMax + 1;
  return umask > umaskMax ? "invalid" : umask;
}

/** The group of a local socket; empty or -1: undefined, unchanged. */
export function groupOf(value: string): string | undefined {
  return value === "" || value === "-1" ? undefined : value;
}
