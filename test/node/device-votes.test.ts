// Whole clusters without a network: votequorum on an ordered bus, our device clients, and the vote server's core. Splits, heals,
// lost servers and lost nodes, one event at a time; never two quorate halves, and one where the rules promise one.
import { describe, expect, test } from "bun:test";
import { present } from "../../src/assert.ts";
import { DeviceClient } from "../../src/node/device/client.ts";
import type { DeviceAction, DeviceEvent, DeviceTimer } from "../../src/node/device/events.ts";
import { nodeSettings, settingsOf, type TestDeviceOptions } from "../double/device-client.ts";
import type { ServiceAction } from "../../src/node/member/service.ts";
import { OrderedBus } from "../double/service-bus.ts";
import { defaultConfiguration } from "../../src/qnetd/server/configuration.ts";
import type { VoteServerAction, VoteServerTimer } from "../../src/qnetd/session/events.ts";
import { VoteServer } from "../../src/qnetd/session/qnetd-core.ts";

type Options = Omit<TestDeviceOptions, "nodeid">;

class Side {
  readonly nodeid: number;
  readonly client: DeviceClient;
  readonly timers = new Map<DeviceTimer, number>();
  connection: number | undefined;
  /** Actions of the node's services already passed on. */
  seen = 0;

  constructor(options: TestDeviceOptions) {
    this.nodeid = options.nodeid;
    this.client = new DeviceClient({ settings: settingsOf(options), random: { below: () => 700 } });
  }
}

/** N nodes with devices, and a server that can be away. */
class World {
  readonly bus = new OrderedBus();
  readonly sides = new Map<number, Side>();
  readonly #options: Options;
  #server: VoteServer | undefined;
  readonly #serverTimers = new Map<VoteServerTimer, number>();
  readonly #waiting: (() => void)[] = [];
  #isRunning = false;
  #connections = 0;
  readonly #owners = new Map<number, Side>();

  constructor(options: Options) {
    this.#options = options;
    this.startServer();
    for (let nodeid = 1; nodeid <= options.nodes; nodeid += 1) this.startNode(nodeid);
    this.join([...this.sides.keys()]);
  }

  get now(): number {
    return this.bus.now;
  }

  startServer(): void {
    const configuration = { ...defaultConfiguration, tls: "off" as const };
    this.#server = new VoteServer({ configuration, startedAt: this.now });
    this.#serverTimers.clear();
  }

  stopServer(): void {
    this.#server = undefined;
    for (const connection of this.#owners.keys()) this.#lose(connection);
    this.settle();
  }

  startNode(nodeid: number): void {
    const options = { ...this.#options, nodeid };
    this.bus.start(nodeSettings(options));
    this.sides.set(nodeid, new Side(options));
    this.settle();
  }

  /** Power off: the server sees the end of the connection. */
  kill(nodeid: number): void {
    const side = present(this.sides.get(nodeid), "the node runs");
    this.sides.delete(nodeid);
    this.bus.kill(nodeid);
    const { connection } = side;
    if (connection === undefined) return;
    this.#owners.delete(connection);
    this.#serve({ kind: "closed", connection, isPeerAware: true });
  }

  join(...rings: readonly (readonly number[])[]): void {
    this.bus.form(...rings);
    this.settle();
  }

  /** Everything that follows without time passing. */
  settle(): void {
    for (let rounds = 0; rounds < 1000; rounds += 1) {
      this.bus.settle();
      let isQuiet = true;
      for (const side of this.sides.values()) if (this.#pump(side)) isQuiet = false;
      this.#check();
      if (isQuiet) return;
    }
    throw new Error("the world never comes to rest");
  }

  /** Passes what votequorum told its device client. */
  #pump(side: Side): boolean {
    const { actions } = this.bus.node(side.nodeid);
    const fresh = actions.slice(side.seen);
    side.seen = actions.length;
    for (const action of fresh) {
      switch (action.kind) {
        case "nodeListChanged":
          this.step(side, action);
          break;
        case "deviceAnswered":
          this.step(side, { kind: "answered", request: action.request, answer: action.answer });
          break;
        case "quorumChanged": {
          const { ring, quorate, voters } = action.quorum;
          this.step(side, { kind: "quorumChanged", ring, quorate, voters });
          break;
        }
        default:
      }
    }
    return fresh.length > 0;
  }

  /** A core is never re-entered: what comes out of an action waits until all actions of its step are carried out. */
  #inTurn(run: () => void): void {
    this.#waiting.push(run);
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next();
    this.#isRunning = false;
  }

  step(side: Side, event: DeviceEvent): void {
    this.#inTurn(() => this.#step(side, event));
  }

  #step(side: Side, event: DeviceEvent): void {
    if (this.sides.get(side.nodeid) !== side) return;
    const out: DeviceAction[] = [];
    side.client.step(event, this.now, out);
    for (const action of out) this.#carryOut(side, action);
  }

  #carryOut(side: Side, action: DeviceAction): void {
    switch (action.kind) {
      case "ask":
        return this.bus.device(side.nodeid, (node, out: ServiceAction[]) =>
          node.services.deviceAsked(action.request, this.now, out),
        );
      case "connect":
        if (this.#server === undefined) {
          return this.step(side, {
            kind: "closed",
            id: action.id,
            reason: "refused",
            mayRetrySoon: true,
          });
        }
        this.#connections += 1;
        side.connection = this.#connections;
        this.#owners.set(this.#connections, side);
        this.#ids.set(this.#connections, action.id);
        this.#serve({
          kind: "connected",
          connection: this.#connections,
          address: `10.0.0.${side.nodeid}`,
          port: 1,
        });
        return this.step(side, { kind: "connected", id: action.id, hasCertificate: false });
      case "send":
        if (side.connection === undefined) return;
        return this.#serve({ kind: "received", connection: side.connection, bytes: action.bytes });
      case "close": {
        const { connection } = side;
        side.connection = undefined;
        if (connection === undefined || !this.#owners.delete(connection)) return;
        return this.#serve({ kind: "closed", connection, isPeerAware: true });
      }
      case "arm":
        side.timers.set(action.timer, action.at);
        return;
      case "disarm":
        side.timers.delete(action.timer);
        return;
      default:
    }
  }

  readonly #ids = new Map<number, number>();

  #serve(event: Parameters<VoteServer["step"]>[0]): void {
    this.#inTurn(() => this.#stepServer(event));
  }

  #stepServer(event: Parameters<VoteServer["step"]>[0]): void {
    const out: VoteServerAction[] = [];
    this.#server?.step(event, this.now, out);
    for (const action of out) {
      switch (action.kind) {
        case "send": {
          const side = this.#owners.get(action.connection);
          const id = this.#ids.get(action.connection);
          if (side === undefined || id === undefined) break;
          this.step(side, { kind: "received", id, bytes: action.bytes });
          break;
        }
        case "close":
          this.#lose(action.connection);
          break;
        case "arm":
          this.#serverTimers.set(action.timer, action.at);
          break;
        case "disarm":
          this.#serverTimers.delete(action.timer);
          break;
        default:
      }
    }
  }

  #lose(connection: number): void {
    const side = this.#owners.get(connection);
    const id = this.#ids.get(connection);
    this.#owners.delete(connection);
    if (side === undefined || id === undefined) return;
    side.connection = undefined;
    this.step(side, { kind: "closed", id, reason: "the server closed", mayRetrySoon: true });
  }

  /** Lets time pass; everything fires in its order. */
  run(forMs: number): void {
    const end = this.now + forMs;
    for (;;) {
      let next: { at: number; fire: () => void } | undefined;
      const offer = (at: number, fire: () => void): void => {
        if (at <= end && (next === undefined || at < next.at)) next = { at, fire };
      };
      for (const side of this.sides.values()) {
        for (const [timer, at] of side.timers) {
          offer(at, () => {
            side.timers.delete(timer);
            this.step(side, { kind: "timedOut", timer });
          });
        }
        for (const [timer, at] of this.bus.node(side.nodeid).timers) {
          offer(at, () => this.bus.fire(side.nodeid, timer));
        }
      }
      for (const [timer, at] of this.#serverTimers) {
        offer(at, () => {
          this.#serverTimers.delete(timer);
          this.#serve({ kind: "timedOut", timer });
        });
      }
      const found: { at: number; fire: () => void } | undefined = next;
      if (found === undefined) break;
      this.bus.now = Math.max(this.now, found.at);
      found.fire();
      this.settle();
    }
    this.bus.now = end;
  }

  quorate(nodeid: number): boolean {
    return this.bus.node(nodeid).quorum.quorate;
  }

  /** Q3: of two rings at most one is quorate. */
  #check(): void {
    const rings = new Set(
      [...this.sides.keys()]
        .filter((nodeid) => this.quorate(nodeid) && !this.bus.node(nodeid).isSynchronising)
        .map((nodeid) => JSON.stringify(this.bus.node(nodeid).ring)),
    );
    expect(rings.size).toBeLessThan(2);
  }

  quorateNodes(): string {
    return [...this.sides.keys()].map((nodeid) => (this.quorate(nodeid) ? "Q" : "-")).join("");
  }
}

describe("two nodes with ffsplit", () => {
  const options = { nodes: 2 } as const;

  test("both count the device's vote", () => {
    const world = new World(options);
    expect(world.quorateNodes()).toBe("QQ");
    for (const nodeid of [1, 2]) {
      expect(world.bus.node(nodeid).quorum).toMatchObject({
        totalVotes: 3,
        quorum: 2,
        flags: ["Quorate", "Qdevice"],
      });
    }
  });

  test("split and heal: exactly one half keeps quorum, without any time passing", () => {
    const world = new World(options);
    world.join([1], [2]);
    expect(world.quorateNodes()).toBe("Q-");
    world.join([1, 2]);
    expect(world.quorateNodes()).toBe("QQ");
    expect(world.now).toBe(0);
  });

  test("votes are kept alive for as long as the server answers", () => {
    const world = new World(options);
    world.join([1], [2]);
    world.run(120_000);
    expect(world.quorateNodes()).toBe("Q-");
    const { logs } = world.bus.node(1);
    expect(logs.filter((line) => line.includes("lost contact"))).toEqual([]);
  });

  test("the server goes: both go on; a split then leaves no half; its return gives one", () => {
    const world = new World(options);
    world.stopServer();
    expect(world.bus.node(1).quorum).toMatchObject({ quorate: true, totalVotes: 2 });
    world.join([1], [2]);
    expect(world.quorateNodes()).toBe("--");
    world.startServer();
    world.run(20_000);
    expect(world.quorateNodes()).toBe("Q-");
    world.join([1, 2]);
    expect(world.quorateNodes()).toBe("QQ");
  });

  test("the other node dies, comes back alone, and does not take the vote (KAP)", () => {
    const world = new World(options);
    world.kill(1);
    world.join([2]);
    expect(world.quorateNodes()).toBe("Q");
    world.startNode(1);
    world.run(1000);
    expect(world.quorate(2)).toBe(true);
    expect(world.quorate(1)).toBe(false);
    world.join([1, 2]);
    expect([world.quorate(1), world.quorate(2)]).toEqual([true, true]);
  });
});

describe("more nodes", () => {
  test("four with ffsplit: the half with the lowest node, and a majority against one", () => {
    const world = new World({ nodes: 4, votes: 1 });
    world.join([1, 2], [3, 4]);
    expect(world.quorateNodes()).toBe("QQ--");
    world.join([1], [2, 3, 4]);
    expect(world.quorateNodes()).toBe("-QQQ");
  });

  test("three with lms: down to the last man", () => {
    const world = new World({ nodes: 3, options: { "net.algorithm": "lms" } });
    // Who is first to tell the ring of all waits until the server thinks of it again.
    world.run(5000);
    expect(world.quorateNodes()).toBe("QQQ");
    world.join([1], [2, 3]);
    world.run(5000);
    expect(world.quorateNodes()).toBe("-QQ");
    world.kill(2);
    world.join([3]);
    world.run(30_000);
    expect(world.quorate(1) && world.quorate(3)).toBe(false);
  });

  test("a hundred random changes never make two quorate halves", () => {
    let state = 12_345;
    const below = (limit: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((state / 2_147_483_648) * limit);
    };
    const world = new World({ nodes: 4, votes: 1 });
    let halves = 0;
    for (let step = 0; step < 100; step += 1) {
      const left = [1, 2, 3, 4].filter(() => below(2) === 0);
      const right = [1, 2, 3, 4].filter((nodeid) => !left.includes(nodeid));
      if (below(8) === 0) world.stopServer();
      if (below(4) === 0) world.startServer();
      world.join(...[left, right].filter((side) => side.length > 0));
      world.run(below(20_000));
      if (left.length === 2 && world.quorateNodes().includes("Q")) halves += 1;
    }
    expect(halves).toBeGreaterThan(5);
  });
});
