// What a member does for nodes that join: it keeps their places going, by events of tree, ring and clock, and answers their calls.
import { readFileSync } from "node:fs";
import { Deadlines, systemClock } from "../../../deadlines.ts";
import { fileReasonOf, type Result, failure, reasonOf, success } from "../../../result.ts";
import { textOfByteString } from "../../../bytes.ts";
import { joinRoutes } from "../../api/cluster/join-routes.ts";
import type { Route } from "../../api/route.ts";
import { resolvedIn } from "../join/name-check.ts";
import { Places } from "../../join/places.ts";
import { ProbeServer } from "../../join/probe-server.ts";
import { reservationPath } from "../../join/reservation.ts";
import { membersOf } from "../../api/cluster-facts.ts";
import { type StartSource, startRoutes } from "../../join/start-routes.ts";
import { tokensDirectory } from "../../join/token-record.ts";
import { makeToken, sweepTokens, type TokenSource } from "../../join/tokens.ts";
import { situation } from "../../change/situation.ts";
import { clusterAddress } from "../certificates.ts";
import { changePorts } from "./change-ports.ts";
import { superuser } from "./changes.ts";
import { joinChecksOf, reportJoin, startJoin } from "./join-host.ts";
import type { NodeParts } from "./parts.ts";

const basePort = 5405;
const apiPort = 8006;
/** Between two looks at the tokens. */
const sweepMsMin = 1000;
const sweepMsMax = 3_600_000;

export class Joining {
  readonly routes: readonly Route[];
  readonly places: Places;
  readonly #parts: NodeParts;
  readonly #probes: ProbeServer;
  readonly #deadlines: Deadlines<"tend" | "sweep">;
  /** Who waits for the end of the reservation. */
  #waiting: (() => void)[] = [];
  #isStopped = false;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    const { cluster, tree, options, directoryName, log } = parts;
    this.#deadlines = new Deadlines({
      clock: systemClock,
      fire: (timer) => (timer === "tend" ? this.#tend() : this.#sweep()),
    });
    this.#probes = new ProbeServer(() => {
      const { nodeid, nodes } = cluster.settings;
      const own = nodes.find((node) => node.nodeid === nodeid)?.addresses ?? [];
      return new Map(
        own.flatMap((address, link) => (address === undefined ? [] : [[link, address]])),
      );
    });
    this.places = new Places({
      files: tree,
      nodeid: cluster.settings.nodeid,
      ring: () => ({
        isQuorate: cluster.quorum?.quorate ?? false,
        members: cluster.quorum?.members ?? [],
        synced: tree.synced,
      }),
      untilInForce: () =>
        situation(
          changePorts({ tree, cluster, user: superuser, confProblem: async () => "" }),
        ).then(() => "", reasonOf),
      resolve: (conf) => resolvedIn(conf),
      readKey: () => readKey(options.paths.authkey),
      wallS: () => Math.floor(Date.now() / 1000),
      nowMs: () => systemClock.now(),
      grantVotes: async (nodeid, votes) => {
        const granted = await cluster.setVotes(nodeid, votes);
        if (!granted.ok)
          log("notice", `votes of node ${nodeid} come with the reload: ${granted.reason}`);
      },
      logToCluster: (user, text) =>
        tree.statusStore.log({
          ident: user,
          tag: "cluster",
          priority: 5,
          message: new TextEncoder().encode(text),
        }),
      warn: (text) => log("warning", text),
    });
    const asMember = joinRoutes({
      files: tree,
      places: this.places,
      probes: this.#probes,
      nodeName: textOfByteString(directoryName),
      version: options.version,
      linkPort: (link) =>
        cluster.settings.links.find(({ number }) => number === link)?.port ?? basePort + link,
      untilFree: (waitMs) => this.#untilFree(waitMs),
      wallMs: () => Date.now(),
    });
    this.routes = [...asMember, ...startRoutes(this.#startSource())];
    if (parts.mode === "cluster") {
      this.#watch();
      this.#sweep();
    }
  }

  #startSource(): StartSource {
    const { cluster, tree, mode } = this.#parts;
    return {
      files: tree,
      start: (input) => startJoin(this.#parts, input),
      report: (input) => reportJoin(this.#parts, input),
      checks: (input) => joinChecksOf(this.#parts, input),
      makeToken: async (lifetimeS, by) => {
        const made = await makeToken(this.#tokenSource(), lifetimeS, by);
        this.#sweep();
        return made;
      },
      noCluster: () =>
        mode === "cluster"
          ? ""
          : `node '${cluster.settings.name}' is in no cluster that a machine could join: make one first (quorate create NAME)`,
    };
  }

  #tokenSource(): TokenSource {
    const { cluster, tree, options, directoryName } = this.#parts;
    const own = textOfByteString(directoryName);
    return {
      files: tree,
      clusterName: () => cluster.settings.clusterName,
      addresses: () => {
        const { nodelist = {} } = membersOf(tree);
        const others = Object.entries(nodelist).filter(
          ([name, { online }]) => name !== own && online === 1,
        );
        const found = [clusterAddress(tree, own), ...others.map(([, { ip }]) => ip)];
        return [...new Set(found.filter((address) => address !== undefined))];
      },
      port: options.api?.port ?? apiPort,
      wallS: () => Math.floor(Date.now() / 1000),
    };
  }

  /** Tokens that have expired go, by whichever member is first. */
  #sweep(): void {
    sweepTokens(this.#tokenSource()).then(
      (nextS) => {
        if (this.#isStopped || nextS === undefined) return;
        const waitMs = Math.min(sweepMsMax, Math.max(sweepMsMin, nextS * 1000 - Date.now()));
        this.#deadlines.arm("sweep", systemClock.now() + waitMs);
      },
      (error: unknown) => this.#parts.log("warning", `join tokens: ${reasonOf(error)}`),
    );
  }

  stop(): void {
    this.#isStopped = true;
    this.#deadlines.stop();
    this.#probes.close();
    this.#wake();
  }

  #watch(): void {
    const { cluster, tree } = this.#parts;
    tree.onChanged((paths) => {
      if (paths === undefined || paths.includes(reservationPath)) this.#tendSoon();
      if (paths?.some((path) => path.startsWith(tokensDirectory)) === true) this.#sweep();
    });
    tree.onMode(() => this.#tendSoon());
    cluster.onQuorum(() => this.#tendSoon());
  }

  /** Not inside the event: the tree has not ended its turn then. */
  #tendSoon(): void {
    if (!this.#isStopped) this.#deadlines.arm("tend", systemClock.now());
  }

  #tend(): void {
    this.places.tend().then(
      (decision) => {
        if (this.#isStopped) return;
        if (decision.kind === "nothing") this.#wake();
        if (decision.kind === "wait") this.#deadlines.arm("tend", decision.untilMs);
      },
      (error: unknown) =>
        this.#parts.log("error", `a joining node could not be looked after: ${reasonOf(error)}`),
    );
  }

  #untilFree(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = systemClock.after(waitMs, resolve);
      this.#waiting.push(() => {
        end();
        resolve();
      });
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

function readKey(path: string): Result<Uint8Array> {
  try {
    return success(new Uint8Array(readFileSync(path)));
  } catch (error) {
    return failure(
      `the cluster's key cannot be read on this member: ${fileReasonOf(error)}: ask another member`,
    );
  }
}
