// The recordings of original qdevice clients (qnetd.md §7) with ours in their place: it hears what the recorded server said and
// what the recorded cluster told its votequorum clients, and must send the recorded bytes in the recorded order.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { present } from "../../src/assert.ts";
import {
  nodeSettings,
  settingsOf,
  TestDevice,
  type TestDeviceOptions,
} from "../double/device-client.ts";
import { decodeMessage, type Message } from "../../src/qnetd/session/message.ts";

interface Line {
  readonly direction: "c2s" | "s2c";
  readonly client: string;
  readonly event?: "tcp_connect" | "tcp_fin" | "tcp_rst";
  readonly hex?: string;
}

function recording(name: string): Line[] {
  const text = readFileSync(`${import.meta.dir}/qnetd-${name}.jsonl`, "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line): Line => JSON.parse(line));
}

function messageOf(line: Line | undefined): Message | undefined {
  if (line?.hex === undefined) return undefined;
  const decoded = decodeMessage(Buffer.from(line.hex, "hex"));
  if (!decoded.ok) throw new Error(decoded.reason);
  return decoded.value;
}

/** votequorum names the nodes of a quorum list in any order (§9.3). */
function comparable(bytes: Uint8Array): unknown {
  const decoded = decodeMessage(bytes);
  const isQuorumList = decoded.ok && decoded.value.nodeListType === "quorum";
  if (!isQuorumList) return Buffer.from(bytes).toString("hex");
  const nodes = (decoded.value.nodes ?? []).toSorted((a, b) => a.nodeId - b.nodeId);
  return { ...decoded.value, nodes };
}

class Replay {
  readonly #options: TestDeviceOptions;
  device: TestDevice | undefined;
  compared = 0;

  constructor(options: TestDeviceOptions) {
    this.#options = options;
  }

  run(lines: readonly Line[], ignored: readonly string[] = []): void {
    lines.forEach((line, at) => {
      if (line.event !== undefined && ignored.includes(`${line.direction} ${line.event}`)) return;
      const rest = lines.slice(at);
      if (line.event !== undefined) this.#event(line, rest);
      else if (line.direction === "s2c")
        this.#running.hearBytes(Buffer.from(line.hex ?? "", "hex"));
      else this.#sent(line, rest);
    });
    expect(this.#running.take()).toEqual([]);
  }

  get #running(): TestDevice {
    return present(this.device, "the client runs");
  }

  #event(line: Line, rest: readonly Line[]): void {
    switch (line.event) {
      case undefined:
        return;
      case "tcp_connect":
        return this.#connect(rest);
      case "tcp_rst":
      case "tcp_fin":
        if (line.direction === "c2s") {
          // Stopped or killed when the server had not closed before.
          if (this.#running.isConnecting) this.device = new TestDevice(settingsOf(this.#options));
        } else if (this.#running.isConnecting) this.#running.closed();
        return;
    }
  }

  #connect(rest: readonly Line[]): void {
    this.device ??= new TestDevice(settingsOf(this.#options));
    const device = this.device;
    const isRefused = rest[1]?.event === "tcp_rst";
    if (!isRefused) this.#tellState(rest);
    for (const timer of ["reconnect", "connect"] as const) {
      if (!device.isConnecting && device.timers.has(timer)) device.fire(timer);
    }
    expect(device.isConnecting).toBe(true);
    if (!isRefused) device.connected();
  }

  /** What the cluster had told the client before it connected. */
  #tellState(rest: readonly Line[]): void {
    const sent = rest.flatMap((line) => (line.direction === "c2s" ? [messageOf(line)] : []));
    const find = (kind: string, type?: string): Message =>
      present(
        sent.find((message) => message?.kind === kind && message.nodeListType === type),
        `a ${kind} ${type ?? ""} follows`,
      );
    const membership = find("nodeList", "membership");
    expect(find("init").ring).toEqual(membership.ring);
    this.#tell(membership);
    this.#tell(find("nodeList", "quorum"));
  }

  #tell(message: Message): void {
    const device = this.#running;
    const nodes = message.nodes ?? [];
    switch (message.nodeListType) {
      case "membership":
        return device.nodeList(
          present(message.ring, "the message has a ring id"),
          nodes.map((node) => node.nodeId),
        );
      case "quorum":
        return device.step({
          kind: "quorumChanged",
          ring: { rep: 0, seq: device.now },
          quorate: message.isQuorate === true,
          voters: nodes.map(({ nodeId, state = "member" }) => ({
            nodeid: nodeId,
            votes: 1,
            expectedVotes: 3,
            state,
            flags: 0,
          })),
        });
      case "changedConfig": {
        const version = present(message.configVersion, "it has a version");
        const options = { ...this.#options, nodes: nodes.length, configVersion: version };
        return device.step({
          kind: "reconfigured",
          settings: nodeSettings({ ...options, votes: 1 }),
        });
      }
      default:
        throw new Error(`nothing makes a client send ${message.kind} ${message.nodeListType}`);
    }
  }

  #sent(line: Line, rest: readonly Line[]): void {
    const device = this.#running;
    const message = present(messageOf(line), "a message");
    if (device.sent.length === 0) this.#cause(message, rest);
    const ours = present(device.sent.shift(), `we send ${message.kind} ${message.seq}`);
    expect(comparable(ours.bytes)).toEqual(comparable(Buffer.from(line.hex ?? "", "hex")));
    this.compared += 1;
  }

  /** Lets happen what made the original send this. */
  #cause(message: Message, rest: readonly Line[]): void {
    const device = this.#running;
    switch (message.kind) {
      case "echoRequest":
        // Between two recordings heartbeats went by.
        for (;;) {
          device.fire("heartbeat");
          const echo = present(device.sent[0], "an echo request").message;
          if ((echo.seq ?? 0) >= (message.seq ?? 0)) return;
          device.sent.length = 0;
          device.hear({ ...echo, kind: "echoReply" });
        }
      case "heuristicsChange":
        device.fire("heuristics");
        return device.heuristics(present(message.heuristics, "a result"));
      case "setOption": {
        const membership = rest.map(messageOf).find((next) => next?.nodeListType === "membership");
        return device.heuristics(present(membership?.heuristics, "a result"));
      }
      default:
        // Another ring every time: votequorum calls back after each synchronisation, whatever came of it.
        device.now += 1;
        this.#tell(message);
        if (message.heuristics !== undefined) device.heuristics(message.heuristics);
    }
  }
}

function replay(
  client: string,
  options: Omit<TestDeviceOptions, "nodeid">,
  names: readonly string[],
  ignored: Readonly<Record<string, readonly string[]>> = {},
): Replay {
  const result = new Replay({ ...options, nodeid: Number(client.slice(1)) });
  for (const name of names) {
    const lines = recording(name).filter((line) => line.client === client);
    if (lines.length > 0) result.run(lines, ignored[name]);
  }
  return result;
}

const pollOf = (run: Replay): unknown => run.device?.lastPoll;

describe("our device client in the place of the original", () => {
  // One recording after the other: sequence numbers go on.
  const life = ["connect", "split", "heal", "killed", "back", "powerloss"].map(
    (n) => `ffsplit2-${n}`,
  );
  const afterwards = ["ffsplit2-qdevice-stop", "ffsplit2-qnetd-restart"];
  // The server closed a connection whose other end had no power: nobody heard it.
  const unheard = { "ffsplit2-powerloss": ["s2c tcp_fin"] };

  test("ffsplit, node 1: connect, split, heal, the other killed and back, power loss, server restart", () => {
    const run = replay("n1", { nodes: 2 }, [...life, ...afterwards], unheard);
    expect(run.compared).toBeGreaterThan(40);
    expect(pollOf(run)).toMatchObject({ ring: { rep: 1, seq: 34 }, castsVote: true });
  });

  test("ffsplit, node 2: loses the split, is killed, comes back, loses power, reconnects", () => {
    const run = replay("n2", { nodes: 2 }, life, unheard);
    expect(run.compared).toBeGreaterThan(25);
    expect(pollOf(run)).toMatchObject({ ring: { rep: 1, seq: 34 }, castsVote: true });
  });

  test("ffsplit: in a split only one of the two polls with a vote", () => {
    const names = ["ffsplit2-connect", "ffsplit2-split"];
    const [winner, loser] = ["n1", "n2"].map((client) => replay(client, { nodes: 2 }, names));
    expect(pollOf(winner!)).toMatchObject({ ring: { rep: 1, seq: 13 }, castsVote: true });
    expect(pollOf(loser!)).toMatchObject({ ring: { rep: 2, seq: 13 }, castsVote: false });
  });

  for (const client of ["n1", "n2", "n3"]) {
    test(`lms, ${client}: connect, split, heal`, () => {
      const options = { nodes: 3, options: { "net.algorithm": "lms" } };
      const run = replay(client, options, ["lms3-connect", "lms3-split", "lms3-heal"]);
      expect(run.compared).toBeGreaterThan(12);
      expect(pollOf(run)).toMatchObject({ ring: { rep: 1, seq: 68 }, castsVote: true });
    });
  }

  for (const client of ["n1", "n2"]) {
    test(`ffsplit with heuristics, ${client}`, () => {
      const options = { "heuristics.mode": "on", "heuristics.exec_a": "/bin/true" };
      const run = replay(client, { nodes: 2, options }, ["ffsplit2-heuristics"]);
      expect(run.compared).toBeGreaterThan(15);
    });

    test(`a node added to and removed from corosync.conf, ${client}`, () => {
      const run = new Replay({ nodeid: Number(client.slice(1)), nodes: 2 });
      const device = new TestDevice(settingsOf({ nodeid: Number(client.slice(1)), nodes: 2 }));
      run.device = device;
      const ring = { rep: 1, seq: 85 };
      device.nodeList(ring, [1, 2]);
      device.quorum(ring, [1, 2], true, 2);
      device.handshake();
      expect(device.take().at(-1)?.seq).toBe(6);
      const lines = recording("ffsplit-config-changed").filter((line) => line.client === client);
      run.run(lines);
      expect(run.compared).toBeGreaterThan(5);
    });
  }

  test("TLS required: preinit and StartTLS as recorded, then nothing in the clear", () => {
    const lines = recording("tls-required-connect").filter((line) => line.client === "n1");
    const plain = lines.filter((line) => line.hex !== undefined).slice(0, 3);
    const device = new TestDevice(
      settingsOf({ nodeid: 1, nodes: 2, options: { "net.tls": "required" } }),
    );
    device.nodeList({ rep: 1, seq: 9 }, [1, 2]);
    device.connected();
    device.hearBytes(Buffer.from(plain[1]?.hex ?? "", "hex"));
    const sent = device.sent.map(({ bytes }) => Buffer.from(bytes).toString("hex"));
    expect(sent.slice(0, 2)).toEqual([plain[0]?.hex ?? "", plain[2]?.hex ?? ""]);
    expect(device.sent.map(({ message }) => message.kind)).toEqual(["preinit", "startTls", "init"]);
    expect(device.hasTls).toBe(true);
  });
});
