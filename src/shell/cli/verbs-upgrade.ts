// The life of the installed file: `upgrade`, `unit`, `doctor`, `rescue`.
import { exitFailed, exitOk } from "../exit.ts";
import { managerKinds } from "../unit/services.ts";
import { upgradeExits } from "../upgrade/exits.ts";
import { identity, releaseKeys } from "../version.ts";
import { note, write } from "./output.ts";
import { bin, done, json, ownLog, root, upgradeFile, wrongLine } from "./shared.ts";
import { command, flag, option, repeated, required } from "./table.ts";
import { anyWord, file, number, oneOf } from "./values.ts";

const seconds = number("seconds", 1, 86_400, "number of seconds");

const manager = option(
  "service-manager",
  oneOf(managerKinds, "kind"),
  `One of ${managerKinds.join(", ")} (default: found)`,
);

export const upgrade = command("upgrade", {
  description: "Replace this file by another version; what does not work is undone",
  takes: {
    root,
    check: flag("check", "Only say which version there is, and how the last upgrade ended"),
    from: option(
      "from",
      anyWord("path"),
      "A release's directory, or its file for this machine; no network",
    ),
    url: option(
      "url",
      anyWord("url"),
      "Where a release is (default: $QUORATE_MIRROR, else where this was installed from)",
    ),
    to: option("to", anyWord("version"), "This version, not the newest"),
    downgrade: flag("downgrade", "Also to an earlier version"),
    force: flag("force", "Also when others may lose quorum, or the version was rolled back before"),
    noRestart: flag("no-restart", "Replace the file; you restart the service yourself"),
    noWait: flag("no-wait", "Do not wait for the end of the probation"),
    healthySeconds: option(
      "healthy",
      seconds,
      "Keep it when it was healthy for so long (default: 60)",
    ),
    patienceSeconds: option(
      "patience",
      seconds,
      "Roll back when it is not healthy after so long (default: 150)",
    ),
    keys: repeated(
      "key",
      anyWord("key"),
      "Trust this minisign public key, or the one in this file",
    ),
    bin,
    manager,
  },
  examples: [
    "quorate upgrade --url https://example.org/quorate",
    "quorate upgrade --check --from /media/usb/quorate-0.1.1",
    "quorate upgrade --from ./quorate-0.1.0 --downgrade",
  ],
  manual: [
    "Replaces the installed file by another version and restarts its services. The running file verifies the new one by the signature of its maker, lets it test itself, and watches it from outside for a minute; when it crashes, hangs, or the service is worse than before, the old file takes its place back. It refuses to begin when others would lose quorum meanwhile.",
  ],
  files: [
    ["/var/lib/quorate/upgrade.log", "what happened in all upgrades"],
    upgradeFile,
    ["/var/lib/quorate/release-url", "where install.sh brought the file from"],
  ],
  exits: [
    [upgradeExits.done, "done, or nothing to do"],
    [upgradeExits.machine, "not here or not now: no file that runs here, or nobody should upgrade"],
    [upgradeExits.usage, "the command line is wrong; nothing was touched"],
    [upgradeExits.download, "the release could not be fetched"],
    [upgradeExits.verification, "the release is not what its maker signed"],
    [upgradeExits.service, "the service could not be started again"],
    [upgradeExits.rolledBack, "the new version did not become healthy: the old one runs again"],
  ],
  run: async ({ noRestart, noWait, url = process.env["QUORATE_MIRROR"], ...given }) => {
    const { upgradeCommand } = await import("../command/upgrade.ts");
    return upgradeCommand({
      ...given,
      self: process.execPath,
      url,
      isRestarting: !noRestart,
      isWaiting: !noWait,
      releaseKeys,
      version: identity.version,
      target: identity.target,
      write,
      note,
    });
  },
});

export const unit = command("unit", {
  description: "Print the service unit, for the installer or you",
  takes: {
    service: required(oneOf(["node", "qnetd", "rescue"])),
    root,
    systemd: flag("systemd", "A systemd unit"),
    openrc: flag("openrc", "A script for OpenRC's supervise-daemon"),
    rc: flag("rc", "A script for init.d or rc.d that restarts the program itself"),
    isUser: flag("user", "For the user's own systemd (qnetd, rescue)"),
    bin,
  },
  examples: [
    "quorate unit qnetd --systemd > /etc/systemd/system/quorate-qnetd.service",
    "quorate unit rescue --systemd > /etc/systemd/system/quorate-rescue@.service",
    "quorate unit node --openrc > /etc/init.d/quorate-node",
  ],
  manual: [
    "Prints the file that a service manager starts the service from, as `quorate install` writes it, for those who install by their own means. Nothing is changed.",
  ],
  exits: [done, wrongLine],
  run: async (given) => {
    const { unitCommand } = await import("../command/unit.ts");
    return unitCommand({ ...given, write });
  },
});

export const doctor = command("doctor", {
  description: "Does this file work on this machine? Changes nothing",
  takes: {
    root,
    self: flag(
      "self",
      "Check this file: libc, crypto, wire formats, thread, database (the default)",
    ),
    role: option("role", oneOf(["node", "qnetd"], "role"), "Only what a node or qnetd needs"),
    json,
  },
  examples: ["quorate doctor --self", "quorate doctor --self --role qnetd"],
  manual: [
    "Tries what this file needs of the machine: libc, crypto, wire formats, the second thread, the database. An upgrade asks it of a new file before that is installed.",
  ],
  exits: [
    [exitOk, "every check holds"],
    [exitFailed, "one does not; the text says which"],
    wrongLine,
  ],
  run: async (given) => {
    const { doctorCommand } = await import("../command/doctor.ts");
    return doctorCommand({ ...given, write });
  },
});

export const rescue = command("rescue", {
  description: "Watch an upgrade; the old file (quorate.prev) is its own rescuer",
  takes: {
    root,
    bin: option("bin", file(), "The installed file (default: this program without .prev)"),
    manager,
  },
  examples: ["quorate.prev rescue"],
  manual: [
    "The old file's part of an upgrade: it swaps the files, restarts the services, observes them from outside, and keeps the new version or takes the old one back; when it was killed it goes on where it was. `upgrade` and the service manager start it; without an upgrade it does nothing.",
  ],
  files: [upgradeFile],
  exits: [
    [exitOk, "nothing to do, or the upgrade has ended, kept or taken back"],
    [exitFailed, "the old version could not be taken back"],
    wrongLine,
  ],
  run: async (given) => {
    const { rescueCommand } = await import("../command/rescue.ts");
    return rescueCommand({ ...given, log: ownLog("info") });
  },
});
