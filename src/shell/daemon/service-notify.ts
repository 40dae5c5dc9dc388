// Messages to the service manager (sd_notify protocol): READY, RELOADING, STOPPING, STATUS, WATCHDOG. Spec: engineering.md §10.
// Without NOTIFY_SOCKET every call does nothing. A message that cannot be sent is reported once by `onFailure`, never thrown:
// the service manager's own timeouts decide what silence means.
import { errnoName, sendUnixDatagram } from "../../libc.ts";

const STATUS_CHARACTERS_MAX = 512;
/** A restart in place: leaving the cluster, then a start. Nobody can feed the watchdog in between. */
const restartUsMax = 120_000_000;

export class ServiceManager {
  readonly #socket: string | undefined;
  readonly #onFailure: (sentence: string) => void;
  #hasFailed = false;
  /** How often `watchdog` must be called at the latest (half of the manager's limit), or undefined: no watchdog. */
  readonly watchdogMs: number | undefined;
  /** The manager's own limit, microseconds. */
  readonly #watchdogUs: string | undefined;

  /** `environment` is process.env: NOTIFY_SOCKET (a path, or "@name"), WATCHDOG_USEC and WATCHDOG_PID are read. */
  constructor(options: {
    readonly environment: Readonly<Record<string, string | undefined>>;
    readonly pid: number;
    readonly onFailure: (sentence: string) => void;
  }) {
    const socket = options.environment["NOTIFY_SOCKET"];
    this.#socket = socket !== undefined && /^[/@]./.test(socket) ? socket : undefined;
    this.#onFailure = options.onFailure;
    this.watchdogMs = watchdogInterval(options.environment, options.pid);
    this.#watchdogUs = options.environment["WATCHDOG_USEC"];
  }

  /** The service is up; `status` is shown by `systemctl status`. */
  ready(status: string): void {
    // The limit of the manager's unit again, if this process replaced one that had asked for more time.
    const watchdog = this.watchdogMs === undefined ? "" : `\nWATCHDOG_USEC=${this.#watchdogUs}`;
    this.#send(`READY=1\nSTATUS=${oneLine(status)}${watchdog}`);
  }
  /** The service is away for a moment and comes back as the same process: `ready` follows. */
  reloading(status: string): void {
    const watchdog =
      this.watchdogMs === undefined ? "" : `\nWATCHDOG_USEC=${restartUsMax}\nWATCHDOG=1`;
    this.#send(`RELOADING=1\nSTATUS=${oneLine(status)}${watchdog}`);
  }
  stopping(status: string): void {
    this.#send(`STOPPING=1\nSTATUS=${oneLine(status)}`);
  }
  status(text: string): void {
    this.#send(`STATUS=${oneLine(text)}`);
  }
  watchdog(): void {
    this.#send("WATCHDOG=1");
  }

  #send(message: string): void {
    if (this.#socket === undefined) return;
    const errno = sendUnixDatagram(this.#socket, new TextEncoder().encode(message));
    if (errno === 0) {
      this.#hasFailed = false;
      return;
    }
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#onFailure(
      `the service manager at NOTIFY_SOCKET=${this.#socket} could not be told "${message.split("\n")[0]}" (${errnoName(errno)}); ` +
        "it may believe that the service hangs: check the socket and the unit's NotifyAccess",
    );
  }
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, " ").slice(0, STATUS_CHARACTERS_MAX);
}

function watchdogInterval(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const micros = environment["WATCHDOG_USEC"];
  if (micros === undefined || !/^[1-9]\d{0,14}$/.test(micros)) return undefined;
  const owner = environment["WATCHDOG_PID"];
  if (owner !== undefined && owner !== String(pid)) return undefined;
  return Math.max(1, Math.floor(Number(micros) / 2000));
}
