// A small HTTP/1.1 listener for the status page: one request a connection, bounded in connections, bytes and time, for it shares its
// descriptors with the votes. What a request means is the page's business; bodies are never read.
import { createServer, type Server, type Socket } from "node:net";
import { pauseServerWhenScarce } from "../../listening.ts";
import { type Result, success, failure } from "../../result.ts";
import { listenAdvice } from "../../listening.ts";

export const pageClientsMax = 32;
export const headBytesMax = 8192;
/** From the connection to its end. */
const clientMsMax = 10_000;

export type PageHandler = (request: Request) => Response | Promise<Response>;

export class PageServer {
  readonly #handler: PageHandler;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #unwatch: () => void = () => undefined;

  private constructor(handler: PageHandler) {
    this.#handler = handler;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Listens, or says why not. `onFailed`: the listener broke later. */
  static async listen(options: {
    readonly host: string;
    readonly port: number;
    readonly handler: PageHandler;
    readonly onFailed: (reason: string) => void;
  }): Promise<Result<PageServer>> {
    const { host, port, handler, onFailed } = options;
    const page = new PageServer(handler);
    const server = page.#server;
    const { promise, resolve } = Promise.withResolvers<Result<PageServer>>();
    server.once("error", (error) =>
      resolve(
        failure(
          `the status page cannot be served on ${host} port ${port}: ${error.message}${listenAdvice(error.message)}`,
        ),
      ),
    );
    server.listen({ host, port, exclusive: true }, () => {
      server.removeAllListeners("error");
      page.#unwatch = pauseServerWhenScarce(
        server,
        { host, port: page.port, exclusive: true },
        { onError: (error) => onFailed(error.message) },
      );
      resolve(success(page));
    });
    return promise;
  }

  /** The port that is listened on; differs from the wanted one only when that is 0. */
  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  async close(): Promise<void> {
    this.#unwatch();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const client of this.#clients) client.destroy();
    await promise;
  }

  #accept(socket: Socket): void {
    if (this.#clients.size >= pageClientsMax) {
      // The one that has been there longest has had its time.
      const [oldest] = this.#clients;
      if (oldest !== undefined) this.#clients.delete(oldest);
      oldest?.destroy();
    }
    this.#clients.add(socket);
    const deadline = setTimeout(() => socket.destroy(), clientMsMax);
    socket.on("error", () => socket.destroy()); // A reader went away: nothing is lost.
    socket.on("close", () => {
      clearTimeout(deadline);
      this.#clients.delete(socket);
    });
    let head = "";
    const collect = (bytes: Uint8Array): void => {
      head += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0 && head.length <= headBytesMax) return;
      socket.off("data", collect);
      socket.resume(); // A body is thrown away.
      void this.#answer(socket, end < 0 || end > headBytesMax ? undefined : head.slice(0, end));
    };
    socket.on("data", collect);
    socket.on("end", () => {
      if (!socket.writableEnded && !head.includes("\r\n\r\n")) socket.destroy();
    });
  }

  async #answer(socket: Socket, head: string | undefined): Promise<void> {
    const request = head === undefined ? undefined : readRequest(head);
    const response =
      request === undefined
        ? new Response("this is no request\n", { status: 400 })
        : await this.#handler(request);
    const body = new Uint8Array(await response.arrayBuffer());
    if (socket.destroyed) return;
    const lines = [
      `HTTP/1.1 ${response.status} ${response.statusText || "-"}`,
      ...[...response.headers].map(([name, value]) => `${name}: ${value}`),
      // The answer to HEAD has the headers of GET, whose body nobody made.
      ...(request?.method === "HEAD" ? [] : [`content-length: ${body.length}`]),
      "connection: close",
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    socket.end(body, () => socket.destroySoon());
  }
}

/** The request of a head; undefined: it is none. */
function readRequest(head: string): Request | undefined {
  const [first = "", ...lines] = head.split("\r\n");
  const [, method = "", target = ""] =
    /^([A-Z]{1,16}) (\/[\x21-\x7e]*) HTTP\/1\.[01]$/.exec(first) ?? [];
  if (method === "") return undefined;
  try {
    const headers = new Headers();
    for (const line of lines) {
      const [, name, value] =
        /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) return undefined;
      headers.append(name, value.trimEnd());
    }
    return new Request(`http://page.invalid${target}`, { method, headers });
  } catch {
    return undefined; // A method or a header that the runtime does not take.
  }
}
