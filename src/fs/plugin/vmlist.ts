// `.vmlist`: every guest of the cluster and the node that owns it. Spec: pmxcfs.md §3.3.
import type { Guest } from "../tree/guests.ts";

/** `version`: the vmlist counter of `.version`. */
export function vmlistText(version: number, guests: ReadonlyMap<number, Guest>): string {
  if (guests.size === 0) return `{\n"version": ${version}\n\n}\n`;
  const lines: string[] = [];
  for (const [vmid, guest] of guests) {
    lines.push(
      `"${vmid}": { "node": "${guest.node}", "type": "${guest.type}", "version": ${guest.version} }`,
    );
  }
  return `{\n"version": ${version},\n"ids": {\n${lines.join(",\n")}}\n\n}\n`;
}
