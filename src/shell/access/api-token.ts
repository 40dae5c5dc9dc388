// API tokens: "root@pam!backup=UUID" in a header instead of a login (pvecm.md §4.3). Guesses are slowed as logins are, but apart from them: who has a
// stale token in a script must still be able to log in.
import { createHash, timingSafeEqual } from "node:crypto";
import { printable } from "../cli/text-table.ts";
import { parseTokenId, userIdCharactersMax } from "../users/user-id.ts";
import type { LoginAttempts } from "./attempts.ts";
import { type UserFiles, userObstacle } from "./user-files.ts";

export interface ApiTokenOptions {
  readonly users: UserFiles;
  /** Of tokens alone. */
  readonly attempts: LoginAttempts;
  /** Unix seconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that only goes forward. */
  readonly clock: () => number;
  readonly warn: (text: string) => void;
}

export class ApiTokens {
  readonly #options: ApiTokenOptions;

  constructor(options: ApiTokenOptions) {
    this.#options = options;
  }

  /** The token's id ("root@pam!backup"); undefined: refused, which is in the log, without the secret. */
  idOf(text: string, address: string): string | undefined {
    const { attempts, clock, warn } = this.#options;
    const at = text.lastIndexOf("=");
    const id = text.slice(0, Math.max(0, at));
    const user = parseTokenId(id)?.user ?? "";
    if (attempts.waitMs(address, user, clock()) > 0) return undefined;
    const attempt = attempts.begin(address, user, clock());
    const obstacle = this.#obstacle(id, text.slice(at + 1));
    if (obstacle === "") {
      attempt.succeeded();
      return id;
    }
    const shown = printable(id.slice(0, 2 * userIdCharactersMax));
    warn(`authentication failure; rhost=${address || "local"} token=${shown} msg=${obstacle}`);
    return undefined;
  }

  /** Why a token is refused; "": it is good. */
  #obstacle(id: string, secret: string): string {
    const { users, now } = this.#options;
    const token = parseTokenId(id);
    if (token === undefined || secret === "") return "that is no token";
    const obstacle = userObstacle(users.config, token.user, now());
    if (obstacle !== "") return obstacle;
    const entry = users.config.users.get(token.user)?.tokens.get(token.name);
    if (entry === undefined) return "no such token";
    if (entry.expire > 0 && entry.expire < now()) return "the token's time is over";
    const expected = users.tokenSecrets.get(id);
    return expected !== undefined && isSame(expected, secret) ? "" : "a wrong secret";
  }
}

/** In a time that tells nothing of either, their lengths included. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
