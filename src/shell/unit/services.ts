// The service manager of this machine, as an upgrade needs it: restart a service, say how it is, start the rescuer apart from whoever
// asked for the upgrade. systemd, the user's systemd, OpenRC, and plain scripts in init.d or rc.d. Every call has a deadline.
import { existsSync } from "node:fs";
import { reasonOf } from "../../result.ts";
import type { UpgradePlaces } from "../upgrade/places.ts";
import type { Role, ServiceState } from "../upgrade/events.ts";

export const managerKinds = ["systemd", "systemd-user", "openrc", "rc", "none"] as const;
export type ManagerKind = (typeof managerKinds)[number];

const askMsMax = 15_000;
/** A node leaves its cluster in peace, unmounts and starts again. */
const restartMsMax = 120_000;
/** A service that is being started after so many starts that failed has failed. */
const restartsMax = 3;
const wordsMax = 400;

export interface Services {
  readonly kind: ManagerKind;
  /** Undefined when it was asked for; else why not, as part of a sentence. It does not wait until the service is up. */
  restart(role: Role): Promise<string | undefined>;
  state(role: Role): Promise<ServiceState>;
  /** True when the manager runs the rescuer by a unit of its own. */
  startRescuer(role: Role): Promise<boolean>;
}

export function serviceName(role: Role): string {
  return `quorate-${role}`;
}

/** The manager that has a service of ours, or could have. Below another root a script there comes first: it is what that root has. */
export function detectManager(places: UpgradePlaces, services: readonly Role[]): ManagerKind {
  const hasScript = services.some((role) => scriptOf(places, role) !== undefined);
  if (places.root !== "/" && hasScript) return "rc";
  if (existsSync("/run/systemd/system")) {
    return process.getuid?.() === 0 ? "systemd" : "systemd-user";
  }
  const hasOpenRc = Bun.which("rc-service", { PATH: searchPath() }) !== null;
  if (places.root === "/" && existsSync("/run/openrc/softlevel") && hasOpenRc) return "openrc";
  return hasScript ? "rc" : "none";
}

export function servicesOf(kind: ManagerKind, places: UpgradePlaces): Services {
  switch (kind) {
    case "systemd":
      return new Systemd(kind, []);
    case "systemd-user":
      return new Systemd(kind, ["--user"]);
    case "openrc":
      return new Scripts(kind, (role) => ["rc-service", serviceName(role)]);
    case "rc":
      return new Scripts(kind, (role) => {
        const script = scriptOf(places, role);
        return script === undefined ? undefined : [script];
      });
    case "none":
      return new Scripts(kind, () => undefined);
  }
  return kind satisfies never;
}

const scriptFolders = ["etc/init.d", "usr/local/etc/rc.d", "opt/etc/init.d", "etc/rc.d"];

function scriptOf({ root }: UpgradePlaces, role: Role): string | undefined {
  const base = root === "/" ? "" : root;
  return scriptFolders
    .flatMap((folder) => ["", ".sh"].map((end) => `${base}/${folder}/${serviceName(role)}${end}`))
    .find((file) => existsSync(file));
}

class Systemd implements Services {
  readonly kind: ManagerKind;
  readonly #flags: readonly string[];

  constructor(kind: ManagerKind, flags: readonly string[]) {
    this.kind = kind;
    this.#flags = flags;
  }

  async restart(role: Role): Promise<string | undefined> {
    const unit = `${serviceName(role)}.service`;
    // A unit that failed too often would be refused a start by hand, too.
    await this.#run(["reset-failed", unit], askMsMax);
    const done = await this.#run(["restart", "--no-block", unit], restartMsMax);
    return done.code === 0 ? undefined : `systemctl could not restart ${unit}: ${done.words}`;
  }

  async state(role: Role): Promise<ServiceState> {
    const unit = `${serviceName(role)}.service`;
    const done = await this.#run(["show", "--property=ActiveState,NRestarts", unit], askMsMax);
    switch (/^ActiveState=(.*)$/m.exec(done.words)?.[1]) {
      case "active":
      case "reloading":
        return "running";
      case "activating":
      case "deactivating":
        // systemd goes on trying, with pauses that grow. A start by hand, as an upgrade's, sets the count back.
        return Number(/^NRestarts=(\d+)$/m.exec(done.words)?.[1] ?? 0) < restartsMax
          ? "starting"
          : "failed";
      case "failed":
        return "failed";
      case "inactive":
        return "stopped";
      default:
        return "unknown";
    }
  }

  async startRescuer(role: Role): Promise<boolean> {
    const unit = `quorate-rescue@${role}.service`;
    await this.#run(["reset-failed", unit], askMsMax);
    return (await this.#run(["start", "--no-block", unit], askMsMax)).code === 0;
  }

  #run(args: readonly string[], deadlineMs: number): Promise<Done> {
    return run(["systemctl", ...this.#flags, ...args], deadlineMs);
  }
}

/** Scripts with the words restart and status, whose exit code is 0 when the service runs and 3 when it was stopped (LSB). */
class Scripts implements Services {
  readonly kind: ManagerKind;
  readonly #words: (role: Role) => readonly string[] | undefined;

  constructor(kind: ManagerKind, words: (role: Role) => readonly string[] | undefined) {
    this.kind = kind;
    this.#words = words;
  }

  async restart(role: Role): Promise<string | undefined> {
    const words = this.#words(role);
    if (words === undefined) return `there is no service manager to restart ${serviceName(role)}`;
    const done = await run([...words, "restart"], restartMsMax);
    return done.code === 0 ? undefined : `${words.join(" ")} restart failed: ${done.words}`;
  }

  async state(role: Role): Promise<ServiceState> {
    const words = this.#words(role);
    if (words === undefined) return "unknown";
    const { code } = await run([...words, "status"], askMsMax);
    switch (code) {
      case 0:
        return "running";
      case 3:
        return "stopped";
      // LSB: dead with a file of its process id. OpenRC: crashed.
      case 1:
      case 32:
        return "failed";
      case 8:
        return "starting";
      default:
        return "unknown";
    }
  }

  async startRescuer(): Promise<boolean> {
    return false;
  }
}

interface Done {
  readonly code: number;
  /** What it said, shortened. */
  readonly words: string;
}

/** Never throws: what cannot be started has code 127. */
export async function run(command: readonly string[], deadlineMs: number): Promise<Done> {
  const [program = "", ...words] = command;
  const file = program.includes("/") ? program : Bun.which(program, { PATH: searchPath() });
  if (file === null) return { code: 127, words: `there is no ${program} here` };
  try {
    const child = Bun.spawn([file, ...words], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: deadlineMs,
      killSignal: "SIGKILL",
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const code = await child.exited;
    const said = `${out}${err}`.trim().slice(0, wordsMax);
    return { code, words: said === "" ? `exit code ${code}` : said };
  } catch (error) {
    return { code: 127, words: reasonOf(error) };
  }
}

/** Where system programs are; services have no more than that. */
export function searchPath(): string {
  return process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin";
}
