// Which public keys an executable trusts: the up to two of build/keys/*.pub, and in a development release also the key that
// signs it. The private key of a release comes from the environment and is never written anywhere.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readPublicKey } from "../src/shell/release/minisign.ts";
import { newSeed, readSigner, type Signer } from "./signer.ts";

/** Two, so that one can be retired: a release signed by the new one reaches those who know both. */
const keysMax = 2;
const keyDirectory = join(import.meta.dir, "keys");
const developmentKey = join(
  import.meta.dir,
  "..",
  "node_modules",
  ".cache",
  "quorate",
  "development.key",
);

/** Base64 of the public keys in `directory`, in the order of their names. Throws a sentence about a bad one. */
export function publishedKeys(directory: string = keyDirectory): readonly string[] {
  const files = readdirSync(directory).filter((name) => name.endsWith(".pub"));
  if (files.length > keysMax)
    throw new Error(`build/keys holds ${files.length} keys; an executable has at most ${keysMax}`);
  return files.toSorted().map((name) => {
    const text = readFileSync(join(directory, name), "utf8");
    const key = readPublicKey(text);
    if (!key.ok) throw new Error(`build/keys/${name}: ${key.reason}`);
    return text.trimEnd().split("\n").at(-1) ?? "";
  });
}

export interface Signing {
  readonly signer: Signer;
  /** To compile in. */
  readonly keys: readonly string[];
  readonly isDevelopment: boolean;
}

export interface SigningOptions {
  /** Of the environment. */
  readonly releaseKey: string | undefined;
  /** Asked for with --development: the given key need not be one of build/keys. */
  readonly isDevelopment: boolean;
  readonly published: readonly string[];
  /** As `commitId` gives it. */
  readonly commit: string;
  /** Where the key made on the spot is kept, so that this checkout's next development release follows on this one. */
  readonly developmentKey?: string;
}

/** Who signs, and what the executables trust. Throws a sentence when the given key may not sign one of this commit. */
export function signingOf(options: SigningOptions): Signing {
  const { releaseKey, published } = options;
  if (releaseKey === undefined || releaseKey.trim() === "") {
    const signer = readSigner(keptSeed(options.developmentKey ?? developmentKey));
    return { signer, keys: [signer.publicKey, ...published], isDevelopment: true };
  }
  const signer = readSigner(releaseKey);
  if (options.isDevelopment) {
    const others = published.filter((key) => key !== signer.publicKey);
    return { signer, keys: [signer.publicKey, ...others], isDevelopment: true };
  }
  if (!published.includes(signer.publicKey)) {
    throw new Error(
      `the release key's public half, ${signer.publicKey}, is not in build/keys: no quorate would trust this release. ` +
        "Add it there, or sign a development release with --development",
    );
  }
  if (!/^[0-9a-f]+$/.test(options.commit)) {
    throw new Error(
      `a release is of one commit, and this is ${options.commit}: commit or remove what has changed, or use --development`,
    );
  }
  return { signer, keys: published, isDevelopment: false };
}

function keptSeed(file: string): string {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${newSeed()}\n`, { mode: 0o600 });
  }
  return readFileSync(file, "utf8");
}
