// UDP sockets that learn who refuses a packet. The runtime tells of an ICMP error on a socket, not whose it was and about what; these are never
// given to it, and their error queue is read here (ip(7), IP_RECVERR). A refusal counts only when it is the destination's own answer
// (port unreachable, sent from its address) and quotes one of the last packets that went there from here: with encryption nobody can make that up
// who has not seen the packet. Answers to the packets go to the link's own socket, not here. Host code.
import { FFIType, ptr } from "bun:ffi";
import { equalBytes } from "../../bytes.ts";
import {
  bindUdpSocket,
  closeFd,
  openLibcWith,
  socketAddress,
  socketOptions as option,
} from "../../libc.ts";
import { isIpv6 } from "./address.ts";
import type { Target } from "./events.ts";

export interface ProbeDestination extends Target {
  readonly localAddress: string;
  readonly address: string;
  readonly port: number;
}

const signatures = {
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: FFIType.i64_fast },
  recvmsg: { args: ["i32", "ptr", "i32"], returns: FFIType.i64_fast },
} as const;

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_ERRQUEUE = 0x2000;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
/** struct sock_extended_err behind the control message's header, then the offender's address. */
const cmsgHeadBytes = 16;
const extendedErrorBytes = 16;
/** Origin, type and code: ICMP port unreachable, and the same of ICMPv6. */
const portUnreachable = { icmp: [2, 3, 3], icmp6: [3, 1, 4] } as const;
/** More than an IPv6 address takes; of the quoted packet its beginning is enough: an initialisation vector stands there. */
const nameBytes = 28;
const quoteBytes = 64;
const controlBytes = 128;
/** Packets of which a refusal may tell. */
const keptMax = 4;
/** Refusals read at one call; the rest is read at the next. */
const readMax = 64;

interface Sent extends Target {
  readonly fd: number;
  readonly to: Uint8Array;
  readonly quotes: Uint8Array[];
}

export class ProbeSockets {
  /** By local address, on any free port. */
  readonly #sockets = new Map<string, number>();
  readonly #sent = new Map<string, Sent>();
  #calls: ReturnType<typeof openLibcWith<typeof signatures>> | undefined;

  /** Sends one packet; where that is impossible no refusal ever comes. The bytes must not change afterwards. */
  send(destination: ProbeDestination, packet: Uint8Array): void {
    const sent = this.#sentTo(destination);
    if (sent === undefined) return;
    sent.quotes.push(packet.subarray(0, quoteBytes));
    if (sent.quotes.length > keptMax) sent.quotes.shift();
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    this.#calls ??= openLibcWith(signatures);
    // An error that waits in the socket is told here instead: it is in the queue all the same, and the packet goes at the second try.
    for (let tries = 0; tries < 2; tries += 1) {
      const { fd, to } = sent;
      if (this.#calls.sendto(fd, packet, packet.length, flags, to, to.length) >= 0) return;
    }
  }

  #sentTo({ nodeid, link, localAddress, address, port }: ProbeDestination): Sent | undefined {
    const to = socketAddress(address, port);
    const fd = this.#socketOf(localAddress);
    if (to === undefined || fd === undefined) return undefined;
    const key = `${nodeid}/${link}`;
    const known = this.#sent.get(key);
    if (known?.fd === fd && equalBytes(known.to, to)) return known;
    const sent = { nodeid, link, fd, to, quotes: [] };
    this.#sent.set(key, sent);
    return sent;
  }

  #socketOf(address: string): number | undefined {
    const known = this.#sockets.get(address);
    if (known !== undefined) return known;
    const options: [number, number, number][] = isIpv6(address)
      ? [[option.SOL_IPV6, option.IPV6_RECVERR, 1]]
      : [[option.SOL_IP, option.IP_RECVERR, 1]];
    const bound = bindUdpSocket({ address, port: 0, options });
    if (!bound.ok) return undefined;
    this.#sockets.set(address, bound.fd);
    return bound.fd;
  }

  /** Whose machines have refused packets since the last call; one entry a refusal. */
  refusals(): Target[] {
    const found: Target[] = [];
    for (const fd of this.#sockets.values()) {
      for (let count = 0; count < readMax; count += 1) {
        const error = this.#readError(fd);
        if (error === undefined) break;
        const by = this.#refusedBy(fd, error);
        if (by !== undefined) found.push(by);
      }
    }
    return found;
  }

  #readError(fd: number): ErrorReport | undefined {
    this.#calls ??= openLibcWith(signatures);
    const name = new Uint8Array(nameBytes);
    const quote = new Uint8Array(quoteBytes);
    const control = new Uint8Array(controlBytes);
    const vector = new BigUint64Array([BigInt(ptr(quote)), BigInt(quote.length)]);
    const message = new BigUint64Array([
      ...[BigInt(ptr(name)), BigInt(name.length), BigInt(ptr(vector)), 1n],
      ...[BigInt(ptr(control)), BigInt(control.length), 0n],
    ]);
    const length = Number(this.#calls.recvmsg(fd, message, MSG_ERRQUEUE | MSG_DONTWAIT));
    if (length < 0) return undefined;
    return {
      name: name.subarray(0, Number((message[1] ?? 0n) & 0xffff_ffffn)),
      quote: quote.subarray(0, Math.min(length, quote.length)),
      control: control.subarray(0, Math.min(controlBytes, Number(message[5] ?? 0n))),
    };
  }

  #refusedBy(fd: number, { name, quote, control }: ErrorReport): Target | undefined {
    const offender = offenderOf(control);
    if (offender === undefined || quote.length === 0) return undefined;
    for (const sent of this.#sent.values()) {
      if (sent.fd !== fd || !equalBytes(addressIn(sent.to), offender)) continue;
      if (!equalBytes(name.subarray(0, 4), sent.to.subarray(0, 4))) continue;
      if (!equalBytes(addressIn(name), offender)) continue;
      if (!sent.quotes.some((bytes) => equalBytes(bytes.subarray(0, quote.length), quote))) {
        continue;
      }
      return { nodeid: sent.nodeid, link: sent.link };
    }
    return undefined;
  }

  close(): void {
    for (const fd of this.#sockets.values()) closeFd(fd);
    this.#sockets.clear();
    this.#sent.clear();
  }
}

interface ErrorReport {
  /** Where the packet went. */
  readonly name: Uint8Array;
  readonly quote: Uint8Array;
  readonly control: Uint8Array;
}

/** The address bytes of a socket address: 4 or 16. */
function addressIn(name: Uint8Array): Uint8Array {
  return name.length >= nameBytes ? name.subarray(8, 24) : name.subarray(4, 8);
}

/** Who sent the port unreachable that a control message tells of; undefined when it tells of something else. */
function offenderOf(control: Uint8Array): Uint8Array | undefined {
  const errorAt = cmsgHeadBytes;
  const offenderAt = errorAt + extendedErrorBytes;
  if (control.length < offenderAt + 16) return undefined;
  const view = new DataView(control.buffer, control.byteOffset, control.length);
  const level = view.getInt32(8, true);
  const what = control.subarray(errorAt + 4, errorAt + 7);
  if (level === IPPROTO_IP && equalBytes(what, Uint8Array.from(portUnreachable.icmp))) {
    return control.subarray(offenderAt + 4, offenderAt + 8);
  }
  if (level === IPPROTO_IPV6 && control.length >= offenderAt + 24) {
    if (!equalBytes(what, Uint8Array.from(portUnreachable.icmp6))) return undefined;
    return control.subarray(offenderAt + 8, offenderAt + 24);
  }
  return undefined;
}
