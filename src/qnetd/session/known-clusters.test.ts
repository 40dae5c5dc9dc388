// What the vote server says in its log and remembers: a lost node, a split, votes, clusters that are gone; and that strangers cannot
// fill its memory with clusters of their own.
import { describe, expect, test } from "bun:test";
import { Client } from "../vote/algorithm.ts";
import { Cluster } from "../vote/cluster.ts";
import type { VoteServerAction } from "./events.ts";
import { KnownClusters, knownMax } from "./known-clusters.ts";
import { bringUp, Lab, TestClient } from "../../../test/double/qnetd-host.ts";

function pair(lab: Lab, cluster = "sim"): readonly [TestClient, TestClient] {
  const nodes = [1, 2].map((nodeId) => new TestClient(lab, nodeId, { cluster }));
  bringUp(nodes);
  return nodes as unknown as [TestClient, TestClient];
}

/** The lines since the last call, of this file's kind. */
function linesOf(lab: Lab): string[] {
  return lab.log
    .splice(0)
    .filter((line) => line.startsWith("cluster "))
    .map((line) => line.replace('cluster "sim": ', ""));
}

const both = "partition {1, 2} is the majority of 2 configured nodes";

describe("the log", () => {
  test("a vote is told once, a change of the ring that keeps it is not", () => {
    const lab = new Lab();
    const [a, b] = pair(lab);
    expect(linesOf(lab)).toEqual([
      `Node 1 has the vote: ${both}.`,
      `Node 2 has the vote: ${both}.`,
    ]);
    for (const node of [a, b]) node.membership({ rep: 1, seq: 50 }, [1, 2]);
    lab.settle();
    expect(linesOf(lab)).toEqual([]);
    expect(lab.server.snapshot(lab.now).clusters[0]).toMatchObject({ absent: [], concerns: [] });
  });

  test("a split, the vote taken back, and whole again", () => {
    const lab = new Lab();
    const [a, b] = pair(lab);
    linesOf(lab);
    a.membership({ rep: 1, seq: 50 }, [1]);
    b.membership({ rep: 2, seq: 50 }, [2]);
    lab.settle();
    const reason =
      "of the halves of 2 configured nodes partition {1} is chosen by the tie-breaker, the lowest node id";
    expect(linesOf(lab)).toEqual([
      `the vote is taken back. Node 2 does not have the vote: ${reason}.`,
      "is split into {1} and {2}",
      `Node 1 has the vote: ${reason}.`,
    ]);
    expect(lab.server.snapshot(lab.now).clusters[0]?.concerns).toEqual([
      { kind: "split", text: "split into {1} and {2}" },
    ]);
    for (const node of [a, b]) node.membership({ rep: 1, seq: 70 }, [1, 2]);
    lab.settle();
    expect(linesOf(lab)).toEqual([
      "is not split any more",
      `Node 1 has the vote: ${both}.`,
      `Node 2 has the vote: ${both}.`,
    ]);
  });

  test("a lost node is said, shown as absent, and back again", () => {
    const lab = new Lab();
    const [a, b] = pair(lab);
    linesOf(lab);
    lab.end(b.connection, false);
    lab.settle();
    expect(linesOf(lab)).toEqual(["node 2 is not connected any more; connected: node 1"]);
    lab.now += 35_000;
    const [cluster] = lab.server.snapshot(lab.now).clusters;
    expect(cluster?.absent).toEqual([{ nodeId: 2, absentMs: 35_000, address: "::ffff:127.0.0.1" }]);
    expect(cluster?.concerns).toEqual([{ kind: "absent", text: "node 2 not connected" }]);
    b.join({ rep: 1, seq: 10 });
    expect(linesOf(lab)).toEqual(["node 2 is connected again after 35 s"]);
    // Taken out of the configuration: nobody misses it.
    b.close();
    a.config([1], true);
    lab.settle();
    expect(lab.server.snapshot(lab.now).clusters[0]?.absent).toEqual([]);
  });

  test("a configured node that has never come is shown as well", () => {
    const lab = new Lab();
    const node = new TestClient(lab, 1);
    node.join();
    node.config([1, 2, 3]);
    lab.settle();
    expect(lab.server.snapshot(lab.now).clusters[0]?.absent).toEqual([
      { nodeId: 2, absentMs: undefined, address: "" },
      { nodeId: 3, absentMs: undefined, address: "" },
    ]);
  });

  test("a cluster of which nobody is connected stays shown", () => {
    const lab = new Lab();
    const [a, b] = pair(lab);
    linesOf(lab);
    for (const node of [a, b]) node.close();
    lab.settle();
    expect(linesOf(lab).slice(-2)).toEqual([
      "node 2 is not connected any more; connected: nobody",
      "no node is connected any more",
    ]);
    lab.now += 3_600_000;
    const { clusters, absent } = lab.server.snapshot(lab.now);
    expect(clusters).toEqual([]);
    expect(absent).toMatchObject([
      { name: "sim", absentMs: 3_600_000, nodes: [{ nodeId: 1 }, { nodeId: 2 }] },
    ]);
    a.join();
    expect(linesOf(lab)).toEqual([
      "is back after 60 min",
      "node 1 is connected again after 60 min",
    ]);
    expect(lab.server.snapshot(lab.now).absent).toEqual([]);
  });

  test("a second cluster of the same name: by its addresses, and by its lists", () => {
    const lab = new Lab();
    pair(lab);
    const other = new TestClient(lab, 1);
    other.connection = lab.connect(other, "::ffff:10.9.9.9", 4);
    other.preinit();
    other.init();
    lab.settle();
    const text =
      "node 1 is connected from 127.0.0.1, and 10.9.9.9 asks to be it too: if these are two clusters of one name, give one of them another totem.cluster_name";
    expect(lab.log.join("\n")).toContain(text);
    const concerns = () => lab.server.snapshot(lab.now).clusters[0]?.concerns ?? [];
    expect(concerns()).toEqual([{ kind: "namesake", text }]);
    lab.now += 700_000;
    expect(concerns()).toEqual([]);
    const third = new TestClient(lab, 3);
    third.join();
    third.config([3, 4]);
    lab.settle();
    const mixed = concerns().find(({ kind }) => kind === "mixed");
    expect(mixed?.text).toStartWith("its nodes are configured apart, {1, 2} and {3, 4}");
    expect(linesOf(lab)).toContain(mixed?.text ?? "none");
  });
});

describe("what is remembered is bounded", () => {
  test("invented clusters push out those that lived for the shortest time", () => {
    const lab = new Lab();
    const nodes = pair(lab);
    lab.now += 60_000;
    for (const node of nodes) node.close();
    lab.settle();
    for (let at = 0; at < 3 * knownMax.unverified; at += 1) {
      const node = new TestClient(lab, 1, { cluster: `invented ${at}` });
      node.join();
      node.close();
      lab.settle();
    }
    const absent = lab.server.snapshot(lab.now).absent;
    expect(absent).toHaveLength(knownMax.unverified);
    expect(absent.at(-1)).toMatchObject({ name: "sim", absentMs: 0 });
    // After a day all of them are forgotten.
    lab.now += 86_400_001;
    expect(lab.server.snapshot(lab.now).absent).toEqual([]);
  });

  test("one cluster whose nodes come and go by the hundred", () => {
    const lab = new Lab();
    const stays = new TestClient(lab, 5000);
    stays.join();
    for (let nodeId = 1; nodeId <= 3 * knownMax.nodes; nodeId += 1) {
      const node = new TestClient(lab, nodeId);
      node.join();
      node.close();
      lab.settle();
    }
    const absent = lab.server.snapshot(lab.now).clusters[0]?.absent ?? [];
    expect(absent).toHaveLength(knownMax.nodes);
    expect(absent.at(-1)?.nodeId).toBe(3 * knownMax.nodes);
  });

  test("a cluster with a certificate is not pushed out by those without, nor its lines left out for theirs", () => {
    const known = new KnownClusters();
    const out: VoteServerAction[] = [];
    let now = 0;
    const visit = (name: string, isVerified: boolean): void => {
      const cluster = new Cluster({ id: 1, name, coldUntil: () => Number.NEGATIVE_INFINITY });
      const call = { now, send: () => undefined, timer: () => undefined };
      const client = new Client({
        connection: 1,
        nodeId: 1,
        isVerified,
        algorithm: "ffsplit",
        tieBreaker: { mode: "lowest" },
        heartbeatMs: 8000,
        keepActivePartition: false,
        ring: { rep: 1, seq: 4 },
        now,
      });
      cluster.join(client, call);
      known.observe(cluster, { now, out, addressOf: () => "10.0.0.1" });
      cluster.leave(client, true, call);
      known.observe(cluster, { now, out, addressOf: () => "" });
    };
    visit("ours", true);
    const isOurs = (action: VoteServerAction): boolean =>
      action.kind === "log" && action.isVerified;
    expect(out.map(isOurs)).toEqual([true, true]);
    for (let at = 0; at < 1000; at += 1) visit(`invented ${at}`, false);
    now = 100 * 86_400_000;
    expect(known.absent(now).map(({ name }) => name)).toEqual(["ours"]);
    for (let at = 0; at < 2 * knownMax.verified; at += 1) visit(`issued ${at}`, true);
    expect(known.absent(now)).toHaveLength(knownMax.verified);
  });

  test("a cluster that was never connected is not known", () => {
    expect(new KnownClusters().absent(0)).toEqual([]);
  });
});
