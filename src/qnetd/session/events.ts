// Events and actions of the vote server's core: everything that can happen to it and everything it can ask of its host (qnetd.md §1).
// Connections are numbers that the host gives and never uses twice.
import type { LogAction, TimerAction } from "../../world.ts";
import type { CertificateNames } from "../pki/certificate-name.ts";

/**
 * `dead`: dead peer detection of a connection; `retry`: lms decides again for a connection; `outstanding`: clients of a cluster that were
 * lost in silence have given up their votes.
 */
export type VoteServerTimer = `dead:${number}` | `retry:${number}` | `outstanding:${number}`;

export type VoteServerEvent =
  /** Accepted, nothing read yet. */
  | {
      readonly kind: "connected";
      readonly connection: number;
      readonly address: string;
      readonly port: number;
    }
  /** Bytes in any pieces; after `startTls` only what TLS has decrypted. */
  | { readonly kind: "received"; readonly connection: number; readonly bytes: Uint8Array }
  /**
   * The TLS handshake is over and the client's certificate, if there is one, stands below our authority. `certificate`: its
   * names; undefined: the client showed none.
   */
  | {
      readonly kind: "tlsDone";
      readonly connection: number;
      readonly certificate: CertificateNames | undefined;
    }
  /** The names in all certificates that the authority has issued to clusters: at the start, and when there may be others. */
  | { readonly kind: "certified"; readonly names: readonly CertificateNames[] }
  /** So many messages wait unsent because the client does not read. To be given whenever the kernel takes no more. */
  | { readonly kind: "congested"; readonly connection: number; readonly queued: number }
  /**
   * The connection is gone. `isPeerAware`: the client itself ended it (FIN, RST), so that it no longer counts on its vote;
   * false when only we lost it (timeout, no route, failed handshake).
   */
  | { readonly kind: "closed"; readonly connection: number; readonly isPeerAware: boolean }
  | { readonly kind: "timedOut"; readonly timer: VoteServerTimer }
  /** Close everything; nobody's vote is computed again. */
  | { readonly kind: "stopped" };

export type VoteServerAction =
  | { readonly kind: "send"; readonly connection: number; readonly bytes: Uint8Array }
  /** Begin the server's side of a handshake; `rest`: what has already come of the client's. */
  | { readonly kind: "startTls"; readonly connection: number; readonly rest: Uint8Array }
  /** Send what is queued, then close. No event comes back for it, and later ones of this connection are ignored. */
  | { readonly kind: "close"; readonly connection: number; readonly why: string }
  | TimerAction<VoteServerTimer>
  | ServerLogAction;

/** A line that only a client with a certificate can cause is not left out for what strangers do. */
export type ServerLogAction = LogAction & { readonly isVerified: boolean };

export function logAction(
  level: LogAction["level"],
  text: string,
  isVerified = false,
): ServerLogAction {
  return { kind: "log", level, subsystem: "QNETD", text, isVerified };
}
