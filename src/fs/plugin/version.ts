// `.version`: the counters by which the management layer knows that something it caches has changed. Spec: pmxcfs.md §3.1.
// The counters belong to this process; they differ between nodes and never travel.
import type { TreeOperation } from "../tree/entry.ts";

/** The files that have a counter, in the order in which they are shown. */
export const observedFiles = [
  "corosync.conf",
  "corosync.conf.new",
  "storage.cfg",
  "user.cfg",
  "domains.cfg",
  "notifications.cfg",
  "priv/notifications.cfg",
  "priv/shadow.cfg",
  "priv/acme/plugins.cfg",
  "priv/tfa.cfg",
  "priv/token.cfg",
  "priv/wg-keys.cfg",
  "datacenter.cfg",
  "vzdump.cron",
  "vzdump.conf",
  "jobs.cfg",
  "ha/crm_commands",
  "ha/manager_status",
  "ha/resources.cfg",
  "ha/rules.cfg",
  "ha/groups.cfg",
  "ha/fence.cfg",
  "status.cfg",
  "replication.cfg",
  "ceph.conf",
  "sdn/vnets.cfg",
  "sdn/zones.cfg",
  "sdn/controllers.cfg",
  "sdn/subnets.cfg",
  "sdn/ipams.cfg",
  "sdn/mac-cache.json",
  "sdn/pve-ipam-state.json",
  "sdn/dns.cfg",
  "sdn/fabrics.cfg",
  "sdn/route-maps.cfg",
  "sdn/prefix-lists.cfg",
  "sdn/.running-config",
  "virtual-guest/cpu-models.conf",
  "virtual-guest/profiles.cfg",
  "firewall/cluster.fw",
  "mapping/directory.cfg",
  "mapping/pci.cfg",
  "mapping/usb.cfg",
] as const;

/** Counts the changes of each observed file. */
export class FileCounters {
  readonly #counts = new Map<string, number>(observedFiles.map((path) => [path, 0]));

  /** A file was created, written, truncated, deleted, moved or got a new time; other paths do nothing. */
  changed(path: string): void {
    const count = this.#counts.get(path);
    if (count !== undefined) this.#counts.set(path, count + 1);
  }

  /** Counts what a change of the tree touches (pmxcfs.md §3.1); directories do not count. */
  executed(operation: TreeOperation): void {
    switch (operation.kind) {
      case "create":
      case "write":
      case "setMtime":
      case "delete":
        return this.changed(operation.path);
      case "rename":
        this.changed(operation.path);
        return this.changed(operation.to);
      case "mkdir":
      case "unlock":
      case "unlockRequest":
        return;
    }
    operation satisfies never;
  }

  /** The whole tree was loaded or replaced. */
  allChanged(): void {
    for (const [path, count] of this.#counts) this.#counts.set(path, count + 1);
  }

  all(): ReadonlyMap<string, number> {
    return this.#counts;
  }
}

export interface VersionView {
  /** Unix seconds. */
  readonly startTime: number;
  readonly clusterInfo: number;
  readonly guestList: number;
  readonly files: ReadonlyMap<string, number>;
  /** The local node first, even when it has no keys. */
  readonly statuses: readonly {
    readonly node: string;
    readonly keys: readonly { readonly key: string; readonly version: number }[];
  }[];
}

export function versionText(view: VersionView): string {
  const lines = [
    `"starttime": ${view.startTime}`,
    `"clinfo": ${view.clusterInfo}`,
    `"vmlist": ${view.guestList}`,
  ];
  for (const [path, count] of view.files) lines.push(`"${path}": ${count}`);
  const nodes = view.statuses.map(({ node, keys }) => {
    const entries = keys.map(({ key, version }) => `"${key}": ${version}`);
    return `"${node}": {\n${entries.join(",\n")}}\n`;
  });
  return `{\n${lines.join(",\n")},\n"kvstore": {\n${nodes.join(",\n")}}\n}\n`;
}
