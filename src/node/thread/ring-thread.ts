// The ring thread without its Worker: sockets, the ring host, and the bridge to the main thread. Messages to the main thread are
// collected over one turn of the event loop; packets are never kept waiting for them. thread.ts gives it the real machine, the simulator
// its own.
import { errnoName } from "../../libc.ts";
import type { Clock, Level, LogAction, PortEvent, Random } from "../../world.ts";
import { packEvents, unpackRequests } from "./batch.ts";
import { type FromRing, requestBytes, type RingQuestion, type ToRing } from "./bridge.ts";
import type { DeviceMachine } from "../device/device-host.ts";
import type { MemberEnd } from "../member/events.ts";
import type { LinkSockets, LinkSocketsOptions } from "./socket.ts";
import type { RingAction } from "../ring/events.ts";
import { SharedReceipts } from "./receipts.ts";
import type { RingStorage } from "./ring-file.ts";
import { RingHost, type StartOrder } from "./ring-host.ts";
import type { RingHostPort } from "./ring-host-port.ts";
import type { KeyOnDisk, NodeSettings } from "../settings/settings.ts";

export type RingSockets = Pick<
  LinkSockets,
  "sendMany" | "probe" | "refusals" | "reconfigure" | "close"
>;

/** What the ring thread finds around it. */
export interface RingMachine {
  readonly clock: Clock;
  readonly random: Random;
  readonly device: DeviceMachine;
  readonly storage: (order: StartOrder) => RingStorage;
  /** As RingHostPort.keyOnDisk. */
  readonly keyOnDisk: (order: StartOrder) => KeyOnDisk | undefined;
  /** As openLinkSockets (link/socket.ts). */
  readonly openSockets: (
    options: LinkSocketsOptions,
  ) => Promise<
    | { readonly ok: true; readonly sockets: RingSockets }
    | { readonly ok: false; readonly problem: string }
  >;
  /** Asks for the thread's share of the processor; returns what the operator should know of it. */
  readonly schedule: (
    scheduling: NodeSettings["scheduling"],
  ) => { readonly level: Level; readonly text: string } | undefined;
  /** Runs `act` at the end of this turn of the event loop. */
  readonly soon: (act: () => void) => void;
  /**
   * Runs `act` once, after `waitMs` (a fraction of a millisecond) or sooner when the main thread has posted something, which then comes
   * before or behind it. The thread may do nothing else meanwhile.
   */
  readonly awaitPost: (waitMs: number, act: () => void) => void;
  /** To a descriptor, in one call: the count, or the negative errno. Without it nothing is ever withdrawn. */
  readonly write?: (fd: number, bytes: Uint8Array) => number;
  /** Sees what the ring asks for, in order, before it is carried out. */
  readonly observe?: (action: RingAction) => void;
}

export class RingThread {
  readonly #machine: RingMachine;
  readonly #post: (message: FromRing) => void;
  #host: RingHost | undefined;
  #sockets: RingSockets | undefined;
  #events: PortEvent[] = [];
  #lines: LogAction[] = [];
  #takenBytes = 0;
  #scheduled = false;
  #isRefusalTold = false;

  constructor(machine: RingMachine, post: (message: FromRing) => void) {
    this.#machine = machine;
    this.#post = post;
  }

  /** Undefined before the start. */
  get host(): RingHost | undefined {
    return this.#host;
  }

  received(message: ToRing): void {
    switch (message.kind) {
      case "start":
        void this.#start(message);
        return;
      case "requests":
        this.#host?.request(unpackRequests(message.requests));
        return;
      case "ask":
        this.#ask(message.id, message.question);
        return;
      case "stop":
        if (this.#host === undefined) this.#post({ kind: "finished", clean: true, reason: "" });
        else this.#host.stop();
        return;
      default:
        message satisfies never;
    }
  }

  async #start(order: StartOrder): Promise<void> {
    const host = new RingHost(order, this.#port(order));
    const { nodeid, nodes, links } = order.settings;
    const opened = await this.#machine.openSockets({
      nodeid,
      nodes,
      links,
      received: (link, address, datagram) => host.received(link, address, datagram),
      refused: (event) => host.refused(event),
      log: (line) => this.#log(line),
    });
    if (!opened.ok) {
      this.#post({ kind: "finished", clean: false, reason: opened.problem });
      return;
    }
    const remark = this.#machine.schedule(order.settings.scheduling);
    if (remark !== undefined) this.#log({ kind: "log", subsystem: "MAIN", ...remark });
    this.#sockets = opened.sockets;
    this.#host = host;
    this.#post({ kind: "started" });
    host.start();
  }

  #log(line: LogAction): void {
    this.#lines.push(line);
    this.#schedule();
  }

  #port(order: StartOrder): RingHostPort {
    const { clock, random, storage, keyOnDisk, device, observe } = this.#machine;
    const write = this.#machine.write ?? (() => 0);
    const { receipts } = order;
    const shared = receipts && new SharedReceipts(receipts.group, receipts.memory);
    return {
      clock,
      random,
      storage: storage(order),
      keyOnDisk: () => keyOnDisk(order),
      machine: device,
      ...(observe === undefined ? {} : { observe }),
      transmit: (batch) => this.#sockets?.sendMany(batch),
      awaitPost: (waitMs, act) => {
        // What it waits for is an answer to this.
        this.#flush();
        this.#machine.awaitPost(waitMs, act);
      },
      probe: (probe) => this.#sockets?.probe(probe),
      refusals: () => this.#sockets?.refusals() ?? [],
      events: (event) => {
        this.#tell(shared?.heard(event, write));
        this.#events.push(event);
        this.#schedule();
      },
      quorum: (quorum) => {
        this.#tell(shared?.counted(write));
        // In order with the events: who gets a quorum change has got everything before it.
        this.#flush();
        this.#post({ kind: "quorum", quorum });
      },
      log: (line) => this.#log(line),
      replied: (id, ok, reason) => {
        this.#post({
          kind: "answer",
          id,
          answer: ok ? { kind: "done" } : { kind: "refused", reason },
        });
      },
      reloadRequested: (nodeid, id, key) => {
        // Whatever the tree wrote before it is on its way first.
        this.#flush();
        this.#post({ kind: "reloadRequested", nodeid, id, key });
      },
      taken: (request) => {
        this.#takenBytes += requestBytes(request);
        this.#schedule();
      },
      finished: (end) => this.#finish(end),
    };
  }

  #tell(errno: number | undefined): void {
    if (errno === undefined || errno === 0 || this.#isRefusalTold) return;
    this.#isRefusalTold = true;
    const text = `the kernel refused an invalidation (${errnoName(errno)}): what is read at the mount may be a second old`;
    this.#log({ kind: "log", level: "warning", subsystem: "FUSE", text });
  }

  #ask(id: number, question: RingQuestion): void {
    const host = this.#host;
    if (host === undefined) this.#refuse(id, "the ring is not started");
    else if (question.kind === "reconfigure") void this.#reconfigure(id, host, question.settings);
    else if (question.kind === "snapshot") {
      this.#post({ kind: "answer", id, answer: { kind: "snapshot", snapshot: host.snapshot() } });
    } else if (question.kind === "catchUp") {
      this.#flush();
      this.#post({ kind: "answer", id, answer: { kind: "done" } });
    } else host.question(id, question);
  }

  /** Sockets first: without them nothing changes. Everything else follows in one turn. */
  async #reconfigure(id: number, host: RingHost, settings: NodeSettings): Promise<void> {
    const problem = host.obstacle ?? (await this.#sockets?.reconfigure(settings));
    if (problem !== undefined) return this.#refuse(id, problem);
    host.reconfigure(settings);
    this.#post({ kind: "answer", id, answer: { kind: "done" } });
  }

  #refuse(id: number, reason: string): void {
    this.#post({ kind: "answer", id, answer: { kind: "refused", reason } });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#machine.soon(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const [lines, events, taken] = [this.#lines, this.#events, this.#takenBytes];
    if (lines.length === 0 && events.length === 0 && taken === 0) return;
    this.#lines = [];
    this.#events = [];
    this.#takenBytes = 0;
    const batch = events.length === 0 ? undefined : packEvents(events);
    this.#post({ kind: "turn", lines, events: batch, taken });
  }

  /** The LEAVE must really be out before the sockets close (close sends what waits): a lost one costs token + consensus. */
  #finish(end: MemberEnd): void {
    this.#sockets?.close();
    this.#flush();
    this.#post({ kind: "finished", ...end });
  }
}
