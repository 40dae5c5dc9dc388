// The machine of one simulated process, as the production hosts ask for it: disk, sockets, vote server connections and the way between
// its two threads. What was not flushed is gone with the process; nothing of a dead process acts any more.
import type { ClientMachine } from "../../src/node/thread/client.ts";
import type { DeviceMachine } from "../../src/node/device/device-host.ts";
import type { RingMachine, RingSockets } from "../../src/node/thread/ring-thread.ts";
import { RingThread } from "../../src/node/thread/ring-thread.ts";
import type { Target } from "../../src/node/link/events.ts";
import type { RingAction } from "../../src/node/ring/events.ts";
import type { JournalChange } from "../../src/fs/disk/batch.ts";
import { type Lineage, unknownLineage } from "../../src/fs/epoch/lineage.ts";
import type { TreeEntry } from "../../src/fs/tree/entry.ts";
import { decoded, type Decoded } from "../../src/bytes.ts";
import type { KeyOnDisk } from "../../src/node/settings/settings.ts";
import type { Agenda } from "./agenda.ts";
import type { SimClock } from "./clock.ts";
import type { Network } from "./network.ts";
import type { SeededRandom } from "./random.ts";
import { addressOf } from "./settings.ts";
import type { Stream, Streams } from "./streams.ts";

/** What a node's device client finds around it; outlives the node's processes. */
export interface DeviceSurroundings {
  readonly host: string;
  readonly streams: Streams;
  /** The result of the operator's heuristics commands now, and how long they take. */
  readonly heuristics: () => { readonly result: "pass" | "fail"; readonly tookMs: number };
}

/** What survives a crash: rows that were flushed (row 0 has the name ""), what they descend from, and what the ring stored. */
export class Disk {
  readonly rows = new Map<number, TreeEntry>();
  lineage: Lineage = unknownLineage();
  /** No flush is done before this moment of the world. */
  stalledUntil = 0;
  ringSeq = 0;
  tracking = 0;

  constructor() {
    const root = { inode: 0, parent: 0, version: 1, writer: 0, mtime: 1, type: 4, name: "" };
    this.rows.set(0, { ...root, type: 4, data: new Uint8Array(0) });
  }

  apply({ stored, deleted, replaceAll, lineage }: JournalChange): void {
    this.lineage = lineage ?? this.lineage;
    if (replaceAll === true) this.rows.clear();
    for (const inode of deleted) this.rows.delete(inode);
    for (const entry of stored) {
      this.rows.set(entry.inode, entry.inode === 0 ? { ...entry, name: "", type: 4 } : entry);
    }
  }
}

/** Addresses of the simulated machines, and the largest IP packet that their interfaces take, bytes. */
export interface Interfaces {
  readonly addressOf: (nodeid: number, link: number) => string;
  readonly mtu: number;
}

/** IPv4 and UDP. */
const packetHeaderBytes = 28;
const plainInterfaces: Interfaces = { addressOf, mtu: Number.POSITIVE_INFINITY };

export interface ProcessOptions {
  readonly nodeid: number;
  readonly agenda: Agenda;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly network: Network;
  readonly disk: Disk;
  /** What corosync.conf and the key file say now. */
  readonly keyOnDisk: () => KeyOnDisk | undefined;
  readonly device: DeviceSurroundings | undefined;
  /** Its addresses and its interfaces; default: one of any size. */
  readonly interfaces?: Interfaces | undefined;
  readonly observe: (action: RingAction) => void;
  /** The ring sequence is stored; what was stored before it. */
  readonly persisted: (before: number, after: number) => void;
  /** Datagrams leave; the ring sequence that the ring last asked to store, and the one that is stored. */
  readonly sending: (asked: number, stored: number) => void;
  /** votequorum's view has changed in the ring thread. */
  readonly quorumChanged: () => void;
}

export class SimProcess {
  readonly thread: RingThread;
  readonly client: ClientMachine;
  readonly #options: ProcessOptions;
  readonly #up: Pipe;
  readonly #down: Pipe;
  /** The process has been started and not ended. */
  #isRunning = true;
  #hinted: ((link: number) => void) | undefined;
  #refused: ((target: Target) => void) | undefined;
  #received: ((datagram: Uint8Array, source: number, link: number) => void) | undefined;
  #askedRingSeq = 0;
  readonly #streams = new Set<Stream>();
  /** Flushes under way. */
  #flushing = 0;
  #toMain: Parameters<ClientMachine["open"]>[0] | undefined;

  constructor(options: ProcessOptions) {
    this.#options = options;
    const { agenda, random, clock } = options;
    const whenOpen = (act: () => void): void => {
      clock.whenAwake(() => {
        if (this.#isRunning) act();
      });
    };
    this.#up = new Pipe(agenda, random, whenOpen);
    this.#down = new Pipe(agenda, random, whenOpen);
    this.thread = new RingThread(this.#ringMachine(), (message) => {
      if (message.kind === "quorum") options.quorumChanged();
      this.#up.pass(() => this.#toMain?.received(message));
    });
    this.client = {
      clock,
      wallS: () => 1_700_000_000 + Math.floor(clock.now() / 1000),
      soon: (act) => this.#later(0, act),
      open: (port) => {
        this.#toMain = port;
        this.#up.pass(() => port.received({ kind: "loaded" }));
        return {
          post: (message) => this.#down.pass(() => this.thread.received(message)),
          close: () => undefined,
        };
      },
    };
  }

  /** A datagram of node `source`. */
  receive(source: number, datagram: Uint8Array, link = 0): void {
    this.#options.clock.whenAwake(() => {
      if (this.#isRunning) this.#received?.(datagram, source, link);
    });
  }

  /** The kernel reports that somebody's port is closed. */
  hint(link: number): void {
    this.#options.clock.whenAwake(() => {
      if (this.#isRunning) this.#hinted?.(link);
    });
  }

  /** The machine of a node has refused a probe, or somebody has made it look so. */
  refuse(nodeid: number, link: number): void {
    if (this.#isRunning) this.#refused?.({ nodeid, link });
  }

  get isFlushing(): boolean {
    return this.#flushing > 0;
  }

  /** One flush of the journal: it takes a while, and is lost when the process dies before. */
  commit(changes: readonly JournalChange[]): Promise<Decoded<undefined>> {
    const { promise, resolve } = Promise.withResolvers<Decoded<undefined>>();
    const { disk, agenda, random } = this.#options;
    this.#flushing += 1;
    const flush = (): void => {
      if (agenda.now < disk.stalledUntil) return this.#later(disk.stalledUntil - agenda.now, flush);
      this.#flushing -= 1;
      for (const change of changes) disk.apply(change);
      resolve(decoded(undefined));
    };
    this.#later(random.between(0.2, 12), flush);
    return promise;
  }

  /** It gets no processor for so long. */
  pause(durationMs: number): void {
    this.#options.clock.pause(durationMs);
  }

  /** The process dies: its system closes what it had open, if it has power. */
  end(): void {
    this.#isRunning = false;
    this.#options.clock.stop();
    for (const stream of this.#streams) this.#options.device?.streams.closeClient(stream);
    this.#streams.clear();
  }

  #later(delayMs: number, act: () => void): void {
    this.#options.agenda.after(delayMs, () => {
      if (this.#isRunning) act();
    });
  }

  #ringMachine(): RingMachine {
    const { clock, random, disk, network, nodeid, keyOnDisk, observe, sending } = this.#options;
    return {
      clock,
      random,
      observe: (action) => {
        if (action.kind === "persistRing") this.#askedRingSeq = action.ringSeq;
        observe(action);
      },
      device: this.#deviceMachine(),
      storage: () => ({
        ringSeq: () => ({ value: disk.ringSeq, damage: "" }),
        storeRingSeq: (seq) => {
          this.#options.persisted(disk.ringSeq, seq);
          disk.ringSeq = seq;
        },
        tracking: () => disk.tracking,
        storeTracking: (votes) => void (disk.tracking = votes),
      }),
      keyOnDisk,
      openSockets: async ({ received, refused, nodes }) => {
        const { addressOf: from, mtu } = this.#options.interfaces ?? plainInterfaces;
        this.#received = (datagram, source, link) => received(link, from(source, link), datagram);
        const refusals: Target[] = [];
        this.#hinted = (link) => {
          for (const { nodeid: peer } of nodes) {
            if (peer !== nodeid) {
              refused({ kind: "refused", nodeid: peer, link, why: "unreachable" });
            }
          }
        };
        this.#refused = (target) => void refusals.push(target);
        const sockets: RingSockets = {
          sendMany: (batch) => {
            sending(this.#askedRingSeq, disk.ringSeq);
            for (const { nodeid: target, link, datagram } of batch) {
              const bytes = datagram.length;
              if (bytes + packetHeaderBytes <= mtu) {
                network.send(nodeid, target, datagram, link, () => this.hint(link));
              } else refused({ kind: "refused", nodeid: target, link, why: "tooLarge", bytes });
            }
          },
          probe: ({ nodeid: target, link, datagram }) => {
            network.send(nodeid, target, datagram, link, () => this.refuse(target, link));
          },
          refusals: () => refusals.splice(0),
          reconfigure: async () => undefined,
          close: () => {
            this.#received = undefined;
            this.#hinted = undefined;
            this.#refused = undefined;
          },
        };
        return { ok: true, sockets };
      },
      schedule: () => undefined,
      soon: (act) => this.#later(0, act),
      awaitPost: (waitMs, act) => void clock.after(waitMs, act),
    };
  }

  #deviceMachine(): DeviceMachine {
    const { device } = this.#options;
    return {
      connect: ({ id }, port) => {
        if (device === undefined) throw new Error("this node has no quorum device");
        const { streams, host } = device;
        const event: typeof port.event = (happened) => {
          if (this.#isRunning) port.event(happened);
        };
        const stream = streams.connect(host, {
          connected: () => event({ kind: "connected", id, hasCertificate: false }),
          received: (bytes) => event({ kind: "received", id, bytes }),
          closed: (reason) => event({ kind: "closed", id, reason, mayRetrySoon: true }),
        });
        this.#streams.add(stream);
        return {
          send: (bytes) => streams.send(stream, "up", bytes),
          startTls: () => {
            throw new Error("TLS is off in the simulator");
          },
          close: () => {
            this.#streams.delete(stream);
            streams.closeClient(stream);
          },
        };
      },
      commands: (limits) => {
        let run = 0;
        return {
          limits,
          start: (_commands, timeoutMs, done) => {
            run += 1;
            const mine = run;
            if (device === undefined) return;
            const { result, tookMs } = device.heuristics();
            this.#later(Math.min(tookMs, timeoutMs), () => {
              if (run === mine) done(tookMs > timeoutMs ? "fail" : result);
            });
          },
          end: () => void (run += 1),
        };
      },
    };
  }
}

/** One direction between the two threads of a process: late, never out of order. */
class Pipe {
  readonly #agenda: Agenda;
  readonly #random: SeededRandom;
  readonly #whenOpen: (act: () => void) => void;
  #latest = 0;

  constructor(agenda: Agenda, random: SeededRandom, whenOpen: (act: () => void) => void) {
    this.#agenda = agenda;
    this.#random = random;
    this.#whenOpen = whenOpen;
  }

  pass(act: () => void): void {
    const at = this.#agenda.now + 0.02 + this.#random.exponential(0.05);
    this.#latest = Math.max(at, this.#latest);
    this.#agenda.after(this.#latest - this.#agenda.now, () => this.#whenOpen(act));
  }
}
