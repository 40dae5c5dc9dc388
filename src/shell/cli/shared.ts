// What the declarations of several commands share: options, files, exit codes, and the log of what stays in the foreground.
import { type ExitText, exitFailed, exitNotRunning, exitOk, exitUsage } from "../exit.ts";
import { nodePaths } from "../paths.ts";
import type { Level, LogAction } from "../../world.ts";
import { logger } from "./log.ts";
import { standardError } from "./output.ts";
import { type FileText, flag, option, optionWithDefault, type TableOption } from "./table.ts";
import { anyWord, directory, file, text } from "./values.ts";

/** Every verb that meets files or sockets takes the directory they are below. */
export const root = optionWithDefault(
  "root",
  directory,
  "/",
  "Directory that holds etc/, var/ and run/",
);
export const json = flag("json", "For scripts");
export const watch = flag("watch", "Follow until Ctrl-C");
export const dryRun = flag("dry-run", "Show each step and change nothing");
export const bin = option("bin", file(), "The installed file (default: this program)");

/** Link numbers are 0 to 7 (conf/cluster-conf.ts, which a command line does not load). */
export const linksMax = 8;

/** --link0 to --link7. */
export function linkOptions(
  help: (link: number) => string,
): Readonly<Record<string, TableOption<string | undefined>>> {
  const options = Array.from({ length: linksMax }, (_, link) => {
    const name = `link${link}`;
    return [name, option(name, anyWord("address"), help(link))] as const;
  });
  return Object.fromEntries(options);
}

/** `of`: whose password, for help; `form`: which form of its verb takes them. */
export function passwordOptions(of: string, form: string) {
  return {
    password: option("password", text, `Of the ${of}, none when not given; - asks for it`, {
      form,
    }),
    passwordFile: option("password-file", file(), "The same in the first line of a file", { form }),
  };
}

const node = nodePaths("/");
/** Where a running node is asked. */
export const socketFile: FileText = [node.socket, "where the running node is asked"];
export const nodeFiles: readonly FileText[] = [
  [node.conf, "nodes, links, votes and the vote server of the cluster"],
  [node.authkey, "the key of the cluster"],
  [`${node.treeDir}/config.db`, "the tree, as SQLite, in the form of pmxcfs"],
  [node.mount, "the tree, mounted"],
  [`${node.stateDir}/ringid_*`, "the last ring of this node"],
  socketFile,
];
/** Of the vote server. */
export const certificateDirectory = "/etc/corosync/qnetd/nssdb";
export const installedFile: FileText = [
  "/var/lib/quorate/installed",
  "what was made, which `uninstall` removes",
];
export const upgradeFile: FileText = [
  "/var/lib/quorate/upgrade.json",
  "the upgrade that is going on",
];

export const done: ExitText = [exitOk, "done"];
export const failed: ExitText = [exitFailed, "could not be done; the text says why"];
export const wrongLine: ExitText = [exitUsage, "the command line is wrong"];
export const notRunning: ExitText = [exitNotRunning, "no node answers"];

/** The log on standard error. */
export function ownLog(level: Level): (line: LogAction) => void {
  return logger({
    level,
    journal: process.env["JOURNAL_STREAM"] !== undefined,
    write: (line) => void standardError.write(line),
    now: () => Date.now(),
  });
}
