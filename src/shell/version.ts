// What this program is: version, commit, target and runtime, and whose releases it trusts. The builder puts these in by
// `define`; from source they say so. Bytes of a release depend on nothing else.
import { version } from "../../package.json" with { type: "json" };

declare const QUORATE_VERSION: string | undefined;
declare const QUORATE_COMMIT: string | undefined;
declare const QUORATE_TARGET: string | undefined;
declare const QUORATE_DEVELOPMENT: boolean | undefined;
declare const QUORATE_RELEASE_KEYS: readonly string[] | undefined;

export interface Identity {
  readonly version: string;
  /** Short commit id, with "-dirty" when the tree had changes; "source" when not built. */
  readonly commit: string;
  /** As in the file's name: linux-x64, linux-arm64-musl …; "source" when not built. */
  readonly target: string;
  readonly bun: string;
  /** True for everything but a release that the project's own key signed. */
  readonly isDevelopment: boolean;
  /** Public keys (minisign, base64) whose releases this program takes; none when run from source. */
  readonly releaseKeys: readonly string[];
}

export const identity: Identity = {
  version: typeof QUORATE_VERSION === "undefined" ? version : QUORATE_VERSION,
  commit: typeof QUORATE_COMMIT === "undefined" ? "source" : QUORATE_COMMIT,
  target: typeof QUORATE_TARGET === "undefined" ? "source" : QUORATE_TARGET,
  bun: Bun.version,
  isDevelopment: typeof QUORATE_DEVELOPMENT === "undefined" ? true : QUORATE_DEVELOPMENT,
  releaseKeys: typeof QUORATE_RELEASE_KEYS === "undefined" ? [] : QUORATE_RELEASE_KEYS,
};

export const { releaseKeys } = identity;

/** The one line of `--version`; the builder's checks compare it. */
export function versionLine(of: Omit<Identity, "releaseKeys"> = identity): string {
  const mark = of.isDevelopment ? ", development" : "";
  return `quorate ${of.version} (commit ${of.commit}, target ${of.target}, Bun ${of.bun}${mark})`;
}
