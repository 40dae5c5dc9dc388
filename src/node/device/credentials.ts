// Where the client's certificate comes from (qnetd.md §1.6, §4.1): PEM or PKCS#12 files named in quorum.device, or the PKCS#12
// file that the original's set-up leaves on a node. No NSS database is read. A host: it reads files.
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { reasonOf } from "../../result.ts";
import { readPkcs12 } from "./pkcs12.ts";

const fileBytesMax = 256 * 1024;
/** The copy of the tree's file that this node keeps (shell/device-files.ts); it goes first. */
const followedFile = "quorate-net.p12";
/** What corosync-qdevice-net-certutil exports next to its database, with an empty password. */
const exportedFile = "nssdb/qdevice-net-node.p12";

/** PEM, for node:tls. */
export interface Credentials {
  readonly ca: readonly string[];
  readonly cert: string;
  readonly key: string;
}

export type CredentialsResult =
  | { readonly ok: true; readonly value: Credentials }
  | { readonly ok: false; readonly reason: string };

const keys = {
  ca: "net.tls_ca_file",
  cert: "net.tls_cert_file",
  key: "net.tls_key_file",
  p12: "net.tls_p12_file",
  password: "net.tls_p12_password",
} as const;

/** Reads credentials when TLS starts; a PKCS#12 file, which takes long to unseal, again only when it has changed. */
export class CredentialStore {
  readonly #directory: string;
  #unsealed: { readonly key: string; readonly value: Credentials } | undefined;

  /** `directory`: the original's directory of net certificates, for the default. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * `options`: everything below quorum.device. Never rejects; a reason says which file is wrong and which keys there are.
   */
  async read(options: Readonly<Record<string, string>>): Promise<CredentialsResult> {
    const named = (key: string): string | undefined => options[key] || undefined;
    const [cert, key, ca] = [named(keys.cert), named(keys.key), named(keys.ca)];
    const p12 = named(keys.p12) ?? this.#found();
    try {
      const authorities = ca === undefined ? [] : [await readText(ca)];
      if (cert !== undefined || key !== undefined) {
        if (cert === undefined || key === undefined || ca === undefined) {
          return refused(`quorum.device.${keys.cert}, ${keys.key} and ${keys.ca} belong together`);
        }
        const [certText, keyText] = [await readText(cert), await readText(key)];
        return { ok: true, value: { ca: authorities, cert: certText, key: keyText } };
      }
      if (p12 !== undefined)
        return await this.#unseal(p12, options[keys.password] ?? "", authorities);
    } catch (error) {
      return refused(reasonOf(error));
    }
    return refused(
      `no certificate for TLS: name a PKCS#12 file in quorum.device.${keys.p12}, or PEM files in ${keys.cert}, ${keys.key} and ${keys.ca}, or put the file exported by corosync-qdevice-net-certutil at ${this.#directory}/${exportedFile}`,
    );
  }

  /** A certificate is named or found, whether it can be used or not. */
  areThere(options: Readonly<Record<string, string>>): boolean {
    const isNamed = [keys.cert, keys.key, keys.p12].some((key) => Boolean(options[key]));
    return isNamed || this.#found() !== undefined;
  }

  /** The first of the usual files. */
  #found(): string | undefined {
    const paths = [followedFile, exportedFile].map((name) => `${this.#directory}/${name}`);
    return paths.find((path) => existsSync(path));
  }

  async #unseal(
    path: string,
    password: string,
    authorities: readonly string[],
  ): Promise<CredentialsResult> {
    const { size, mtimeMs } = await stat(path);
    const key = JSON.stringify([path, size, mtimeMs, password]);
    if (this.#unsealed?.key !== key) {
      const read = await readPkcs12(await readSmall(path), password);
      if (!read.ok) return refused(`${path}: ${read.reason}`);
      this.#unsealed = { key, value: read.value };
    }
    const { value } = this.#unsealed;
    const ca = [...authorities, ...value.ca];
    if (ca.length > 0) return { ok: true, value: { ...value, ca } };
    return refused(`${path} holds no certificate authority: name it in quorum.device.${keys.ca}`);
  }
}

function refused(reason: string): CredentialsResult {
  return { ok: false, reason };
}

async function readText(path: string): Promise<string> {
  return (await readSmall(path)).toString("latin1");
}

async function readSmall(path: string): Promise<Buffer> {
  const { size } = await stat(path);
  if (size > fileBytesMax) throw new Error(`${path} is too large for a certificate`);
  return readFile(path);
}
