// Fifty-fifty split: the tables of qnetd.md §2.6 and the worked examples of §2.7 that are not among the recorded scenarios.
import { describe, expect, test } from "bun:test";
import {
  bringUp,
  Lab,
  TestClient,
  votesOf,
  type ClientOptions,
} from "../../../test/double/qnetd-host.ts";
import type { Heuristics } from "../session/message.ts";

function cluster(count: number, options: ClientOptions = {}, lab = new Lab()): TestClient[] {
  return Array.from({ length: count }, (_, i) => new TestClient(lab, i + 1, options));
}

function ring(nodeId: number, seq: number): { rep: number; seq: number } {
  return { rep: nodeId, seq };
}

/** Each group reports its own ring; undefined heuristics unless told. */
function split(
  clients: readonly TestClient[],
  groups: readonly (readonly number[])[],
  heuristics: Readonly<Record<number, Heuristics>> = {},
): void {
  for (const group of groups) {
    for (const client of clients) {
      if (client.isClosed || !group.includes(client.nodeId)) continue;
      client.membership(ring(group[0]!, 11), group, heuristics[client.nodeId]);
    }
  }
  clients[0]!.lab.settle();
}

const noKap: ClientOptions = { keepActivePartition: false };

describe("two nodes", () => {
  function oneDies(options: readonly ClientOptions[]): TestClient[] {
    const lab = new Lab();
    const clients = options.map((one, i) => new TestClient(lab, i + 1, one));
    bringUp(clients);
    clients[0]!.close();
    lab.settle();
    clients[1]!.membership(ring(2, 11), [2]);
    lab.settle();
    expect(clients[1]!.vote).toBe("ack");
    clients[0]!.join(ring(1, 20));
    clients[0]!.config([1, 2]);
    clients[0]!.membership(ring(1, 20), [1]);
    lab.settle();
    return clients;
  }

  test("F4: the active side keeps the vote when a restarted node comes back alone", () => {
    expect(votesOf(oneDies([{}, {}]))).toBe("nack ack");
  });
  test("F22: not if one client alone does not want that", () => {
    expect(votesOf(oneDies([{}, noKap]))).toBe("ack nack");
  });

  test("a late confirmation of an ACK for an old ring does not cancel the ACK for the new one", () => {
    const clients = cluster(2);
    const [n1, n2] = clients as [TestClient, TestClient];
    bringUp(clients);
    n1.isHolding = true;
    n2.isHolding = true;
    split(clients, [[1], [2]]);
    // n1 is going to get the vote once n2 has confirmed; it confirms its ACK of before only now.
    n1.release();
    n1.lab.settle();
    expect(votesOf(clients)).toBe("waitForReply nack");
    n2.release();
    n1.lab.settle();
    expect(votesOf(clients)).toBe("ack nack");
  });

  test("a client that has sent no lists yet hears of no vote when the other one leaves", () => {
    const lab = new Lab();
    const [n1, n2] = [new TestClient(lab, 1), new TestClient(lab, 2)];
    n1.join(ring(1, 10));
    n2.join(ring(2, 10));
    n2.receipts = [];
    n1.close();
    lab.settle();
    // The original tells it NACK here, which its own client takes for a fault of the server.
    expect(n2.receipts).toEqual([]);
    n2.config([1, 2]);
    n2.membership(ring(2, 10), [2]);
    lab.settle();
    expect(n2.vote).toBe("ack");
  });

  test("the sentences say who has the vote and what is waited for", () => {
    const clients = cluster(2);
    const [n1, n2] = clients as [TestClient, TestClient];
    const why = (): string[] =>
      n1.lab.server.snapshot(0).clusters[0]!.nodes.map((node) => node.why);
    bringUp(clients);
    expect(why()[0]).toBe(
      "Node 1 has the vote: partition {1, 2} is the majority of 2 configured nodes.",
    );
    n1.membership(ring(1, 11), [1]);
    n1.lab.settle();
    expect(why()[0]).toBe(
      "Node 1 is waiting for its vote: node 2 still reports ring 1.a, while node 1 is on ring 1.b.",
    );
    n2.isHolding = true;
    n2.membership(ring(2, 11), [2]);
    n1.lab.settle();
    expect(why()[0]).toContain("vote until the loss of the vote is confirmed by node 2");
    n2.release();
    n1.lab.settle();
    const reason =
      "of the halves of 2 configured nodes partition {1} is chosen by the tie-breaker, the lowest node id";
    expect(why()).toEqual([
      `Node 1 has the vote: ${reason}.`,
      `Node 2 does not have the vote: ${reason}.`,
    ]);
  });
});

describe("four nodes", () => {
  test("F7: half : half, one of them not connected: the side with more connected nodes", () => {
    const clients = cluster(4);
    bringUp(clients);
    clients[0]!.close();
    clients[0]!.lab.settle();
    split(clients, [
      [1, 2],
      [3, 4],
    ]);
    expect(votesOf(clients.slice(1))).toBe("nack ack ack");
  });

  test("all parts smaller than half: nobody", () => {
    const clients = cluster(4);
    bringUp(clients);
    split(clients, [[1], [2], [3], [4]]);
    expect(votesOf(clients)).toBe("nack nack nack nack");
  });

  test("half, and the rest in pieces", () => {
    const clients = cluster(4);
    bringUp(clients);
    split(clients, [[1], [2], [3, 4]]);
    expect(votesOf(clients)).toBe("nack nack ack ack");
  });

  // The table of scores (§2.6): connected + pass - fail of each half, then connected, then the tie-breaker (lowest).
  test.each([
    ["F12: equal scores", { 1: "pass", 2: "fail" }, "ack ack nack nack"],
    ["one fails", { 1: "fail" }, "nack nack ack ack"],
    ["one passes on the other side", { 3: "pass" }, "nack nack ack ack"],
    ["both pass, one passes", { 1: "pass", 2: "pass", 3: "pass" }, "ack ack nack nack"],
    ["one fails against two undefined and pass", { 2: "fail", 4: "pass" }, "nack nack ack ack"],
  ] satisfies [string, Readonly<Record<number, Heuristics>>, string][])(
    "%s",
    (_, heuristics, votes) => {
      const clients = cluster(4, noKap);
      bringUp(clients);
      split(
        clients,
        [
          [1, 2],
          [3, 4],
        ],
        heuristics,
      );
      expect(votesOf(clients)).toBe(votes);
    },
  );
});

test("five nodes: only a strict majority, whoever is connected", () => {
  const clients = cluster(5);
  bringUp(clients);
  split(clients, [
    [1, 2],
    [3, 4, 5],
  ]);
  expect(votesOf(clients)).toBe("nack nack ack ack ack");
});

describe("a client lost in silence", () => {
  /** n2 has the vote alone, then its link to us dies; n1 is alone on the other side. */
  function secondFailure(): { n1: TestClient; n2: TestClient; lab: Lab } {
    const clients = cluster(2, { tieBreaker: { mode: "highest" }, heartbeatMs: 8000 });
    const [n1, n2] = clients as [TestClient, TestClient];
    bringUp(clients);
    split(clients, [[1], [2]]);
    return { n1, n2, lab: n1.lab };
  }

  test("may count on its vote until it misses its second echo reply: nobody else gets it before", () => {
    const lab = new Lab();
    const clients = cluster(
      2,
      { tieBreaker: { mode: "highest" }, keepActivePartition: false },
      lab,
    );
    const [n1, n2] = clients as [TestClient, TestClient];
    bringUp(clients);
    split(clients, [[1], [2]]);
    expect(votesOf(clients)).toBe("nack ack");
    // n1 goes on with its heartbeats, n2 is silent from now on.
    const start = lab.now;
    let granted = 0;
    for (let i = 0; i < 30; i += 1) {
      n1.send({ kind: "echoRequest" });
      lab.sleep(1000);
      if (n1.vote === "ack" && granted === 0) granted = lab.now - start;
    }
    expect(n2.isClosed).toBe(true);
    // The original gives it away at 12 s, 1.5 heartbeats; the client lets go at 16 s.
    expect(granted).toBe(17_000);
  });

  test("that comes back has given it up: the wait is over", () => {
    const { n1, n2, lab } = secondFailure();
    lab.step({ kind: "closed", connection: n2.connection, isPeerAware: false });
    expect(n1.vote).toBe("nack");
    n2.join(ring(2, 11));
    expect(n1.vote).toBe("ack");
    expect([...lab.timers.keys()].filter((timer) => timer.startsWith("outstanding"))).toEqual([]);
  });

  test("nothing is waited for when it ended the connection itself", () => {
    const { n1, n2, lab } = secondFailure();
    lab.step({ kind: "closed", connection: n2.connection, isPeerAware: true });
    expect(n1.vote).toBe("ack");
  });
});

describe("after a start, with the wait switched on", () => {
  function half(isWaitingAfterStart: boolean): { n1: TestClient; lab: Lab } {
    const lab = new Lab({ isWaitingAfterStart });
    const n1 = new TestClient(lab, 1);
    n1.join(ring(1, 11));
    n1.config([1, 2]);
    n1.membership(ring(1, 11), [1]);
    lab.settle();
    return { n1, lab };
  }

  test("a half whose other nodes are unknown waits", () => {
    expect(half(false).n1.vote).toBe("ack");
    const { n1, lab } = half(true);
    expect(n1.vote).toBe("askLater");
    lab.sleep(10_000);
    n1.send({ kind: "echoRequest" });
    lab.sleep(6_700);
    expect(n1.vote).toBe("askLater");
    lab.sleep(100);
    expect(n1.vote).toBe("ack");
  });

  test("all configured nodes together do not", () => {
    const clients = cluster(2, {}, new Lab({ isWaitingAfterStart: true }));
    bringUp(clients);
    expect(votesOf(clients)).toBe("ack ack");
  });
});
