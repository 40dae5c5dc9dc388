// `.rrd`: the last measured values of nodes, guests and storages. Spec: pmxcfs.md §3.4.

/** One line a key. The values are those of the status store (status.ts), which forgets old ones. */
export function rrdText(
  entries: Iterable<{ readonly key: string; readonly value: string }>,
): string {
  let text = "";
  for (const { key, value } of entries) text += `${key}:${value}\n`;
  return text;
}
