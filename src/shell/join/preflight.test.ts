// What is looked at before a join, each with its remedy.
import { describe, expect, test } from "bun:test";
import {
  chooseLinks,
  clockNote,
  clockProblem,
  isWithin,
  type MachineFacts,
  machineProblems,
  mtuNote,
  type ProbeOutcome,
  probeProblem,
  type Situation,
} from "./preflight.ts";

const machine: MachineFacts = {
  node: "pve3",
  authkey: { path: "/etc/corosync/authkey", isThere: false },
  conf: { path: "/etc/corosync/corosync.conf", isThere: false },
  guests: [],
  others: [],
  addresses: [],
};

describe("this machine", () => {
  test("without anything in the way has no problem", () => {
    expect(machineProblems(machine)).toEqual([]);
  });

  test("with guests, old files or another corosync names each, in the original's words and with a remedy", () => {
    const found = machineProblems({
      ...machine,
      authkey: { ...machine.authkey, isThere: true },
      conf: { ...machine.conf, isThere: true },
      guests: ["100", "101", "102", "103", "104", "105", "106"],
      others: ["corosync (process 812)"],
    });
    expect(found.map(({ text }) => text)).toEqual([
      "authentication key '/etc/corosync/authkey' already exists",
      "cluster config '/etc/corosync/corosync.conf' already exists",
      "this host already contains virtual guests",
      "corosync is already running, is this node already in a cluster?!",
    ]);
    expect(found[2]?.remedy).toContain("100, 101, 102, 103, 104 and 2 more");
    expect(found[3]?.remedy).toContain("corosync (process 812) runs on this machine: stop it");
    for (const { remedy } of found) expect(remedy).not.toBe("");
  });
});

test("clocks: nothing, a note, or no join", () => {
  expect(clockProblem(5000, "pve1")).toBeUndefined();
  expect(clockNote(500, "pve1")).toBeUndefined();
  expect(clockNote(-1200, "pve1")).toBe("the clocks of this machine and 'pve1' differ by 1.2 s");
  expect(clockProblem(5001, "pve1")?.text).toBe(
    "the clock of this machine is 5.0 s behind that of 'pve1'",
  );
  expect(clockProblem(-60_000, "pve1")?.text).toContain("60.0 s ahead of");
  expect(clockNote(60_000, "pve1")).toBeUndefined();
});

describe("addresses of links", () => {
  const situation: Situation = {
    cluster: "prod",
    node: "pve1",
    nodes: [
      { name: "pve1", nodeid: 1, votes: 1, addresses: { "0": "10.0.0.1", "1": "10.1.0.1" } },
      { name: "pve2", nodeid: 2, votes: 1, addresses: { "0": "10.0.0.2", "1": "10.1.0.2" } },
    ],
    links: [
      { number: 0, port: 5405 },
      { number: 1, port: 5406 },
    ],
  };
  const eth0 = { interface: "eth0", address: "10.0.0.3", cidr: "10.0.0.3/24" };
  const eth1 = { interface: "eth1", address: "10.1.0.3", cidr: "10.1.0.3/24" };

  test("are proposed where exactly one is in the members' network", () => {
    const { links, notes, problems } = chooseLinks(situation, new Map(), [eth0, eth1]);
    expect([...links]).toEqual([
      [0, "10.0.0.3"],
      [1, "10.1.0.3"],
    ]);
    expect(notes[1]).toBe("link 1: 10.1.0.3 (eth1), in the network of the members");
    expect(problems).toEqual([]);
  });

  test("that are missing are named, with what a member has and what there is here", () => {
    const { problems } = chooseLinks(situation, new Map(), [eth0]);
    expect(problems).toEqual([
      {
        text: "link 1 of the cluster needs an address of this node (pve1 has 10.1.0.1), and no interface here is in that network",
        remedy: "give it with --link1 ADDRESS; this machine has 10.0.0.3",
      },
    ]);
  });

  test("that the cluster does not have are refused, with the way to add them", () => {
    const { problems } = chooseLinks(situation, new Map([[2, "10.0.0.3"]]), [eth0, eth1]);
    expect(problems).toEqual([
      {
        text: "corosync: link 2 specified for new node doesn't exist in cluster config",
        remedy:
          "leave --link2 out (the cluster has link 0, 1); the link can be added to the whole cluster afterwards, on any node: quorate link add 2 NODE=ADDRESS …",
      },
    ]);
  });

  test("are left to a person where several fit", () => {
    const second = { ...eth0, address: "10.0.0.4", cidr: "10.0.0.4/24" };
    const { problems } = chooseLinks(situation, new Map([[1, "10.1.0.3"]]), [eth0, second, eth1]);
    expect(problems[0]?.remedy).toBe("choose with --link0: 10.0.0.3, 10.0.0.4");
  });

  test("that were given must be of this machine; a name is looked up by the ring", () => {
    const given = new Map([
      [0, "10.0.0.9"],
      [1, "node3-b"],
    ]);
    const { links, problems } = chooseLinks(situation, given, [eth0, eth1]);
    expect(links.get(1)).toBe("node3-b");
    expect(problems.map(({ text }) => text)).toEqual([
      "link0: cannot use IP '10.0.0.9', not found on local node!",
    ]);
  });

  test.each([
    ["10.0.0.7", "10.0.0.3/24", true],
    ["10.0.1.7", "10.0.0.3/24", false],
    ["fd00::7", "fd00::1/64", true],
    ["fd00:0:0:1::7", "fd00::1/64", false],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.2/120", true],
    ["10.0.0.7", "fd00::1/64", false],
    ["node3", "10.0.0.3/24", false],
    ["10.0.0.7", "10.0.0.3", false],
    ["10.0.0.7", "192.0.2.1/0", true],
    ["fe80::7%eth0", "fe80::1/64", true],
  ])("%s in %s: %p", (address, cidr, expected) => {
    expect(isWithin(address, cidr)).toBe(expected);
  });
});

test("packets: each way to fail has its own sentence, and different MTUs are noted", () => {
  const outcome: ProbeOutcome = {
    link: 1,
    ...{ own: "10.1.0.3", ownPort: 5406, member: "10.1.0.1", memberPort: 5412 },
    fullBytes: 9000,
    mtu: { own: 9000, member: 9000 },
    result: "whole",
    reason: "",
  };
  expect(probeProblem(outcome)).toBeUndefined();
  expect(probeProblem({ ...outcome, result: "small only" })?.text).toBe(
    "link 1: packets of full size (9000 bytes) get lost between 10.1.0.3 and 10.1.0.1, small ones do not",
  );
  expect(probeProblem({ ...outcome, result: "nothing" })).toMatchObject({
    text: expect.stringContaining("from port 5406 to port 5412"),
    remedy: expect.stringContaining("UDP ports 5405 to 5412"),
  });
  const taken = probeProblem({ ...outcome, result: "not tried", reason: "EADDRINUSE" });
  expect(taken?.remedy).toContain("UDP port 5406 of 10.1.0.3");
  expect(mtuNote(outcome)).toBeUndefined();
  expect(mtuNote({ ...outcome, mtu: { own: 9000, member: 1500 } })).toContain(
    "the smaller one counts",
  );
});
