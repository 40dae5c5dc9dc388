// What of Proxmox's API we speak: clients decide by it which calls there are (pvecm.md §4.2).
import * as v from "valibot";

const apiRelease = { version: "9.1.0", release: "9.1" } as const;

export const versionSchema = v.object({
  version: v.string(),
  release: v.string(),
  /** Hex. */
  repoid: v.pipe(v.string(), v.regex(/^[0-9a-fA-F]{8,64}$/)),
  /** Of this program; the original has no such field. */
  quorate: v.string(),
});

/** `commit`: hex or a word. */
export function apiVersion(of: {
  readonly version: string;
  readonly commit: string;
}): v.InferOutput<typeof versionSchema> {
  return {
    ...apiRelease,
    repoid: /^[0-9a-f]{7,64}/.exec(of.commit)?.[0].padEnd(8, "0") ?? "00000000",
    quorate: of.version,
  };
}
