// The first step to a cluster: this node becomes the first of one.
import { exitFailed, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { note, write } from "../output.ts";
import { dryRun, json, linkOptions, notRunning, root, socketFile, wrongLine } from "../shared.ts";
import { command, option, required } from "../table.ts";
import { anyWord, number } from "../values.ts";

const nodeidMax = 2 ** 32 - 1;
const { mount, conf, authkey } = nodePaths("/");

const links = linkOptions(
  (link) =>
    `This node's address on link ${link}; ADDRESS,priority=N: the larger one carries the ring`,
);

export const create = command("create", {
  description: "Create a cluster, with this node as its first",
  takes: {
    name: required(anyWord("cluster")),
    ...links,
    nodeid: option("nodeid", number("nodeid", 1, nodeidMax), "Number of this node (default: 1)"),
    votes: option("votes", number("votes", 1, 255), "Votes of this node (default: 1)"),
    tokenCoefficient: option(
      "token-coefficient",
      number("milliseconds", 0, 65_535),
      "More time for the token with each node above two (default: 125)",
    ),
    ...{ root, dryRun, json },
  },
  examples: [
    "quorate create prod",
    "quorate create prod --link0 10.0.0.1 --link1 10.1.0.1",
    "quorate create prod --dry-run",
  ],
  manual: [
    "Makes a cluster of the standalone node that runs here: a key, a corosync.conf in the tree, certificates; then the node restarts in place and is a member. What is in its tree stays. It does what `pvecm create` does, except for ssh: quorate's nodes need no ssh keys.",
    "Without a link it takes the node's own address: what its name resolves to, else that of the default route. Before anything is changed it checks that addresses are this machine's and their ports free, that no corosync or pmxcfs runs here, and that a node could start with the file. The same command again is fine.",
    "It is carried out by the node as a task, which goes on when this command ends. Killed at any moment, it is completed or taken back at the node's next start.",
  ],
  files: [
    [`${mount}/corosync.conf`, "written, with config_version 1"],
    [conf, "its copy"],
    [authkey, "made when there is none"],
    socketFile,
  ],
  exits: [
    [exitOk, "done, or so already"],
    [exitFailed, "could not be done, and all is as before; the text says why"],
    wrongLine,
    notRunning,
  ],
  run: async ({ name, root: below, nodeid, votes, tokenCoefficient, json: asJson, ...given }) => {
    const { createCommand } = await import("../../command/cluster/create.ts");
    const { dryRun: isDry, ...linkWords } = given;
    return createCommand({
      ...{ root: below, json: asJson, dryRun: isDry, write, note },
      clusterName: name,
      words: { ...linkWords, nodeid, votes, "token-coefficient": tokenCoefficient },
    });
  },
});
