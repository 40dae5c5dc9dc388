// One look at a status, or one a second until somebody ends it (--watch).
import { setTimeout as wait } from "node:timers/promises";
import { clearScreen } from "./output.ts";
import { CommandFailure } from "../exit.ts";

const everyMsDefault = 1000;

export interface Sight {
  /** With its end of line. */
  readonly text: string;
  /** The exit code of a single look. */
  readonly code: number;
}

export interface WatchOptions {
  readonly json: boolean;
  readonly watch: boolean;
  /** What is written goes to a screen, which is cleared before each sight; elsewhere one sight follows the other. */
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
  readonly everyMs?: number;
  /** Ends the watch; never, unless a test does. */
  readonly signal?: AbortSignal;
}

/** Throws what the first look throws. Later ones may fail: what is watched may just be restarting, and that is shown. */
export async function watched(look: () => Promise<Sight>, options: WatchOptions): Promise<number> {
  const { json, watch, isTerminal, write, signal, everyMs = everyMsDefault } = options;
  let sight = await look();
  if (!watch) {
    write(sight.text);
    return sight.code;
  }
  for (;;) {
    write(isTerminal && !json ? clearScreen + sight.text : sight.text);
    await wait(everyMs, undefined, { signal }).catch(() => undefined);
    if (signal?.aborted === true) return sight.code;
    sight = await look().catch((error: unknown) => {
      if (!(error instanceof CommandFailure)) throw error;
      const { message, code } = error;
      return { text: json ? `${JSON.stringify({ error: message })}\n` : `${message}\n`, code };
    });
  }
}
