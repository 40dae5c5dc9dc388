// The statistics map of a node (services.md §6.2), from the ring thread's counters. Pure. Left out is what has no counterpart here:
// stats.ipcs (local clients speak HTTP on a socket of their own), the times that encryption and compression take (no packet reads a clock),
// what sends could not do at once (the kernel's queue is waited for), and averages of the token's work.
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import type { LinkSnapshot } from "../../node/link/events.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import { EntryList, type MapEntry, sorted } from "./map-entry.ts";

export interface StatsSource {
  readonly settings: NodeSettings;
  readonly snapshot: RingSnapshot;
  /** Unix milliseconds. */
  readonly wallMs: number;
}

/** Every key, sorted by name. */
export function statsEntries(source: StatsSource): MapEntry[] {
  const list = new EntryList();
  addRing(list, source.snapshot);
  addHandle(list, source);
  addLoopback(list, source);
  for (const link of source.snapshot.links) addLink(list, link);
  addMisses(list, source);
  return sorted(list.entries);
}

/** Gathers in a row, from which on corosync suspects a firewall. */
const continuousGathersMax = 3;

function addRing(list: EntryList, { member, counts }: RingSnapshot): void {
  const { counters, continuousGathers } = member;
  const { received, sent, entered, tokenLost } = counters;
  const path = (name: string): string => `stats.srp.${name}`;
  const values: Readonly<Record<string, number>> = {
    commit_entered: entered.commit,
    commit_token_lost: tokenLost.commit,
    consensus_timeouts: counters.consensusTimeouts,
    gather_entered: entered.gather,
    gather_token_lost: tokenLost.gather,
    mcast_retx: counters.retransmitsSent,
    mcast_rx: received.mcast,
    mcast_tx: sent.mcast,
    memb_commit_token_rx: received.commit,
    memb_commit_token_tx: sent.commit,
    memb_join_rx: received.join,
    memb_join_tx: sent.join,
    memb_merge_detect_rx: received.mergeDetect,
    memb_merge_detect_tx: sent.mergeDetect,
    operational_entered: entered.operational,
    operational_token_lost: tokenLost.operational,
    orf_token_rx: received.token,
    orf_token_tx: sent.token,
    recovery_entered: entered.recovery,
    recovery_token_lost: tokenLost.recovery,
    rx_msg_dropped: counters.droppedMalformed,
    token_hold_cancel_rx: received.holdCancel,
    token_hold_cancel_tx: sent.holdCancel,
    time_since_token_last_received: counts.tokenAgeMs ?? 0,
  };
  for (const [name, value] of Object.entries(values)) list.u64(path(name), value);
  list.u32(path("continuous_gather"), continuousGathers);
  list.u32(path("mtt_rx_token"), counts.rotationMeanMs);
  list.u8(
    path("firewall_enabled_or_nic_failure"),
    continuousGathers > continuousGathersMax ? 1 : 0,
  );
  list.u32("stats.pg.msg_queue_avail", 0); // The original never sets it.
  list.u32("stats.pg.msg_reserved", member.queuedMessages);
}

function addHandle(list: EntryList, { settings, snapshot }: StatsSource): void {
  const { crypto, traffic } = snapshot.counts;
  const { compressed } = traffic;
  const uncompressed = snapshot.links.reduce((sum, { sent }) => sum + sent.data.packets, 0);
  const values: Readonly<Record<string, number>> = {
    rx_compressed_original_bytes: compressed.openedBytes,
    rx_compressed_packets: compressed.packets,
    rx_compressed_size_bytes: compressed.bytes,
    rx_crypt_packets: crypto.opened,
    // This node never compresses what it sends.
    tx_compressed_original_bytes: 0,
    tx_compressed_packets: 0,
    tx_compressed_size_bytes: 0,
    tx_crypt_byte_overhead: crypto.addedBytes,
    tx_crypt_packets: crypto.sealed,
    tx_uncompressed_packets: settings.compression.model === "none" ? 0 : uncompressed,
  };
  for (const [name, value] of Object.entries(values)) list.u64(`stats.knet.handle.${name}`, value);
}

const kinds = ["data", "ping", "pong", "pmtu"] as const;
type Shown = Pick<
  LinkSnapshot,
  "connected" | "enabled" | "downCount" | "upCount" | "mtu" | "latencyUs" | "latencySamples"
> &
  Pick<LinkSnapshot, "latencyUsRange" | "sent" | "received">;

function addLink(list: EntryList, link: LinkSnapshot): void {
  addCounts(list, `stats.knet.node${link.nodeid}.link${link.link}`, link);
}

const latencyUnknown = 0xffff_ffff;

function addCounts(list: EntryList, base: string, link: Shown): void {
  const path = (name: string): string => `${base}.${name}`;
  list.u8(path("connected"), link.connected);
  list.u8(path("enabled"), link.enabled);
  list.u32(path("down_count"), link.downCount);
  list.u32(path("up_count"), link.upCount);
  list.u32(path("mtu"), link.mtu);
  list.u32(path("latency_ave"), link.latencyUs);
  list.u32(path("latency_max"), link.latencyUsRange?.max ?? 0);
  list.u32(path("latency_min"), link.latencyUsRange?.min ?? latencyUnknown);
  list.u32(path("latency_samples"), link.latencySamples);
  for (const [direction, counts] of [
    ["rx", link.received],
    ["tx", link.sent],
  ] as const) {
    let packets = 0;
    let bytes = 0;
    for (const kind of kinds) {
      packets += counts[kind].packets;
      bytes += counts[kind].bytes;
      list.u64(path(`${direction}_${kind}_packets`), counts[kind].packets);
      list.u64(path(`${direction}_${kind}_bytes`), counts[kind].bytes);
    }
    list.u64(path(`${direction}_total_packets`), packets);
    list.u64(path(`${direction}_total_bytes`), bytes);
  }
}

const loopbackMtu = 65_535;

/** knet has a link to the own node, too, and everything that is sent to all goes over it. */
function addLoopback(list: EntryList, { settings, snapshot }: StatsSource): void {
  const none = { packets: 0, bytes: 0 };
  const nothing = { data: none, ping: none, pong: none, pmtu: none };
  addCounts(list, `stats.knet.node${settings.nodeid}.link0`, {
    connected: true,
    enabled: true,
    downCount: 0,
    upCount: 1,
    mtu: loopbackMtu,
    latencyUs: 0,
    latencySamples: 0,
    sent: { ...nothing, data: snapshot.counts.traffic.loopback },
    received: nothing,
  });
}

function addMisses(list: EntryList, { snapshot, wallMs }: StatsSource): void {
  for (const [index, { agoMs, delayMs }] of snapshot.counts.schedulingMisses.entries()) {
    list.u64(`stats.schedmiss.${index}.timestamp`, wallMs - agoMs);
    list.put(`stats.schedmiss.${index}.delay`, "flt", delayMs.toFixed(6));
  }
}
