// The network API: routes (route.ts) below /api2/json and /api2/extjs in the original's form, ours below /api/v1; parameters, permissions, answers
// and refusals (pvecm.md §4.1, §4.4). It has no state, knows no socket, and serves the local socket as well as the network.
import { Hono } from "hono";
import {
  ApiError,
  type Authenticate,
  type Caller,
  type Forward,
  Headed,
  nobody,
  Page,
  type Permission,
  type RequestFacts,
  type Route,
} from "./route.ts";

/** Of a body; the original's limit. */
export const api2BodyBytesMax = 64 * 1024;
const parametersMax = 256;
const compressedBytesMin = 1024;
/** Longer answers are sent as they are: compression holds up whatever else this thread does. */
const compressedBytesMax = 1024 * 1024;

/** What the listener knows of a request and a Request does not say. */
export interface ConnectionFacts {
  /** Of the other side; "" for the local socket. */
  readonly address?: string;
}

/** Answers GET /metrics, which is no route: it lies outside of the API, and others than users may read it. Never rejects. */
export type Metrics = (request: RequestFacts, authenticate: Authenticate) => Promise<Response>;

/** Answers what lies outside of the API and has no login: the page's own files. Undefined: there is no such file. Never rejects. */
export type PageFiles = (request: Request) => Promise<Response | undefined>;

export interface Api2Options {
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  /** For routes below /nodes/{node}; undefined: all nodes are this one. */
  readonly forward?: Forward;
  /** Undefined: always. */
  readonly isQuorate?: () => boolean;
  /** Of this node, which "localhost" below /nodes stands for; undefined: nobody asks about rights on its name. */
  readonly nodeName?: string;
  /** A handler ended in a way that it does not know, a fault of ours: who called gets 500 with the code "internal". `call`: method and path. */
  readonly onFault?: (call: string, error: unknown) => void;
  readonly metrics?: Metrics;
  readonly page?: PageFiles;
}

export type Api2 = Hono<{ Bindings: ConnectionFacts }>;

type Format = "json" | "extjs" | "ours";

/** How one request is answered. */
interface Answering {
  readonly format: Format;
  /** Without the base. */
  readonly path: string;
  readonly request: Request;
  readonly address: string;
}

interface Named {
  readonly route: Route;
  readonly path: Readonly<Record<string, string>>;
}

/** Builds the API; `app.fetch(request, facts)` serves it on any listener. Never rejects. */
export function buildApi2(options: Api2Options): Api2 {
  const app: Api2 = new Hono();
  const ours = new RouteTable(options.routes.filter(({ isOurs }) => isOurs === true));
  const theirs = new RouteTable(options.routes.filter(({ isOurs }) => isOurs !== true));
  // Keys and logins are among the answers, another node's and streams too: nobody keeps one, or takes it for something else.
  app.use(async (c, next) => {
    await next();
    c.res.headers.set("cache-control", "no-store");
    c.res.headers.set("x-content-type-options", "nosniff");
  });
  const serve = (table: RouteTable, facts: Answering) => answered(table, options, facts);
  app.all("/api2/:format{json|extjs}/*", (c) => {
    const format = c.req.param("format") === "extjs" ? "extjs" : "json";
    const path = c.req.path.slice(`/api2/${format}`.length);
    return serve(theirs, { format, path, request: c.req.raw, address: c.env?.address ?? "" });
  });
  app.all("/api/v1/*", (c) => {
    const path = c.req.path.slice("/api/v1".length);
    return serve(ours, { format: "ours", path, request: c.req.raw, address: c.env?.address ?? "" });
  });
  app.all("/api2/*", (c) => {
    const format = shownText(c.req.path.split("/")[2] ?? "");
    return refusal(new ApiError(501, `no such uri - unknown format '${format}'`), "json");
  });
  const { metrics } = options;
  if (metrics !== undefined) {
    app.get("/metrics", (c) => {
      const { method, headers } = c.req.raw;
      const facts = { method, headers, path: c.req.path, address: c.env?.address ?? "" };
      return metrics(facts, options.authenticate);
    });
  }
  app.notFound(async (c) => {
    const file = await options.page?.(c.req.raw);
    return file ?? refusal(new ApiError(404, `no such file '${shownText(c.req.path)}'`), "json");
  });
  app.onError((error) => refusal(error, "json"));
  return app;
}

async function answered(
  table: RouteTable,
  options: Api2Options,
  facts: Answering,
): Promise<Response> {
  try {
    const { data, total, headers } = await called(table, options, facts);
    if (data instanceof Response) return data;
    const body = { data: data ?? null, ...(total === undefined ? {} : { total }) };
    const answer = reply(facts.format === "extjs" ? { success: 1, ...body } : body, facts, 200, "");
    for (const [name, value] of Object.entries(headers ?? {})) answer.headers.set(name, value);
    return answer;
  } catch (error) {
    if (!(error instanceof ApiError)) {
      options.onFault?.(`${facts.request.method} ${shownText(facts.path)}`, error);
    }
    return refusal(error, facts.format, facts.address !== "");
  }
}

interface Called {
  readonly data: unknown;
  readonly total?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

async function called(
  table: RouteTable,
  { authenticate, forward, isQuorate, nodeName }: Api2Options,
  { path, request, address }: Answering,
): Promise<Called> {
  const { method } = request;
  if (!["GET", "POST", "PUT", "DELETE"].includes(method)) {
    throw new ApiError(501, `method '${method}' not available`);
  }
  const named = table.find(method, path, nodeName);
  if (named === undefined) {
    // Whoever is not known learns nothing of what there is.
    await knownCaller(authenticate, { method, path, headers: request.headers, address });
    throw new ApiError(501, `Method '${method} ${shownText(path)}' not implemented`);
  }
  const { route } = named;
  const facts: RequestFacts = { method, path, headers: request.headers, address };
  const caller = route.permission.kind === "none" ? nobody : await knownCaller(authenticate, facts);
  if (route.isTicketOnly === true && caller.isToken) {
    const what = shownText(path);
    throw new ApiError(403, `URI '${what}' not available with API token, need proper ticket.`);
  }
  // The body of somebody who may not call this is never parsed, but where a rule is about what is in it.
  checkPermission(route.permission, caller, named.path);
  const { node } = named.path;
  const isOfOneNode = route.path.startsWith("/nodes/{node}") && route.isForAllNodes !== true;
  if (forward !== undefined && node !== undefined && isOfOneNode) {
    const answer = await forward({ node, caller, request });
    if (answer !== undefined) return { data: answer };
  }
  const given = withPath(await parametersOf(request), named.path);
  if (route.permission.kind === "rule") {
    const why = route.permission.refusal(caller, given);
    if (why !== undefined) throw refused(why);
  }
  const quorum = isQuorate === undefined ? {} : { isQuorate };
  const data = await route.answer({ parameters: given, caller, request: facts, ...quorum });
  if (data instanceof Page) return { data: data.data, total: data.total };
  return data instanceof Headed ? { data: data.data, headers: data.headers } : { data };
}

async function knownCaller(authenticate: Authenticate, facts: RequestFacts): Promise<Caller> {
  const known = await authenticate(facts);
  if (known.ok) return known.caller;
  throw new Unknown(known.reason);
}

/** A caller that is not known: the answer has a reason phrase and, in the original's formats, no body. */
class Unknown extends ApiError {
  constructor(reason: string) {
    super(401, reason, { code: "notAuthenticated" });
  }
}

function checkPermission(
  permission: Permission,
  caller: Caller,
  path: Readonly<Record<string, string>>,
): void {
  const { kind } = permission;
  if (kind === "none" || kind === "any" || kind === "rule") return;
  if (kind === "root") {
    if (caller.user === "root@pam" && !caller.isToken) return;
    throw refused("user != root@pam");
  }
  const on = permission.path.replace(/\{(\w+)\}/g, (_, name: string) => path[name] ?? "");
  if (permission.privileges.some((privilege) => caller.may(on, privilege))) return;
  throw refused(`${on}, ${permission.privileges.join("|")}`);
}

/** `why`: the words in the brackets; "": none. */
function refused(why: string): ApiError {
  return new ApiError(403, `Permission check failed${why === "" ? "" : ` (${why})`}`);
}

/** Query and body; a name that comes twice is refused. */
async function parametersOf(request: Request): Promise<Record<string, unknown>> {
  const given = new Map<string, unknown>();
  const take = (name: string, value: unknown) => {
    if (given.has(name) && given.get(name) !== value) {
      throw new ApiError(400, "Parameter verification failed.", {
        errors: { [shownText(name)]: "given twice with different values" },
      });
    }
    given.set(name, value);
    if (given.size > parametersMax) throw new ApiError(400, "too many parameters");
  };
  for (const [name, value] of new URL(request.url).searchParams) take(name, value);
  for (const [name, value] of await bodyParameters(request)) take(name, value);
  given.delete("_dc");
  // Each becomes a property of its own, "__proto__" too.
  return Object.fromEntries(given);
}

async function bodyParameters(request: Request): Promise<Iterable<[string, unknown]>> {
  const { method, headers } = request;
  if (headers.has("transfer-encoding")) {
    throw new ApiError(501, "chunked transfer encoding not supported");
  }
  const length = Number(headers.get("content-length") ?? 0);
  if (method === "GET" || method === "DELETE") {
    if (length > 0) throw new ApiError(501, `Unexpected content for method '${method}'`);
    return [];
  }
  if (length > api2BodyBytesMax) throw new ApiError(413, tooLarge);
  const bytes = new Uint8Array(
    await request.arrayBuffer().catch(() => {
      throw new ApiError(400, "the request body ended early");
    }),
  );
  if (bytes.length > api2BodyBytesMax) throw new ApiError(413, tooLarge);
  if (bytes.length === 0) return [];
  const type = (headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type === "" || type === "application/x-www-form-urlencoded") {
    return new URLSearchParams(new TextDecoder().decode(bytes));
  }
  if (type !== "application/json") {
    throw new ApiError(501, `Unexpected content type '${shownText(type)}'`);
  }
  return Object.entries(jsonObject(bytes));
}

export const tooLarge = `a request body has at most ${api2BodyBytesMax} bytes`;

function jsonObject(bytes: Uint8Array): object {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ApiError(400, "the request body is no JSON");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new ApiError(400, "the request body is no JSON object");
}

function withPath(
  given: Readonly<Record<string, unknown>>,
  path: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  for (const [name, value] of Object.entries(path)) {
    if (Object.hasOwn(given, name) && String(given[name]) !== value) {
      throw new ApiError(400, "Parameter verification failed.", {
        errors: { [name]: `duplicate parameter (already defined in URI)` },
      });
    }
  }
  return { ...given, ...path };
}

/** Routes by method and path, where a name in braces stands for any one segment; fixed words win. */
class RouteTable {
  readonly #routes: readonly { readonly segments: readonly string[]; readonly route: Route }[];

  constructor(routes: readonly Route[]) {
    const isNamed = (route: Route) => route.path.split("{").length;
    this.#routes = routes
      .toSorted((a, b) => isNamed(a) - isNamed(b))
      .map((route) => ({ route, segments: segmentsOf(route.path) }));
  }

  /** `nodeName`: what "localhost" stands for, before anybody asks who may what on it. */
  find(method: string, path: string, nodeName?: string): Named | undefined {
    const given = segmentsOf(path);
    for (const { route, segments } of this.#routes) {
      if (route.method !== method || segments.length !== given.length) continue;
      const named = namedSegments(segments, given);
      if (named === undefined) continue;
      const isOwn = named["node"] === "localhost" && route.path.startsWith("/nodes/{node}");
      return {
        route,
        path: isOwn && nodeName !== undefined ? { ...named, node: nodeName } : named,
      };
    }
    return undefined;
  }
}

/** None of "/" and ""; slashes at the end do not count. */
function segmentsOf(path: string): readonly string[] {
  return path.replace(/\/+$/, "").split("/").slice(1);
}

function namedSegments(
  segments: readonly string[],
  given: readonly string[],
): Record<string, string> | undefined {
  const named: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const word = decodedSegment(given[index] ?? "");
    if (word === undefined) return undefined;
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined && word !== segment) return undefined;
    if (name !== undefined) named[name] = word;
  }
  return named;
}

function decodedSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined; // No UTF-8 behind its percents.
  }
}

/** Any error as the answer of a format (§4.4). */
function refusal(error: unknown, format: Format, isNetwork = true): Response {
  const known =
    error instanceof ApiError
      ? error
      : new ApiError(500, error instanceof Error ? error.message : String(error), {
          code: "internal",
        });
  const { status, message } = known;
  const more = {
    ...(known.errors === undefined ? {} : { errors: known.errors }),
    ...(known.code === undefined ? {} : { code: known.code }),
    ...(known.hint === undefined ? {} : { hint: known.hint }),
  };
  // What another node did not answer, and callers who are not known: the phrase alone.
  // The local socket's listener has no phrases of its own.
  if ((error instanceof Unknown || status > 594) && format !== "ours" && isNetwork) {
    return new Response(null, { status, statusText: reasonPhrase(message) });
  }
  const facts = { format, request: undefined };
  if (format === "extjs") {
    return reply({ success: 0, status, message, data: null, ...more }, facts, 200, "");
  }
  return reply({ data: null, message: `${message}\n`, ...more }, facts, status, message);
}

function reply(
  body: object,
  facts: { readonly format: Format; readonly request: Request | undefined },
  status: number,
  message: string,
): Response {
  const isOurs = facts.format === "ours";
  const text = JSON.stringify(body, (_, value: unknown) =>
    typeof value === "boolean" && !isOurs ? Number(value) : value,
  );
  const headers = {
    pragma: "no-cache",
    expires: new Date().toUTCString(),
    "content-type": "application/json;charset=UTF-8",
  };
  const bytes = new TextEncoder().encode(text);
  const phrase = reasonPhrase(message);
  const init = { status, ...(phrase === "" ? {} : { statusText: phrase }) };
  const accepted = facts.request?.headers.get("accept-encoding") ?? "";
  const isCompressed =
    /\bgzip\b/.test(accepted) &&
    bytes.length > compressedBytesMin &&
    bytes.length <= compressedBytesMax;
  const content = isCompressed ? Bun.gzipSync(bytes) : bytes;
  const packing = isCompressed ? { "content-encoding": "gzip", vary: "accept-encoding" } : {};
  const length = { "content-length": `${content.length}` };
  return new Response(content, { ...init, headers: { ...headers, ...packing, ...length } });
}

/** The first line of a message, as it may stand behind a status; "" when there is none. */
function reasonPhrase(message: string): string {
  return (message.split("\n", 1)[0] ?? "").replace(/[^\x20-\x7e]/g, "?").slice(0, 400);
}

/** Foreign text in a message: short, printable. */
function shownText(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
}
