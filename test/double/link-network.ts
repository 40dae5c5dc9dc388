// For tests only: several link cores on one virtual clock, joined by a network that loses, repeats, delays and has an MTU.
// Deterministic: the same seed gives the same run. It never touches a real socket or clock.
import type { LinkSettings, NodeEntry } from "../../src/node/settings/settings.ts";
import type { LinksAction, LinksEvent, LinksTimer, Target } from "../../src/node/link/events.ts";
import type { EndedPeer } from "../../src/world.ts";
import { Links, type LinksOptions } from "../../src/node/link/links.ts";
import { sealedBytes } from "../../src/node/link/pmtud.ts";

export type Setup = Partial<Omit<LinksOptions, "nodeid" | "nodes" | "links">> & {
  readonly nodes?: number;
  readonly links?: number;
  readonly priorities?: readonly number[];
  readonly seed?: number;
};

/** What happens to a datagram between two nodes; changed freely during a test. */
export interface Path {
  isCut: boolean;
  /** The port over there is closed: the sender's kernel learns it. */
  isClosed: boolean;
  loss: number;
  duplicates: number;
  delayMs: number;
  jitterMs: number;
  /** Our own interface: larger packets are refused by the kernel. */
  interfaceMtu: number;
  /** A router on the way: larger packets vanish. */
  routeMtu: number;
}

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const IP_AND_UDP_BYTES = 28;

export function addressOf(nodeid: number, link: number): string {
  return `10.9.${link}.${nodeid}`;
}

export function linkSettings(number: number, priority = 1): LinkSettings {
  return {
    number,
    port: 5405 + number,
    pingIntervalMs: 750,
    pingTimeoutMs: 1500,
    pingPrecision: 2048,
    pongCount: 2,
    priority,
  };
}

export function nodeEntries(nodes: number, links: number): NodeEntry[] {
  return Array.from({ length: nodes }, (_, i) => ({
    nodeid: i + 1,
    name: `n${i + 1}`,
    votes: 1,
    addresses: Array.from({ length: links }, (_unused, link) => addressOf(i + 1, link)),
  }));
}

/** A totem message of `size` bytes: `target` 0 is everybody; the rest is filled with a pattern of `tag`. */
export function totemMessage(size: number, target: number, tag: number): Uint8Array {
  const message = new Uint8Array(Math.max(size, 13));
  for (let i = 13; i < size; i += 1) message[i] = (i * 31 + tag * 7) & 255;
  message.set([0x70, 0xc0, 3, 1, 0, 9, 0, 0, 0]);
  new DataView(message.buffer).setUint32(9, target, true);
  return message.slice(0, size);
}

export class Testbed {
  now = 5_000_000;
  readonly nodes = new Map<number, TestNode>();
  readonly #setup: Setup;
  readonly #paths = new Map<string, Path>();
  readonly #schedule: Scheduled[] = [];
  #order = 0;
  #random: number;

  constructor(setup: Setup = {}) {
    this.#setup = setup;
    this.#random = setup.seed ?? 1;
    for (let nodeid = 1; nodeid <= (setup.nodes ?? 2); nodeid += 1) this.boot(nodeid);
  }

  /** Starts a node, or restarts it with an empty memory. */
  boot(nodeid: number): TestNode {
    this.nodes.get(nodeid)?.stop();
    const links = new Links(this.options(nodeid));
    const node = new TestNode(this, nodeid, links);
    this.nodes.set(nodeid, node);
    node.step({ kind: "started" });
    return node;
  }

  options(nodeid: number): LinksOptions {
    const setup = this.#setup;
    const links = setup.links ?? 1;
    return {
      nodeid,
      nodes: nodeEntries(setup.nodes ?? 2, links),
      links: Array.from({ length: links }, (_, i) => linkSettings(i, setup.priorities?.[i])),
      linkMode: setup.linkMode ?? "passive",
      crypto: setup.crypto ?? { cipher: false, hashBytes: 0 },
      pmtudIntervalMs: setup.pmtudIntervalMs ?? 30_000,
      knetMtu: setup.knetMtu ?? 0,
      blockUnlistedIps: setup.blockUnlistedIps ?? true,
      compression: setup.compression ?? { model: "none", threshold: 0, level: 0 },
      inflate: setup.inflate ?? (() => "not here"),
    };
  }

  node(nodeid: number): TestNode {
    const node = this.nodes.get(nodeid);
    if (node === undefined) throw new Error(`no node ${nodeid} in this test`);
    return node;
  }

  /** The way from one node to another over one link. */
  path(from: number, to: number, link = 0): Path {
    const key = `${from} ${to} ${link}`;
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    const path = {
      isCut: false,
      isClosed: false,
      loss: 0,
      duplicates: 0,
      delayMs: 0.3,
      jitterMs: 0,
      interfaceMtu: 1500,
      routeMtu: 65_535,
    };
    this.#paths.set(key, path);
    return path;
  }

  /** Changes every way between all nodes. */
  everyPath(change: Partial<Path>): void {
    for (const from of this.nodes.keys()) {
      for (const to of this.nodes.keys()) {
        for (let link = 0; link < (this.#setup.links ?? 1); link += 1) {
          Object.assign(this.path(from, to, link), change);
        }
      }
    }
  }

  /** 0 … 1, seeded. */
  random(): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#random / 0x1_0000_0000;
  }

  after(delayMs: number, run: () => void): void {
    this.#order += 1;
    this.#schedule.push({ at: this.now + delayMs, order: this.#order, run });
  }

  /** Lets `durationMs` of virtual time pass. */
  run(durationMs: number): void {
    const end = this.now + durationMs;
    for (;;) {
      let next: Scheduled | undefined;
      for (const item of this.#schedule) {
        if (next === undefined || item.at < next.at) next = item;
        else if (item.at === next.at && item.order < next.order) next = item;
      }
      if (next === undefined || next.at > end) break;
      this.#schedule.splice(this.#schedule.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = end;
  }

  /** Runs until `condition`; false when `limitMs` passed without it. */
  runUntil(condition: () => boolean, limitMs: number): boolean {
    for (let passed = 0; passed < limitMs; passed += 20) {
      if (condition()) return true;
      this.run(20);
    }
    return condition();
  }

  /** `isRefused`: told when the port over there is closed, in place of the event. */
  carry(
    from: TestNode,
    to: number,
    link: number,
    packet: Uint8Array,
    isRefused?: () => void,
  ): void {
    const path = this.path(from.nodeid, to, link);
    const bytes = sealedBytes(packet.length, this.options(from.nodeid).crypto);
    const refuse = (why: "tooLarge" | "unreachable", size: number | undefined) => {
      const event = { kind: "refused", nodeid: to, link, why } as const;
      from.queue(size === undefined ? event : { ...event, bytes: size });
    };
    if (bytes + IP_AND_UDP_BYTES > path.interfaceMtu) return refuse("tooLarge", bytes);
    from.carried.push({ nodeid: to, link, packet });
    if (path.isCut || bytes + IP_AND_UDP_BYTES > path.routeMtu) return;
    if (path.isClosed) {
      return this.after(path.delayMs, isRefused ?? (() => refuse("unreachable", undefined)));
    }
    if (this.random() < path.loss) return;
    const copies = this.random() < path.duplicates ? 2 : 1;
    for (let i = 0; i < copies; i += 1) {
      const delayMs = path.delayMs + this.random() * path.jitterMs;
      this.after(delayMs, () => {
        const address = addressOf(from.nodeid, link);
        this.nodes.get(to)?.queue({ kind: "received", link, address, packet });
      });
    }
  }
}

export class TestNode {
  readonly nodeid: number;
  readonly links: Links;
  readonly messages: Uint8Array[] = [];
  readonly log: string[] = [];
  /** What each step made of links and hosts. */
  readonly changes: string[] = [];
  #up = new Set<string>();
  #reachable = new Set<string>();
  carried: { readonly nodeid: number; readonly link: number; readonly packet: Uint8Array }[] = [];
  readonly #bed: Testbed;
  readonly #events: LinksEvent[] = [];
  #isStepping = false;
  #isStopped = false;
  #armed = 0;
  readonly #generations = new Map<LinksTimer, number>();
  /** Of probes, since they were looked at last. */
  readonly refusals: Target[] = [];
  ended: readonly EndedPeer[] = [];

  constructor(bed: Testbed, nodeid: number, links: Links) {
    this.#bed = bed;
    this.nodeid = nodeid;
    this.links = links;
  }

  stop(): void {
    this.#isStopped = true;
  }

  send(nodeid: number, message: Uint8Array): void {
    this.queue({ kind: "sent", nodeid, message });
  }

  queue(event: LinksEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      this.step(next);
    }
    this.#isStepping = false;
  }

  step(event: LinksEvent): void {
    if (this.#isStopped) return;
    const out: LinksAction[] = [];
    this.links.step(event, this.#bed.now, out);
    this.#noteChanges();
    for (const action of out) this.act(action);
  }

  #noteChanges(): void {
    const connected = this.links.snapshot(this.#bed.now).filter((link) => link.connected);
    const up = new Set(connected.map(({ nodeid, link }) => `${nodeid}.${link}`));
    const reachable = new Set(this.links.reachable().map(String));
    this.#note("link", this.#up, up, ["up", "down"]);
    this.#note("host", this.#reachable, reachable, ["reachable", "gone"]);
    this.#up = up;
    this.#reachable = reachable;
  }

  #note(what: string, before: Set<string>, now: Set<string>, words: readonly [string, string]) {
    for (const name of now.difference(before)) this.changes.push(`${what} ${name} ${words[0]}`);
    for (const name of before.difference(now)) this.changes.push(`${what} ${name} ${words[1]}`);
  }

  act(action: LinksAction): void {
    switch (action.kind) {
      case "transmit":
        return this.#bed.carry(this, action.nodeid, action.link, action.packet);
      case "received":
        this.messages.push(action.message);
        return;
      case "arm": {
        const { timer } = action;
        this.#armed += 1;
        const generation = this.#armed;
        this.#generations.set(timer, generation);
        return this.#bed.after(action.at - this.#bed.now, () => {
          if (generation !== this.#generations.get(timer)) return;
          if (timer === "tick") this.queue({ kind: "timedOut", timer });
          else this.queue({ kind: "probed", refusals: this.refusals.splice(0) });
        });
      }
      case "disarm":
        this.#generations.delete(action.timer);
        return;
      case "probe": {
        const { nodeid, link } = action;
        return this.#bed.carry(this, nodeid, link, action.packet, () => {
          this.refusals.push({ nodeid, link });
        });
      }
      case "ended":
        this.ended = action.peers;
        return;
      case "log":
        this.log.push(`${action.level}: ${action.text}`);
        return;
    }
    action satisfies never;
  }
}
