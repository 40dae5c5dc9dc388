// `corosync.conf` lives in the tree and, as a copy, where corosync reads it: when the copy must follow. Spec: pmxcfs.md §2.8.
// Decides only; the host reads and writes the files. A copy is never deleted and never replaced by an older version.
import { byteString, equalBytes } from "../../bytes.ts";

export type ConfComparison =
  | { readonly kind: "keep" }
  | { readonly kind: "refuse"; readonly reason: string }
  | {
      readonly kind: "write";
      readonly version: number;
      /** There was a local copy of another version: a running ring must be told to reload. */
      readonly replaces: number | undefined;
    };

/** `config_version` of a corosync.conf, the first one anywhere in the file; 0 when there is none. */
export function configVersionOf(conf: Uint8Array): number {
  const version = Number(/config_version\s*:\s*(\d+)/.exec(byteString(conf))?.[1] ?? 0);
  return Number.isSafeInteger(version) ? version : 0;
}

/** `stored`: the file of the tree; `local`: the copy, undefined when it is missing. */
export function compareCorosyncConf(
  stored: Uint8Array,
  local: Uint8Array | undefined,
): ConfComparison {
  const version = configVersionOf(stored);
  if (version === 0) {
    return {
      kind: "refuse",
      reason:
        "unable to parse cluster config_version of corosync.conf in the tree; the local file stays as it is",
    };
  }
  if (local === undefined) return { kind: "write", version, replaces: undefined };
  if (equalBytes(stored, local)) return { kind: "keep" };
  const localVersion = configVersionOf(local);
  if (version < localVersion) {
    return {
      kind: "refuse",
      reason: `local corosync.conf is newer (version ${localVersion}; the tree has ${version}); raise config_version to replace it`,
    };
  }
  return { kind: "write", version, replaces: localVersion };
}
