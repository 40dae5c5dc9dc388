// The host of the device client inside the ring thread: its timers, its connection, its commands, and the way to votequorum.
// Nothing in here decides anything. Events are taken one after the other, never within each other.
import type { Clock, LogAction, Random } from "../../world.ts";
import { Deadlines } from "../../deadlines.ts";
import { Turns } from "../../turns.ts";
import type { NodeSettings } from "../settings/settings.ts";
import { deviceWarning } from "./advice.ts";
import { DeviceClient } from "./client.ts";
import { defaultAdvanced } from "./advanced.ts";
import { type CommandLimits, Commands } from "./commands.ts";
import { Connection, type ConnectionPort, type ConnectOrder } from "./connection.ts";
import { CredentialStore } from "./credentials.ts";
import { deviceSettings } from "./device-settings.ts";
import type {
  DeviceAction,
  DeviceEvent,
  DeviceRequest,
  DeviceSnapshot,
  DeviceTimer,
} from "./events.ts";

/** The connection to the vote server, as the client orders it (connection.ts). */
export type DeviceConnection = Pick<Connection, "send" | "startTls" | "close">;

/** The operator's heuristics (commands.ts). */
export type DeviceCommands = Pick<Commands, "start" | "end" | "limits">;

/** What the machine does for the client; the simulator has its own. */
export interface DeviceMachine {
  readonly connect: (order: ConnectOrder, port: ConnectionPort) => DeviceConnection;
  readonly commands: (limits: CommandLimits) => DeviceCommands;
}

export const realMachine: DeviceMachine = {
  connect: (order, port) => new Connection(order, port),
  commands: (limits) => new Commands(limits),
};

export interface DeviceHostPort {
  readonly clock: Clock;
  readonly random: Random;
  readonly machine: DeviceMachine;
  /** To votequorum; the answer comes as an `answered` event. */
  readonly ask: (request: DeviceRequest) => void;
  readonly log: (line: LogAction) => void;
}

export class DeviceHost {
  readonly #client: DeviceClient;
  readonly #port: DeviceHostPort;
  readonly #credentials: CredentialStore;
  readonly #timers: Deadlines<DeviceTimer>;
  readonly #commands: DeviceCommands;
  readonly #turns: Turns<DeviceEvent>;
  readonly #actions: DeviceAction[] = [];
  #options: Readonly<Record<string, string>>;
  /** Those in force that were logged. */
  #remarks: readonly string[] = [];
  #connection: DeviceConnection | undefined;
  #isStopped = false;

  private constructor(client: DeviceClient, options: DeviceOptions) {
    this.#client = client;
    this.#port = options.port;
    this.#commands = options.port.machine.commands(commandLimits(options.settings));
    this.#turns = new Turns({ take: (event) => this.#take(event) });
    this.#credentials = new CredentialStore(options.directory);
    this.#options = options.settings.quorum.device?.options ?? {};
    this.#timers = new Deadlines({
      clock: options.port.clock,
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
    const client = new DeviceClient({ settings: read.value, random: options.port.random });
    const host = new DeviceHost(client, options);
    host.#remark(options.settings);
    return host;
  }

  /** The settings name a device of model net, whether it can work or not. */
  static isWanted(settings: NodeSettings): boolean {
    return deviceSettings(settings) !== undefined;
  }

  event(event: DeviceEvent): void {
    if (this.#isStopped) return;
    if (event.kind === "reconfigured") {
      this.#options = event.settings.quorum.device?.options ?? {};
      this.#commands.limits = commandLimits(event.settings);
      this.#remark(event.settings);
    }
    this.#turns.add(event);
  }

  #take(event: DeviceEvent): void {
    const out = this.#actions;
    this.#client.step(event, this.#port.clock.now(), out);
    for (const action of out.splice(0)) this.#carryOut(action);
  }

  snapshot(): DeviceSnapshot {
    return this.#client.snapshot(this.#port.clock.now());
  }

  /** Unregisters and closes; no event is taken afterwards. */
  stop(): void {
    this.event({ kind: "stopped" });
    this.#isStopped = true;
    this.#timers.stop();
    this.#commands.end();
    this.#connection?.close();
  }

  /** What is wrong with the settings, as far as it is new. */
  #remark(settings: NodeSettings): void {
    const read = deviceSettings(settings);
    if (read?.ok !== true) return;
    const warning = deviceWarning(read.value.nodes.length, read.value.votes);
    const remarks = warning === undefined ? read.value.remarks : [warning, ...read.value.remarks];
    for (const text of remarks) if (!this.#remarks.includes(text)) this.#log("warning", text);
    this.#remarks = remarks;
  }

  #carryOut(action: DeviceAction): void {
    switch (action.kind) {
      case "ask":
        return this.#port.ask(action.request);
      case "connect":
        this.#connection?.close();
        this.#connection = this.#port.machine.connect(action, {
          event: (event) => this.event(event),
          credentials: () => this.#credentials.read(this.#options),
          hasCredentials: () => this.#credentials.areThere(this.#options),
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

function commandLimits(settings: NodeSettings): CommandLimits {
  const read = deviceSettings(settings);
  const { advanced } = read?.ok === true ? read.value : { advanced: defaultAdvanced };
  return {
    killAfterMs: advanced.heuristicsKillListInterval,
    processesMax: advanced.heuristicsMaxProcesses,
  };
}

export interface DeviceOptions {
  readonly settings: NodeSettings;
  /** Of the original's net certificates. */
  readonly directory: string;
  readonly port: DeviceHostPort;
}
