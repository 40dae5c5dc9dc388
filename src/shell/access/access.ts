// Logins and what proves them afterwards: passwords, second factors, tickets, CSRF tokens. Spec: pvecm.md §4.3. This issue knows one user,
// root@pam; others come with the users of the tree. Nothing secret reaches a log, and a refusal tells a stranger nothing.
import type { Files } from "../../fs/tree/files.ts";
import { reasonOf } from "../../result.ts";
import { replaceFile, withTreeLock } from "../api/tree-file.ts";
import { printable } from "../cli/text-table.ts";
import type { LoginAttempts } from "./attempts.ts";
import { credentialsOf } from "./credentials.ts";
import { csrfToken, isCsrfToken } from "./csrf.ts";
import type { PasswordVerdict } from "./passwords.ts";
import { type Capabilities, rootCapabilities } from "./privileges.ts";
import {
  type Challenge,
  challengeOf,
  checkSecondFactor,
  type FactorVerdict,
  totpFailuresMax,
} from "./second-factor.ts";
import type { TicketKeys } from "./ticket-keys.ts";
import { halfTicketData, isHalf, parseTicket } from "./ticket.ts";
import { parseUserId, rootUser, userIdCharactersMax } from "./user-id.ts";

const factorsPath = "priv/tfa.cfg";
const factorsLock = "file-priv_tfa_cfg";
/** From the arrival of a login until its refusal. */
const refusalMs = 3000;
/** Refusals that wait; more are answered at once. */
const refusalsMax = 128;

export interface LoginRequest {
  /** With its realm: "root@pam". */
  readonly user: string;
  /** A password, a ticket, or "totp:123456" with `challenge`. */
  readonly password: string;
  /** The half ticket of the first step. */
  readonly challenge?: string;
  /** Where it comes from; "" for this machine. */
  readonly address: string;
}

export type LoginAnswer =
  | {
      readonly kind: "granted";
      readonly user: string;
      readonly ticket: string;
      readonly csrfToken: string;
      readonly capabilities: Capabilities;
    }
  /** The second step is missing. */
  | {
      readonly kind: "half";
      readonly user: string;
      readonly ticket: string;
      readonly csrfToken: string;
    }
  | { readonly kind: "refused" }
  /** Too many failures: not looked at. */
  | { readonly kind: "tooMany"; readonly waitMs: number }
  /** `reason`: a sentence without secrets. */
  | { readonly kind: "fault"; readonly reason: string };

export type Known =
  | { readonly ok: true; readonly user: string }
  /** The words of the 401. */
  | { readonly ok: false; readonly reason: string };

export interface AccessOptions {
  readonly files: Files;
  readonly isQuorate: () => boolean;
  readonly keys: TicketKeys;
  readonly attempts: LoginAttempts;
  readonly passwords: {
    readonly check: (name: string, password: string) => Promise<PasswordVerdict>;
  };
  /** Unix seconds. */
  readonly now: () => number;
  /** Milliseconds of a clock that only goes forward. */
  readonly clock: () => number;
  readonly pause: (pauseMs: number) => Promise<unknown>;
  /** For the daemon's log: one line for each failed attempt. */
  readonly warn: (text: string) => void;
  /** For the cluster log: who did what. */
  readonly clusterLog: (user: string, message: string) => void;
}

/** What one step of a login came to. */
type Step =
  | { readonly kind: "granted" }
  | { readonly kind: "half"; readonly challenge: Challenge }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "busy" }
  | { readonly kind: "fault"; readonly reason: string };

export class Access {
  readonly #options: AccessOptions;
  /** Wrong time-based codes since the last right one. */
  readonly #wrongCodes = new Map<string, number>();
  /** The last time-based code of a user that was taken here, while the file could not be written. */
  readonly #lastSteps = new Map<string, number>();
  #refusals = 0;
  #unheard = 0;
  #unheardAt = Number.NEGATIVE_INFINITY;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Never rejects. A refusal takes three seconds from the request on, whatever its cause. */
  async login(request: LoginRequest): Promise<LoginAnswer> {
    const { attempts, clock, clusterLog } = this.#options;
    const begunAt = clock();
    const { user, address } = request;
    const waitMs = attempts.waitMs(address, user, begunAt);
    if (waitMs > 0) {
      this.#countUnheard(address);
      return { kind: "tooMany", waitMs };
    }
    // Counted before anything is checked: many at once would all be looked at else.
    const attempt = attempts.begin(address, user, begunAt);
    let step: Step;
    try {
      step = await this.#step(request);
    } catch (error) {
      step = { kind: "fault", reason: reasonOf(error) };
    }
    if (step.kind === "busy" || step.kind === "fault" || step.kind === "half") attempt.takeBack();
    if (step.kind === "busy") return { kind: "tooMany", waitMs: refusalMs };
    if (step.kind === "fault") this.#options.warn(`login of ${shown(user)}: ${step.reason}`);
    if (step.kind === "fault" || step.kind === "refused") {
      if (step.kind === "refused") {
        this.#options.warn(
          `authentication failure; rhost=${address || "local"} user=${shown(user)} msg=${step.reason}`,
        );
      }
      await this.#holdBack(begunAt);
      return step.kind === "fault" ? step : { kind: "refused" };
    }
    if (step.kind === "granted") {
      attempt.succeeded();
      clusterLog(rootUser, `successful auth for user '${user}'`);
    }
    return this.#answer(user, step);
  }

  /** Headers by which another node of the cluster believes that `user` calls: a ticket of this moment. Throws when there is no key for it. */
  async proofOf(user: string): Promise<Record<string, string>> {
    const answer = await this.#answer(user, { kind: "granted" });
    if (answer.kind !== "granted") {
      throw new Error(answer.kind === "fault" ? answer.reason : "no ticket can be made now");
    }
    const { ticket, csrfToken: token } = answer;
    return { cookie: `PVEAuthCookie=${encodeURIComponent(ticket)}`, csrfpreventiontoken: token };
  }

  /** Who sends a request: by its ticket, and for a change by its CSRF token as well. Never rejects. */
  async authenticate(request: {
    readonly method: string;
    readonly headers: { readonly get: (name: string) => string | null };
  }): Promise<Known> {
    const credentials = credentialsOf(request.headers);
    if (credentials.kind === "none") return { ok: false, reason: "No ticket" };
    // Tokens come with the users of the tree; until then there is none that could be right.
    if (credentials.kind !== "ticket") return { ok: false, reason: "Authentication failed!" };
    const user = this.#userOfTicket(credentials.ticket);
    if (user === undefined) return { ok: false, reason: "Authentication failed!" };
    if (request.method === "GET") return { ok: true, user };
    const secret = await this.#options.keys.csrfSecret();
    const token = request.headers.get("csrfpreventiontoken") ?? "";
    if (secret.ok && isCsrfToken(secret.value, user, token, this.#options.now())) {
      return { ok: true, user };
    }
    return { ok: false, reason: "Permission denied - invalid csrf token" };
  }

  async #step(request: LoginRequest): Promise<Step> {
    const { user, password, challenge } = request;
    const id = parseUserId(user);
    if (id === undefined) return { kind: "refused", reason: "that is no user's name" };
    if (challenge !== undefined) return this.#secondStep(request, challenge);
    const holder = this.#userOfTicket(password);
    // The superuser's ticket makes tickets for others, too; there are none yet.
    if (holder !== undefined && holder === user) return { kind: "granted" };
    if (user !== rootUser) return { kind: "refused", reason: "no such user" };
    const verdict = await this.#options.passwords.check(id.name, password);
    if (verdict.kind === "busy" || verdict.kind === "fault") return verdict;
    if (verdict.kind === "wrong") return { kind: "refused", reason: verdict.reason };
    const wanted = challengeOf({ text: this.#factorsText(), user });
    if (!wanted.ok) {
      return { kind: "fault", reason: `${wanted.reason}: nobody is let in without second factor` };
    }
    return wanted.value === undefined
      ? { kind: "granted" }
      : { kind: "half", challenge: wanted.value };
  }

  async #secondStep({ user, password }: LoginRequest, challenge: string): Promise<Step> {
    const { files, keys } = this.#options;
    const ticket = parseTicket(challenge);
    if (ticket === undefined || !isHalf(ticket) || !keys.isValid(ticket, user)) {
      return { kind: "refused", reason: "the first step of the login is not there or too old" };
    }
    if (!this.#options.isQuorate()) return this.#withoutQuorum(user, password);
    const checked = await withTreeLock(files, factorsLock, async (held): Promise<Step> => {
      const verdict = this.#checkFactor(user, password);
      // A code counts only once no node can take it again.
      if (verdict.text !== undefined) {
        const text = new TextEncoder().encode(verdict.text);
        const written = await replaceFile(held, factorsPath, text);
        if (!written.ok) return { kind: "fault", reason: `${factorsPath}: ${written.reason}` };
      }
      return verdict.ok ? { kind: "granted" } : { kind: "refused", reason: verdict.reason };
    });
    return checked.ok ? checked.value : { kind: "fault", reason: checked.reason };
  }

  /**
   * Nothing can be written then, so that only this node remembers which code was used and how many were wrong; recovery codes wait for
   * quorum.
   */
  #withoutQuorum(user: string, password: string): Step {
    if ((this.#wrongCodes.get(user) ?? 0) >= totpFailuresMax) {
      const reason =
        "time-based codes are locked after too many wrong ones, until the node is quorate";
      return { kind: "refused", reason };
    }
    const verdict = this.#checkFactor(user, password);
    if (!verdict.ok) return { kind: "refused", reason: verdict.reason };
    const { step } = verdict;
    if (step === undefined) {
      return { kind: "refused", reason: "recovery codes are taken only while the node is quorate" };
    }
    if (step <= (this.#lastSteps.get(user) ?? -1)) {
      return { kind: "refused", reason: "a time-based code was used again" };
    }
    this.#lastSteps.set(user, step);
    return { kind: "granted" };
  }

  #checkFactor(user: string, password: string): FactorVerdict {
    const earlierFailures = this.#wrongCodes.get(user) ?? 0;
    const file = { text: this.#factorsText(), user };
    const now = this.#options.now();
    const verdict = checkSecondFactor(file, password, { now, earlierFailures });
    if (verdict.ok) this.#wrongCodes.delete(user);
    else if (password.startsWith("totp:")) this.#wrongCodes.set(user, earlierFailures + 1);
    return verdict;
  }

  async #answer(
    user: string,
    step: Extract<Step, { readonly kind: "granted" | "half" }>,
  ): Promise<LoginAnswer> {
    const { keys, now } = this.#options;
    const secret = await keys.csrfSecret();
    const ticket =
      step.kind === "granted"
        ? await keys.sign(user)
        : await keys.sign(halfTicketData(step.challenge), user);
    if (!ticket.ok) return { kind: "fault", reason: ticket.reason };
    if (!secret.ok) return { kind: "fault", reason: secret.reason };
    const both = { user, ticket: ticket.value, csrfToken: csrfToken(secret.value, user, now()) };
    return step.kind === "granted"
      ? { kind: "granted", ...both, capabilities: rootCapabilities() }
      : { kind: "half", ...both };
  }

  /** Undefined: it is no ticket, not a whole one, or not valid. */
  #userOfTicket(text: string): string | undefined {
    const ticket = parseTicket(text);
    if (ticket === undefined || isHalf(ticket)) return undefined;
    if (parseUserId(ticket.data) === undefined) return undefined;
    return this.#options.keys.isValid(ticket) ? ticket.data : undefined;
  }

  #factorsText(): string {
    const read = this.#options.files.read(factorsPath);
    if (read.ok) return new TextDecoder().decode(read.value);
    if (read.errno === "ENOENT") return "";
    throw new Error(`${factorsPath}: ${read.reason}`);
  }

  async #holdBack(begunAt: number): Promise<void> {
    if (this.#refusals >= refusalsMax) return;
    this.#refusals += 1;
    try {
      await this.#options.pause(Math.max(0, begunAt + refusalMs - this.#options.clock()));
    } finally {
      this.#refusals -= 1;
    }
  }

  /** One line for many. */
  #countUnheard(address: string): void {
    this.#unheard += 1;
    const now = this.#options.clock();
    if (now - this.#unheardAt < 60_000) return;
    this.#options.warn(
      `logins are refused unheard after too many failures: ${this.#unheard} since the last such line, now from ${address || "local"}`,
    );
    this.#unheard = 0;
    this.#unheardAt = now;
  }
}

/** A stranger's name of a user. */
function shown(user: string): string {
  return printable(user.slice(0, userIdCharactersMax));
}
