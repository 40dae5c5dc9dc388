// Changes of a running cluster: what is planned and refused, and each plan killed at every step: done or as before.
import { describe, expect, test } from "bun:test";
import { killEverywhere } from "../../../test/double/plan-kills.ts";
import { PaperCluster, paperConf } from "../../../test/double/paper-cluster.ts";
import { readClusterConf } from "../conf/cluster-conf.ts";
import { withDevice } from "../conf/device.ts";
import { withVotes } from "../conf/nodes.ts";
import { dryRunText, dryRun } from "../operation/dry-run.ts";
import { bindPlan, type Plan } from "../operation/plan.ts";
import { isSame, moveConf } from "./conf-stage.ts";
import { linkPlan, planLink } from "./links.ts";
import type { ChangePorts } from "./ports.ts";
import { planReaddress, readdressByWayPlan, readdressPlan } from "./readdress.ts";
import { formerMembersPath, formerOf, readFormer, withFormer } from "./former-members.ts";
import { planRemove, removedAlready, removePlan } from "./remove.ts";
import { planRename, renamePlan } from "./rename.ts";
import { planVotes, votesPlan } from "./votes.ts";

const user = "root@pam";
const addresses = new Map([1, 2, 3].map((nodeid) => [`pve${nodeid}`, `10.1.0.${nodeid}`]));
const reason = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "no reason",
    (error: unknown) => (error instanceof Error ? error.message : "no error"),
  );

/** Kills it everywhere; `make` gives a cluster and the facts that were planned on it. */
async function kill<Facts>(
  plan: Plan<Facts, ChangePorts>,
  make: () => Promise<{ readonly cluster: PaperCluster; readonly facts: Facts }>,
  done: (cluster: PaperCluster) => string,
) {
  const planned = await make();
  const original = planned.cluster;
  const start = { conf: original.conf, tree: JSON.stringify([...original.tree]) };
  return killEverywhere({
    plan,
    twice: false,
    world: () => {
      const cluster = new PaperCluster(original.conf);
      for (const nodeid of cluster.on) if (!original.on.has(nodeid)) cluster.on.delete(nodeid);
      for (const address of original.absent) cluster.absent.add(address);
      for (const [path, text] of original.tree) cluster.addFile(path, text);
      return {
        ports: cluster.ports(),
        facts: planned.facts,
        passes: () => cluster.turn(),
        done: () => done(cluster),
        before: () => {
          if (!isSame(cluster.conf, start.conf)) return "corosync.conf is another one";
          const tree = JSON.stringify([...cluster.tree].toSorted());
          const first = JSON.stringify([...original.tree].toSorted());
          return tree === first ? "" : "the tree is another one";
        },
      };
    },
  });
}

/** Runs a plan's steps as they come, on its cluster. */
async function carryOut<Facts>(
  plan: Plan<Facts, ChangePorts>,
  cluster: PaperCluster,
  facts: Facts,
) {
  const bound = bindPlan(plan, cluster.ports());
  const told: string[] = [];
  const context = {
    signal: new AbortController().signal,
    tell: (text: string) => void told.push(text),
    isRepeated: false,
  };
  let known: unknown = facts;
  for (const step of bound.steps) known = await step.run(known, context);
  return told;
}

// As a plan it is a link's, which is killed everywhere below.
describe("votes", () => {
  test("are changed for good, with what they mean, and the same twice is nothing to do", async () => {
    const cluster = new PaperCluster(paperConf(3));
    const request = { node: "pve2", votes: 3 };
    const planned = (await planVotes(cluster.ports(), request, user))!;
    expect(planned.notes.slice(0, 2)).toEqual([
      "Quorum stays: the nodes have 5 votes then, and 3 are needed.",
      expect.stringContaining("pve2 is quorate alone then"),
    ]);
    await carryOut(votesPlan, cluster, planned.facts);
    expect(cluster.cluster.nodes.map(({ name, votes }) => [name, votes])).toEqual([
      ...[
        ["pve1", 1],
        ["pve2", 3],
        ["pve3", 1],
      ],
    ]);
    expect(cluster.logged).toEqual(["root@pam: node pve2 has 3 votes"]);
    expect(await planVotes(cluster.ports(), request, user)).toBeUndefined();
    const less = await planVotes(cluster.ports(), { node: "pve2", votes: 0 }, user);
    expect(less?.notes).toEqual(["Quorum stays: the nodes have 2 votes then, and 2 are needed."]);
  });

  test("are refused with nothing written", async () => {
    const cluster = new PaperCluster(paperConf(1));
    const plan = (node: string, votes: number) =>
      reason(planVotes(cluster.ports(), { node, votes }, user));
    expect(await plan("pve1", 0)).toContain("no node would have a vote");
    expect(await plan("nobody", 1)).toContain("not a known host");
    expect(await plan("pve1", 256)).toContain("votes");
    const three = new PaperCluster(paperConf(3));
    three.on.delete(3);
    const away = planVotes(three.ports(), { node: "pve2", votes: 2 }, user);
    expect(await reason(away)).toContain("pve3 is offline");
    expect([...cluster.written, ...three.written]).toEqual([]);
  });
});

describe("a link", () => {
  test("is added, changed and removed, and the same twice is nothing to do", async () => {
    const cluster = new PaperCluster(paperConf(3));
    const add = { kind: "add", number: 1, addresses, priority: 0 } as const;
    const planned = await planLink(cluster.ports(), add, user);
    expect(planned?.notes[0]).toContain("Quorum stays");
    if (planned === undefined) return;
    const shown = dryRunText(dryRun(linkPlan, planned.facts));
    expect(shown).toStartWith(
      "1. add link 1 to all nodes, and wait until it is connected\n2. note it",
    );
    expect(shown).toContain("+    ring1_addr: 10.1.0.2\n");
    await carryOut(linkPlan, cluster, planned.facts);
    expect(cluster.logged).toEqual(["root@pam: link 1 added"]);
    expect(cluster.cluster.links).toHaveLength(2);
    expect(await planLink(cluster.ports(), add, user)).toBeUndefined();
    const set = { kind: "set", number: 1, priority: 9 } as const;
    await carryOut(linkPlan, cluster, (await planLink(cluster.ports(), set, user))!.facts);
    expect(cluster.cluster.links[1]).toEqual({ number: 1, priority: 9 });
    expect(await planLink(cluster.ports(), set, user)).toBeUndefined();
    const remove = { kind: "remove", number: 1 } as const;
    await carryOut(linkPlan, cluster, (await planLink(cluster.ports(), remove, user))!.facts);
    expect(isSame(cluster.conf, paperConf(3))).toBe(true);
    expect(await planLink(cluster.ports(), remove, user)).toBeUndefined();
  });

  test("is refused with nothing written", async () => {
    const cluster = new PaperCluster(paperConf(3, 2));
    const plan = (request: Parameters<typeof planLink>[1]) =>
      reason(planLink(cluster.ports(), request, user));
    expect(await plan({ kind: "add", number: 1, addresses })).toBe("no reason"); // As it is.
    expect(await plan({ kind: "add", number: 9, addresses })).toContain("links are 0 to 7");
    expect(await plan({ kind: "add", number: 2, addresses: new Map() })).toContain("missing: pve1");
    const twins = new Map(["pve1", "pve2", "pve3"].map((name, at) => [name, `10.0.0.${at + 1}`]));
    expect(await plan({ kind: "add", number: 2, addresses: twins })).toStartWith(
      "links 0 and 2 of node 'pve1' would both have the address 10.0.0.1, and fail together",
    );
    expect(await plan({ kind: "set", number: 5, priority: 1 })).toContain("does not exist");
    cluster.cut.add(0);
    expect(await plan({ kind: "remove", number: 1 })).toContain("link 0 to pve2 is not connected");
    cluster.cut.delete(0);
    cluster.on.delete(3);
    expect(await plan({ kind: "remove", number: 1 })).toContain(
      "All nodes must be online! pve3 is offline, aborting.",
    );
    cluster.on.delete(2);
    expect(await plan({ kind: "remove", number: 1 })).toBe("cluster not ready - no quorum?");
    expect(cluster.written).toEqual([]);
  });

  test("that does not come up is taken back, named with address and port", async () => {
    const cluster = new PaperCluster(paperConf(3));
    cluster.absent.add("10.1.0.3");
    const planned = await planLink(cluster.ports(), { kind: "add", number: 1, addresses }, user);
    const bound = bindPlan(linkPlan, cluster.ports());
    const context = {
      signal: new AbortController().signal,
      tell: () => undefined,
      isRepeated: false,
    };
    expect(await reason(bound.steps[0]!.run(planned!.facts, context))).toBe(
      "link 1 to pve3 (10.1.0.3) does not come up: is the address on an interface of that node, and is UDP port 5406 open both ways?",
    );
    await bound.steps[0]!.undo!(planned!.facts, context);
    expect(isSame(cluster.running, paperConf(3))).toBe(true);
  });

  test("a file that every node refuses is taken back at once; one that somebody else changed is left", async () => {
    const cluster = new PaperCluster(paperConf(3));
    const planned = await planLink(cluster.ports(), { kind: "add", number: 1, addresses }, user);
    cluster.refusal = "no such key";
    expect(await reason(carryOut(linkPlan, cluster, planned!.facts))).toBe(
      "this node refuses the new corosync.conf: no such key",
    );
    const other = new PaperCluster(paperConf(3));
    const facts = (await planLink(other.ports(), { kind: "add", number: 1, addresses }, user))!
      .facts;
    const edit = withVotes(other.conf, "pve2", 2);
    other.conf = edit.ok ? edit.value.text : "";
    expect(await reason(carryOut(linkPlan, other, facts))).toContain("changed by somebody else");
    expect(other.written).toEqual([]);
  });

  test("killed everywhere", async () => {
    const make = async () => {
      const cluster = new PaperCluster(paperConf(3));
      const planned = await planLink(cluster.ports(), { kind: "add", number: 1, addresses }, user);
      return { cluster, facts: planned!.facts };
    };
    const tally = await kill(linkPlan, make, (cluster) =>
      cluster.cluster.links.length === 2 ? "" : "no link",
    );
    expect(tally.completed).toBeGreaterThan(5);
    expect(tally.undone).toBeGreaterThan(5);
  });
});

describe("readdress", () => {
  const addressOf = (cluster: PaperCluster, name: string): string[] => {
    const node = cluster.cluster.nodes.find((each) => each.name === name);
    return [...(node?.addresses.values() ?? [])];
  };

  test("the only link of a node: by way of another, without losing the ring for a moment", async () => {
    const cluster = new PaperCluster(paperConf(3));
    const request = { node: "pve2", links: new Map([[0, "10.9.0.2"]]) };
    const planned = await planReaddress(cluster.ports(), request, user);
    expect(planned?.facts.stages.map(({ title }) => title)).toEqual([
      "lay link 1 for the time, with the new address of pve2",
      "take link 0 from all nodes",
      "put link 0 back with the new address of pve2",
      "take link 1 away again",
    ]);
    const ports = cluster.ports();
    const seen: number[] = [];
    const { turn } = ports.cluster;
    ports.cluster.turn = async (signal) => {
      await turn(signal);
      seen.push(cluster.view.members.length);
    };
    const bound = bindPlan(readdressByWayPlan, ports);
    const context = {
      signal: new AbortController().signal,
      tell: () => undefined,
      isRepeated: false,
    };
    for (const step of bound.steps) await step.run(planned!.facts, context);
    expect(addressOf(cluster, "pve2")).toEqual(["10.9.0.2"]);
    expect(new Set(seen)).toEqual(new Set([3]));
    expect(await planReaddress(cluster.ports(), request, user)).toBeUndefined();
  });

  test("one of two links: while the other carries the ring; a node that is away goes and comes back", async () => {
    const two = new PaperCluster(paperConf(3, 2));
    const one = (await planReaddress(
      two.ports(),
      { node: "10.0.0.2", links: new Map([[1, "10.9.0.2"]]) },
      user,
    ))!;
    expect(one.facts.stages).toHaveLength(2);
    await carryOut(readdressPlan, two, one.facts);
    expect(addressOf(two, "pve2")).toEqual(["10.0.0.2", "10.9.0.2"]);
    const away = new PaperCluster(paperConf(3));
    away.on.delete(2);
    const planned = (await planReaddress(
      away.ports(),
      { node: "pve2", links: new Map([[0, "10.9.0.2"]]) },
      user,
    ))!;
    expect(planned.notes[0]).toContain("pve2 is away");
    await carryOut(readdressPlan, away, planned.facts);
    expect(addressOf(away, "pve2")).toEqual(["10.9.0.2"]);
    expect(away.cluster.nodes.find(({ name }) => name === "pve2")?.nodeid).toBe(2);
  });

  test("is refused with nothing written", async () => {
    const cluster = new PaperCluster(paperConf(3, 2));
    const plan = (node: string, links: readonly (readonly [number, string])[]) =>
      reason(planReaddress(cluster.ports(), { node, links: new Map(links) }, user));
    expect(await plan("nobody", [[0, "10.9.0.2"]])).toContain("not a known host");
    expect(await plan("pve2", [])).toContain("no new address");
    expect(await plan("pve2", [[4, "10.9.0.2"]])).toContain("link 4 does not exist");
    expect(await plan("pve2", [[0, "10.1.0.3"]])).toContain(
      "already used on link ring1_addr by node 'pve3'",
    );
    // Before anything is taken away, for whichever of the ways it would go.
    for (const unusable of ["10.78.0.999", "nowhere"]) {
      cluster.unknown.add(unusable);
      expect(await plan("pve2", [[0, unusable]])).toBe(`link 0 of pve2: ${unusable} is unknown`);
    }
    expect(await plan("pve2", [[0, "10.1.0.2"]])).toStartWith(
      "links 0 and 1 of node 'pve2' would both have the address 10.1.0.2, and fail together",
    );
    cluster.cut.add(1);
    expect(await plan("pve2", [[0, "10.9.0.2"]])).toContain("link 1 to pve2 is not connected");
    cluster.cut.delete(1);
    cluster.on.delete(3);
    expect(await plan("pve2", [[0, "10.9.0.2"]])).toContain("pve3 is offline");
    const full = new PaperCluster(paperConf(2, 8));
    const all = new Map(Array.from({ length: 8 }, (_, link) => [link, `10.${link}.9.2`]));
    expect(await reason(planReaddress(full.ports(), { node: "pve2", links: all }, user))).toContain(
      "all 8 links",
    );
    expect(cluster.written).toEqual([]);
  });

  test("an address that is not there is named; killed everywhere", async () => {
    const make = async () => {
      const cluster = new PaperCluster(paperConf(3));
      const request = { node: "pve2", links: new Map([[0, "10.9.0.2"]]) };
      const planned = await planReaddress(cluster.ports(), request, user);
      return { cluster, facts: planned!.facts };
    };
    const { cluster: absent, facts } = await make();
    absent.absent.add("10.9.0.2");
    expect(await reason(carryOut(readdressByWayPlan, absent, facts))).toContain("does not come up");
    const tally = await kill(readdressByWayPlan, make, (cluster) =>
      addressOf(cluster, "pve2").join() === "10.9.0.2" ? "" : "not readdressed",
    );
    expect(tally.completed).toBeGreaterThan(10);
    expect(tally.undone).toBeGreaterThan(10);
  });
});

describe("rename", () => {
  const fill = (cluster: PaperCluster): void => {
    cluster.addFile("nodes/pve2/qemu-server/100.conf");
    cluster.addFile("nodes/pve2/pve-ssl.pem");
    cluster.addFile("nodes/pve2/priv/key");
  };
  const moved = [
    "nodes/alpha/priv/key",
    "nodes/alpha/pve-ssl.pem",
    "nodes/alpha/qemu-server/100.conf",
  ];

  test("moves everything, and says what is to be done on the machine", async () => {
    const cluster = new PaperCluster(paperConf(3));
    fill(cluster);
    const planned = (await planRename(cluster.ports(), { node: "pve2", newName: "alpha" }, user))!;
    expect(planned.notes[1]).toContain("hostnamectl set-hostname alpha");
    await carryOut(renamePlan, cluster, planned.facts);
    expect([...cluster.tree.keys()].toSorted()).toEqual(moved);
    expect(cluster.directories.has("nodes/pve2")).toBe(false);
    expect(cluster.cluster.nodes.map(({ name }) => name)).toEqual(["alpha", "pve1", "pve3"]);
    expect(
      await planRename(cluster.ports(), { node: "pve2", newName: "alpha" }, user),
    ).toBeUndefined();
  });

  test("is refused with nothing written", async () => {
    const cluster = new PaperCluster(paperConf(3));
    const plan = (node: string, newName: string) =>
      reason(planRename(cluster.ports(), { node, newName }, user));
    expect(await plan("pve2", "pve3")).toContain("already used by node 3");
    expect(await plan("pve2", "a b")).toContain("valid node name");
    expect(await plan("nobody", "x")).toContain("not a known host");
    cluster.addFile("nodes/x/lxc/100.conf");
    expect(await plan("pve2", "x")).toContain("/etc/pve/nodes/x is there already");
    cluster.on.delete(3);
    expect(await plan("pve2", "y")).toContain("pve3 is offline");
    expect(cluster.written).toEqual([]);
  });

  test("that goes on days later takes nothing of another machine that has the old name", async () => {
    const cluster = new PaperCluster(paperConf(3));
    const planned = await planRename(cluster.ports(), { node: "pve2", newName: "new2" }, user);
    if (planned === undefined) throw new Error("there is nothing to do");
    cluster.addFile("nodes/pve2/lxc/101.conf");
    const told: string[] = [];
    const step = bindPlan(renamePlan, cluster.ports()).steps.find(
      ({ name }) => name === "directory",
    );
    await step?.run(planned.facts, {
      signal: new AbortController().signal,
      tell: (text: string) => void told.push(text),
      isRepeated: true,
    });
    expect(cluster.tree.has("nodes/pve2/lxc/101.conf")).toBe(true);
    expect(told.join()).toContain("names pve2 again");
  });

  test("killed everywhere", async () => {
    const make = async () => {
      const cluster = new PaperCluster(paperConf(3));
      fill(cluster);
      const planned = await planRename(cluster.ports(), { node: "pve2", newName: "alpha" }, user);
      return { cluster, facts: planned!.facts };
    };
    const tally = await kill(renamePlan, make, (cluster) => {
      const names = [...cluster.tree.keys()].toSorted().join();
      return names === moved.join() && cluster.conf.includes("name: alpha") ? "" : names;
    });
    expect(tally.completed).toBeGreaterThan(10);
    expect(tally.undone).toBeGreaterThan(10);
  });
});

describe("remove", () => {
  const request = { node: "pve2", purge: true, withGuests: false, by: user, at: 1_800_000_000 };
  const fill = (cluster: PaperCluster): void => {
    cluster.addFile("nodes/pve2/pve-ssl.pem");
    cluster.addFile("nodes/pve2/priv/key");
    cluster.addFile(
      "priv/authorized_keys",
      "ssh-rsa AAA root@pve1\nssh-rsa BBB root@pve2\n# root@pve2\n",
    );
    cluster.addFile(
      "priv/known_hosts",
      "pve2 ssh-rsa B\n10.0.0.2 ssh-rsa B\npve1,10.0.0.1 ssh-rsa A\n",
    );
    cluster.addFile("ha/groups.cfg", "group: a\n  nodes pve2,pve3\n");
    cluster.addFile("storage.cfg", "nfs: a\n  nodes pve22\n");
  };

  test("a running node: its entry, its daemon, and what it leaves, with a preview", async () => {
    const cluster = new PaperCluster(paperConf(3));
    fill(cluster);
    const planned = await planRemove(cluster.ports(), request);
    expect(planned.notes.slice(0, 2)).toEqual([
      expect.stringMatching(
        /^pve2 runs\. Its daemon is ended at once .* type `quorate leave` on it/,
      ),
      "Then the nodes have 2 votes, 2 of them needed; 2 are here.",
    ]);
    expect(planned.question).toBe(
      "pve2 runs, and its daemon is ended at once. This removes for good what pve2 has in the tree.",
    );
    const kept = await planRemove(cluster.ports(), { ...request, purge: false });
    expect(kept.question).toBe("pve2 runs, and its daemon is ended at once.");
    expect(planned.notes.at(-1)).toBe(
      "/etc/pve/ha/groups.cfg names pve2: look at it, it is not changed here.",
    );
    const shown = dryRunText(dryRun(removePlan, planned.facts));
    expect(shown).toContain("nodes/pve2/priv/key, nodes/pve2/pve-ssl.pem");
    expect(shown).toContain("-ssh-rsa BBB root@pve2\n");
    expect(cluster.written).toEqual([]);
    const told = await carryOut(removePlan, cluster, planned.facts);
    expect(told).toEqual(["Killing node 2"]);
    expect(cluster.killed).toEqual([2]);
    expect(cluster.logged).toEqual(["deleting node pve2 from cluster"]);
    expect(cluster.tree.get("priv/authorized_keys")).toBe("ssh-rsa AAA root@pve1\n# root@pve2\n");
    expect(cluster.tree.get("priv/known_hosts")).toBe("pve1,10.0.0.1 ssh-rsa A\n");
    expect([...cluster.directories].filter((path) => path.includes("pve2"))).toEqual([]);
    expect(cluster.cluster.nodes.map(({ name }) => name)).toEqual(["pve1", "pve3"]);
    expect(await reason(planRemove(cluster.ports(), request))).toBe(
      "Node/IP: pve2 is not a known host of the cluster.",
    );
    // The same once more, by name or address: done already, and told when and by whom.
    const already =
      "pve2 is out of the cluster already: it was removed on 2027-01-15 08:00:00 UTC by root@pam.";
    for (const node of ["pve2", "10.0.0.2"]) {
      expect(await removedAlready(cluster.ports(), { node, purge: true })).toEqual([already]);
    }
    expect(await reason(removedAlready(cluster.ports(), { node: "pve22", purge: false }))).toBe(
      "pve22 is no member of this cluster, and nothing shows that it ever was one: its members are pve1, pve3",
    );
  });

  test("a dead node is not removed while an override alone makes quorum: it would end with the change", async () => {
    const cluster = new PaperCluster(paperConf(3));
    cluster.on.delete(2);
    cluster.on.delete(3);
    cluster.isOverridden = true;
    const refusal = await reason(planRemove(cluster.ports(), { ...request, purge: false }));
    expect(refusal).toStartWith(
      "without pve2 the nodes have 2 votes, 2 of them needed, and 1 is here: the override of the expected votes ends with any change",
    );
    expect(refusal).toContain("Start enough of pve2, pve3; if they are dead for good, take all");
    expect([cluster.written, cluster.logged]).toEqual([[], []]);
    // With a second one that is here it goes.
    cluster.on.add(3);
    expect((await planRemove(cluster.ports(), request)).facts.members).toEqual([1, 3]);
  });

  test("the second of two is not killed, for the first would lose quorum by that; without purge all stays", async () => {
    const cluster = new PaperCluster(paperConf(2));
    fill(cluster);
    const planned = await planRemove(cluster.ports(), {
      ...request,
      node: "10.0.0.2",
      purge: false,
    });
    expect(planned.facts.isKilled).toBe(false);
    expect(planned.notes[0]).toContain("Its daemon is not ended, for the others have no quorum");
    expect(planned.question).toBe("pve2 runs, and is left alone without quorum.");
    expect(planned.notes.join()).toContain("--purge removes it");
    await carryOut(removePlan, cluster, planned.facts);
    expect(cluster.view).toMatchObject({ quorate: true, members: [1] });
    expect(cluster.tree.has("nodes/pve2/pve-ssl.pem")).toBe(true);
    const twice = { node: "pve2", purge: false };
    expect(await removedAlready(cluster.ports(), twice)).toEqual([
      "pve2 is out of the cluster already: it was removed on 2027-01-15 08:00:00 UTC by root@pam.",
      "What it had in the tree is there still (/etc/pve/nodes/pve2, its keys): --purge removes it.",
    ]);
    cluster.tree.delete(formerMembersPath);
    expect((await removedAlready(cluster.ports(), twice))?.[0]).toBe(
      "pve2 is out of the cluster already.",
    );
    expect(await removedAlready(cluster.ports(), { ...twice, purge: true })).toBeUndefined();
    expect(await removedAlready(cluster.ports(), { ...twice, node: "pve1" })).toBeUndefined();
  });

  test("the device's votes follow", async () => {
    const device = {
      host: "192.0.2.7",
      port: 5403,
      algorithm: "ffsplit",
      tls: "on",
      votes: 1,
    } as const;
    const edit = withDevice(paperConf(4), device);
    const cluster = new PaperCluster(edit.ok ? edit.value.text : "");
    const planned = await planRemove(cluster.ports(), request);
    expect(planned.notes.join()).toContain("adds a point of failure");
    const read = readClusterConf(planned.facts.after);
    expect(read.ok && read.value.device).toMatchObject({ algorithm: "ffsplit", votes: 1 });
  });

  test("is refused with nothing written", async () => {
    const cluster = new PaperCluster(paperConf(3));
    const plan = (change: Partial<typeof request>) =>
      reason(planRemove(cluster.ports(), { ...request, ...change }));
    expect(await plan({ node: "pve1" })).toBe("Cannot delete myself from cluster!");
    expect(await plan({ node: "10.0.0.1" })).toBe("Cannot delete myself from cluster!");
    expect(await plan({ node: "x" })).toBe("Node/IP: x is not a known host of the cluster.");
    cluster.addFile("nodes/pve2/lxc/101.conf");
    expect(await plan({})).toContain(
      "pve2 has guests, whose configuration would be lost: 101.conf",
    );
    expect(
      (await planRemove(cluster.ports(), { ...request, withGuests: true })).facts.purge,
    ).toEqual(["nodes/pve2/lxc/101.conf"]);
    cluster.on.delete(2);
    const offline = await planRemove(cluster.ports(), { ...request, purge: false });
    expect([offline.notes[0], offline.question]).toEqual(["pve2 is offline.", undefined]);
    cluster.on.delete(3);
    expect(await plan({})).toBe("cluster not ready - no quorum?");
    expect(cluster.written).toEqual([]);
  });

  test("that goes on days later does nothing to a node that was added anew meanwhile", async () => {
    const cluster = new PaperCluster(paperConf(3));
    fill(cluster);
    const { facts } = await planRemove(cluster.ports(), { ...request, node: "pve3" });
    const bound = bindPlan(removePlan, cluster.ports());
    const told: string[] = [];
    const context = {
      signal: new AbortController().signal,
      tell: (text: string) => void told.push(text),
      ...{ isRepeated: true, isLate: true },
    };
    const step = (name: string) => bound.steps.find((each) => each.name === name);
    // Killed while it took the node out of corosync.conf, in which it stands again.
    expect(await reason(Promise.resolve(step("conf")?.run(facts, context)))).toBe(
      "it was interrupted, and its time is over",
    );
    // Killed before it removed what the node had, which is a new node's now.
    cluster.addFile("nodes/pve3/lxc/101.conf");
    const purge = { ...facts, purge: ["nodes/pve3/lxc/101.conf"] };
    await step("purge")?.run(purge, context);
    expect(cluster.tree.has("nodes/pve3/lxc/101.conf")).toBe(true);
    expect(told).toEqual(["corosync.conf names pve3 again: what it has in the tree stays"]);
    expect([cluster.written, cluster.killed]).toEqual([[], []]);
  });

  test("killed everywhere", async () => {
    const make = async () => {
      const cluster = new PaperCluster(paperConf(3));
      fill(cluster);
      return { cluster, facts: (await planRemove(cluster.ports(), request)).facts };
    };
    const tally = await kill(removePlan, make, (cluster) => {
      const kept = formerOf(cluster.tree.get(formerMembersPath), "pve2");
      if (kept?.how !== "removed") return "nothing says that it was a member";
      const isThere = [...cluster.tree.keys()].some((path) => path.includes("pve2"));
      return !isThere && !cluster.conf.includes("pve2") ? "" : "something is left";
    });
    expect(tally.completed).toBeGreaterThan(10);
    expect(tally.undone).toBeGreaterThan(3);
  });
});

test("what a node that is gone left is removed afterwards", async () => {
  const cluster = new PaperCluster(paperConf(2));
  const request = { node: "old", purge: true, withGuests: false, by: user, at: 1 };
  expect(await reason(planRemove(cluster.ports(), request))).toContain("not a known host");
  cluster.addFile("nodes/old/pve-ssl.pem");
  const planned = await planRemove(cluster.ports(), request);
  await carryOut(removePlan, cluster, planned.facts);
  expect(cluster.tree.size).toBe(0);
  expect(cluster.written).toEqual([]);
});

test("a change that is in corosync.conf already needs no lock, which a killed daemon may have left", async () => {
  const present = paperConf(3);
  const real = new PaperCluster(present).ports();
  const locked = (): Promise<never> => Promise.reject(new Error("held"));
  const ports: ChangePorts = { ...real, cluster: { ...real.cluster, locked } };
  const other = present.replace("pve1", "pve9");
  await moveConf(ports, other, present, { isRepeated: true });
  expect(await reason(moveConf(ports, present, other, { isRepeated: true }))).toBe("held");
});

test("former members: the last 64, each once, and nothing of a file that is none of ours", () => {
  const entry = (at: number) => ({
    ...{ name: `n${at}`, nodeid: at, addresses: [`10.0.0.${at}`], at },
    ...({ by: user, how: "removed" } as const),
  });
  let text: string | undefined;
  for (let at = 1; at <= 80; at += 1) text = withFormer(text, entry(at));
  expect(readFormer(text)).toHaveLength(64);
  expect(formerOf(text, "n16")).toBeUndefined();
  expect(formerOf(text, "10.0.0.17")?.name).toBe("n17");
  text = withFormer(text, { ...entry(80), at: 90, how: "left" });
  expect(readFormer(text).filter(({ name }) => name === "n80")).toHaveLength(1);
  for (const junk of ["", "{", "[]", `{"format":1,"members":[{"name":"a b"}]}`]) {
    expect(readFormer(junk)).toEqual([]);
  }
});

describe("a member that does not run with the corosync.conf of the tree", () => {
  const set = { kind: "set", number: 0, priority: 9 } as const;
  const remove = { purge: false, withGuests: false, by: user, at: 1 };

  test("is named, and nothing is changed; it alone may be removed", async () => {
    const cluster = new PaperCluster(paperConf(3));
    const { version } = cluster.cluster;
    cluster.lagging.set(2, version - 1);
    expect(await reason(planLink(cluster.ports(), set, user))).toStartWith(
      `pve2 (version ${version - 1}) does not run with the corosync.conf of the tree (version ${version}) yet: `,
    );
    expect(await reason(planRemove(cluster.ports(), { ...remove, node: "pve3" }))).toContain(
      "pve2 (version",
    );
    expect((await planRemove(cluster.ports(), { ...remove, node: "pve2" })).facts.name).toBe(
      "pve2",
    );
    // One that is off is no member; its start will take the file.
    cluster.on.delete(2);
    expect((await planRemove(cluster.ports(), { ...remove, node: "pve3" })).facts.name).toBe(
      "pve3",
    );
    expect(cluster.written).toEqual([]);
  });

  test("is waited for while it takes the change before", async () => {
    const cluster = new PaperCluster(paperConf(3));
    cluster.lagging.set(3, 1);
    const ports = cluster.ports();
    let turns = 0;
    const turn = async (): Promise<void> => {
      turns += 1;
      if (turns === 20) cluster.lagging.clear();
    };
    const waiting = { ...ports, cluster: { ...ports.cluster, turn } };
    expect((await planLink(waiting, set, user))?.facts.members).toEqual([1, 2, 3]);
    expect(turns).toBe(20);
  });
});
