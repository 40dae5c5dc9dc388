// The two ways to the API of a node (pvecm.md §4): the network's, behind TLS and a login, and the local socket's, whose users are root.
import { reasonOf } from "../../result.ts";
import { type Api2, buildApi2, type Metrics } from "../api/api2.ts";
import { type Authenticate, type Forward, rootCaller, type Route } from "../api/route.ts";
import { pageFiles } from "../page/node/page-files.ts";
import { RequestRate } from "../door/admission.ts";
import { Door } from "../door/door.ts";
import type { NodeCertificates } from "./certificates.ts";

/** Lines about faults of handlers: what provokes one may come again and again. */
const faultLines = { perSecond: 1 / 300, burst: 10 } as const;

/** Where the network API listens. */
export interface ApiAddress {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

export interface NodeApiOptions {
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  readonly forward: Forward;
  readonly metrics: Metrics;
  readonly isQuorate: () => boolean;
  /** Of this node in the tree. */
  readonly nodeName: string;
  /** Undefined: nothing on the network. */
  readonly listen: ApiAddress | undefined;
  readonly certificates: NodeCertificates;
  readonly log: (level: "notice" | "warning", text: string) => void;
}

export class NodeApi {
  readonly #options: NodeApiOptions;
  #opening: Promise<void> | undefined;
  readonly #faultRate = new RequestRate(faultLines);
  #faultsUnsaid = 0;
  #door: Door | undefined;
  #fault = "";

  constructor(options: NodeApiOptions) {
    this.#options = options;
  }

  /** For the local socket, which only root (or who runs the node) may open: no login there. */
  localApp(): Api2 {
    return buildApi2({
      routes: this.#options.routes,
      forward: this.#options.forward,
      isQuorate: this.#options.isQuorate,
      nodeName: this.#options.nodeName,
      onFault: (call, error) => this.#note(call, error),
      metrics: this.#options.metrics,
      authenticate: async () => ({ ok: true, caller: rootCaller }),
    });
  }

  /** What keeps the network API from being as it should, sentences with what to do. */
  get faults(): readonly string[] {
    const faults = [this.#fault, this.#door?.fault ?? "", this.#options.certificates.fault];
    return faults.filter((fault) => fault !== "");
  }

  /** Undefined: nothing listens on the network, or not yet. */
  get door(): Door | undefined {
    return this.#door;
  }

  /**
   * Opens the network's way in, beside whatever else starts: a new key takes its time. A port that is taken is no failure: it is tried
   * again.
   */
  open(): void {
    this.#opening = this.#open().catch((error: unknown) => {
      this.#fault = `the HTTPS API could not be started: ${reasonOf(error)}`;
      this.#options.log("warning", this.#fault);
    });
  }

  async close(): Promise<void> {
    await this.#opening;
    await this.#options.certificates.stop();
    await this.#door?.close();
  }

  /** A fault of a handler for the log, with where it came from; not more than some lines an hour. */
  #note(call: string, error: unknown): void {
    if (!this.#faultRate.take("", performance.now())) {
      this.#faultsUnsaid += 1;
      return;
    }
    const place = error instanceof Error ? (error.stack?.split("\n")[1]?.trim() ?? "") : "";
    const unsaid = this.#faultsUnsaid === 0 ? "" : `; ${this.#faultsUnsaid} more were not logged`;
    this.#faultsUnsaid = 0;
    this.#options.log(
      "warning",
      `${call} failed by a fault of this program, please report it: ${reasonOf(error)} ${place}${unsaid}`,
    );
  }

  async #open(): Promise<void> {
    const { listen, routes, authenticate, forward, isQuorate, metrics } = this.#options;
    const { nodeName, certificates, log } = this.#options;
    if (listen === undefined) return;
    const onFault = (call: string, error: unknown): void => this.#note(call, error);
    const shared = { routes, authenticate, forward, isQuorate, nodeName, metrics, onFault };
    const app = buildApi2({ ...shared, page: pageFiles });
    const identity = await certificates.start((next) => this.#door?.present(next));
    this.#door = await Door.open({
      ...listen,
      identity,
      fetch: (request, facts) => app.fetch(request, facts),
      log,
    });
    // What came while the port was opened.
    this.#door.present(certificates.shown ?? identity);
  }
}
