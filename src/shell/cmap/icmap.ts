// The default map of a node, with corosync's names, types and values (services.md §6.1): its configuration as the file has it, what is in
// force of it, and who is there. Pure. Keys of what corosync does and this program does not are left out: its services pload, mon and wd
// with their resources.*, its blackbox, and runtime.force_gather.
import type { MemberSnapshot, VoteMap } from "../../node/member/events.ts";
import type { ConfigurationKey } from "../../node/settings/configuration-keys.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import { EntryList, type MapEntry, sorted } from "./map-entry.ts";

export interface MapSource {
  readonly settings: NodeSettings;
  readonly member: MemberSnapshot;
  /** Of the last reload that was tried; undefined: none since start. */
  readonly reload: { readonly ok: boolean } | undefined;
  /** A reload has succeeded since start. */
  readonly hasReloaded: boolean;
}

/** Every key, sorted by name. */
export function icmapEntries(source: MapSource): MapEntry[] {
  const list = new EntryList();
  addConfiguration(list, source);
  addTotem(list, source.settings);
  addServices(list, source);
  addMembers(list, source.member);
  const { voteMap } = source.member;
  if (voteMap !== undefined) addVotes(list, source.settings.nodeid, voteMap);
  addReload(list, source.reload);
  return sorted(list.entries);
}

function addConfiguration(list: EntryList, { settings, hasReloaded }: MapSource): void {
  const { configuration = [], nodes, nodeid, links, configVersion } = settings;
  for (const entry of configuration) {
    // The version in force may be older than the file's (a key that is still under way).
    const isVersion = entry.key === "totem.config_version" && configVersion > 0;
    list.put(entry.key, entry.type, isVersion ? configVersion : entry.value);
  }
  const position = nodes.findIndex((node) => node.nodeid === nodeid);
  if (position < 0) return;
  list.u32("nodelist.local_node_pos", position);
  // corosync fills these in when it starts, and its reload takes them away as keys that the file does not have.
  if (hasReloaded) return;
  for (const { number } of links) {
    const key = `totem.interface.${number}.bindnetaddr`;
    const address = nodes[position]?.addresses[number];
    if (address === undefined || configuration.some((entry) => entry.key === key)) continue;
    list.str(key, address);
  }
}

/** An integer of totem{} for which 0 means the default. */
function totemInteger(
  configuration: readonly ConfigurationKey[],
  name: string,
  fallback: number,
): number {
  const text = configuration.find(({ key }) => key === `totem.${name}`)?.value;
  return Number(text ?? "0") || fallback;
}

function addTotem(list: EntryList, settings: NodeSettings): void {
  const { tuning, compression, configuration = [] } = settings;
  const path = (name: string): string => `runtime.config.totem.${name}`;
  const values: Readonly<Record<string, number | boolean>> = {
    block_unlisted_ips: settings.blockUnlistedIps,
    cancel_token_hold_on_retransmit: tuning.cancelTokenHoldOnRetransmit,
    consensus: tuning.consensusMs,
    downcheck: totemInteger(configuration, "downcheck", 1000),
    fail_recv_const: tuning.failReceiveMax,
    heartbeat_failures_allowed: totemInteger(configuration, "heartbeat_failures_allowed", 0),
    hold: tuning.holdMs,
    join: tuning.joinMs,
    knet_compression_threshold: compression.threshold,
    knet_mtu: settings.knetMtu,
    knet_pmtud_interval: settings.pmtudIntervalMs / 1000,
    max_messages: tuning.maxMessages,
    max_network_delay: totemInteger(configuration, "max_network_delay", 50),
    merge: tuning.mergeMs,
    miss_count_const: tuning.missCountMax,
    send_join: tuning.sendJoinMs,
    seqno_unchanged_const: tuning.seqnoUnchangedMax,
    token: tuning.tokenMs,
    token_retransmit: tuning.tokenRetransmitMs,
    token_retransmits_before_loss_const: totemInteger(
      configuration,
      "token_retransmits_before_loss_const",
      4,
    ),
    token_warning: tuning.tokenWarningPercent,
    window_size: tuning.windowSize,
  };
  for (const [name, value] of Object.entries(values)) list.u32(path(name), value);
  list.put(path("knet_compression_level"), "i32", compression.level);
  list.str(path("knet_compression_model"), compression.model);
  for (const { number, pingIntervalMs, pingTimeoutMs } of settings.links) {
    list.u32(path(`interface.${number}.knet_ping_interval`), pingIntervalMs);
    list.u32(path(`interface.${number}.knet_ping_timeout`), pingTimeoutMs);
  }
}

/** corosync's services that this program has, by their numbers. */
const services = [
  [0, "cmap"],
  [1, "cfg"],
  [2, "cpg"],
  [3, "quorum"],
  [5, "votequorum"],
] as const;

function addServices(list: EntryList, { settings, member }: MapSource): void {
  for (const [id, name] of services) {
    if (name === "votequorum" && !settings.quorum.provider) continue;
    list.str(`internal_configuration.service.${id}.name`, `corosync_${name}`);
    list.u32(`internal_configuration.service.${id}.ver`, 0);
    list.put(`runtime.services.${name}.service_id`, "u16", id);
  }
  for (const { service, fn, received, sent } of member.messages) {
    if (service === "votequorum" && !settings.quorum.provider) continue;
    list.u64(`runtime.services.${service}.${fn}.rx`, received);
    list.u64(`runtime.services.${service}.${fn}.tx`, sent);
  }
}

function addMembers(list: EntryList, member: MemberSnapshot): void {
  for (const { nodeid, isJoined, joinCount, addresses, configVersion } of member.pastMembers) {
    const path = `runtime.members.${nodeid}`;
    if (configVersion !== undefined) list.u64(`${path}.config_version`, configVersion);
    list.str(`${path}.ip`, addressText(addresses));
    list.u32(`${path}.join_count`, joinCount);
    list.str(`${path}.status`, isJoined ? "joined" : "left");
  }
}

/** "r(0) ip(10.0.0.1) r(1) ip(10.1.0.1) ", with the blank at the end. */
function addressText(addresses: readonly (string | undefined)[]): string {
  return addresses
    .flatMap((address, link) => (address === undefined ? [] : [`r(${link}) ip(${address}) `]))
    .join("");
}

/** votequorum's keys. */
export function addVotes(list: EntryList, nodeid: number, votes: VoteMap): void {
  const path = (name: string): string => `runtime.votequorum.${name}`;
  const { ends } = votes;
  list.u32(path("this_node_id"), nodeid);
  list.u8(path("two_node"), votes.twoNode);
  list.u32(path("ev_barrier"), votes.expectedVotesBarrier);
  if (ends !== undefined) {
    list.u32(path("lowest_node_id"), ends.lowest);
    list.u32(path("highest_node_id"), ends.highest);
  }
  if (votes.isWaitingForAll !== undefined) {
    list.u8(path("wait_for_all_status"), votes.isWaitingForAll);
  }
  if (votes.trackingBarrier !== undefined) {
    list.u32(path("ev_tracking_barrier"), votes.trackingBarrier);
  }
  if (votes.tieBreaker !== undefined) list.u32(path("atb_type"), votes.tieBreaker);
  if (votes.isDeviceAllowed !== undefined) {
    list.u8(path("qdevice_can_operate"), votes.isDeviceAllowed);
  }
  if (votes.masterWins !== undefined) list.u8(path("qdevice_master_wins"), votes.masterWins);
}

const reloadStatus = { ok: 1, invalidParameter: 7 } as const;

function addReload(list: EntryList, reload: MapSource["reload"]): void {
  if (reload === undefined) return;
  list.u8("config.reload_in_progress", 0);
  list.u8("config.totemconfig_reload_in_progress", 0);
  const status = reload.ok ? reloadStatus.ok : reloadStatus.invalidParameter;
  list.put("config.reload_status", "i32", status);
}
