// The host of a simulated node's quorum device client: the production core with a simulated clock, streams and heuristics. It does
// what src/node/device/device-host.ts does on a server.
import { DeviceClient } from "../../src/node/device/client.ts";
import { deviceSettings } from "../../src/node/device/device-settings.ts";
import type {
  DeviceAction,
  DeviceEvent,
  DeviceRequest,
  DeviceSnapshot,
  DeviceTimer,
} from "../../src/node/device/events.ts";
import type { NodeSettings } from "../../src/node/settings.ts";
import type { Agenda } from "./agenda.ts";
import type { SeededRandom } from "./random.ts";
import type { Stream, Streams } from "./streams.ts";
import { SimTimers } from "./timers.ts";

/** What a node's device client finds around it; outlives the node's processes. */
export interface DeviceSurroundings {
  readonly host: string;
  readonly streams: Streams;
  /** The verdict of the operator's commands now, and how long they take. */
  readonly heuristics: () => { readonly result: "pass" | "fail"; readonly tookMs: number };
}

export interface SimDeviceOptions extends DeviceSurroundings {
  readonly settings: NodeSettings;
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly now: () => number;
  readonly delayUntil: (at: number) => number;
  readonly ask: (request: DeviceRequest) => void;
  readonly trace: (text: string) => void;
}

export class SimDevice {
  readonly #options: SimDeviceOptions;
  readonly #client: DeviceClient;
  readonly #timers: SimTimers<DeviceTimer>;
  readonly #events: DeviceEvent[] = [];
  #stream: Stream | undefined;
  #run = 0;
  #isRunning = false;
  #isStopped = false;

  constructor(options: SimDeviceOptions) {
    this.#options = options;
    const read = deviceSettings(options.settings);
    if (read?.ok !== true) throw new Error(read?.reason ?? "no device is configured");
    this.#client = new DeviceClient({ settings: read.value, random: options.random });
    this.#timers = new SimTimers({
      agenda: options.agenda,
      delayUntil: options.delayUntil,
      fire: (timer) => this.event({ kind: "timedOut", timer }),
    });
  }

  event(event: DeviceEvent): void {
    if (this.#isStopped) return;
    this.#events.push(event);
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const out: DeviceAction[] = [];
      this.#client.step(next, this.#options.now(), out);
      for (const action of out) this.#carryOut(action);
    }
    this.#isRunning = false;
  }

  snapshot(): DeviceSnapshot {
    return this.#client.snapshot(this.#options.now());
  }

  /** Unregisters and closes. */
  stop(): void {
    this.event({ kind: "stopped" });
    this.#end();
  }

  /** The process dies: its system closes what it had open, if it has power. */
  die(): void {
    const stream = this.#stream;
    this.#end();
    if (stream !== undefined) this.#options.streams.closeClient(stream);
  }

  #end(): void {
    this.#isStopped = true;
    this.#timers.stop();
    this.#run += 1;
  }

  #carryOut(action: DeviceAction): void {
    const { streams } = this.#options;
    switch (action.kind) {
      case "ask":
        return this.#options.ask(action.request);
      case "connect":
        return this.#connect(action.id);
      case "send":
        if (this.#stream !== undefined) streams.send(this.#stream, "up", action.bytes);
        return;
      case "close":
        if (this.#stream !== undefined) streams.closeClient(this.#stream);
        this.#stream = undefined;
        return;
      case "runHeuristics":
        return this.#runHeuristics(action.run, action.timeoutMs);
      case "endHeuristics":
        this.#run += 1;
        return;
      case "arm":
        return this.#timers.arm(action.timer, action.at);
      case "disarm":
        return this.#timers.disarm(action.timer);
      case "log":
        return this.#options.trace(`[${action.subsystem}] ${action.text}`);
      case "startTls":
        throw new Error("TLS is off in the simulator");
      default:
        action satisfies never;
    }
  }

  #connect(id: number): void {
    const { streams, host } = this.#options;
    if (this.#stream !== undefined) streams.closeClient(this.#stream);
    this.#stream = streams.connect(host, {
      connected: () => this.event({ kind: "connected", id }),
      received: (bytes) => this.event({ kind: "received", id, bytes }),
      closed: (reason) => this.event({ kind: "closed", id, reason, mayRetrySoon: true }),
    });
  }

  #runHeuristics(run: number, timeoutMs: number): void {
    this.#run += 1;
    const mine = this.#run;
    const { result, tookMs } = this.#options.heuristics();
    this.#options.agenda.after(Math.min(tookMs, timeoutMs), () => {
      if (this.#run !== mine) return;
      const verdict = tookMs > timeoutMs ? "fail" : result;
      this.event({ kind: "heuristicsDone", run, result: verdict });
    });
  }
}
