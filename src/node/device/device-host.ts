// The host of the device client inside the ring thread: its timers, its connection, its commands, and the way to votequorum.
// Nothing in here decides anything. Events are taken one after the other, never within each other.
import type { LogAction, Random } from "../../world.ts";
import { Deadlines } from "../deadlines.ts";
import type { NodeSettings } from "../settings.ts";
import { deviceWarning } from "./advice.ts";
import { DeviceClient } from "./client.ts";
import { Commands } from "./commands.ts";
import { Connection } from "./connection.ts";
import { CredentialStore } from "./credentials.ts";
import { deviceSettings } from "./device-settings.ts";
import type {
  DeviceAction,
  DeviceEvent,
  DeviceRequest,
  DeviceSnapshot,
  DeviceTimer,
} from "./events.ts";

export interface DeviceHostPort {
  readonly now: () => number;
  readonly random: Random;
  /** To votequorum; the answer comes as an `answered` event. */
  readonly ask: (request: DeviceRequest) => void;
  readonly log: (line: LogAction) => void;
}

export class DeviceHost {
  readonly #client: DeviceClient;
  readonly #port: DeviceHostPort;
  readonly #credentials: CredentialStore;
  readonly #timers: Deadlines<DeviceTimer>;
  readonly #commands = new Commands();
  readonly #events: DeviceEvent[] = [];
  #options: Readonly<Record<string, string>>;
  #connection: Connection | undefined;
  #isRunning = false;
  #isStopped = false;

  private constructor(client: DeviceClient, options: DeviceOptions) {
    this.#client = client;
    this.#port = options.port;
    this.#credentials = new CredentialStore(options.directory);
    this.#options = options.settings.quorum.device?.options ?? {};
    this.#timers = new Deadlines({
      now: options.port.now,
      fire: (timer) => this.event({ kind: "timedOut", timer }),
    });
  }

  /** Undefined: the settings name no device of model net, or one that cannot work, which is logged. */
  static create(options: DeviceOptions): DeviceHost | undefined {
    const read = deviceSettings(options.settings);
    if (read === undefined) return undefined;
    if (!read.ok) {
      const text = `the quorum device is not used: ${read.reason}`;
      options.port.log({ kind: "log", level: "error", subsystem: "QDEVICE", text });
      return undefined;
    }
    const warning = deviceWarning(read.value.nodes.length, read.value.votes);
    if (warning !== undefined) {
      options.port.log({ kind: "log", level: "warning", subsystem: "QDEVICE", text: warning });
    }
    const client = new DeviceClient({ settings: read.value, random: options.port.random });
    return new DeviceHost(client, options);
  }

  event(event: DeviceEvent): void {
    if (this.#isStopped) return;
    if (event.kind === "reconfigured") this.#options = event.settings.quorum.device?.options ?? {};
    this.#events.push(event);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const out: DeviceAction[] = [];
        this.#client.step(next, this.#port.now(), out);
        for (const action of out) this.#carryOut(action);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  snapshot(): DeviceSnapshot {
    return this.#client.snapshot(this.#port.now());
  }

  /** Unregisters and closes; no event is taken afterwards. */
  stop(): void {
    this.event({ kind: "stopped" });
    this.#isStopped = true;
    this.#timers.stop();
    this.#commands.end();
    this.#connection?.close();
  }

  #carryOut(action: DeviceAction): void {
    switch (action.kind) {
      case "ask":
        return this.#port.ask(action.request);
      case "connect":
        this.#connection?.close();
        this.#connection = new Connection(action, {
          event: (event) => this.event(event),
          credentials: () => this.#credentials.read(this.#options),
          warn: (text) => this.#log("warning", text),
        });
        return;
      case "send":
        return this.#connection?.send(action.bytes);
      case "startTls":
        return this.#connection?.startTls();
      case "close":
        this.#connection?.close();
        this.#connection = undefined;
        return;
      case "runHeuristics": {
        const { run, commands, timeoutMs } = action;
        return this.#commands.start(commands, timeoutMs, (result) =>
          this.event({ kind: "heuristicsDone", run, result }),
        );
      }
      case "endHeuristics":
        return this.#commands.end();
      case "arm":
        return this.#timers.arm(action.timer, action.at);
      case "disarm":
        return this.#timers.disarm(action.timer);
      case "log":
        return this.#port.log(action);
    }
    action satisfies never;
  }

  #log(level: LogAction["level"], text: string): void {
    this.#port.log({ kind: "log", level, subsystem: "QDEVICE", text });
  }
}

export interface DeviceOptions {
  readonly settings: NodeSettings;
  /** Of the original's net certificates. */
  readonly directory: string;
  readonly port: DeviceHostPort;
}
