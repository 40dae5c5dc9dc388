// The node's network API, asked on the local socket, where whoever may open it is root; and following a task there, over a restart of the node.
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { CommandFailure } from "../../exit.ts";
import { NodeClient } from "../../api/client.ts";

const requestMsMax = 120_000;
const followMs = 300;
const linesMax = 1000;
/** How long a node may be away, between its stop and its next start, while a task is followed. */
const absenceMsMax = 120_000;

type Method = "GET" | "POST" | "PUT" | "DELETE";
export type Words = Readonly<Record<string, string | number | boolean | undefined>>;

const faultSchema = v.object({
  message: v.string(),
  errors: v.optional(v.record(v.string(), v.string())),
  hint: v.optional(v.string()),
});
const statusSchema = v.object({
  data: v.object({ status: v.string(), exitstatus: v.optional(v.string()) }),
});
const logSchema = v.object({
  data: v.array(v.object({ n: v.number(), t: v.string() })),
  total: v.number(),
});

class Away extends Error {}

export class LocalApi {
  readonly #socket: string;
  readonly #hasHints: boolean;

  /** Without hints: for programs under original names, which print the original's words and no more. */
  constructor(socket: string, { hasHints = true }: { readonly hasHints?: boolean } = {}) {
    this.#socket = socket;
    this.#hasHints = hasHints;
  }

  /**
   * The answer's `data`, as `schema` reads it. `path`: below /api/v1. Rejects with a CommandFailure: the node's own sentence, or why none answers.
   */
  call<T>(
    schema: v.GenericSchema<unknown, T>,
    method: Method,
    path: string,
    words: Words = {},
  ): Promise<T> {
    return this.#call(schema, method, `/api/v1${path}`, words);
  }

  /** The same of Proxmox's API: `path` below /api2/json. */
  original<T>(
    schema: v.GenericSchema<unknown, T>,
    method: Method,
    path: string,
    words: Words = {},
  ): Promise<T> {
    return this.#call(schema, method, `/api2/json${path}`, words);
  }

  async #call<T>(
    schema: v.GenericSchema<unknown, T>,
    method: Method,
    path: string,
    words: Words,
  ): Promise<T> {
    try {
      const body = await this.#ask(method, path, words);
      return v.parse(v.object({ data: schema }), body).data;
    } catch (error) {
      if (!(error instanceof Away)) throw error;
      // It knows why none answers, and what to do.
      await new NodeClient(this.#socket).status();
      throw new CommandFailure(`the node at ${this.#socket} closed the connection; see its log`);
    }
  }

  /** Gives each line of a task's log to `write`; resolves with its status at its end. A node that restarts itself is waited for. */
  async follow(upid: string, write: (line: string) => void): Promise<string> {
    let start = 0;
    let seenAt = performance.now();
    for (;;) {
      try {
        const path = `/api2/json/nodes/localhost/tasks/${encodeURIComponent(upid)}`;
        // Asked before the log is read: what was written before the end is in it then.
        const state = v.parse(statusSchema, await this.#ask("GET", `${path}/status`, {})).data;
        const body = await this.#ask("GET", `${path}/log`, { start, limit: linesMax });
        // Where there is none yet, one line says so.
        const lines = v
          .parse(logSchema, body)
          .data.filter(({ n, t }) => n > start && t !== "no content");
        seenAt = performance.now();
        start += lines.length;
        for (const { t } of lines) if (!/^TASK (?:OK|ERROR|WARNINGS)/.test(t)) write(t);
        if (state.status === "stopped" && lines.length === 0) return state.exitstatus ?? "";
        if (state.status === "stopped") continue;
      } catch (error) {
        if (!(error instanceof Away)) throw error;
        if (performance.now() - seenAt > absenceMsMax) {
          throw new CommandFailure(
            `the node at ${this.#socket} does not answer any more; what was begun is completed or taken back at its next start`,
          );
        }
      }
      await wait(followMs);
    }
  }

  /** A stream's bytes; undefined: no node answers now. `path`: below /api/v1. Rejects with a CommandFailure when it is refused. */
  async stream(
    path: string,
    words: Words,
    signal?: AbortSignal,
  ): Promise<ReadableStream<Uint8Array> | undefined> {
    let response: Response;
    try {
      response = await fetch(`http://localhost/api/v1${path}?${wordsText(words)}`, {
        unix: this.#socket,
        timeout: false,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch {
      return undefined; // Just restarting, or gone: whoever follows gives up after a while.
    }
    if (response.ok) return response.body ?? undefined;
    throw refusalOf(response, parsed(await response.text()), this.#hasHints);
  }

  async #ask(method: string, path: string, words: Words): Promise<unknown> {
    const text = wordsText(words);
    const hasBody = method === "POST" || method === "PUT";
    const query = hasBody || text === "" ? "" : `?${text}`;
    let response: Response;
    let answer: string;
    try {
      response = await fetch(`http://localhost${path}${query}`, {
        method,
        unix: this.#socket,
        signal: AbortSignal.timeout(requestMsMax),
        ...(hasBody
          ? { body: text, headers: { "content-type": "application/x-www-form-urlencoded" } }
          : {}),
      });
      // A node that is killed may be gone after the headers.
      answer = await response.text();
    } catch (error) {
      throw new Away(String(error));
    }
    const body = parsed(answer);
    if (response.ok && body === undefined) throw new Away("half an answer");
    if (response.ok) return body;
    throw refusalOf(response, body, this.#hasHints);
  }
}

function wordsText(words: Words): string {
  const given = new URLSearchParams();
  for (const [name, word] of Object.entries(words)) {
    if (word !== undefined)
      given.set(name, typeof word === "boolean" ? String(Number(word)) : String(word));
  }
  return given.toString();
}

function refusalOf({ status }: Response, body: unknown, hasHints: boolean): CommandFailure {
  const fault = v.safeParse(faultSchema, body);
  if (!fault.success) {
    return new CommandFailure(`the node answered with HTTP status ${status}; see its log`);
  }
  const { message, errors = {}, hint } = fault.output;
  const reasons = Object.entries(errors).map(([name, reason]) => `${name}: ${reason}`);
  const sentence = [message.trimEnd(), ...reasons].join("\n");
  return new CommandFailure(hint === undefined || !hasHints ? sentence : `${sentence}: ${hint}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Cut, or not of a node's API.
  }
}
