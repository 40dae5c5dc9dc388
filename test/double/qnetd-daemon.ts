// A vote server in a process of its own for tests: started, watched through its log, stopped.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const program = join(import.meta.dir, "qnetd-daemon-program.ts");
/** It ends by itself long before; this is for a test that was killed. */
const deadlineMs = 240_000;
const logMs = 20_000;

export interface DaemonOptions {
  readonly root: string;
  /** Off unless told. */
  readonly tls?: "on";
  /** False: as the original, it waits for no votes of before its start. */
  readonly isWaitingAfterStart?: boolean;
  readonly http?: string;
  readonly connectionsPerAddressMax?: number;
  /** Descriptors that it may open, soft and hard. */
  readonly openFilesMax?: number;
}

export class Daemon {
  readonly #child: Bun.Subprocess<"pipe", "ignore", "pipe">;
  readonly #ended: Promise<number>;
  #wake: () => void = () => undefined;
  log = "";

  private constructor(child: Bun.Subprocess<"pipe", "ignore", "pipe">) {
    this.#child = child;
    this.#ended = this.#read().then(() => child.exited);
  }

  static async start(options: DaemonOptions): Promise<Daemon> {
    const { root, tls, http, connectionsPerAddressMax, openFilesMax } = options;
    const { isWaitingAfterStart = true } = options;
    mkdirSync(root, { recursive: true });
    const words = [
      ...(tls === undefined ? [] : [`tls=${tls}`]),
      ...(isWaitingAfterStart ? [] : ["waiting=off"]),
      ...(http === undefined ? [] : [`http=${http}`]),
      ...(connectionsPerAddressMax === undefined
        ? []
        : [`connectionsPerAddressMax=${connectionsPerAddressMax}`]),
    ];
    const limit = openFilesMax === undefined ? [] : ["prlimit", `--nofile=${openFilesMax}`];
    const child = Bun.spawn([...limit, process.execPath, program, root, ...words], {
      stdin: "pipe",
      stdout: "ignore",
      stderr: "pipe",
      timeout: deadlineMs,
    });
    return new Daemon(child);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The first line that matches, once it is there. */
  async logged(pattern: RegExp): Promise<RegExpExecArray> {
    for (const end = performance.now() + logMs; ;) {
      const found = pattern.exec(this.log);
      if (found !== null) return found;
      if (performance.now() >= end) throw new Error(`not logged: ${pattern}\n${this.log}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, end - performance.now());
      await promise;
      clearTimeout(timer);
    }
  }

  /** The port of the votes. */
  async port(): Promise<number> {
    const [, port = ""] = await this.logged(/vote server is running on \*:(\d+)/);
    return Number(port);
  }

  exited(): Promise<number> {
    return this.#ended;
  }

  async stop(): Promise<number> {
    await this.#child.stdin.end();
    return this.exited();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of this.#child.stderr) {
      this.log += decoder.decode(piece, { stream: true });
      this.#wake();
    }
  }
}
