// `corosync-cmapctl -t` and `-T`: what becomes of keys, a line a change. The node is asked again and again: a change that is taken back
// within a fraction of a second is not seen, and nothing piles up for a reader that is slow.
import type { MapEntry } from "../cmap/map-entry.ts";
import { entryLine } from "../cmap/map-value.ts";

const everyMs = 200;

export interface TrackOptions {
  readonly read: () => Promise<readonly MapEntry[]>;
  readonly isTracked: (key: string) => boolean;
  readonly write: (text: string) => void;
  readonly isBinaryShown: boolean;
  /** Resolves when the operator has had enough. */
  readonly untilQuit: () => Promise<void>;
}

/** Returns when the operator has had enough; rejects when the node gives no answer. */
export async function trackKeys(options: TrackOptions): Promise<void> {
  const { read, isTracked, write, isBinaryShown, untilQuit } = options;
  const look = async (): Promise<Map<string, MapEntry>> => {
    const entries = await read();
    return new Map(entries.filter(({ key }) => isTracked(key)).map((entry) => [entry.key, entry]));
  };
  let before = await look();
  write('Type "q" to finish\n');
  const state = { isOver: false };
  const over = untilQuit().then(() => void (state.isOver = true));
  const say = (word: string, entry: MapEntry): void =>
    write(`${word}> ${entryLine(entry, isBinaryShown)}\n`);
  while (!state.isOver) {
    const { promise: pause, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, everyMs);
    await Promise.race([pause, over]);
    clearTimeout(timer);
    // Once more at the end: what has changed until then is told.
    const after = await look();
    for (const { word, entry } of changes(before, after)) say(word, entry);
    before = after;
  }
}

export interface KeyChange {
  readonly word: "create" | "modify" | "delete";
  readonly entry: MapEntry;
}

/** New and changed keys by name, then those that are gone, with their last value. */
export function changes(
  before: ReadonlyMap<string, MapEntry>,
  after: ReadonlyMap<string, MapEntry>,
): KeyChange[] {
  const found: KeyChange[] = [];
  for (const [key, entry] of after) {
    const old = before.get(key);
    if (old === undefined) found.push({ word: "create", entry });
    else if (old.value !== entry.value || old.type !== entry.type) {
      found.push({ word: "modify", entry });
    }
  }
  for (const [key, entry] of before) if (!after.has(key)) found.push({ word: "delete", entry });
  return found;
}
