// One node of a cluster as a vote server sees it, for the load bench: TLS with the cluster's certificate, ffsplit, votes confirmed at
// once. It spends little: whoever measures shares the machine with the server.
import { sameRing, type RingId } from "../../src/world.ts";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type SecureContext } from "node:tls";
import { FrameReader } from "../../src/qnetd/session/frames.ts";
import {
  algorithms,
  decodeMessage,
  encodeMessage,
  type Message,
  supportedMessages,
  supportedOptions,
} from "../../src/qnetd/session/message.ts";

const heartbeatMs = 8000;
const configNodes = [{ nodeId: 1 }, { nodeId: 2 }];

/** "ack" or "nack", and when it came (milliseconds of `performance.now`). */
export interface Decision {
  readonly vote: "ack" | "nack";
  readonly at: number;
}

export class VoteClient {
  readonly #nodeId: number;
  readonly #frames = new FrameReader({ bytesMax: 1 << 16 });
  #socket: Socket;
  #seq = 0;
  #echoSeq = 0;
  #ring: RingId = { rep: 0, seq: 0 };
  #decided: PromiseWithResolvers<Decision> | undefined;
  #awaited:
    { readonly kind: Message["kind"]; readonly done: PromiseWithResolvers<Message> } | undefined;
  #failure: Error | undefined;
  #heart: NodeJS.Timeout | undefined;
  #isEnding = false;

  private constructor(nodeId: number, socket: Socket) {
    this.#nodeId = nodeId;
    this.#socket = socket;
  }

  /** Connected, in TLS, introduced, with its configuration told. */
  static async open(options: {
    readonly port: number;
    readonly cluster: string;
    readonly nodeId: number;
    readonly tls: SecureContext;
  }): Promise<VoteClient> {
    const { port, cluster, nodeId, tls } = options;
    const opened = Promise.withResolvers<void>();
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => opened.resolve());
    socket.once("error", opened.reject);
    await opened.promise;
    socket.removeAllListeners("error");
    const client = new VoteClient(nodeId, socket);
    client.#listen(socket);
    await client.#ask({ kind: "preinit", clusterName: cluster }, "preinitReply");
    client.#send({ kind: "startTls" });
    await client.#secure(tls);
    const reply = await client.#ask(
      {
        kind: "init",
        supportedMessages,
        supportedOptions,
        nodeId,
        algorithm: algorithms.indexOf("ffsplit"),
        heartbeatMs,
        tieBreaker: { mode: "lowest" },
        ring: { rep: nodeId, seq: 1 },
      },
      "initReply",
    );
    if (reply.errorCode !== 0) throw new Error(`init refused: error ${reply.errorCode}`);
    await client.#ask(
      { kind: "nodeList", nodeListType: "initialConfig", configVersion: 1, nodes: configNodes },
      "nodeListReply",
    );
    client.#heart = setInterval(() => client.#beat(), heartbeatMs);
    return client;
  }

  /** Reports a membership; the answer is the vote that counts in this ring. */
  membership(ring: RingId, members: readonly number[]): Promise<Decision> {
    this.#ring = ring;
    this.#decided = Promise.withResolvers();
    if (this.#failure !== undefined) this.#decided.reject(this.#failure);
    const nodes = members.map((nodeId) => ({ nodeId }));
    this.#send({ kind: "nodeList", nodeListType: "membership", ring, nodes });
    return this.#decided.promise;
  }

  #beat(): void {
    this.#echoSeq += 1;
    this.#socket.write(encodeMessage({ kind: "echoRequest", seq: this.#echoSeq }));
  }

  end(): void {
    this.#isEnding = true;
    clearInterval(this.#heart);
    this.#socket.destroy();
  }

  #send(message: Message): void {
    this.#seq += 1;
    this.#socket.write(encodeMessage({ ...message, seq: this.#seq }));
  }

  #ask(message: Message, kind: Message["kind"]): Promise<Message> {
    const done = Promise.withResolvers<Message>();
    if (this.#failure !== undefined) done.reject(this.#failure);
    this.#awaited = { kind, done };
    this.#send(message);
    return done.promise;
  }

  async #secure(secureContext: SecureContext): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket.removeAllListeners();
    const secure = connectTls(
      {
        socket: this.#socket,
        secureContext,
        servername: "Qnetd Server",
        // The name is the server's common name, not the host's.
        checkServerIdentity: () => undefined,
      },
      () => resolve(),
    );
    secure.once("error", reject);
    await promise;
    secure.removeAllListeners("error");
    this.#socket = secure;
    this.#listen(secure);
  }

  #listen(socket: Socket): void {
    socket.on("data", (bytes: Uint8Array) => this.#received(bytes));
    socket.on("error", (error: Error) => this.#failed(error));
    socket.on("close", () => this.#failed(new Error("the server closed the connection")));
  }

  #failed(error: Error): void {
    if (this.#isEnding) return;
    this.#failure ??= error;
    this.#awaited?.done.reject(error);
    this.#decided?.reject(error);
  }

  #received(bytes: Uint8Array): void {
    this.#frames.push(bytes);
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      const decoded = frame.kind === "message" ? decodeMessage(frame.bytes) : undefined;
      if (decoded?.ok !== true) return this.#failed(new Error("the server sent nonsense"));
      this.#take(decoded.value);
    }
  }

  #take(message: Message): void {
    const { kind, seq, vote, ring } = message;
    if (kind === "serverError") return this.#failed(new Error(`error ${message.errorCode}`));
    if (kind === "voteInfo" && seq !== undefined) {
      this.#socket.write(encodeMessage({ kind: "voteInfoReply", seq }));
    }
    const isOfThisRing = ring !== undefined && sameRing(ring, this.#ring);
    if (isOfThisRing && (vote === "ack" || vote === "nack")) {
      this.#decided?.resolve({ vote, at: performance.now() });
    }
    if (this.#awaited?.kind !== kind) return;
    this.#awaited.done.resolve(message);
    this.#awaited = undefined;
  }

  toString(): string {
    return `node ${this.#nodeId}`;
  }
}
