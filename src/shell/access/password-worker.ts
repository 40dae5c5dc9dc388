// The Worker that compares passwords with their hashes: crypt(3) holds its thread for as long as it counts, and must not hold the node's.
import { timingSafeEqual } from "node:crypto";
import { crypt } from "./libcrypt.ts";

/** What it is asked, one at a time. */
export interface PasswordQuestion {
  readonly password: string;
  readonly hash: string;
}

export type PasswordAnswer =
  | { readonly kind: "right" }
  | { readonly kind: "wrong" }
  /** `reason`: why nobody can log in, with what to do. */
  | { readonly kind: "fault"; readonly reason: string };

declare const self: Worker;

self.onmessage = (event: MessageEvent<PasswordQuestion>): void => {
  self.postMessage(answer(event.data));
};

function answer({ password, hash }: PasswordQuestion): PasswordAnswer {
  const made = crypt(password, hash);
  if (!made.ok) return { kind: "fault", reason: made.reason };
  if (made.value === "") {
    const method = /^\$[A-Za-z0-9]{1,8}\$/.exec(hash)?.[0] ?? "traditional";
    const reason = `the system's libcrypt does not know the method ${method} of the password's hash: set the password again with one that it knows (passwd)`;
    return { kind: "fault", reason };
  }
  const [a, b] = [Buffer.from(made.value), Buffer.from(hash)];
  return { kind: a.length === b.length && timingSafeEqual(a, b) ? "right" : "wrong" };
}
