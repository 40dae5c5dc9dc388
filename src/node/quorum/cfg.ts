// corosync's configuration service on the wire and what a node does on hearing it (services.md §1.6, §5.4): somebody is shut
// down, everybody is to read its file again, a node is to end at once, a new key is taken up in two phases (knet.md §3.5).
// Reloading itself is the host's work.
import { byteString, bytesOf, decoded, malformed, Reader, type Decoded } from "../../bytes.ts";
import { log, openMessage, readHeader, serviceIds, withPrefix } from "../member/service.ts";
import type { ServiceAction } from "../member/service.ts";

const reasonBytesMax = 256;
const functions = { killNode: 1, shutdown: 2, reload: 3, cryptoReconfig: 4 } as const;
const sizes: Readonly<Record<number, number>> = { 0: 32, 1: 288, 2: 16, 3: 32, 4: 24 };

export type CfgMessage =
  /** Obsolete (fn 0): never sent by 3.x, without effect. */
  | { readonly kind: "ringReenable" }
  /** `reason` is a byte string. */
  | { readonly kind: "killNode"; readonly nodeid: number; readonly reason: string }
  | { readonly kind: "shutdown" }
  | { readonly kind: "reload"; readonly nodeid: number }
  /** Phase 1: use the new configuration, 2: forget the old one. */
  | { readonly kind: "cryptoReconfig"; readonly phase: number };

export function encodeCfgMessage(message: CfgMessage): Uint8Array {
  const open = (fn: number) => openMessage(serviceIds.configuration, fn, sizes[fn] ?? 0);
  switch (message.kind) {
    case "ringReenable":
      return open(0).zeros(16).finish();
    case "killNode": {
      const reason = bytesOf(message.reason.slice(0, reasonBytesMax));
      const writer = open(functions.killNode).u32(message.nodeid).zeros(4);
      writer.u16(reason.length).zeros(6).put(reason);
      return writer.zeros(reasonBytesMax - reason.length).finish();
    }
    case "shutdown":
      return open(functions.shutdown).finish();
    case "reload":
      // The last 8 bytes are the asker's connection, of use to the asker alone.
      return open(functions.reload).u32(message.nodeid).zeros(12).finish();
    case "cryptoReconfig":
      return open(functions.cryptoReconfig).u32(message.phase).zeros(4).finish();
  }
  message satisfies never;
}

export function decodeCfgMessage(bytes: Uint8Array): Decoded<CfgMessage> {
  const reader = new Reader(bytes);
  const header = readHeader(reader);
  if (!header.ok) return header;
  const { fn } = header.value;
  if (sizes[fn] === undefined) return malformed(`cfg: unknown message ${fn}`);
  if (bytes.length !== sizes[fn]) return malformed("cfg: length");
  switch (fn) {
    case functions.killNode: {
      const nodeid = reader.u32();
      reader.skip(4);
      const size = reader.u16();
      reader.skip(6);
      if (size > reasonBytesMax) return malformed("cfg kill: reason");
      return decoded({ kind: "killNode", nodeid, reason: byteString(reader.take(size)) });
    }
    case functions.shutdown:
      return decoded({ kind: "shutdown" });
    case functions.reload:
      return decoded({ kind: "reload", nodeid: reader.u32() });
    case functions.cryptoReconfig:
      return decoded({ kind: "cryptoReconfig", phase: reader.u32() });
    default:
      return decoded({ kind: "ringReenable" });
  }
}

/** Says that this node is being stopped by its operator. */
export function shutdownAnnouncement(): Uint8Array {
  return withPrefix("a", encodeCfgMessage({ kind: "shutdown" }));
}

/** Reloads of our own operator that are on their way around the ring. */
const reloadsMax = 16;

function send(message: CfgMessage, out: ServiceAction[]): void {
  const bytes = withPrefix("a", encodeCfgMessage(message));
  out.push({ kind: "submit", queue: "application", message: bytes });
}

export class ConfigurationService {
  readonly #nodeid: number;
  /** Own questions whose message was not delivered yet, in the order of sending. */
  #reloads: number[] = [];

  constructor(options: { readonly nodeid: number }) {
    this.#nodeid = options.nodeid;
  }

  /** Asks all nodes, ourselves included, to read corosync.conf again; `reloadRequested` with `id` when it comes back. */
  reload(id: number, out: ServiceAction[]): void {
    if (this.#reloads.length >= reloadsMax) {
      const reason = "too many reloads are on their way, try again";
      out.push({ kind: "replied", id, ok: false, reason });
      return;
    }
    this.#reloads.push(id);
    send({ kind: "reload", nodeid: this.#nodeid }, out);
  }

  /** Asks a member of the ring to end at once. Answered when the message is queued: who ends itself has no time later. */
  kill(
    question: { readonly id: number; readonly nodeid: number; readonly reason: string },
    members: readonly number[],
    out: ServiceAction[],
  ): void {
    const { id, nodeid } = question;
    const isMember = members.includes(nodeid);
    const reason = isMember ? "" : `node ${nodeid} is no member of this ring`;
    // The original counts the NUL of its reason in the length (errata.md).
    const text = `${question.reason.slice(0, reasonBytesMax - 1)}\0`;
    if (isMember) send({ kind: "killNode", nodeid, reason: text }, out);
    out.push({ kind: "replied", id, ok: isMember, reason });
  }

  /** We have loaded another key: everybody else has, once this message of ours is stable. */
  announceKey(out: ServiceAction[]): void {
    send({ kind: "cryptoReconfig", phase: 1 }, out);
  }

  /** All nodes hold our phase 1, and we send with the new key from now on. */
  keyTaken(out: ServiceAction[]): void {
    send({ kind: "cryptoReconfig", phase: 2 }, out);
  }

  /** Questions that will not be answered any more. */
  refusePending(reason: string, out: ServiceAction[]): void {
    for (const id of this.#reloads) out.push({ kind: "replied", id, ok: false, reason });
    this.#reloads = [];
  }

  received(nodeid: number, bytes: Uint8Array, out: ServiceAction[]): void {
    const result = decodeCfgMessage(bytes);
    if (!result.ok) {
      return log(out, "CFG", "warning", `dropped a message of node ${nodeid}: ${result.reason}`);
    }
    const message = result.value;
    switch (message.kind) {
      case "ringReenable":
        return;
      case "killNode": {
        if (message.nodeid !== this.#nodeid) return;
        // corosync counts the NUL of its reason in the length.
        const printable = message.reason.replace(/\0.*$/s, "").replace(/[^\x20-\x7e]/g, "?");
        const text = `Killed by node ${nodeid} : ${printable}`;
        log(out, "CFG", "error", text);
        out.push({ kind: "die", reason: text });
        return;
      }
      case "shutdown":
        return log(out, "CFG", "notice", `Node ${nodeid} was shut down by sysadmin`);
      case "reload": {
        log(out, "CFG", "notice", `Config reload requested by node ${nodeid}`);
        const id = nodeid === this.#nodeid ? this.#reloads.shift() : undefined;
        out.push({ kind: "reloadRequested", nodeid, id });
        return;
      }
      case "cryptoReconfig": {
        const { phase } = message;
        if (nodeid !== this.#nodeid || (phase !== 1 && phase !== 2)) return;
        log(out, "CFG", "debug", `Crypto reconfiguration phase ${phase}`);
        out.push({ kind: "keyPhase", phase });
        return;
      }
    }
    message satisfies never;
  }
}
