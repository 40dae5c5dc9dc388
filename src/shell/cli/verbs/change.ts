// What changes a running cluster: nodes removed, readdressed and renamed, links, expected votes; and who is in it.
import { CommandFailure, exitFailed, exitNotRunning, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { note, write } from "../output.ts";
import {
  done,
  dryRun,
  failed,
  json,
  linkOptions,
  linksMax,
  notRunning,
  root,
  socketFile,
  wrongLine,
} from "../shared.ts";
import { command, commandOfVerbs, flag, option, required, rest, verb } from "../table.ts";
import { anyWord, number, parsed } from "../values.ts";

const mount = nodePaths("/").mount;
const isYes = flag("yes", "Do not ask");
const common = { root, isYes, dryRun, json };
const changed: readonly [string, string] = [
  `${mount}/corosync.conf`,
  "changed for all nodes, with a higher config_version",
];
const files = [changed, socketFile];
const exits = [
  [exitOk, "done, or so already"],
  [exitFailed, "could not be done, and all is as before; the text says why"],
  wrongLine,
  notRunning,
] as const;
const logged =
  "It is carried out by the node as a task, which goes on when this command ends. Killed at any moment, it is completed or taken back at the node's next start.";

export const nodes = command("nodes", {
  description: "Who is in the cluster, with votes and addresses",
  takes: { root, json },
  examples: ["quorate nodes"],
  manual: [
    "Lists the nodelist as the running node has it: nodeid, name, votes and addresses, and who of it is in the ring. A node that answers on a link but is not in the ring is told apart from one that is away.",
  ],
  files: [socketFile],
  exits: [done, failed, wrongLine, notRunning],
  run: async (given) => {
    const { nodesCommand } = await import("../../command/cluster/nodes.ts");
    return nodesCommand({ ...given, write });
  },
});

export const remove = command("remove", {
  description: "Remove another node from the cluster",
  takes: {
    node: required(anyWord("node")),
    purge: flag("purge", "Also what it leaves in the tree: its directory, keys and host keys"),
    withGuests: flag("with-guests", "With --purge: the configuration of its guests, too"),
    rotateKey: flag("rotate-key", "Then give the cluster another key, as quorate rotate-key does"),
    ...common,
  },
  examples: ["quorate remove pve3", "quorate remove pve3 --purge --dry-run"],
  manual: [
    "Takes a node, by name or address, out of corosync.conf on all nodes. It cannot disturb the ring any more: nobody reads its packets. The votes of a quorum device follow the number of nodes.",
    "For a node that runs it asks first: its daemon is ended at once, and does not start as a member again; its guests run on. Only where the others have no quorum without it does the daemon run on, alone. `quorate leave` on the node itself is the way that leaves it a standalone node.",
    "With --purge what it leaves in the tree goes as well, after a list and a question; files that only name it are listed, not changed.",
    "The removed machine still has the cluster's key: --rotate-key changes it once the node is out; with --json its outcome is `rotateKey` in that of the removal.",
    "A node that is out already is no failure, if the tree still knows that it was removed or has left, or has something of it; a name that no trace is found of is refused.",
    logged,
  ],
  files,
  exits,
  run: async ({ node, purge, withGuests, rotateKey: isKeyChanged, ...given }) => {
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand(
      { ...given, write, note },
      {
        method: "DELETE",
        path: `/cluster/nodes/${encodeURIComponent(node)}`,
        words: { purge, "with-guests": withGuests },
        question: "",
        done: `Node ${node} is removed.`,
      },
      isKeyChanged ? nextKey : undefined,
    );
  },
});

const keyChange = {
  method: "POST",
  path: "/cluster/key",
  words: {},
  question: "All nodes get another key.",
  done: "All nodes use the new key.",
} as const;

const nextKey = {
  ...keyChange,
  question: "Then all nodes get another key.",
  name: "rotateKey",
  failed: "the node is removed, but the cluster has its key of before",
} as const;

export const rotateKey = command("rotate-key", {
  description: "Give the cluster another key",
  takes: common,
  examples: ["quorate rotate-key --dry-run", "quorate rotate-key"],
  manual: [
    "Makes a new key, puts it on the disks of all nodes through the tree, and has all of them use it at the same moment; the ring goes on. For a machine that was removed, or a key that others may have seen. The former key is kept beside it, as authkey.previous.",
    "All nodes must be in the ring and be quorate nodes. If one cannot take the key, all go back to the former one.",
    logged,
  ],
  files: [[nodePaths("/").authkey, "changed on all nodes"], socketFile],
  exits,
  run: async (given) => {
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand({ ...given, write, note }, keyChange);
  },
});

export const leave = command("leave", {
  description: "Take this node out of its cluster",
  takes: {
    local: flag(
      "local",
      "Ask nobody: the others have removed this node, or are gone; it must be stopped",
    ),
    name: option("name", anyWord("node"), "With --local: of this node, when it is not the host's"),
    ...common,
  },
  examples: ["quorate leave --dry-run", "quorate leave --local"],
  manual: [
    "The node takes itself out of corosync.conf on all nodes and becomes standalone, without being installed anew. Its tree stays, guests too; directories of the other nodes go from it, and the whole of it is kept as a backup. corosync.conf and key are kept beside their places as *.bak.",
    "It is refused while the other nodes would have no quorum without this one. In the cluster a copy of the node's directory is left. It may join again at any time. On a standalone node there is nothing to do, which is no failure.",
    logged,
  ],
  files: [...files, [`${nodePaths("/").treeDir}/backup`, "the tree of before"]],
  exits,
  run: async ({ local, name, ...given }) => {
    if (local) {
      const { leaveLocalCommand } = await import("../../command/cluster/leave-local.ts");
      return leaveLocalCommand({ ...given, name, write });
    }
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand(
      { ...given, write, note },
      {
        method: "POST",
        path: "/cluster/leave",
        words: {},
        question: "This node leaves its cluster.",
        done: "This node is standalone.",
      },
    ).catch((error: unknown) => {
      if (!(error instanceof CommandFailure) || error.code !== exitNotRunning) throw error;
      throw new CommandFailure(
        `${error.message}. A node that was removed, or whose cluster is gone: \`quorate leave --local\``,
        error.code,
      );
    });
  },
});

export const rename = command("rename", {
  description: "Give a node another name",
  takes: { node: required(anyWord("node")), newName: required(anyWord("new-name")), ...common },
  examples: ["quorate rename pve3 alpha"],
  manual: [
    "Changes a node's name in the nodelist of all nodes, and moves its directory in the tree with everything in it, guests too. Then the machine itself must get the name, and its node be started again.",
    logged,
  ],
  files,
  exits,
  run: async ({ node, newName, ...given }) => {
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand(
      { ...given, write, note },
      {
        method: "PUT",
        path: `/cluster/nodes/${encodeURIComponent(node)}/name`,
        words: { name: newName },
        question: "",
        done: `Node ${node} is called ${newName} now; give the machine that name and start its node again.`,
      },
    );
  },
});

export const readdress = command("readdress", {
  description: "Give a node other addresses",
  takes: {
    node: required(anyWord("node")),
    ...linkOptions((which) => `New address of the node on link ${which}`),
    ...common,
  },
  examples: ["quorate readdress pve3 --link0 10.0.0.13"],
  manual: [
    "A running ring takes no other address for a link, so the link goes and comes back while others carry the ring; for the only link another is laid for the time, on the next free port. The node must have the new address on an interface already. What does not come up is taken back.",
    "A node that is away goes out of the nodelist and comes back with its new address: give it the new corosync.conf before it starts.",
    logged,
  ],
  files,
  exits,
  run: async ({ node, root: below, isYes: yes, dryRun: dry, json: asJson, ...links }) => {
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand(
      { root: below, isYes: yes, dryRun: dry, json: asJson, write, note },
      {
        method: "PUT",
        path: `/cluster/nodes/${encodeURIComponent(node)}/addresses`,
        words: links,
        question: "",
        done: `Node ${node} has its new address.`,
      },
    );
  },
});

export const votes = command("votes", {
  description: "Give a node another number of votes",
  takes: {
    node: required(anyWord("node")),
    votes: required(number("votes", 0, 255, "number of votes")),
    ...common,
  },
  examples: ["quorate votes pve3 2"],
  manual: [
    "For good, in corosync.conf of all nodes, while they run; all nodes must be in the ring. It says how many votes there are then, how many are needed, and whether one node decides alone. A quorum device's votes are fitted to it. With 0 a node counts for nothing.",
    logged,
  ],
  files,
  exits,
  run: async ({ node, votes: wanted, ...given }) => {
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand(
      { ...given, write, note },
      {
        method: "PUT",
        path: `/cluster/nodes/${encodeURIComponent(node)}/votes`,
        words: { votes: wanted },
        question: "",
        done: `Node ${node} has ${wanted} ${wanted === 1 ? "vote" : "votes"}.`,
      },
    );
  },
});

export const expected = command("expected", {
  description: "Override how many votes are expected",
  takes: {
    votes: required(number("votes", 1, 255, "number of votes")),
    force: flag("force", "Though a node that is not in the ring still answers"),
    ...common,
  },
  examples: ["quorate expected 1"],
  manual: [
    "Makes a partition quorate that would not be, as `pvecm expected`: for the time when the other nodes are off for sure. It says what is needed then and asks. Two partitions that are both quorate lose data.",
    "Where it would not make this part quorate, nothing is changed, the exit code is 1, and it says what helps: the votes of a quorum device that is away are expected all the same.",
    "It is kept in memory only, and ends by itself when the votes of others return, with any change of corosync.conf, or when the node restarts. Until then `quorate status` warns of it.",
  ],
  files: [socketFile],
  exits,
  run: async (given) => {
    const { expectedCommand } = await import("../../command/cluster/expected.ts");
    return expectedCommand({ ...given, write });
  },
});

const linkNumber = required(number("number", 0, linksMax - 1, "link number"));
const priority = option(
  "priority",
  number("priority", 0, 255),
  "The larger one carries the ring; 0: none",
);
const nodeAddress = parsed("node=address", "NODE=ADDRESS", (word) =>
  /^[^=,\s]+=[^=,\s]+$/.test(word) ? word : undefined,
);

const add = verb("add", "a link more, with an address for every node", {
  takes: { link: linkNumber, addresses: rest(nodeAddress), priority, ...common },
  run: async ({ link: link_, addresses, priority: wanted, ...given }) => {
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand(
      { ...given, write, note },
      {
        method: "POST",
        path: `/cluster/links/${link_}`,
        words: { addresses: addresses.join(","), priority: wanted },
        question: "",
        done: `Link ${link_} is connected between all nodes.`,
      },
    );
  },
});

const set = verb("set", "another priority for a link", {
  takes: { link: linkNumber, priority, ...common },
  run: async ({ link: link_, priority: wanted, ...given }) => {
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand(
      { ...given, write, note },
      {
        method: "PUT",
        path: `/cluster/links/${link_}`,
        words: { priority: wanted },
        question: "",
        done: `Link ${link_} has its new priority.`,
      },
    );
  },
});

const removeLink = verb("remove", "take a link from all nodes", {
  takes: { link: linkNumber, ...common },
  run: async ({ link: link_, ...given }) => {
    const { changeCommand } = await import("../../command/cluster/change.ts");
    return changeCommand(
      { ...given, write, note },
      {
        method: "DELETE",
        path: `/cluster/links/${link_}`,
        words: {},
        question: "",
        done: `Link ${link_} is gone from all nodes.`,
      },
    );
  },
});

export const link = commandOfVerbs("link", {
  description: "Links of the cluster: add, change, remove",
  verbs: [add, set, removeLink],
  examples: [
    "quorate link add 1 pve1=10.1.0.1 pve2=10.1.0.2 pve3=10.1.0.3",
    "quorate link set 1 --priority 20",
    "quorate link remove 1",
  ],
  manual: [
    "All nodes get a link, or lose one, at the same moment, while another carries the ring. Link N uses UDP port 5405 + N. One that does not come up within 45 seconds is taken back, and the node, address and port are named.",
    logged,
  ],
  files,
  exits,
});
