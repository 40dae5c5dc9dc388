// `quorate install` and `quorate uninstall`.
import { resolve } from "node:path";
import { exitFailed } from "../exit.ts";
import { installExits } from "../install/exits.ts";
import { versionLine } from "../version.ts";
import { write } from "./output.ts";
import { done, dryRun, installedFile, wrongLine } from "./shared.ts";
import { command, flag, option, optional } from "./table.ts";
import { file, oneOf, text } from "./values.ts";

export const install = command("install", {
  description: "Make a service of this file: user, unit, names, manual",
  takes: {
    role: optional(oneOf(["node", "qnetd"])),
    bin: option("bin", file(), "The installed file (default: this one)"),
    noService: flag("no-service", "Names and manual only; no role is needed"),
    noLinks: flag("no-links", "Without pvecm, corosync-qnetd-tool and the other names"),
    isCheck: flag("check", "Only say whether it can be done"),
    isDry: dryRun,
    isReplaced: flag(
      "replaced",
      "The file has just replaced another: start the service again (install.sh)",
    ),
    made: option("made", text, "Directories that were made for the file (install.sh)"),
  },
  examples: ["quorate install qnetd", "quorate install node --dry-run"],
  manual: [
    "Makes a service of the installed file: a user for the vote server, a unit of the service manager that runs here (systemd, OpenRC, rc scripts), the names of the original programs as links, manual pages. It starts the service and waits until it answers. It never touches an existing configuration, key or certificate, refuses to start a node beside corosync or pmxcfs, and notes everything that it makes. `install.sh` calls it.",
  ],
  files: [installedFile],
  exits: [
    done,
    [installExits.machine, "this machine is not one that it supports, or you may not"],
    wrongLine,
    [installExits.verification, "the file is not what it should be"],
    [installExits.service, "the service could not be made or started, and was taken back"],
  ],
  run: async ({ bin = process.execPath, made = "", ...given }) => {
    const { installCommand } = await import("../command/install.ts");
    return installCommand({
      ...given,
      bin: resolve(bin),
      made: made.split("\n").filter((line) => line.startsWith("/")),
      versionLine: versionLine(),
      write,
    });
  },
});

export const uninstall = command("uninstall", {
  description: "Stop the services and remove what was installed",
  takes: {
    isPurge: flag("purge", "Keys, certificates and the tree as well, after asking"),
    isForce: flag("force", "Even if the cluster loses its quorum without this node"),
    isYes: flag("yes", "Do not ask"),
    isDry: dryRun,
  },
  examples: ["quorate uninstall", "quorate uninstall --purge --dry-run"],
  manual: [
    "Stops the services and removes what `install` has noted, and only that. It refuses when the cluster would lose its quorum without this node. Configuration, keys, certificates and the tree stay, unless --purge is given, which asks first; that also removes the data of a node or vote server that was started by hand. The NSS database of corosync-qnetd, and the data of corosync or pmxcfs where no service of quorate was, stay.",
  ],
  files: [installedFile],
  exits: [done, [exitFailed, "nothing, or not all, was removed; the text says why"], wrongLine],
  run: async (given) => {
    const { uninstallCommand } = await import("../command/uninstall.ts");
    return uninstallCommand({ ...given, write });
  },
});
