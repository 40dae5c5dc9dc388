// What a group of members has announced: an entry for each alert, whose newest form wins wherever two are known, so that every member may carry all of
// them and a new sender goes on where the last one was. Pure.
import * as v from "valibot";
import { printable } from "../cli/text-table.ts";
import { decodeJson } from "../stored-json.ts";
import { channelNames, graveness, nameOf, stateCharactersMax } from "./condition.ts";

/** Alerts that are known at a time, those that are over among them. */
export const entriesMax = 64;
/** What a member tells, below the 32 KiB that the status store takes. */
export const tellBytesMax = 30_000;
/** How long one that is over is remembered. */
const keptMs = 7 * 86_400_000;

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const sentence = v.pipe(
  v.string(),
  v.transform((text) => cut(text)),
);
const id = v.pipe(
  v.string(),
  v.check((text) => nameOf(text) !== undefined, "no name of an alert"),
);
const entrySchema = v.object({
  id,
  /** Rises with each change: odd while it is open, even when it is over. From the clock, so that the newest incident wins over one that a member was away with. */
  serial: count,
  /** Unix milliseconds. */
  since: count,
  /** When it was over; 0: it is open. */
  until: count,
  /** When it last changed. */
  at: count,
  state: sentence,
  /** How often it has come within the hour. */
  times: count,
  /** The serial that each channel has told. */
  told: v.object({ webhook: count, mail: count }),
  /** Who told it last, and when; "" and 0: nobody yet. */
  by: v.pipe(
    v.string(),
    v.transform((text) => printable(text).slice(0, 64)),
  ),
  toldAt: count,
});
export type Entry = Readonly<v.InferOutput<typeof entrySchema>>;
export type Ledger = ReadonlyMap<string, Entry>;

export function isOpen({ serial }: Pick<Entry, "serial">): boolean {
  return serial % 2 === 1;
}

/** Odd to open, even to end: above `after`, and of now. */
export function nextSerial(after: number, opens: boolean, wallMs: number): number {
  const now = 2 * Math.floor(wallMs / 1000);
  const least = Math.max(now, after + 1);
  return least % 2 === (opens ? 1 : 0) ? least : least + 1;
}

/** The same whatever the order: of two entries the newer one, with all that either has told of it. */
export function newer(a: Entry, b: Entry): Entry {
  const [first, second] = isBefore(a, b) ? [b, a] : [a, b];
  const told = {
    webhook: Math.max(first.told.webhook, second.told.webhook),
    mail: Math.max(first.told.mail, second.told.mail),
  };
  const last = a.toldAt > b.toldAt || (a.toldAt === b.toldAt && a.by >= b.by) ? a : b;
  return { ...first, told, by: last.by, toldAt: last.toldAt };
}

function isBefore(a: Entry, b: Entry): boolean {
  if (a.serial !== b.serial) return a.serial < b.serial;
  return JSON.stringify(a) < JSON.stringify(b);
}

/** Undefined: nothing new was in it. */
export function merged(ledger: Ledger, others: Iterable<Entry>): Ledger | undefined {
  const all = new Map(ledger);
  let isChanged = false;
  for (const entry of others) {
    const known = all.get(entry.id);
    const next = known === undefined ? entry : newer(known, entry);
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(next)) continue;
    all.set(entry.id, next);
    isChanged = true;
  }
  return isChanged ? bounded(all) : undefined;
}

/** Open ones first, the gravest of them first; then what was over last. */
function byWorth(a: Entry, b: Entry): number {
  return (
    Number(isOpen(b)) - Number(isOpen(a)) ||
    (isOpen(a) ? graveness(a.id) - graveness(b.id) : b.at - a.at) ||
    (a.id < b.id ? -1 : 1)
  );
}

function bounded(ledger: Ledger): Ledger {
  if (ledger.size <= entriesMax) return ledger;
  const kept = [...ledger.values()].toSorted(byWorth).slice(0, entriesMax);
  return new Map(kept.map((entry) => [entry.id, entry]));
}

/** Without what was over long ago; undefined: nothing was. `wallMs`: Unix milliseconds. */
export function swept(ledger: Ledger, wallMs: number): Ledger | undefined {
  const kept = [...ledger].filter(([, entry]) => isOpen(entry) || wallMs - entry.at < keptMs);
  return kept.length === ledger.size ? undefined : new Map(kept);
}

export function encodeLedger(ledger: Ledger): Uint8Array {
  return fitted([...ledger.values()].toSorted(byWorth), (entries) => ({ v: 1, entries }));
}

const ledgerSchema = v.object({
  v: v.literal(1),
  entries: v.pipe(v.array(entrySchema), v.maxLength(entriesMax)),
});

/** What another member, or the disk, has; empty where it is none of ours, whatever it is. */
export function decodeLedger(bytes: Uint8Array): readonly Entry[] {
  const read = decoded(ledgerSchema, bytes);
  return read?.entries ?? [];
}

const seenMax = 64;
const seenSchema = v.object({
  v: v.literal(1),
  /** Rises, so that silence is heard. */
  beat: count,
  /** Its tree is the cluster's, and it has heard the others. */
  ready: v.boolean(),
  seen: v.pipe(v.array(v.object({ id, since: count, state: sentence })), v.maxLength(seenMax)),
  /** What it is sending at this moment. */
  sending: v.pipe(
    v.array(v.object({ channel: v.picklist(channelNames), id, serial: count })),
    v.maxLength(2 * entriesMax),
  ),
});
/** What a member says of itself. */
export type Sighting = Readonly<v.InferOutput<typeof seenSchema>>;

/** The gravest stay when there are too many. */
export function encodeSighting(sighting: Sighting): Uint8Array {
  const all = sighting.seen.toSorted((a, b) => graveness(a.id) - graveness(b.id));
  return fitted(all.slice(0, seenMax), (seen) => ({ ...sighting, seen }));
}

export function decodeSighting(bytes: Uint8Array): Sighting | undefined {
  return decoded(seenSchema, bytes);
}

/** With the NUL at its end that the originals' values have. */
function fitted<Item>(
  items: readonly Item[],
  whole: (items: readonly Item[]) => unknown,
): Uint8Array {
  const left = [...items];
  for (;;) {
    const bytes = new TextEncoder().encode(`${JSON.stringify(whole(left))}\0`);
    if (bytes.length <= tellBytesMax || left.length === 0) return bytes;
    left.pop();
  }
}

function decoded<T>(schema: v.GenericSchema<unknown, T>, bytes: Uint8Array): T | undefined {
  if (bytes.length > tellBytesMax) return undefined;
  const text = new TextDecoder().decode(bytes).replace(/\0+$/, "");
  const read = decodeJson(schema, text, tellBytesMax);
  return read.ok ? read.value : undefined;
}

/** One line that steers nothing. */
export function cut(text: string): string {
  const line = printable(text, " ").trim();
  return line.length > stateCharactersMax ? `${line.slice(0, stateCharactersMax - 1)}…` : line;
}
