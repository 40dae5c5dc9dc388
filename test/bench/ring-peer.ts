// A member of the ring bench, one on each node: counts what is delivered, and sends when it is told to. On a Debian node it is a client of corosync
// by libcpg, on ours it is the ring thread with its group client, without a tree: bun ring-peer.ts corosync|quorate ROOT NAME.
import { setImmediate as turn } from "node:timers/promises";
import { loadSettings } from "../../src/node/settings/load-settings.ts";
import { RingThreadClient } from "../../src/node/thread/client.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { CpgConnection } from "../interop/cpg-library.ts";
import { answer } from "./talk.ts";

export type PeerQuestion =
  /** Answered when so many are in the group. */
  | { readonly ask: "members"; readonly count: number }
  /** Sends messages of so many bytes for so long; answered when the last of them is here. */
  | {
      readonly ask: "send";
      readonly bytes: number;
      readonly ms: number;
      /** Under way at a time. */
      readonly together: number;
      /** Ours only: a message is under way until all members have received it, not only until it is delivered here. */
      readonly untilStable?: boolean;
    }
  /** Answered when so many were delivered since the start. */
  | { readonly ask: "delivered"; readonly count: number }
  /** Visits of the token; 0 on a Debian node, where its own tool tells. */
  | { readonly ask: "tokens" };

export interface Sent {
  readonly count: number;
  /** From the first sending to the last delivery. */
  readonly tookMs: number;
  readonly tokens: number;
}

const group = "bench\0";
/** Callbacks of libcpg between two looks at everything else. */
const dispatchMax = 64;
const openMsMax = 30_000;

/** Sends as told, by whatever way: `deliveredHere` is called for each of its own messages, and `pump` behind those. */
class Sending {
  readonly #message: Uint8Array;
  readonly #endAt: number;
  readonly #together: number;
  readonly #begun = performance.now();
  readonly #done = Promise.withResolvers<Omit<Sent, "tokens">>();
  #sent = 0;
  #delivered = 0;

  readonly untilStable: boolean;

  constructor({ bytes, ms, together, untilStable }: Extract<PeerQuestion, { ask: "send" }>) {
    this.untilStable = untilStable === true;
    this.#message = new Uint8Array(bytes).fill(7);
    this.#endAt = this.#begun + ms;
    this.#together = together;
  }

  get isOneByOne(): boolean {
    return this.#together === 1;
  }

  get done(): Promise<Omit<Sent, "tokens">> {
    return this.#done.promise;
  }

  /** Sends until `send` refuses, or enough is under way. Answers false when it was refused. */
  pump(send: (message: Uint8Array) => boolean): boolean {
    while (this.#sent - this.#delivered < this.#together && performance.now() < this.#endAt) {
      if (!send(this.#message)) return false;
      this.#sent += 1;
    }
    const now = performance.now();
    if (this.#delivered === this.#sent && now >= this.#endAt) {
      this.#done.resolve({ count: this.#sent, tookMs: now - this.#begun });
    }
    return true;
  }

  deliveredHere(count = 1): void {
    this.#delivered += count;
  }
}

/** What is waited for, until it is there. */
class Awaited {
  #value = 0;
  #waiting: { readonly least: number; readonly resolve: (value: number) => void }[] = [];

  add(step: number): void {
    this.set(this.#value + step);
  }

  set(value: number): void {
    this.#value = value;
    const due = this.#waiting.filter(({ least }) => value >= least);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter(({ least }) => value < least);
    for (const { resolve } of due) resolve(value);
  }

  async reached(least: number): Promise<number> {
    if (this.#value >= least) return this.#value;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiting.push({ least, resolve });
    return promise;
  }
}

interface Peer {
  readonly members: Awaited;
  readonly delivered: Awaited;
  send(sending: Sending): Promise<Omit<Sent, "tokens">>;
  tokens(): Promise<number>;
  close(): Promise<void>;
}

async function quoratePeer(root: string, name: string): Promise<Peer> {
  const paths = nodePaths(root);
  const settings = await loadSettings(paths, name);
  if (!settings.ok) throw new Error(settings.reason);
  const cluster = new RingThreadClient({
    settings: settings.value,
    stateDir: paths.stateDir,
    deviceDir: paths.deviceDir,
    pid: process.pid,
    log: (line) => console.error(`${line.level} [${line.subsystem}] ${line.text}`),
  });
  const { groups } = cluster;
  const [members, delivered] = [new Awaited(), new Awaited()];
  let sending: Sending | undefined;
  let isRefused = false;
  // One at a time is what a caller of the tree does: the next follows the answer.
  const send = (message: Uint8Array): boolean => {
    const waits = sending?.untilStable === true ? "stable" : "delivered";
    const answered = sending?.isOneByOne === true ? waits : undefined;
    return groups.request({ kind: "send", group, message, answered });
  };
  const pump = (): void => {
    if (isRefused || sending?.pump(send) !== false) return;
    isRefused = true;
    groups.whenRoom(() => {
      isRefused = false;
      pump();
    });
  };
  let deliveries = 0;
  /** Own messages that are not known to be with all, by the count of deliveries. */
  let unstable: number[] = [];
  groups.listen((events) => {
    for (const event of events) {
      if (event.kind === "configured") members.set(event.members.length);
      else if (event.kind === "delivered") {
        deliveries += 1;
        delivered.add(1);
        if (event.nodeid !== groups.self.nodeid || sending === undefined) continue;
        if (sending.untilStable) unstable.push(deliveries);
        else sending.deliveredHere();
      } else {
        const later = unstable.filter((at) => at > event.deliveries);
        sending?.deliveredHere(unstable.length - later.length);
        unstable = later;
      }
    }
    if (sending !== undefined) pump();
  });
  const reason = await cluster.start(settings.value);
  if (reason !== "") throw new Error(reason);
  if (!groups.request({ kind: "join", group })) throw new Error("the join was refused");
  return {
    ...{ members, delivered },
    tokens: async () => (await cluster.snapshot()).member.counters.tokensReceived,
    send: async (next) => {
      sending = next;
      pump();
      const sent = await next.done;
      sending = undefined;
      return sent;
    },
    close: () => cluster.stop(),
  };
}

/** Dispatches for as long as the process lives; what blocks it is libcpg's descriptor. */
async function corosyncPeer(): Promise<Peer> {
  const [members, delivered] = [new Awaited(), new Awaited()];
  let sending: Sending | undefined;
  let nodeid = 0;
  const connection = await openCpg({
    configured: (now) => members.set(now.length),
    delivered: (from) => {
      delivered.add(1);
      if (from === nodeid) sending?.deliveredHere();
    },
  });
  nodeid = connection.nodeid();
  const closing = new AbortController();
  const serve = async (): Promise<void> => {
    let isJoined = false;
    while (!closing.signal.aborted) {
      isJoined ||= connection.join(group);
      const due = connection.dispatch(dispatchMax);
      const isTaken = sending?.pump((bytes) => connection.send(bytes, bytes.length)) ?? true;
      // Room comes back with the token, without an event of ours.
      if (due === 0) connection.wait(isTaken && isJoined ? 20 : 1);
      await turn();
    }
    connection.close();
  };
  const served = serve();
  return {
    ...{ members, delivered },
    tokens: async () => 0,
    send: async (next) => {
      sending = next;
      const sent = await next.done;
      sending = undefined;
      return sent;
    },
    close: async () => {
      closing.abort();
      await served;
    },
  };
}

/** The daemon may still be starting. */
async function openCpg(
  callbacks: ConstructorParameters<typeof CpgConnection>[0],
): Promise<CpgConnection> {
  const endAt = performance.now() + openMsMax;
  for (;;) {
    try {
      return new CpgConnection(callbacks);
    } catch (error) {
      if (performance.now() > endAt) throw error;
      await Bun.sleep(100);
    }
  }
}

async function main(): Promise<void> {
  const [kind, root = "", name = ""] = process.argv.slice(2);
  const peer = kind === "corosync" ? await corosyncPeer() : await quoratePeer(root, name);
  await answer(async (asked) => {
    const question = asked as PeerQuestion;
    switch (question.ask) {
      case "members":
        return await peer.members.reached(question.count);
      case "delivered":
        return await peer.delivered.reached(question.count);
      case "tokens":
        return await peer.tokens();
      case "send": {
        const before = await peer.tokens();
        const sent = await peer.send(new Sending(question));
        return { ...sent, tokens: (await peer.tokens()) - before } satisfies Sent;
      }
    }
  });
  await peer.close();
}

if (import.meta.main) {
  await main();
  process.exit(0);
}
