// Waiting for something that can be observed, with a deadline. Nothing in the laboratory waits a fixed time and hopes: a
// condition is asked again and again until it holds, and a deadline that passes says what was last seen.

/** What a condition answers: its value, or what it sees instead. */
export type Progress<T> =
  { readonly ready: true; readonly value: T } | { readonly ready: false; readonly seen: string };

/** The condition holds, with what it found. */
export function ready<T>(value: T): Progress<T> {
  return { ready: true, value };
}

/** The condition does not hold yet; `seen` goes into the message if it never does. */
export function pending(seen: string): Progress<never> {
  return { ready: false, seen };
}

/** Between two askings of something cheap, such as a log file. */
const askAgainMs = 25;
/** Between two askings that start a program on every node: more often would load the machine under test. */
export const askToolsAgainMs = 100;

/** Asks `condition` every `everyMs` until it is ready. Throws one sentence when it is not within `deadlineMs`. */
export async function until<T>(
  condition: () => Promise<Progress<T>> | Progress<T>,
  deadlineMs: number,
  what: string,
  everyMs: number = askAgainMs,
): Promise<T> {
  const begun = performance.now();
  for (;;) {
    const progress = await condition();
    if (progress.ready) return progress.value;
    const spentMs = performance.now() - begun;
    if (spentMs >= deadlineMs) {
      throw new Error(`not within ${deadlineMs} ms: ${what}; last seen: ${progress.seen}`);
    }
    await Bun.sleep(Math.min(everyMs, deadlineMs - spentMs));
  }
}

/** Asks `condition` for `durationMs`; throws as soon as it does not hold. For what must NOT happen. */
export async function holds(
  condition: () => Promise<Progress<void>> | Progress<void>,
  durationMs: number,
  what: string,
): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const progress = await condition();
    const spentMs = performance.now() - begun;
    if (!progress.ready) {
      throw new Error(`broken after ${Math.round(spentMs)} ms: ${what}; seen: ${progress.seen}`);
    }
    if (spentMs >= durationMs) return;
    await Bun.sleep(Math.min(200, durationMs - spentMs));
  }
}
