// Alerts: conditions that hold long enough become alerts, which are told once by one member. Pure.
//
// What can be told twice: a sender that dies between the answer of the other side and telling the group so; a part that is cut off and an alert that was being
// sent at that moment; all nodes at once losing memory and disk. What can be lost: nothing that holds for longer than its delay while a member runs: a serial
// counts as told only when the channel has taken it, an open alert and one that is over wait in the ledger of every member until then, and whoever becomes
// the sender sends what is left. Only more alerts than a ledger takes at once, the least grave, wait until there is room.
import type { Core } from "../../world.ts";
import { type ChannelName, channelNames, graveness, kindOf } from "./condition.ts";
import {
  decodeLedger,
  encodeLedger,
  encodeSighting,
  entriesMax,
  type Entry,
  isOpen,
  type Ledger,
  merged,
  nextSerial,
  type Sighting,
  swept,
} from "./ledger.ts";
import type { AlertAction, AlertEvent, Item, Look } from "./events.ts";
import { beatMs, Group } from "./group.ts";
import { isQuiet } from "./quiet.ts";
import { isUnjudged, seenBy, type Seen, Spans } from "./sights.ts";

/** A node that has never been quorate since its start may be the first one up. */
const startMs = 120_000;
/** What comes within this time goes out together. */
const gatherMs = 2000;
const hourMs = 3_600_000;
/** One that comes and goes is over only when it was gone for longer and longer. */
const clearMsMax = 900_000;
export const itemsOfMessageMax = 20;
const retryMs = { first: 5000, most: 600_000, urgent: 10_000 } as const;

interface Channel {
  inFlight: readonly Item[] | undefined;
  failures: number;
  /** Monotonic; before it nothing is tried again. */
  nextAt: number;
  triedAt: number;
  /** Keys of what failed the last time. */
  failed: ReadonlySet<string>;
  fault: string;
}

const keyOf = ({ id, serial }: Pick<Entry, "id" | "serial">): string => `${id}#${serial}`;

export class AlertCore implements Core<AlertEvent, AlertAction> {
  readonly #group = new Group();
  readonly #spans = new Spans();
  readonly #channels = new Map<ChannelName, Channel>();
  /** When this member first knew of a serial. */
  readonly #knownAt = new Map<string, number>();
  readonly #readLedgers = new Map<number, Uint8Array>();
  /** When a condition that gives no time of its own was first seen here, Unix milliseconds. */
  readonly #firstSeen = new Map<string, number>();
  #ledger: Ledger = new Map();
  #seen: ReadonlyMap<string, Seen> = new Map();
  #look: Look | undefined;
  #wasQuorate = false;
  #startedAt: number | undefined;
  #told = "";
  #toldAt = Number.NEGATIVE_INFINITY;
  #beat = 0;
  #mayAct = false;
  #isLedgerNew = false;
  #isFull = false;
  #now = 0;

  step(event: AlertEvent, now: number, out: AlertAction[]): void {
    this.#now = now;
    switch (event.kind) {
      case "look":
        this.#startedAt ??= now;
        this.#looked(event, now, out);
        break;
      case "remembered":
        this.#ledger = merged(this.#ledger, decodeLedger(event.ledger)) ?? this.#ledger;
        break;
      case "sent":
        this.#sent(event.channel, event.wallMs, out);
        break;
      case "failed":
        this.#failed(event.channel, event.reason, now, out);
        break;
    }
    this.#tellLedger(out);
    this.#tellSelf(now, out);
    // What is told to the group stands before what is sent: whoever takes over knows of it.
    out.sort((a, b) => Number(a.kind === "send") - Number(b.kind === "send"));
  }

  #looked(look: Look, now: number, out: AlertAction[]): void {
    this.#look = look;
    this.#wasQuorate ||= look.isQuorate;
    this.#group.look(look, now);
    this.#hear(look);
    const others = this.#group.others(now);
    const openAt = (id: string): number | undefined => {
      const entry = this.#ledger.get(id);
      return entry !== undefined && isOpen(entry) ? entry.at : undefined;
    };
    this.#seen = seenBy(this.#withTimes(look), others, openAt);
    const heard = new Set([look.self.nodeid, ...others.keys()]);
    const open = [...this.#ledger.values()].filter(isOpen).map(({ id }) => id);
    this.#spans.look(this.#seen, open, (id) => isUnjudged(id, look, heard), now);
    this.#know(now);
    this.#mayAct = this.#group.mayAct(look.self.nodeid, now);
    if (!this.#mayAct) return;
    this.#open(look, now, out);
    this.#end(look, heard, now, out);
    this.#repeat(look, heard);
    this.#silence(look);
    this.#know(now);
    this.#send(look, others, now, out);
  }

  /** What the others have announced. */
  #hear({ self, nodes, told, wallMs }: Look): void {
    for (const { nodeid } of nodes) {
      const bytes = told.get(nodeid)?.ledger;
      if (nodeid === self.nodeid || bytes === undefined) continue;
      if (this.#readLedgers.get(nodeid) === bytes) continue;
      this.#readLedgers.set(nodeid, bytes);
      this.#change(merged(this.#ledger, decodeLedger(bytes)));
    }
    this.#change(swept(this.#ledger, wallMs));
  }

  #change(ledger: Ledger | undefined): void {
    if (ledger === undefined) return;
    this.#ledger = ledger;
    this.#isLedgerNew = true;
  }

  #withTimes(look: Look): Look {
    const ids = new Set(look.conditions.map(({ id }) => id));
    for (const id of this.#firstSeen.keys()) if (!ids.has(id)) this.#firstSeen.delete(id);
    const conditions = look.conditions.map((condition) => {
      const first = this.#firstSeen.get(condition.id) ?? look.wallMs;
      this.#firstSeen.set(condition.id, first);
      return { ...condition, since: condition.since ?? first };
    });
    return { ...look, conditions };
  }

  #know(now: number): void {
    const keys = new Set([...this.#ledger.values()].map(keyOf));
    for (const key of this.#knownAt.keys()) if (!keys.has(key)) this.#knownAt.delete(key);
    for (const key of keys) if (!this.#knownAt.has(key)) this.#knownAt.set(key, now);
  }

  #open(look: Look, now: number, out: AlertAction[]): void {
    const ready = [...this.#seen.values()]
      .filter(({ id }) => this.#spans.heldFor(id, now) >= this.#delayOf(id, look, now))
      .filter(({ id }) => !this.#isOpen(id))
      .toSorted((a, b) => graveness(a.id) - graveness(b.id));
    for (const { id, since, state } of ready) {
      if (!this.#hasRoom(id)) {
        if (!this.#isFull) {
          const text = `there are ${entriesMax} alerts: further ones, such as "${state}", wait until some are over`;
          out.push({ kind: "log", level: "warning", text, isForAll: false });
        }
        this.#isFull = true;
        return;
      }
      const before = this.#ledger.get(id);
      const times = before !== undefined && look.wallMs - before.at < hourMs ? before.times + 1 : 1;
      const serial = nextSerial(before?.serial ?? 0, true, look.wallMs);
      this.#put({
        ...{
          id,
          serial,
          since: Math.min(since, look.wallMs),
          until: 0,
          at: look.wallMs,
          state,
          times,
        },
        told: { webhook: before?.told.webhook ?? 0, mail: before?.told.mail ?? 0 },
        ...{ by: before?.by ?? "", toldAt: before?.toldAt ?? 0 },
      });
      out.push({ kind: "log", level: "warning", text: state, isForAll: true });
    }
    this.#isFull = false;
  }

  /** Those that are over make room. */
  #hasRoom(id: string): boolean {
    if (this.#ledger.has(id) || this.#ledger.size < entriesMax) return true;
    const [oldest] = [...this.#ledger.values()]
      .filter((entry) => !isOpen(entry) && this.#untold(entry).length === 0)
      .toSorted((a, b) => a.at - b.at);
    if (oldest === undefined) return false;
    const ledger = new Map(this.#ledger);
    ledger.delete(oldest.id);
    this.#change(ledger);
    return true;
  }

  #end(look: Look, heard: ReadonlySet<number>, now: number, out: AlertAction[]): void {
    for (const entry of [...this.#ledger.values()].filter(isOpen)) {
      const { id, state, serial } = entry;
      if (this.#seen.has(id) || isUnjudged(id, look, heard)) continue;
      if (this.#spans.goneFor(id, now) < this.#clearOf(entry, look)) continue;
      const { wallMs } = look;
      const next = nextSerial(serial, false, wallMs);
      const until = Math.max(entry.since, wallMs - Math.round(this.#spans.goneFor(id, now)));
      const isSetUp = (name: ChannelName) => look.rules.channels.includes(name);
      // Where nobody is told, nothing waits.
      const told = {
        webhook: isSetUp("webhook") ? entry.told.webhook : next,
        mail: isSetUp("mail") ? entry.told.mail : next,
      };
      this.#put({ ...entry, serial: next, until, at: wallMs, told });
      out.push({ kind: "log", level: "notice", text: `over: ${state}`, isForAll: true });
    }
  }

  #repeat(look: Look, heard: ReadonlySet<number>): void {
    const { rules, wallMs } = look;
    if (rules.repeatMs === 0) return;
    for (const entry of [...this.#ledger.values()].filter(isOpen)) {
      if (wallMs - entry.at < rules.repeatMs || isUnjudged(entry.id, look, heard)) continue;
      if (this.#untold(entry).length > 0 || isMuted(entry.id, look)) continue;
      this.#put({ ...entry, serial: nextSerial(entry.serial, true, wallMs), at: wallMs });
    }
  }

  /** What is muted counts as told. */
  #silence(look: Look): void {
    for (const entry of [...this.#ledger.values()]) {
      if (!isMuted(entry.id, look) || this.#untold(entry).length === 0) continue;
      this.#put({ ...entry, told: { webhook: entry.serial, mail: entry.serial } });
    }
  }

  #send(look: Look, others: ReadonlyMap<number, Sighting>, now: number, out: AlertAction[]): void {
    for (const name of look.rules.channels) {
      const channel = this.#channel(name);
      if (channel.inFlight !== undefined) continue;
      const due = this.#due(name, look, others, now);
      const [first] = due;
      if (first === undefined || !this.#mayTry(channel, due, now)) continue;
      channel.inFlight = due.slice(0, itemsOfMessageMax);
      channel.triedAt = now;
      out.push({ kind: "send", channel: name, items: channel.inFlight });
    }
  }

  #due(
    name: ChannelName,
    look: Look,
    others: ReadonlyMap<number, Sighting>,
    now: number,
  ): readonly Item[] {
    // A former sender that is still at it, and will say what came of it.
    const taken = new Set(
      [...others.values()].flatMap(({ sending }) =>
        sending.filter(({ channel }) => channel === name).map(keyOf),
      ),
    );
    const isQuietNow = isQuiet(look.rules.quiet, look.minute);
    const heard = new Set([look.self.nodeid, ...others.keys()]);
    return (
      [...this.#ledger.values()]
        .filter((entry) => entry.told[name] < entry.serial && !taken.has(keyOf(entry)))
        .filter(({ id }) => look.isQuorate || kindOf(id) === "quorum")
        // One that is not so at this moment is told when it is over, or so again.
        .filter(
          (entry) =>
            !isOpen(entry) || this.#seen.has(entry.id) || isUnjudged(entry.id, look, heard),
        )
        .filter(({ id }) => !isQuietNow || look.rules.urgent.includes(kindOf(id)))
        .filter((entry) => now - (this.#knownAt.get(keyOf(entry)) ?? now) >= gatherMs)
        .toSorted((a, b) => graveness(a.id) - graveness(b.id) || a.since - b.since)
        .map((entry) => itemOf(entry, name))
    );
  }

  /** After a failure later and later; what is new does not wait for that. */
  #mayTry({ nextAt, triedAt, failed }: Channel, due: readonly Item[], now: number): boolean {
    if (now >= nextAt) return true;
    return now - triedAt >= retryMs.urgent && due.some((item) => !failed.has(keyOf(item)));
  }

  #sent(name: ChannelName, wallMs: number, out: AlertAction[]): void {
    const channel = this.#channel(name);
    const { inFlight = [], failures } = channel;
    this.#channels.delete(name);
    for (const { id, serial } of inFlight) {
      const entry = this.#ledger.get(id);
      if (entry === undefined || entry.told[name] >= serial) continue;
      const by = this.#look?.self.name ?? "";
      this.#put({ ...entry, told: { ...entry.told, [name]: serial }, by, toldAt: wallMs });
    }
    if (failures > 0) {
      const text = `alerts are sent again by ${name}, after ${failures} tries that failed`;
      out.push({ kind: "log", level: "notice", text, isForAll: false });
    }
  }

  #failed(name: ChannelName, reason: string, now: number, out: AlertAction[]): void {
    const channel = this.#channel(name);
    const pauseMs = Math.min(retryMs.most, retryMs.first * 2 ** Math.min(channel.failures, 20));
    const failed = new Set((channel.inFlight ?? []).map(keyOf));
    if (channel.failures === 0 || channel.fault !== reason) {
      const text = `an alert could not be sent by ${name}, and is tried again: ${reason}`;
      out.push({ kind: "log", level: "error", text, isForAll: false });
    }
    this.#channels.set(name, {
      ...{ inFlight: undefined, failures: channel.failures + 1, nextAt: now + pauseMs },
      ...{ triedAt: channel.triedAt, failed, fault: reason },
    });
  }

  #channel(name: ChannelName): Channel {
    const known = this.#channels.get(name);
    if (known !== undefined) return known;
    const channel: Channel = {
      ...{ inFlight: undefined, failures: 0, nextAt: 0, triedAt: Number.NEGATIVE_INFINITY },
      ...{ failed: new Set<string>(), fault: "" },
    };
    this.#channels.set(name, channel);
    return channel;
  }

  #put(entry: Entry): void {
    this.#change(new Map(this.#ledger).set(entry.id, entry));
  }

  #isOpen(id: string): boolean {
    const entry = this.#ledger.get(id);
    return entry !== undefined && isOpen(entry);
  }

  /** Channels that have not told the newest. */
  #untold({ told, serial }: Entry): readonly ChannelName[] {
    const names = this.#look?.rules.channels ?? channelNames;
    return names.filter((name) => told[name] < serial);
  }

  #delayOf(id: string, { rules }: Look, now: number): number {
    if (kindOf(id) !== "quorum") return rules.delayMs;
    const isFirst = !this.#wasQuorate && now - (this.#startedAt ?? now) < startMs;
    return isFirst ? Number.POSITIVE_INFINITY : rules.delayMs / 4;
  }

  #clearOf({ id, times }: Entry, { rules }: Look): number {
    const clearMs = kindOf(id) === "quorum" ? rules.clearMs / 4 : rules.clearMs;
    return Math.min(Math.max(clearMs, clearMsMax), clearMs * 2 ** Math.min(times - 1, 20));
  }

  #tellLedger(out: AlertAction[]): void {
    if (!this.#isLedgerNew) return;
    this.#isLedgerNew = false;
    out.push({ kind: "publish", what: "ledger", value: encodeLedger(this.#ledger) });
    out.push({ kind: "store", ledger: this.#ledger });
  }

  #tellSelf(now: number, out: AlertAction[]): void {
    if (this.#look === undefined) return;
    const { conditions, wallMs } = this.#withTimes(this.#look);
    const seen = conditions.map(({ id, state, since = wallMs }) => ({ id, since, state }));
    const sending = [...this.#channels].flatMap(([channel, { inFlight = [] }]) =>
      inFlight.map(({ id, serial }) => ({ channel, id, serial })),
    );
    const told = { v: 1 as const, ready: this.#group.isReady(now), seen, sending };
    const text = JSON.stringify(told);
    if (text === this.#told && now - this.#toldAt < beatMs) return;
    this.#told = text;
    this.#toldAt = now;
    this.#beat += 1;
    out.push({
      kind: "publish",
      what: "sighting",
      value: encodeSighting({ ...told, beat: this.#beat }),
    });
  }

  // For whoever looks.

  get entries(): readonly Entry[] {
    return [...this.#ledger.values()];
  }

  /** What of an alert is seen now; undefined: it is not, or not judged here. */
  seen(id: string): Seen | undefined {
    return this.#seen.get(id);
  }

  /** nodeid of who sends in this part, as this member knows it; undefined: nobody yet. */
  get sender(): number | undefined {
    return this.#look === undefined
      ? undefined
      : this.#group.sender(this.#look.self.nodeid, this.#now);
  }

  /** This node sends at this time. */
  get isSending(): boolean {
    return this.#mayAct;
  }

  /** Why the last try of a channel failed, a sentence; "": it did not. */
  faultOf(name: ChannelName): string {
    return this.#channels.get(name)?.fault ?? "";
  }
}

export function isMuted(id: string, { rules, wallMs }: Pick<Look, "rules" | "wallMs">): boolean {
  return [id, kindOf(id)].some((name) => (rules.mutes.get(name) ?? 0) > wallMs);
}

function itemOf(entry: Entry, channel: ChannelName): Item {
  const { id, serial, since, until, state: what, times } = entry;
  const isKnown = isOpen({ serial: entry.told[channel] }) && entry.told[channel] > 0;
  const state = !isOpen(entry) ? "over" : isKnown ? "still" : "open";
  return { id, serial, state, since, until, what, times };
}
