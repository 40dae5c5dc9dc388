// What `quorate` alone says: what it is, what runs here, and the three commands that are likely next, from facts alone (pure).
import type { Identity } from "../version.ts";
import { plural, printable } from "../cli/text-table.ts";
import type { MachineFacts } from "./facts.ts";

export interface NextStep {
  readonly command: string;
  readonly why: string;
}

const stepsMax = 3;

export function welcomeText(identity: Identity, facts: MachineFacts): string {
  const steps = nextSteps(facts);
  const width = Math.max(...steps.map(({ command }) => command.length));
  const lines = [
    `quorate ${identity.version} (${identity.target}): a Proxmox-style cluster in one file.`,
    "",
    `On ${facts.host}:`,
    `  Node         ${nodeText(facts)}`,
    `  Vote server  ${serverText(facts)}`,
    ...(facts.originals.length === 0 ? [] : [`  Originals    ${originalsText(facts)}`]),
    "",
    "Next:",
    ...steps.map(({ command, why }) => `  ${command.padEnd(width)}  ${why}`),
    "",
    "`quorate --help` lists all commands.",
  ];
  return `${lines.join("\n")}\n`;
}

function nodeText({ node, hasConf, cluster }: MachineFacts): string {
  switch (node.kind) {
    case "runs":
      if (node.isStandalone) return `runs: ${printable(node.name)}, standalone (in no cluster)`;
      return `runs: ${printable(node.name)} in ${clusterText(node.cluster)}, ${node.quorumMeaning}`;
    case "forbidden":
      return "runs for another user; ask as root";
    case "silent":
      return "is there, but gives no answer; see its log";
    case "absent":
      return hasConf
        ? `does not run; corosync.conf of ${clusterText(cluster)} is here`
        : "does not run; no corosync.conf is here";
  }
  return node satisfies never;
}

function serverText({ server }: MachineFacts): string {
  switch (server.kind) {
    case "runs": {
      const { address, port, clusterCount, nodeCount, warningCount } = server;
      const warnings = warningCount === 0 ? "" : `, ${plural(warningCount, "warning")}`;
      return `runs on ${address}:${port}: ${plural(clusterCount, "cluster")}, ${plural(nodeCount, "node")} connected${warnings}`;
    }
    case "original":
      return "an original corosync-qnetd runs";
    case "forbidden":
      return "runs for another user; ask as root";
    case "silent":
      return "is there, but gives no answer; see its log";
    case "absent":
      return "does not run";
  }
  return server satisfies never;
}

function originalsText({ originals }: MachineFacts): string {
  const verb = originals.length === 1 ? "runs" : "run";
  const conflict = originals.some((name) => name === "corosync" || name === "pmxcfs")
    ? "; `quorate node` would use the same ports and files: not beside them"
    : "";
  return `${originals.join(", ")} ${verb}${conflict}`;
}

/** The three likely next commands, most useful first. Every one that begins with "quorate" is in the command table. */
export function nextSteps(facts: MachineFacts): readonly NextStep[] {
  return [...likely(facts)].slice(0, stepsMax);
}

function* likely(facts: MachineFacts): Generator<NextStep> {
  const hasCorosync = facts.originals.includes("corosync");
  const { node, server } = facts;
  if (node.kind === "runs" && !node.isQuorate && !node.isStandalone) {
    yield { command: "quorate status", why: "which nodes are missing, and what waits for them" };
  }
  if (node.kind === "silent" || node.kind === "forbidden") yield* askAgain(facts, "quorate status");
  if (server.kind === "silent" || server.kind === "forbidden") {
    yield* askAgain(facts, "quorate qnetd status");
  }
  if (server.kind === "runs") {
    const { nodeCount, warningCount } = server;
    yield {
      command: "quorate qnetd status",
      why:
        warningCount > 0
          ? "the warnings, and who votes how"
          : "who is connected, and why each vote",
    };
    if (nodeCount === 0) yield invite;
  }
  if (server.kind === "original") yield* takeOver(facts);
  if (node.kind === "runs") yield* withNode(node);
  else if (hasCorosync) yield* besideCorosync(facts);
  else if (node.kind === "absent") yield* withoutNode(facts);
  if (server.kind === "runs") {
    yield invite;
    yield { command: "quorate qnetd certificates", why: "whose they are, and until when" };
  }
  yield { command: "quorate man", why: "the manual page" };
}

const invite: NextStep = {
  command: "quorate qnetd invite CLUSTER",
  why: "a token that lets a cluster of quorate nodes join this vote server",
};

function* askAgain({ manager, services }: MachineFacts, command: string): Generator<NextStep> {
  yield { command: `sudo ${command}`, why: "ask again, as root" };
  const service = command === "quorate status" ? "quorate-node" : "quorate-qnetd";
  if (manager === "systemd" && services.includes(service)) {
    yield { command: `journalctl -u ${service}`, why: "its log" };
  }
}

function* takeOver({ manager }: MachineFacts): Generator<NextStep> {
  yield { command: "corosync-qnetd-tool -l", why: "the clusters it serves" };
  yield {
    command:
      manager === "systemd" ? "systemctl disable --now corosync-qnetd" : "corosync-qnetd-tool -H",
    why: "stop it, if quorate is to take its place",
  };
  yield { command: "quorate qnetd", why: "then serve the same clusters, with its certificates" };
}

function* withNode(node: MachineFacts["node"] & { readonly kind: "runs" }): Generator<NextStep> {
  if (node.nodeCount % 2 === 0 && !node.hasDevice) {
    yield {
      command: "quorate qdevice setup TOKEN",
      why: `a vote server: with it one half of the ${node.nodeCount} nodes goes on when they part`,
    };
  }
  if (node.isStandalone) {
    yield { command: "quorate create NAME", why: "make it the first node of a cluster" };
    yield {
      command: "quorate join TOKEN",
      why: "make it a member of one; `quorate join-token` on a member prints the line",
    };
    yield { command: "quorate status", why: "its tree, and where it is mounted" };
  } else if (node.isQuorate) {
    yield { command: "quorate status --watch", why: "votes, ring, links and tree as they change" };
  }
  yield { command: "quorate fs ls", why: "the tree, also without a mount" };
  if (node.isStandalone) return;
  yield { command: "quorate reload", why: "all nodes read a changed corosync.conf" };
}

function* besideCorosync({ isProxmox, server }: MachineFacts): Generator<NextStep> {
  if (server.kind === "absent") {
    yield {
      command: "quorate qnetd",
      why: "on another, small machine: it becomes this cluster's tie-breaker",
    };
  }
  if (isProxmox) {
    yield {
      command: "pvecm qdevice setup ADDRESS",
      why: "then here, with that machine's address (package corosync-qdevice)",
    };
    yield { command: "pvecm status", why: "the votes, a Qdevice among them" };
  } else {
    yield {
      command: "corosync-qdevice-net-certutil -Q -n CLUSTER ADDRESS NODE...",
      why: "then here: the certificates for that machine (package corosync-qdevice)",
    };
    yield { command: "corosync-quorumtool -s", why: "the votes, a Qdevice among them" };
  }
}

function* withoutNode(facts: MachineFacts): Generator<NextStep> {
  const { hasConf, cluster, server } = facts;
  if (hasConf) {
    yield {
      command: startCommand(facts, "node"),
      why: `be a node of ${clusterText(cluster)}`,
    };
    yield { command: "quorate status", why: "then: votes, ring, links and tree" };
  }
  if (server.kind === "absent") {
    yield {
      command: startCommand(facts, "qnetd"),
      why: "make this machine a vote server: the tie-breaker of a cluster",
    };
    if (!hasConf) yield invite;
  }
  if (!hasConf) {
    yield {
      command: startCommand(facts, "node"),
      why: "be a node: standalone, until it is in a cluster",
    };
  }
}

/** By the service manager where there is one. */
function startCommand({ manager, services }: MachineFacts, role: "node" | "qnetd"): string {
  const service = `quorate-${role}`;
  if (manager === "none") return `quorate ${role}`;
  if (!services.includes(service)) return `quorate install ${role}`;
  return manager === "systemd" ? `systemctl start ${service}` : `rc-service ${service} start`;
}

function clusterText(name: string): string {
  return name === "" ? "a cluster without a name" : `cluster "${printable(name)}"`;
}
