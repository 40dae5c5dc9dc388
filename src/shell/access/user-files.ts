// The files of the tree that say who there is and who may what, read anew whenever their content changed: a token that is revoked anywhere is
// refused here as soon as the tree has the change. What cannot be read lets nobody in (pvecm.md §4.3).
import { byteString, equalBytes } from "../../bytes.ts";
import type { Files } from "../../fs/tree/files.ts";
import { capabilitiesOf, type Capabilities } from "../users/capabilities.ts";
import { parseDomains, type Realm } from "../users/domains.ts";
import { Rights } from "../users/rights.ts";
import { parseSecrets } from "../users/secret-files.ts";
import { parseUserConfig, type ReadUserConfig } from "../users/user-config.ts";

export const userPaths = {
  config: "user.cfg",
  domains: "domains.cfg",
  tokens: "priv/token.cfg",
  passwords: "priv/shadow.cfg",
  factors: "priv/tfa.cfg",
} as const;

interface Users {
  readonly config: ReadUserConfig;
  readonly rights: Rights;
  /** Names of groups by user. */
  readonly groupsOf: ReadonlyMap<string, readonly string[]>;
}

function groupsByUser({ groups }: ReadUserConfig): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const [name, { users }] of groups) {
    for (const user of users) {
      const names = found.get(user);
      if (names === undefined) found.set(user, [name]);
      else names.push(name);
    }
  }
  return found;
}

/** One file with what was made of it; made again when the file is another. */
class ParsedFile<T> {
  readonly #files: Files;
  readonly #path: string;
  readonly #parse: (text: string) => T;
  #last: { readonly bytes: Uint8Array; readonly value: T } | undefined;

  constructor(files: Files, path: string, parse: (text: string) => T) {
    this.#files = files;
    this.#path = path;
    this.#parse = parse;
  }

  /** Throws when there is something that cannot be read. */
  get value(): T {
    const bytes = bytesAt(this.#files, this.#path);
    const last = this.#last;
    if (last !== undefined && (last.bytes === bytes || equalBytes(last.bytes, bytes))) {
      return last.value;
    }
    const value = this.#parse(byteString(bytes));
    this.#last = { bytes, value };
    return value;
  }
}

const nothing = new Uint8Array(0);

/** Empty where there is no such file; throws when it cannot be read. */
function bytesAt(files: Files, path: string): Uint8Array {
  const read = files.read(path);
  if (read.ok) return read.value;
  if (read.errno === "ENOENT") return nothing;
  throw new Error(`${path}: ${read.reason}`);
}

/** A file as a byte string, "" where there is none; throws when it cannot be read. */
export function byteTextAt(files: Files, path: string): string {
  return byteString(bytesAt(files, path));
}

export class UserFiles {
  readonly #users: ParsedFile<Users>;
  readonly #realms: ParsedFile<ReadonlyMap<string, Realm>>;
  readonly #tokens: ParsedFile<ReadonlyMap<string, string>>;
  readonly #passwords: ParsedFile<ReadonlyMap<string, string>>;

  constructor(files: Files) {
    this.#users = new ParsedFile(files, userPaths.config, (text) => {
      const config = parseUserConfig(text);
      return { config, rights: new Rights(config), groupsOf: groupsByUser(config) };
    });
    this.#realms = new ParsedFile(files, userPaths.domains, parseDomains);
    this.#tokens = new ParsedFile(files, userPaths.tokens, (text) => parseSecrets("tokens", text));
    this.#passwords = new ParsedFile(files, userPaths.passwords, (text) =>
      parseSecrets("passwords", text),
    );
  }

  /** All of these throw when the file is there and cannot be read. */
  get config(): ReadUserConfig {
    return this.#users.value.config;
  }

  get rights(): Rights {
    return this.#users.value.rights;
  }

  /** Of one user. */
  groupsOf(user: string): readonly string[] {
    return this.#users.value.groupsOf.get(user) ?? [];
  }

  /** By name. */
  get realms(): ReadonlyMap<string, Realm> {
    return this.#realms.value;
  }

  /** By whole token id. */
  get tokenSecrets(): ReadonlyMap<string, string> {
    return this.#tokens.value;
  }

  /** Of the realm pve, by name without realm. */
  get passwordHashes(): ReadonlyMap<string, string> {
    return this.#passwords.value;
  }

  capabilities(who: string): Capabilities {
    return capabilitiesOf(this.rights, this.config, who);
  }
}

/** Why a user may not come in whatever it knows, a sentence's end; "": nothing is in its way. `now`: Unix seconds. */
export function userObstacle(config: ReadUserConfig, user: string, now: number): string {
  const entry = config.users.get(user);
  if (entry === undefined) return "no such user";
  if (!entry.isEnabled) return "the user is disabled";
  return entry.expire > 0 && entry.expire < now ? "the user's time is over" : "";
}
