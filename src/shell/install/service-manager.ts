// The service manager of this machine, as an installation needs it: which one there is, where it reads its files, and the words by which a
// service is enabled, started and forgotten. Nothing is run here. `upgrade/services.ts` restarts and watches what this installs.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type InstallPlaces } from "./record.ts";
import type { Role } from "../upgrade/events.ts";
import { type ManagerKind, serviceName } from "../unit/services.ts";
import { type UnitForm } from "../unit/unit-text.ts";

export interface UnitFile {
  readonly path: string;
  readonly service: Role | "rescue";
  readonly form: UnitForm;
  readonly mode: number;
}

export interface Manager {
  readonly kind: Exclude<ManagerKind, "none">;
  /** For sentences. */
  readonly name: string;
  readonly units: (role: Role) => readonly UnitFile[];
  /** Commands, in order. "enable" also reads changed files again. */
  readonly enable: (role: Role) => readonly (readonly string[])[];
  readonly start: (role: Role) => readonly string[];
  readonly restart: (role: Role) => readonly string[];
  /** For the operator: how to start what failed, whatever was counted of it. */
  readonly startFailed: (role: Role) => string;
  /** Exit code 0: the service runs. */
  readonly isRunning: (role: Role) => readonly string[];
  readonly stop: (role: Role) => readonly (readonly string[])[];
  /** After the files are gone. */
  readonly forget: readonly (readonly string[])[];
  /** For the operator: how to see why it does not run. */
  readonly look: (role: Role) => string;
}

/** Where plain scripts are started from: Synology's and FreeBSD's place, which other NAS follow. */
const scriptDirectory = "/usr/local/etc/rc.d";

/** Undefined when nothing here could start a service. */
export async function findManager(
  isRoot: boolean,
  home: string,
  succeeds: (command: readonly string[]) => Promise<boolean>,
): Promise<Manager | undefined> {
  if (!isRoot) {
    const hasBus = await succeeds(["systemctl", "--user", "show-environment"]);
    return hasBus ? systemd("systemd-user", join(home, ".config/systemd/user")) : undefined;
  }
  if (existsSync("/run/systemd/system")) return systemd("systemd", "/etc/systemd/system");
  if (existsSync("/run/openrc/softlevel") && Bun.which("rc-service") !== null) return openrc;
  return existsSync(scriptDirectory) ? scripts : undefined;
}

/** The manager of that kind, for what was installed with it. */
export function managerOf(kind: ManagerKind, home: string): Manager | undefined {
  switch (kind) {
    case "systemd":
      return systemd(kind, "/etc/systemd/system");
    case "systemd-user":
      return systemd(kind, join(home, ".config/systemd/user"));
    case "openrc":
      return openrc;
    case "rc":
      return scripts;
    case "none":
      return undefined;
  }
  return kind satisfies never;
}

function systemd(kind: "systemd" | "systemd-user", directory: string): Manager {
  const control = kind === "systemd" ? ["systemctl"] : ["systemctl", "--user"];
  const unit = (role: Role): string => `${serviceName(role)}.service`;
  const file = (service: Role | "rescue", name: string): UnitFile => ({
    path: join(directory, name),
    service,
    form: "systemd",
    mode: 0o644,
  });
  return {
    kind,
    name: kind === "systemd" ? "systemd" : "systemd of this user",
    units: (role) => [file(role, unit(role)), file("rescue", "quorate-rescue@.service")],
    enable: (role) => [
      [...control, "daemon-reload"],
      [...control, "enable", unit(role)],
    ],
    start: (role) => [...control, "start", unit(role)],
    restart: (role) => [...control, "restart", unit(role)],
    startFailed: (role) =>
      ["reset-failed", "restart"]
        .map((verb) => [...control, verb, unit(role)].join(" "))
        .join("; "),
    isRunning: (role) => [...control, "is-active", "--quiet", unit(role)],
    stop: (role) => [
      [...control, "disable", "--now", unit(role)],
      [...control, "stop", `quorate-rescue@${role}.service`],
    ],
    forget: [[...control, "daemon-reload"]],
    look: (role) =>
      kind === "systemd" ? `journalctl -u ${unit(role)}` : `journalctl --user -u ${unit(role)}`,
  };
}

const openrc: Manager = {
  kind: "openrc",
  name: "OpenRC",
  units: (role) => [
    { path: `/etc/init.d/${serviceName(role)}`, service: role, form: "openrc", mode: 0o755 },
  ],
  enable: (role) => [["rc-update", "add", serviceName(role), "default"]],
  start: (role) => ["rc-service", serviceName(role), "start"],
  restart: (role) => ["rc-service", serviceName(role), "restart"],
  startFailed: (role) => `rc-service ${serviceName(role)} restart`,
  isRunning: (role) => ["rc-service", serviceName(role), "status"],
  stop: (role) => [
    ["rc-service", serviceName(role), "stop"],
    ["rc-update", "del", serviceName(role), "default"],
  ],
  forget: [],
  look: (role) => `/var/log/${serviceName(role)}.log`,
};

function script(role: Role): string {
  return `${scriptDirectory}/${serviceName(role)}.sh`;
}

const scripts: Manager = {
  kind: "rc",
  name: scriptDirectory,
  units: (role) => [{ path: script(role), service: role, form: "rc", mode: 0o755 }],
  // The machine starts what lies there.
  enable: () => [],
  start: (role) => [script(role), "start"],
  restart: (role) => [script(role), "restart"],
  startFailed: (role) => `${script(role)} restart`,
  isRunning: (role) => [script(role), "status"],
  stop: (role) => [[script(role), "stop"]],
  forget: [],
  look: (role) => `/var/log/${serviceName(role)}.log`,
};

/** What a service of this role makes besides what is written down, on the running system: sockets, logs. Removed with it. */
export function tracesOf(role: Role, { base }: InstallPlaces): readonly string[] {
  const own = [
    `${base}/var/log/${serviceName(role)}.log`,
    `${base}/var/run/${serviceName(role)}.pid`,
    `${base}/var/run/${serviceName(role)}.failed`,
  ];
  return role === "qnetd"
    ? [...own, `${base}/var/run/corosync-qnetd`]
    : [...own, `${base}/run/quorate.sock`, `${base}/var/run/corosync-qdevice`];
}

/** What only --purge removes: keys, certificates, the tree. */
export function dataOf(role: Role, { base }: InstallPlaces): readonly string[] {
  return role === "qnetd"
    ? [`${base}/etc/corosync/qnetd`]
    : [
        `${base}/etc/corosync/corosync.conf`,
        `${base}/etc/corosync/authkey`,
        `${base}/etc/corosync/qdevice`,
        `${base}/var/lib/corosync`,
        `${base}/var/lib/pve-cluster`,
        `${base}/var/lib/quorate/api`,
        `${base}/var/log/pve/tasks`,
      ];
}

/** Directories that a service of this role makes when they are missing; those are then ours to remove, when empty. */
export function directoriesOf(role: Role, { base }: InstallPlaces): readonly string[] {
  return role === "qnetd"
    ? [`${base}/etc/corosync`, `${base}/etc/corosync/qnetd`, `${base}/var/run`]
    : [
        `${base}/etc/corosync`,
        `${base}/var/lib/corosync`,
        `${base}/var/lib/pve-cluster`,
        `${base}/var/log/pve/tasks`,
        `${base}/etc/pve`,
      ];
}
