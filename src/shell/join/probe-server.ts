// The member's side of the probes: for some seconds a socket on its own address of each link sends back what comes with the right nonce,
// nothing else, and only so often, so that it is of no use to strangers. Its port is one of those that a firewall for corosync
// lets in, beside the one that the ring has.
import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { bindUdpSocket, errnoName, interfaceMtu, socketOptions as option } from "../../libc.ts";
import { decodeProbe, encodeProbe, nonceBytes } from "./probe-packet.ts";

/** corosync's: 5405 and one more a link. Tried from the end, which few clusters use. */
const ports = [5412, 5411, 5410, 5409, 5408, 5407, 5406, 5405] as const;
const openMsMax = 10_000;
const packetsMax = 64;
const openMax = 16;

export interface ProbeLink {
  readonly link: number;
  /** Where to send to; "" when this member has no address of this link. */
  readonly address: string;
  readonly port: number;
  /** Of the member's interface, bytes; absent: unknown. */
  readonly mtu?: number | undefined;
  /** Why nothing listens there; "" when it does. */
  readonly fault: string;
}

export interface ProbeOffer {
  /** hex: what the joining node sends, and what comes back. */
  readonly ask: string;
  readonly answer: string;
  readonly openMs: number;
  readonly links: readonly ProbeLink[];
}

type Socket = Bun.udp.Socket<"uint8array">;

export class ProbeServer {
  readonly #own: () => ReadonlyMap<number, string>;
  readonly #sockets = new Set<Socket>();

  /** `own`: this member's addresses by link number. */
  constructor(own: () => ReadonlyMap<number, string>) {
    this.#own = own;
  }

  /** `links`: the joining node's addresses by link number. Never throws for what the network says. */
  async open(links: Readonly<Record<string, string>>): Promise<ProbeOffer> {
    const [ask, answer] = [randomBytes(nonceBytes), randomBytes(nonceBytes)];
    const own = this.#own();
    const opened: ProbeLink[] = [];
    for (const [number, from] of Object.entries(links)) {
      const link = Number(number);
      const address = own.get(link);
      if (address === undefined) {
        opened.push({ link, address: "", port: 0, fault: `this cluster has no link ${link}` });
        continue;
      }
      opened.push({ link, address, ...(await this.#listen(address, from, ask, answer)) });
    }
    return {
      ask: ask.toString("hex"),
      answer: answer.toString("hex"),
      openMs: openMsMax,
      links: opened,
    };
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
    this.#sockets.clear();
  }

  async #listen(
    address: string,
    from: string,
    ask: Uint8Array,
    answer: Uint8Array,
  ): Promise<{ readonly port: number; readonly fault: string; readonly mtu?: number }> {
    if (this.#sockets.size >= openMax)
      return { port: 0, fault: "too many nodes are probing: try again" };
    const bound = bindFirst(address);
    if (!bound.ok) return { port: 0, fault: bound.reason };
    let packets = 0;
    const adoption = {
      fd: bound.fd,
      binaryType: "uint8array" as const,
      socket: {
        data: (socket: Socket, packet: Uint8Array, port: number, source: string) => {
          // Strangers' packets do not count: they must not use up what the joining node has.
          const number = source === from ? decodeProbe(packet, ask) : undefined;
          if (number === undefined) return;
          packets += 1;
          if (packets <= packetsMax)
            socket.send(encodeProbe(answer, number, packet.length), port, source);
        },
        // What does not come back is what the joining node sees.
        error: () => undefined,
      },
    };
    const socket = await Bun.udpSocket(adoption);
    this.#sockets.add(socket);
    const timer = setTimeout(() => {
      this.#sockets.delete(socket);
      socket.close();
    }, openMsMax);
    timer.unref();
    const mtu = mtuOf(address);
    return { port: bound.port, fault: "", ...(mtu === undefined ? {} : { mtu }) };
  }
}

/** Never in pieces: a packet that is too large for the way gets lost, as corosync's do. */
export function wholePackets(isIpv6: boolean) {
  return isIpv6
    ? ([
        [option.SOL_IPV6, option.IPV6_MTU_DISCOVER, option.IP_PMTUDISC_PROBE],
        [option.SOL_IPV6, option.IPV6_DONTFRAG, 1],
      ] as const)
    : ([[option.SOL_IP, option.IP_MTU_DISCOVER, option.IP_PMTUDISC_PROBE]] as const);
}

function bindFirst(
  address: string,
):
  | { readonly ok: true; readonly fd: number; readonly port: number }
  | { readonly ok: false; readonly reason: string } {
  let reason = "";
  for (const port of ports) {
    const bound = bindUdpSocket({ address, port, options: wholePackets(address.includes(":")) });
    if (bound.ok) return { ...bound, port };
    reason = `no socket on ${address}: ${bound.call}: ${errnoName(bound.errno)}`;
  }
  return { ok: false, reason };
}

/** Of the interface that has the address. */
export function mtuOf(address: string): number | undefined {
  for (const [name, all] of Object.entries(networkInterfaces())) {
    if (all?.some((each) => each.address === address)) return interfaceMtu(name);
  }
  return address.startsWith("127.") ? interfaceMtu("lo") : undefined;
}
