// What a turn of one thread has for the other, as one buffer that is handed over: a structured clone takes every message
// apart and copies it twice. Records of five numbers, then all messages; what has no message, and is seldom, stays as it is.
import { ownBytes } from "../../bytes.ts";
import type { Answered, GroupRequest, PortEvent } from "../../world.ts";

export interface Batch<Item> {
  /** Numbers and messages; to be handed over, not cloned. */
  readonly bytes: ArrayBuffer;
  readonly count: number;
  /** Names of the groups, which the records have by number. */
  readonly names: readonly string[];
  /** What a record only stands for. */
  readonly others: readonly Item[];
}

/** Numbers of a record: its kind, a name's or another's place, two more, length of its message. */
const fields = 5;
const wordBytes = 4;
const kinds = { message: 0, stable: 1, other: 2 } as const;
const word = 0x1_0000_0000;
const answers: readonly (Answered | undefined)[] = [undefined, "delivered", "stable", "stored"];

type Delivered = Extract<PortEvent, { readonly kind: "delivered" }>;
type Send = Extract<GroupRequest, { readonly kind: "send" }>;

/** Events in their order; the messages are copied. */
export function packEvents(events: readonly PortEvent[]): Batch<PortEvent> {
  const packer = new Packer<PortEvent>(events.map((event) => messageOf(event)));
  for (const event of events) {
    if (event.kind === "delivered") packer.message(event.group, event.nodeid, event.pid);
    else if (event.kind === "configured") packer.other(event);
    else packer.number(event.deliveries);
  }
  return packer.finish();
}

/** What `packEvents` has packed. Small messages are copies, so that who keeps one does not keep all. */
export function unpackEvents(batch: Batch<PortEvent>): PortEvent[] {
  return unpack(
    batch,
    (group, nodeid, pid, message): Delivered => ({
      ...{ kind: "delivered", group, nodeid, pid, message },
    }),
    (deliveries) => ({ kind: "stable", deliveries }),
  );
}

/** As `packEvents`, for what the main thread asks for. */
export function packRequests(requests: readonly GroupRequest[]): Batch<GroupRequest> {
  const packer = new Packer<GroupRequest>(requests.map((request) => messageOf(request)));
  for (const request of requests) {
    if (request.kind !== "send") packer.other(request);
    else packer.message(request.group, answers.indexOf(request.answered), 0);
  }
  return packer.finish();
}

export function unpackRequests(batch: Batch<GroupRequest>): GroupRequest[] {
  return unpack(
    batch,
    (group, answer, _, message): Send => {
      const answered = answers[answer];
      return { kind: "send", group, message, ...(answered === undefined ? {} : { answered }) };
    },
    () => undefined,
  );
}

const noMessage = new Uint8Array(0);

/** Read once: the message of an update is made when it is asked for. */
function messageOf(item: PortEvent | GroupRequest): Uint8Array {
  return "message" in item ? item.message : noMessage;
}

class Packer<Item> {
  readonly #messages: readonly Uint8Array[];
  readonly #bytes: ArrayBuffer;
  readonly #words: Uint32Array;
  readonly #room: Uint8Array;
  readonly #names: string[] = [];
  readonly #others: Item[] = [];
  #count = 0;
  #at: number;

  constructor(messages: readonly Uint8Array[]) {
    this.#messages = messages;
    this.#at = messages.length * fields * wordBytes;
    let size = this.#at;
    for (const message of messages) size += message.length;
    this.#bytes = new ArrayBuffer(size);
    this.#words = new Uint32Array(this.#bytes, 0, messages.length * fields);
    this.#room = new Uint8Array(this.#bytes);
  }

  message(name: string, one: number, other: number): void {
    const message = this.#messages[this.#count] ?? noMessage;
    let place = this.#names.indexOf(name);
    if (place === -1) place = this.#names.push(name) - 1;
    this.#room.set(message, this.#at);
    this.#at += message.length;
    this.#record(kinds.message, place, one, other, message.length);
  }

  number(value: number): void {
    this.#record(kinds.stable, 0, Math.floor(value / word), value % word, 0);
  }

  other(item: Item): void {
    this.#record(kinds.other, this.#others.push(item) - 1, 0, 0, 0);
  }

  #record(kind: number, place: number, one: number, other: number, length: number): void {
    const at = this.#count * fields;
    const words = this.#words;
    words[at] = kind;
    words[at + 1] = place;
    words[at + 2] = one;
    words[at + 3] = other;
    words[at + 4] = length;
    this.#count += 1;
  }

  finish(): Batch<Item> {
    const [bytes, count] = [this.#bytes, this.#count];
    return { bytes, count, names: this.#names, others: this.#others };
  }
}

function unpack<Item>(
  { bytes, count, names, others }: Batch<Item>,
  ofMessage: (name: string, one: number, other: number, message: Uint8Array) => Item,
  ofNumber: (value: number) => Item | undefined,
): Item[] {
  const items: Item[] = [];
  const words = new Uint32Array(bytes, 0, count * fields);
  const field = (at: number): number => words[at] ?? 0;
  let from = count * fields * wordBytes;
  for (let at = 0; at < words.length; at += fields) {
    const [place, one, other] = [field(at + 1), field(at + 2), field(at + 3)];
    let item: Item | undefined;
    if (field(at) === kinds.message) {
      const message = new Uint8Array(bytes, from, field(at + 4));
      from += message.length;
      item = ofMessage(names[place] ?? "", one, other, ownBytes(message));
    } else item = field(at) === kinds.other ? others[place] : ofNumber(one * word + other);
    if (item !== undefined) items.push(item);
  }
  return items;
}
