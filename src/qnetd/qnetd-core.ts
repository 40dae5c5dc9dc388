// The vote server as one pure core: connections and clusters by number and name, one event in, actions out (qnetd.md §0–§2).
//
// How this folder works. `message.ts` is the codec and `frames.ts` cuts the stream; `session.ts` is one connection from preinit to
// disconnect; `cluster.ts` keeps what a cluster's nodes reported and were told and asks one of the algorithms (`ffsplit.ts`,
// `lms.ts`, `two-node-lms.ts`, `test-algorithm.ts`) for votes; `holds.ts` remembers votes that may outlive their connection.
// Nothing is stored: after a restart the clients tell everything again.
//
// Where it differs from corosync-qnetd, each with a test: (1) ffsplit: a late vote info reply never cancels an unsent vote;
// (2) ffsplit, lms, 2nodelms: no vote for one partition while a client lost in silence may count on it in another; (3) lms and
// 2nodelms: nor while a connected one may, and a NACK that takes a vote back is also sent as vote info, to be confirmed; (4) lms: all
// of the partition of a tie-breaker node id wins, and any node id can be the lowest; (5) a second preinit or init changes
// nothing; (6) the certificate is compared again when the cluster name changes; (7) a name with NUL, a list of more than 1024
// nodes and a number above 2^53 are undecodable; (8) StartTLS twice or after init is an unexpected message.
import type { Core, TimerAction } from "../world.ts";
import { Cluster } from "./cluster.ts";
import type { VoteServerConfiguration } from "./configuration.ts";
import {
  logAction,
  type VoteServerAction,
  type VoteServerEvent,
  type VoteServerTimer,
} from "./events.ts";
import { heldUntil } from "./holds.ts";
import { encodeMessage, type Message } from "./message.ts";
import { Session, type SessionCall } from "./session.ts";
import { serverSnapshot, type ServerSnapshot } from "./snapshot.ts";

export class VoteServer implements Core<VoteServerEvent, VoteServerAction> {
  readonly #configuration: VoteServerConfiguration;
  readonly #startedAt: number;
  readonly #sessions = new Map<number, Session>();
  readonly #clusters = new Map<string, Cluster>();
  readonly #connectionsOf = new Map<string, number>();
  #clusterCount = 0;

  /** `startedAt`: when the server started, in the time of `step`'s `now`. */
  constructor(options: {
    readonly configuration: VoteServerConfiguration;
    readonly startedAt: number;
  }) {
    this.#configuration = options.configuration;
    this.#startedAt = options.startedAt;
  }

  step(event: VoteServerEvent, now: number, out: VoteServerAction[]): void {
    const call = this.#call(now, out);
    switch (event.kind) {
      case "connected":
        this.#connected(event, call);
        break;
      case "received":
        this.#sessions.get(event.connection)?.received(event.bytes, call);
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
      case "stopped":
        this.#stop(out);
        break;
      default:
        event satisfies never;
    }
    this.#sweep(event);
  }

  /** What the server knows, for status; `now` as in `step`. */
  snapshot(now: number): ServerSnapshot {
    return serverSnapshot(
      { sessions: this.#sessions.values(), clusters: this.#clusters.values() },
      now,
    );
  }

  #connected(event: VoteServerEvent & { readonly kind: "connected" }, call: SessionCall): void {
    const { connection, address, port } = event;
    const { connectionsMax, connectionsPerAddressMax } = this.#configuration;
    const fromThere = this.#connectionsOf.get(address) ?? 0;
    const isFull = connectionsMax > 0 && this.#sessions.size >= connectionsMax;
    const isFullThere = connectionsPerAddressMax > 0 && fromThere >= connectionsPerAddressMax;
    if (isFull || isFullThere) {
      const why = isFull
        ? `${connectionsMax} clients are connected, the allowed maximum`
        : `${fromThere} clients of this address are connected, the allowed maximum`;
      call.out.push(logAction("error", `Client ${address}:${port} is refused: ${why}`));
      call.out.push({ kind: "close", connection, why });
      return;
    }
    const session = new Session(this.#configuration, { ...event, now: call.now });
    this.#sessions.set(connection, session);
    this.#connectionsOf.set(address, fromThere + 1);
    call.out.push(logAction("debug", `Client ${address}:${port} connected`));
    session.begin(call);
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
      case "hold":
        for (const cluster of this.#clusters.values()) {
          if (cluster.id !== id) continue;
          cluster.released(call);
          if (cluster.isOver) this.#clusters.delete(cluster.name);
          return;
        }
    }
  }

  #stop(out: VoteServerAction[]): void {
    for (const { connection } of this.#sessions.values()) {
      out.push({ kind: "disarm", timer: `dead:${connection}` });
      out.push({ kind: "disarm", timer: `retry:${connection}` });
      out.push({ kind: "close", connection, why: "the server stops" });
    }
    for (const { id } of this.#clusters.values()) {
      out.push({ kind: "disarm", timer: `hold:${id}` });
    }
    this.#sessions.clear();
    this.#clusters.clear();
    this.#connectionsOf.clear();
  }

  /** Forgets what the step has closed. Only the event's own connection can close. */
  #sweep(event: VoteServerEvent): void {
    if (event.kind === "stopped") return;
    const connection =
      event.kind === "timedOut"
        ? Number(event.timer.slice(event.timer.indexOf(":") + 1))
        : event.connection;
    const session = this.#sessions.get(connection);
    if (session === undefined || !session.isClosed) return;
    this.#sessions.delete(connection);
    const fromThere = (this.#connectionsOf.get(session.address) ?? 1) - 1;
    if (fromThere > 0) this.#connectionsOf.set(session.address, fromThere);
    else this.#connectionsOf.delete(session.address);
    const { cluster } = session;
    if (cluster?.isOver) this.#clusters.delete(cluster.name);
  }

  #call(now: number, out: VoteServerAction[]): SessionCall {
    const sendBytes = (connection: number, bytes: Uint8Array): void => {
      out.push({ kind: "send", connection, bytes });
    };
    return {
      now,
      out,
      sendBytes,
      send: (connection: number, message: Message) => sendBytes(connection, encodeMessage(message)),
      timer: (action: TimerAction<VoteServerTimer>) => out.push(action),
      cluster: (name) => this.#cluster(name),
    };
  }

  #cluster(name: string): Cluster {
    const known = this.#clusters.get(name);
    if (known !== undefined) return known;
    this.#clusterCount += 1;
    const cluster = new Cluster({
      id: this.#clusterCount,
      name,
      coldUntil: (heartbeatMs) =>
        this.#configuration.isHoldingAfterStart
          ? heldUntil(this.#startedAt, heartbeatMs)
          : Number.NEGATIVE_INFINITY,
    });
    this.#clusters.set(name, cluster);
    return cluster;
  }
}
