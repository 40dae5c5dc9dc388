// The names under which this file answers as an original program (design.md, decision 7); install.sh makes the links.

export const linkNames: readonly string[] = [
  "pvecm",
  "corosync-quorumtool",
  "corosync-cfgtool",
  "corosync-cmapctl",
  "corosync-cpgtool",
  "corosync-keygen",
  "corosync-qnetd",
  "corosync-qnetd-tool",
  "corosync-qnetd-certutil",
  "corosync-qdevice-tool",
];
