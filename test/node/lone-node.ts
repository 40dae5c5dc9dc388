// One real node on this machine, a process below a root of its own; it ends with `close`.
import { mkdtempSync, readFileSync, rmSync, openSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { NodeClient } from "../../src/shell/api/client.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { type NodePaths, nodePaths } from "../../src/shell/paths.ts";
import { pending, ready, until } from "../interop/wait.ts";

const program = join(import.meta.dir, "../../src/main.ts");
/** Loaded machines start processes slowly; nothing depends on how fast. */
const settleMsMax = 60_000;

/** Where it runs: its address, and the words before a command that put it there. */
export interface Place {
  readonly address: string;
  readonly enter: readonly string[];
}

/** On the loopback; runs of a test at the same time must not meet. */
function anyPlace(): Place {
  const [high, low] = [30 + Math.floor(Math.random() * 200), Math.floor(Math.random() * 250)];
  return { address: `127.${high}.${low}.1`, enter: [] };
}

export class LoneNode {
  readonly root: string;
  readonly name: string;
  readonly paths: NodePaths;
  readonly client: NodeClient;
  readonly address: string;
  readonly #enter: readonly string[];
  #child: Subprocess | undefined;

  constructor(name: string, { address, enter }: Place = anyPlace()) {
    this.name = name;
    this.address = address;
    this.#enter = enter;
    this.root = mkdtempSync(join(tmpdir(), `quorate-${name}-`));
    this.paths = nodePaths(this.root);
    this.client = new NodeClient(this.paths.socket);
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  log(): string {
    return readFileSync(join(this.root, "log"), "utf8");
  }

  /** `more`: words of the command line; `environment`: beside ours. */
  start(
    more: readonly string[] = ["--no-mount", "--no-api"],
    environment: Record<string, string> = {},
  ): void {
    const log = openSync(join(this.root, "log"), "a");
    const command = [process.execPath, program, "node", "--root", this.root, "--name", this.name];
    this.#child = Bun.spawn([...this.#enter, ...command, ...more], {
      stdin: "ignore",
      stdout: log,
      stderr: log,
      env: { ...process.env, ...environment },
      timeout: 15 * 60_000,
      killSignal: "SIGKILL",
    });
    closeSync(log);
  }

  /** Exit code. */
  async ended(): Promise<number> {
    return (await this.#child?.exited) ?? -1;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  stop(): Promise<number> {
    this.signal("SIGTERM");
    return this.ended();
  }

  /** Waits for a status; fails when the node ends meanwhile. */
  async statusWhen(isGood: (status: NodeStatus) => boolean, what: string): Promise<NodeStatus> {
    return until(
      async () => {
        const code = this.#child?.exitCode;
        if (code !== undefined && code !== null) {
          throw new Error(`the node ended with ${code}: ${this.log().trim().split("\n").at(-1)}`);
        }
        const status = await this.client.status().catch(() => undefined);
        if (status !== undefined && isGood(status)) return ready(status);
        return pending(status === undefined ? "no answer" : JSON.stringify(status.quorum));
      },
      settleMsMax,
      what,
    );
  }

  /** A `quorate` command below this root. */
  async run(...words: readonly string[]): Promise<{ code: number; out: string; error: string }> {
    const command = [process.execPath, program, ...words, "--root", this.root];
    const child = Bun.spawn([...this.#enter, ...command], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: 60_000,
      killSignal: "SIGKILL",
    });
    const [out, error] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, out, error };
  }

  async close(): Promise<void> {
    this.signal("SIGKILL");
    await this.#child?.exited;
    rmSync(this.root, { recursive: true });
  }
}
