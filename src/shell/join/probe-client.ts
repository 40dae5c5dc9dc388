// The joining node's side of the probes: from its own port of the link, which the ring will have, to the member's socket and back, small and
// of full size. A host.
import { bindUdpSocket, errnoName } from "../../libc.ts";
import type { ProbeOutcome } from "./preflight.ts";
import { decodeProbe, encodeProbe, headBytes, payloadOf } from "./probe-packet.ts";
import { mtuOf, type ProbeLink, type ProbeOffer, wholePackets } from "./probe-server.ts";

/** A lost packet is no fault: each size is sent so often, one in this time. */
const tries = 5;
const tryMs = 300;
const mtuDefault = 1500;
const headersBytes = { four: 28, six: 48 } as const;

/** `links`: own addresses by link number. `portOf`: of the ring's socket. Never throws for what the network says. */
export async function probeLinks(
  offer: ProbeOffer,
  links: ReadonlyMap<number, string>,
  portOf: (link: number) => number,
): Promise<readonly ProbeOutcome[]> {
  const outcomes = offer.links.map((link) =>
    probeLink(offer, link, links.get(link.link) ?? "", portOf(link.link)),
  );
  return Promise.all(outcomes);
}

async function probeLink(
  offer: ProbeOffer,
  target: ProbeLink,
  own: string,
  ownPort: number,
): Promise<ProbeOutcome> {
  const isIpv6 = own.includes(":");
  const mtu = { own: mtuOf(own), member: target.mtu };
  const smaller = Math.min(mtu.own ?? mtuDefault, mtu.member ?? mtuDefault);
  const payload = payloadOf(smaller, isIpv6);
  const outcome = {
    link: target.link,
    ...{ own, ownPort, mtu },
    member: target.address,
    memberPort: target.port,
    fullBytes: payload + (isIpv6 ? headersBytes.six : headersBytes.four),
  };
  if (target.fault !== "")
    return { ...outcome, result: "not tried", reason: `the member: ${target.fault}` };
  const bound = bindUdpSocket({ address: own, port: ownPort, options: wholePackets(isIpv6) });
  if (!bound.ok) {
    const reason = `no socket on ${own} port ${ownPort}/udp (${bound.call}: ${errnoName(bound.errno)})`;
    return { ...outcome, result: "not tried", reason };
  }
  const result = await exchange(bound.fd, offer, target, payload);
  return { ...outcome, result, reason: "" };
}

async function exchange(
  fd: number,
  offer: ProbeOffer,
  target: ProbeLink,
  payload: number,
): Promise<"whole" | "small only" | "nothing"> {
  const [ask, answer] = [offer.ask, offer.answer].map(
    (hex) => new Uint8Array(Buffer.from(hex, "hex")),
  );
  const got = { small: false, whole: false };
  const done = Promise.withResolvers<void>();
  const adoption = {
    fd,
    binaryType: "uint8array" as const,
    socket: {
      data: (_: unknown, packet: Uint8Array) => {
        if (decodeProbe(packet, answer ?? new Uint8Array()) === undefined) return;
        if (packet.length >= payload) got.whole = true;
        else got.small = true;
        if (got.whole) done.resolve();
      },
      // A packet that the kernel finds too large is one that gets lost.
      error: () => undefined,
    },
  };
  const socket = await Bun.udpSocket(adoption);
  const small = encodeProbe(ask ?? new Uint8Array(), 0, headBytes);
  const whole = encodeProbe(ask ?? new Uint8Array(), 1, payload);
  let sent = 0;
  const send = (): void => {
    sent += 1;
    if (sent > tries) return done.resolve();
    for (const packet of [small, whole]) {
      try {
        socket.send(packet, target.port, target.address);
      } catch {
        // Too large for the interface: it does not come back.
      }
    }
  };
  send();
  const timer = setInterval(send, tryMs);
  await done.promise;
  clearInterval(timer);
  socket.close();
  return got.whole ? "whole" : got.small ? "small only" : "nothing";
}
