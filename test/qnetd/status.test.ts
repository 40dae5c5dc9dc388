// `quorate qnetd status` as an operator reads it, and the sentence of each vote for every algorithm, from real decisions of the core.
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AlgorithmName } from "../../src/qnetd/session/message.ts";
import { limitedSnapshot, toldMax } from "../../src/qnetd/session/snapshot.ts";
import { newCounters } from "../../src/qnetd/session/counters.ts";
import { bringUp, Lab, TestClient } from "../double/qnetd-host.ts";
import type { QnetdStatus } from "../../src/shell/daemon/qnetd.ts";
import { qnetdStatusCommand, qnetdStatusText } from "../../src/shell/command/qnetd-status.ts";
import { Daemon } from "../double/qnetd-daemon.ts";

interface Scene {
  readonly lab: Lab;
  readonly nodes: readonly TestClient[];
  /** The sentences of all nodes, one a line. */
  why(): string;
}

function scene(
  algorithm: AlgorithmName,
  count: number,
  options: ConstructorParameters<typeof TestClient>[2] = {},
): Scene {
  const lab = new Lab();
  const nodes = Array.from(
    { length: count },
    (_, at) => new TestClient(lab, at + 1, { algorithm, ...options }),
  );
  bringUp(nodes);
  return {
    lab,
    nodes,
    why: () =>
      lab.server
        .snapshot(lab.now)
        .clusters.flatMap((cluster) =>
          cluster.nodes.map(({ why, standing }) => `${standing}: ${why}`),
        )
        .join("\n"),
  };
}

/** Each group is on a ring of its own; all report it in order. */
function partition({ lab }: Scene, ...groups: readonly (readonly TestClient[])[]): void {
  const seq = 20 + Math.max(...groups.flat().map(({ ring }) => ring.seq));
  for (const [at, group] of groups.entries()) {
    const ids = group.map(({ nodeId }) => nodeId);
    for (const node of group) node.membership({ rep: ids[0] ?? 0, seq: seq + at }, ids);
  }
  lab.settle();
}

describe("ffsplit says", () => {
  test("both, split, back", () => {
    const one = scene("ffsplit", 2);
    const [a, b] = one.nodes as [TestClient, TestClient];
    const both = [
      "yes: Node 1 has the vote: partition {1, 2} is the majority of 2 configured nodes.",
      "yes: Node 2 has the vote: partition {1, 2} is the majority of 2 configured nodes.",
    ].join("\n");
    expect(one.why()).toBe(both);
    partition(one, [a], [b]);
    const reason =
      "of the halves of 2 configured nodes partition {1} is chosen by the tie-breaker, the lowest node id";
    expect(one.why()).toBe(
      `yes: Node 1 has the vote: ${reason}.\nno: Node 2 does not have the vote: ${reason}.`,
    );
    partition(one, [a, b]);
    expect(one.why()).toBe(both);
  });

  test("a kill: the vote stays, then the survivor is the only half", () => {
    const one = scene("ffsplit", 2);
    const [a, b] = one.nodes as [TestClient, TestClient];
    a.close();
    one.lab.settle();
    expect(one.why()).toBe(
      "yes: Node 2 has the vote: partition {1, 2} is the majority of 2 configured nodes.",
    );
    partition(one, [b]);
    expect(one.why()).toBe(
      "yes: Node 2 has the vote: partition {2} is the only half of 2 configured nodes that reports.",
    );
  });

  test("a node lost in silence is waited for", () => {
    const one = scene("ffsplit", 2);
    const [a, b] = one.nodes as [TestClient, TestClient];
    partition(one, [a], [b]);
    one.lab.end(a.connection, false);
    one.lab.settle();
    expect(one.why()).toBe(
      "no: Node 2 does not have the vote: it waits until node 1, lost in silence with the vote of {1}, must have given it up.",
    );
    for (let i = 0; i < 3; i += 1) {
      b.send({ kind: "echoRequest" });
      one.lab.sleep(6000);
    }
    expect(one.why()).toBe(
      "yes: Node 2 has the vote: partition {2} is the only half of 2 configured nodes that reports.",
    );
  });

  test("unstable: who is behind", () => {
    const one = scene("ffsplit", 2);
    const [a] = one.nodes as [TestClient];
    a.membership({ rep: 1, seq: 50 }, [1, 2]);
    one.lab.settle();
    expect(one.why().split("\n")[0]).toBe(
      "waiting: Node 1 is waiting for its vote: node 2 still reports ring 1.a, while node 1 is on ring 1.32.",
    );
  });

  test("an unconfirmed NACK: whom the ACK waits for, and who has it all the same", () => {
    const one = scene("ffsplit", 2);
    const [a, b] = one.nodes as [TestClient, TestClient];
    b.isHolding = true;
    partition(one, [a], [b]);
    expect(one.why().split("\n")[0]).toBe(
      "waiting: Node 1 is waiting for its vote until the loss of the vote is confirmed by node 2.",
    );
    b.release();
    one.lab.settle();
    expect(one.why()).toStartWith("yes: Node 1 has the vote: of the halves");
    // The same again: the vote of this ring is not lost by being given twice.
    b.isHolding = true;
    a.heuristics("pass");
    one.lab.settle();
    expect(one.why()).toStartWith("yes: Node 1 has the vote: of the halves");
  });

  test("keep active partition, tie-breaker, heuristics, minority", () => {
    const kept = scene("ffsplit", 2);
    const [a, b] = kept.nodes as [TestClient, TestClient];
    a.close();
    kept.lab.settle();
    partition(kept, [b]);
    a.join({ rep: 1, seq: 60 });
    a.config([1, 2]);
    a.membership({ rep: 1, seq: 60 }, [1]);
    kept.lab.settle();
    const had = "of the halves of 2 configured nodes partition {2} had the vote before";
    expect(kept.why()).toBe(
      `no: Node 1 does not have the vote: ${had}.\nyes: Node 2 has the vote: ${had}.`,
    );

    const tied = scene("ffsplit", 4, {
      tieBreaker: { mode: "nodeId", nodeId: 3 },
      keepActivePartition: false,
    });
    partition(tied, tied.nodes.slice(0, 2), tied.nodes.slice(2));
    expect(tied.why()).toContain(
      "yes: Node 4 has the vote: of the halves of 4 configured nodes partition {3, 4} is chosen by the tie-breaker, node 3.",
    );

    const tried = scene("ffsplit", 2);
    const [c, d] = tried.nodes as [TestClient, TestClient];
    partition(tried, [c], [d]);
    d.heuristics("pass");
    tried.lab.settle();
    expect(tried.why()).toContain(
      "yes: Node 2 has the vote: of the halves of 2 configured nodes partition {2} has more connected nodes whose heuristics pass.",
    );

    const small = scene("ffsplit", 4);
    partition(small, ...small.nodes.map((node) => [node]));
    expect(small.why()).toContain(
      "no: Node 1 does not have the vote: no partition has half of the 4 configured nodes.",
    );
  });

  test("what is missing", () => {
    const lab = new Lab();
    const node = new TestClient(lab, 1);
    const why = (): string => lab.server.snapshot(0).clusters[0]?.nodes[0]?.why ?? "";
    node.join();
    expect(why()).toBe("Node 1 has no answer yet: it has not asked for a vote yet.");
    node.config([1, 2]);
    lab.settle();
    expect(why()).toBe("Node 1 has to report more: it has not sent its membership yet.");
  });
});

describe("lms says", () => {
  test("all, behind, the best partition", () => {
    const one = scene("lms", 3);
    const [a, b, c] = one.nodes as [TestClient, TestClient, TestClient];
    for (const node of one.nodes) node.quorum(true, [1, 2, 3]);
    one.lab.settle();
    expect(one.why()).toContain("yes: Node 3 has the vote: all connected nodes are on one ring.");
    a.membership({ rep: 1, seq: 31 }, [1]);
    one.lab.settle();
    expect(one.why()).toStartWith(
      "waiting: Node 1 is waiting for its vote: node 2 still reports ring 1.a",
    );
    for (const node of [b, c]) node.membership({ rep: 2, seq: 32 }, [2, 3]);
    one.lab.settle();
    one.lab.sleep(6000);
    const best =
      "of the partitions that of nodes 2, 3 has the most connected nodes, heuristics counted";
    expect(one.why()).toBe(
      `no: Node 1 does not have the vote: ${best}.\nyes: Node 2 has the vote: ${best}.\nyes: Node 3 has the vote: ${best}.`,
    );
  });

  test("equal partitions: the tie-breaker", () => {
    const one = scene("lms", 2, { tieBreaker: { mode: "highest" } });
    const [a, b] = one.nodes as [TestClient, TestClient];
    a.membership({ rep: 1, seq: 31 }, [1]);
    b.membership({ rep: 2, seq: 32 }, [2]);
    one.lab.settle();
    one.lab.sleep(6000);
    const reason =
      "of equal partitions the tie-breaker, the highest node id, chooses that of node 2";
    expect(one.why()).toBe(
      `no: Node 1 does not have the vote: ${reason}.\nyes: Node 2 has the vote: ${reason}.`,
    );
  });

  test("the last man standing", () => {
    const one = scene("lms", 3);
    const [a, b, c] = one.nodes as [TestClient, TestClient, TestClient];
    for (const gone of [a, b]) gone.close();
    one.lab.settle();
    c.membership({ rep: 3, seq: 40 }, [3]);
    one.lab.settle();
    expect(one.why()).toBe("yes: Node 3 has the vote: all connected nodes are on one ring.");
  });
});

describe("the others say", () => {
  test("2nodelms: both, tie-breaker, heuristics", () => {
    const one = scene("2nodelms", 2);
    const [a, b] = one.nodes as [TestClient, TestClient];
    expect(one.why()).toContain("yes: Node 1 has the vote: both nodes are in its membership.");
    b.membership({ rep: 2, seq: 32 }, [2]);
    a.membership({ rep: 1, seq: 31 }, [1]);
    one.lab.settle();
    expect(one.why()).toBe(
      "yes: Node 1 has the vote: the tie-breaker is the lowest node id.\nno: Node 2 does not have the vote: the tie-breaker is the lowest node id.",
    );
    const tried = scene("2nodelms", 2);
    const [c, d] = tried.nodes as [TestClient, TestClient];
    c.membership({ rep: 1, seq: 31 }, [1], "fail");
    d.membership({ rep: 2, seq: 32 }, [2], "pass");
    tried.lab.settle();
    expect(tried.why()).toBe(
      "no: Node 1 does not have the vote: its heuristics are worse than those of node 2.\nyes: Node 2 has the vote: its heuristics are better than those of node 1.",
    );
  });

  test("test: everybody", () => {
    expect(scene("test", 1).why()).toBe(
      "yes: Node 1 has the vote: the test algorithm gives everybody the vote.",
    );
  });
});

function statusOf(lab: Lab, more: Partial<QnetdStatus> = {}): QnetdStatus {
  return {
    version: "1.2.3",
    startedAt: "2026-11-21T06:00:00.000Z",
    at: "2026-11-21T08:00:00.000Z",
    counters: newCounters(),
    server: {
      address: "*",
      port: 5403,
      tls: "required",
      isClientCertificateRequired: true,
      clientsMax: 0,
      receiveBytesMax: 32768,
      sendBytesMax: 32768,
    },
    ...limitedSnapshot(lab.server.snapshot(lab.now)),
    certificates: [],
    certificateDirectory: "/etc/corosync/qnetd/nssdb",
    warnings: [],
    lately: [],
    ...more,
  };
}

describe("the headline", () => {
  /** A pair that is well, and one of another name that has lost a node. */
  function withLost(cluster: string): Lab {
    const { lab } = scene("ffsplit", 2);
    const nodes = [1, 2].map((nodeId) => new TestClient(lab, nodeId, { cluster }));
    bringUp(nodes);
    nodes[1]?.close();
    lab.settle();
    return lab;
  }
  const certify = (lab: Lab, commonName: string) =>
    lab.step({ kind: "certified", names: [{ commonName, alternativeNames: [] }] });
  const of = (status: QnetdStatus): string => qnetdStatusText(status).split("\n")[0] ?? "";

  test("is not made by clusters without a certificate where others have one; they are told below", () => {
    const lab = withLost("stranger");
    certify(lab, "Sim");
    expect(of(statusOf(lab))).toBe(
      "Good: 2 clusters, 3 nodes, every node that is known of a cluster with a certificate is connected",
    );
    expect(qnetdStatusText(statusOf(lab))).toMatch(/"stranger", [^]*\n {2}node 2: not connected/);
    certify(lab, "stranger");
    expect(of(statusOf(lab))).toStartWith('Attention: cluster "stranger": node 2: not connected');
  });

  test("nor by one of which nobody is connected any more", () => {
    const lab = withLost("stranger");
    for (const { name, nodes } of lab.server.snapshot(lab.now).clusters) {
      if (name !== "stranger") continue;
      for (const { port } of nodes) lab.end(port - 40_000);
    }
    lab.settle();
    expect(of(statusOf(lab))).toStartWith('Attention: cluster "stranger": no node is connected');
    certify(lab, "sim");
    expect(of(statusOf(lab))).toStartWith("Good: 1 cluster, 2 nodes");
    expect(qnetdStatusText(statusOf(lab))).toContain('Cluster "stranger": no node is connected');
  });

  test("is made by any cluster where none has a certificate, and without TLS", () => {
    const lab = withLost("other");
    expect(of(statusOf(lab))).toStartWith('Attention: cluster "other"');
    certify(lab, "sim");
    const { server } = statusOf(lab);
    const plain = statusOf(lab, { server: { ...server, tls: "off" } });
    expect(of(plain)).toStartWith('Attention: cluster "other"');
  });
});

describe("the command", () => {
  test("clusters and nodes in columns, then why", () => {
    const one = scene("ffsplit", 2, { cluster: "rack \u001b[2J\u202ea" });
    const [a, b] = one.nodes as [TestClient, TestClient];
    partition(one, [a], [b]);
    one.lab.now += 12_345;
    const certificate = {
      file: "qnetd-server.pem",
      subject: "Qnetd Server",
      serial: 102,
      notAfterMs: Date.UTC(2026, 11, 1),
      daysLeft: 10,
      isServer: true,
      warning: "Soon.",
    };
    const upgrade = { at: "2026-11-21T00:00:00.000Z", event: "rolled back", text: "1 is in place" };
    const status = statusOf(one.lab, { certificates: [certificate], upgrade, warnings: ["Soon."] });
    expect(qnetdStatusText(status)).toBe(`Attention: Soon. (and 1 more, below)
Vote server on *:5403, TLS required, version 1.2.3
1 cluster, 2 nodes, 2 connections
Upgrade rolled back at 2026-11-21T00:00:00.000Z: 1 is in place
Warning: Soon.

Cluster "rack ?[2J?a", ffsplit: The vote is with node 1.
NODE  VOTE       HEARD  MEMBERS  TLS  ADDRESS
   1  yes   12.3 s ago  1        no   127.0.0.1:40001
   2  no    12.3 s ago  2        no   127.0.0.1:40002
  Node 1 has the vote: of the halves of 2 configured nodes partition {1} is chosen by the tie-breaker, the lowest node id.
  Node 2 does not have the vote: of the halves of 2 configured nodes partition {1} is chosen by the tie-breaker, the lowest node id.
  Attention: split into {1} and {2}

CERTIFICATE       NAME          SERIAL  UNTIL
qnetd-server.pem  Qnetd Server     102  2026-12-01 (10 days)
`);
  });

  test("the name of a file in a warning does not steer the terminal", () => {
    const text = qnetdStatusText(statusOf(new Lab(), { warnings: ["of a\u001b[2J\u009bx"] }));
    expect(text).toStartWith("Attention: of a?[2J?x\n");
    expect(text).toContain("\nWarning: of a?[2J?x\n");
  });

  test("the headline: nobody yet, all well, a node and a cluster that are not connected", () => {
    const head = (lab: Lab): string => qnetdStatusText(statusOf(lab)).split("\n")[0] ?? "";
    expect(head(new Lab())).toBe("Good: no cluster has connected since the start");
    const one = scene("ffsplit", 2);
    expect(head(one.lab)).toBe("Good: 1 cluster, 2 nodes, every node that is known is connected");
    const [a, b] = one.nodes as [TestClient, TestClient];
    b.close();
    one.lab.settle();
    one.lab.now += 600_000;
    const line = "node 2: not connected since 2026-11-21 07:50 UTC (10 min), last from 127.0.0.1";
    expect(head(one.lab)).toBe(`Attention: cluster "sim": ${line}`);
    expect(qnetdStatusText(statusOf(one.lab))).toContain(`\n  ${line}\n`);
    a.close();
    one.lab.settle();
    one.lab.now += 7_200_000;
    const text = qnetdStatusText(statusOf(one.lab));
    expect(text).toStartWith(
      'Attention: cluster "sim": no node is connected since 2026-11-21 06:00 UTC (2 h)\n',
    );
    expect(text).toContain(
      `\nCluster "sim": no node is connected since 2026-11-21 06:00 UTC (2 h).\n  node 1: not connected since`,
    );
    one.lab.step({ kind: "certified", names: [{ commonName: "SIM", alternativeNames: [] }] });
    const issued = [{ commonName: "new\u001b", alternativeNames: [] }];
    expect(qnetdStatusText(statusOf(one.lab))).not.toContain("it has a certificate");
    one.lab.step({ kind: "certified", names: issued });
    expect(qnetdStatusText(statusOf(one.lab))).toContain(
      '\nCluster "new?": it has a certificate, and no node has connected since this server started',
    );
    const never = scene("ffsplit", 1);
    never.nodes[0]?.config([1, 9], true);
    never.lab.settle();
    expect(qnetdStatusText(statusOf(never.lab))).toContain(
      "\n  node 9: not connected since this server started, 2026-11-21 06:00 UTC\n",
    );
  });

  test("a cluster that is gone for good: which file to remove, and then it is forgotten", () => {
    const one = scene("ffsplit", 2);
    one.lab.step({ kind: "certified", names: [{ commonName: "sim", alternativeNames: [] }] });
    for (const node of one.nodes) node.close();
    one.lab.settle();
    const certificate = {
      ...{ file: "cluster-SIM.crt", subject: "SIM", serial: 103, isServer: false, warning: "" },
      ...{ notAfterMs: Date.UTC(2030, 1, 1), daysLeft: 1000 },
    };
    const text = qnetdStatusText(statusOf(one.lab, { certificates: [certificate] }));
    const path = "/etc/corosync/qnetd/nssdb/cluster-SIM.crt";
    const advice = `(if its quorum device was removed, remove ${path})`;
    expect(text.split("\n")[0]).toBe(
      `Attention: cluster "sim": no node is connected since 2026-11-21 08:00 UTC (0 s) ${advice}`,
    );
    const fresh = new Lab();
    fresh.step({ kind: "certified", names: [{ commonName: "sim", alternativeNames: [] }] });
    expect(qnetdStatusText(statusOf(fresh, { certificates: [certificate] }))).toContain(
      `since this server started ${advice}.\n`,
    );
    for (const lab of [one.lab, fresh]) {
      lab.step({ kind: "certified", names: [] });
      expect(qnetdStatusText(statusOf(lab))).toStartWith("Good: ");
    }
  });

  test("a great many clusters: a bounded text that says so", () => {
    const lab = new Lab();
    for (let i = 0; i < toldMax.nodes + 10; i += 1) {
      new TestClient(lab, 1, { cluster: `c${i}` }).join();
    }
    const text = qnetdStatusText(statusOf(lab));
    expect(text).toContain(`${toldMax.nodes + 10} clusters`);
    expect(text).toEndWith("\n10 more clusters not shown.\n");
  });

  test("exit codes: nobody there, somebody else there, a node missing, well", async () => {
    const dir = mkdtempSync(join(tmpdir(), "quorate-status-"));
    try {
      let text = "";
      const ask = (socket: string, json = false) =>
        qnetdStatusCommand({
          ...{ socket, json, watch: false, isTerminal: false },
          write: (piece) => void (text += piece),
        });
      const failure = await ask(join(dir, "none.sock")).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: 3,
        message: `no vote server answers at ${join(dir, "none.sock")} (ENOENT): start it with "quorate qnetd"`,
      });
      const original = createServer({ allowHalfOpen: true }, (socket) => {
        socket.once("data", () => socket.end("Error\nUnknown command 'snapshot'\n"));
      });
      await new Promise<void>((done) => original.listen(join(dir, "other.sock"), done));
      const other = await ask(join(dir, "other.sock")).catch((error: unknown) => error);
      expect(other).toMatchObject({
        code: 1,
        message: expect.stringContaining('ask it with "corosync-qnetd-tool -l -v"'),
      });
      original.close();
      // A node that is missing is no warning of the server's own, and yet not well: the code is that of the first line.
      const one = scene("ffsplit", 2);
      const answer = (socket: Socket): void => {
        socket.once("data", () => socket.end(`OK\n${JSON.stringify(statusOf(one.lab))}`));
      };
      const ours = createServer({ allowHalfOpen: true }, answer);
      await new Promise<void>((done) => ours.listen(join(dir, "ours.sock"), done));
      expect(await ask(join(dir, "ours.sock"))).toBe(0);
      expect(text).toStartWith("Good: ");
      one.nodes[1]?.close();
      one.lab.settle();
      text = "";
      expect(await ask(join(dir, "ours.sock"))).toBe(1);
      expect(text).toStartWith("Attention: ");
      expect(await ask(join(dir, "ours.sock"), true)).toBe(1);
      ours.close();
      text = "";
      const daemon = await Daemon.start({ root: dir });
      const port = await daemon.port();
      const socket = join(dir, "var/run/corosync-qnetd/corosync-qnetd.sock");
      expect(await ask(socket)).toBe(0);
      expect(text).toContain("without TLS, version 0-test\n0 clusters, 0 nodes, 0 connections\n");
      text = "";
      const upgrade = { at: "2026-11-21T00:00:00.000Z", event: "kept", text: "2" };
      mkdirSync(join(dir, "var/lib/quorate"), { recursive: true });
      writeFileSync(join(dir, "var/lib/quorate/upgrade.log"), `${JSON.stringify(upgrade)}\n`);
      expect(await ask(socket, true)).toBe(0);
      expect(JSON.parse(text)).toMatchObject({ clusters: [], clustersLeftOut: 0, warnings: [] });
      expect(JSON.parse(text)).toMatchObject({ upgrade });
      expect(port).toBeGreaterThan(0);
      expect(await daemon.stop()).toBe(0);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
