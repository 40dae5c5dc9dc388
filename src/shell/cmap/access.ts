// What a client may change in the default map (services.md §6.1; the words of corosync 3.1.7, tried on the daemon). Pure.

/** The original refuses all keys that begin so. */
const readOnlyPrefixes = [
  "internal_configuration.",
  "runtime.services.",
  "runtime.config.",
  "runtime.totem.",
  "uidgid.config.",
  "system.",
  "nodelist.",
] as const;

const readOnlyKeys: ReadonlySet<string> = new Set([
  ...[
    "totem.crypto_model totem.crypto_cipher totem.crypto_hash totem.keyfile totem.key totem.secauth totem.ip_version",
    "totem.rrp_mode totem.transport totem.cluster_name totem.netmtu totem.threads totem.version totem.nodeid",
    "totem.clear_node_high_bit config.reload_in_progress config.totemconfig_reload_in_progress",
    "quorum.wait_for_all quorum.last_man_standing quorum.last_man_standing_window quorum.expected_votes_tracking",
    "quorum.auto_tie_breaker quorum.auto_tie_breaker_node quorum.allow_downscale",
  ].flatMap((names) => names.split(" ")),
]);

/** What happens to a key that a client sets or deletes. */
export type Access =
  /** Refused, as the original does. */
  | "readOnly"
  /** Refused here alone: the original stores it and does nothing, or lets one node's configuration part from the file. */
  | "configuration"
  /** Stops the wait for all nodes. */
  | "cancelWaitForAll"
  /** Put in force on this node, until corosync.conf is read again. */
  | "runtime"
  /** Taken without an effect: what this node finds out itself is shown as it is. */
  | "own"
  /** Kept for whoever set it. */
  | "free";

/** What corosync takes over from its map while it runs, but the version, which belongs to the file, and what concerns the quorum device. */
const runtimeKeys =
  /^(?:totem\.(?:token|token_coefficient|token_warning|token_retransmit|token_retransmits_before_loss_const|hold|join|send_join|consensus|merge|fail_recv_const|seqno_unchanged_const|window_size|max_messages|miss_count_const|cancel_token_hold_on_retransmit|knet_pmtud_interval|knet_mtu|block_unlisted_ips|link_mode|interface\.[0-7]\.knet_(?:link_priority|ping_interval|ping_timeout|ping_precision|pong_count))|quorum\.(?:expected_votes|votes|two_node))$/;

/** The type that a key of `runtime` has in corosync.conf: another one would be a value that nobody can use. */
export function runtimeTypeOf(key: string): "u8" | "u32" | "str" {
  if (/\.(?:knet_link_priority|two_node)$/.test(key)) return "u8";
  const isText = /\.(?:cancel_token_hold_on_retransmit|block_unlisted_ips|link_mode)$/.test(key);
  return isText ? "str" : "u32";
}

const configurationPrefixes = ["totem.", "quorum.", "logging.", "resources."] as const;

export function accessTo(key: string): Access {
  if (readOnlyPrefixes.some((prefix) => key.startsWith(prefix))) return "readOnly";
  if (readOnlyKeys.has(key)) return "readOnly";
  if (key === "quorum.cancel_wait_for_all") return "cancelWaitForAll";
  if (runtimeKeys.test(key)) return "runtime";
  if (configurationPrefixes.some((prefix) => key.startsWith(prefix))) return "configuration";
  return /^(?:runtime\.(?:members|votequorum)\.|config\.reload_status$)/.test(key) ? "own" : "free";
}
