// Logins and what proves them afterwards: passwords, second factors, tickets, CSRF tokens; or an API token. Spec: pvecm.md §4.3. Who there is says
// the tree (user-files.ts). Nothing secret reaches a log, and a refusal tells a stranger nothing.
import type { Files } from "../../fs/tree/files.ts";
import { reasonOf } from "../../result.ts";
import { withTreeLock } from "../api/tree-file.ts";
import { printable } from "../cli/text-table.ts";
import type { LoginAttempts } from "./attempts.ts";
import { credentialsOf } from "./credentials.ts";
import { csrfToken, isCsrfToken } from "./csrf.ts";
import type { ApiTokens } from "./api-token.ts";
import type { PasswordVerdict, SystemPasswords } from "./passwords.ts";
import {
  type Challenge,
  challengeOf,
  checkSecondFactor,
  type FactorVerdict,
  totpFailuresMax,
} from "./second-factor.ts";
import type { TicketKeys } from "./ticket-keys.ts";
import { halfTicketData, isHalf, parseTicket } from "./ticket.ts";
import type { Capabilities } from "../users/capabilities.ts";
import type { Realm } from "../users/domains.ts";
import { parseUserId, rootUser, type UserId, userIdCharactersMax } from "../users/user-id.ts";
import { type UserFiles, userObstacle, userPaths } from "./user-files.ts";

const factorsPath = userPaths.factors;
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
  /** The second step together with the first: "totp:123456". */
  readonly otp?: string;
  /** The login counts only for who has all of these privileges on that path (in its normal form). */
  readonly wanted?: { readonly path: string; readonly privileges: readonly string[] };
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
  /** `who`: a user, or a whole token id. */
  | { readonly ok: true; readonly who: string; readonly isToken: boolean }
  /** The words of the 401. */
  | { readonly ok: false; readonly reason: string };

/** What became of asking somebody for its password again. */
export type Reauthentication =
  | { readonly kind: "right" }
  | { readonly kind: "wrong" }
  /** `waitMs`: until the next attempt is looked at. */
  | { readonly kind: "tooMany"; readonly waitMs: number };

export interface AccessOptions {
  readonly files: Files;
  readonly isQuorate: () => boolean;
  readonly keys: TicketKeys;
  readonly attempts: LoginAttempts;
  readonly users: UserFiles;
  readonly tokens: ApiTokens;
  readonly passwords: Pick<SystemPasswords, "check" | "checkHash">;
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

const unauthenticated: Known = { ok: false, reason: "Authentication failed!" };

/** What one step of a login came to. */
type Step =
  | { readonly kind: "granted" }
  | { readonly kind: "half"; readonly challenge: Challenge }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "busy" }
  | { readonly kind: "fault"; readonly reason: string };

function refused(reason: string): Step {
  return { kind: "refused", reason };
}

export class Access {
  readonly #options: AccessOptions;
  /** Wrong time-based codes since the last right one. */
  readonly #wrongCodes = new Map<string, number>();
  /** The last time-based code of a user that was taken here, while the file could not be written. */
  readonly #lastSteps = new Map<string, number>();
  #refusals = 0;
  #unheard = 0;
  #unheardAt = Number.NEGATIVE_INFINITY;
  #faultAt = Number.NEGATIVE_INFINITY;

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
    const step = await this.#judged(request);
    if (step.kind === "busy" || step.kind === "fault" || step.kind === "half") attempt.takeBack();
    if (step.kind === "busy") return { kind: "tooMany", waitMs: refusalMs };
    if (step.kind === "fault") this.#options.warn(`login of ${shown(user)}: ${step.reason}`);
    if (step.kind === "fault" || step.kind === "refused") {
      if (step.kind === "refused") {
        this.#warnOfFailure(address, user, step.reason);
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

  async #judged(request: LoginRequest): Promise<Step> {
    const { user, wanted } = request;
    try {
      const step = await this.#step(request);
      if (step.kind !== "granted" || wanted === undefined) return step;
      const { rights } = this.#options.users;
      const has = wanted.privileges.every((each) => rights.may(user, wanted.path, each));
      return has ? step : refused("it has not the privileges that are asked for");
    } catch (error) {
      return { kind: "fault", reason: reasonOf(error) };
    }
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

  /**
   * Who sends a request: by its API token, or by its ticket and for a change by its CSRF token as well. Users who are disabled or gone since are
   * refused. Never rejects.
   */
  async authenticate(request: {
    readonly method: string;
    readonly address: string;
    readonly headers: { readonly get: (name: string) => string | null };
  }): Promise<Known> {
    try {
      return await this.#known(request);
    } catch (error) {
      this.#warnOfFault(reasonOf(error));
      return unauthenticated;
    }
  }

  async #known({
    method,
    address,
    headers,
  }: Parameters<Access["authenticate"]>[0]): Promise<Known> {
    const credentials = credentialsOf(headers);
    if (credentials.kind === "none") return { ok: false, reason: "No ticket" };
    if (credentials.kind === "malformed") return unauthenticated;
    if (credentials.kind === "token") {
      const id = this.#options.tokens.idOf(credentials.token, address);
      return id === undefined ? unauthenticated : { ok: true, who: id, isToken: true };
    }
    const who = this.#userOfTicket(credentials.ticket);
    if (who === undefined || this.#obstacle(who) !== "") return unauthenticated;
    if (method === "GET") return { ok: true, who, isToken: false };
    const secret = await this.#options.keys.csrfSecret();
    const token = headers.get("csrfpreventiontoken") ?? "";
    if (secret.ok && isCsrfToken(secret.value, who, token, this.#options.now())) {
      return { ok: true, who, isToken: false };
    }
    return { ok: false, reason: "Permission denied - invalid csrf token" };
  }

  /** Asks somebody who is logged in for its password again; slowed as logins are. Never rejects. */
  async reauthenticate(user: string, password: string, address: string): Promise<Reauthentication> {
    const { attempts, clock } = this.#options;
    const begunAt = clock();
    const waitMs = attempts.waitMs(address, user, begunAt);
    if (waitMs > 0) {
      this.#countUnheard(address);
      return { kind: "tooMany", waitMs };
    }
    const attempt = attempts.begin(address, user, begunAt);
    const verdict = await this.#ownPassword(user, password);
    if (verdict.kind === "right") {
      attempt.succeeded();
      return { kind: "right" };
    }
    if (verdict.kind !== "wrong") attempt.takeBack();
    if (verdict.kind === "busy") return { kind: "tooMany", waitMs: refusalMs };
    this.#warnOfFailure(address, user, verdict.reason);
    await this.#holdBack(begunAt);
    return { kind: "wrong" };
  }

  async #ownPassword(user: string, password: string): Promise<PasswordVerdict> {
    try {
      const id = parseUserId(user);
      const realm = this.#options.users.realms.get(id?.realm ?? "");
      if (id === undefined || realm === undefined) return { kind: "wrong", reason: "no such user" };
      return await this.#passwordVerdict(id, realm, password);
    } catch (error) {
      return { kind: "fault", reason: reasonOf(error) };
    }
  }

  #obstacle(user: string): string {
    return userObstacle(this.#options.users.config, user, this.#options.now());
  }

  async #step(request: LoginRequest): Promise<Step> {
    const { user, password, challenge, otp, wanted } = request;
    const id = parseUserId(user);
    if (id === undefined) return refused("that is no user's name");
    const obstacle = this.#obstacle(user);
    if (obstacle !== "") return refused(obstacle);
    const realm = this.#options.users.realms.get(id.realm);
    if (realm === undefined) return refused("its realm does not exist");
    if (challenge !== undefined) {
      return otp === undefined
        ? this.#secondStep(request, challenge, realm)
        : refused("both a challenge and a code beside the password");
    }
    const holder = this.#userOfTicket(password);
    // The superuser's ticket makes tickets for others, too.
    if (holder === user || (holder === rootUser && wanted === undefined)) {
      const own = this.#obstacle(holder);
      return own === "" ? { kind: "granted" } : refused(own);
    }
    const verdict = await this.#passwordVerdict(id, realm, password);
    if (verdict.kind === "busy" || verdict.kind === "fault") return verdict;
    if (verdict.kind === "wrong") return refused(verdict.reason);
    const step = this.#firstStepDone(user, realm);
    if (step.kind !== "half") return otp === undefined ? step : refused("no second factor");
    return otp === undefined ? step : this.#secondFactor(user, otp, realm);
  }

  async #passwordVerdict(
    { name }: UserId,
    { type }: Realm,
    password: string,
  ): Promise<PasswordVerdict> {
    const { passwords, users } = this.#options;
    if (type === "pam") return passwords.check(name, password);
    if (type !== "pve") {
      const reason = `its realm is of the type ${printable(type)}, which is not served here`;
      return { kind: "wrong", reason };
    }
    const hash = users.passwordHashes.get(name);
    return hash === undefined
      ? { kind: "wrong", reason: "it has no password" }
      : passwords.checkHash(hash, password);
  }

  /** The password was right: is a second factor there, or demanded? */
  #firstStepDone(user: string, { secondFactor }: Realm): Step {
    const wanted = challengeOf({ text: this.#factorsText(), user });
    if (!wanted.ok) {
      return { kind: "fault", reason: `${wanted.reason}: nobody is let in without second factor` };
    }
    const challenge = wanted.value;
    if (secondFactor === undefined) {
      return challenge === undefined ? { kind: "granted" } : { kind: "half", challenge };
    }
    // Keys in user.cfg itself, from Proxmox VE 6: only its own tools can carry them over.
    const { keys = "" } = this.#options.users.config.users.get(user) ?? {};
    if (keys !== "" && !/^x(?:!.*)?$/.test(keys)) {
      return refused("its second factor is of the old kind: add it again");
    }
    if (secondFactor === "unknown") return refused("its realm demands an unknown second factor");
    if (secondFactor === "yubico") {
      const recovery = challenge?.recovery;
      return {
        kind: "half",
        challenge: { yubico: true, ...(recovery === undefined ? {} : { recovery }) },
      };
    }
    if (challenge === undefined) return refused("its realm demands a second factor, it has none");
    return { kind: "half", challenge };
  }

  async #secondStep(
    { user, password }: LoginRequest,
    challenge: string,
    realm: Realm,
  ): Promise<Step> {
    const ticket = parseTicket(challenge);
    if (ticket === undefined || !isHalf(ticket) || !this.#options.keys.isValid(ticket, user)) {
      return refused("the first step of the login is not there or too old");
    }
    return this.#secondFactor(user, password, realm);
  }

  async #secondFactor(user: string, password: string, { secondFactor }: Realm): Promise<Step> {
    const { files } = this.#options;
    const kind = password.split(":", 1)[0];
    const demanded = secondFactor === "oath" ? "totp" : secondFactor;
    if (demanded !== undefined && kind !== "recovery" && kind !== demanded) {
      return refused(`its realm demands a code of the kind ${demanded}`);
    }
    if (!this.#options.isQuorate()) return this.#withoutQuorum(user, password);
    const checked = await withTreeLock(files, factorsLock, async (held): Promise<Step> => {
      const verdict = this.#checkFactor(user, password);
      // A code counts only once no node can take it again.
      if (verdict.text !== undefined) {
        const text = new TextEncoder().encode(verdict.text);
        const written = await held.replace(factorsPath, text);
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
      ? { kind: "granted", ...both, capabilities: this.#options.users.capabilities(user) }
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

  #warnOfFailure(address: string, user: string, reason: string): void {
    this.#options.warn(
      `authentication failure; rhost=${address || "local"} user=${shown(user)} msg=${reason}`,
    );
  }

  /** One line a minute, however many requests come. */
  #warnOfFault(reason: string): void {
    const now = this.#options.clock();
    if (now - this.#faultAt < 60_000) return;
    this.#faultAt = now;
    this.#options.warn(`nobody can be let in: ${reason}`);
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
