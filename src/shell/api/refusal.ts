// How a request to the local API fails: what it answers, its HTTP status, and the check of what comes from outside.
import type { Hono } from "hono";
import * as v from "valibot";
import type { Errno } from "../../fs/tree/files.ts";

/** What a failed request answers. */
export interface ApiFault {
  /** ECONFIG: what corosync.conf says cannot be used. */
  readonly errno: Errno | "EREQUEST" | "ECONFIG";
  readonly reason: string;
}

export class Refusal extends Error {
  readonly fault: ApiFault;
  readonly status: 400 | 403 | 404 | 409 | 413 | 500 | 503;
  constructor(fault: ApiFault, status: Refusal["status"]) {
    super(fault.reason);
    this.fault = fault;
    this.status = status;
  }
}

/** What a schema makes of it; throws a Refusal with all that is wrong. */
export function checked<T>(schema: v.GenericSchema<unknown, T>, input: unknown): T {
  const result = v.safeParse(schema, input);
  if (result.success) return result.output;
  const reason = result.issues.map((issue) => issue.message).join("; ");
  throw new Refusal({ errno: "EREQUEST", reason }, 400);
}

/** Throws what the ring has refused. */
export function settled(result: { readonly ok: boolean; readonly reason: string }): void {
  if (!result.ok) throw new Refusal({ errno: "EINVAL", reason: result.reason }, 400);
}

/** Whatever a route throws is answered as a fault, and so is a path without a route. */
export function answerFaults(app: Hono): void {
  app.onError((error, c) => {
    if (error instanceof Refusal) return c.json({ error: error.fault }, error.status);
    return c.json({ error: { errno: "EIO", reason: error.message } satisfies ApiFault }, 500);
  });
  app.notFound((c) =>
    c.json(
      { error: { errno: "ENOENT", reason: `no such route: ${c.req.path}` } satisfies ApiFault },
      404,
    ),
  );
}
