// What the manual page of a command says beyond its help: a description, the files that it reads and writes, and what its exit
// codes mean where the command table has none of its own.
import { installExits } from "../install/steps.ts";
import type { ExitText } from "../cli/table.ts";
import { exitConfiguration, exitFailed, exitNotRunning, exitOk, exitUsage } from "../exit.ts";
import { nodePaths } from "../paths.ts";

export interface PageText {
  /** Whole sentences, one paragraph each. */
  readonly description: readonly string[];
  /** Path and what it is; all below the directory of --root. */
  readonly files: readonly (readonly [string, string])[];
  readonly exits: readonly ExitText[];
}

const node = nodePaths("/");
const usage: ExitText = [exitUsage, "the command line is wrong"];
const done: ExitText = [exitOk, "done"];

/** Where a running node is asked. */
const socket = [node.socket, "where the running node is asked"] as const;
const nssdb = "/etc/corosync/qnetd/nssdb";
const installed = [
  "/var/lib/quorate/installed",
  "what was made, which `uninstall` removes",
] as const;

export const files: readonly (readonly [string, string])[] = [
  [node.conf, "nodes, links, votes and the vote server of the cluster"],
  [node.authkey, "the key of the cluster"],
  [`${node.treeDir}/config.db`, "the tree, as SQLite, in the form of pmxcfs"],
  [node.mount, "the tree, mounted"],
  [`${node.stateDir}/ringid_*`, "the last ring of this node"],
  socket,
  [nssdb, "certificates of the vote server"],
  ["/var/lib/quorate", "what was installed, and the last upgrade"],
];

export const pageTexts: Readonly<Record<string, PageText>> = {
  node: {
    description: [
      "Runs this machine as a member of the cluster that corosync.conf describes: ring and votes over UDP from port 5405 on, and the tree, mounted at /etc/pve where that is allowed. Its peers may be nodes with corosync and pmxcfs. Stop corosync and pve-cluster on this machine first: they use the same ports and files.",
      "It stays in the foreground and logs to standard error. SIGTERM, SIGINT and SIGHUP leave the cluster gracefully. A configuration, key or database that cannot be used ends it with 8 before anything is changed.",
    ],
    files: files.slice(0, 6),
    exits: [
      [exitOk, "it was told to stop, and left the cluster"],
      [exitFailed, "it could not start or not run on; the last line of the log says why"],
      usage,
      [
        exitConfiguration,
        "configuration, key or database missing or wrong, or a configuration older than the cluster's; a restart will not help",
      ],
    ],
  },
  qnetd: {
    description: [
      "Without a verb it serves votes to clusters of corosync or quorate on TCP port 5403, in the protocol of corosync-qnetd, in the foreground; it makes its certificates at the first start, and takes over those of an original server. `status` asks the running server, `invite` makes a token for `quorate qdevice setup` on a node, `certificates` shows, renews or imports certificates.",
      "An option belongs to the verb that its text ends with, or to the server.",
    ],
    files: [
      [nssdb, "its authority and certificates, and the invitations that are open"],
      ["/var/run/corosync-qnetd/corosync-qnetd.sock", "where the running server is asked"],
    ],
    exits: [
      [exitOk, "done; the server: it was told to stop"],
      [exitFailed, "could not be done, or there are warnings; the text says why"],
      usage,
      [exitNotRunning, "no vote server answers here"],
    ],
  },
  qdevice: {
    description: [
      "Gives the cluster the vote of a vote server (`quorate qnetd`, or an original corosync-qnetd): gets a certificate, puts it and the quorum device into the tree, and waits until every node counts the vote. One node is asked, all follow. Nothing is changed before every check is good, and what does not vote in the end is taken back.",
      "A token is good once. Every user of a machine can read its command lines: give `-` and the token on standard input where that matters.",
    ],
    files: [
      [`${node.mount}/corosync.conf`, "gets the section quorum.device"],
      [`${node.mount}/priv`, "holds the certificate, for all nodes"],
      [node.deviceDir, "this node's copy of it"],
      [node.deviceDefaults, "advanced settings of the client, in COROSYNC_QDEVICE_OPTIONS"],
      socket,
    ],
    exits: [
      [exitOk, "the device votes on every node, or is gone from every node"],
      [exitFailed, "it does not, or could not be set up; the text says why"],
      usage,
      [exitNotRunning, "no node answers"],
    ],
  },
  status: {
    description: [
      "Asks the running node how it is: votes and what they mean, ring, links, tree, the quorum device, the last upgrade. It warns of weak crypto, names every peer whose packets cannot be opened here, with the reason (another key, another cipher, crypto on one side only), and the last message that the ring refused. Nothing is changed.",
    ],
    files: [socket],
    exits: [],
  },
  fs: {
    description: [
      "Reads and changes the tree of the running node without a mount, with the same rules as below /etc/pve: every change is agreed by all nodes and on this node's disk before the command ends, and refused without quorum. Paths are given from the root of the tree, as nodes/pve1/qemu-server/100.conf.",
    ],
    files: [socket],
    exits: [
      done,
      [exitFailed, "could not be done; the text says why"],
      usage,
      [exitNotRunning, "no node answers"],
    ],
  },
  reload: {
    description: [
      "Asks all nodes, those with corosync too, to read corosync.conf again, and says what changed on this one. A file that this node refuses changes nothing here; what a running node cannot take is named and waits for its next start. To change the file of all nodes, change it in the tree: a higher config_version reloads by itself.",
    ],
    files: [[node.conf, "read again by every node"], socket],
    exits: [
      done,
      [exitFailed, "could not be done now; the text says why"],
      usage,
      [exitNotRunning, "no node answers"],
      [exitConfiguration, "this node refuses the file; the text says why"],
    ],
  },
  install: {
    description: [
      "Makes a service of the installed file: a user for the vote server, a unit of the service manager that runs here (systemd, OpenRC, rc scripts), the names of the original programs as links, manual pages. It starts the service and waits until it answers. It never touches an existing configuration, key or certificate, refuses to start a node beside corosync or pmxcfs, and notes everything that it makes. `install.sh` calls it.",
    ],
    files: [installed],
    exits: [
      done,
      [installExits.machine, "this machine is not one that it supports, or you may not"],
      usage,
      [installExits.verification, "the file is not what it should be"],
      [installExits.service, "the service could not be made or started, and was taken back"],
    ],
  },
  uninstall: {
    description: [
      "Stops the services and removes what `install` has noted, and only that. It refuses when the cluster would lose its quorum without this node. Configuration, keys, certificates and the tree stay, unless --purge is given, which asks first.",
    ],
    files: [installed],
    exits: [done, [exitFailed, "nothing, or not all, was removed; the text says why"], usage],
  },
  upgrade: {
    description: [
      "Replaces the installed file by another version and restarts its services. The running file verifies the new one by the signature of its maker, lets it test itself, and watches it from outside for a minute; when it crashes, hangs, or the service is worse than before, the old file takes its place back. It refuses to begin when others would lose quorum meanwhile.",
    ],
    files: [
      ["/var/lib/quorate/upgrade.log", "what happened in all upgrades"],
      ["/var/lib/quorate/upgrade.json", "the upgrade that is going on"],
      ["/var/lib/quorate/release-url", "where install.sh brought the file from"],
    ],
    exits: [],
  },
  unit: {
    description: [
      "Prints the file that a service manager starts the service from, as `quorate install` writes it, for those who install by their own means. Nothing is changed.",
    ],
    files: [],
    exits: [done, usage],
  },
  doctor: {
    description: [
      "Tries what this file needs of the machine: libc, crypto, wire formats, the second thread, the database. An upgrade asks it of a new file before that is installed.",
    ],
    files: [],
    exits: [
      [exitOk, "every check holds"],
      [exitFailed, "one does not; the text says which"],
      usage,
    ],
  },
  rescue: {
    description: [
      "The old file's part of an upgrade: it swaps the files, restarts the services, observes them from outside, and keeps the new version or takes the old one back; when it was killed it goes on where it was. `upgrade` and the service manager start it; without an upgrade it does nothing.",
    ],
    files: [["/var/lib/quorate/upgrade.json", "the upgrade that is going on"]],
    exits: [
      [exitOk, "nothing to do, or the upgrade has ended, kept or taken back"],
      [exitFailed, "the old version could not be taken back"],
      usage,
    ],
  },
  verify: {
    description: [
      "Checks the signature of a release's manifest with the keys that are built into this file, and each named file against the manifest. Nothing is executed, and nothing is fetched.",
    ],
    files: [
      ["manifest.json", "the release's list of files with their SHA-256"],
      ["manifest.json.minisig", "its signature, in the form of minisign"],
    ],
    exits: [],
  },
  completion: {
    description: [
      "Prints the script that lets a shell complete commands, verbs, options and their values. `quorate install` puts it in place for all users; without that, load it in your shell's start file.",
    ],
    files: [],
    exits: [done, usage],
  },
  man: {
    description: [
      "Shows a manual page with man(1), prints its source when the output is no terminal, or writes all pages into a directory. `quorate install` puts them in place.",
    ],
    files: [],
    exits: [done, [exitFailed, "the pages could not be written"], usage],
  },
};
