// Packets of one link and direction by kind, as knet counts them (services.md §6.2, stats.knet). Sizes are of clear packets, without the
// headers of UDP and IP and without what protection adds. Pure.
import { type PacketKind, kindOf } from "./packet.ts";

export interface Amount {
  readonly packets: number;
  readonly bytes: number;
}

/** Probes of the path MTU and their answers count together. */
export type TrafficKind = "data" | "ping" | "pong" | "pmtu";

export type TrafficCounts = Readonly<Record<TrafficKind, Amount>>;

const columns: Readonly<Record<PacketKind, TrafficKind>> = {
  data: "data",
  ping: "ping",
  pong: "pong",
  pmtud: "pmtu",
  pmtudReply: "pmtu",
};

export class Traffic {
  readonly #amounts = {
    data: { packets: 0, bytes: 0 },
    ping: { packets: 0, bytes: 0 },
    pong: { packets: 0, bytes: 0 },
    pmtu: { packets: 0, bytes: 0 },
  };

  /** A packet that was decoded, or that is ours. */
  count(packet: Uint8Array): void {
    const kind = kindOf(packet);
    if (kind === undefined) return;
    const amount = this.#amounts[columns[kind]];
    amount.packets += 1;
    amount.bytes += packet.length;
  }

  /** Of all kinds. */
  get packets(): number {
    const { data, ping, pong, pmtu } = this.#amounts;
    return data.packets + ping.packets + pong.packets + pmtu.packets;
  }

  counts(): TrafficCounts {
    const { data, ping, pong, pmtu } = this.#amounts;
    return { data: { ...data }, ping: { ...ping }, pong: { ...pong }, pmtu: { ...pmtu } };
  }
}
