// Lines of corosync-cmapctl that are not compared as they were recorded: keys that quorate does not have, each with the reason, and numbers that
// depend on how long a node runs and what else runs on its machine, by name.

/** Keys of the default map. */
export const omitted: readonly (readonly [RegExp, string])[] = [
  [/^internal_configuration\.service\.[467]\./, "no such service: pload, mon, wd"],
  [/^runtime\.services\.(pload|mon|wd)\./, "no such service"],
  [/^resources\./, "what mon and wd watch; quorate leaves a machine's load to its monitoring"],
  [/^runtime\.blackbox\./, "there is no flight recorder to dump"],
  [/^runtime\.force_gather /, "a trigger for corosync's own tests"],
];

/** Keys of the statistics. */
export const omittedStats: readonly (readonly [RegExp, string])[] = [
  [/^stats\.ipcs\./, "local clients speak HTTP"],
  [/^stats\.schedmiss\./, "only where the node was not scheduled"],
  [/^stats\.knet\.handle\.\w+_time_(ave|max|min) /, "no packet reads a clock"],
  [
    /^stats\.knet\.node\w+\.link\d\.\w+_(errors|retries) /,
    "what a full queue refuses is sent later",
  ],
  [
    /^stats\.srp\.(avg_backlog_calc|avg_token_workload|continuous_sendmsg_failures) /,
    "not measured",
  ],
];

/** Numbers of which only the type is compared. */
const varying: readonly RegExp[] = [
  /^runtime\.services\.\w+\.\d+\.[rt]x /,
  /^stats\.srp\.(?!continuous_gather|firewall)/,
  /^stats\.pg\.msg_reserved /,
  /^stats\.knet\.handle\.tx_uncompressed_packets /,
  /^stats\.knet\.node\d+\.link\d\.(latency_\w+|[rt]x_\w+|down_count|up_count) /,
];

export function comparable(text: string): string {
  return text
    .split("\n")
    .filter((line) => ![...omitted, ...omittedStats].some(([pattern]) => pattern.test(line)))
    .map((line) =>
      varying.some((pattern) => pattern.test(line)) ? line.replace(/ = \d+$/, " = <n>") : line,
    )
    .join("\n");
}
