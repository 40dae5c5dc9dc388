// `quorate install`: makes a service of this file: user, unit, names, manual, and starts it (engineering.md §13 I3, I11–I18). install.sh
// ends with it. It never touches a configuration, key or certificate that is there, and never opens a firewall.
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { reasonOf } from "../../result.ts";
import { isAnswered } from "../api/api-socket.ts";
import { CommandFailure, exitOk } from "../exit.ts";
import { directoriesOf, findManager, type Manager } from "../install/service-manager.ts";
import { firstLook } from "../install/first-look.ts";
import { documentationOf } from "../install/documentation.ts";
import {
  InstallRecord,
  type InstallPlaces,
  installPlaces,
  missingDirectories,
} from "../install/record.ts";
import { findConflicts, conflictingUnits } from "../install/conflicts.ts";
import { installExits } from "../install/exits.ts";
import { isThere, linkTarget, Steps } from "../install/steps.ts";
import { linkNames } from "../tool/link-names.ts";
import type { Role } from "../upgrade/events.ts";
import { packageOwner } from "../install/package-owner.ts";
import { upgradePlaces } from "../upgrade/places.ts";
import { run, serviceName } from "../unit/services.ts";
import { serverUser, unitText } from "../unit/unit-text.ts";

const askMsMax = 15_000;
const runsMsMax = 60_000;
const askAgainMs = 100;

export interface InstallOptions {
  /** Undefined only with `noService`. */
  readonly role: Role | undefined;
  /** The installed file, absolute. */
  readonly bin: string;
  readonly noService: boolean;
  readonly noLinks: boolean;
  /** Only say whether it could be done. */
  readonly isCheck: boolean;
  readonly isDry: boolean;
  /** The file replaced another one just now: a running service is to be started again, and the other one is to come back if it fails. */
  readonly isReplaced: boolean;
  /** Directories that were made for the file, each with a slash at its end. */
  readonly made: readonly string[];
  readonly versionLine: string;
  readonly write: (text: string) => void;
}

/** Exit code 0 when all is as it should be; else CommandFailure with one of `installExits`. */
export async function installCommand(options: InstallOptions): Promise<number> {
  const installation = new Installation(options, roleOf(options));
  await installation.check();
  if (!options.isCheck) await installation.make();
  return exitOk;
}

function roleOf({ role, noService }: InstallOptions): Role | undefined {
  if (role !== undefined || noService) return role;
  throw new CommandFailure(
    "say what this machine is to be: `quorate install node` or `quorate install qnetd`",
    installExits.usage,
  );
}

const heads = { node: "cluster node", qnetd: "vote server" } as const;
const firewallHints = {
  node: "if a firewall is on, open 5405-5412/udp and 8006/tcp between the nodes",
  qnetd: "if a firewall is on, open 5403/tcp for the nodes of the clusters",
} as const;

class Installation {
  readonly #options: InstallOptions;
  readonly #role: Role | undefined;
  readonly #isRoot = process.getuid?.() === 0;
  readonly #home = userInfo().homedir;
  readonly #places: InstallPlaces;
  readonly #steps: Steps;
  readonly #record: InstallRecord;
  /** Undefined: no service is wanted. */
  #manager: Manager | undefined;
  /** The node that runs now is in no cluster. */
  #isStandalone = false;

  constructor(options: InstallOptions, role: Role | undefined) {
    this.#options = options;
    this.#role = role;
    this.#places = installPlaces(this.#isRoot, process.env["HOME"] ?? this.#home);
    this.#steps = new Steps(options);
    this.#record = new InstallRecord(this.#places);
  }

  async check(): Promise<void> {
    await this.#checkOwner();
    const role = this.#role;
    if (this.#options.noService || role === undefined) return;
    if (role === "node" && !this.#isRoot) {
      throw new CommandFailure(
        "a node needs root: it mounts /etc/pve and writes below /etc and /var; a vote server (qnetd) does without",
        installExits.machine,
      );
    }
    this.#manager = await findManager(this.#isRoot, process.env["HOME"] ?? this.#home, succeeds);
    if (this.#manager === undefined) {
      throw new CommandFailure(
        `found no service manager that could start quorate (systemd, OpenRC, /usr/local/etc/rc.d${this.#isRoot ? "" : "; without root: systemd of this user"}). ` +
          `Nothing was changed. Install the file alone with --no-service, and have \`quorate ${role}\` started by your own means`,
        installExits.service,
      );
    }
    await this.#checkConflicts(role, this.#manager);
    // A node unpacks its database library there and loads it; a vote server needs none.
    if (role === "node") checkRunnable(join(this.#places.state, "tmp"));
  }

  /** What a package brought, only its package manager replaces. */
  async #checkOwner(): Promise<void> {
    const { bin } = this.#options;
    if (!existsSync(bin)) return;
    const owner = await packageOwner(upgradePlaces("/", bin));
    if (owner !== undefined) throw new CommandFailure(owner, installExits.machine);
  }

  async #checkConflicts(role: Role, manager: Manager): Promise<void> {
    const ask = (unit: string): Promise<boolean> =>
      succeeds(["systemctl", "is-enabled", "--quiet", unit]);
    const conflicts = await findConflicts(role, manager.kind === "systemd" ? ask : undefined);
    if (conflicts.length === 0) return;
    const units = conflictingUnits[role].join(" ");
    throw new CommandFailure(
      [
        `on this machine ${conflicts.join(", ")}: it and quorate would use the same ports and files. Nothing was changed. The plan:`,
        `  1. stop it for good, when the cluster can do without it for a moment: systemctl disable --now ${units}`,
        "  2. run this again: quorate goes on with the same configuration, keys and certificates",
      ].join("\n"),
      installExits.service,
    );
  }

  async make(): Promise<void> {
    const { bin, made } = this.#options;
    const steps = this.#steps;
    steps.note(this.#record, ...made, bin);
    if (!this.#options.noLinks) this.#makeLinks();
    await this.#makeDocumentation();
    const manager = this.#manager;
    const role = this.#role;
    if (manager !== undefined && role !== undefined) await this.#makeService(manager, role);
    if (steps.changed.length === 0 && !this.#options.isReplaced && !this.#options.isDry) {
      steps.say("nothing to do: all is installed already");
    }
    if (this.#options.isDry) return;
    if (manager !== undefined && role !== undefined) steps.say(firewallHints[role]);
    this.#close();
  }

  /** A name that belongs to another program, here or further along the path, is left alone and said. */
  #makeLinks(): void {
    const directory = dirname(this.#options.bin);
    const file = basename(this.#options.bin);
    const kept: string[] = [];
    for (const name of linkNames) {
      const link = join(directory, name);
      if (linkTarget(link) === file) continue;
      const isElsewhere = programDirectories.some(
        (each) => each !== directory && existsSync(join(each, name)),
      );
      if (isThere(link) || isElsewhere) kept.push(name);
      else this.#steps.link(this.#record, link, file);
    }
    if (kept.length === 0) return;
    this.#steps.say(
      `left alone, as other programs have the names: ${kept.join(" ")} (called by them you get those programs, not quorate)`,
    );
  }

  /** Nice to have: a machine without a place for them does without. */
  async #makeDocumentation(): Promise<void> {
    if (this.#options.isDry) {
      return this.#steps.say("would write manual pages and shell completion beside it");
    }
    try {
      for (const { path, text } of await documentationOf(this.#options.bin)) {
        this.#steps.file(this.#record, path, text, 0o644);
      }
    } catch (error) {
      this.#steps.say(`no manual pages: ${reasonOf(error)}`);
    }
  }

  async #makeService(manager: Manager, role: Role): Promise<void> {
    const steps = this.#steps;
    if (role === "qnetd" && this.#isRoot) await this.#makeUser(manager);
    const own = directoriesOf(role, this.#places).flatMap((path) => missingDirectories(path));
    if (!this.#record.has(serviceLine(manager, role))) {
      steps.note(
        this.#record,
        serviceLine(manager, role),
        ...[...new Set(own)].map((path) => `${path}/`),
      );
    }
    let isNew = false;
    for (const unit of manager.units(role)) {
      const made = unitText({
        service: unit.service,
        form: unit.form,
        bin: this.#options.bin,
        root: this.#places.base === "" ? "/" : this.#places.base,
        isUser: manager.kind === "systemd-user",
      });
      if ("reason" in made) throw new CommandFailure(made.reason, installExits.usage);
      isNew = steps.file(this.#record, unit.path, made.text, unit.mode) || isNew;
    }
    if (isNew) for (const words of manager.enable(role)) await steps.command(words);
    await this.#start(manager, role);
  }

  async #start(manager: Manager, role: Role): Promise<void> {
    const steps = this.#steps;
    const { isReplaced, isDry } = this.#options;
    const wasRunning = !isDry && (await succeeds(manager.isRunning(role)));
    const hint = `\n  what it says: ${manager.look(role)}`;
    if (wasRunning && !isReplaced) {
      return this.#lookAt(role, hint);
    }
    steps.changed.push(serviceName(role));
    const words = wasRunning ? manager.restart(role) : manager.start(role);
    if (isDry) return steps.command(words);
    try {
      await steps.command(words, hint);
      await this.#untilAnswers(role, hint);
    } catch (error) {
      if (wasRunning && error instanceof CommandFailure)
        await this.#takeBack(manager, role, error.message);
      throw error;
    }
    await this.#lookAt(role, hint);
  }

  #socketOf(role: Role): string {
    const { base } = this.#places;
    return `${base}/${role === "node" ? "run/quorate.sock" : "var/run/corosync-qnetd/corosync-qnetd.sock"}`;
  }

  /** That a service runs does not mean that it can serve. */
  async #lookAt(role: Role, hint: string): Promise<void> {
    const { faults, remarks, isStandalone } = await firstLook(role, this.#socketOf(role));
    this.#isStandalone = isStandalone;
    for (const remark of remarks) this.#steps.say(remark);
    if (faults.length === 0) return;
    throw new CommandFailure(
      `${serviceName(role)} is installed and runs, but not all is well:\n${faults.map((fault) => `  ${fault}`).join("\n")}${hint}`,
      installExits.service,
    );
  }

  /** The service manager may say "started" of a program that ends in the next moment. */
  async #untilAnswers(role: Role, hint: string): Promise<void> {
    const socket = this.#socketOf(role);
    for (const begun = performance.now(); performance.now() - begun < runsMsMax;) {
      if (await isAnswered(socket)) return;
      await wait(askAgainMs);
    }
    throw new CommandFailure(
      `${serviceName(role)} was started and does not answer at ${socket} after ${runsMsMax / 1000} s${hint}`,
      installExits.service,
    );
  }

  /** What served before serves again. */
  async #takeBack(manager: Manager, role: Role, reason: string): Promise<never> {
    const { bin } = this.#options;
    if (!existsSync(`${bin}.prev`)) throw new CommandFailure(reason, installExits.service);
    renameSync(`${bin}.prev`, bin);
    await this.#steps.tryCommand(manager.restart(role));
    throw new CommandFailure(
      `${reason}\n  the version before is back in place`,
      installExits.service,
    );
  }

  /** The original's own user, so that a certificate directory which is taken over keeps its owner. */
  async #makeUser(manager: Manager): Promise<void> {
    if (await succeeds(["id", serverUser])) return;
    const commands = userCommands();
    // A NAS has its own ways, and its script runs as root.
    if (commands === undefined && manager.kind === "rc") return;
    if (commands === undefined) {
      throw new CommandFailure(
        `there is no useradd and no adduser here: make a system user and group ${serverUser} and run this again`,
        installExits.service,
      );
    }
    this.#steps.note(this.#record, `user:${serverUser}`);
    this.#steps.changed.push(`user ${serverUser}`);
    for (const words of commands) await this.#steps.command(words);
  }

  /** Exactly three lines: version, what runs where, what is next. */
  #close(): void {
    const { bin, versionLine, write } = this.#options;
    const role = this.#role;
    const isInPath = (process.env["PATH"] ?? "").split(":").includes(dirname(bin));
    const quorate = isInPath ? "quorate" : bin;
    const manager = this.#manager;
    const lines = [versionLine];
    if (role === undefined || manager === undefined) {
      lines.push(`nothing was started; the program is ${bin}`, `next: ${quorate} --help`);
    } else {
      const service = `service ${serviceName(role)} of ${manager.name}, program ${bin}`;
      lines.push(`${heads[role]} is running: ${service}`, `next: ${this.#next(role, quorate)}`);
    }
    write(`${lines.join("\n")}\n`);
  }

  #next(role: Role, quorate: string): string {
    if (role === "node") {
      return this.#isStandalone
        ? `${quorate} create NAME makes a cluster with this node as its first; ${quorate} join TOKEN makes it a member of one (TOKEN: quorate join-token, there)`
        : `${quorate} status`;
    }
    if (!this.#isRoot) {
      return `${quorate} qnetd status --root ${this.#places.base}; \`loginctl enable-linger\` keeps it running when you log out`;
    }
    return `on one node of your cluster: pvecm qdevice setup ${ownAddress()}`;
  }
}

/** Undefined where neither of the usual programs is. */
function userCommands(): readonly (readonly string[])[] | undefined {
  const has = (program: string): boolean => Bun.which(program) !== null;
  const home = "/etc/corosync/qnetd";
  if (has("useradd")) {
    const flags = ["--system", "--user-group", "--no-create-home", "--home-dir", home];
    return [["useradd", ...flags, "--shell", "/usr/sbin/nologin", serverUser]];
  }
  if (!has("adduser") || !has("addgroup")) return undefined;
  const flags = ["-S", "-D", "-H", "-h", home, "-s", "/sbin/nologin", "-G", serverUser];
  return [
    ["addgroup", "-S", serverUser],
    ["adduser", ...flags, serverUser],
  ];
}

/** Where other programs of these names would be found. */
const programDirectories = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
];

function serviceLine({ kind }: Manager, role: Role): string {
  return `service:${kind}:${serviceName(role)}`;
}

async function succeeds(command: readonly string[]): Promise<boolean> {
  return (await run(command, askMsMax)).code === 0;
}

/** Can a program be run from there, or from the nearest directory above that exists? Leaves nothing. */
function checkRunnable(directory: string): void {
  const missing = missingDirectories(directory);
  const place = missing[0] === undefined ? directory : dirname(missing[0]);
  const fail = (why: string): never => {
    throw new CommandFailure(
      `a node must be able to run code from ${directory}: ${why}. Mount a file system there that is writable and not noexec`,
      installExits.machine,
    );
  };
  let spot: string;
  try {
    spot = mkdtempSync(join(place, ".quorate-probe-"));
  } catch (error) {
    return fail(reasonOf(error));
  }
  try {
    const script = join(spot, "try");
    writeFileSync(script, "#!/bin/sh\nexit 0\n");
    chmodSync(script, 0o700);
    if (Bun.spawnSync([script]).exitCode !== 0) fail("a program there does not run");
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    fail(reasonOf(error));
  } finally {
    rmSync(spot, { recursive: true, force: true });
  }
}

/** One that other machines may reach us at. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ internal, family }) => !internal && family === "IPv4")?.address ?? "ADDRESS";
}
