// Talking by lines with a program of a bench: one question at a time, as JSON, and one line of JSON as its answer. Either side.
import type { Subprocess } from "bun";

export type Talker = Pick<
  Subprocess<"pipe", "pipe", "inherit">,
  "stdin" | "stdout" | "pid" | "exited"
>;

/** The asking side. */
export class Talk {
  readonly #child: Talker;
  readonly #lines: AsyncIterator<string>;

  constructor(child: Talker) {
    this.#child = child;
    this.#lines = linesOf(child.stdout);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Throws when the program ends instead, or takes longer than `deadlineMs`. */
  async ask<T>(question: unknown, deadlineMs: number): Promise<T> {
    const stdin = this.#child.stdin;
    void stdin.write(`${JSON.stringify(question)}\n`);
    await stdin.flush();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        late.reject(new Error(`no answer within ${deadlineMs} ms to ${JSON.stringify(question)}`)),
      deadlineMs,
    );
    try {
      const { done, value } = await Promise.race([this.#lines.next(), late.promise]);
      if (done === true) throw new Error(`it ended and did not answer ${JSON.stringify(question)}`);
      return JSON.parse(value);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the program, which ends by itself when nobody asks any more. */
  async end(): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}

/** The answering side: ends when nobody asks any more. */
export async function answer(act: (question: unknown) => Promise<unknown>): Promise<void> {
  for await (const line of linesOf(Bun.stdin.stream())) {
    process.stdout.write(`${JSON.stringify(await act(JSON.parse(line)))}\n`);
  }
}
