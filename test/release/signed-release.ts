// A small release for tests: programs of some bytes instead of executables, signed by a key made here.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeRelease, type ReleaseOptions } from "../../build/release-files.ts";
import { newSeed, readSigner, type Signer } from "../../build/signer.ts";
import { fileName, targets } from "../../build/targets.ts";

/** An install.sh with nothing but the block that a release fills; what it prints is what was filled in. */
export const scriptTemplate = `#!/bin/sh
# BEGIN PINNED (filled by a release)
version=""
development=""
base=""
keys=""
manifest_sha256=""
pinned=""
# END PINNED
printf '%s\\n' "$version" "$development" "$base" "$keys" "$manifest_sha256" "$pinned"
`;

export interface SmallRelease {
  readonly directory: string;
  readonly signer: Signer;
}

/** Makes `directory`/release out of `directory`/executables. */
export async function makeSmallRelease(
  directory: string,
  options: Partial<ReleaseOptions> = {},
): Promise<SmallRelease> {
  const executables = join(directory, "executables");
  mkdirSync(executables, { recursive: true });
  for (const target of targets)
    writeFileSync(join(executables, fileName(target)), `${target.name}\n`.repeat(5000));
  const signer = options.signer ?? readSigner(newSeed());
  const out = join(directory, "release");
  await makeRelease({
    executables,
    out,
    targets,
    version: "0.1.0",
    commit: "0123456789ab",
    isDevelopment: false,
    keys: [signer.publicKey],
    signer,
    base: "https://example.org/quorate",
    installScript: scriptTemplate,
    isFast: false,
    ...options,
  });
  return { directory: out, signer };
}
