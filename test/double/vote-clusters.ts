// A test helper: clusters on the ordered bus in the situations that votes are about.
import { assert, present } from "../../src/assert.ts";
import type { QuorumSettings } from "../../src/node/settings/settings.ts";
import { busSettings, OrderedBus } from "./service-bus.ts";

type Quorum = Partial<QuorumSettings>;

/** `count` nodes, started one by one and joined at once. */
export function cluster(count: number, quorum: Quorum = {}): OrderedBus {
  const bus = new OrderedBus();
  const ids = start(bus, count, quorum);
  bus.join(ids);
  return bus;
}

export function start(bus: OrderedBus, count: number, quorum: Quorum = {}): number[] {
  const ids = Array.from({ length: count }, (_, at) => at + 1);
  for (const nodeid of ids) {
    bus.start(busSettings({ nodeid, nodes: count, quorum }));
    bus.settle();
  }
  return ids;
}

export function expected(bus: OrderedBus, votes: number, nodeid = 1): void {
  bus.ask(nodeid, { kind: "expectedVotesSet", id: 1, votes });
  bus.settle();
}

export function kill(bus: OrderedBus, victims: readonly number[], rest: readonly number[]): void {
  bus.kill(...victims);
  bus.join(rest);
}

export const device = {
  model: "net",
  votes: 3,
  timeoutMs: 10_000,
  syncTimeoutMs: 30_000,
  options: {},
};
const lms = { lastManStanding: true, waitForAll: true };

/** Starts a 4-node cluster with a device, whose client on node 1 registers and polls. */
export function withDevice(): OrderedBus {
  const bus = cluster(4, { device });
  bus.device(1, (node, out) => {
    const votes = present(node.services.votes, "the cluster has a quorum provider");
    const answer = votes.device.register("SvDev", votes.deviceCall(bus.now, out));
    assert(answer === "pending", "the registration goes around the ring");
  });
  bus.settle();
  pollDevice(bus);
  return bus;
}

export function pollDevice(bus: OrderedBus): void {
  bus.device(1, (node, out) => {
    const votes = present(node.services.votes, "the cluster has a quorum provider");
    const call = votes.deviceCall(bus.now, out);
    const { ring } = present(votes.nodeList, "a synchronisation began");
    const answer = votes.device.poll("SvDev", true, ring, call);
    assert(answer === "ok", "the poll is accepted");
  });
  bus.settle();
}

/** Node 1's client says that the node with the device's vote wins. */
export function letMasterWin(bus: OrderedBus): void {
  bus.device(1, (node, out) => {
    const votes = present(node.services.votes, "the cluster has a quorum provider");
    const answer = votes.device.setMasterWins("SvDev", true, votes.deviceCall(bus.now, out));
    assert(answer === "ok", "the device is registered");
  });
  bus.settle();
}

export function lmsAfter(...steps: readonly (readonly number[])[]): OrderedBus {
  const bus = cluster(4, lms);
  for (const rest of steps) {
    for (const nodeid of [...bus.nodes.keys()]) if (!rest.includes(nodeid)) bus.kill(nodeid);
    bus.join(rest);
    for (const nodeid of rest) {
      if (bus.node(nodeid).timers.has("lastManStanding")) bus.fire(nodeid, "lastManStanding");
    }
    bus.settle();
  }
  return bus;
}
