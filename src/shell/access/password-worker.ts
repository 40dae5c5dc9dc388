// The Worker that compares passwords with their hashes and makes new ones: crypt(3) holds its thread for as long as it counts, and must not
// hold the node's.
import { randomBytes, timingSafeEqual } from "node:crypto";
import { crypt } from "./libcrypt.ts";

/** What it is asked, one at a time: whether it is the password of `hash`, or for the hash of a new one. */
export interface PasswordQuestion {
  readonly password: string;
  readonly hash: string | undefined;
}

export type PasswordAnswer =
  | { readonly kind: "right" }
  | { readonly kind: "wrong" }
  | { readonly kind: "made"; readonly hash: string }
  /** `reason`: why nobody can log in, with what to do. */
  | { readonly kind: "fault"; readonly reason: string };

declare const self: Worker;

self.onmessage = (event: MessageEvent<PasswordQuestion>): void => {
  self.postMessage(answer(event.data));
};

/**
 * SHA-256, as Proxmox's own: of all methods that a node of any distribution can check (musl has no yescrypt) the one that its tools write;
 * with ten times its rounds.
 */
function newSetting(): string {
  return `$5$rounds=50000$${randomBytes(12).toString("base64").replaceAll("+", ".")}$`;
}

function answer({ password, hash }: PasswordQuestion): PasswordAnswer {
  const made = crypt(password, hash ?? newSetting());
  if (!made.ok) return { kind: "fault", reason: made.reason };
  if (hash === undefined) {
    if (made.value.startsWith("$5$")) return { kind: "made", hash: made.value };
    return { kind: "fault", reason: "the system's libcrypt makes no hashes of the method $5$" };
  }
  if (made.value === "") {
    const method = /^\$[A-Za-z0-9]{1,8}\$/.exec(hash)?.[0] ?? "traditional";
    const reason = `the system's libcrypt does not know the method ${method} of the password's hash: set the password again with one that it knows (passwd)`;
    return { kind: "fault", reason };
  }
  const [a, b] = [Buffer.from(made.value), Buffer.from(hash)];
  return { kind: a.length === b.length && timingSafeEqual(a, b) ? "right" : "wrong" };
}
