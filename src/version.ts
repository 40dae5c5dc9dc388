// What this program is: version, commit, target and runtime. The builder puts commit and target in; from source they
// say so. Bytes of a release depend on nothing else.
import { version } from "../package.json" with { type: "json" };

declare const QUORATE_COMMIT: string | undefined;
declare const QUORATE_TARGET: string | undefined;

export interface Identity {
  readonly version: string;
  /** Short commit id, with "-dirty" when the tree had changes; "source" when not built. */
  readonly commit: string;
  /** As in the file's name: linux-x64, linux-arm64-musl …; "source" when not built. */
  readonly target: string;
  readonly bun: string;
}

export const identity: Identity = {
  version,
  commit: typeof QUORATE_COMMIT === "undefined" ? "source" : QUORATE_COMMIT,
  target: typeof QUORATE_TARGET === "undefined" ? "source" : QUORATE_TARGET,
  bun: Bun.version,
};

/** The one line of `--version`; the builder's checks read it. */
export function versionLine(): string {
  return `quorate ${identity.version} (commit ${identity.commit}, target ${identity.target}, Bun ${identity.bun})`;
}
