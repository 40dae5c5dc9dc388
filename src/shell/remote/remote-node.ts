// A client of another node's HTTPS API, as the node that joins uses it. Spec: pvecm.md §3.2, §3.3, §4.2–4.4. The certificate is judged on
// each connection before anything is sent; what is secret is never part of a sentence.
import { challengeKinds } from "../access/ticket.ts";
import * as v from "valibot";
import { type HttpsAnswer, callHttps } from "./https-call.ts";
import { type Remote, type RemoteFault, readAnswer } from "./remote-answer.ts";
import type { Trust } from "./trust.ts";

export const apiPort = 8006;
const callMsMax = 30_000;
const answerBytesMax = 4 * 1024 * 1024;
const ticketTextMax = 8192;
/** A ticket of the past is good for two hours, one of the future for five minutes (pvecm.md §4.3). */
const clockOffsetMsMax = 300_000;

const header = v.pipe(v.string(), v.minLength(1), v.maxLength(ticketTextMax), v.regex(/^[!-~]+$/));
const loginSchema = v.looseObject({
  username: v.string(),
  ticket: header,
  CSRFPreventionToken: v.optional(header),
  clustername: v.optional(v.string()),
  NeedTFA: v.optional(v.union([v.literal(0), v.literal(1), v.boolean()])),
});

/** How a second factor may be given: kinds that the node takes from this user, such as "totp" and "recovery". */
export interface SecondFactorRequest {
  readonly kinds: readonly string[];
}

export interface SecondFactor {
  readonly kind: "totp" | "recovery" | "yubico";
  readonly code: string;
}

export interface Login {
  /** "root@pam". */
  readonly user: string;
  readonly password: string;
  /** Called when the node wants a second factor; undefined: there is none to give. */
  readonly secondFactor?: (request: SecondFactorRequest) => Promise<SecondFactor | undefined>;
}

export interface RemoteNodeOptions {
  /** Name or address of any member. */
  readonly host: string;
  readonly port?: number;
  readonly trust: Trust;
  /** For one call, milliseconds. */
  readonly callMs?: number;
  /** Of a login that another process or an earlier one made. */
  readonly session?: Session;
}

/** What a login gives, for calls as that user. Secret; good for two hours. */
export interface Session {
  readonly ticket: string;
  readonly csrf: string;
}

/** Values of a call: numbers and texts as they are, true and false as 1 and 0, undefined left out. */
export type Parameters = Readonly<Record<string, string | number | boolean | undefined>>;

export class RemoteNode {
  readonly #options: RemoteNodeOptions;
  readonly #subject: string;
  #session: Session | undefined;
  #last: HttpsAnswer | undefined;
  #clockOffsetMs: number | undefined;

  constructor(options: RemoteNodeOptions) {
    this.#options = options;
    this.#session = options.session;
    const { host, port = apiPort } = options;
    const address = host.includes(":") ? `[${host}]` : host;
    this.#subject = `the node at ${address}${port === apiPort ? "" : `:${port}`}`;
  }

  /** The node's clock minus ours by its last answer, to the second; undefined: it named no time. */
  get clockOffsetMs(): number | undefined {
    return this.#clockOffsetMs;
  }

  /** "9A:3B:…" of the certificate that the last answer came with. */
  get fingerprint(): string | undefined {
    return this.#last?.fingerprint;
  }

  /** Our own address on the connection of the last answer. */
  get ownAddress(): string | undefined {
    return this.#last?.ownAddress;
  }

  /** By our clock (Unix milliseconds), in the middle between the last request that was answered and its answer. */
  get answerMiddleMs(): number | undefined {
    return this.#last?.middleAtMs;
  }

  /** Undefined: nobody is logged in. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Logs in; calls after it are that user's. The password is not kept. */
  async login(login: Login): Promise<Remote<{ readonly clusterName?: string }>> {
    this.#session = undefined;
    const { user, password } = login;
    const first = await this.#ticket({ username: user, password });
    if (!first.ok) return first;
    const granted = isTrue(first.value.NeedTFA)
      ? await this.#secondStep(login, first.value.ticket)
      : first;
    if (!granted.ok) return granted;
    const { ticket, CSRFPreventionToken: csrf, clustername, NeedTFA } = granted.value;
    if (isTrue(NeedTFA) || csrf === undefined) {
      const reason = `${this.#subject} took the login and gave no complete ticket: is it of another version?`;
      return { ok: false, kind: "malformed", reason };
    }
    this.#session = { ticket, csrf };
    return { ok: true, value: clustername === undefined ? {} : { clusterName: clustername } };
  }

  async #secondStep(login: Login, ticket: string) {
    const kinds = challengeKinds(ticket);
    const answer = await login.secondFactor?.({ kinds });
    if (answer === undefined) {
      const reason = `${this.#subject} wants a second factor of ${login.user} (${kinds.join(", ") || "unknown"}): give a code, or use a join token`;
      return { ok: false, kind: "secondFactor", reason } as const;
    }
    return this.#ticket({
      username: login.user,
      password: `${answer.kind}:${answer.code}`,
      "tfa-challenge": ticket,
    });
  }

  async #ticket(parameters: Parameters): Promise<Remote<v.InferOutput<typeof loginSchema>>> {
    const answer = await this.post("/api2/json/access/ticket", parameters, loginSchema);
    if (answer.ok || answer.kind !== "unauthorized") return answer;
    const what =
      parameters["tfa-challenge"] === undefined
        ? `refused the login of ${String(parameters["username"])}: the password is wrong, or that user may not log in there`
        : `refused the second factor of ${String(parameters["username"])}: the code is wrong, used already or out of time`;
    return { ...answer, reason: `${this.#subject} ${what}${this.#clockAdvice()}` };
  }

  /** `path`: whole, such as "/api2/json/version". `schema`: of what is below "data" in the answer. */
  get<Value>(path: string, query: Parameters, schema: v.GenericSchema<unknown, Value>) {
    const text = encoded(query);
    return this.#call("GET", text === "" ? path : `${path}?${text}`, undefined, schema);
  }

  post<Value>(path: string, parameters: Parameters, schema: v.GenericSchema<unknown, Value>) {
    return this.#call("POST", path, encoded(parameters), schema);
  }

  put<Value>(path: string, parameters: Parameters, schema: v.GenericSchema<unknown, Value>) {
    return this.#call("PUT", path, encoded(parameters), schema);
  }

  delete<Value>(path: string, query: Parameters, schema: v.GenericSchema<unknown, Value>) {
    const text = encoded(query);
    return this.#call("DELETE", text === "" ? path : `${path}?${text}`, undefined, schema);
  }

  async #call<Value>(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    body: string | undefined,
    schema: v.GenericSchema<unknown, Value>,
  ): Promise<Remote<Value>> {
    const { host, port = apiPort, trust, callMs = callMsMax } = this.#options;
    const session = this.#session;
    const outcome = await callHttps({
      host,
      port,
      trust,
      method,
      path,
      headers: {
        accept: "application/json",
        ...(session === undefined
          ? {}
          : { cookie: `PVEAuthCookie=${encodeURIComponent(session.ticket)}` }),
        ...(session === undefined || method === "GET" ? {} : { CSRFPreventionToken: session.csrf }),
        ...(body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" }),
      },
      ...(body === undefined ? {} : { body }),
      waitMs: callMs,
      answerBytesMax,
    });
    if (!outcome.ok) {
      const { kind, reason, isSent } = outcome;
      const isUncertain = isSent && method !== "GET";
      return {
        ok: false,
        kind,
        reason: `${this.#subject} ${reason}`,
        ...(isUncertain ? { isUncertain } : {}),
      };
    }
    this.#last = outcome.answer;
    this.#clockOffsetMs = clockOffset(outcome.answer.headers["date"]);
    const answer = readAnswer(this.#subject, outcome.answer, schema);
    if (answer.ok || answer.kind !== "unauthorized" || session === undefined) return answer;
    return this.#loggedOut(answer);
  }

  /** A ticket that is refused right after the login is most often one of a wrong clock (pvecm.md §3.5). */
  #loggedOut(fault: RemoteFault): RemoteFault {
    const advice = this.#clockAdvice() || "; log in again";
    return { ...fault, reason: `${fault.reason}${advice}` };
  }

  #clockAdvice(): string {
    const offsetMs = this.#clockOffsetMs;
    if (offsetMs === undefined || Math.abs(offsetMs) < clockOffsetMsMax) return "";
    const seconds = Math.round(Math.abs(offsetMs) / 1000);
    return `; its clock is ${seconds} s ${offsetMs > 0 ? "ahead of" : "behind"} the one here, and tickets of another time are refused: set both clocks (chrony, NTP) first`;
  }
}

/** Milliseconds by which the other clock is ahead; the header has whole seconds, so it is taken in their middle. */
function clockOffset(date: string | string[] | undefined): number | undefined {
  const at = typeof date === "string" ? Date.parse(date) : Number.NaN;
  return Number.isNaN(at) ? undefined : at + 500 - Date.now();
}

function isTrue(value: 0 | 1 | boolean | undefined): boolean {
  return value === 1 || value === true;
}

function encoded(parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    query.set(name, typeof value === "boolean" ? (value ? "1" : "0") : String(value));
  }
  return query.toString();
}
