// A test helper: the worked examples of services.md §4.12 on the ordered bus, each with the name of what a real node printed in it.
import { busSettings, OrderedBus } from "./service-bus.ts";
import {
  cluster,
  device,
  expected,
  kill,
  letMasterWin,
  lmsAfter,
  pollDevice,
  withDevice,
} from "./vote-clusters.ts";

export interface VoteSituation {
  readonly situation: string;
  /** Returns the node that is looked at. */
  readonly act: () => { bus: OrderedBus; at?: number };
  readonly expectedVotes: number;
  readonly totalVotes: number;
  readonly quorum: number;
  readonly flags: string;
  /** What corosync-quorumtool -s printed on a real node in this situation. */
  readonly golden?: string;
}

/** services.md §4.12, row by row. */
export const voteSituations: readonly VoteSituation[] = [
  {
    situation: "3 nodes, all up",
    act: () => ({ bus: cluster(3) }),
    ...numbers(3, 3, 2, "Quorate"),
    golden: "3n-healthy.n1",
  },
  {
    situation: "one killed",
    act: () => {
      const bus = cluster(3);
      kill(bus, [3], [1, 2]);
      return { bus };
    },
    ...numbers(3, 2, 2, "Quorate"),
    golden: "3n-one-killed.n1",
  },
  {
    situation: "1 of 3 alone",
    act: () => {
      const bus = cluster(3);
      kill(bus, [2, 3], [1]);
      return { bus };
    },
    ...numbers(3, 1, 2, ""),
    golden: "3n-minority-1of3.n1",
  },
  {
    situation: "1 of 3 alone, then -e 1",
    act: () => {
      const bus = cluster(3);
      kill(bus, [2, 3], [1]);
      expected(bus, 1);
      return { bus };
    },
    ...numbers(1, 1, 1, "Quorate"),
    golden: "3n-minority-1of3-after-e1.n1",
  },
  {
    situation: "1 of 3 alone, then -e 1, then the two others come back",
    act: () => {
      const bus = cluster(3);
      bus.join([1], [2, 3]);
      expected(bus, 1);
      bus.join([1, 2, 3]);
      return { bus };
    },
    ...numbers(3, 3, 2, "Quorate"),
    golden: "3n-recovered-after-e1.n1",
  },
  {
    situation: "1 of 3 alone, then -e 1, then the two others start again",
    act: () => {
      const bus = cluster(3);
      kill(bus, [2, 3], [1]);
      expected(bus, 1);
      for (const nodeid of [2, 3]) bus.start(busSettings({ nodeid, nodes: 3 }));
      bus.join([1, 2, 3]);
      return { bus, at: 2 };
    },
    ...numbers(3, 3, 2, "Quorate"),
    golden: "3n-recovered-after-e1.n2",
  },
  {
    situation: "one killed, then -e 2",
    act: () => {
      const bus = cluster(3);
      kill(bus, [3], [1, 2]);
      expected(bus, 2);
      return { bus };
    },
    ...numbers(2, 2, 2, "Quorate"),
    golden: "3n-one-killed-after-e2.n1",
  },
  {
    situation: "the third node rejoins after -e 2",
    act: () => {
      const bus = cluster(3);
      kill(bus, [3], [1, 2]);
      expected(bus, 2);
      bus.start(busSettings({ nodeid: 3, nodes: 3 }));
      bus.join([1, 2, 3]);
      return { bus, at: 3 };
    },
    ...numbers(3, 3, 2, "Quorate"),
    golden: "3n-rejoined-after-e2.n3",
  },
  {
    situation: "healthy 3, -e 5",
    act: () => {
      const bus = cluster(3);
      expected(bus, 5);
      return { bus, at: 3 };
    },
    ...numbers(5, 3, 3, "Quorate"),
    golden: "3n-after-e5.n3",
  },
  {
    situation: "healthy 3, -v 2 -n 2",
    act: () => {
      const bus = cluster(3);
      bus.ask(1, { kind: "votesSet", id: 1, nodeid: 2, votes: 2 });
      bus.settle();
      return { bus };
    },
    ...numbers(4, 4, 3, "Quorate"),
    golden: "3n-after-v2-on-n2.n1",
  },
  {
    situation: "then -v 1 -n 2",
    act: () => {
      const bus = cluster(3);
      for (const votes of [2, 1]) {
        bus.ask(1, { kind: "votesSet", id: 1, nodeid: 2, votes });
        bus.settle();
      }
      return { bus };
    },
    ...numbers(4, 3, 3, "Quorate"),
    golden: "3n-after-v1-on-n2.n1",
  },
  {
    situation: "2 nodes, no two_node, both up",
    act: () => ({ bus: cluster(2) }),
    ...numbers(2, 2, 2, "Quorate"),
    golden: "2n-plain-healthy.n1",
  },
  {
    situation: "… one killed",
    act: () => {
      const bus = cluster(2);
      kill(bus, [2], [1]);
      return { bus };
    },
    ...numbers(2, 1, 2, ""),
    golden: "2n-plain-one-killed.n1",
  },
  {
    situation: "two_node (WFA implied), first node alone",
    act: () => {
      const bus = new OrderedBus();
      bus.start(busSettings({ nodeid: 1, nodes: 2, quorum: { twoNode: true } }));
      bus.settle();
      return { bus };
    },
    ...numbers(2, 1, 1, "2Node WaitForAll"),
    golden: "2n-two_node-wfa-waiting.n1",
  },
  {
    situation: "two_node, both",
    act: () => ({ bus: cluster(2, { twoNode: true }), at: 2 }),
    ...numbers(2, 2, 1, "2Node Quorate WaitForAll"),
    golden: "2n-two_node-healthy.n2",
  },
  {
    situation: "two_node, one killed",
    act: () => {
      const bus = cluster(2, { twoNode: true });
      kill(bus, [2], [1]);
      return { bus };
    },
    ...numbers(2, 1, 1, "2Node Quorate WaitForAll"),
    golden: "2n-two_node-one-killed.n1",
  },
  {
    situation: "survivor restarted alone",
    act: () => {
      const bus = cluster(2, { twoNode: true });
      kill(bus, [2], [1]);
      bus.start(busSettings({ nodeid: 1, nodes: 2, quorum: { twoNode: true } }));
      bus.settle();
      return { bus };
    },
    ...numbers(2, 1, 1, "2Node WaitForAll"),
    golden: "2n-two_node-survivor-restarted-alone.n1",
  },
  {
    situation: "… after cancel_wait_for_all",
    act: () => {
      const bus = new OrderedBus();
      bus.start(busSettings({ nodeid: 1, nodes: 2, quorum: { twoNode: true } }));
      bus.settle();
      bus.ask(1, { kind: "waitForAllCancelled", id: 1 });
      bus.settle();
      return { bus };
    },
    ...numbers(2, 1, 1, "2Node Quorate WaitForAll"),
    golden: "2n-two_node-wfa-cancelled.n1",
  },
  {
    situation: "two_node, wait_for_all: 0, alone",
    act: () => {
      const bus = new OrderedBus();
      const quorum = { twoNode: true, waitForAll: false };
      bus.start(busSettings({ nodeid: 1, nodes: 2, quorum }));
      bus.settle();
      return { bus };
    },
    ...numbers(2, 1, 1, "2Node Quorate"),
    golden: "2n-two_node-nowfa-alone.n1",
  },
  {
    situation: "reload two_node 0 to 1 with both up",
    act: () => {
      const bus = cluster(2);
      for (const nodeid of [1, 2]) {
        bus.reconfigure(busSettings({ nodeid, nodes: 2, quorum: { twoNode: true } }));
      }
      bus.settle();
      return { bus };
    },
    ...numbers(2, 2, 1, "2Node Quorate WaitForAll"),
    golden: "2n-reload-two_node-on.n1",
  },
  {
    situation: "reload 2-node to 3-node nodelist, two up",
    act: () => {
      const bus = cluster(2);
      // The node that was recorded had had two_node for a while.
      for (const nodeid of [1, 2]) {
        bus.reconfigure(busSettings({ nodeid, nodes: 2, quorum: { twoNode: true } }));
      }
      bus.settle();
      for (const nodeid of [1, 2]) bus.reconfigure(busSettings({ nodeid, nodes: 3 }));
      bus.settle();
      return { bus };
    },
    ...numbers(3, 2, 2, "Quorate"),
    golden: "2n-reload-to-3n.n1",
  },
  {
    situation: "WFA, 2 of 3 at start",
    act: () => {
      const bus = new OrderedBus();
      for (const nodeid of [1, 2]) {
        bus.start(busSettings({ nodeid, nodes: 3, quorum: { waitForAll: true } }));
      }
      bus.join([1, 2]);
      return { bus };
    },
    ...numbers(3, 2, 2, "WaitForAll"),
    golden: "3n-wfa-2of3-waiting.n1",
  },
  {
    situation: "WFA, all seen, one killed",
    act: () => {
      const bus = cluster(3, { waitForAll: true });
      kill(bus, [3], [1, 2]);
      return { bus };
    },
    ...numbers(3, 2, 2, "Quorate WaitForAll"),
    golden: "3n-wfa-one-killed.n1",
  },
  {
    situation: "WFA, two killed",
    act: () => {
      const bus = cluster(3, { waitForAll: true });
      kill(bus, [2, 3], [1]);
      return { bus };
    },
    ...numbers(3, 1, 2, "WaitForAll"),
    golden: "3n-wfa-minority.n1",
  },
  {
    situation: "WFA, then one back (2 of 3)",
    act: () => {
      const bus = cluster(3, { waitForAll: true });
      kill(bus, [2, 3], [1]);
      bus.start(busSettings({ nodeid: 2, nodes: 3, quorum: { waitForAll: true } }));
      bus.join([1, 2]);
      return { bus };
    },
    ...numbers(3, 2, 2, "WaitForAll"),
    golden: "3n-wfa-2of3-after-quorum-loss.n1",
  },
  {
    situation: "ATB, 4 nodes, half with node 1",
    act: () => {
      const bus = cluster(4, { autoTieBreaker: true });
      bus.join([1, 2], [3, 4]);
      return { bus };
    },
    ...numbers(4, 2, 3, "Quorate AutoTieBreaker"),
    golden: "4n-atb-lowhalf.n1",
  },
  {
    situation: "ATB, half without node 1",
    act: () => {
      const bus = cluster(4, { autoTieBreaker: true });
      // The node that was recorded had been started in its half.
      for (const nodeid of [3, 4]) {
        bus.start(busSettings({ nodeid, nodes: 4, quorum: { autoTieBreaker: true } }));
      }
      bus.join([1, 2], [3, 4]);
      return { bus, at: 3 };
    },
    ...numbers(4, 2, 3, "AutoTieBreaker"),
    golden: "4n-atb-highhalf.n3",
  },
  {
    situation: "ATB, the half with node 1, never quorate since it was started",
    act: () => ({ bus: freshHalf([1, 2], "lowest") }),
    ...numbers(4, 2, 3, "AutoTieBreaker"),
  },
  {
    situation: "ATB highest, the half with node 4, never quorate since it was started",
    act: () => ({ bus: freshHalf([3, 4], "highest"), at: 3 }),
    ...numbers(4, 2, 3, "AutoTieBreaker"),
  },
  {
    situation: "ATB list 3 1, half {3,4}",
    act: () => {
      const bus = cluster(4, { autoTieBreaker: true, autoTieBreakerNode: "3 1" });
      bus.join([1, 2], [3, 4]);
      return { bus, at: 3 };
    },
    ...numbers(4, 2, 3, "Quorate AutoTieBreaker"),
    golden: "4n-atblist31-half34.n3",
  },
  {
    situation: "ATB list 3 1, half {1,2}",
    act: () => {
      const bus = cluster(4, { autoTieBreaker: true, autoTieBreakerNode: "3 1" });
      bus.join([1, 2], [3, 4]);
      return { bus };
    },
    ...numbers(4, 2, 3, "AutoTieBreaker"),
    golden: "4n-atblist31-half12.n1",
  },
  {
    situation: "ATB, 3 nodes, no WFA",
    act: () => ({ bus: cluster(3, { autoTieBreaker: true }) }),
    ...numbers(3, 3, 2, "Quorate"),
    golden: "3n-atb-nowfa.n1",
  },
  {
    situation: "ATB + WFA, 3 nodes, node 1 alone",
    act: () => {
      const bus = cluster(3, { autoTieBreaker: true, waitForAll: true });
      kill(bus, [2, 3], [1]);
      return { bus };
    },
    ...numbers(3, 1, 2, "WaitForAll AutoTieBreaker"),
    golden: "3n-atb-wfa-node1-alone.n1",
  },
  {
    situation: "LMS + WFA, 4 nodes",
    act: () => ({ bus: lmsAfter() }),
    ...numbers(4, 4, 3, "Quorate WaitForAll LastManStanding"),
    golden: "4n-lms-healthy.n1",
  },
  {
    situation: "… 3 left, window passed",
    act: () => ({ bus: lmsAfter([1, 2, 3]) }),
    ...numbers(3, 3, 2, "Quorate WaitForAll LastManStanding"),
    golden: "4n-lms-3left.n1",
  },
  {
    situation: "… 2 left, window passed",
    act: () => ({ bus: lmsAfter([1, 2, 3], [1, 2]) }),
    ...numbers(2, 2, 2, "Quorate WaitForAll LastManStanding"),
    golden: "4n-lms-2left.n1",
  },
  {
    situation: "… 1 left",
    act: () => ({ bus: lmsAfter([1, 2, 3], [1, 2], [1]) }),
    ...numbers(2, 1, 2, "WaitForAll LastManStanding"),
    golden: "4n-lms-1left.n1",
  },
  {
    situation: "downscale, 4 nodes, one clean stop",
    act: () => {
      const bus = cluster(4, { allowDownscale: true });
      bus.stop(4);
      bus.join([1, 2, 3]);
      return { bus };
    },
    ...numbers(3, 3, 3, "Quorate AllowDownscale"),
    golden: "4n-downscale-one-left-cleanly.n1",
  },
  {
    situation: "… two clean stops",
    act: () => {
      const bus = cluster(4, { allowDownscale: true });
      bus.stop(4);
      bus.join([1, 2, 3]);
      bus.stop(3);
      bus.join([1, 2]);
      return { bus };
    },
    ...numbers(2, 2, 3, "AllowDownscale"),
    golden: "4n-downscale-two-left-cleanly.n1",
  },
  {
    situation: "device votes 3, 4 nodes, device absent",
    act: () => ({ bus: cluster(4, { device }) }),
    ...numbers(7, 4, 4, "Quorate"),
    golden: "4n-qdevice-configured-absent.n1",
  },
  {
    situation: "device alive and casting (that node)",
    act: () => ({ bus: withDevice() }),
    ...numbers(7, 7, 4, "Quorate Qdevice"),
    golden: "4n-qdevice-alive-cast.n1",
  },
  {
    situation: "… seen on a node without the device",
    act: () => ({ bus: withDevice(), at: 2 }),
    ...numbers(7, 4, 4, "Quorate"),
    golden: "4n-qdevice-alive-cast.n2",
  },
  {
    situation: "device casting, that node alone",
    act: () => {
      const bus = withDevice();
      letMasterWin(bus);
      kill(bus, [2, 3, 4], [1]);
      pollDevice(bus);
      return { bus };
    },
    ...numbers(7, 4, 4, "Quorate Qdevice"),
    golden: "4n-qdevice-masterwins-alone.n1",
  },
  {
    situation: "tracking on, file pre-seeded with 5, 2-node config",
    act: () => {
      const bus = new OrderedBus();
      const quorum = { expectedVotesTracking: true };
      for (const nodeid of [1, 2]) bus.start(busSettings({ nodeid, nodes: 2, quorum }), 5);
      bus.join([1, 2]);
      return { bus };
    },
    ...numbers(5, 2, 3, ""),
  },
];

/** corosync 3.1.7 is not quorate in such a half, whichever it is (tried on the daemon). */
function freshHalf(half: readonly number[], autoTieBreakerNode: string): OrderedBus {
  const bus = new OrderedBus();
  for (const nodeid of half) {
    const quorum = { autoTieBreaker: true, autoTieBreakerNode };
    bus.start(busSettings({ nodeid, nodes: 4, quorum }));
  }
  bus.join(half);
  return bus;
}

function numbers(
  expectedVotes: number,
  totalVotes: number,
  quorum: number,
  flags: string,
): Pick<VoteSituation, "expectedVotes" | "totalVotes" | "quorum" | "flags"> {
  return { expectedVotes, totalVotes, quorum, flags };
}
