// The link core: every peer over up to eight links, in the form of engineering.md §3. Spec: knet.md §1.5–§2.6, §4, §6.
// How this folder works: packet.ts is the wire, window.ts what a peer has sent already, latency.ts up and down, pmtud.ts the path
// MTU, peer.ts one peer; seal.ts and socket.ts belong to the ring host. One timer, "tick", every 200 ms, drives all of it.
// Packets here are clear. It never answers a source address, only configured ones (§6).
import type { Core } from "../../world.ts";
import { type Inflate, type LinksConfiguration, linksTo } from "./configuration.ts";
import type { LinkSnapshot, LinksAction, LinksEvent, LinksTraffic, Target } from "./events.ts";
import {
  type DataPacket,
  type PingPacket,
  FRAGMENTS_MAX,
  MESSAGE_BYTES_MAX,
  PING_EVERY_SEQ,
  PROBE_BYTES_MIN,
  SEQ_MAX,
  decodePacket,
  decodeTime,
  encodePacket,
  pingOf,
  pongOf,
  probeReplyOf,
  targetOf,
} from "./packet.ts";
import { Deaths } from "./deaths.ts";
import { type DropReason, Drops } from "./drops.ts";
import type { LinkOptions } from "./configuration.ts";
import { leastDataMtu, Peer, PeerLink } from "./peer.ts";
import { type SearchStep, dataMtuFloor } from "./pmtud.ts";

const TICK_MS = 200;
/** A tick this late means that we slept: the pongs may be waiting in our own sockets. */
const TICK_LATE_MS = 3 * TICK_MS;
const REPROBE_MIN_MS = 5000;

export interface LinksOptions extends LinksConfiguration {
  readonly nodeid: number;
  readonly inflate: Inflate;
}

export class Links implements Core<LinksEvent, LinksAction> {
  readonly #nodeid: number;
  readonly #inflate: Inflate;
  #configuration: LinksConfiguration;
  readonly #peers = new Map<number, Peer>();
  #seq = 0;
  #dataMtu: number;
  #tickedAt: number | undefined;
  #wasLate = false;
  readonly #drops = new Drops();
  readonly #deaths = new Deaths();
  readonly #loopback = { packets: 0, bytes: 0 };
  readonly #compressed = { packets: 0, bytes: 0, openedBytes: 0 };

  constructor(options: LinksOptions) {
    this.#nodeid = options.nodeid;
    this.#inflate = options.inflate;
    this.#configuration = options;
    this.#dataMtu = dataMtuFloor(options.crypto);
    for (const node of options.nodes) {
      if (node.nodeid === options.nodeid) continue;
      const peer = new Peer(node.nodeid);
      peer.setLinks(linksTo(node, options.nodeid, options).map((link) => new PeerLink(link)));
      this.#peers.set(node.nodeid, peer);
    }
  }

  step(event: LinksEvent, now: number, out: LinksAction[]): void {
    switch (event.kind) {
      case "started":
        this.#announce(out);
        return this.#tick(now, out);
      case "timedOut":
        return this.#tick(now, out);
      case "received":
        return this.#receive(event, now, out);
      case "sent":
        return this.#send(event, now, out);
      case "refused":
        return this.#refused(event, now, out);
      case "reconfigured":
        return this.#reconfigure(event.configuration, now, out);
      case "keyChanged":
        return this.#keyChanged(out);
      case "watched":
        return this.#deaths.watch(event, out);
      case "probed":
        return this.#probe(this.#deaths.look(event.refusals, now, out), now, out);
    }
    event satisfies never;
  }

  /** Remote nodes with at least one usable link, ascending. */
  reachable(): number[] {
    return [...this.#peers.values()]
      .filter((peer) => peer.isReachable)
      .map((peer) => peer.nodeid)
      .toSorted((a, b) => a - b);
  }

  /** Every link to every remote node, by node and link number. Our own loopback is not among them. */
  snapshot(now: number): LinkSnapshot[] {
    return [...this.#peers.values()]
      .toSorted((a, b) => a.nodeid - b.nodeid)
      .flatMap((peer) => peer.links.map((link) => link.snapshot(peer.nodeid, now)));
  }

  /** What is not counted by link. */
  traffic(): LinksTraffic {
    return { loopback: { ...this.#loopback }, compressed: { ...this.#compressed } };
  }

  /** Packets that were not carried or not delivered, by reason. */
  dropped(): Readonly<Record<string, number>> {
    return this.#drops.counts;
  }

  /** User data of one fragment now: the least of all links that are up (§4.4). */
  get dataMtu(): number {
    return this.#dataMtu;
  }

  /** Another key, cipher or hash is used for sending: every path is measured anew (§3.5). */
  #keyChanged(out: LinksAction[]): void {
    for (const peer of this.#peers.values()) for (const link of peer.links) link.path.force();
    this.#measure(out);
  }

  /** New nodes, addresses or timers. Links whose two addresses and port stay the same keep their state. */
  #reconfigure(configuration: LinksConfiguration, now: number, out: LinksAction[]): void {
    this.#configuration = configuration;
    const listed = new Set(configuration.nodes.map((node) => node.nodeid));
    for (const peer of this.#peers.values()) {
      if (listed.has(peer.nodeid)) continue;
      this.#relink(peer, [], now, out);
      this.#peers.delete(peer.nodeid);
    }
    for (const node of configuration.nodes) {
      if (node.nodeid === this.#nodeid) continue;
      const peer = this.#peers.get(node.nodeid) ?? new Peer(node.nodeid);
      this.#peers.set(node.nodeid, peer);
      this.#relink(peer, linksTo(node, this.#nodeid, configuration), now, out);
    }
    this.#measure(out);
  }

  #relink(peer: Peer, wanted: readonly LinkOptions[], now: number, out: LinksAction[]): void {
    const kept = wanted.map((options) => {
      const link = peer.link(options.settings.number);
      if (link === undefined || !link.isSame(options)) return new PeerLink(options);
      link.retune(options);
      return link;
    });
    for (const link of peer.links) {
      if (!kept.includes(link)) this.#linkDown(peer, link, "no longer configured", now, out);
    }
    peer.setLinks(kept);
    this.#settle(peer, out);
  }

  #announce(out: LinksAction[]): void {
    const model = this.#configuration.compression.model;
    if (model === "none" || model === "") return;
    const text = `knet_compression_model ${model}: this node opens what others compress, and sends uncompressed`;
    out.push({ kind: "log", level: "notice", subsystem: "KNET", text });
  }

  // Time ----------------------------------------------------------------------------------------------------------

  #tick(now: number, out: LinksAction[]): void {
    const sleptMs = this.#tickedAt === undefined ? 0 : now - this.#tickedAt;
    // Once, not for ever: a node that is always late must still notice that others are gone.
    const isLate = sleptMs > TICK_LATE_MS && !this.#wasLate;
    this.#wasLate = isLate;
    this.#tickedAt = now;
    for (const peer of this.#peers.values()) {
      const isSearched = this.#deaths.isSearched(peer.nodeid);
      for (const link of peer.links) {
        link.heartbeat.adjust(now);
        if (!isLate) this.#checkHeartbeat(peer, link, now, out);
        const isDue = link.heartbeat.pingDue(now);
        const isSought = link.heartbeat.isUp && this.#deaths.isSought(peer.nodeid);
        if ((isDue || isSought) && !isSearched) this.#ping(peer, link, isDue, now, out);
        if (!link.heartbeat.isUp) continue;
        this.#searched(peer, link, link.path.tick(now, link.heartbeat.answerMs), out);
      }
    }
    out.push({ kind: "arm", timer: "tick", at: now + TICK_MS });
  }

  #checkHeartbeat(peer: Peer, link: PeerLink, now: number, out: LinksAction[]): void {
    // Among several suspected links a lost ping must not take down one that works.
    const graceMs = this.#peers.size > 1 ? 2 * TICK_MS : TICK_MS;
    const down = link.heartbeat.downReason(now, graceMs);
    if (down === undefined) {
      const isAsked = this.#deaths.isSearched(peer.nodeid) || this.#deaths.isSought(peer.nodeid);
      if (link.heartbeat.isSuspected && !isAsked) this.#ping(peer, link, true, now, out);
      return;
    }
    this.#linkDown(peer, link, link.downText(down), now, out);
    this.#settle(peer, out);
    this.#measure(out);
  }

  /**
   * Somebody on this link closed its port. A node that is down already explains it; otherwise whoever is alive answers the
   * pings sent now before a later tick takes its link down.
   */
  #suspect(peer: Peer, link: PeerLink, now: number, out: LinksAction[]): void {
    const probes = this.#deaths.hinted(peer, link.number, this.#peers.values(), now, out);
    this.#probe(probes, now, out);
    for (const other of this.#peers.values()) {
      if (other !== peer && other.link(link.number)?.heartbeat.isUp === false) return;
    }
    if (!link.heartbeat.suspect(now) || this.#deaths.isSearched(peer.nodeid)) return;
    this.#ping(peer, link, true, now, out);
  }

  #ping(peer: Peer, link: PeerLink, timed: boolean, now: number, out: LinksAction[]): void {
    if (timed) link.history.pinged(now);
    this.#transmit(peer, link, pingOf(this.#nodeid, link.number, this.#seq, timed, now), out);
  }

  /** Pings that learn who refuses them; whoever lives answers as any ping. */
  #probe(targets: readonly Target[], now: number, out: LinksAction[]): void {
    for (const { nodeid, link: number } of targets) {
      const link = this.#peers.get(nodeid)?.link(number);
      if (link === undefined) continue;
      const packet = pingOf(this.#nodeid, number, this.#seq, false, now);
      link.sent.count(packet);
      out.push({ kind: "probe", nodeid, link: number, packet });
    }
  }

  #transmit(peer: Peer, link: PeerLink, packet: Uint8Array, out: LinksAction[]): void {
    link.sent.count(packet);
    out.push({ kind: "transmit", nodeid: peer.nodeid, link: link.number, packet });
  }

  // Up and down ---------------------------------------------------------------------------------------------------

  #linkUp(peer: Peer, link: PeerLink, now: number, out: LinksAction[]): void {
    link.history.changed(true, "", now);
    link.path.force();
    link.upCount += 1;
    const text = `rx: host: ${peer.nodeid} link: ${link.number} is up (${link.remoteAddress})`;
    out.push({ kind: "log", level: "info", subsystem: "KNET", text });
    this.#settle(peer, out);
    this.#measure(out);
  }

  #linkDown(peer: Peer, link: PeerLink, why: string, now: number, out: LinksAction[]): void {
    if (!link.heartbeat.down()) return;
    link.history.changed(false, why, now);
    link.downCount += 1;
    link.path.abort();
    if (!peer.isUp) peer.window.reset();
    const text = `link: host: ${peer.nodeid} link: ${link.number} is down: ${why}`;
    out.push({ kind: "log", level: "notice", subsystem: "KNET", text });
  }

  #settle(peer: Peer, out: LinksAction[]): void {
    const before = peer.best;
    peer.settle();
    const mode = this.#configuration.linkMode;
    if (peer.best === before) return;
    const text =
      peer.best === undefined
        ? `host: host: ${peer.nodeid} has no active links`
        : `host: host: ${peer.nodeid} (${mode}) best link: ${peer.best.number} (pri: ${peer.best.settings.priority})`;
    out.push({
      kind: "log",
      level: peer.best === undefined ? "warning" : "info",
      subsystem: "KNET",
      text,
    });
  }

  // Path MTU ------------------------------------------------------------------------------------------------------

  #searched(peer: Peer, link: PeerLink, step: SearchStep, out: LinksAction[]): void {
    const where = `host: ${peer.nodeid} link: ${link.number}`;
    switch (step.kind) {
      case "idle":
        return;
      case "probe": {
        const { size, bytes } = step.probe;
        const fill = bytes - PROBE_BYTES_MIN;
        const head = { kind: "pmtud", nodeid: this.#nodeid, link: link.number } as const;
        return this.#transmit(peer, link, encodePacket({ ...head, size, fill }), out);
      }
      case "found": {
        const now = link.path.dataMtu;
        const text = `pmtud: PMTUD link change for ${where} from ${step.before} to ${now}`;
        if (now !== step.before) out.push({ kind: "log", level: "info", subsystem: "KNET", text });
        break;
      }
      case "failed": {
        const text = `pmtud: no probe of a useful size to ${where} was answered: no data goes over this link. Check that ${link.remoteAddress} answers UDP port ${link.settings.port} and that both ends have the same MTU`;
        out.push({ kind: "log", level: "warning", subsystem: "KNET", text });
        break;
      }
      default:
        step satisfies never;
    }
    this.#settle(peer, out);
    this.#measure(out);
  }

  #measure(out: LinksAction[]): void {
    const links = [...this.#peers.values()].flatMap((peer) => peer.links);
    const least = leastDataMtu(links, dataMtuFloor(this.#configuration.crypto));
    if (least === this.#dataMtu) return;
    this.#dataMtu = least;
    const text = `pmtud: Global data MTU changed to: ${this.#dataMtu}`;
    out.push({ kind: "log", level: "info", subsystem: "KNET", text });
  }

  #refused(event: LinksEvent & { kind: "refused" }, now: number, out: LinksAction[]): void {
    const peer = this.#peers.get(event.nodeid);
    const link = peer?.link(event.link);
    if (peer === undefined || link === undefined) return;
    if (event.why === "unreachable") return this.#suspect(peer, link, now, out);
    const { path, heartbeat } = link;
    if (event.bytes !== undefined && event.bytes === path.probeDatagramBytes) {
      return this.#searched(peer, link, path.refused(now, heartbeat.answerMs), out);
    }
    // A router's ICMP message may be about a probe of ours; it is worth one search in a while.
    const isFresh = path.startedAt !== undefined && now - path.startedAt < REPROBE_MIN_MS;
    if (event.bytes === undefined && (path.isSearching || isFresh)) return;
    path.force();
    this.#measure(out);
  }

  // Receiving -----------------------------------------------------------------------------------------------------

  #receive(event: LinksEvent & { kind: "received" }, now: number, out: LinksAction[]): void {
    const { address } = event;
    const packet = decodePacket(event.packet);
    if (!packet.ok) return this.#drop("malformed");
    const { value } = packet;
    const peer = this.#peers.get(value.nodeid);
    if (peer === undefined) {
      return this.#reject("unknownNode", `node ${value.nodeid} (${address})`, now, out);
    }
    const isData = value.kind === "data";
    const link = isData ? peer.linkFrom(address, event.link) : peer.link(value.link);
    if (link === undefined && !isData) return this.#drop("unknownLink");
    const mustMatch = !isData && this.#configuration.blockUnlistedIps;
    if (link === undefined || (mustMatch && !link.comesFrom(address))) {
      const from = `${address}, said to be node ${value.nodeid}`;
      return this.#reject("unlistedAddress", from, now, out);
    }
    link.received.count(event.packet);
    this.#deaths.heard(peer.nodeid, out);
    switch (value.kind) {
      case "data":
        return this.#receiveData(peer, link, value, now, out);
      case "ping":
        peer.pinged(link, value, now);
        return this.#transmit(peer, link, pongOf(event.packet, this.#nodeid), out);
      case "pong":
        return this.#receivePong(peer, link, value, now, out);
      case "pmtud":
        return this.#transmit(peer, link, probeReplyOf(event.packet, this.#nodeid), out);
      case "pmtudReply": {
        const step = link.path.replied(value.size, now, link.heartbeat.answerMs);
        return this.#searched(peer, link, step, out);
      }
    }
    value satisfies never;
  }

  #receivePong(
    peer: Peer,
    link: PeerLink,
    pong: PingPacket,
    now: number,
    out: LinksAction[],
  ): void {
    const sentAt = decodeTime(pong.time);
    if (sentAt !== undefined) link.history.answered(sentAt, now);
    const outcome = sentAt === undefined ? "nonsense" : link.heartbeat.pong(sentAt, now);
    if (outcome === "nonsense") return this.#drop("malformed");
    if (outcome === "repeated") return this.#drop("duplicate");
    if (outcome === "up") this.#linkUp(peer, link, now, out);
  }

  #receiveData(
    peer: Peer,
    link: PeerLink,
    packet: DataPacket,
    now: number,
    out: LinksAction[],
  ): void {
    if (packet.channel !== 0) return this.#drop("malformed");
    // Like knet 1.27: the sender finds us reachable already, so waiting for more pongs only loses its first messages.
    if (link.heartbeat.dataSeen()) this.#linkUp(peer, link, now, out);
    if (!peer.isReachable) return this.#drop("notReachable");
    const state = peer.window.check(packet.seq);
    if (state !== "new") return this.#drop(state);
    if (packet.fragments === 1) return this.#deliver(peer, packet, packet.data, now, out);
    const outcome = peer.window.fragment(packet);
    switch (outcome.kind) {
      case "complete":
        return this.#deliver(peer, packet, outcome.message, now, out);
      case "kept":
        return;
      case "duplicate":
        return this.#drop("duplicate");
      case "expired":
        return this.#drop("expiredFragment");
      case "malformed":
        return this.#drop("malformedFragment");
    }
    outcome satisfies never;
  }

  #deliver(
    peer: Peer,
    packet: DataPacket,
    data: Uint8Array,
    now: number,
    out: LinksAction[],
  ): void {
    const message = packet.method === 0 ? data : this.#inflate(packet.method, data);
    if (typeof message === "string" || message.length > MESSAGE_BYTES_MAX) {
      const why = typeof message === "string" ? message : "larger than a message can be";
      const text = `rx: host: ${peer.nodeid} sent data that cannot be opened here: ${why}`;
      return this.#drops.complain("notInflated", text, now, out);
    }
    peer.window.delivered(packet.seq);
    if (packet.method !== 0) {
      this.#compressed.packets += 1;
      this.#compressed.bytes += data.length;
      this.#compressed.openedBytes += message.length;
    }
    const target = targetOf(message);
    if (target === undefined) return this.#drop("noTarget");
    if (target !== 0 && target !== this.#nodeid) return this.#drop("notForUs");
    out.push({ kind: "received", message });
  }

  #drop(reason: DropReason): void {
    this.#drops.count(reason);
  }

  #reject(reason: DropReason, from: string, now: number, out: LinksAction[]): void {
    const text = `rx: Packet rejected from ${from}: not in the nodelist of corosync.conf with that address; is the file the same on all nodes?`;
    this.#drops.complain(reason, text, now, out);
  }

  // Sending -------------------------------------------------------------------------------------------------------

  #send(event: LinksEvent & { kind: "sent" }, now: number, out: LinksAction[]): void {
    const { nodeid, message } = event;
    if (message.length === 0 || message.length > MESSAGE_BYTES_MAX) return this.#drop("unsendable");
    if (nodeid === 0 || nodeid === this.#nodeid) {
      this.#loopback.packets += 1;
      this.#loopback.bytes += message.length;
      if (event.isStored !== true) out.push({ kind: "received", message });
    }
    const targets = nodeid === 0 ? [...this.#peers.values()] : [this.#peers.get(nodeid)];
    const routes: { readonly peer: Peer; readonly links: readonly PeerLink[] }[] = [];
    for (const peer of targets) {
      if (!peer?.isReachable || (nodeid === 0 && this.#deaths.isSpared(peer.nodeid))) continue;
      routes.push({ peer, links: peer.choose(this.#configuration.linkMode) });
    }
    if (routes.length === 0) {
      if (nodeid !== this.#nodeid && nodeid !== 0) this.#drop("notReachable");
      return;
    }
    const fragments = Math.ceil(message.length / this.#dataMtu);
    if (fragments > FRAGMENTS_MAX) return this.#drop("unsendable");
    this.#seq = this.#seq === SEQ_MAX ? 1 : this.#seq + 1;
    if (this.#seq % PING_EVERY_SEQ === 0) this.#pingAll(now, out);
    for (let i = 0; i < fragments; i += 1) {
      const packet = encodePacket({
        kind: "data",
        nodeid: this.#nodeid,
        seq: this.#seq,
        method: 0,
        multicast: nodeid === 0,
        fragments,
        fragment: fragments === 1 ? 0 : i + 1,
        channel: 0,
        data: message.subarray(i * this.#dataMtu, (i + 1) * this.#dataMtu),
      });
      // One packet for all: the ring host may seal it once.
      for (const { peer, links } of routes) {
        for (const link of links) this.#transmit(peer, link, packet, out);
      }
    }
  }

  #pingAll(now: number, out: LinksAction[]): void {
    for (const peer of this.#peers.values()) {
      for (const link of peer.links) this.#ping(peer, link, false, now, out);
    }
  }
}
