// Is this release what the holder of a release key published? Signature first, then the manifest's own form; nothing in
// the manifest is looked at before its signature holds. engineering.md §14 U1.
import { type Result, failure } from "../../result.ts";
import { type Manifest, manifestBytesMax, readManifest } from "./manifest.ts";
import { checkSignature, type PublicKey, readPublicKey, readSignature } from "./minisign.ts";

/**
 * The manifest when one of `keys` (minisign public keys, base64) signed exactly these bytes; else one sentence for a
 * person. `signature` is the content of manifest.json.minisig.
 */
export function verifyRelease(
  manifest: Uint8Array,
  signature: Uint8Array,
  keys: readonly string[],
): Result<Manifest> {
  if (keys.length === 0)
    return failure("this quorate was built without a release key, so it can trust no release");
  const trusted: PublicKey[] = [];
  for (const text of keys) {
    const key = readPublicKey(text);
    if (!key.ok) return failure(`a release key cannot be used: ${key.reason}`);
    trusted.push(key.value);
  }
  // Before anything is hashed: its length is the sender's choice.
  if (manifest.length > manifestBytesMax) return readManifest(manifest);
  const read = readSignature(signature);
  if (!read.ok) return read;
  const checked = checkSignature(manifest, read.value, trusted);
  return checked.ok ? readManifest(manifest) : checked;
}
