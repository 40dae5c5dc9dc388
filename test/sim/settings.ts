// The settings of a simulated cluster: made from a real corosync.conf text by the same reader as in production.
import { parseConf } from "../../src/conf.ts";
import { readSettings } from "../../src/node/read-settings.ts";
import type { NodeSettings } from "../../src/node/settings.ts";

export const addressOf = (nodeid: number): string => `10.0.0.${nodeid}`;

/** `quorum` are extra lines of that section. */
export function simulatedSettings(
  nodes: number,
  nodeid: number,
  quorum: readonly string[] = [],
  clusterName = "sim",
): NodeSettings {
  const ids = Array.from({ length: nodes }, (_, at) => at + 1);
  const text = [
    "totem {",
    "version: 2",
    `cluster_name: ${clusterName}`,
    "config_version: 1",
    "}",
    "quorum {",
    "provider: corosync_votequorum",
    ...quorum,
    "}",
    "nodelist {",
    ...ids.flatMap((id) => [
      "node {",
      `name: n${id}`,
      `nodeid: ${id}`,
      `ring0_addr: ${addressOf(id)}`,
      "}",
    ]),
    "}",
  ].join("\n");
  const conf = parseConf(text);
  if (!conf.ok) throw new Error(conf.reason);
  const settings = readSettings({
    conf: conf.value,
    file: "sim",
    localNames: [`n${nodeid}`],
    localAddresses: [],
    resolved: new Map(ids.map((id) => [addressOf(id), addressOf(id)])),
    key: { ok: false, reason: "no key in the simulator" },
  });
  if (!settings.ok) throw new Error(settings.reason);
  return settings.value;
}
