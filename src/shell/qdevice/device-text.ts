// What is said of a quorum device's set-up and removal, by a command as by the API: what stands in the way, what other nodes need, what is left on the
// vote server.
import type { NodeStatus } from "../api/status.ts";
import { certificateDirectory } from "../cli/shared.ts";
import { treeAuthority, treeIdentity } from "./device-identity.ts";
import type { NodeVote, Obstacle } from "./device-setup.ts";

/** What the nodes need that did not start a device by themselves: as a rule those that run the original. */
export function handText(nodes: readonly NodeVote[], hasCertificates: boolean): string {
  const tree = "/etc/pve";
  const lines = [
    ...(hasCertificates
      ? [
          `corosync-qdevice-net-certutil -i -c ${tree}/${treeAuthority}`,
          `corosync-qdevice-net-certutil -m -c ${tree}/${treeIdentity}`,
        ]
      : []),
    "systemctl enable --now corosync-qdevice",
  ].map((command) => `    ${command}\n`);
  return (
    `Warning: no vote yet on ${nodes.map(({ name }) => name).join(", ")}. Where corosync runs instead of quorate, install corosync-qdevice and run:\n` +
    lines.join("") +
    "Where quorate runs, see `quorate status` there.\n"
  );
}

/** One sentence for all that stands in the way. */
export function obstacleText(obstacle: Obstacle, verb: "setup" | "remove"): string {
  switch (obstacle.kind) {
    case "offline":
      return verb === "setup"
        ? `node ${obstacle.node} is offline: all nodes must be online to take the device`
        : `node ${obstacle.node} is offline: all nodes must be online to give the device up. Start it; if it is dead for good, ` +
            "take it out of the nodelist and the section device out of quorum in one change of corosync.conf, with config_version one higher (`quorate fs put corosync.conf FILE`)";
    case "configured":
      return `a quorum device is configured already (${obstacle.host}): remove it first with \`quorate qdevice remove\``;
    case "notConfigured":
      return "no quorum device is configured";
    case "odd":
      return (
        `this cluster has ${obstacle.nodes} nodes: an odd number needs no quorum device, and one makes the vote server a single point of failure. ` +
        `With --force it gets ${obstacle.nodes - 1} votes (lms): then the last node with the server carries on, and without the server no node may be lost`
      );
    case "other":
      return obstacle.reason;
  }
  return obstacle satisfies never;
}

/** What is left to do on the vote server, which knows the cluster by its certificate. */
export function serverHint({ device, cluster }: Pick<NodeStatus, "device" | "cluster">): string {
  if (device === undefined || device.tls.mode === "off") return "";
  const path = `${certificateDirectory}/cluster-${cluster.name}.crt`;
  return `Note: on the vote server ${device.host} the cluster's certificate is left. If the cluster shall not come back to it, remove ${path} there, or \`quorate qnetd status\` goes on asking for the cluster.\n`;
}
