// Calls of the page to the API of the node that serves it: the same routes and rights as everybody's. What comes is held against the schema of its route,
// since a call below /nodes/NAME is answered by another machine.
import * as v from "valibot";
import { parsedJson } from "./shown.ts";
import { words } from "./words.ts";

export interface Failure {
  readonly ok: false;
  /** 0: no answer came. */
  readonly status: number;
  /** A sentence. */
  readonly reason: string;
  readonly hint: string;
  /** By parameter. */
  readonly errors: Readonly<Record<string, string>>;
}

export type Answer<T> = { readonly ok: true; readonly data: T } | Failure;

export type Method = "GET" | "POST" | "PUT" | "DELETE";

type Given = Readonly<Record<string, string | number | boolean | undefined>>;

const answerMs = 30_000;

const refusalSchema = v.object({
  message: v.optional(v.string(), ""),
  hint: v.optional(v.string(), ""),
  errors: v.optional(v.record(v.string(), v.string()), {}),
});

export interface ApiOptions {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** The login has ended, or there was none. */
  readonly onUnknown: () => void;
}

export class Api {
  readonly #options: ApiOptions;
  #csrfToken = "";

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  /** For all that is no GET; "" for nobody. */
  set csrfToken(token: string) {
    this.#csrfToken = token;
  }

  get<S extends v.GenericSchema>(schema: S, path: string, given: Given = {}) {
    return this.call("GET", { schema, path, given });
  }

  post<S extends v.GenericSchema>(schema: S, path: string, given: Given = {}) {
    return this.call("POST", { schema, path, given });
  }

  /** `path` as in "/api/v1/quorum". Never rejects. */
  async call<S extends v.GenericSchema>(
    method: Method,
    {
      schema,
      path,
      given = {},
      isRaw = false,
    }: {
      readonly schema: S;
      readonly path: string;
      readonly given?: Given;
      /** Texts as they are: for what is edited and sent back. */
      readonly isRaw?: boolean;
    },
  ): Promise<Answer<v.InferOutput<S>>> {
    const present = Object.entries(given).filter(([, value]) => value !== undefined);
    const hasBody = method === "POST" || method === "PUT";
    const query = new URLSearchParams(present.map(([name, value]) => [name, queryText(value)]));
    const url = hasBody || present.length === 0 ? path : `${path}?${query.toString()}`;
    let status = 0;
    try {
      const response = await this.#options.fetch(url, {
        method,
        cache: "no-store",
        credentials: "same-origin",
        redirect: "error",
        signal: AbortSignal.timeout(answerMs),
        headers: {
          ...(hasBody ? { "content-type": "application/json" } : {}),
          ...(method === "GET" ? {} : { csrfpreventiontoken: this.#csrfToken }),
        },
        ...(hasBody ? { body: JSON.stringify(Object.fromEntries(present)) } : {}),
      });
      ({ status } = response);
      const text = await response.text();
      if (!response.ok) return this.#refused(response, text);
      return read(schema, text, { status, isRaw });
    } catch (error) {
      // No connection, a certificate that the browser does not take, no answer in time.
      const isLate = error instanceof DOMException && error.name === "TimeoutError";
      return failure(status, isLate ? words.tooLate : words.notReachable);
    }
  }

  #refused({ status, statusText }: Response, text: string): Failure {
    const refusal = v.safeParse(refusalSchema, parsedJson(text));
    const { message, hint, errors } = refusal.success
      ? refusal.output
      : { message: "", hint: "", errors: {} };
    if (status === 401) this.#options.onUnknown();
    const reason = message.trim() || statusText || words.refusedWith(status);
    return { ok: false, status, reason, hint, errors };
  }
}

/** A failure in a sentence, with the parameters that were wrong and what to do. */
export function failureText({ reason, hint, errors }: Failure): string {
  const wrong = Object.entries(errors).map(([name, what]) => `${name}: ${what}`);
  return [reason, ...wrong, hint].filter((each) => each !== "").join(" – ");
}

function read<S extends v.GenericSchema>(
  schema: S,
  text: string,
  { status, isRaw }: { readonly status: number; readonly isRaw: boolean },
): Answer<v.InferOutput<S>> {
  const body = v.safeParse(v.object({ data: v.unknown() }), parsedJson(text, isRaw));
  const data = v.safeParse(schema, body.success ? body.output.data : undefined);
  return data.success ? { ok: true, data: data.output } : failure(status, words.strangeAnswer);
}

function failure(status: number, reason: string): Failure {
  return { ok: false, status, reason, hint: "", errors: {} };
}

function queryText(value: string | number | boolean | undefined): string {
  return typeof value === "boolean" ? String(Number(value)) : String(value);
}
