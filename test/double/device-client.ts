// A test helper: a device client with everything around it played by the test. What it sends is decoded; polls are collected.
import type { RingId } from "../../src/world.ts";
import { present } from "../../src/assert.ts";
import { decodeMessage, encodeMessage, type Message } from "../../src/qnetd/session/message.ts";
import { busSettings } from "./service-bus.ts";
import type { NodeSettings } from "../../src/node/settings/settings.ts";
import { DeviceClient } from "../../src/node/device/client.ts";
import { deviceSettings, type DeviceSettings } from "../../src/node/device/device-settings.ts";
import type {
  DeviceAction,
  DeviceEvent,
  DeviceRequest,
  DeviceTimer,
} from "../../src/node/device/events.ts";

export interface TestDeviceOptions {
  readonly nodeid: number;
  readonly nodes: number;
  readonly clusterName?: string;
  readonly configVersion?: number;
  readonly waitForAll?: boolean;
  readonly votes?: number;
  readonly options?: Readonly<Record<string, string>>;
  /** As behind -S of corosync-qdevice. */
  readonly advanced?: string;
  /** Of node 1. */
  readonly dataCenterId?: number;
}

export function nodeSettings(options: TestDeviceOptions): NodeSettings {
  const { nodeid, nodes, configVersion = 1 } = options;
  const device = {
    model: "net",
    votes: options.votes,
    timeoutMs: 10_000,
    syncTimeoutMs: 30_000,
    options: { "net.host": "192.0.2.1", ...options.options },
    ...(options.advanced === undefined ? {} : { advanced: options.advanced }),
  };
  const quorum = { device, waitForAll: options.waitForAll };
  const settings = busSettings({ nodeid, nodes, configVersion, quorum });
  const { dataCenterId } = options;
  const entries = settings.nodes.map((node) =>
    node.nodeid === 1 && dataCenterId !== undefined ? { ...node, dataCenterId } : node,
  );
  return { ...settings, nodes: entries, clusterName: options.clusterName ?? "lab" };
}

export function settingsOf(options: TestDeviceOptions): DeviceSettings {
  const read = present(deviceSettings(nodeSettings(options)), "a device is configured");
  if (!read.ok) throw new Error(read.reason);
  return read.value;
}

type Poll = Extract<DeviceRequest, { readonly kind: "poll" }>;

export class TestDevice {
  now = 0;
  readonly client: DeviceClient;
  readonly timers = new Map<DeviceTimer, number>();
  /** Sent and not yet taken. */
  readonly sent: { readonly message: Message; readonly bytes: Uint8Array }[] = [];
  readonly polls: Poll[] = [];
  readonly asked: string[] = [];
  readonly logs: string[] = [];
  readonly runs: Extract<DeviceAction, { readonly kind: "runHeuristics" }>[] = [];
  /** Of the connection that stands or is being made. */
  connection: number | undefined;
  hasTls = false;
  /** What votequorum answers to everything. */
  answer: "ok" | "otherName" = "ok";

  constructor(settings: DeviceSettings, pauseMs = 1000) {
    this.client = new DeviceClient({
      settings,
      random: { below: (limit) => Math.min(pauseMs, limit - 1) },
    });
  }

  get lastPoll(): Poll | undefined {
    return this.polls.at(-1);
  }
  get isConnecting(): boolean {
    return this.connection !== undefined;
  }

  step(event: DeviceEvent): void {
    const out: DeviceAction[] = [];
    this.client.step(event, this.now, out);
    const answers: DeviceEvent[] = [];
    for (const action of out) this.#carryOut(action, answers);
    for (const each of answers) this.step(each);
  }

  #carryOut(action: DeviceAction, answers: DeviceEvent[]): void {
    switch (action.kind) {
      case "ask":
        this.asked.push(action.request.kind);
        if (action.request.kind === "poll") this.polls.push(action.request);
        answers.push({ kind: "answered", request: action.request.kind, answer: this.answer });
        return;
      case "connect":
        this.connection = action.id;
        return;
      case "close":
        this.connection = undefined;
        return;
      case "send": {
        const decoded = decodeMessage(action.bytes);
        if (!decoded.ok) throw new Error(decoded.reason);
        this.sent.push({ message: decoded.value, bytes: action.bytes });
        return;
      }
      case "startTls":
        this.hasTls = true;
        return;
      case "runHeuristics":
        this.runs.push(action);
        return;
      case "endHeuristics":
        return;
      case "arm":
        this.timers.set(action.timer, action.at);
        return;
      case "disarm":
        this.timers.delete(action.timer);
        return;
      case "log":
        this.logs.push(`${action.level} ${action.text}`);
        return;
    }
    action satisfies never;
  }

  /** The timer must be running; time moves to it. */
  fire(timer: DeviceTimer): void {
    const at = present(this.timers.get(timer), `timer ${timer} runs`);
    this.timers.delete(timer);
    this.now = Math.max(this.now, at);
    this.step({ kind: "timedOut", timer });
  }

  nodeList(ring: RingId, members: readonly number[]): void {
    this.step({ kind: "nodeListChanged", ring, members });
  }

  /** A quorum callback: `nodes` in all, those in `members` alive. */
  quorum(ring: RingId, members: readonly number[], quorate: boolean, nodes: number): void {
    const voters = Array.from({ length: nodes }, (_, at) => ({
      nodeid: at + 1,
      votes: 1,
      expectedVotes: nodes + 1,
      state: members.includes(at + 1) ? ("member" as const) : ("dead" as const),
      flags: 0,
    }));
    this.step({ kind: "quorumChanged", ring, quorate, voters });
  }

  connected(hasCertificate = false): void {
    this.step({ kind: "connected", id: this.#id, hasCertificate });
  }

  hear(message: Message): void {
    this.hearBytes(encodeMessage(message));
  }

  hearBytes(bytes: Uint8Array): void {
    this.step({ kind: "received", id: this.#id, bytes });
  }

  closed(reason = "gone", mayRetrySoon = true): void {
    this.step({ kind: "closed", id: this.#id, reason, mayRetrySoon });
  }

  heuristics(result: "pass" | "fail"): void {
    const { run } = present(this.runs.at(-1), "commands were run");
    this.step({ kind: "heuristicsDone", run, result });
  }

  /** Takes everything sent so far. */
  take(): Message[] {
    return this.sent.splice(0).map(({ message }) => message);
  }

  /** From TCP to the init reply; what the client sent meanwhile is thrown away, its lists are not. */
  handshake(tlsSupport: "unsupported" | "supported" | "required" = "unsupported"): void {
    this.take();
    this.connected();
    const preinit = present(this.take()[0], "a preinit was sent");
    this.hear({
      kind: "preinitReply",
      ...(preinit.seq === undefined ? {} : { seq: preinit.seq }),
      tlsSupport,
      clientCertificateRequired: true,
    });
    const init = present(this.take().at(-1), "an init was sent");
    this.hear(initReply(init.seq ?? 0));
  }

  get #id(): number {
    return present(this.connection, "there is a connection");
  }
}

export function initReply(seq: number, changes: Partial<Message> = {}): Message {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
  return {
    kind: "initReply",
    seq,
    errorCode: 0,
    supportedMessages: upTo(18),
    supportedOptions: upTo(24),
    requestBytesMax: 32_768,
    replyBytesMax: 32_768,
    supportedAlgorithms: upTo(4),
    ...changes,
  };
}

/** Up to the four requests that follow the init reply. */
export function servedDevice(options: TestDeviceOptions, pauseMs?: number): TestDevice {
  const device = new TestDevice(settingsOf(options), pauseMs);
  const ring = { rep: 1, seq: 9 };
  const members = Array.from({ length: options.nodes }, (_, at) => at + 1);
  device.nodeList(ring, members);
  device.quorum(ring, members, true, options.nodes);
  device.handshake();
  return device;
}
