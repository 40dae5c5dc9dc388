// Passwords of the realms pam, by /etc/shadow, and pve, by a hash of the tree, with the system's crypt(3) in a Worker that is there only while it is needed. PAM itself is not
// asked: its modules run foreign code in the asking process and hold its thread (pam_unix for two seconds after each wrong password), and
// containers and the roots of tests have none; root's password is in /etc/shadow wherever there is one.
import { readFileSync } from "node:fs";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import type { PasswordAnswer, PasswordQuestion } from "./password-worker.ts";
import { hashEntry, type ShadowEntry, shadowEntry } from "./shadow.ts";

const passwordBytesMax = 512;
/** Waiting ones; each takes up to half a second. */
const waitingMax = 16;
const idleMs = 30_000;
/** A Worker that takes longer is broken. */
const answerMsMax = 20_000;

export type PasswordVerdict =
  | { readonly kind: "right" }
  /** `reason`: for the log. */
  | { readonly kind: "wrong"; readonly reason: string }
  /** Nobody can log in; for the log too. */
  | { readonly kind: "fault"; readonly reason: string }
  /** Too many at once. */
  | { readonly kind: "busy" };

const impossible: PasswordVerdict = { kind: "wrong", reason: "an empty or impossible password" };

function isImpossible(password: string): boolean {
  return (
    password === "" || password.includes("\0") || Buffer.byteLength(password) > passwordBytesMax
  );
}

export class SystemPasswords {
  readonly #shadow: () => string;
  #worker: Worker | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #waiting = 0;
  /** Ends the question that is asked now. */
  #fail: (reason: string) => void = () => undefined;
  /** The end of the last question. */
  #turn: Promise<unknown> = Promise.resolve();

  /** `shadow`: the path of the file of hashes, asked for each time. */
  constructor(shadow: () => string) {
    this.#shadow = shadow;
  }

  /** Of the realm pam. `name`: without realm. Never rejects. */
  async check(name: string, password: string): Promise<PasswordVerdict> {
    if (isImpossible(password)) return impossible;
    let text: string;
    try {
      text = readFileSync(this.#shadow(), "utf8");
    } catch (error) {
      const reason = `passwords cannot be checked: ${reasonOf(error)}. The node must run as root, or use a join token`;
      return { kind: "fault", reason };
    }
    return this.#checked(shadowEntry(text, name, Math.floor(Date.now() / 86_400_000)), password);
  }

  /** Whether it is the password of a hash. Never rejects. */
  async checkHash(hash: string, password: string): Promise<PasswordVerdict> {
    return isImpossible(password) ? impossible : this.#checked(hashEntry(hash), password);
  }

  /** The hash of a new password; a failure says why there is none. Never rejects. */
  async hash(password: string): Promise<Result<string>> {
    if (isImpossible(password)) return failure("that can be no password");
    const answer = await this.#queued({ password, hash: undefined });
    if (answer.kind === "made") return success(answer.hash);
    return failure(
      answer.kind === "busy"
        ? "too many passwords are being looked at: try again"
        : answer.kind === "fault"
          ? answer.reason
          : "no hash was made",
    );
  }

  async #checked(entry: ShadowEntry, password: string): Promise<PasswordVerdict> {
    if (entry.kind === "closed") return { kind: "wrong", reason: `the account ${entry.reason}` };
    const answer = await this.#queued({ password, hash: entry.hash });
    if (answer.kind === "made") return { kind: "fault", reason: "passwords cannot be checked" };
    return answer.kind === "wrong" ? { kind: "wrong", reason: "a wrong password" } : answer;
  }

  /** One after the other. */
  async #queued(question: PasswordQuestion): Promise<PasswordAnswer | { readonly kind: "busy" }> {
    if (this.#waiting >= waitingMax) return { kind: "busy" };
    this.#waiting += 1;
    const turn = this.#turn.then(() => this.#ask(question));
    this.#turn = turn;
    const answer = await turn;
    this.#waiting -= 1;
    return answer;
  }

  /** Whoever waits gets a fault. */
  close(): void {
    this.#fail("the node is ending");
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#idle);
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #ask(question: PasswordQuestion): Promise<PasswordAnswer> {
    clearTimeout(this.#idle);
    const { promise, resolve } = Promise.withResolvers<PasswordAnswer>();
    const fail = (reason: string): void => {
      this.#end();
      resolve({ kind: "fault", reason: `passwords cannot be checked: ${reason}` });
    };
    this.#fail = fail;
    const deadline = setTimeout(() => fail("no answer in 20 s"), answerMsMax);
    try {
      this.#worker ??= new Worker(new URL("./password-worker.ts", import.meta.url).href);
      const worker = this.#worker;
      worker.onerror = (event) => fail(event.message);
      worker.onmessage = (event: MessageEvent<PasswordAnswer>) => resolve(event.data);
      worker.postMessage(question);
    } catch (error) {
      fail(reasonOf(error)); // No thread to be had now; those who wait behind it are asked all the same.
    }
    return promise.finally(() => {
      clearTimeout(deadline);
      this.#fail = () => undefined;
      if (this.#worker === undefined) return;
      this.#idle = setTimeout(() => this.#end(), idleMs);
      this.#idle.unref();
    });
  }
}
