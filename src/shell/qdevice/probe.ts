// Is there a vote server at this address, and is it the one of our authority? Asked before anything of the cluster is changed: the first
// two messages of the protocol (qnetd.md §1.4, §1.6), TLS as a node does it, and the end of the connection. No vote is asked for.
import { X509Certificate } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { byteStringOfText } from "../../bytes.ts";
import { type Result, success, failure } from "../../result.ts";
import { isVoteServer } from "../../node/device/connection.ts";
import { FrameReader } from "../../qnetd/session/frames.ts";
import { decodeMessage, encodeMessage, type Message } from "../../qnetd/session/message.ts";
import { pem, serverName } from "../../qnetd/pki/pki.ts";
import type { ClusterIdentity } from "./device-identity.ts";

const probeMsMax = 15_000;
const messageBytesMax = 32_768;

export interface Probe {
  readonly host: string;
  readonly port: number;
  readonly cluster: string;
  /** What corosync.conf shall say. */
  readonly tls: "off" | "on" | "required";
  /** Undefined: without certificates, when TLS is off. */
  readonly identity: ClusterIdentity | undefined;
}

/** What is seen on the way, in this order. */
export type ProbeSight =
  | { readonly kind: "connected"; readonly address: string }
  /** It is a vote server. */
  | { readonly kind: "answered"; readonly tls: "unsupported" | "supported" | "required" }
  /** Its certificate is of our authority. */
  | {
      readonly kind: "secured";
      /** "TLSv1.3" */
      readonly protocol: string;
      /** Unix milliseconds. */
      readonly goodUntil: number;
      readonly fingerprint: string;
    };

/** The reason is a sentence that names the server and what to do. `see` is told of what worked. */
export async function probeVoteServer(
  probe: Probe,
  see: (sight: ProbeSight) => void = () => undefined,
): Promise<Result<{ readonly tls: boolean }>> {
  const where = `${probe.host} port ${probe.port}`;
  const { promise, resolve } = Promise.withResolvers<Result<{ readonly tls: boolean }>>();
  const fail = (reason: string): void => resolve(failure(reason));
  const socket = connect({ host: probe.host, port: probe.port });
  const deadline = setTimeout(
    () => fail(`the vote server at ${where} gave no answer in ${probeMsMax / 1000} s`),
    probeMsMax,
  );
  socket.once("connect", () => {
    see({ kind: "connected", address: socket.remoteAddress ?? probe.host });
    const clusterName = byteStringOfText(probe.cluster);
    socket.write(encodeMessage({ kind: "preinit", seq: 1, clusterName }));
  });
  const onLost = (error?: NodeJS.ErrnoException): void =>
    fail(
      `no vote server answers at ${where}${error?.code === undefined ? "" : ` (${error.code})`}: start it, and open this TCP port between it and every node`,
    );
  socket.on("error", onLost);
  socket.on("close", () => onLost());
  const frames = new FrameReader({ bytesMax: messageBytesMax });
  socket.on("data", (bytes: Uint8Array) => {
    frames.push(bytes);
    const frame = frames.next();
    if (frame === undefined) return;
    const answer = frame.kind === "message" ? decodeMessage(frame.bytes) : undefined;
    if (answer?.ok !== true || answer.value.kind !== "preinitReply") {
      return fail(`what answers at ${where} is no vote server (corosync-qnetd)`);
    }
    see({ kind: "answered", tls: answer.value.tlsSupport ?? "supported" });
    const result = plainResult(probe, answer.value, where);
    if (result !== undefined) return resolve(result);
    secure(probe, socket, where, { see, resolve });
  });
  const outcome = await promise;
  clearTimeout(deadline);
  socket.destroy();
  return outcome;
}

/** By the table of qnetd.md §1.6; undefined: go on with TLS. */
function plainResult(
  { host, tls, identity }: Probe,
  { tlsSupport }: Message,
  where: string,
): Result<{ readonly tls: boolean }> | undefined {
  switch (tlsSupport) {
    case "unsupported":
      // A node that has a certificate takes no vote without TLS.
      if (tls === "off" || (tls === "on" && identity === undefined)) return success({ tls: false });
      return failure(
        `the vote server at ${where} runs without TLS: start it with TLS, or set the device up with "quorate qdevice setup ${host} --tls off"`,
      );
    case "required":
      if (tls !== "off") break;
      return failure(
        `the vote server at ${where} demands TLS: set the device up with a token or with certificates`,
      );
    default:
      if (tls === "off") return success({ tls: false });
  }
  if (identity !== undefined) return undefined;
  return failure(`the vote server at ${where} offers TLS, and there are no certificates for it`);
}

function secure(
  { identity }: Probe,
  socket: Socket,
  where: string,
  {
    see,
    resolve,
  }: {
    readonly see: (sight: ProbeSight) => void;
    readonly resolve: (outcome: Result<{ readonly tls: boolean }>) => void;
  },
): void {
  if (identity === undefined) return;
  socket.removeAllListeners("data");
  socket.write(encodeMessage({ kind: "startTls", seq: 2 }), () => {
    const stream = connectTls({
      socket,
      servername: serverName,
      minVersion: "TLSv1.2",
      // Checked below, as the device client does: an expired certificate alone takes no vote away.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ca: pem("CERTIFICATE", identity.authority),
      cert: pem("CERTIFICATE", identity.certificate),
      key: pem("PRIVATE KEY", identity.key),
    });
    stream.once("error", (error) =>
      resolve(failure(`TLS with the vote server at ${where} failed: ${error.message}`)),
    );
    stream.once("secureConnect", () => {
      const { raw } = stream.getPeerCertificate();
      const server = raw === undefined ? undefined : new X509Certificate(raw);
      const authority = new X509Certificate(identity.authority);
      const isRight =
        server !== undefined &&
        isVoteServer(server, serverName) &&
        server.verify(authority.publicKey);
      if (isRight) {
        see({
          kind: "secured",
          protocol: stream.getProtocol() ?? "TLS",
          goodUntil: Date.parse(server.validTo),
          fingerprint: server.fingerprint256,
        });
      }
      resolve(
        isRight
          ? success({ tls: true })
          : failure(
              `the vote server at ${where} is not of the authority that issued the cluster's certificate: set the device up with a token or certificates of this server`,
            ),
      );
    });
  });
}
