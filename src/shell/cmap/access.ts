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
  /** Refused here alone: the original would change one node's configuration behind the file's back. */
  | "configuration"
  /** Stops the wait for all nodes. */
  | "cancelWaitForAll"
  /** Taken without an effect: what this node finds out itself is shown as it is. */
  | "own"
  /** Kept for whoever set it. */
  | "free";

const configurationPrefixes = ["totem.", "quorum.", "logging.", "resources."] as const;

export function accessTo(key: string): Access {
  if (readOnlyPrefixes.some((prefix) => key.startsWith(prefix))) return "readOnly";
  if (readOnlyKeys.has(key)) return "readOnly";
  if (key === "quorum.cancel_wait_for_all") return "cancelWaitForAll";
  if (configurationPrefixes.some((prefix) => key.startsWith(prefix))) return "configuration";
  return /^(?:runtime\.(?:members|votequorum)\.|config\.reload_status$)/.test(key) ? "own" : "free";
}
