// The total order experiment: which messages each member sends, what a receiver notes, and how the notes of all members are
// compared (services.md §3.7: one order for all, own messages included). Both kinds of member use this file, so that
// only the way to the ring differs. Knows nothing of libcpg or quorate.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

export interface OrderPlan {
  readonly group: string;
  readonly seed: number;
  /** How many members send; each waits until it sees them all. */
  readonly members: number;
  /** Messages from each member. */
  readonly count: number;
  readonly deadlineMs: number;
  /** Files `<out>.log` and `<out>.json` are written. */
  readonly out: string;
}

export const messageBytesMax = 200_000;
const headerBytes = 12;
const padBytes = messageBytesMax + 65_536;

/** The whole size of message `counter` of `sender`: log-uniform 1 … 200,000 bytes, both ends certain to occur. */
export function messageBytes(seed: number, sender: number, counter: number): number {
  if (counter === 0) return 1;
  if (counter === 1) return messageBytesMax;
  const fraction = mix(seed, sender, counter) / 2 ** 32;
  return Math.min(messageBytesMax, Math.floor(messageBytesMax ** fraction));
}

/** Makes and checks messages. Content: sender, counter and checksum (from 12 bytes on), then bytes that depend on both. */
export class Messages {
  readonly #seed: number;
  readonly #pad: Uint8Array;

  constructor(seed: number) {
    this.#seed = seed;
    this.#pad = new Uint8Array(padBytes);
    const words = new DataView(this.#pad.buffer);
    for (let at = 0; at + 4 <= padBytes; at += 4) words.setUint32(at, mix(seed, 0, at));
  }

  /** Writes the message to the start of `into`, which must hold `messageBytesMax`; answers its size. */
  write(sender: number, counter: number, into: Uint8Array): number {
    const size = messageBytes(this.#seed, sender, counter);
    const body = this.#body(sender, counter, size);
    if (size < headerBytes) {
      into.set(body);
      return size;
    }
    const header = new DataView(into.buffer, into.byteOffset, headerBytes);
    header.setUint32(0, sender);
    header.setUint32(4, counter);
    header.setUint32(8, Bun.hash.crc32(body));
    into.set(body, headerBytes);
    return size;
  }

  /** Undefined when `message` is exactly message `counter` of `sender`; else what is wrong with it. */
  check(sender: number, counter: number, message: Uint8Array): string | undefined {
    const size = messageBytes(this.#seed, sender, counter);
    if (message.length !== size) return `${message.length}_bytes_not_${size}${claim(message)}`;
    const body = this.#body(sender, counter, size);
    if (size < headerBytes) return same(message, body) ? undefined : "content";
    const header = new DataView(message.buffer, message.byteOffset, headerBytes);
    if (header.getUint32(0) !== sender || header.getUint32(4) !== counter) {
      return `other_message${claim(message)}`;
    }
    const received = message.subarray(headerBytes);
    if (header.getUint32(8) !== Bun.hash.crc32(received)) return "checksum";
    return same(received, body) ? undefined : "content";
  }

  #body(sender: number, counter: number, size: number): Uint8Array {
    const bytes = size < headerBytes ? size : size - headerBytes;
    const at = mix(this.#seed ^ 0x5bd1e995, sender, counter) % (padBytes - messageBytesMax);
    return this.#pad.subarray(at, at + bytes);
  }
}

export interface OrderSummary {
  readonly nodeid: number;
  /** "complete", or why the member gave up. */
  readonly ended: string;
  readonly delivered: number;
  readonly wrong: number;
  /** Refused sends that were tried again. */
  readonly retries: number;
  readonly bytes: number;
  /** From the moment all members were there to the last delivery. */
  readonly elapsedMs: number;
  /** SHA-256 of the delivery lines. */
  readonly hash: string;
}

/** Notes everything a member sees, in order. */
export class OrderRecorder {
  readonly #plan: OrderPlan;
  readonly #messages: Messages;
  readonly #next = new Map<number, number>();
  readonly #lines: string[] = [];
  readonly #begunMs = performance.now();
  #everyoneMs: number | undefined;
  #lastMs = 0;
  #delivered = 0;
  #wrong = 0;
  #bytes = 0;
  retries = 0;

  constructor(plan: OrderPlan, messages: Messages) {
    this.#plan = plan;
    this.#messages = messages;
  }

  /** True once all members were in the group: time to send. */
  get everyoneHere(): boolean {
    return this.#everyoneMs !== undefined;
  }

  get complete(): boolean {
    return this.#delivered >= this.#plan.members * this.#plan.count;
  }

  get isLate(): boolean {
    return performance.now() - this.#begunMs > this.#plan.deadlineMs;
  }

  /** A message of the group; `message` is only looked at during the call. */
  delivered(nodeid: number, message: Uint8Array): void {
    const counter = this.#next.get(nodeid) ?? 0;
    this.#next.set(nodeid, counter + 1);
    const wrong = this.#messages.check(nodeid, counter, message);
    if (wrong !== undefined) this.#wrong += 1;
    this.#delivered += 1;
    this.#bytes += message.length;
    this.#lastMs = performance.now();
    this.#lines.push(`d ${nodeid} ${counter} ${wrong ?? "ok"}`);
  }

  /** A configuration of the group. */
  configured(members: readonly number[], left: readonly number[], joined: readonly number[]): void {
    this.#lines.push(
      `c members ${members.join(",")} left ${left.join(",")} joined ${joined.join(",")}`,
    );
    if (members.length === this.#plan.members) this.#everyoneMs ??= performance.now();
  }

  /** Writes the log and the summary. `ended` is "complete" or a reason. */
  finish(nodeid: number, ended: string): OrderSummary {
    const hash = createHash("sha256");
    for (const line of this.#lines) if (line.startsWith("d ")) hash.update(`${line}\n`);
    const summary: OrderSummary = {
      nodeid,
      ended,
      delivered: this.#delivered,
      wrong: this.#wrong,
      retries: this.retries,
      bytes: this.#bytes,
      elapsedMs: Math.round(this.#lastMs - (this.#everyoneMs ?? this.#lastMs)),
      hash: hash.digest("hex"),
    };
    writeFileSync(`${this.#plan.out}.log`, `${this.#lines.join("\n")}\n`);
    writeFileSync(`${this.#plan.out}.json`, `${JSON.stringify(summary)}\n`);
    return summary;
  }
}

export interface OrderRecord {
  readonly name: string;
  readonly summary: OrderSummary;
  /** The text of the log file. */
  readonly log: string;
}

/** Everything that is wrong with the records of one experiment; empty when all saw the same complete order. */
export function compareOrders(
  plan: { readonly members: number; readonly count: number },
  records: readonly OrderRecord[],
): readonly string[] {
  const problems: string[] = [];
  const expected = plan.members * plan.count;
  if (records.length !== plan.members) {
    problems.push(`${records.length} records of ${plan.members} members`);
  }
  for (const { name, summary, log } of records) {
    if (summary.ended !== "complete") problems.push(`${name} ended: ${summary.ended}`);
    if (summary.delivered !== expected) {
      problems.push(`${name} saw ${summary.delivered} of ${expected} messages`);
    }
    const wrong = log.split("\n").find((line) => line.startsWith("d ") && !line.endsWith(" ok"));
    if (wrong !== undefined) problems.push(`${name} saw ${summary.wrong} wrong, first: ${wrong}`);
    for (const missing of missingSenders(plan, log)) problems.push(`${name}: ${missing}`);
  }
  const [first, ...rest] = records;
  if (first === undefined) return problems;
  const lines = span(first.log);
  for (const other of rest) {
    const otherLines = span(other.log);
    const at = lines.findIndex((line, index) => line !== otherLines[index]);
    if (at < 0 && lines.length === otherLines.length) continue;
    const place = at < 0 ? Math.min(lines.length, otherLines.length) : at;
    problems.push(
      `order differs at event ${place}: ${first.name} "${lines[place] ?? "nothing"}", ` +
        `${other.name} "${otherLines[place] ?? "nothing"}"`,
    );
  }
  return problems;
}

/** From the first to the last delivery: configurations in between belong to the order too. */
function span(log: string): readonly string[] {
  const lines = log.split("\n");
  const first = lines.findIndex((line) => line.startsWith("d "));
  const last = lines.findLastIndex((line) => line.startsWith("d "));
  return first < 0 ? [] : lines.slice(first, last + 1);
}

function missingSenders(plan: { readonly count: number }, log: string): readonly string[] {
  const counts = new Map<string, number>();
  for (const [, sender] of log.matchAll(/^d (\d+) /gm)) {
    if (sender !== undefined) counts.set(sender, (counts.get(sender) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count !== plan.count)
    .map(([sender, count]) => `${count} messages of node ${sender}, not ${plan.count}`);
}

/** Reads the plan from a program's words; the counterpart of `planWords`. */
export function planFromWords(words: readonly string[]): OrderPlan {
  const [group, seed, members, count, deadlineMs, out] = words;
  if (group === undefined || out === undefined || words.length !== 6) {
    throw new Error("usage: GROUP SEED MEMBERS COUNT DEADLINE_MS OUT");
  }
  return {
    group,
    seed: Number(seed),
    members: Number(members),
    count: Number(count),
    deadlineMs: Number(deadlineMs),
    out,
  };
}

/** The plan as the words of a program. */
export function planWords(plan: OrderPlan): string[] {
  const numbers = [plan.seed, plan.members, plan.count, plan.deadlineMs].map(String);
  return [plan.group, ...numbers, plan.out];
}

function claim(message: Uint8Array): string {
  if (message.length < headerBytes) return "";
  const header = new DataView(message.buffer, message.byteOffset, headerBytes);
  return `_claims_${header.getUint32(0)}/${header.getUint32(4)}`;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Three numbers to one of 32 bits; spreads well, not for secrets. */
function mix(a: number, b: number, c: number): number {
  let hash = (a ^ 0x9e3779b9) >>> 0;
  for (const word of [b, c, 0x85ebca6b]) {
    hash = Math.imul(hash ^ word, 0xcc9e2d51) >>> 0;
    hash = Math.imul((hash << 15) | (hash >>> 17), 0x1b873593) >>> 0;
    hash = (hash ^ (hash >>> 16)) >>> 0;
  }
  return hash;
}
