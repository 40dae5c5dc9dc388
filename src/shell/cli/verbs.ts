// Every command of quorate: its words, options and examples, and the verb that it loads when it is called. Nothing here may load the
// tree, the ring or the database by itself (engineering.md §2, design.md decision 7).
import { type CAC, cac } from "cac";
import { identity } from "../version.ts";
import { logger } from "./log.ts";
import { fsUsage } from "../command/fs-usage.ts";
import { nodePaths } from "../paths.ts";
import { type CommandTable, type ExitTexts, readTable, type VerbTexts } from "./table.ts";
import { qdeviceUsage, qdeviceVerb } from "./verbs-qdevice.ts";
import { qnetdUsage, qnetdVerb } from "./verbs-qnetd.ts";
import { installVerbs } from "./verbs-install.ts";
import { verifyVerb } from "./verbs-release.ts";
import { upgradeVerbs } from "./verbs-upgrade.ts";
import { upgradeExits } from "../upgrade/exits.ts";
import { note, rootOption, textOf, wordOf, write } from "./words.ts";

const verbTexts: VerbTexts = { fs: fsUsage, qdevice: qdeviceUsage, qnetd: qnetdUsage };
/** Only of commands whose codes mean something of their own. */
const exitTexts: ExitTexts = {
  status: [
    [0, "the node is quorate and its tree can be written"],
    [1, "the node runs, but is not quorate or its tree is read only"],
    [3, "no node answers"],
  ],
  upgrade: [
    [upgradeExits.done, "done, or nothing to do"],
    [upgradeExits.machine, "not here or not now: no file that runs here, or nobody should upgrade"],
    [upgradeExits.usage, "the command line is wrong; nothing was touched"],
    [upgradeExits.download, "the release could not be fetched"],
    [upgradeExits.verification, "the release is not what its maker signed"],
    [upgradeExits.service, "the service could not be started again"],
    [upgradeExits.rolledBack, "the new version did not become healthy: the old one runs again"],
  ],
  verify: [
    [0, "the manifest is signed by a trusted key, and the files are what it says"],
    [4, "they are not"],
  ],
};

/** cac's table, which runs the verbs, and the same as data. */
export function commandTable(): { readonly cli: CAC; readonly table: CommandTable } {
  const cli = cac("quorate");
  cli.option("-h, --help", "What it does, its options and examples");
  cli.option("-v, --version", "Version, commit, target and runtime");
  nodeVerb(cli);
  qnetdVerb(cli);
  qdeviceVerb(cli);
  statusVerb(cli);
  fsVerb(cli);
  reloadVerb(cli);
  installVerbs(cli);
  upgradeVerbs(cli);
  verifyVerb(cli);
  completionVerb(cli);
  manVerb(cli);
  return { cli, table: tableOf(cli) };
}

function tableOf(cli: CAC): CommandTable {
  return readTable(cli, verbTexts, exitTexts);
}

function nodeVerb(cli: CAC): void {
  rootOption(cli.command("node", "Run a cluster member in the foreground"))
    .option(
      "--name <node>",
      "Name of this node in the nodelist and in the tree, when it is not the host's",
    )
    .option("--mount <dir>", "Where to mount the tree (default: etc/pve below the root)")
    .option("--no-mount", "Do not mount; `quorate fs` reads and writes the tree")
    .option(
      "--durability <full|normal>",
      "full: an acknowledged write is flushed; normal: as pmxcfs",
      { default: "full" },
    )
    .option("--debug", "Log every state change of the ring")
    .example("quorate node")
    .example("quorate node --root ./n1 --name pve1 --no-mount")
    .action(async (options: Readonly<Record<string, unknown>>) => {
      const { nodeCommand } = await import("../daemon/node.ts");
      const paths = nodePaths(String(options["root"]));
      return nodeCommand({
        paths,
        name: wordOf(options["name"]),
        mount: options["mount"] === false ? undefined : textOf(options["mount"], paths.mount),
        durability: options["durability"] === "normal" ? "normal" : "full",
        version: identity.version,
        log: logger({
          level: options["debug"] === true ? "debug" : "info",
          journal: process.env["JOURNAL_STREAM"] !== undefined,
          write: (text) => void process.stderr.write(text),
          now: () => Date.now(),
        }),
      });
    });
}

function statusVerb(cli: CAC): void {
  rootOption(cli.command("status", "The node, its votes, its ring and its tree"))
    .option("--json", "For scripts")
    .option("--watch", "Follow until Ctrl-C")
    .example("quorate status")
    .example("quorate status --watch")
    .example("quorate status --json")
    .action(async (options: Readonly<Record<string, unknown>>) => {
      const { statusCommand } = await import("../command/status.ts");
      return statusCommand({
        root: String(options["root"]),
        json: options["json"] === true,
        watch: options["watch"] === true,
        isTerminal: process.stdout.isTTY,
        write,
      });
    });
}

function reloadVerb(cli: CAC): void {
  rootOption(cli.command("reload", "All nodes read corosync.conf again (corosync-cfgtool -R)"))
    .option("--json", "For scripts")
    .example("quorate reload")
    .action(async (options: Readonly<Record<string, unknown>>) => {
      const { reloadCommand } = await import("../command/reload.ts");
      return reloadCommand({
        root: String(options["root"]),
        json: options["json"] === true,
        write,
      });
    });
}

function fsVerb(cli: CAC): void {
  rootOption(cli.command("fs <verb> [...args]", "The tree without a mount: list, read, write"))
    .option("--json", "For scripts")
    .option("-r, --recursive", "All below as well (ls)")
    .option(
      "-p, --parents",
      "Directories above that are missing as well, no error if it is there (mkdir)",
    )
    .option("--force", "A corosync.conf that the cluster could not use too (put, mv)")
    .example("quorate fs ls nodes/pve1/qemu-server")
    .example("quorate fs put datacenter.cfg ./datacenter.cfg")
    .example("quorate fs get nodes/pve1 ./backup-of-pve1")
    .action(
      async (verb: string, args: readonly string[], options: Readonly<Record<string, unknown>>) => {
        const { fsCommand } = await import("../command/fs.ts");
        return fsCommand({
          root: String(options["root"]),
          json: options["json"] === true,
          isRecursive: options["recursive"] === true,
          withParents: options["parents"] === true,
          isForced: options["force"] === true,
          verb,
          args: args.map(String),
          write,
          stdin: async () => new Uint8Array(await Bun.stdin.arrayBuffer()),
        });
      },
    );
}

function completionVerb(cli: CAC): void {
  cli
    .command("completion <bash|zsh|fish>", "Print what a shell needs to complete these commands")
    .example("quorate completion bash > /usr/share/bash-completion/completions/quorate")
    .example("quorate completion zsh > /usr/local/share/zsh/site-functions/_quorate")
    .example("quorate completion fish > ~/.config/fish/completions/quorate.fish")
    .example("source <(quorate completion bash)")
    .action(async (shell: string) => {
      const { completionCommand } = await import("../manual/completion.ts");
      return completionCommand({ shell, table: tableOf(cli), write });
    });
}

function manVerb(cli: CAC): void {
  cli
    .command("man [command]", "The manual page of quorate or of one command")
    .option("--all <dir>", "Write all pages into this directory, and print their paths")
    .example("quorate man")
    .example("quorate man qnetd")
    .example("quorate man fs | man -l -")
    .example("quorate man --all /usr/local/share/man/man8")
    .action(async (command: string | undefined, options: Readonly<Record<string, unknown>>) => {
      const { manCommand } = await import("../manual/man.ts");
      return manCommand({
        command,
        directory: wordOf(options["all"]),
        table: tableOf(cli),
        version: identity.version,
        isTerminal: process.stdout.isTTY,
        write,
        note,
      });
    });
}
