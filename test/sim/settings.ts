// The settings of a simulated cluster: made from a real corosync.conf text by the same reader as in production.
import { parseConf } from "../../src/conf.ts";
import { readSettings, type SettingsResult } from "../../src/node/settings/read-settings.ts";
import type { NodeSettings } from "../../src/node/settings/settings.ts";

export const addressOf = (nodeid: number): string => `10.0.0.${nodeid}`;

export interface SimulatedConf {
  readonly nodes: number;
  readonly clusterName?: string;
  /** Extra lines of quorum{}. */
  readonly quorum?: readonly string[];
  readonly version?: number;
  /** Tells one key from another; undefined: no crypto. */
  readonly key?: number | undefined;
  /** nodeids that are no more in the nodelist. */
  readonly without?: readonly number[];
}

export function simulatedSettings(nodeid: number, conf: SimulatedConf): NodeSettings {
  return valueOf(loadedSettings(nodeid, conf));
}

/** The same, or why the node cannot use it. `running`: in force. */
export function loadedSettings(
  nodeid: number,
  conf: SimulatedConf,
  running?: NodeSettings,
): SettingsResult {
  const { clusterName = "sim", quorum = [], version = 1, key, without = [] } = conf;
  const ids = Array.from({ length: conf.nodes }, (_, at) => at + 1).filter(
    (id) => !without.includes(id),
  );
  const text = [
    "totem {",
    "version: 2",
    `cluster_name: ${clusterName}`,
    `config_version: ${version}`,
    ...(key === undefined ? [] : ["crypto_cipher: aes256", "crypto_hash: sha256"]),
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
  return readText(text, {
    nodeid,
    addresses: ids.map(addressOf),
    key: new Uint8Array(128).fill(key ?? 0),
    ...(running === undefined ? {} : { running }),
  });
}

interface SimulatedMachine {
  readonly nodeid: number;
  readonly addresses: readonly string[];
  /** Of its own interfaces; default: none, it finds itself by its name. */
  readonly own?: readonly string[];
  readonly key: Uint8Array;
  /** What it runs with. */
  readonly running?: NodeSettings;
}

/** What node `nodeid`, by name "nN", makes of a corosync.conf with these addresses in it. Throws when it cannot be used. */
export function settingsOfText(text: string, machine: SimulatedMachine): NodeSettings {
  return valueOf(readText(text, machine));
}

function readText(text: string, machine: SimulatedMachine): SettingsResult {
  const parsed = parseConf(text);
  if (!parsed.ok) return { ok: false, reason: parsed.reason };
  return readSettings({
    conf: parsed.value,
    file: "sim",
    local: { names: [`n${machine.nodeid}`], addresses: machine.own ?? [] },
    resolved: new Map(machine.addresses.map((address) => [address, address])),
    key: { ok: true, bytes: machine.key },
    running: machine.running,
  });
}

function valueOf(read: SettingsResult): NodeSettings {
  if (!read.ok) throw new Error(read.reason);
  return read.value;
}
