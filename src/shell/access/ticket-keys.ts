// The cluster's keys for logins, in the tree: the RSA pair that signs tickets (priv/authkey.key, authkey.pub, authkey.pub.old), replaced every
// day, and the secret of the CSRF tokens (pve-www.key). Spec: pvecm.md §4.3, pmxcfs.md §6.3.
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import type { Files, Outcome } from "../../fs/tree/files.ts";
import { equalBytes } from "../../bytes.ts";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import { withTreeLock } from "../api/tree-file.ts";
import { csrfSecret } from "./csrf.ts";
import { ageRange, rotationReason } from "./key-rules.ts";
import { isTicketOf, makeTicket, type Ticket } from "./ticket.ts";
import { isWithin } from "./time-text.ts";

const paths = {
  private: "priv/authkey.key",
  public: "authkey.pub",
  old: "authkey.pub.old",
  www: "pve-www.key",
} as const;
const keyBytesMax = 64 * 1024;

export interface TicketKeysOptions {
  readonly files: Files;
  readonly isQuorate: () => boolean;
  /** Unix seconds. */
  readonly now: () => number;
  readonly log: (level: "notice" | "warning", text: string) => void;
}

interface Cached {
  readonly bytes: Uint8Array;
  readonly key: KeyObject | undefined;
}

export class TicketKeys {
  readonly #options: TicketKeysOptions;
  readonly #cache = new Map<string, Cached>();
  #rotation: Promise<Result<undefined>> | undefined;

  constructor(options: TicketKeysOptions) {
    this.#options = options;
  }

  /** A ticket of now, or why none can be made. `secret`: see ticket.ts. */
  async sign(data: string, secret?: string): Promise<Result<string>> {
    if (this.rotationReason() !== "") {
      const rotated = await this.rotate();
      // The pair of yesterday is better than none.
      if (!rotated.ok && this.#key(paths.private) === undefined) return rotated;
    }
    const key = this.#key(paths.private);
    if (key === undefined) {
      return failure(
        `no ticket can be made: /etc/pve/${paths.private} is missing or damaged, and is made anew only while the node is quorate`,
      );
    }
    const at = this.#options.now();
    return success(makeTicket(key, { data, at, ...(secret === undefined ? {} : { secret }) }));
  }

  /** True when one of the cluster's keys has made the ticket, and vouches for its age. */
  isValid(ticket: Ticket, secret?: string): boolean {
    const { isQuorate, now } = this.#options;
    for (const path of [paths.public, paths.old]) {
      const writtenAt = this.#writtenAt(path);
      if (writtenAt === undefined) continue;
      const range = ageRange(now(), { writtenAt, isOld: path === paths.old }, isQuorate());
      if (range === undefined || !isWithin(now() - ticket.at, range)) continue;
      const key = this.#key(path);
      if (key !== undefined && isTicketOf(key, ticket, secret)) return true;
    }
    return false;
  }

  /** Why the pair ought to be replaced now; "": it ought not. */
  rotationReason(): string {
    const { now, isQuorate } = this.#options;
    const times = { current: this.#writtenAt(paths.public), old: this.#writtenAt(paths.old) };
    const reason = rotationReason(now(), times, isQuorate());
    if (reason !== "" || !isQuorate()) return reason;
    return this.#isPair() ? "" : "its two files do not belong together";
  }

  /** A node that ended between writing the two leaves tickets that nobody takes. */
  #isPair(): boolean {
    const [own, shown] = [this.#key(paths.private), this.#key(paths.public)];
    return own !== undefined && shown !== undefined && createPublicKey(own).equals(shown);
  }

  /** Replaces the pair if that is still due once the cluster's lock is held; one at a time. Never rejects. */
  rotate(): Promise<Result<undefined>> {
    this.#rotation ??= this.#rotate()
      .catch((error: unknown) => failure(reasonOf(error)))
      .finally(() => (this.#rotation = undefined));
    return this.#rotation;
  }

  /** The secret of the CSRF tokens; made when there is none. */
  async csrfSecret(): Promise<Result<string>> {
    const read = this.#read(paths.www);
    if (read !== undefined) return success(csrfSecret(read));
    const made = await withTreeLock(this.#options.files, "authkey", async (held) => {
      if (this.#read(paths.www) !== undefined) return success(undefined);
      return this.#put(held, paths.www, (await newPair()).private);
    });
    if (!made.ok) return made;
    if (!made.value.ok) return made.value;
    const now = this.#read(paths.www);
    return now === undefined ? failure(`${paths.www} cannot be read`) : success(csrfSecret(now));
  }

  async #rotate(): Promise<Result<undefined>> {
    const { files, log } = this.#options;
    const locked = await withTreeLock(files, "authkey", async (held) => {
      const reason = this.rotationReason();
      // Another node has done it meanwhile.
      if (reason === "") return success(undefined);
      const pair = await newPair();
      const old = files.read(paths.public);
      const steps: readonly (readonly [string, Uint8Array])[] = [
        ...(old.ok ? [[paths.old, old.value] as const] : []),
        [paths.private, pair.private],
        [paths.public, pair.public],
      ];
      for (const [path, content] of steps) {
        const put = await this.#put(held, path, content);
        if (!put.ok) return put;
      }
      log("notice", `a new key pair for login tickets: ${reason}`);
      return success(undefined);
    });
    const done = locked.ok ? locked.value : locked;
    if (!done.ok) log("warning", `the key pair for login tickets was not replaced: ${done.reason}`);
    return done;
  }

  async #put(files: Files, path: string, content: Uint8Array): Promise<Result<undefined>> {
    const folder = path.split("/").slice(0, -1).join("/");
    if (folder !== "" && !files.stat(folder).ok) await files.mkdir(folder);
    const put: Outcome<undefined> = await files.replace(path, content);
    return put.ok ? success(undefined) : failure(`${path}: ${put.reason}`);
  }

  /** Unix seconds; undefined: there is no such file. */
  #writtenAt(path: string): number | undefined {
    const stat = this.#options.files.stat(path);
    return stat.ok && stat.value.type === "file" ? stat.value.mtime : undefined;
  }

  #read(path: string): Uint8Array | undefined {
    const read = this.#options.files.read(path);
    if (!read.ok || read.value.length === 0 || read.value.length > keyBytesMax) return undefined;
    return read.value;
  }

  /** Undefined: there is none, or none that can be read. */
  #key(path: string): KeyObject | undefined {
    const bytes = this.#read(path);
    if (bytes === undefined) return undefined;
    const cached = this.#cache.get(path);
    // Times in the tree are whole seconds, too coarse to tell one content from the next.
    if (cached !== undefined && equalBytes(cached.bytes, bytes)) return cached.key;
    const key = keyOf(bytes, path === paths.private);
    this.#cache.set(path, { bytes, key });
    return key;
  }
}

function keyOf(bytes: Uint8Array, isPrivate: boolean): KeyObject | undefined {
  try {
    const key = Buffer.from(bytes);
    const made = isPrivate ? createPrivateKey(key) : createPublicKey(key);
    return made.asymmetricKeyType === "rsa" ? made : undefined;
  } catch {
    return undefined; // The caller says what a missing key means.
  }
}

/** In the originals' forms: PKCS#1 for the private key, SubjectPublicKeyInfo for the public one. */
async function newPair(): Promise<{ readonly private: Uint8Array; readonly public: Uint8Array }> {
  const pair = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 });
  const text = new TextEncoder();
  return {
    private: text.encode(pair.privateKey.export({ format: "pem", type: "pkcs1" })),
    public: text.encode(pair.publicKey.export({ format: "pem", type: "spki" })),
  };
}
