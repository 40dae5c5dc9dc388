// How many messages of each kind the services have sent and received, as the configuration map shows them (services.md §6.1,
// runtime.services). Pure.
import type { MessageCount } from "./events.ts";
import { serviceIds } from "./service.ts";

/** Kinds of messages of each service: corosync's numbers of handlers. What has none is not counted. */
const services = [
  { service: "cmap", id: serviceIds.configMap, kinds: 1 },
  { service: "cfg", id: serviceIds.configuration, kinds: 5 },
  { service: "cpg", id: serviceIds.groups, kinds: 7 },
  { service: "votequorum", id: serviceIds.votequorum, kinds: 4 },
] as const;

interface Counter {
  readonly service: MessageCount["service"];
  readonly fn: number;
  received: number;
  sent: number;
}

export class ServiceCounters {
  /** By the message's id, service and kind. */
  readonly #counters = new Map<number, Counter>();

  constructor() {
    for (const { service, id, kinds } of services) {
      for (let fn = 0; fn < kinds; fn += 1) {
        this.#counters.set(id * 0x1_0000 + fn, { service, fn, received: 0, sent: 0 });
      }
    }
  }

  /** A service message that was delivered, our own included; without its group prefix. */
  received(message: Uint8Array): void {
    const counter = this.#counters.get(idAt(message, 0));
    if (counter !== undefined) counter.received += 1;
  }

  /** A totempg message that goes to the ring, with its group prefix; those of the synchronisation engine are no service's. */
  sent(message: Uint8Array): void {
    // One group of one letter: "a".
    if (message[0] !== 1 || message[2] !== 1) return;
    const counter = this.#counters.get(idAt(message, 5));
    if (counter !== undefined) counter.sent += 1;
  }

  all(): MessageCount[] {
    return [...this.#counters.values()].map((counter) => ({ ...counter }));
  }
}

/** Little-endian, as all services' headers; -1 where there is none. */
function idAt(message: Uint8Array, at: number): number {
  if (message.length < at + 4) return -1;
  const byte = (offset: number): number => message[at + offset] ?? 0;
  return byte(0) + byte(1) * 0x100 + (byte(2) + byte(3) * 0x100) * 0x1_0000;
}
