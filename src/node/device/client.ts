// The quorum device client, model net (qnetd.md §3): reports to a vote server what our node sees and hands its votes to votequorum.
// Pure. It must never let a vote stand that the server gave for another ring, nor wait in silence where a NACK can be polled.
import { ringText, type Core, type Level, type Random, type RingId } from "../../world.ts";
import type { Vote } from "../../qnetd/session/message.ts";
import { deviceSettings, type DeviceSettings } from "./device-settings.ts";
import type {
  DeviceAction,
  DeviceEvent,
  DeviceSnapshot,
  DeviceTimer,
  DeviceStatus,
} from "./events.ts";
import type { Fault } from "./handshake.ts";
import { HeuristicsRuns } from "./heuristics.ts";
import { SequenceCounter, Session } from "./session.ts";
import { deviceSnapshot } from "./device-snapshot.ts";
import { Voting } from "./voting.ts";

/** After a refusal that only an operator can end. The original's daemon ends there and waits for one. */
export const refusedRetryMs = 60_000;
/** Of the interval between two polls: the longest random pause before a reconnect. */
const pauseShare = 0.9;

type EventOf<K extends DeviceEvent["kind"]> = Extract<DeviceEvent, { readonly kind: K }>;

export interface DeviceClientOptions {
  readonly settings: DeviceSettings;
  readonly random: Random;
}

export class DeviceClient implements Core<DeviceEvent, DeviceAction> {
  #settings: DeviceSettings;
  readonly #random: Random;
  /** votequorum's name for us: it stays until the end. */
  readonly #name: string;
  readonly #voting: Voting;
  readonly #heuristics: HeuristicsRuns;
  readonly #counter = new SequenceCounter();
  #registration: "none" | "asked" | "done" | "refused" = "none";
  #isStopped = false;
  #membership: { readonly ring: RingId; readonly members: readonly number[] } | undefined;
  #quorum: EventOf<"quorumChanged"> | undefined;
  #session: Session | undefined;
  #sessions = 0;
  /** Why the configuration in force allows no device; undefined: it does. */
  #settingsFault: string | undefined;
  #problem = "not registered yet";
  #hasFailed = false;

  constructor(options: DeviceClientOptions) {
    this.#settings = options.settings;
    this.#random = options.random;
    this.#name = options.settings.advanced.votequorumDeviceName;
    this.#voting = new Voting(options.settings.castVoteMs, this.#name);
    this.#heuristics = new HeuristicsRuns(options.settings.heuristics);
  }

  /** After `stopped` every event is ignored. */
  step(event: DeviceEvent, now: number, out: DeviceAction[]): void {
    if (this.#isStopped) return;
    this.#take(event, now, out);
    const fault = this.#session?.fault;
    if (fault !== undefined) this.#disconnect(fault, now, out);
  }

  #take(event: DeviceEvent, now: number, out: DeviceAction[]): void {
    switch (event.kind) {
      case "nodeListChanged":
        return this.#nodeListChanged(event, now, out);
      case "quorumChanged":
        return this.#quorumChanged(event, now, out);
      case "answered":
        return this.#answered(event, now, out);
      case "connected":
      case "secured":
      case "received":
      case "closed":
        return this.#network(event, now, out);
      case "heuristicsDone":
        return this.#heuristicsDone(event, now, out);
      case "reconfigured":
        return this.#reconfigured(event, now, out);
      case "timedOut":
        return this.#timedOut(event.timer, now, out);
      case "stopped":
        return this.#stop(out);
    }
    event satisfies never;
  }

  snapshot(now: number): DeviceSnapshot {
    return deviceSnapshot({
      settings: this.#settings,
      session: this.#session,
      voting: this.#voting,
      heuristics: this.#heuristics,
      membership: this.#membership,
      quorum: this.#quorum,
      isRegistered: this.#registration === "done",
      hasFailed: this.#hasFailed,
      problem: this.#problem,
      now,
    });
  }

  // votequorum

  #nodeListChanged(event: EventOf<"nodeListChanged">, now: number, out: DeviceAction[]): void {
    const { ring, members } = event;
    this.#membership = { ring, members };
    this.#voting.ringChanged(ring);
    if (this.#registration === "none") return this.#register(out);
    if (this.#registration !== "done") return;
    if (this.#session?.isAccepted !== true) return this.#voting.refuse(now, out);
    if (this.#heuristics.start("membership", out)) this.#sendMembership(out);
  }

  /** Until the server has answered for this ring nothing is polled. */
  #sendMembership(out: DeviceAction[]): void {
    this.#voting.wait(out);
    this.#voting.resume();
    this.#session?.sendMembership(out);
  }

  #quorumChanged(event: EventOf<"quorumChanged">, now: number, out: DeviceAction[]): void {
    const before = this.#quorum;
    this.#quorum = event;
    if (before !== undefined && quorumKey(before) === quorumKey(event)) return;
    if (this.#session?.stage === "connected") this.#session.sendQuorum(out);
    else this.#unserved(now, out);
  }

  /** What the server gave its ACK for has changed and cannot be reported. */
  #unserved(now: number, out: DeviceAction[]): void {
    if (this.#session?.stage === "lists") return; // It will be, in a moment.
    if (this.#voting.vote === "ack") this.#voting.refuse(now, out);
  }

  #register(out: DeviceAction[]): void {
    this.#registration = "asked";
    out.push({ kind: "ask", request: { kind: "register", name: this.#name } });
  }

  #answered({ request, answer }: EventOf<"answered">, now: number, out: DeviceAction[]): void {
    if (request === "register") return this.#registered(answer, now, out);
    // For a ring that passed meanwhile: the next node list callback is on its way.
    if (request !== "poll" || answer === "ok" || answer === "wrongRing") return;
    log(out, "warning", `votequorum refused our vote: ${answer}`);
    if (answer === "notRegistered" && this.#registration === "done") this.#register(out);
  }

  #registered(answer: DeviceStatus, now: number, out: DeviceAction[]): void {
    if (this.#registration !== "asked") return;
    if (answer === "ok") {
      this.#registration = "done";
      if (this.#settings.advanced.masterWins) {
        const request = { kind: "masterWins", name: this.#name, isAllowed: true } as const;
        out.push({ kind: "ask", request });
      }
      if (this.#session === undefined) this.#connect(now, out);
      return;
    }
    this.#registration = "refused";
    const reason =
      answer === "otherName"
        ? `another quorum device than "${this.#name}" is registered in this cluster: remove it on its node first`
        : "quorum device operations are disabled by corosync.conf (see the messages of VOTEQ)";
    this.#tellProblem(`the quorum device is not used: ${reason}`, out);
    out.push({ kind: "arm", timer: "reconnect", at: now + refusedRetryMs });
  }

  #stop(out: DeviceAction[]): void {
    this.#isStopped = true;
    this.#heuristics.end(out);
    for (const timer of ["connect", "reconnect", "heartbeat", "castVote", "heuristics"] as const) {
      out.push({ kind: "disarm", timer });
    }
    if (this.#registration === "done") {
      out.push({ kind: "ask", request: { kind: "unregister", name: this.#name } });
    }
    if (this.#session !== undefined) out.push({ kind: "close", id: this.#session.id });
    this.#session = undefined;
  }

  // Configuration

  #reconfigured({ settings }: EventOf<"reconfigured">, now: number, out: DeviceAction[]): void {
    const read = deviceSettings(settings);
    if (read === undefined) return this.#stop(out);
    const wasFaulty = this.#settingsFault !== undefined;
    this.#settingsFault = read.ok ? undefined : read.reason;
    if (!read.ok) return this.#disconnect({ reason: read.reason, mayRetrySoon: false }, now, out);
    const before = this.#settings;
    const next = read.value;
    this.#settings = next;
    this.#voting.everyMs = next.castVoteMs;
    this.#heuristics.retune(next.heuristics, out);
    if (this.#registration !== "done") return;
    if (serverKey(before) !== serverKey(next) || wasFaulty) {
      const reason = "corosync.conf has other settings for the vote server";
      return this.#disconnect({ reason, mayRetrySoon: true }, now, out);
    }
    const isSame =
      before.nodes.length === next.nodes.length &&
      before.nodes.every((node) =>
        next.nodes.some(
          ({ nodeid, dataCenterId }) =>
            node.nodeid === nodeid && node.dataCenterId === dataCenterId,
        ),
      );
    if (isSame) return;
    if (this.#session?.stage === "connected") this.#session.sendConfig("changedConfig", out);
    else this.#unserved(now, out);
  }

  // The connection

  #connect(now: number, out: DeviceAction[]): void {
    if (this.#settingsFault !== undefined) return;
    const { host, port, ipVersion, connectMs } = this.#settings;
    this.#sessions += 1;
    const id = this.#sessions;
    this.#session = new Session(id, this.#owner(), this.#counter);
    const { netNssQnetdCn, netMaxSendBuffers, netInitialMsgSendSize } = this.#settings.advanced;
    out.push({
      kind: "connect",
      id,
      host,
      port,
      ipVersion,
      timeoutMs: connectMs,
      serverName: netNssQnetdCn,
      unsentBytesMax: netMaxSendBuffers * netInitialMsgSendSize,
    });
    out.push({ kind: "arm", timer: "connect", at: now + connectMs });
  }

  /** What a session sees of us. */
  #owner(): ConstructorParameters<typeof Session>[1] {
    const current = (): DeviceSettings => this.#settings;
    return {
      get settings() {
        return current();
      },
      facts: () => ({
        membership: this.#membership,
        quorum: this.#quorum,
        heuristics: this.#heuristics.last,
      }),
      accepted: (now, out) => this.#accepted(now, out),
      voted: (vote, ring, now, out) => this.#voted(vote, ring, now, out),
    };
  }

  #network(
    event: EventOf<"connected" | "secured" | "received" | "closed">,
    now: number,
    out: DeviceAction[],
  ): void {
    const session = this.#session;
    if (session === undefined || event.id !== session.id) return;
    switch (event.kind) {
      case "connected":
        return session.connected(event.hasCertificate, out);
      case "secured":
        return session.secured(event.sentCertificate);
      case "received":
        return session.received(event.bytes, now, out);
      case "closed":
        return this.#disconnect(event, now, out);
    }
    event satisfies never;
  }

  #accepted(now: number, out: DeviceAction[]): void {
    const { host, port, algorithm, heartbeatMs } = this.#settings;
    out.push({ kind: "disarm", timer: "connect" });
    out.push({ kind: "arm", timer: "heartbeat", at: now + heartbeatMs });
    log(out, "notice", `connected to the vote server ${host}:${port} (${algorithm})`);
    this.#problem = "";
    this.#hasFailed = false;
    if (this.#heuristics.start("connect", out)) this.#sendAll(out);
  }

  #sendAll(out: DeviceAction[]): void {
    this.#voting.wait(out);
    this.#voting.resume();
    this.#session?.sendAll(out);
  }

  #voted(vote: Vote, ring: RingId, now: number, out: DeviceAction[]): void {
    switch (vote) {
      case "ack":
      case "nack":
        if (this.#voting.vote !== vote) {
          log(out, "info", `the vote server says ${vote.toUpperCase()} for ring ${ringText(ring)}`);
        }
        return this.#voting.set(vote, ring, now, out);
      case "askLater":
      case "waitForReply":
        return this.#voting.wait(out);
      case "noChange":
        return;
    }
    vote satisfies never;
  }

  #heuristicsDone(event: EventOf<"heuristicsDone">, now: number, out: DeviceAction[]): void {
    const done = this.#heuristics.done(event.run, event.result, now, out);
    const session = this.#session;
    if (done === undefined || session === undefined) return;
    if (done.isNews) log(out, "notice", `heuristics: ${event.result}`);
    switch (done.purpose) {
      case "connect":
        if (session.stage === "lists") this.#sendAll(out);
        return;
      case "membership":
        if (session.stage === "connected") this.#sendMembership(out);
        return;
      case "regular":
        if (done.isNews && session.stage === "connected") session.sendHeuristics(event.result, out);
        return;
    }
    done.purpose satisfies never;
  }

  // Time

  #timedOut(timer: DeviceTimer, now: number, out: DeviceAction[]): void {
    switch (timer) {
      case "connect":
        return this.#connectTimedOut(now, out);
      case "reconnect":
        if (this.#registration === "refused") return this.#register(out);
        if (this.#session === undefined) this.#connect(now, out);
        return;
      case "heartbeat":
        if (this.#session === undefined) return;
        // Also with lms and wait_for_all, where the original bears with a silent server: the vote is kept without it, and on a
        // connection that is dead the next membership would wait for an answer in vain.
        this.#session.heartbeat(out);
        out.push({ kind: "arm", timer: "heartbeat", at: now + this.#settings.heartbeatMs });
        return;
      case "castVote":
        return this.#voting.timedOut(now, out);
      case "heuristics":
        if (this.#session?.stage === "connected") this.#heuristics.start("regular", out);
        return;
    }
    timer satisfies never;
  }

  #connectTimedOut(now: number, out: DeviceAction[]): void {
    const session = this.#session;
    if (session !== undefined) {
      const reason = `no answer within ${this.#settings.connectMs} ms`;
      this.#disconnect({ reason, mayRetrySoon: true }, now, out);
      if (session.wasConnected) return;
    }
    // Without TCP the pause is over already.
    this.#connect(now, out);
  }

  /** lms with wait_for_all: a quorate cluster goes on without its server (§3.5). */
  #standsAlone(): boolean {
    const { algorithm, waitForAll } = this.#settings;
    return algorithm === "lms" && waitForAll && this.#quorum?.quorate === true;
  }

  // Losing the server

  #disconnect(fault: Fault, now: number, out: DeviceAction[]): void {
    const session = this.#session;
    this.#session = undefined;
    this.#hasFailed = true;
    if (session !== undefined) out.push({ kind: "close", id: session.id });
    out.push({ kind: "disarm", timer: "heartbeat" });
    this.#heuristics.end(out);
    this.#loseVote(now, out);
    const { host, port } = this.#settings;
    this.#tellProblem(`no vote from the vote server ${host}:${port}: ${fault.reason}`, out);
    // Refused, or the name is unknown: the connect timer goes on and is the pause before the next attempt.
    if (fault.mayRetrySoon && session?.wasConnected === false) return;
    out.push({ kind: "disarm", timer: "connect" });
    const longestMs = Math.max(1, Math.trunc(this.#settings.castVoteMs * pauseShare));
    const delayMs = fault.mayRetrySoon ? this.#random.below(longestMs) : refusedRetryMs;
    out.push({ kind: "arm", timer: "reconnect", at: now + delayMs });
  }

  #loseVote(now: number, out: DeviceAction[]): void {
    if (this.#registration !== "done") return;
    // The original's 2nodelms keeps its vote here for as long as it likes, though the server may give it to the other node.
    // What was not answered for this ring cannot be kept.
    if (!this.#standsAlone() || !this.#voting.isSettled) this.#voting.refuse(now, out);
  }

  /** One line for each new problem, not one for each attempt. */
  #tellProblem(problem: string, out: DeviceAction[]): void {
    log(out, problem === this.#problem ? "debug" : "error", problem);
    this.#problem = problem;
  }
}

function log(out: DeviceAction[], level: Level, text: string): void {
  out.push({ kind: "log", level, subsystem: "QDEVICE", text });
}

/** Two quorum callbacks with the same key report the same to the server. */
function quorumKey({ ring, quorate, voters }: EventOf<"quorumChanged">): string {
  const states = voters.map((voter) => `${voter.nodeid}=${voter.state}`);
  return `${ring.rep}.${ring.seq} ${quorate} ${states.join(" ")}`;
}

/** A change of anything in here needs a new connection. */
function serverKey(settings: DeviceSettings): string {
  const { clusterName, host, port, ipVersion, tls, algorithm, tieBreaker, heartbeatMs } = settings;
  const { keepActivePartition } = settings;
  return JSON.stringify([
    [clusterName, host, port, ipVersion, tls],
    [algorithm, tieBreaker, heartbeatMs, keepActivePartition],
  ]);
}
