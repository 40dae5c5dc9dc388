// The names under which this file answers as an original program (design.md, decision 7), with what it does under each, for the manual;
// install.sh makes the links.

export const linkTexts: readonly (readonly [name: string, text: string])[] = [
  [
    "pvecm",
    "Proxmox's cluster manager: create, add, delnode, status, nodes, expected, qdevice and the rest.",
  ],
  [
    "corosync-quorumtool",
    "Quorum, votes and members; exit status 2 where the node is not quorate. Sets expected votes and votes.",
  ],
  ["corosync-cfgtool", "Links and their state; reloads corosync.conf on all nodes, ends a node."],
  [
    "corosync-cmapctl",
    "Keys of configuration, members, votes and statistics (-m stats): list, get, track, set, delete, load. A key of totem{} or quorum{} that corosync takes over while it runs is in force on this node until the next reload; others of the configuration are refused. Without keys for what quorate does not have: the services pload, mon and wd with resources.*, runtime.blackbox, runtime.force_gather, stats.ipcs, times of encryption and compression. -t and -T look five times a second.",
  ],
  ["corosync-cpgtool", "Closed process groups and the processes in them."],
  ["corosync-keygen", "Makes the key of a cluster."],
  ["corosync-qnetd", "The vote server, as `quorate qnetd`."],
  ["corosync-qnetd-tool", "What the vote server says of its clusters."],
  ["corosync-qnetd-certutil", "Certificates of the vote server."],
  ["corosync-qdevice-tool", "What this node's client of a vote server says."],
];

export const linkNames: readonly string[] = linkTexts.map(([name]) => name);
