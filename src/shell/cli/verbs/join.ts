// How a machine comes into a cluster: join, and the tokens and information that are carried to it.
import { CommandFailure, exitFailed, exitOk, exitUsage } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { note, write } from "../output.ts";
import {
  done,
  dryRun,
  failed,
  json,
  linkOptions,
  notRunning,
  root,
  socketFile,
  wrongLine,
} from "../shared.ts";
import { command, flag, option, optional } from "../table.ts";
import { anyWord, duration, file, number, port } from "../values.ts";

const { conf, authkey, treeDir } = nodePaths("/");
const linkAddresses = linkOptions(
  (link) => `Own address of link ${link} (default: the one in the members' network)`,
);

export const join = command("join", {
  description: "Make this node a member of a cluster",
  takes: {
    target: optional(anyWord("host|token|-")),
    fingerprint: option(
      "fingerprint",
      anyWord("sha256"),
      "Of the member's certificate; asked about when not given",
    ),
    passwordFile: option(
      "password-file",
      file(),
      "Password of root@pam there in the first line, - for standard input (default: asked for)",
    ),
    port: option("port", port, "Of the member's API (default: 8006)"),
    ...linkAddresses,
    nodeid: option(
      "nodeid",
      number("number", 1, 65_535),
      "Of this node (default: the lowest that is free)",
    ),
    votes: option("votes", number("number", 0, 255), "Of this node (default: 1)"),
    abort: flag("abort", "Give up the join that is under way on this node"),
    force: flag("force", "Go on although guests, old files or a link speak against it"),
    root,
    dryRun,
    json,
  },
  examples: [
    "quorate join quoratejoin1.AbCd…",
    "quorate join 10.0.0.1",
    "quorate join 10.0.0.1 --link0 10.0.0.4 --dry-run",
    "quorate join --abort",
  ],
  manual: [
    "Takes a one-time token (quorate join-token on a member), join information (quorate join-info, or Proxmox's page), or a member's name or address with the password of root@pam there.",
    "Before anything is changed it looks at clocks, names, ids and addresses, at guests that would be lost and files that are left, and sends packets of full size over each link in both directions.",
    "Then the cluster makes a place for this node that has no vote yet, so that no member loses quorum while it is on its way; this node keeps its old tree as a backup, gets key and corosync.conf, starts again as a member, receives the tree, and is confirmed with its vote. Without that the place is removed after five minutes, and this node is what it was. Several nodes may join at once: they wait for each other.",
    "It is carried out by the node as a task, which goes on when this command ends. Killed at any moment, on either side, it is completed or taken back.",
    "On a member of the same cluster it does nothing, and that is success.",
    "With --abort a join that is under way, and waits for its turn or for quorum, is given up: the place goes out of the cluster again, and this node is standalone with its old tree. One that the cluster has confirmed meanwhile is complete.",
  ],
  files: [
    [conf, "of the cluster, afterwards"],
    [authkey, "the key of the cluster, afterwards"],
    [`${treeDir}/backup/config-*.sql.gz`, "the tree of before, as SQL"],
    socketFile,
  ],
  exits: [
    [exitOk, "this node is a member, now or already; with --abort: it is standalone"],
    [exitFailed, "it is not, and all is as before; the text says why"],
    wrongLine,
    notRunning,
  ],
  run: async ({
    target,
    abort,
    fingerprint,
    passwordFile,
    port: apiPort,
    nodeid,
    votes,
    force,
    root: at,
    dryRun: dry,
    json: asJson,
    ...rest
  }) => {
    if (abort) {
      if (target !== undefined)
        throw new CommandFailure("--abort goes without host or token", exitUsage);
      const { joinAbortCommand } = await import("../../command/cluster/join-abort.ts");
      return joinAbortCommand({ root: at, json: asJson, write, note });
    }
    if (target === undefined) {
      throw new CommandFailure(
        "quorate join takes a member's name or address, a join token (quorate join-token there) or -",
        exitUsage,
      );
    }
    const { joinCommand } = await import("../../command/cluster/join.ts");
    const links = Object.entries(rest).flatMap(([name, address]) =>
      typeof address === "string" ? [[Number(name.slice("link".length)), address] as const] : [],
    );
    return joinCommand({
      ...{ root: at, target, fingerprint, passwordFile, port: apiPort, nodeid, votes, force },
      ...{ links: new Map(links), dryRun: dry, json: asJson, write, note },
    });
  },
});

export const joinToken = command("join-token", {
  description: "Make a one-time token with which a machine joins",
  takes: {
    lifetime: option(
      "lifetime",
      duration("time", 7, "1m"),
      "How long it is good, from 1m to 7d (default: 1h)",
    ),
    list: flag("list", "Show those that there are"),
    revoke: option("revoke", anyWord("id"), "Take one back"),
    root,
    json,
  },
  examples: [
    "quorate join-token",
    "quorate join-token --lifetime 10m",
    "quorate join-token --list",
  ],
  manual: [
    "Prints the command line that joins a machine: addresses of members, the fingerprint of the cluster's authority, and a secret that lets one machine in, once. The machine sends the secret only to a member that has shown this authority.",
    "The tree keeps a hash of the secret, until it expires.",
  ],
  files: [
    [`${nodePaths("/").mount}/priv/quorate/join-tokens`, "what the tree keeps of them"],
    socketFile,
  ],
  exits: [done, failed, wrongLine, notRunning],
  run: async ({ lifetime, ...given }) => {
    const { joinTokenCommand } = await import("../../command/cluster/join-token.ts");
    return joinTokenCommand({ ...given, lifetimeMs: lifetime, write });
  },
});

export const joinInfo = command("join-info", {
  description: "Print join information, or explain one",
  takes: { text: optional(anyWord("text")), root, json },
  examples: ["quorate join-info", "quorate join-info eyJpcEFkZHJl…"],
  manual: [
    "Prints the text that Proxmox's page calls join information: address and fingerprint of this member and the links of the cluster, as base64. It holds no secret.",
    "With such a text, or a join token, it says what is in it.",
  ],
  files: [socketFile],
  exits: [done, failed, wrongLine, notRunning],
  run: async (given) => {
    const { joinInfoCommand } = await import("../../command/cluster/join-token.ts");
    return joinInfoCommand({ ...given, write });
  },
});
