// Tells the cluster what an upgrade does (U6, U13): lines for the cluster log that all nodes keep, through the node on this machine, which
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

export interface ClusterTellerOptions {
  /** Of the node on this machine. */
  readonly socket: string;
  readonly patienceMs?: number;
  /** For what could not be told. */
  readonly note: (sentence: string) => void;
}

export class ClusterTeller {
  readonly #options: ClusterTellerOptions;
  readonly #client: NodeClient;
  #last: Promise<void> = Promise.resolve();

  constructor(options: ClusterTellerOptions) {
    this.#options = options;
    this.#client = new NodeClient(options.socket, requestMsMax);
  }

  /** Lines arrive in the order in which they are told. */
  tell(event: UpgradeEvent, text: string): void {
    const until = performance.now() + (this.#options.patienceMs ?? patienceMsDefault);
    this.#last = this.#last.then(() => this.#send(event, text, until));
  }

  /** Resolves when everything was told or given up. */
  async end(): Promise<void> {
    await this.#last;
  }

  async #send(event: UpgradeEvent, text: string, until: number): Promise<void> {
    const { level, text: told } = upgradeLine(event, text);
    const message = told.slice(0, clusterLogTextMax);
    const line = { tag: "quorate", priority: priorities[level], message };
    for (;;) {
      try {
        return await this.#client.log(line);
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
