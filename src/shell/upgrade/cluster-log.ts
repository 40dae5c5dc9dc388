// Writes what an upgrade does (U6, U13) to the cluster log, which all nodes keep, through the node on this machine, which
// may be restarting just then. An upgrade never waits for it.
import { setTimeout as wait } from "node:timers/promises";
import { reasonOf } from "../../result.ts";
import { NodeClient } from "../api/client.ts";
import { type ClusterLogLine, clusterLogTextMax } from "../api/cluster-log-line.ts";
import type { UpgradeEvent } from "./events.ts";
import { upgradeLine, type UpgradeLine } from "./upgrade-line.ts";

const requestMsMax = 2000;
const retryMs = 500;
/** A node that restarts answers in a few seconds. */
const patienceMsDefault = 30_000;

/** As syslog has them; what is in order is no more than information to the other nodes. */
const priorities: Readonly<Record<UpgradeLine["level"], ClusterLogLine["priority"]>> = {
  notice: 6,
  warning: 4,
  error: 3,
};

export interface ClusterLogOptions {
  /** Of the node on this machine. */
  readonly socket: string;
  readonly patienceMs?: number;
  /** For a line that could not be sent. */
  readonly note: (sentence: string) => void;
}

export class ClusterLog {
  readonly #options: ClusterLogOptions;
  readonly #client: NodeClient;
  #last: Promise<void> = Promise.resolve();

  constructor(options: ClusterLogOptions) {
    this.#options = options;
    this.#client = new NodeClient(options.socket, requestMsMax);
  }

  /** Lines arrive in the order in which they were added. */
  add(event: UpgradeEvent, text: string): void {
    const until = performance.now() + (this.#options.patienceMs ?? patienceMsDefault);
    this.#last = this.#last.then(() => this.#send(event, text, until));
  }

  /** Resolves when every line was sent or given up. */
  async end(): Promise<void> {
    await this.#last;
  }

  async #send(event: UpgradeEvent, text: string, until: number): Promise<void> {
    const { level, text: line } = upgradeLine(event, text);
    const message = line.slice(0, clusterLogTextMax);
    const entry = { tag: "quorate", priority: priorities[level], message };
    for (;;) {
      try {
        return await this.#client.log(entry);
      } catch (fault) {
        if (performance.now() < until) {
          await wait(retryMs);
          continue;
        }
        const reason = reasonOf(fault);
        return this.#options.note(`the cluster's log does not have "${event}": ${reason}`);
      }
    }
  }
}
