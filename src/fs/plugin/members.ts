// `.members`: who belongs to the cluster, who is online and where. Spec: pmxcfs.md §3.2.

export interface MembersView {
  readonly nodeName: string;
  /** The clinfo counter of `.version`. */
  readonly version: number;
  /** Undefined in local mode and before the node list is known. */
  readonly cluster: undefined | ClusterView;
}

export interface ClusterView {
  readonly name: string;
  /** totem.config_version */
  readonly configVersion: number;
  readonly quorate: boolean;
  readonly nodes: readonly {
    readonly name: string;
    readonly nodeid: number;
    readonly online: boolean;
    /** Last address the node sent of itself; undefined before that. */
    readonly address: string | undefined;
  }[];
}

export function membersText(view: MembersView): string {
  const head = `"nodename": "${view.nodeName}",\n"version": ${view.version}`;
  const { cluster } = view;
  if (cluster === undefined) return `{\n${head}\n}\n`;
  const quorate = cluster.quorate ? 1 : 0;
  const nodes = cluster.nodes.map(({ name, nodeid, online, address }) => {
    const ip = address === undefined ? "" : `, "ip": "${address}"`;
    return `  "${name}": { "id": ${nodeid}, "online": ${online ? 1 : 0}${ip}}`;
  });
  return (
    `{\n${head},\n"cluster": { "name": "${cluster.name}", "version": ${cluster.configVersion}, ` +
    `"nodes": ${cluster.nodes.length}, "quorate": ${quorate} },\n` +
    `"nodelist": {\n${nodes.join(",\n")}\n  }\n}\n`
  );
}
