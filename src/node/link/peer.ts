// One peer and its links as we see them: which links are usable and which of them carry the next message.
// Spec: knet.md §2.5 (reachable), §2.6 (link_mode). Pure state; links.ts drives it.
import type { LinkSettings } from "../settings/settings.ts";
import type { LinkMode, LinkOptions } from "./configuration.ts";
import { canonicalAddress, isIpv6 } from "./address.ts";
import type { LinkSnapshot } from "./events.ts";
import { LinkHistory } from "./history.ts";
import { Heartbeat } from "./latency.ts";
import { type PingPacket, decodeTime } from "./packet.ts";
import { PathMtu } from "./pmtud.ts";
import { Traffic } from "./traffic.ts";
import { Window } from "./window.ts";

export class PeerLink {
  readonly number: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly #remoteCanonical: string | undefined;
  readonly heartbeat: Heartbeat;
  readonly path: PathMtu;
  readonly history = new LinkHistory();
  #settings: LinkSettings;
  // knet counts the configuration itself as the first time down (§8).
  downCount = 1;
  upCount = 0;
  readonly sent = new Traffic();
  readonly received = new Traffic();

  constructor(options: LinkOptions) {
    this.#settings = options.settings;
    this.number = options.settings.number;
    this.localAddress = options.localAddress;
    this.remoteAddress = options.remoteAddress;
    this.#remoteCanonical = canonicalAddress(options.remoteAddress);
    this.heartbeat = new Heartbeat(options.settings);
    this.path = new PathMtu(pathOptions(options));
  }

  get settings(): LinkSettings {
    return this.#settings;
  }
  get isUsable(): boolean {
    return this.heartbeat.isUp && this.path.isValid;
  }

  /** True when `address` is the configured remote address, however it is written. */
  comesFrom(address: string): boolean {
    if (address === this.remoteAddress) return true;
    return (
      this.#remoteCanonical !== undefined && canonicalAddress(address) === this.#remoteCanonical
    );
  }

  /** True when new settings describe the same pair of sockets, so that the link's state still holds. */
  isSame(options: LinkOptions): boolean {
    return (
      options.localAddress === this.localAddress &&
      options.remoteAddress === this.remoteAddress &&
      options.settings.port === this.#settings.port
    );
  }

  retune(options: LinkOptions): void {
    this.#settings = options.settings;
    this.heartbeat.retune(options.settings);
    this.path.retune(pathOptions(options));
  }

  /** Why the link is down, for the operator. */
  downText(reason: "silent" | "refused"): string {
    const where = `${this.remoteAddress} port ${this.#settings.port}/udp`;
    return reason === "refused"
      ? `nothing listens on ${where}; is the cluster service of that node running?`
      : `no answer from ${where} for ${Math.floor(this.heartbeat.timeoutMs)} ms; check that node, the network and its firewall`;
  }

  /** `now`: for ages. */
  snapshot(nodeid: number, now: number): LinkSnapshot {
    return {
      nodeid,
      link: this.number,
      localAddress: this.localAddress,
      remoteAddress: this.remoteAddress,
      enabled: true,
      connected: this.heartbeat.isUp,
      mtu: this.path.dataMtu,
      latencyUs: this.heartbeat.latencyUs,
      latencyUsRange: this.heartbeat.latencyUsRange,
      latencySamples: this.heartbeat.samples,
      downCount: this.downCount,
      upCount: this.upCount,
      packetsSent: this.sent.packets,
      packetsReceived: this.received.packets,
      sent: this.sent.counts(),
      received: this.received.counts(),
      recent: this.history.pings(now, this.heartbeat.answerMs),
      changes: this.history.changes(now),
      path: this.path.report,
    };
  }
}

function pathOptions(options: LinkOptions) {
  return {
    ipv6: isIpv6(options.remoteAddress),
    overhead: options.overhead,
    intervalMs: options.pmtudIntervalMs,
    fixedMtu: options.fixedMtu,
  };
}

export class Peer {
  readonly nodeid: number;
  readonly window = new Window();
  #links: readonly PeerLink[] = [];
  /** Highest priority first, among equals the lowest number. */
  #usable: readonly PeerLink[] = [];
  #best: readonly PeerLink[] = [];
  #turn = 0;

  constructor(nodeid: number) {
    this.nodeid = nodeid;
  }

  get links(): readonly PeerLink[] {
    return this.#links;
  }
  get isReachable(): boolean {
    return this.#usable.length > 0;
  }
  get isUp(): boolean {
    return this.#links.some((link) => link.heartbeat.isUp);
  }

  /** Replaces the set of links; call `settle` afterwards. */
  setLinks(links: readonly PeerLink[]): void {
    this.#links = links;
  }

  link(number: number): PeerLink | undefined {
    return this.#links.find((link) => link.number === number);
  }

  /** The link a data packet came over: the receiving socket's if the address agrees, else the first with that address. */
  linkFrom(address: string, receivedOn: number): PeerLink | undefined {
    const expected = this.link(receivedOn);
    if (expected?.comesFrom(address)) return expected;
    return this.#links.find((link) => link.comesFrom(address));
  }

  /** What a ping of this peer says about its data (§1.7). */
  pinged(link: PeerLink, ping: PingPacket, now: number): void {
    // A peer that is started again is silent for longer; a lost ping is not.
    const silenceMs = 2 * link.settings.pingTimeoutMs;
    this.window.pinged({ seq: ping.seq, clock: decodeTime(ping.time), now, silenceMs });
  }

  /** Takes stock of the usable links after any of them changed. */
  settle(): void {
    this.#usable = this.#links
      .filter((link) => link.isUsable)
      .toSorted((a, b) => b.settings.priority - a.settings.priority || a.number - b.number);
    this.#best = this.#usable.slice(0, 1);
  }

  /** The link that passive mode uses now. */
  get best(): PeerLink | undefined {
    return this.#best[0];
  }

  /** The links for all fragments of the next message; empty when the peer is not reachable. */
  choose(mode: LinkMode): readonly PeerLink[] {
    switch (mode) {
      case "passive":
        return this.#best;
      case "active":
        return this.#usable;
      case "rr": {
        const next = this.#usable[this.#turn % Math.max(1, this.#usable.length)];
        this.#turn = (this.#turn + 1) % 0x1_0000_0000;
        return next === undefined ? [] : [next];
      }
    }
    mode satisfies never;
  }
}

/** What fits one fragment on every link in use; one that is not measured takes `floor`, as no link at all does. */
export function leastDataMtu(links: readonly PeerLink[], floor: number): number {
  const usable = links.filter(({ isUsable }) => isUsable);
  const sizes = usable.map(({ path }) => (path.isMeasured ? path.dataMtu : floor));
  return sizes.length === 0 ? floor : Math.min(...sizes);
}
