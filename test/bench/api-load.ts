// What load on the API does to the token (issue 11.6): three nodes on loopback, encrypted, with a writer that keeps the token moving; its p99 while nothing
// else is asked, with 200 requests a second and 200 open streams, and with 10,000 half-open connections; how long an ordinary request
// takes meanwhile, and the node's memory. By hand: `bun test/bench/api-load.ts [--seconds N]`; fails when the load's p99
// is more than twice that of idle, or a token is lost.
import { Agent, request as httpsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { type DemoNode, until } from "../demo/cluster.ts";
import { ask, cookieOf, phase, withCluster } from "./phases.ts";

const requestsPerSecond = 200;
const streamsCount = 200;
const halfOpenCount = 10_000;
/** What the door lets one address have is less than all of it. */
const clients = ["127.7.0.1", "127.7.0.2", "127.7.0.3", "127.7.0.4", "127.7.0.5", "127.7.0.6"];
const paths = ["/api/v1/quorum", "/api/v1/links", "/api/v1/nodes", "/api/v1/tree", "/metrics"];

/** Asks evenly until the end; what came of it. */
async function requests(node: DemoNode, headers: Record<string, string>, endAt: number) {
  const agents = clients.map(
    (localAddress) => new Agent({ keepAlive: true, maxSockets: 8, localAddress }),
  );
  const times: number[] = [];
  const failures = new Map<string, number>();
  const count = (what: string) => void failures.set(what, (failures.get(what) ?? 0) + 1);
  const running: Promise<void>[] = [];
  const begun = performance.now();
  let asked = 0;
  while (performance.now() < endAt) {
    const due = Math.floor(((performance.now() - begun) / 1000) * requestsPerSecond);
    for (; asked < due; asked += 1) {
      const path = paths[asked % paths.length] ?? "";
      const agent = agents[asked % agents.length];
      if (agent === undefined) continue;
      running.push(
        ask(node, { path, agent, headers }).then(
          ({ status, ms }) => {
            if (status !== 200) return count(String(status));
            times.push(ms);
          },
          (error: unknown) => count(String(error)),
        ),
      );
    }
    await wait(5);
  }
  await Promise.all(running);
  for (const agent of agents) agent.destroy();
  times.sort((a, b) => a - b);
  const share = (of: number) => times[Math.floor((times.length - 1) * of)] ?? 0;
  return { answered: times.length, p50: share(0.5), p99: share(0.99), failures };
}

/** Open streams; `pieces` counts what came. */
async function streams(node: DemoNode, headers: Record<string, string>) {
  const agents = clients.map(
    (localAddress) => new Agent({ keepAlive: true, maxSockets: Infinity, localAddress }),
  );
  let open = 0;
  let pieces = 0;
  let ended = 0;
  for (let index = 0; index < streamsCount; index += 1) {
    const agent = agents[index % agents.length];
    const sent = httpsRequest(
      {
        ...{ host: node.address, port: 8006, path: "/api/v1/events", rejectUnauthorized: false },
        ...{ headers, ...(agent === undefined ? {} : { agent }) },
      },
      (answer) => {
        if (answer.statusCode === 200) open += 1;
        answer.on("data", () => (pieces += 1));
        answer.on("close", () => (ended += 1));
        answer.on("error", () => undefined);
      },
    );
    sent.on("error", () => undefined);
    sent.end();
    // Below the rate at which an address may connect.
    await wait(20);
  }
  await until("the streams", 30_000, async () => (open === streamsCount ? true : undefined));
  return {
    counts: () => ({ open, pieces, ended }),
    close: () => {
      for (const agent of agents) agent.destroy();
    },
  };
}

/** Connections that say nothing, or half a greeting, and stay for as long as they may. */
function halfOpen(node: DemoNode): { readonly close: () => void; readonly counts: () => object } {
  const sockets = new Set<Socket>();
  let connected = 0;
  let cut = 0;
  const over = new AbortController();
  const begin = async (): Promise<void> => {
    for (let index = 0; index < halfOpenCount; index += 1) {
      if (over.signal.aborted) return;
      const localAddress = `127.8.${(index >> 5) % 250}.${1 + (index % 32)}`;
      const socket = connect({ host: node.address, port: 8006, localAddress });
      sockets.add(socket);
      socket.on("connect", () => {
        connected += 1;
        if (index % 2 === 0) socket.write(Buffer.from("160301020001", "hex"));
      });
      socket.on("error", () => undefined);
      socket.on("close", () => {
        cut += 1;
        sockets.delete(socket);
      });
      if (index % 50 === 49) await wait(50);
    }
  };
  void begin();
  return {
    counts: () => ({ connected, cut, held: sockets.size }),
    close: () => {
      over.abort();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function measured(nodes: readonly DemoNode[]): Promise<boolean> {
  const idle = await phase(nodes, "idle", async (_, endAt) => {
    await wait(Math.max(0, endAt - performance.now()));
    return "";
  });
  const loaded = await phase(nodes, "200 requests/s, 200 streams", async (node, endAt) => {
    const headers = await cookieOf(node);
    const following = await streams(node, headers);
    const { answered, p50, p99, failures } = await requests(node, headers, endAt);
    const counts = following.counts();
    following.close();
    const failed = JSON.stringify(Object.fromEntries(failures));
    return `${answered} answers, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(0)} ms, others ${failed}; streams ${JSON.stringify(counts)}`;
  });
  const strangers = await phase(nodes, "10,000 half-open connections", async (node, endAt) => {
    const headers = await cookieOf(node);
    const attack = halfOpen(node);
    const agent = new Agent({ keepAlive: true, localAddress: "127.7.0.1" });
    const times: number[] = [];
    const failures: string[] = [];
    while (performance.now() < endAt) {
      await ask(node, { path: "/api/v1/quorum", agent, headers }).then(
        ({ ms, status }) => (status === 200 ? times.push(ms) : failures.push(String(status))),
        (error: unknown) => failures.push(String(error)),
      );
      await wait(200);
    }
    const counts = JSON.stringify(attack.counts());
    attack.close();
    agent.destroy();
    times.sort((a, b) => a - b);
    const worst = times.at(-1) ?? 0;
    return `one who is known: ${times.length} answers, the longest ${worst.toFixed(0)} ms, refused ${failures.length} ${failures[0] ?? ""}; strangers ${counts}`;
  });
  const isGood = loaded.p99 <= 2 * idle.p99 && loaded.lost + strangers.lost === 0;
  console.log(
    isGood
      ? "under requests and streams within twice of idle; no token lost"
      : "NOT within twice of idle, or a token was lost",
  );
  return isGood;
}

let isGood = false;
await withCluster(async (nodes) => void (isGood = await measured(nodes)));
process.exit(isGood ? 0 : 1);
