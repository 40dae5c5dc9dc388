// What another node's API answered, as a value or a sentence. Spec: pvecm.md §4.4. Everything here is foreign text: bounded, and never
// shown to a terminal as it came.
import * as v from "valibot";
import { printable } from "../cli/text-table.ts";

const messageTextMax = 2000;

/** Why a call has no value. */
export interface RemoteFault {
  readonly ok: false;
  /**
   * unreachable, tls, untrusted, timeout: nothing is known but that; malformed, tooLong: it is no node's API; secondFactor: the login
   * needs one and none was given; unauthorized: 401; refused: any other status, see `status`.
   */
  readonly kind:
    | "unreachable"
    | "tls"
    | "untrusted"
    | "timeout"
    | "malformed"
    | "tooLong"
    | "secondFactor"
    | "unauthorized"
    | "refused";
  /** A sentence with the node's address and what to do. */
  readonly reason: string;
  /** HTTP status; absent: there was no answer. */
  readonly status?: number;
  /** What the node itself said, as it may be shown; several lines are possible. */
  readonly message?: string;
  /** What is wrong with which parameter, as the node said it. */
  readonly errors?: Readonly<Record<string, string>>;
  /** True when the request may have been carried out although no answer came. */
  readonly isUncertain?: boolean;
}

export type Remote<Value> = { readonly ok: true; readonly value: Value } | RemoteFault;

const bodySchema = v.looseObject({
  message: v.optional(v.nullable(v.string())),
  errors: v.optional(v.nullable(v.record(v.string(), v.string()))),
  /** Of the local form (api.ts). */
  error: v.optional(v.looseObject({ reason: v.string() })),
});
const dataSchema = v.looseObject({ data: v.unknown() });

/** `subject`: "the node at 10.0.0.1". `schema`: of `data`. */
export function readAnswer<Value>(
  subject: string,
  answer: {
    readonly status: number;
    readonly reasonPhrase: string;
    readonly body: Uint8Array;
  },
  schema: v.GenericSchema<unknown, Value>,
): Remote<Value> {
  const { status } = answer;
  const json = parsed(answer.body);
  if (status >= 200 && status < 300) {
    const body = v.safeParse(dataSchema, json);
    if (!body.success) {
      const reason = `${subject} answered with something that is not the API's JSON: another program listens there, or a proxy stands between`;
      return { ok: false, kind: "malformed", status, reason };
    }
    const data = v.safeParse(schema, body.output.data);
    if (data.success) return { ok: true, value: data.output };
    const [issue] = data.issues;
    const where = v.getDotPath(issue) ?? "data";
    const reason = `${subject} answered with something that this version cannot read (${shown(where)}: ${shown(issue.message)}): is it of another version?`;
    return { ok: false, kind: "malformed", status, reason };
  }
  if (status < 400) {
    const reason = `${subject} answered with HTTP status ${status} instead of an answer of the API: another program listens there, or a proxy stands between`;
    return { ok: false, kind: "malformed", status, reason };
  }
  return refusal(subject, answer, json);
}

function refusal(
  subject: string,
  { status, reasonPhrase }: { readonly status: number; readonly reasonPhrase: string },
  json: unknown,
): RemoteFault {
  const read = v.safeParse(bodySchema, json);
  const body = read.success ? read.output : {};
  const said = body.message ?? body.error?.reason ?? reasonPhrase;
  const message = shown(said.trim());
  const errors = Object.entries(body.errors ?? {})
    .slice(0, 20)
    .map(([name, text]) => [shown(name), shown(text.trim())] as const);
  const details = errors.map(([name, text]) => `${name}: ${text}`).join("; ");
  const text = details === "" ? message : `${message.replace(/\.$/, "")} (${details})`;
  return {
    ok: false,
    kind: status === 401 ? "unauthorized" : "refused",
    status,
    message,
    ...(errors.length > 0 ? { errors: Object.fromEntries(errors) } : {}),
    reason: `${subject} refused (${status}): ${text === "" ? "without a reason" : text}`,
  };
}

/** Undefined: it is no JSON. */
function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return undefined; // The caller says so.
  }
}

function shown(text: string): string {
  const short = text.length > messageTextMax ? `${text.slice(0, messageTextMax)}…` : text;
  return printable(short, "?", "\n");
}
