// One request of the network API, between the runtime's HTTP server and the app: node's objects become a Request, and a Response goes back with its own
// reason phrase, which neither Bun.serve nor hono's adapter can send. The body is read up to its limit and no further.
import type { IncomingMessage, ServerResponse } from "node:http";

export interface ExchangeOptions {
  /** Of the other side. */
  readonly address: string;
  readonly bodyBytesMax: number;
  readonly fetch: (
    request: Request,
    facts: { readonly address: string },
  ) => Response | Promise<Response>;
  /** What begins now: the connection's time follows it. */
  readonly enter: (phase: "body" | "work" | "answer") => void;
}

/** Never rejects. Resolves once the answer is written, or its reader gone. */
export async function exchange(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  options: ExchangeOptions,
): Promise<void> {
  const gone = new AbortController();
  outgoing.on("close", () => gone.abort());
  // Its reader went away: nothing is lost.
  outgoing.on("error", () => gone.abort());
  incoming.on("error", () => gone.abort());
  const response = await responseTo(incoming, options, gone.signal);
  options.enter("answer");
  if (gone.signal.aborted) return;
  try {
    await write(response, outgoing, incoming.method === "HEAD", () => options.enter("answer"));
  } catch {
    // The app's stream failed in its middle, or a header is none: what has been sent already cannot be taken back.
    outgoing.destroy();
  }
}

async function responseTo(
  incoming: IncomingMessage,
  options: ExchangeOptions,
  signal: AbortSignal,
): Promise<Response> {
  const headers = headersOf(incoming.rawHeaders);
  const { method = "", url = "" } = incoming;
  if (headers === undefined || !/^\/[\x21-\x7e]*$/.test(url))
    return new Response(null, { status: 400 });
  // A Request cannot have them.
  if (/^(?:CONNECT|TRACE|TRACK)$/i.test(method)) {
    return new Response(null, { status: 501, statusText: `method '${method}' not available` });
  }
  const length = Number(headers.get("content-length") ?? 0);
  if (!(length <= options.bodyBytesMax)) {
    return new Response(null, {
      status: 413,
      statusText: `a request body has at most ${options.bodyBytesMax} bytes`,
    });
  }
  const isRead = length > 0 && !["GET", "HEAD", "DELETE"].includes(method);
  if (isRead) options.enter("body");
  const body = isRead ? await bodyOf(incoming, length, signal) : undefined;
  if (isRead && body === undefined) return new Response(null, { status: 400 });
  options.enter("work");
  const request = requestOf(`https://node.invalid${url}`, {
    method,
    headers,
    signal,
    ...(body === undefined ? {} : { body }),
  });
  if (request === undefined) return new Response(null, { status: 400 });
  try {
    return await options.fetch(request, { address: options.address });
  } catch {
    return new Response(null, { status: 500 }); // The app answers its own errors; this is one of the app itself.
  }
}

function requestOf(url: string, init: RequestInit): Request | undefined {
  try {
    return new Request(url, init);
  } catch {
    return undefined; // A path or method that the runtime takes for none.
  }
}

function headersOf(raw: readonly string[]): Headers | undefined {
  const headers = new Headers();
  try {
    for (let index = 0; index + 1 < raw.length; index += 2) {
      headers.append(raw[index] ?? "", raw[index + 1] ?? "");
    }
    return headers;
  } catch {
    return undefined; // A name or value that is none.
  }
}

/** Of the length that was announced; undefined: its sender went away. */
async function bodyOf(
  incoming: IncomingMessage,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const body = new Uint8Array(length);
  let filled = 0;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  incoming.on("data", (piece: Uint8Array) => {
    const fits = piece.subarray(0, length - filled);
    body.set(fits, filled);
    filled += fits.length;
  });
  incoming.on("end", () => resolve(filled === length));
  signal.addEventListener("abort", () => resolve(false));
  return (await promise) ? body : undefined;
}

async function write(
  response: Response,
  outgoing: ServerResponse,
  isHead: boolean,
  onTaken: () => void,
): Promise<void> {
  outgoing.statusCode = response.status;
  if (response.statusText !== "") outgoing.statusMessage = response.statusText;
  for (const [name, value] of response.headers) {
    if (name !== "set-cookie") outgoing.setHeader(name, value);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader("set-cookie", cookies);
  // What is left of an unread body must not be taken for the next request.
  if (response.status >= 400) outgoing.setHeader("connection", "close");
  if (response.body === null) outgoing.setHeader("content-length", "0");
  else if (!isHead) {
    for await (const piece of response.body) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(piece)) await drained(outgoing);
      onTaken();
    }
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  outgoing.on("close", resolve);
  outgoing.end(resolve);
  await promise;
}

async function drained(outgoing: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  outgoing.once("drain", resolve);
  outgoing.once("close", resolve);
  await promise;
  outgoing.off("drain", resolve);
  outgoing.off("close", resolve);
}
