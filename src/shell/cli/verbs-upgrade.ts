// The table's part for the life of the installed file: `unit`, `doctor`, `upgrade`, `rescue`.
import type { CAC } from "cac";
import { identity, releaseKeys } from "../version.ts";
import { logger } from "./log.ts";
import { CommandFailure, exitUsage } from "../exit.ts";
import { note, rootOption, wordOf, write } from "./words.ts";
import { type ManagerKind, managerKinds } from "../unit/services.ts";

type Options = Readonly<Record<string, unknown>>;

export function upgradeVerbs(cli: CAC): void {
  upgradeVerb(cli);
  unitVerb(cli);
  doctorVerb(cli);
  rescueVerb(cli);
}

function upgradeVerb(cli: CAC): void {
  rootOption(
    cli.command("upgrade", "Replace this file by another version; what does not work is undone"),
  )
    .option("--check", "Only say which version there is, and how the last upgrade ended")
    .option("--from <path>", "A release's directory, or its file for this machine; no network")
    .option(
      "--url <url>",
      "Where a release is (default: $QUORATE_MIRROR, else where this was installed from)",
    )
    .option("--to <version>", "This version, not the newest")
    .option("--downgrade", "Also to an earlier version")
    .option("--force", "Also when others may lose quorum, or the version was rolled back before")
    .option("--no-restart", "Replace the file; you restart the service yourself")
    .option("--no-wait", "Do not wait for the end of the probation")
    .option("--healthy <seconds>", "Keep it when it was healthy for so long (default: 60)")
    .option("--patience <seconds>", "Roll back when it is not healthy after so long (default: 150)")
    .option(
      "--key <key>",
      "Trust this minisign public key, or the one in this file; may be repeated",
    )
    .option("--bin <file>", "The installed file (default: this program)")
    .option("--service-manager <kind>", `One of ${managerKinds.join(", ")} (default: found)`)
    .example("quorate upgrade --url https://example.org/quorate")
    .example("quorate upgrade --check --from /media/usb/quorate-0.1.1")
    .example("quorate upgrade --from ./quorate-0.1.0 --downgrade")
    .action(async (options: Options) => {
      const { upgradeCommand } = await import("../command/upgrade.ts");
      return upgradeCommand({
        root: String(options["root"]),
        bin: wordOf(options["bin"]),
        self: process.execPath,
        check: options["check"] === true,
        from: wordOf(options["from"]),
        url: wordOf(options["url"]) ?? process.env["QUORATE_MIRROR"],
        to: wordOf(options["to"]),
        downgrade: options["downgrade"] === true,
        force: options["force"] === true,
        isRestarting: options["restart"] !== false,
        isWaiting: options["wait"] !== false,
        healthySeconds: numberOf("--healthy", options["healthy"]),
        patienceSeconds: numberOf("--patience", options["patience"]),
        keys: [options["key"] ?? []].flat().map(String),
        releaseKeys,
        version: identity.version,
        target: identity.target,
        manager: managerOf(options["serviceManager"]),
        write,
        note,
      });
    });
}

function unitVerb(cli: CAC): void {
  rootOption(
    cli.command("unit <node|qnetd|rescue>", "Print the service unit, for the installer or you"),
  )
    .option("--systemd", "A systemd unit")
    .option("--openrc", "A script for OpenRC's supervise-daemon")
    .option("--rc", "A script for init.d or rc.d that restarts the program itself")
    .option("--user", "For the user's own systemd (qnetd, rescue)")
    .option("--bin <file>", "The installed file (default: this program)")
    .example("quorate unit qnetd --systemd > /etc/systemd/system/quorate-qnetd.service")
    .example("quorate unit rescue --systemd > /etc/systemd/system/quorate-rescue@.service")
    .example("quorate unit node --openrc > /etc/init.d/quorate-node")
    .action(async (service: string, options: Options) => {
      const { unitCommand } = await import("../command/unit.ts");
      return unitCommand({
        service,
        systemd: options["systemd"] === true,
        openrc: options["openrc"] === true,
        rc: options["rc"] === true,
        isUser: options["user"] === true,
        bin: wordOf(options["bin"]),
        root: String(options["root"]),
        write,
      });
    });
}

function doctorVerb(cli: CAC): void {
  rootOption(cli.command("doctor", "Does this file work on this machine? Changes nothing"))
    .option("--self", "Check this file: libc, crypto, wire formats, thread, database (the default)")
    .option("--role <role>", "Only what a node or qnetd needs")
    .option("--json", "For scripts")
    .example("quorate doctor --self")
    .example("quorate doctor --self --role qnetd")
    .action(async (options: Options) => {
      const { doctorCommand } = await import("../command/doctor.ts");
      return doctorCommand({
        root: String(options["root"]),
        role: wordOf(options["role"]),
        json: options["json"] === true,
        write,
      });
    });
}

function rescueVerb(cli: CAC): void {
  rootOption(
    cli.command("rescue", "Watch an upgrade; the old file (quorate.prev) is its own rescuer"),
  )
    .option("--bin <file>", "The installed file (default: this program without .prev)")
    .option("--service-manager <kind>", `One of ${managerKinds.join(", ")} (default: found)`)
    .example("quorate.prev rescue")
    .action(async (options: Options) => {
      const { rescueCommand } = await import("../command/rescue.ts");
      return rescueCommand({
        root: String(options["root"]),
        bin: wordOf(options["bin"]),
        manager: managerOf(options["serviceManager"]),
        log: logger({
          level: "info",
          journal: process.env["JOURNAL_STREAM"] !== undefined,
          write: (text) => void process.stderr.write(text),
          now: () => Date.now(),
        }),
      });
    });
}

function managerOf(value: unknown): ManagerKind | undefined {
  const word = wordOf(value);
  if (word === undefined) return undefined;
  const kind = managerKinds.find((one) => one === word);
  if (kind !== undefined) return kind;
  throw new CommandFailure(
    `--service-manager is one of ${managerKinds.join(", ")}, not "${word}"`,
    exitUsage,
  );
}

const secondsMax = 86_400;

function numberOf(option: string, value: unknown): number | undefined {
  const word = wordOf(value);
  if (word === undefined) return undefined;
  if (/^\d{1,6}$/.test(word) && Number(word) >= 1 && Number(word) <= secondsMax)
    return Number(word);
  throw new CommandFailure(`${option} is a number of seconds, not "${word}"`, exitUsage);
}
