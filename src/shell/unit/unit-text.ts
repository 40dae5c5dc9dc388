// The files that make a service of quorate, as text (engineering.md §13): printed by the binary, so that they change with it. systemd
// units, OpenRC scripts, and a plain script with a loop of its own. Nothing is written here.
import type { Role } from "../upgrade/events.ts";
import { runtimeHooks } from "./runtime-hooks.ts";
import { plainScript } from "./unit-script.ts";

export type UnitForm = "systemd" | "openrc" | "rc";

export interface UnitOptions {
  readonly service: Role | "rescue";
  readonly form: UnitForm;
  /** Absolute path of the installed file. */
  readonly bin: string;
  /** "/" or an absolute path. */
  readonly root: string;
  /** A unit of the user's own systemd, without root. */
  readonly isUser: boolean;
}

/** The user of the vote server: the original's own, so that a certificate directory that was taken over keeps its owner. */
export const serverUser = "coroqnetd";

/** The text; or why there is none, as a sentence. */
export function unitText(
  options: UnitOptions,
): { readonly text: string } | { readonly reason: string } {
  const { service, form, isUser } = options;
  for (const path of [options.bin, options.root]) {
    if (!/^\/[\w@+,./:-]*$/.test(path)) {
      return {
        reason: `a unit cannot name "${path}": a path is absolute, of letters, digits and ._-+@:,`,
      };
    }
  }
  if (isUser && form !== "systemd") return { reason: "--user is for systemd only" };
  if (isUser && service === "node") return { reason: "a node mounts a file system and needs root" };
  if (service === "rescue") {
    if (form === "systemd") return { text: rescueUnit(options) };
    return {
      reason: "the rescuer is a unit of systemd only; elsewhere `quorate upgrade` starts it",
    };
  }
  switch (form) {
    case "systemd":
      return { text: service === "node" ? nodeUnit(options) : serverUnit(options) };
    case "openrc":
      return { text: openrcScript({ ...options, service }) };
    case "rc":
      return { text: plainScript({ ...options, service }) };
  }
  return form satisfies never;
}

const heads = {
  node: "quorate cluster node (corosync ring, quorum and /etc/pve)",
  qnetd: "quorate vote server (corosync-qnetd)",
} as const;

function command({ bin, root }: UnitOptions, ...words: readonly string[]): string {
  return [bin, ...words, ...(root === "/" ? [] : ["--root", root])].join(" ");
}

function state({ root }: UnitOptions): string {
  return `${root === "/" ? "" : root}/var/lib/quorate`;
}

/**
 * Both: what ends badly is started again, each time after a longer pause (see `pause`). The limit is beyond what these starts reach: it
 * stops a loop whose pause does not work. A failed service has the rescuer look whether an upgrade is to blame.
 */
function head(options: UnitOptions, role: Role): readonly string[] {
  return [
    "[Unit]",
    `Description=${heads[role]}`,
    "Documentation=man:quorate(8)",
    ...(options.isUser ? [] : ["Wants=network-online.target", "After=network-online.target"]),
    // While an upgrade is on probation, also after a reboot, the old file watches. Without one these do nothing.
    `Wants=quorate-rescue@${role}.service`,
    `OnFailure=quorate-rescue@${role}.service`,
    "StartLimitIntervalSec=600",
    "StartLimitBurst=30",
  ];
}

const pauseSecondsMax = 30;

function running({ isUser }: UnitOptions): readonly string[] {
  return [
    "Type=notify",
    "NotifyAccess=main",
    "WatchdogSec=30",
    "Restart=on-failure",
    "RestartSec=1",
    // A wrong command line or configuration does not become right by another start.
    "RestartPreventExitStatus=2 8",
    // Longer than a pause.
    "TimeoutStartSec=60",
    `ExecStartPre=${isUser ? "-" : "-+"}${pause(isUser)}`,
    `UnsetEnvironment=${runtimeHooks.join(" ")}`,
  ];
}

/**
 * The pause before an automatic start: none before the first, then 4, 9, 16 … seconds. A start by hand sets the count back.
 * RestartSteps= says the same from systemd 254 on; Debian 12 has 252.
 */
function pause(isUser: boolean): string {
  const count = `systemctl ${isUser ? "--user " : ""}show --property=NRestarts --value %n`;
  const seconds = `n * n < ${pauseSecondsMax} ? n * n : ${pauseSecondsMax}`;
  return `/bin/sh -c 'n=$$(${count}) && [ "$$n" -gt 1 ] && sleep $$((${seconds}))'`;
}

function nodeUnit(options: UnitOptions): string {
  const mount = `${options.root === "/" ? "" : options.root}/etc/pve`;
  return lines(
    ...head(options, "node"),
    "",
    "[Service]",
    `ExecStart=${command(options, "node")}`,
    ...running(options),
    "TimeoutStopSec=60",
    // What a killed node leaves mounted would answer nobody.
    `ExecStopPost=-/bin/umount -l ${mount}`,
    `Environment=TMPDIR=${state(options)}/tmp`,
    "StateDirectory=quorate quorate/tmp",
    "LimitRTPRIO=99",
    "LimitNOFILE=65536",
    "OOMScoreAdjust=-900",
    // The mount must be visible to the whole machine: no mount namespace, so none of the Protect and Private settings that make one.
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictSUIDSGID=yes",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  );
}

function serverUnit(options: UnitOptions): string {
  const base = options.root === "/" ? "" : options.root;
  const certificates = `${base}/etc/corosync/qnetd`;
  const places =
    options.root === "/"
      ? [
          "RuntimeDirectory=corosync-qnetd",
          "RuntimeDirectoryMode=0770",
          // Of its own: what lies in /var/lib/quorate itself decides which program root runs.
          "StateDirectory=quorate/qnetd quorate/qnetd/tmp",
          "Environment=TMPDIR=/var/lib/quorate/qnetd/tmp",
          ...directories(certificates),
          `ExecStartPre=+/bin/chown ${serverUser}:${serverUser} ${certificates}`,
          ...takeOver(options).map((line) => `ExecStartPre=-+/bin/sh -c '${line}'`),
          `ReadWritePaths=-${certificates}`,
        ]
      : otherPlaces(options);
  return lines(
    ...head(options, "qnetd"),
    "",
    "[Service]",
    `ExecStart=${command(options, "qnetd")}`,
    ...running(options),
    "TimeoutStopSec=30",
    ...(options.isUser ? [] : [`User=${serverUser}`, `Group=${serverUser}`]),
    ...places,
    // 500 clusters of two nodes with TLS take 92 MB; the server counts strangers' connections by what is left.
    "MemoryMax=256M",
    "LimitNOFILE=16384",
    "NoNewPrivileges=yes",
    ...(options.isUser ? [] : hardening),
    // Somebody who keeps the files in a home directory wants them found there.
    ...(options.isUser || options.root !== "/" ? [] : ["ProtectHome=yes"]),
    "",
    "[Install]",
    `WantedBy=${options.isUser ? "default.target" : "multi-user.target"}`,
  );
}

/** What an original server left is root's, as Debian makes it: root takes it over, once. The server alone could only read it. */
function takeOver(options: UnitOptions): readonly string[] {
  const store = `${options.root === "/" ? "" : options.root}/etc/corosync/qnetd/nssdb`;
  return [
    `if [ ! -e ${store}/qnetd-server.pem ] && { [ -e ${store}/cert9.db ] || [ -e ${store}/cert8.db ]; }; then ` +
      `${command(options, "qnetd", "certificates", "import")}; fi`,
  ];
}

/** Below another root only what the server writes is its own: /var/lib/quorate decides which program root runs. */
function otherPlaces({ root, isUser }: UnitOptions): readonly string[] {
  const own = [`${root}/etc/corosync/qnetd`, `${root}/var/run/corosync-qnetd`];
  if (isUser) return [`ExecStartPre=/bin/mkdir -p ${own.join(" ")}`];
  return [
    ...own.flatMap(directories),
    // Never through a link that the server's user laid there.
    `ExecStartPre=+/bin/chown -hR ${serverUser}:${serverUser} ${own.join(" ")}`,
    ...own.map((path) => `ReadWritePaths=-${path}`),
  ];
}

/** Those above a directory can be entered, whatever the umask is: the server's own user must come through. */
function directories(path: string): readonly string[] {
  const parts = path.split("/").slice(1);
  const above = parts.slice(0, -1).map((_, at) => `/${parts.slice(0, at + 1).join("/")}`);
  return [
    `ExecStartPre=+/bin/mkdir -p -m 0755 ${above.join(" ")}`,
    `ExecStartPre=+/bin/mkdir -p -m 0770 ${path}`,
  ];
}

/** MemoryDenyWriteExecute must stay off: the runtime compiles as it runs. */
const hardening: readonly string[] = [
  "ProtectSystem=strict",
  "PrivateTmp=yes",
  "PrivateDevices=yes",
  "ProtectClock=yes",
  "ProtectControlGroups=yes",
  "ProtectHostname=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
  "CapabilityBoundingSet=",
  "AmbientCapabilities=",
  "LockPersonality=yes",
  "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "SystemCallArchitectures=native",
  "UMask=0027",
];

/** `quorate upgrade` starts it; so do a service that failed, and a service that starts while an upgrade is on probation. */
function rescueUnit(options: UnitOptions): string {
  return lines(
    "[Unit]",
    "Description=quorate watches its upgrade (%i)",
    "Documentation=man:quorate(8)",
    `ConditionPathExists=${state(options)}/upgrade.json`,
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${command({ ...options, bin: `${options.bin}.prev` }, "rescue")} --bin ${options.bin}`,
    "Restart=on-failure",
    "RestartSec=1",
    "RestartPreventExitStatus=1 2",
    `UnsetEnvironment=${runtimeHooks.join(" ")}`,
  );
}

function openrcScript(options: UnitOptions & { readonly service: Role }): string {
  const { service, bin, root } = options;
  const words = [service, ...(root === "/" ? [] : ["--root", root])].join(" ");
  const temporary = service === "node" ? `${state(options)}/tmp` : `${state(options)}/qnetd/tmp`;
  const base = root === "/" ? "" : root;
  const owned = [`${base}/etc/corosync/qnetd`, `${base}/var/run/corosync-qnetd`];
  const own =
    service === "node"
      ? [`	checkpath -d -m 0700 -o root:root ${temporary}`]
      : [...owned, `${state(options)}/qnetd`]
          .flatMap((path) => [
            `	mkdir -p ${path}`,
            `	checkpath -d -m 0770 -o ${serverUser}:${serverUser} ${path}`,
          ])
          // In a directory of the server's user: a link that lies there is not followed.
          .concat(
            `	mkdir -p ${temporary} && chown -h ${serverUser}:${serverUser} ${temporary}`,
            ...takeOver(options).map((line) => `	${line}`),
          );
  return lines(
    "#!/sbin/openrc-run",
    `# Made by \`quorate unit ${service} --openrc\`.`,
    "",
    `description="${heads[service]}"`,
    "supervisor=supervise-daemon",
    `command="${bin}"`,
    `command_args="${words}"`,
    ...(service === "qnetd" ? [`command_user="${serverUser}:${serverUser}"`] : []),
    "respawn_delay=5",
    "respawn_max=30",
    "respawn_period=600",
    `output_log="/var/log/quorate-${service}.log"`,
    `error_log="/var/log/quorate-${service}.log"`,
    'retry="TERM/60/KILL/5"',
    ...(service === "node" ? ['rc_ulimit="-r 99 -n 65536"'] : ['rc_ulimit="-n 16384"']),
    "",
    `unset ${runtimeHooks.join(" ")}`,
    `export TMPDIR=${temporary}`,
    "",
    "depend() {",
    "	need net",
    "	after firewall",
    "}",
    "",
    "start_pre() {",
    "	umask 022",
    `	mkdir -p ${state(options)}`,
    ...own,
    `	checkpath -f -m 0640 -o ${service === "node" ? "root:root" : `${serverUser}:${serverUser}`} /var/log/quorate-${service}.log`,
    "	# An upgrade that a reboot interrupted is watched again by the old file.",
    `	if [ -e ${state(options)}/upgrade.json ] && [ -x ${bin}.prev ]; then`,
    `		start-stop-daemon --start --background --exec ${bin}.prev -- rescue --bin ${bin}${root === "/" ? "" : ` --root ${root}`}`,
    "	fi",
    "}",
    ...(service === "node"
      ? ["", "stop_post() {", `	umount -l ${base}/etc/pve 2>/dev/null || true`, "}"]
      : []),
  );
}

function lines(...all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}
