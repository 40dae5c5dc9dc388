// The status store: what each node says of itself, measured values, who is online, the cluster log. A replica of the group
// `pve_kvstore_v1`. Spec: pmxcfs.md §3.2, §3.5, §3.6, §4.3, §4.10. Nothing here is on disk; our own values are ours to send again
// at each state exchange, and our own messages are ignored when they come back: the local copy was changed first.
import { byteString, bytesOf } from "../../bytes.ts";
import { type Result, success, failure } from "../../result.ts";
import type { GroupMember, Level, LogAction } from "../../world.ts";
import { ClusterLog, decodeRing } from "./cluster-log.ts";
import { decodeLogEntry, encodeLogEntry, type LogEntry, type LogLineFields } from "./log-entry.ts";
import {
  type Body,
  decodeKvUpdate,
  encodeKvUpdate,
  keyFieldBytes,
  kvLog,
  kvstoreGroup,
  kvstoreProtocol,
  kvUpdate,
  type KvEntry,
} from "./message.ts";
import type { Delivery, Executed, MemberState, Replica, Sink, SyncPlan } from "./replica.ts";

export const statusValueBytesMax = 32_768;
/** Both with the final NUL. */
export const rrdValueBytesMax = 4095;
export const nodeIpBytesMax = 255;
/** Measured values are forgotten after this. */
export const rrdExpiryMs = 300_000;
/** Limits of ours; the original has none. */
const keysPerNodeMax = 10_000;
const rrdKeysMax = 100_000;

const rrdPrefix = "rrd/";
const nodeIpKey = "nodeip";

interface Value {
  value: Uint8Array;
  /** 0 at first, + 1 per change; a removed key begins anew. */
  version: number;
}

interface RrdValue {
  readonly value: string;
  readonly sinceMs: number;
}

/** Result of a local change: what to multicast (a refused rrd or address value is still sent), and what the caller gets. */
export interface StatusSet {
  readonly error: "EFBIG" | "EINVAL" | "ENOMEM" | undefined;
  readonly send: Body | undefined;
}

export class StatusStore implements Replica<LogAction> {
  readonly group = kvstoreGroup;
  readonly protocol = kvstoreProtocol;
  readonly domain = "status";
  readonly #self: GroupMember;
  readonly #nodeName: string;
  readonly #values = new Map<number, Map<string, Value>>();
  readonly #addresses = new Map<number, string>();
  readonly #rrd = new Map<string, RrdValue>();
  readonly #log = new ClusterLog();
  #online: ReadonlySet<number> = new Set();
  #known: ReadonlySet<number>;
  #clusterInfo = 0;

  /** `nodeName`: byte string. Until `nodesChanged`, only our own node is known. */
  constructor(options: { readonly self: GroupMember; readonly nodeName: string }) {
    this.#self = options.self;
    this.#nodeName = options.nodeName;
    this.#known = new Set([options.self.nodeid]);
  }

  /** Counter of `.version` and `.members`: node list, membership or an address changed. */
  get clusterInfo(): number {
    return this.#clusterInfo;
  }

  /** The node list was read (again): values of other nodeids are dropped when they arrive. */
  nodesChanged(nodeids: Iterable<number>): void {
    this.#known = new Set([...nodeids, this.#self.nodeid]);
    this.#clusterInfo += 1;
  }

  isOnline(nodeid: number): boolean {
    return this.#online.has(nodeid);
  }

  /** Byte string; kept when the node goes offline. */
  addressOf(nodeid: number): string | undefined {
    return this.#addresses.get(nodeid);
  }

  /** A node's keys with their counters, for `.version`; without addresses and measured values. */
  keysOf(nodeid: number): readonly { readonly key: string; readonly version: number }[] {
    const values = this.#values.get(nodeid) ?? new Map<string, Value>();
    return Array.from(values, ([key, { version }]) => ({ key, version }));
  }

  /** nodeids that sent a key, in the order in which they first did. */
  get nodesWithKeys(): readonly number[] {
    return [...this.#values].filter(([, values]) => values.size > 0).map(([nodeid]) => nodeid);
  }

  get(nodeid: number, key: string): Uint8Array | undefined {
    return this.#values.get(nodeid)?.get(key)?.value;
  }

  /** Measured values that are not too old. Byte strings. `now`: monotonic milliseconds. */
  rrd(now: number): readonly { readonly key: string; readonly value: string }[] {
    for (const [key, { sinceMs }] of this.#rrd) {
      if (now - sinceMs > rrdExpiryMs) this.#rrd.delete(key);
    }
    return Array.from(this.#rrd, ([key, { value }]) => ({ key, value }));
  }

  /** Newest first. */
  logEntries(): Iterable<LogEntry> {
    return this.#log.newest();
  }

  /** Sets (or with no bytes removes) a value of this node. */
  set(key: string, value: Uint8Array, now: number): StatusSet {
    if (value.length > statusValueBytesMax) return { error: "EFBIG", send: undefined };
    const cut = key.slice(0, keyFieldBytes - 1);
    if (cut === "" || cut.includes("\0")) return { error: "EINVAL", send: undefined };
    const entry = { key: cut, value: value.slice() };
    const kept = this.#keep(this.#self.nodeid, entry, now);
    return { error: kept.ok ? undefined : "ENOMEM", send: encodeKvUpdate(entry) };
  }

  /** Writes a line to the cluster log; the body goes to the others. `time`: Unix seconds. */
  log(line: Omit<LogLineFields, "node">): Body {
    const entry = this.#log.append({ ...line, node: this.#nodeName });
    return { subtype: kvLog, body: encodeLogEntry(entry, { prev: 0, next: 0 }) };
  }

  // Replica

  quorumChanged(): void {}

  membersChanged(members: readonly GroupMember[]): void {
    this.#online = new Set(members.map(({ nodeid }) => nodeid));
    this.#clusterInfo += 1;
  }

  becameSynced(): readonly Body[] {
    const address = this.#addresses.get(this.#self.nodeid);
    if (address === undefined) return [];
    return [encodeKvUpdate({ key: nodeIpKey, value: textValue(address) })];
  }

  encodeState(): Uint8Array {
    return this.#log.encode();
  }

  planSync(states: readonly MemberState[], self: number, out: Sink<LogAction>): SyncPlan {
    const logs: (readonly LogEntry[])[] = [];
    for (const { nodeid, state } of states) {
      const entries = decodeRing(state);
      logs.push(entries.ok ? entries.value : []);
      if (!entries.ok)
        this.#report("error", `log of node ${nodeid} skipped: ${entries.reason}`, out);
    }
    this.#log.merge(logs, self);
    const own = this.#values.get(this.#self.nodeid) ?? new Map<string, Value>();
    return {
      kind: "merged",
      send: Array.from(own, ([key, { value }]) => encodeKvUpdate({ key, value })),
    };
  }

  updatesFor(): Iterable<() => Uint8Array> {
    return [];
  }

  addUpdate(): Result<undefined> {
    return failure("the status store has no updates");
  }

  commit(): Result<undefined> {
    return failure("the status store has no updates");
  }

  deliver(delivery: Delivery, now: number, out: Sink<LogAction>): Executed {
    const { sender, subtype, body, isOwn } = delivery;
    if (isOwn) return { kind: "done" };
    const accepted = this.#accept(sender.nodeid, subtype, body, now);
    if (!accepted.ok) {
      this.#report("warning", `message of node ${sender.nodeid} ignored: ${accepted.reason}`, out);
    }
    return { kind: "done" };
  }

  checksum(): undefined {
    return undefined;
  }

  #accept(nodeid: number, subtype: number, body: Uint8Array, now: number): Result<undefined> {
    switch (subtype) {
      case kvUpdate: {
        const entry = decodeKvUpdate(body);
        return entry.ok ? this.#keep(nodeid, entry.value, now) : entry;
      }
      case kvLog: {
        const read = decodeLogEntry(body);
        if (!read.ok) return read;
        if (read.value.size !== body.length) return failure("bytes behind a log entry");
        const isNew = this.#log.insert(read.value.entry);
        return isNew ? success(undefined) : failure("ignore insert of duplicate cluster log");
      }
      default:
        return failure(`unknown status message ${subtype}`);
    }
  }

  #keep(nodeid: number, entry: KvEntry, now: number): Result<undefined> {
    const { key, value } = entry;
    if (key.startsWith(rrdPrefix)) return this.#keepRrd(key.slice(rrdPrefix.length), value, now);
    if (!this.#known.has(nodeid)) return failure(`node ${nodeid} is not in the node list`);
    if (key === nodeIpKey) return this.#keepAddress(nodeid, value);
    if (value.length > statusValueBytesMax) return failure(`value of ${value.length} bytes`);
    const values = this.#values.get(nodeid) ?? new Map<string, Value>();
    this.#values.set(nodeid, values);
    const known = values.get(key);
    if (value.length === 0) values.delete(key);
    else if (known !== undefined) {
      known.value = value;
      known.version += 1;
    } else if (values.size >= keysPerNodeMax) return failure(`more than ${values.size} keys`);
    else values.set(key, { value, version: 0 });
    return success(undefined);
  }

  #keepRrd(key: string, value: Uint8Array, now: number): Result<undefined> {
    const text = textOf(value, rrdValueBytesMax);
    if (text === undefined) return failure(`measured value of ${value.length} bytes`);
    const isFull = !this.#rrd.has(key) && this.#rrd.size >= rrdKeysMax;
    if (isFull && this.rrd(now).length >= rrdKeysMax) {
      return failure(`more than ${rrdKeysMax} measured values`);
    }
    this.#rrd.set(key, { value: text, sinceMs: now });
    return success(undefined);
  }

  #keepAddress(nodeid: number, value: Uint8Array): Result<undefined> {
    const text = textOf(value, nodeIpBytesMax);
    if (text === undefined) return failure(`address of ${value.length} bytes`);
    if (this.#addresses.get(nodeid) === text) return success(undefined);
    this.#addresses.set(nodeid, text);
    this.#clusterInfo += 1;
    return success(undefined);
  }

  #report(level: Level, text: string, out: Sink<LogAction>): void {
    out.push({ kind: "log", level, subsystem: this.domain, text });
  }
}

/** The byte string in front of the final NUL. */
function textOf(value: Uint8Array, bytesMax: number): string | undefined {
  if (value.length === 0 || value.length > bytesMax || value.at(-1) !== 0) return undefined;
  return byteString(value.subarray(0, value.indexOf(0)));
}

/** A text as the other members expect it: with its NUL. */
export function textValue(text: string): Uint8Array {
  return bytesOf(`${text}\0`);
}
