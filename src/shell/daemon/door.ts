// Puts the API of a node together (pvecm.md §4): its routes, served on the network behind TLS and, for root, on the local socket. It shows the
// certificate of the tree; until there is one, a certificate of its own making.
import { hostname, networkInterfaces } from "node:os";
import { reasonOf } from "../../result.ts";
import type { LogAction } from "../../world.ts";
import type { Files } from "../../fs/tree/files.ts";
import { type Api2, buildApi2 } from "../api/api2.ts";
import { clusterRoutes } from "../api/cluster-routes.ts";
import { type Authenticate, rootCaller, type Route } from "../api/route.ts";
import { selfSignedIdentity } from "../certificates/self-signed.ts";
import { Door } from "../door/door.ts";
import type { NodePaths } from "../paths.ts";
import { identity } from "../version.ts";

/** Where the network API listens. */
export interface ApiAddress {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

export interface NodeApiOptions {
  readonly paths: NodePaths;
  readonly files: Files;
  /** Of this node in the tree. */
  readonly nodeName: string;
  /** Undefined: nothing on the network. */
  readonly listen: ApiAddress | undefined;
  readonly log: (line: LogAction) => void;
}

/** The routes of a node, and the two ways to them. */
export class NodeApi {
  readonly #options: NodeApiOptions;
  readonly #routes: readonly Route[];
  #opening: Promise<void> | undefined;
  #door: Door | undefined;
  #fault = "";

  constructor(options: NodeApiOptions) {
    this.#options = options;
    const { files, nodeName } = options;
    this.#routes = clusterRoutes({
      files,
      nodeName,
      version: identity.version,
      commit: identity.commit,
      address: () => ownAddresses()[0],
    });
  }

  /** For the local socket, which only root (or who runs the node) may open: no login there. */
  localApp(): Api2 {
    return buildApi2({
      routes: this.#routes,
      authenticate: async () => ({ ok: true, caller: rootCaller }),
    });
  }

  /** Why the network API does not answer, a sentence with what to do; "" while it does, or was not wanted. */
  get fault(): string {
    return this.#door?.fault ?? this.#fault;
  }

  /**
   * Opens the network's way in, beside whatever else starts: a new key takes its time. A port that is taken is no failure: it is tried
   * again.
   */
  open(authenticate: Authenticate = refuseAll): void {
    this.#opening = this.#open(authenticate).catch((error: unknown) => {
      this.#fault = `the HTTPS API could not be started: ${reasonOf(error)}`;
      this.#log("warning", this.#fault);
    });
  }

  async close(): Promise<void> {
    await this.#opening;
    await this.#door?.close();
  }

  async #open(authenticate: Authenticate): Promise<void> {
    const { listen, paths, nodeName } = this.#options;
    if (listen === undefined) return;
    const app = buildApi2({ routes: this.#routes, authenticate });
    const identityOfOwn = await selfSignedIdentity({
      path: paths.selfSigned,
      name: nodeName,
      alternativeNames: [...new Set(["localhost", nodeName, hostname(), ...ownAddresses()])],
      now: Date.now(),
    });
    this.#door = await Door.open({
      ...listen,
      identity: identityOfOwn,
      fetch: (request, facts) => app.fetch(request, facts),
      log: (level, text) => this.#log(level, text),
    });
  }

  #log(level: LogAction["level"], text: string): void {
    this.#options.log({ kind: "log", level, subsystem: "API", text });
  }
}

/** Until there is somebody who knows users. */
const refuseAll: Authenticate = async () => ({ ok: false, reason: "No ticket" });

/** Addresses of this machine under which others may reach it, IPv4 first. */
function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  return all
    .toSorted((a, b) => Number(a.family === "IPv6") - Number(b.family === "IPv6"))
    .map(({ address }) => address);
}
