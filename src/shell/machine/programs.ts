// Programs of this machine that answer a request of the API (journalctl, systemctl) or take a mail (sendmail): bounded in number, time and output, read as the output comes, so
// that no request holds the daemon up.
import { reasonOf } from "../../result.ts";

/** At once; more wait for their turn. */
const runningMax = 4;
const waitingMax = 32;
const wordsCharactersMax = 400;
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface ProgramRun {
  /** Milliseconds; then it is killed. */
  readonly waitMs: number;
  /** What it printed; false: that is enough, and it is killed. */
  readonly onOutput: (bytes: Uint8Array) => boolean;
  /** For its standard input; absent: nothing. */
  readonly input?: Uint8Array;
  /** Beside PATH and LC_ALL. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ProgramEnd {
  /** "exited": by itself; "enough": by `onOutput`; "late": by its time; "absent": it is not there, or cannot be started. */
  readonly kind: "exited" | "enough" | "late" | "absent";
  /** Of one that exited, else -1. */
  readonly code: number;
  /** What it complained of, one line; "": nothing. */
  readonly words: string;
}

/** Runs a program without a shell. Never rejects. */
export type RunProgram = (command: readonly string[], run: ProgramRun) => Promise<ProgramEnd>;

/** `path`: where programs are, as in PATH. */
export function programRunner(path: string = searchPath): RunProgram {
  const queue = new Turns(runningMax, waitingMax);
  return async (command, run) => {
    if (!(await queue.enter())) {
      return { kind: "absent", code: -1, words: "too many requests of its kind are under way" };
    }
    try {
      return await runOne(path, command, run);
    } catch (error) {
      return { kind: "absent", code: -1, words: oneLine(reasonOf(error)) };
    } finally {
      queue.leave();
    }
  };
}

/** The whole output as text, cut at `bytesMax`. */
export async function outputOf(
  run: RunProgram,
  command: readonly string[],
  limits: { readonly waitMs: number; readonly bytesMax: number },
): Promise<ProgramEnd & { readonly text: string }> {
  const chunks: Uint8Array[] = [];
  let left = limits.bytesMax;
  const end = await run(command, {
    waitMs: limits.waitMs,
    onOutput: (bytes) => {
      chunks.push(bytes.slice(0, left));
      left -= bytes.length;
      return left > 0;
    },
  });
  return { ...end, text: new TextDecoder().decode(Buffer.concat(chunks)) };
}

async function runOne(
  path: string,
  [program = "", ...rest]: readonly string[],
  { waitMs, onOutput, input, environment }: ProgramRun,
): Promise<ProgramEnd> {
  const file = Bun.which(program, { PATH: path });
  if (file === null) return { kind: "absent", code: -1, words: `there is no ${program} here` };
  const child = Bun.spawn([file, ...rest], {
    stdin: input ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: path, LC_ALL: "C.UTF-8", ...environment },
  });
  const readers = [child.stdout.getReader(), child.stderr.getReader()] as const;
  let kind: ProgramEnd["kind"] = "exited";
  const kill = (why: "enough" | "late"): void => {
    if (kind === "exited") kind = why;
    child.kill("SIGKILL");
    // A child of its own may hold them open.
    for (const reader of readers) void reader.cancel();
  };
  const timer = setTimeout(() => kill("late"), waitMs);
  try {
    const [output, complaints] = readers;
    let words = "";
    await Promise.all([
      readAll(output, (bytes) => {
        if (kind === "exited" && !onOutput(bytes)) kill("enough");
      }),
      // Read to its end, so that its writer goes on.
      readAll(complaints, (bytes) => {
        if (words.length < wordsCharactersMax) words += new TextDecoder().decode(bytes);
      }),
    ]);
    const code = await child.exited;
    return { kind, code: kind === "exited" ? code : -1, words: oneLine(words) };
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

async function readAll(
  reader: { read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }> },
  take: (bytes: Uint8Array) => void,
): Promise<void> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (value !== undefined) take(value);
  }
}

function oneLine(text: string): string {
  return text
    .trim()
    .replace(/[\p{C}\s]+/gu, " ")
    .slice(0, wordsCharactersMax);
}

/** Lets so many in at once; the others wait in a row. */
class Turns {
  #free: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];

  constructor(runningMost: number, waitingMost: number) {
    this.#free = runningMost;
    this.#waitingMax = waitingMost;
  }

  /** False: there is no place in the row either. */
  async enter(): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    if (this.#waiting.length >= this.#waitingMax) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
    return true;
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
