// The command table: words and options to one verb, its outcome to an exit code. Every verb's code is loaded when it is
// called. Nothing here may load the tree, the ring or the database by itself (engineering.md §2, design.md decision 7).
import { type CAC, cac } from "cac";
import { identity, versionLine } from "../version.ts";
import { logger } from "../log.ts";
import { CommandFailure, exitOk, exitUsage } from "./exit.ts";
import { fsUsage } from "./command/fs-usage.ts";
import { nodePaths } from "./paths.ts";
import { shapeHelp } from "./cli-help.ts";
import { qdeviceUsage, qdeviceVerb } from "./cli-qdevice.ts";
import { qnetdUsage, qnetdVerb } from "./cli-qnetd.ts";
import { linkNames } from "./link-names.ts";
import { rootOption, textOf, wordOf, write } from "./cli-words.ts";

/** Runs one command line; `name` is what the program was called by. Never throws for what a person typed. */
export async function run(name: string, args: readonly string[]): Promise<number> {
  if (linkNames.includes(name)) {
    const { runLink } = await import("./links.ts");
    return runLink(name, args);
  }
  if (args[0] === "--version" || args[0] === "-v") {
    write(`${versionLine()}\n`);
    return exitOk;
  }
  return dispatch(table(), args);
}

function table(): CAC {
  const cli = cac("quorate");
  cli.usage("<command> [options]");
  shapeHelp(cli, { fs: fsUsage, qdevice: qdeviceUsage, qnetd: qnetdUsage });
  rootOption(cli.command("status", "The node, its votes, its ring and its tree"))
    .option("--json", "For scripts")
    .option("--watch", "Follow until Ctrl-C")
    .action(async (options: Readonly<Record<string, unknown>>) => {
      const { statusCommand } = await import("./command/status.ts");
      return statusCommand({
        root: String(options["root"]),
        json: options["json"] === true,
        watch: options["watch"] === true,
        write,
      });
    });
  rootOption(cli.command("reload", "All nodes read corosync.conf again (corosync-cfgtool -R)"))
    .option("--json", "For scripts")
    .action(async (options: Readonly<Record<string, unknown>>) => {
      const { reloadCommand } = await import("./command/reload.ts");
      return reloadCommand({
        root: String(options["root"]),
        json: options["json"] === true,
        write,
      });
    });
  nodeVerb(cli);
  qnetdVerb(cli);
  qdeviceVerb(cli);
  fsVerb(cli);
  return cli;
}

function nodeVerb(cli: CAC): void {
  rootOption(cli.command("node", "Run a cluster member in the foreground"))
    .option("--name <node>", "Name of this node in the nodelist, when it is not the host's")
    .option("--mount <dir>", "Where to mount the tree (default: etc/pve below the root)")
    .option("--no-mount", "Do not mount; `quorate fs` reads and writes the tree")
    .option("--durability <how>", "full: an acknowledged write is flushed; normal: as pmxcfs", {
      default: "full",
    })
    .option("--debug", "Log every state change of the ring")
    .example("quorate node")
    .example("quorate node --root ./n1 --name pve1 --no-mount")
    .action(async (options: Readonly<Record<string, unknown>>) => {
      const durability = options["durability"];
      if (durability !== "full" && durability !== "normal") {
        throw new CommandFailure(
          `--durability is "full" or "normal", not "${String(durability)}"`,
          exitUsage,
        );
      }
      const { nodeCommand } = await import("./command/node.ts");
      const paths = nodePaths(String(options["root"]));
      return nodeCommand({
        paths,
        name: wordOf(options["name"]),
        mount: options["mount"] === false ? undefined : textOf(options["mount"], paths.mount),
        durability,
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

function fsVerb(cli: CAC): void {
  rootOption(cli.command("fs <verb> [...args]", "The tree without a mount: list, read, write"))
    .option("--json", "For scripts")
    .example("quorate fs ls nodes/pve1/qemu-server")
    .example("quorate fs put datacenter.cfg ./datacenter.cfg")
    .action(
      async (verb: string, args: readonly string[], options: Readonly<Record<string, unknown>>) => {
        const { fsCommand } = await import("./command/fs.ts");
        return fsCommand({
          root: String(options["root"]),
          json: options["json"] === true,
          verb,
          args: args.map(String),
          write,
          stdin: async () => new Uint8Array(await Bun.stdin.arrayBuffer()),
        });
      },
    );
}

async function dispatch(cli: CAC, args: readonly string[]): Promise<number> {
  try {
    cli.parse(["", "quorate", ...args], { run: false });
    if (cli.options["help"] === true) return exitOk; // parse() has printed it.
    if (cli.matchedCommand === undefined) {
      if (args.length > 0)
        return complain(`there is no command "${args[0]}"; see \`quorate --help\`.`);
      cli.outputHelp();
      return exitUsage;
    }
    const code: unknown = await cli.runMatchedCommand();
    return typeof code === "number" ? code : exitOk;
  } catch (error) {
    if (error instanceof CommandFailure) return complain(error.message, error.code);
    if (error instanceof Error && error.name === "CACError") return complain(error.message);
    throw error; // A bug: the runtime prints it with its place and ends with 1.
  }
}

function complain(sentence: string, code: number = exitUsage): number {
  process.stderr.write(`quorate: ${sentence}\n`);
  return code;
}
