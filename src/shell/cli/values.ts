// What may stand at a place of the command line: how help calls it, what a shell offers for it, which words it takes and what a verb
// gets of them. Each is checked once, before anything is done.

export interface Value<T = unknown> {
  /** As help has it between brackets: "dir", "full|normal". */
  readonly name: string;
  /** What a shell offers: nothing, files, directories, the commands of the table, or `words`. */
  readonly kind: "any" | "file" | "directory" | "command" | "words";
  /** All that is taken, for "words"; else empty. */
  readonly words: readonly string[];
  /** Of a sentence: "--port is …", "`quorate man` takes …". */
  readonly takes: string;
  /** An empty word is as good as any: of a password, or of a script's list. */
  readonly mayBeEmpty: boolean;
  /** Undefined for a word that it does not take. */
  readonly read: (word: string) => T | undefined;
}

const base: Omit<Value<string>, "name"> = {
  kind: "any",
  words: [],
  takes: "a word",
  mayBeEmpty: false,
  read: (given) => given,
};

/** Any word; the verb knows more. */
export function anyWord(name: string): Value<string> {
  return { ...base, name };
}

/** Any word, the empty one too. */
export const text: Value<string> = { ...base, name: "text", mayBeEmpty: true };

/** `takes`: what it is: "a path inside the tree"; `read` as of Value. */
export function parsed<T>(
  name: string,
  takes: string,
  read: (word: string) => T | undefined,
): Value<T> {
  return { ...base, name, takes, read };
}

export function file(name = "file"): Value<string> {
  return { ...base, name, kind: "file" };
}

export const directory: Value<string> = { ...base, name: "dir", kind: "directory" };

/** The name of a command of the table, which the verb looks up. */
export const commandName: Value<string> = { ...base, name: "command", kind: "command" };

/** One of `words`; `name` where all of them would be too long for a line of help. */
export function oneOf<const W extends string>(
  words: readonly W[],
  name: string = words.join("|"),
): Value<W> {
  return {
    ...base,
    name,
    kind: "words",
    words,
    takes: words.length > 3 ? `one of ${words.join(", ")}` : listed(words),
    read: (given) => words.find((each) => each === given),
  };
}

/** A whole number from `min` to `max`; `what`: "number of seconds". */
export function number(name: string, min: number, max: number, what = "number"): Value<number> {
  return parsed(name, `a ${what} from ${min} to ${max}`, (given) => {
    const value = /^\d{1,15}$/.test(given) ? Number(given) : -1;
    return value >= min && value <= max ? value : undefined;
  });
}

export const port = number("port", 1, 65_535);

const unitsMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds, of "30m" or "7d", from `least` on (such as "1m"). */
export function duration(name: string, daysMax: number, least = "1s"): Value<number> {
  const msMin = durationMs(least);
  const takes = `a time such as 30m, 2h or 7d, from ${least} to ${daysMax}d`;
  return parsed(name, takes, (given) => {
    const ms = durationMs(given);
    return ms >= msMin && ms <= daysMax * unitsMs.d ? ms : undefined;
  });
}

/** 0: it is no time. */
function durationMs(given: string): number {
  const unit = Object.entries(unitsMs).find(([letter]) => given.endsWith(letter))?.[1] ?? 0;
  return /^\d{1,6}.$/.test(given) ? Number.parseInt(given, 10) * unit : 0;
}

/** "a, b or c". */
export function listed(words: readonly string[], last = "or"): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1) ?? ""}`;
}
