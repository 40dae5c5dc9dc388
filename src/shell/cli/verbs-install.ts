// The table's part for `quorate install` and `quorate uninstall`.
import { resolve } from "node:path";
import type { CAC } from "cac";
import { versionLine } from "../version.ts";
import { textOf, wordOf, write } from "./words.ts";

type Options = Readonly<Record<string, unknown>>;

export function installVerbs(cli: CAC): void {
  cli
    .command("install [node|qnetd]", "Make a service of this file: user, unit, names, manual")
    .option("--bin <file>", "The installed file (default: this one)")
    .option("--no-service", "Names and manual only; no role is needed")
    .option("--no-links", "Without pvecm, corosync-qnetd-tool and the other names")
    .option("--check", "Only say whether it can be done")
    .option("--dry-run", "Show each step and change nothing")
    .option(
      "--replaced",
      "The file has just replaced another: start the service again (install.sh)",
    )
    .option("--made <text>", "Directories that were made for the file (install.sh)")
    .example("quorate install qnetd")
    .example("quorate install node --dry-run")
    .action(async (role: string | undefined, options: Options) => {
      const { installCommand } = await import("../command/install.ts");
      return installCommand({
        role,
        bin: resolve(textOf(options["bin"], process.execPath)),
        noService: options["service"] === false,
        noLinks: options["links"] === false,
        isCheck: options["check"] === true,
        isDry: options["dryRun"] === true,
        isReplaced: options["replaced"] === true,
        made: (wordOf(options["made"]) ?? "").split("\n").filter((line) => line.startsWith("/")),
        versionLine: versionLine(),
        write,
      });
    });
  cli
    .command("uninstall", "Stop the services and remove what was installed")
    .option("--purge", "Keys, certificates and the tree as well, after asking")
    .option("--force", "Even if the cluster loses its quorum without this node")
    .option("--yes", "Do not ask")
    .option("--dry-run", "Show each step and change nothing")
    .example("quorate uninstall")
    .example("quorate uninstall --purge --dry-run")
    .action(async (options: Options) => {
      const { uninstallCommand } = await import("../command/uninstall.ts");
      return uninstallCommand({
        isPurge: options["purge"] === true,
        isYes: options["yes"] === true,
        isForce: options["force"] === true,
        isDry: options["dryRun"] === true,
        write,
      });
    });
}
