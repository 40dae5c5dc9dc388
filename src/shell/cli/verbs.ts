// Every command of quorate, and those of the node itself. A command is declared here or in the verbs-*.ts beside this file; what it does is
// loaded when it is called: nothing here may load the tree, the ring or the database (engineering.md §2, design.md decision 7).
import { exitConfiguration, exitFailed, exitOk } from "../exit.ts";
import { nodePaths } from "../paths.ts";
import { identity } from "../version.ts";
import { pageAddress } from "../page/page-address.ts";
import { note, write } from "./output.ts";
import {
  done,
  json,
  nodeFiles,
  notRunning,
  ownLog,
  root,
  socketFile,
  watch,
  wrongLine,
} from "./shared.ts";
import {
  command,
  type CommandTable,
  flag,
  option,
  optional,
  optionWithDefault,
  required,
  tableOf,
} from "./table.ts";
import { anyWord, commandName, directory, oneOf, parsed } from "./values.ts";
import { acl, group, realm, role, token, user } from "./verbs/access.ts";
import { apiList } from "./verbs/api.ts";
import { create } from "./verbs/create.ts";
import { join, joinInfo, joinToken } from "./verbs/join.ts";
import {
  expected,
  leave,
  link,
  nodes,
  readdress,
  remove,
  rename,
  rotateKey,
  votes,
} from "./verbs/change.ts";
import { alert } from "./verbs/alert.ts";
import { events, metrics, report } from "./verbs/monitor.ts";
import { task } from "./verbs/task.ts";
import { fsVerbs } from "./verbs-fs.ts";
import { install, uninstall } from "./verbs-install.ts";
import { qdevice } from "./verbs-qdevice.ts";
import { qnetd } from "./verbs-qnetd.ts";
import { verify } from "./verbs-release.ts";
import { links, quorum, ring } from "./verbs-ring.ts";
import { doctor, rescue, unit, upgrade } from "./verbs-upgrade.ts";

const node = command("node", {
  description: "Run a cluster node in the foreground",
  takes: {
    root,
    name: option(
      "name",
      anyWord("node"),
      "Name of this node in the nodelist and in the tree, when it is not the host's",
    ),
    mount: option("mount", directory, "Where to mount the tree (default: etc/pve below the root)"),
    noMount: flag("no-mount", "Do not mount; `quorate fs` reads and writes the tree"),
    durability: optionWithDefault(
      "durability",
      oneOf(["full", "normal", "strict"]),
      "full",
      "full: rename, fsync, unlink, mkdir and writes by API or command line are answered when a majority's disks have them, close when every node has what was written, creates and single writes when they are in order; strict: all when a majority's disks have them; normal: as pmxcfs, without waiting for a flush or for other nodes",
    ),
    api: option(
      "api",
      parsed("address", "an address and a port, such as 10.0.0.1:8006 or [::]:8006", pageAddress),
      "Serve the HTTPS API there (default: all addresses, port 8006)",
    ),
    noApi: flag("no-api", "Do not serve the HTTPS API; the local socket stays"),
    isDebug: flag("debug", "Log every state change of the ring"),
  },
  examples: [
    "quorate node",
    "quorate node --root ./n1 --name pve1 --no-mount --api 127.0.0.1:8106",
  ],
  manual: [
    "Runs this machine as a member of the cluster that corosync.conf describes, looked for on disk and then in the tree's database: ring and votes over UDP from port 5405 on, and the tree, mounted at /etc/pve where that is allowed. Its peers may be nodes with corosync and pmxcfs. Stop corosync and pve-cluster on this machine first: they use the same ports and files.",
    "Without a corosync.conf it runs standalone, as pmxcfs does in local mode: no ring, a local tree that can always be written.",
    "The API is served by HTTPS on port 8006 of all addresses, as Proxmox's is. Where that port is taken the node runs without it, says so, and tries again.",
    "It stays in the foreground and logs to standard error. SIGTERM, SIGINT and SIGHUP leave the cluster gracefully. A configuration, key or database that cannot be used ends it with 8 before anything is changed.",
  ],
  files: nodeFiles,
  exits: [
    [exitOk, "it was told to stop, and left the cluster"],
    [exitFailed, "it could not start or not run on; the last line of the log says why"],
    wrongLine,
    [
      exitConfiguration,
      "configuration, key or database wrong, or a configuration without its key or older than the cluster's; a restart will not help",
    ],
  ],
  run: async ({ root: below, name, mount, noMount, durability, api, noApi, isDebug }) => {
    const { nodeCommand } = await import("../daemon/node.ts");
    const paths = nodePaths(below);
    return nodeCommand({
      paths,
      name,
      mount: noMount ? undefined : (mount ?? paths.mount),
      durability,
      api: noApi ? undefined : (api ?? { host: undefined, port: 8006 }),
      version: identity.version,
      log: ownLog(isDebug ? "debug" : "info"),
    });
  },
});

const status = command("status", {
  description: "The node, its votes, its ring and its tree",
  takes: { root, json, watch },
  examples: ["quorate status", "quorate status --watch", "quorate status --json"],
  manual: [
    "Asks the running node how it is: standalone or a member; votes and what they mean, ring, links, tree, the quorum device, the last upgrade. It warns of weak crypto, names every peer whose packets cannot be opened here, with the reason (another key, another cipher, crypto on one side only), and the last message that the ring refused. Nothing is changed.",
  ],
  files: [socketFile],
  exits: [
    [0, "the node is quorate or standalone, and its tree can be written"],
    [1, "the node runs, but is not quorate or its tree is read only"],
    [3, "no node answers"],
  ],
  run: async (given) => {
    const { statusCommand } = await import("../command/status.ts");
    return statusCommand({ ...given, isTerminal: process.stdout.isTTY, write });
  },
});

const reload = command("reload", {
  description: "All nodes read corosync.conf again (corosync-cfgtool -R)",
  takes: { root, json },
  examples: ["quorate reload"],
  manual: [
    "Asks all nodes, those with corosync too, to read corosync.conf again, and says what changed on this one. A file that this node refuses changes nothing here; what a running node cannot take is named and waits for its next start. To change the file of all nodes, change it in the tree: a higher config_version reloads by itself.",
  ],
  files: [[nodePaths("/").conf, "read again by every node"], socketFile],
  exits: [
    done,
    [exitFailed, "could not be done now; the text says why"],
    wrongLine,
    notRunning,
    [exitConfiguration, "this node refuses the file; the text says why"],
  ],
  run: async (given) => {
    const { reloadCommand } = await import("../command/reload.ts");
    return reloadCommand({ ...given, write });
  },
});

const completion = command("completion", {
  description: "Print what a shell needs to complete these commands",
  takes: { shell: required(oneOf(["bash", "zsh", "fish"])) },
  examples: [
    "quorate completion bash > /usr/share/bash-completion/completions/quorate",
    "quorate completion zsh > /usr/local/share/zsh/site-functions/_quorate",
    "quorate completion fish > ~/.config/fish/completions/quorate.fish",
    "source <(quorate completion bash)",
  ],
  manual: [
    "Prints the script that lets a shell complete commands, verbs, options and their values. `quorate install` puts it in place for all users; without that, load it in your shell's start file.",
  ],
  exits: [done, wrongLine],
  run: async ({ shell }) => {
    const { completionScript } = await import("../manual/completion.ts");
    write(completionScript(shell, commandTable()));
    return exitOk;
  },
});

const man = command("man", {
  description: "The manual page of quorate or of one command",
  takes: {
    command: optional(commandName),
    directory: option(
      "all",
      directory,
      "Write all pages into this directory, and print their paths",
    ),
  },
  examples: [
    "quorate man",
    "quorate man qnetd",
    "quorate man fs | man -l -",
    "quorate man --all /usr/local/share/man/man8",
  ],
  manual: [
    "Shows a manual page with man(1), prints its source when the output is no terminal, or writes all pages into a directory. `quorate install` puts them in place.",
  ],
  exits: [done, [exitFailed, "the pages could not be written"], wrongLine],
  run: async (given) => {
    const { manCommand } = await import("../manual/man.ts");
    return manCommand({
      ...given,
      table: commandTable(),
      version: identity.version,
      isTerminal: process.stdout.isTTY,
      write,
      note,
    });
  },
});

/** In the order of the overview. */
export function commandTable(): CommandTable {
  return tableOf([
    ...[
      node,
      create,
      qnetd,
      qdevice,
      status,
      links,
      quorum,
      ring,
      join,
      joinToken,
      joinInfo,
      nodes,
      link,
      remove,
      leave,
      rotateKey,
      readdress,
      rename,
      votes,
      expected,
      task,
      events,
      alert,
      metrics,
      report,
      apiList,
      user,
      token,
      group,
      role,
      acl,
      realm,
      fsVerbs,
      reload,
      install,
      uninstall,
      upgrade,
      unit,
    ],
    ...[doctor, rescue, verify, completion, man],
  ]);
}
