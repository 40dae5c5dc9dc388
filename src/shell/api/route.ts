// What a route of the network API is: method, path, parameters, who may call it and what it does, as data, so that the server, its checks
// and its description come from one declaration. `api2.ts` serves a list of these (pvecm.md §4.2).
import type * as v from "valibot";
import { checkParameters, isTrue, type Parameters, type ParametersOf } from "./parameters.ts";

export type Method = "GET" | "POST" | "PUT" | "DELETE";

/** Who calls: a user, the user's token, or nobody. */
export interface Caller {
  /** "root@pam"; of an API token its whole id, "root@pam!backup"; "" for nobody. */
  readonly user: string;
  /** By an API token: it may less than its user. */
  readonly isToken: boolean;
  /** `path` as in "/" or "/nodes/pve1", `privilege` as in "Sys.Audit". */
  readonly may: (path: string, privilege: string) => boolean;
}

/** Who may call a route (pvecm.md §4.2): nobody needs to be known, any user, only root@pam itself, or who has one of `privileges` on `path`. */
export type Permission =
  | { readonly kind: "none" }
  | { readonly kind: "any" }
  | { readonly kind: "root" }
  | { readonly kind: "privilege"; readonly path: string; readonly privileges: readonly string[] }
  | RulePermission;

/** More than a privilege on a path: it depends on who is meant, or on parameters of the body. */
export interface RulePermission {
  readonly kind: "rule";
  /** Who may, a sentence. */
  readonly description: string;
  /** `given`: what came, unchecked. Undefined for who may, else the words in the brackets of the refusal, "" for none. */
  readonly refusal: (
    caller: Caller,
    given: Readonly<Record<string, unknown>>,
  ) => string | undefined;
}

export const anybody: Permission = { kind: "none" };
export const anyUser: Permission = { kind: "any" };
export const onlyRoot: Permission = { kind: "root" };
/** One of the privileges on a path; "{node}" in it is the parameter of that name. */
export function privileged(path: string, ...privileges: readonly string[]): Permission {
  return { kind: "privilege", path, privileges };
}

/** What of a request its caller is known by. */
export interface RequestFacts {
  /** As it came: "PATCH" too. */
  readonly method: string;
  /** Without format and query: "/cluster/status". */
  readonly path: string;
  readonly headers: Headers;
  /** Where it came from; "" for the local socket. */
  readonly address: string;
}

export interface Call<P> {
  readonly parameters: P;
  /** For a route of `anybody` nobody, whatever credentials came. */
  readonly caller: Caller;
  readonly request: RequestFacts;
}

/** An answer with a `total` beside its `data` (lists in pages). */
export class Page {
  readonly data: unknown;
  readonly total: number;
  constructor(data: readonly unknown[], total: number) {
    this.data = data;
    this.total = total;
  }
}

/** An answer with headers of its own beside its `data`: a cookie. */
export class Headed<T> {
  readonly data: T;
  readonly headers: Readonly<Record<string, string>>;
  constructor(data: T, headers: Readonly<Record<string, string>>) {
    this.data = data;
    this.headers = headers;
  }
}

interface RouteText {
  readonly method: Method;
  /** Below /api2/FORMAT, or below /api/v1 when `isOurs`; parameters in braces: "/cluster/config/nodes/{node}". */
  readonly path: string;
  /** True: one that the original does not have. */
  readonly isOurs?: boolean;
  /** True: below /nodes/{node}, and yet every node answers it for all of them. */
  readonly isForAllNodes?: boolean;
  /** One sentence. */
  readonly description: string;
  readonly permission: Permission;
  /** True: refused without quorum, as the original's changes of a cluster are, but for a dry run. */
  readonly needsQuorum?: boolean;
  /** True: refused to API tokens, whatever they may. */
  readonly isTicketOnly?: boolean;
  /** What `data` of the answer is, a boolean where the original's formats have 0 and 1; `v.null()` for nothing. */
  readonly returns?: v.GenericSchema;
  /** The answer is a Page. */
  readonly isPaged?: boolean;
  /** The answer is a whole Response of this type ("text/event-stream"), and no JSON with `data`. */
  readonly contentType?: string;
}

/** What a request is answered from. */
export interface RawCall extends Call<Readonly<Record<string, unknown>>> {
  /** True where nothing says otherwise. */
  readonly isQuorate?: () => boolean;
}

export interface DeclaredRoute<S extends Parameters, R extends v.GenericSchema> extends RouteText {
  /** By name, those of the path too; what is absent is undefined in the handler, null is never seen (parameters.ts makes them). */
  readonly parameters: S;
  readonly returns?: R;
  /** The `data` of the answer, headed or not, a Page, or a whole Response. Throws ApiError, or anything for 500. */
  readonly handle: (call: Call<ParametersOf<S>>) => Answer<R> | Promise<Answer<R>>;
}

type Answer<R extends v.GenericSchema> =
  AsRead<v.InferInput<R>> | Headed<AsRead<v.InferInput<R>>> | Page | Response;

/** What a schema describes, where nobody changes it: a handler's lists may be read-only. */
export type AsRead<T> = T extends readonly (infer Item)[]
  ? readonly AsRead<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: AsRead<T[Key]> }
    : T;

/** A route as it is served. */
export interface Route extends RouteText {
  readonly parameters: Parameters;
  /** Checks what came, and answers. Throws ApiError 400 with the errors by parameter, and what the handler throws. */
  readonly answer: (call: RawCall) => unknown;
}

/** Declares a route; its parameters' types reach the handler, whose answer is held against `returns`. */
export function route<const S extends Parameters, R extends v.GenericSchema = v.GenericSchema>(
  declared: DeclaredRoute<S, R>,
): Route {
  const { handle, ...text } = declared;
  return {
    ...text,
    answer: ({ parameters, caller, request, isQuorate = () => true }) => {
      const checked = checkParameters(declared.parameters, parameters);
      if (!checked.ok) {
        throw new ApiError(400, "Parameter verification failed.", { errors: checked.errors });
      }
      if (declared.needsQuorum === true && !isDry(parameters) && !isQuorate()) throw noQuorum();
      return handle({ parameters: checked.value, caller, request });
    },
  };
}

/** A refusal with its status and words; the first line is the reason phrase of the answer (pvecm.md §4.4). */
export class ApiError extends Error {
  /** 400 to 599. */
  readonly status: number;
  /** By parameter. */
  readonly errors: Readonly<Record<string, string>> | undefined;
  /** For programs, our addition: "noQuorum". */
  readonly code: string | undefined;
  /** What to do, our addition. */
  readonly hint: string | undefined;
  constructor(
    status: number,
    message: string,
    more: {
      readonly errors?: Readonly<Record<string, string>>;
      readonly code?: string;
      readonly hint?: string;
    } = {},
  ) {
    super(message);
    this.status = status;
    this.errors = more.errors;
    this.code = more.code;
    this.hint = more.hint;
  }
}

/** pvecm.md §3.5. */
function noQuorum(): ApiError {
  return new ApiError(500, "cluster not ready - no quorum?", {
    code: "noQuorum",
    hint: "see `quorate status`: more of the nodes must be up and reach each other",
  });
}

const dryRunName = "dry-run";

/** Nothing is changed then. `parameters`: checked already. */
function isDry(parameters: Readonly<Record<string, unknown>>): boolean {
  return Object.hasOwn(parameters, dryRunName) && isTrue(parameters[dryRunName]);
}

/** Who a request is from, or the words of the 401: "No ticket", "Authentication failed!". Never rejects. */
export type Authenticate = (
  request: RequestFacts,
) => Promise<
  { readonly ok: true; readonly caller: Caller } | { readonly ok: false; readonly reason: string }
>;

/** A call below /nodes/{node}, which may be another node's. */
export interface ForwardedCall {
  readonly node: string;
  readonly caller: Caller;
  /** Its body is not read yet. */
  readonly request: Request;
}

/** Answers undefined for a call that this node is to answer. Throws ApiError 595 to 599 when the other node gives none. */
export type Forward = (call: ForwardedCall) => Promise<Response | undefined>;

export const nobody: Caller = { user: "", isToken: false, may: () => false };
/** The superuser, who has every privilege. */
export const rootCaller: Caller = { user: "root@pam", isToken: false, may: () => true };
