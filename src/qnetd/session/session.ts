// One connection of the vote server as a state machine (qnetd.md §1.4–1.7): preinit, StartTLS, init, then reports and votes. It
// answers every fault with the original's error code and stays open; it must never throw on what a client sends.
import { textOfByteString } from "../../bytes.ts";
import { Client } from "../vote/algorithm.ts";
import type { CertificateNames } from "../pki/certificate-name.ts";
import type { CertifiedNames } from "./certified-names.ts";
import type { Cluster, ClusterCall } from "../vote/cluster.ts";
import type { VoteServerConfiguration } from "../server/configuration.ts";
import { logAction, type VoteServerAction } from "./events.ts";
import { FrameReader, type Frame } from "./frames.ts";
import {
  algorithms,
  decodeMessage,
  errorCodes,
  supportedAlgorithms,
  supportedMessages,
  supportedOptions,
  type ErrorName,
  type Message,
} from "./message.ts";
import { echoReply, hasName, nameOf, replyTo, reportOf } from "./session-messages.ts";
import type { LogAction } from "../../world.ts";
import type { ServerCounters } from "./counters.ts";

/** Refusals that are logged for one connection; a client that goes on is answered in silence. */
const complaintsMax = 8;
const certificateDue =
  "Init without TLS, though its cluster has a certificate of this server. If it is one of the cluster's nodes, " +
  'set "tls: on" in quorum.device.net of its corosync.conf and start its device anew; to let such nodes in without, as the ' +
  "original does, start the vote server with --allow-plaintext (corosync-qnetd: -S allow_plaintext=on)";

/** What a session may do during one step. */
export interface SessionCall extends ClusterCall {
  readonly out: VoteServerAction[];
  sendBytes(connection: number, bytes: Uint8Array): void;
  readonly counters: ServerCounters;
  /** The cluster of this name (a byte string), made when it is not there: for a client that joins it. */
  cluster(name: string): Cluster;
  /** The same, if it is there. */
  find(name: string): Cluster | undefined;
  /** The names whose clients must show a certificate. */
  readonly certified: CertifiedNames;
  /** Room for a client after its init, or why there is none. `isNewCluster`: the first of its cluster. */
  settle(
    connection: number,
    client: { readonly isVerified: boolean; readonly isNewCluster: boolean },
  ): string | undefined;
  /** Closes the connection of another client. */
  evict(connection: number, why: string): void;
  /** Why a client was refused its place, for the operator; "": nothing more is known. */
  duplicateNode(cluster: Cluster, nodeId: number, address: string): string;
}

type Tls = "plain" | "handshake" | "secure";

export class Session {
  readonly connection: number;
  readonly address: string;
  readonly port: number;
  readonly connectedAt: number;
  readonly #configuration: VoteServerConfiguration;
  readonly #frames: FrameReader;
  #heardAt: number;
  #tls: Tls = "plain";
  #certificate: CertificateNames | undefined;
  /** The cluster name that the certificate was compared with. */
  #verifiedName: string | undefined;
  /** A byte string; undefined before preinit. */
  #clusterName: string | undefined;
  #client: Client | undefined;
  #cluster: Cluster | undefined;
  #isClosed = false;
  #complaints = 0;

  constructor(
    configuration: VoteServerConfiguration,
    options: {
      readonly connection: number;
      readonly address: string;
      readonly port: number;
      readonly now: number;
    },
  ) {
    this.#configuration = configuration;
    this.connection = options.connection;
    this.address = options.address;
    this.port = options.port;
    this.connectedAt = options.now;
    this.#heardAt = options.now;
    this.#frames = new FrameReader({ bytesMax: configuration.receiveBytesMax });
  }

  /** The client after its init. */
  get client(): Client | undefined {
    return this.#client;
  }
  get cluster(): Cluster | undefined {
    return this.#cluster;
  }
  /** Nodes in the lists that are kept for this client. */
  get listed(): number {
    const client = this.#client;
    if (client === undefined) return 0;
    return client.configNodes.length + client.members.size + client.quorumNodes.length;
  }
  /** When the last whole message came. */
  get heardAt(): number {
    return this.#heardAt;
  }
  get isSecure(): boolean {
    return this.#tls === "secure";
  }
  get isCertificateVerified(): boolean {
    return this.#verifiedName !== undefined && this.#verifiedName === this.#clusterName;
  }
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Dead peer detection begins with the connection; before init with the longest heartbeat (§1.7). */
  begin(call: SessionCall): void {
    this.#armDead(call);
  }

  received(bytes: Uint8Array, call: SessionCall): void {
    if (this.#isClosed) return;
    if (this.#tls === "handshake") {
      return this.close("sent data before its TLS handshake was over", call);
    }
    this.#frames.push(bytes);
    let isWhole = false;
    for (;;) {
      const frame = this.#frames.next();
      if (frame === undefined) break;
      // Skipped messages do not count for dead peer detection.
      if (frame.kind === "message") {
        isWhole = true;
        this.#hear(call.now);
      }
      this.#handle(frame, call);
      if (this.#isClosed) return;
    }
    if (isWhole) this.#armDead(call);
  }

  tlsDone(certificate: CertificateNames | undefined, call: SessionCall): void {
    if (this.#isClosed || this.#tls !== "handshake") return;
    if (certificate === undefined && this.#configuration.isClientCertificateRequired) {
      return this.close("showed no client certificate", call);
    }
    this.#tls = "secure";
    this.#certificate = certificate;
  }

  /** Closes from our side; the client does not know it yet. */
  close(why: string, call: SessionCall): void {
    if (this.#isClosed) return;
    this.#log("warning", `${this.#who()} ${why}; its connection is closed`, call);
    this.ended(false, call);
    call.out.push({ kind: "close", connection: this.connection, why });
  }

  /** The connection is gone (§2.1, disconnect). */
  ended(isPeerAware: boolean, call: SessionCall): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    call.timer({ kind: "disarm", timer: `dead:${this.connection}` });
    if (this.#client !== undefined) this.#cluster?.leave(this.#client, isPeerAware, call);
  }

  #hear(now: number): void {
    this.#heardAt = now;
    if (this.#client !== undefined) this.#client.heardAt = now;
  }

  #armDead(call: SessionCall): void {
    if (!this.#configuration.hasDeadPeerDetection) return;
    const heartbeatMs = this.#client?.heartbeatMs ?? this.#configuration.heartbeatMsMax;
    const at = call.now + heartbeatMs * this.#configuration.deadPeerCoefficient;
    call.timer({ kind: "arm", timer: `dead:${this.connection}`, at });
  }

  #handle(frame: Frame, call: SessionCall): void {
    call.counters.messages += 1;
    switch (frame.kind) {
      case "unknownType":
        return this.#refuse("unsupportedMessage", undefined, `unknown type ${frame.type}`, call);
      case "tooLong":
        return this.#refuse("messageTooLong", undefined, `${frame.bytes} bytes`, call);
      case "message": {
        const decoded = decodeMessage(frame.bytes);
        if (!decoded.ok) return this.#refuse("undecodable", decoded.seq, decoded.reason, call);
        return this.#dispatch(decoded.value, frame.bytes, call);
      }
    }
    frame satisfies never;
  }

  #dispatch(message: Message, bytes: Uint8Array, call: SessionCall): void {
    switch (message.kind) {
      case "preinit":
        return this.#preinit(message, call);
      case "startTls":
        return this.#startTls(message, call);
      case "init":
        if (this.#isAllowed(message, call) && this.#isPlaintextFit(message, call)) {
          this.#init(message, call);
        }
        return;
      case "setOption":
      case "echoRequest":
      case "nodeList":
      case "askForVote":
      case "voteInfoReply":
      case "heuristicsChange": {
        if (!this.#isAllowed(message, call)) return;
        const client = this.#client;
        const cluster = this.#cluster;
        if (client === undefined || cluster === undefined) {
          return this.#refuse("initRequired", message.seq, nameOf(message), call);
        }
        return this.#serve(message, bytes, { client, cluster, call });
      }
      case "preinitReply":
      case "initReply":
      case "serverError":
      case "setOptionReply":
      case "echoReply":
      case "nodeListReply":
      case "askForVoteReply":
      case "voteInfo":
      case "heuristicsChangeReply":
        return this.#refuse("unexpectedMessage", message.seq, nameOf(message), call);
    }
    message.kind satisfies never;
  }

  #serve(
    message: Message,
    bytes: Uint8Array,
    served: { readonly client: Client; readonly cluster: Cluster; readonly call: SessionCall },
  ): void {
    const { client, cluster, call } = served;
    if (message.kind === "setOption") return this.#setOption(message, client, call);
    if (message.kind === "echoRequest") {
      if (bytes.length > this.#configuration.sendBytesMax) {
        return this.close("wants a longer echo than this server may send", call);
      }
      return call.sendBytes(this.connection, echoReply(bytes));
    }
    if (message.seq === undefined) return this.#refuseMissing(message, call);
    if (message.kind === "voteInfoReply") return cluster.confirmed(client, message.seq, call);
    const report = reportOf(message);
    if (report === undefined) return this.#refuseMissing(message, call);
    const answer = cluster.report(client, report, call);
    if ("error" in answer) return this.#refuse(answer.error, message.seq, nameOf(message), call);
    call.send(this.connection, replyTo(message, client, answer.vote));
  }

  #preinit(message: Message, call: SessionCall): void {
    const { seq, clusterName } = message;
    if (clusterName === undefined) return this.#refuseMissing(message, call);
    // After init the name is fixed: the original takes the new one without leaving the old cluster.
    if (this.#client === undefined) this.#clusterName = clusterName;
    const { tls, isClientCertificateRequired } = this.#configuration;
    call.send(this.connection, {
      kind: "preinitReply",
      ...(seq === undefined ? {} : { seq }),
      tlsSupport: tls === "off" ? "unsupported" : tls === "on" ? "supported" : "required",
      clientCertificateRequired: isClientCertificateRequired,
    });
  }

  #startTls(message: Message, call: SessionCall): void {
    if (this.#clusterName === undefined) {
      return this.#refuse("preinitRequired", message.seq, nameOf(message), call);
    }
    if (this.#configuration.tls === "off") {
      return this.close("wants TLS, which is off on this server", call);
    }
    if (this.#tls !== "plain" || this.#client !== undefined) {
      return this.#refuse("unexpectedMessage", message.seq, nameOf(message), call);
    }
    this.#tls = "handshake";
    call.out.push({
      kind: "startTls",
      connection: this.connection,
      rest: this.#frames.rest(),
    });
  }

  /** TLS where it is required, and a certificate of the cluster's name where there is TLS (§1.6). */
  #isAllowed(message: Message, call: SessionCall): boolean {
    if (this.#configuration.tls === "required" && this.#tls === "plain") {
      this.#refuse("tlsRequired", message.seq, nameOf(message), call);
      return false;
    }
    if (this.#tls !== "secure" || !this.#configuration.isClientCertificateRequired) return true;
    const name = this.#clusterName;
    // Compared again when the name has changed since: the original looks at the first checked message only.
    if (name === undefined || name === this.#verifiedName) return true;
    if (this.#certificate !== undefined && hasName(this.#certificate, name)) {
      this.#verifiedName = name;
      call.certified.shown(this.#certificate);
      return true;
    }
    this.close("showed a certificate that is not for this cluster name", call);
    return false;
  }

  /** Where certificates are asked for, a cluster that has one must show it. */
  get #isCertificateDue(): boolean {
    const { tls, isClientCertificateRequired, isPlaintextAllowed } = this.#configuration;
    return tls !== "off" && isClientCertificateRequired && !isPlaintextAllowed;
  }

  /** Answered as plain text where TLS is required: the original's clients know no other refusal of it. */
  #isPlaintextFit(message: Message, call: SessionCall): boolean {
    const name = this.#clusterName;
    if (this.#tls !== "plain" || !this.#isCertificateDue) return true;
    if (name === undefined || !call.certified.has(name)) return true;
    this.#refuse("tlsRequired", message.seq, certificateDue, call);
    return false;
  }

  #init(message: Message, call: SessionCall): void {
    const error = this.#join(message, call);
    if (this.#isClosed) return;
    call.send(this.connection, {
      kind: "initReply",
      errorCode: errorCodes[error ?? "none"],
      ...(message.supportedMessages === undefined ? {} : { supportedMessages }),
      ...(message.supportedOptions === undefined ? {} : { supportedOptions }),
      ...(message.seq === undefined ? {} : { seq: message.seq }),
      requestBytesMax: this.#configuration.receiveBytesMax,
      replyBytesMax: this.#configuration.sendBytesMax,
      supportedAlgorithms,
    });
    if (error !== undefined) return this.#complain(`init refused: ${error}`, call);
    this.#log("info", `${this.#who()} joined (${this.#client?.algorithm ?? ""})`, call);
  }

  /** The checks of init in their order (§1.5); undefined: the client is in. */
  #join(message: Message, call: SessionCall): ErrorName | undefined {
    const { nodeId, ring, heartbeatMs, tieBreaker, algorithm: number } = message;
    const name = this.#clusterName;
    if (name === undefined) return "preinitRequired";
    if (!nodeId || ring === undefined || heartbeatMs === undefined) return "requiredOptionMissing";
    if (!this.#isHeartbeat(heartbeatMs)) return "invalidHeartbeat";
    if (tieBreaker === undefined || number === undefined) return "requiredOptionMissing";
    const algorithm = algorithms[number];
    if (algorithm === undefined) return "unsupportedAlgorithm";
    // The original overwrites the live client's values before it refuses.
    if (this.#client !== undefined) return "duplicateNodeId";
    const client = new Client({
      connection: this.connection,
      nodeId,
      isVerified: this.isCertificateVerified,
      algorithm,
      tieBreaker,
      heartbeatMs,
      ring,
      keepActivePartition: this.#configuration.keepActivePartition,
      now: call.now,
    });
    const { now } = call;
    const isCertificateDue = this.#isCertificateDue;
    const there = call.find(name);
    const yielding = there?.checkJoin(client, { now, isCertificateDue }) ?? [];
    if (there !== undefined && yielding === "duplicateNodeId") {
      const duplicate = call.duplicateNode(there, nodeId, this.address);
      if (duplicate !== "") this.#complain(duplicate, call);
    }
    if (typeof yielding === "string") return yielding;
    for (const other of yielding) {
      const why = other.isVerified ? "is silent and its node has come back" : "has no certificate";
      call.evict(other.connection, `${why}: it makes room for ${this.address}:${this.port}`);
    }
    const { isVerified } = client;
    const full = call.settle(this.connection, { isVerified, isNewCluster: there === undefined });
    if (full !== undefined) {
      this.close(`finds no room: ${full}`, call);
      return undefined;
    }
    // The one that was there may have ended with its last client.
    const cluster = call.cluster(name);
    cluster.join(client, call);
    this.#client = client;
    this.#cluster = cluster;
    return undefined;
  }

  #isHeartbeat(ms: number): boolean {
    return ms >= this.#configuration.heartbeatMsMin && ms <= this.#configuration.heartbeatMsMax;
  }

  #setOption(message: Message, client: Client, call: SessionCall): void {
    const { seq, heartbeatMs, keepActivePartition } = message;
    if (seq === undefined && heartbeatMs === undefined && keepActivePartition === undefined) {
      return this.#refuseMissing(message, call);
    }
    if (heartbeatMs !== undefined && !this.#isHeartbeat(heartbeatMs)) {
      return this.#refuse("invalidHeartbeat", seq, `${heartbeatMs} ms`, call);
    }
    if (heartbeatMs !== undefined) client.heartbeatMs = heartbeatMs;
    if (keepActivePartition !== undefined) client.keepActivePartition = keepActivePartition;
    call.send(this.connection, { ...message, kind: "setOptionReply" });
  }

  #refuseMissing(message: Message, call: SessionCall): void {
    const what = `${nameOf(message)} without an option that it needs`;
    this.#refuse("requiredOptionMissing", message.seq, what, call);
  }

  #refuse(error: ErrorName, seq: number | undefined, what: string, call: SessionCall): void {
    call.counters.faults += 1;
    call.send(this.connection, {
      kind: "serverError",
      ...(seq === undefined ? {} : { seq }),
      errorCode: errorCodes[error],
    });
    this.#complain(`refused (${error}): ${what}`, call);
  }

  #complain(what: string, call: SessionCall): void {
    this.#complaints += 1;
    if (this.#complaints > complaintsMax) return;
    const more = this.#complaints === complaintsMax ? "; further ones are not logged" : "";
    this.#log("warning", `${this.#who()}: ${what}${more}`, call);
  }

  #log(level: LogAction["level"], text: string, call: SessionCall): void {
    call.out.push(logAction(level, text, this.isCertificateVerified));
  }

  /** The connection for people. */
  #who(): string {
    const at = `${this.address}:${this.port}`;
    const { nodeId } = this.#client ?? {};
    if (this.#clusterName === undefined) return `client ${at}`;
    const cluster = `cluster "${textOfByteString(this.#clusterName)}"`;
    return nodeId === undefined
      ? `client ${at} of ${cluster}`
      : `node ${nodeId} of ${cluster} (${at})`;
  }
}
