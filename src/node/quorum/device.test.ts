import { describe, expect, test } from "bun:test";
import type { ServiceAction } from "../member/service.ts";
import { present } from "../../assert.ts";
import type { OrderedBus } from "../../../test/double/service-bus.ts";
import type { Device, DeviceAnswer, DeviceCall } from "./device.ts";
import { voterFlags } from "./message.ts";
import { cluster, device, kill, withDevice } from "../../../test/double/vote-clusters.ts";

function use(
  bus: OrderedBus,
  nodeid: number,
  act: (device: Device, call: DeviceCall) => DeviceAnswer,
): DeviceAnswer {
  let answer: DeviceAnswer = "notAllowed";
  bus.device(nodeid, (node, out: ServiceAction[]) => {
    const votes = present(node.services.votes, "the cluster has votes");
    answer = act(votes.device, votes.deviceCall(bus.now, out));
  });
  bus.settle();
  return answer;
}

function flagsOf(bus: OrderedBus, nodeid: number, at = 2): number {
  const voter = bus.node(at).quorum.voters.find((candidate) => candidate.nodeid === nodeid);
  return present(voter, "the node is known").flags;
}

describe("quorum device as votequorum sees it", () => {
  test("the flags of one device life", () => {
    const bus = cluster(4, { device });
    const ring = bus.node(1).ring;
    const seen: number[] = [];
    const see = (): void => void seen.push(flagsOf(bus, 1));
    expect(use(bus, 1, (it, call) => it.register("SvDev", call))).toBe("pending");
    see();
    expect(use(bus, 1, (it, call) => it.poll("SvDev", true, ring, call))).toBe("ok");
    see();
    expect(use(bus, 1, (it, call) => it.setMasterWins("SvDev", true, call))).toBe("ok");
    see();
    expect(use(bus, 1, (it, call) => it.poll("SvDev", false, ring, call))).toBe("ok");
    see();
    bus.fire(1, "deviceTimeout");
    bus.settle();
    see();
    expect(seen).toEqual([17, 113, 241, 177, 145]);
    expect(bus.node(1).logs).toContain("warning VOTEQ lost contact with quorum device SvDev");
    expect(use(bus, 1, (it, call) => it.unregister("SvDev", call))).toBe("ok");
    expect(flagsOf(bus, 1)).toBe(voterFlags.quorate);
    expect(bus.node(2).services.votes?.device.name).toBe("");
  });

  test("a vote that is taken back is gone at once, before the ring has heard of it", () => {
    const bus = withDevice();
    kill(bus, [2, 3, 4], [1]);
    const ring = bus.node(1).ring;
    expect(use(bus, 1, (it, call) => it.poll("SvDev", true, ring, call))).toBe("ok");
    expect(bus.node(1).quorum.quorate).toBe(true);
    const seen: boolean[] = [];
    bus.device(1, (node, out: ServiceAction[]) => {
      const votes = present(node.services.votes, "the cluster has votes");
      votes.device.poll("SvDev", false, ring, votes.deviceCall(bus.now, out));
      for (const action of out) {
        if (action.kind === "quorumChanged") seen.push(action.quorum.quorate);
      }
    });
    expect(seen).toEqual([false]);
  });

  test("an alive device holds the synchronisation until it polls with the new ring", () => {
    const bus = withDevice();
    const old = bus.node(1).ring;
    kill(bus, [4], [1, 2, 3]);
    expect(bus.node(2).services.synchronising).toBe(true);
    expect(use(bus, 1, (it, call) => it.poll("SvDev", true, old, call))).toBe("wrongRing");
    expect(bus.node(2).services.synchronising).toBe(true);
    const ring = bus.node(1).ring;
    expect(use(bus, 1, (it, call) => it.poll("SvDev", true, ring, call))).toBe("ok");
    expect(bus.node(2).services.synchronising).toBe(false);
    expect(bus.node(1).quorum).toMatchObject({ totalVotes: 6, quorate: true });
  });

  test("… or until the sync timeout, and then it does not vote", () => {
    const bus = withDevice();
    kill(bus, [4], [1, 2, 3]);
    const before = bus.now;
    bus.fire(1, "deviceTimeout");
    bus.settle();
    expect(bus.now - before).toBe(30_000);
    expect(bus.node(2).services.synchronising).toBe(false);
    expect(bus.node(1).quorum).toMatchObject({ totalVotes: 3, quorate: false });
  });

  test("one name for the whole cluster; a rename reaches everybody", () => {
    const bus = withDevice();
    expect(bus.node(3).services.votes?.device.name).toBe("SvDev");
    expect(use(bus, 3, (it, call) => it.register("Other", call))).toBe("otherName");
    expect(use(bus, 1, (it, call) => it.register("SvDev", call))).toBe("ok");
    expect(use(bus, 1, (it, call) => it.rename("SvDev", "New", call))).toBe("ok");
    expect(bus.node(3).services.votes?.device.name).toBe("New");
  });

  test("what cannot be", () => {
    const bus = cluster(2);
    const { ring } = bus.node(1);
    expect(use(bus, 1, (it, call) => it.poll("X", true, ring, call))).toBe("notRegistered");
    expect(use(bus, 1, (it, call) => it.register("", call))).toBe("badName");
    expect(use(bus, 1, (it, call) => it.register("x".repeat(255), call))).toBe("badName");
    const lms = cluster(2, { device, lastManStanding: true });
    expect(use(lms, 1, (it, call) => it.register("X", call))).toBe("notAllowed");
  });

  test("master wins: the node with the device's vote stays quorate alone", () => {
    const bus = withDevice();
    expect(use(bus, 1, (it, call) => it.setMasterWins("SvDev", true, call))).toBe("ok");
    kill(bus, [2, 3, 4], [1]);
    const { ring } = bus.node(1);
    expect(use(bus, 1, (it, call) => it.poll("SvDev", true, ring, call))).toBe("ok");
    expect(bus.node(1).quorum.quorate).toBe(true);
    expect(use(bus, 1, (it, call) => it.poll("SvDev", false, ring, call))).toBe("ok");
    expect(bus.node(1).quorum.quorate).toBe(false);
  });
});
