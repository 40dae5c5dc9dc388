// The synchronisation engine (services.md §2): after every new ring each service exchanges its state, one service at a time,
// with a barrier behind each that all members must have sent. Application messages flow again only when the last one fell.
// It must never send a barrier before the data it stands for, nor use a message of another ring.
import { ringText, sameRing, type RingId } from "../../world.ts";
import { present } from "../../assert.ts";
import { decodeSyncMessage, encodeSyncMessage, serviceEntriesMax } from "./sync-message.ts";
import {
  log,
  withPrefix,
  type ServiceAction,
  type SyncService,
  type SyncView,
} from "../member/service.ts";

type Phase = "idle" | "build" | "process" | "barrier";

interface Step {
  readonly id: number;
  /** Undefined: a service of another node that we do not have; its barriers count all the same. */
  readonly service: SyncService | undefined;
}

export interface Configuration {
  readonly type: "transitional" | "regular";
  readonly ring: RingId;
  readonly members: readonly number[];
}

const byId = (a: Step, b: Step): number => a.id - b.id;

export class Sync {
  readonly #own: readonly Step[];
  #phase: Phase = "idle";
  /** From the transitional configuration until the last barrier. */
  #synchronising = false;
  #view: SyncView | undefined;
  #transitional: readonly number[] = [];
  #steps: Step[] = [];
  #current = 0;
  /** Members whose message of this step came. */
  readonly #arrived = new Set<number>();

  constructor(services: readonly SyncService[]) {
    this.#own = services.map((service) => ({ id: service.id, service })).sort(byId);
  }

  get synchronising(): boolean {
    return this.#synchronising;
  }

  /** A configuration change of the ring, in its place among the deliveries. */
  configured(configuration: Configuration, now: number, out: ServiceAction[]): void {
    this.#abort(now, out);
    this.#synchronising = true;
    if (configuration.type === "transitional") {
      this.#transitional = [...configuration.members];
      return;
    }
    const members = [...configuration.members].sort((a, b) => a - b);
    const transitional = this.#transitional.filter((nodeid) => members.includes(nodeid));
    this.#view = { ring: configuration.ring, members, transitional };
    this.#transitional = transitional;
    this.#phase = "build";
    this.#arrived.clear();
    this.#current = 0;
    this.#steps = [...this.#own];
    const services = this.#own.map((step) => step.id);
    this.#send({ kind: "serviceBuild", ring: configuration.ring, services }, out);
    for (const step of this.#own) step.service?.syncInit(this.#view, now, out);
  }

  /** A message of group "sync", our own included. */
  received(nodeid: number, bytes: Uint8Array, now: number, out: ServiceAction[]): void {
    const result = decodeSyncMessage(bytes);
    if (!result.ok) {
      return log(out, "SYNC", "warning", `dropped a message of node ${nodeid}: ${result.reason}`);
    }
    const message = result.value;
    const view = this.#view;
    if (view === undefined || this.#phase === "idle" || !sameRing(view.ring, message.ring)) return;
    if (!view.members.includes(nodeid)) return;
    switch (message.kind) {
      case "serviceBuild":
        if (this.#phase !== "build") return; // A repeated list must not pass for a barrier.
        this.#addUnknown(message.services);
        this.#arrived.add(nodeid);
        if (this.#arrived.size === view.members.length) this.#enterProcess(view, now, out);
        return;
      case "barrier":
        // Counted also while our own service still works: a faster node does not wait for us (services.md §8.3, 7).
        if (this.#phase === "build") return;
        this.#arrived.add(nodeid);
        if (this.#arrived.size === view.members.length) this.#enterActivate(view, now, out);
        return;
    }
    message satisfies never;
  }

  /** Lets a service that was not finished try again. */
  advance(now: number, out: ServiceAction[]): void {
    if (this.#phase !== "process" || this.#view === undefined) return;
    const step = present(this.#steps[this.#current], "the current sync step exists");
    if (step.service !== undefined && !step.service.syncProcess(now, out)) return;
    this.#phase = "barrier";
    this.#send({ kind: "barrier", ring: this.#view.ring }, out);
  }

  #addUnknown(ids: readonly number[]): void {
    for (const id of ids) {
      if (this.#steps.length >= serviceEntriesMax) return;
      if (!this.#steps.some((step) => step.id === id)) this.#steps.push({ id, service: undefined });
    }
    this.#steps.sort(byId);
  }

  #enterProcess(view: SyncView, now: number, out: ServiceAction[]): void {
    this.#arrived.clear();
    if (this.#current >= this.#steps.length) return this.#complete(view, out);
    this.#phase = "process";
    this.advance(now, out);
  }

  #enterActivate(view: SyncView, now: number, out: ServiceAction[]): void {
    const step = present(this.#steps[this.#current], "the current sync step exists");
    log(out, "SYNC", "debug", `Committing synchronization for service ${step.id}`);
    step.service?.syncActivate(now, out);
    this.#current += 1;
    this.#enterProcess(view, now, out);
  }

  #complete(view: SyncView, out: ServiceAction[]): void {
    this.#phase = "idle";
    this.#synchronising = false;
    out.push({ kind: "synchronised", ring: view.ring, members: view.members });
    const text = "Completed service synchronization, ready to provide service.";
    log(out, "MAIN", "notice", text);
  }

  /** The ring changed in the middle: what is still to come of the old ring no longer counts (services.md §2.5). */
  #abort(now: number, out: ServiceAction[]): void {
    const view = this.#view;
    this.#view = undefined;
    const phase = this.#phase;
    this.#phase = "idle";
    if (view === undefined || phase === "idle") return;
    log(out, "SYNC", "debug", `synchronization of ring ${ringText(view.ring)} aborted`);
    if (phase !== "build") this.#steps[this.#current]?.service?.syncAbort(now, out);
  }

  #send(message: Parameters<typeof encodeSyncMessage>[0], out: ServiceAction[]): void {
    const bytes = withPrefix("sync", encodeSyncMessage(message));
    out.push({ kind: "submit", queue: "sync", message: bytes });
  }
}
