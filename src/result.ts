// What became of something that may fail: a value, or the sentence that says why there is none.

export type Result<Value> =
  { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly reason: string };

export function success<Value>(value: Value): Result<Value> {
  return { ok: true, value };
}

/** `reason`: what happened and what to do, for the operator. */
export function failure(reason: string): Result<never> {
  return { ok: false, reason };
}

/** For a log or an operator: the message of an error, or whatever else was thrown as text. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The same where the sentence names the file already: without the system call and the path at its end. */
export function fileReasonOf(error: unknown): string {
  return reasonOf(error).replace(/, [a-z]+ '.*'$/s, "");
}
