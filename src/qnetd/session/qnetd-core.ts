// The vote server as one pure core: connections and clusters by number and name, one event in, actions out (qnetd.md §0–§2).
//
// How this folder works. `message.ts` is the codec and `frames.ts` cuts the stream; `session.ts` is one connection from preinit to
// disconnect; `cluster.ts` keeps what a cluster's nodes reported and the votes they got and asks one of the algorithms (`ffsplit.ts`,
// `lms.ts`, `two-node-lms.ts`, `test-algorithm.ts`) for votes; `outstanding-votes.ts` has votes that may outlive their connection.
// Nothing is stored: after a restart the clients report everything again.
//
// Where it differs from corosync-qnetd, each with a test: (1) ffsplit: a late vote info reply never cancels an unsent vote; (2)
// ffsplit, lms, 2nodelms: no vote for one partition while a client lost in silence may count on it in another; (3) lms and 2nodelms:
// nor while a connected one may, and a NACK that takes a vote back is also sent as vote info, to be confirmed; (4) lms: all of the
// partition of a tie-breaker node id wins, also when that node itself is not connected, and any node id can be the lowest; (5) a
// second preinit or init changes nothing; (6) the certificate is compared again when the cluster name changes; (7) a name with NUL, a
// list of more than 1024 nodes and a number above 2^53 are undecodable; (8) StartTLS twice or after init is an unexpected message; (9)
// lms, 2nodelms: a refused node is decided on again by itself; (10) ffsplit: no vote for a client without lists; (11) lms:
// the asking node counts with what it reports now, not by its old ring, so that it waits where the original refuses for a moment;
// (12) a cluster that has a certificate is refused without TLS; a verified client takes its node's place from one that is not, and
// from its own former connection when that is silent.
import type { Core, TimerAction } from "../../world.ts";
import { Admission, listedMax, newcomersMax } from "../server/admission.ts";
import { CertifiedNames } from "./certified-names.ts";
import { Cluster } from "../vote/cluster.ts";
import type { VoteServerConfiguration } from "../server/configuration.ts";
import {
  logAction,
  type VoteServerAction,
  type VoteServerEvent,
  type VoteServerTimer,
} from "./events.ts";
import { outstandingUntil } from "../vote/outstanding-votes.ts";
import { KnownClusters } from "./known-clusters.ts";
import { encodeMessage, type Message } from "./message.ts";
import { Session, type SessionCall } from "./session.ts";
import { serverSnapshot, type ServerSnapshot } from "./snapshot.ts";
import { newCounters, type ServerCounters } from "./counters.ts";

/**
 * Clusters without clients that are kept because votes of theirs may still be in use, and that no client with a certificate has
 * joined. A vote that may be in use is never forgotten: at the limit such clusters are refused that are not here yet. The others
 * are as many as the authority issues certificates for.
 */
export const emptyClustersMax = 1024;

export class VoteServer implements Core<VoteServerEvent, VoteServerAction> {
  readonly #configuration: VoteServerConfiguration;
  readonly #startedAt: number;
  readonly #sessions = new Map<number, Session>();
  readonly #clusters = new Map<string, Cluster>();
  /** Of those without clients: without a certificate. */
  readonly #emptyClusters = new Set<Cluster>();
  readonly #admission: Admission;
  readonly #certified = new CertifiedNames();
  readonly #known = new KnownClusters();
  /** What this step may have changed. */
  readonly #touched = new Set<Cluster>();
  readonly #counters = newCounters();
  #clusterCount = 0;

  /** `startedAt`: when the server started, in the time of `step`'s `now`. */
  constructor(options: {
    readonly configuration: VoteServerConfiguration;
    readonly startedAt: number;
  }) {
    this.#configuration = options.configuration;
    this.#startedAt = options.startedAt;
    const { tls, isClientCertificateRequired } = options.configuration;
    const isVerifying = tls !== "off" && isClientCertificateRequired;
    this.#admission = new Admission({
      ...options.configuration,
      isVerifying,
      newcomersMax,
      listedMax,
    });
  }

  step(event: VoteServerEvent, now: number, out: VoteServerAction[]): void {
    const call = this.#call(now, out);
    switch (event.kind) {
      case "connected":
        this.#connected(event, call);
        break;
      case "received":
        this.#received(event.connection, event.bytes, call);
        break;
      case "tlsDone":
        this.#sessions.get(event.connection)?.tlsDone(event.certificate, call);
        break;
      case "congested":
        if (event.queued > this.#configuration.sendQueueMax) {
          this.#sessions.get(event.connection)?.close("does not read what it is sent", call);
        }
        break;
      case "closed":
        this.#closed(event.connection, event.isPeerAware, call);
        break;
      case "timedOut":
        this.#timedOut(event.timer, call);
        break;
      case "certified":
        this.#certified.issued(event.names);
        this.#known.issued(event.names);
        break;
      case "stopped":
        this.#stop(out);
        break;
      default:
        event satisfies never;
    }
    this.#sweep(event);
    for (const cluster of this.#touched) {
      this.#known.observe(cluster, {
        now,
        out,
        addressOf: ({ connection }) => this.#sessions.get(connection)?.address ?? "",
      });
    }
    this.#touched.clear();
  }

  /** What the server knows, for status; `now` as in `step`. */
  snapshot(now: number): ServerSnapshot {
    return serverSnapshot(
      {
        sessions: this.#sessions.values(),
        clusters: this.#clusters.values(),
        known: this.#known,
        certified: this.#certified,
      },
      now,
    );
  }

  /** Clusters that are kept, those without clients too. */
  get clusters(): number {
    return this.#clusters.size;
  }

  /** What has happened since the start. */
  get counters(): Readonly<ServerCounters> {
    return this.#counters;
  }

  #connected(event: VoteServerEvent & { readonly kind: "connected" }, call: SessionCall): void {
    const { connection, address, port } = event;
    const admitted = this.#admission.admit(connection, address);
    if (admitted.kind === "refused") {
      const { why } = admitted;
      this.#counters.refused += 1;
      call.out.push(logAction("error", `Client ${address}:${port} is refused: ${why}`));
      call.out.push({ kind: "close", connection, why });
      return;
    }
    if (admitted.evicted !== undefined) {
      this.#evict(admitted.evicted, "has not said who it is, and others wait", call);
    }
    this.#counters.accepted += 1;
    const session = new Session(this.#configuration, { ...event, now: call.now });
    this.#sessions.set(connection, session);
    call.out.push(logAction("debug", `Client ${address}:${port} connected`));
    session.begin(call);
  }

  #received(connection: number, bytes: Uint8Array, call: SessionCall): void {
    const session = this.#sessions.get(connection);
    if (session === undefined) return;
    session.received(bytes, call);
    if (session.isClosed) return;
    const greediest = this.#admission.listed(connection, session.listed);
    if (greediest === undefined) return;
    this.#evict(greediest, "reports more nodes than there is room for", call);
  }

  #evict(connection: number, why: string, call: SessionCall): void {
    this.#counters.evicted += 1;
    this.#sessions.get(connection)?.close(why, call);
    this.#forget(connection);
  }

  #closed(connection: number, isPeerAware: boolean, call: SessionCall): void {
    const session = this.#sessions.get(connection);
    if (session === undefined) return;
    session.ended(isPeerAware, call);
    call.out.push(logAction("debug", `Client ${session.address}:${session.port} disconnected`));
  }

  #timedOut(timer: VoteServerTimer, call: SessionCall): void {
    const colon = timer.indexOf(":");
    const id = Number(timer.slice(colon + 1));
    const session = this.#sessions.get(id);
    switch (timer.slice(0, colon)) {
      case "dead": {
        const silentMs = session === undefined ? 0 : call.now - session.heardAt;
        return session?.close(`has been silent for ${Math.round(silentMs)} ms`, call);
      }
      case "retry": {
        const { client, cluster } = session ?? {};
        if (client !== undefined) cluster?.retry(client, call);
        return;
      }
      case "outstanding":
        for (const cluster of this.#clusters.values()) {
          if (cluster.id !== id) continue;
          cluster.released(call);
          this.#touched.add(cluster);
          if (cluster.isOver) this.#drop(cluster);
          return;
        }
    }
  }

  #stop(out: VoteServerAction[]): void {
    for (const { connection } of this.#sessions.values()) {
      this.#admission.left(connection);
      out.push({ kind: "disarm", timer: `dead:${connection}` });
      out.push({ kind: "disarm", timer: `retry:${connection}` });
      out.push({ kind: "close", connection, why: "the server stops" });
    }
    for (const { id } of this.#clusters.values()) {
      out.push({ kind: "disarm", timer: `outstanding:${id}` });
    }
    this.#sessions.clear();
    this.#clusters.clear();
    this.#emptyClusters.clear();
  }

  /** Forgets what the step has closed: only the event's own connection, for one that was evicted is forgotten at once. */
  #sweep(event: VoteServerEvent): void {
    if (event.kind === "stopped" || event.kind === "certified") return;
    const connection =
      event.kind === "timedOut"
        ? Number(event.timer.slice(event.timer.indexOf(":") + 1))
        : event.connection;
    const session = this.#sessions.get(connection);
    if (session === undefined) return;
    if (session.cluster !== undefined) {
      this.#emptyClusters.delete(session.cluster);
      this.#touched.add(session.cluster);
    }
    if (session.isClosed) this.#forget(connection);
  }

  #forget(connection: number): void {
    const cluster = this.#sessions.get(connection)?.cluster;
    this.#sessions.delete(connection);
    this.#admission.left(connection);
    if (cluster !== undefined) this.#touched.add(cluster);
    if (cluster === undefined || cluster.clients.length > 0) return;
    if (cluster.isOver) return this.#drop(cluster);
    if (!cluster.isVerified) this.#emptyClusters.add(cluster);
  }

  #drop(cluster: Cluster): void {
    this.#emptyClusters.delete(cluster);
    this.#clusters.delete(cluster.name);
  }

  #call(now: number, out: VoteServerAction[]): SessionCall {
    const sendBytes = (connection: number, bytes: Uint8Array): void => {
      out.push({ kind: "send", connection, bytes });
    };
    const call: SessionCall = {
      now,
      out,
      sendBytes,
      send: (connection: number, message: Message) => {
        if (message.vote !== undefined) this.#counters.votes += 1;
        sendBytes(connection, encodeMessage(message));
      },
      counters: this.#counters,
      timer: (action: TimerAction<VoteServerTimer>) => out.push(action),
      cluster: (name) => this.#cluster(name),
      find: (name) => this.#clusters.get(name),
      certified: this.#certified,
      settle: (connection, { isVerified, isNewCluster }) => {
        if (isNewCluster && !isVerified && this.#emptyClusters.size >= emptyClustersMax) {
          return `the votes of ${emptyClustersMax} clusters that were lost in silence may still be in use, the allowed maximum`;
        }
        const settled = this.#admission.introduced(connection, isVerified);
        if (settled.kind === "refused") return settled.why;
        if (settled.evicted !== undefined) {
          this.#evict(
            settled.evicted,
            "has no certificate, and one that has needs its place",
            call,
          );
        }
        return undefined;
      },
      evict: (connection, why) => this.#evict(connection, why, call),
      duplicateNode: (cluster, nodeId, address) => {
        const other = cluster.clients.find((client) => client.nodeId === nodeId);
        const own = this.#sessions.get(other?.connection ?? 0)?.address;
        return own === undefined || own === address
          ? ""
          : this.#known.duplicateNode(cluster, { nodeId, own, other: address }, now);
      },
    };
    return call;
  }

  #cluster(name: string): Cluster {
    const known = this.#clusters.get(name);
    if (known !== undefined) return known;
    this.#clusterCount += 1;
    const cluster = new Cluster({
      id: this.#clusterCount,
      name,
      coldUntil: (heartbeatMs) =>
        this.#configuration.isWaitingAfterStart
          ? outstandingUntil(this.#startedAt, heartbeatMs)
          : Number.NEGATIVE_INFINITY,
    });
    this.#clusters.set(name, cluster);
    return cluster;
  }
}
