// The vote server's local socket (qnetd.md §6): one request a connection, one answer, then the server closes. `corosync-qnetd-tool`
// of either program speaks to either daemon. Bounded in connections, bytes and time.
import { rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { bytesOf, joinBytes } from "../../bytes.ts";
import { type Result, success, failure, reasonOf } from "../../result.ts";
import { Directory } from "../../directory.ts";
import { pauseServerWhenScarce } from "../../listening.ts";
import { groupId } from "../../libc.ts";
import {
  encodeToolCommand,
  readToolReply,
  type ToolCommand,
  type ToolRequest,
  ToolRequestReader,
} from "./tool-socket-request.ts";

const requestMsMax = 10_000;
/** The longest answer a client of ours takes: the original's servers may be told to send more than their 10 MiB. */
const answerBytesMax = 64 << 20;
const answerMsMax = 30_000;
const umaskDefault = 0o022;

export interface ToolSocketOptions {
  readonly path: string;
  readonly backlog: number;
  /** Undefined: 022. */
  readonly umask: number | undefined;
  /** A group's name or number; undefined: unchanged. */
  readonly group: string | undefined;
  /** 0: no limit. */
  readonly clientsMax: number;
  readonly requestBytesMax: number;
  readonly answerBytesMax: number;
  /** What a line asks for; default: as the vote server reads it. */
  readonly read?: (line: string) => ToolRequest;
  /** The answer's text (UTF-8); not asked for errors. What it throws or rejects with is the text of an error. */
  readonly answer: (request: Exclude<ToolRequest, { kind: "error" }>) => string | Promise<string>;
  /** Called when the answer of a shutdown has left. */
  readonly shutdown: () => void;
  readonly onRefused: (reason: string) => void;
}

export class ToolSocket {
  readonly #options: ToolSocketOptions;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #unwatch: () => void = () => undefined;

  private constructor(options: ToolSocketOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Listens at the path; what was there is removed. The caller knows that nobody else serves it. */
  static async listen(options: ToolSocketOptions): Promise<Result<ToolSocket>> {
    const group = groupOf(options.group);
    if (group === undefined) return failure(`there is no group "${options.group}"`);
    const socket = new ToolSocket(options);
    const before = process.umask(0o077);
    try {
      Directory.make(dirname(options.path), 0o700);
      using directory = Directory.open(dirname(options.path));
      const name = basename(options.path);
      directory.remove(name);
      await socket.#listen();
      directory.settleSocket(name, 0o777 & ~(options.umask ?? umaskDefault), group);
      socket.#watch(group);
      return success(socket);
    } catch (error) {
      socket.#server.close();
      const reason = reasonOf(error);
      return failure(`the local socket ${options.path} cannot be made: ${reason}`);
    } finally {
      process.umask(before);
    }
  }

  /** Stops listening, ends all clients, removes the socket. */
  close(): void {
    this.#unwatch();
    this.#server.close();
    for (const client of this.#clients) client.destroy();
    rmSync(this.#options.path, { force: true });
  }

  #listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen({ path: this.#options.path, backlog: this.#options.backlog }, () => {
      this.#server.removeAllListeners("error");
      resolve();
    });
    return promise;
  }

  /** The socket is made anew when it was paused for want of descriptors. `group`: -1 when it stays as it is. */
  #watch(group: number): void {
    const { path, backlog, umask = umaskDefault, onRefused } = this.#options;
    const onListening = (): void => {
      try {
        using directory = Directory.open(dirname(path));
        directory.settleSocket(basename(path), 0o777 & ~umask, group);
      } catch (error) {
        onRefused(reasonOf(error));
      }
    };
    const onError = (error: Error): void => onRefused(error.message);
    this.#unwatch = pauseServerWhenScarce(
      this.#server,
      { path, backlog },
      { onListening, onError },
    );
  }

  #accept(socket: Socket): void {
    const { clientsMax, requestBytesMax, onRefused, read } = this.#options;
    if (clientsMax > 0 && this.#clients.size >= clientsMax) {
      onRefused("Maximum IPC clients reached. Not accepting connection");
      return void socket.destroy();
    }
    this.#clients.add(socket);
    const reader = new ToolRequestReader({
      bytesMax: requestBytesMax,
      ...(read === undefined ? {} : { read }),
    });
    const deadline = setTimeout(() => socket.destroy(), requestMsMax);
    socket.on("error", () => socket.destroy()); // The user at the other end is gone: nothing is lost.
    socket.on("close", () => {
      clearTimeout(deadline);
      this.#clients.delete(socket);
    });
    socket.on("end", () => socket.end());
    socket.on("data", (bytes: Uint8Array) => {
      const request = reader.push(bytes);
      if (request === undefined) return;
      if (request === "tooLong") {
        onRefused("Can't store message from IPC client. Disconnecting client.");
        return void socket.destroy();
      }
      this.#serve(socket, request);
    });
  }

  #serve(socket: Socket, request: ToolRequest): void {
    if (request.kind === "shutdown") {
      socket.once("close", () => this.#options.shutdown());
    }
    void this.#answer(request).then((answer) => socket.end(answer, () => socket.destroySoon()));
  }

  /** Never rejects. */
  async #answer(request: ToolRequest): Promise<Uint8Array> {
    if (request.kind === "error") return bytesOf(`Error\n${request.reason}\n`);
    let text: string;
    try {
      text = await this.#options.answer(request);
    } catch (error) {
      return new TextEncoder().encode(`Error\n${reasonOf(error)}\n`);
    }
    const answer = new TextEncoder().encode(`OK\n${text}`);
    return answer.length <= this.#options.answerBytesMax
      ? answer
      : bytesOf("Error\nInternal IPC buffer too small\n");
  }
}

export type ToolAnswer =
  | { readonly kind: "ok"; readonly text: Uint8Array }
  /** `text`: the daemon's reason, with its line end. */
  | { readonly kind: "error"; readonly text: Uint8Array }
  /** The errno's name when nobody answers there, such as "ENOENT". */
  | { readonly kind: "unreachable"; readonly errno: string }
  | { readonly kind: "unknown"; readonly reason: string };

/** Sends one request to a daemon, ours or the original, and waits for the whole answer. Never throws. */
export function askTool(
  path: string,
  command: ToolCommand,
  patienceMs: number = answerMsMax,
): Promise<ToolAnswer> {
  const { promise, resolve } = Promise.withResolvers<ToolAnswer>();
  const pieces: Uint8Array[] = [];
  let size = 0;
  let isConnected = false;
  const socket = connect({ path });
  const end = (answer: ToolAnswer): void => {
    clearTimeout(deadline);
    socket.destroy();
    resolve(answer);
  };
  const deadline = setTimeout(
    () => end({ kind: "unknown", reason: `No whole answer of the IPC server in ${patienceMs} ms` }),
    patienceMs,
  );
  socket.on("connect", () => {
    isConnected = true;
    socket.write(encodeToolCommand(command));
  });
  socket.on("data", (bytes: Uint8Array) => {
    size += bytes.length;
    if (size > answerBytesMax)
      return end({ kind: "unknown", reason: "The answer of the IPC server is too long" });
    pieces.push(bytes.slice());
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    const errno = error.code ?? error.message;
    // A daemon that refuses at once may cut the connection: what it said before counts.
    if (isConnected) end(answerOf(joinBytes(pieces)));
    else end({ kind: "unreachable", errno });
  });
  socket.on("end", () => end(answerOf(joinBytes(pieces))));
  socket.on("close", () => end(answerOf(joinBytes(pieces))));
  return promise;
}

function answerOf(bytes: Uint8Array): ToolAnswer {
  const reply = readToolReply(bytes);
  switch (reply.kind) {
    case "ok":
    case "error":
      return { kind: reply.kind, text: reply.text };
    case "unknown":
      return { kind: "unknown", reason: "Unknown status line returned by IPC server" };
    case "cut":
      // The original's tool takes this for an empty answer and ends well.
      return { kind: "unknown", reason: "The IPC server closed the connection without an answer" };
  }
  return reply satisfies never;
}

/** -1: unchanged; undefined: there is no such group. */
function groupOf(group: string | undefined): number | undefined {
  if (group === undefined) return -1;
  return /^\d{1,9}$/.test(group) ? Number(group) : groupId(group);
}
