// The vote server as a whole: dead peers, limits, stopping, what the snapshot says, and anything at all as input.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { defaultConfiguration } from "../server/configuration.ts";
import type { VoteServerAction, VoteServerEvent } from "./events.ts";
import { algorithms, encodeMessage, type Message } from "./message.ts";
import { VoteServer } from "./qnetd-core.ts";
import { bringUp, Lab, TestClient, votesOf } from "../../../test/double/qnetd-host.ts";

describe("dead peers", () => {
  test("180 s before init, 1.5 heartbeats after it, from the last whole message", () => {
    const lab = new Lab();
    const client = new TestClient(lab, 1, { heartbeatMs: 4000 });
    client.open();
    expect(lab.timers.get(`dead:${client.connection}`)).toBe(180_000);
    client.preinit();
    client.init();
    lab.settle();
    expect(lab.timers.get(`dead:${client.connection}`)).toBe(6000);
    lab.sleep(5000);
    // Half a message and one of unknown type are no signs of life; a whole one is, even if it cannot be decoded.
    client.write(Uint8Array.of(0, 99, 0, 0, 0, 0, 0, 8));
    lab.settle();
    expect(lab.timers.get(`dead:${client.connection}`)).toBe(6000);
    client.write(Uint8Array.of(0, 0, 0, 0));
    lab.settle();
    expect(lab.timers.get(`dead:${client.connection}`)).toBe(11_000);
    lab.sleep(7000);
    expect(client.isClosed).toBe(true);
    expect(lab.server.snapshot(lab.now).connections).toBe(0);
    expect(lab.log.join("\n")).toContain("has been silent for 6000 ms");
  });

  test("can be switched off", () => {
    const lab = new Lab({ hasDeadPeerDetection: false });
    const client = new TestClient(lab, 1);
    client.join();
    lab.sleep(1_000_000);
    expect(client.isClosed).toBe(false);
  });

  test("a dead member holds the vote up no longer than that", () => {
    const lab = new Lab();
    const clients = [1, 2].map((id) => new TestClient(lab, id));
    bringUp(clients);
    lab.sleep(3000);
    clients[0]!.membership({ rep: 1, seq: 11 }, [1]);
    lab.settle();
    expect(votesOf(clients)).toBe("waitForReply ack");
    lab.sleep(9000);
    expect(clients[0]!.vote).toBe("ack");
  });
});

describe("limits", () => {
  test("connections in all and from one address", () => {
    const lab = new Lab({ connectionsMax: 3, connectionsPerAddressMax: 2 });
    const clients = Array.from({ length: 5 }, (_, i) => new TestClient(lab, i + 1));
    for (const client of clients.slice(0, 2)) client.join();
    clients[2]!.open();
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false, true, false, false]);
    // Whoever has not said who it is makes room for the next one; clients stay.
    lab.connect(clients[3]!, "10.0.0.2");
    lab.connect(clients[4]!, "10.0.0.3");
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false, true, true, false]);
    expect(lab.server.counters).toMatchObject({ accepted: 4, refused: 1, evicted: 1 });
  });

  test("a client that does not read is let go when too much waits for it", () => {
    const lab = new Lab();
    const client = new TestClient(lab, 1);
    client.join();
    lab.step({ kind: "congested", connection: client.connection, queued: 32 });
    expect(client.isClosed).toBe(false);
    lab.step({ kind: "congested", connection: client.connection, queued: 33 });
    expect(client.isClosed).toBe(true);
  });

  test("5,000 connections that say nothing, or half a header", () => {
    const lab = new Lab();
    const silent = Array.from({ length: 5000 }, (_, i) => new TestClient(lab, i + 1));
    for (const [i, client] of silent.entries()) {
      client.open();
      if (i % 2 === 0) client.write(Uint8Array.of(0, 0, 0));
    }
    lab.settle();
    const clients = [1, 2].map((id) => new TestClient(lab, id));
    bringUp(clients);
    expect(votesOf(clients)).toBe("ack ack");
    for (let i = 0; i < 20; i += 1) {
      for (const client of clients) client.send({ kind: "echoRequest" });
      lab.sleep(10_000);
    }
    expect(silent.every(({ isClosed }) => isClosed)).toBe(true);
    expect(lab.server.snapshot(lab.now)).toMatchObject({ connections: 2, clients: 2 });
  });
});

test("a cluster of more nodes than corosync can have is decided on without delay", () => {
  const lab = new Lab();
  const ids = Array.from({ length: 400 }, (_, i) => i + 1);
  const clients = ids.map((id) => new TestClient(lab, id));
  const ring = { rep: 1, seq: 10 };
  for (const client of clients) client.join(ring);
  for (const client of clients) client.config(ids);
  for (const client of clients) client.membership(ring, ids);
  const before = process.cpuUsage();
  lab.settle();
  expect(new Set(clients.map(({ vote }) => vote))).toEqual(new Set(["ack"]));
  // 800 lists cost about a second; comparing all members of all pairs for each of them would not end in this time.
  expect(process.cpuUsage(before).user).toBeLessThan(10_000_000);
}, 60_000);

test("clusters do not see each other, and end with their last client", () => {
  const lab = new Lab();
  const of = (cluster: string): TestClient[] =>
    [1, 2].map((id) => new TestClient(lab, id, { cluster }));
  const [a, b] = [of("a"), of("b")];
  bringUp(a);
  bringUp(b);
  a[0]!.membership({ rep: 1, seq: 11 }, [1]);
  a[1]!.membership({ rep: 2, seq: 11 }, [2]);
  lab.settle();
  expect([votesOf(a), votesOf(b)]).toEqual(["ack nack", "ack ack"]);
  for (const client of a) client.close();
  lab.settle();
  expect(lab.server.snapshot(0).clusters.map(({ name }) => name)).toEqual(["b"]);
});

test("stopping closes everything, and nobody's vote changes", () => {
  const lab = new Lab();
  const clients = [1, 2].map((id) => new TestClient(lab, id));
  bringUp(clients);
  const out = lab.step({ kind: "stopped" });
  expect(out.filter(({ kind }) => kind === "send")).toEqual([]);
  expect(clients.every(({ isClosed }) => isClosed)).toBe(true);
  expect([...lab.timers]).toEqual([]);
  expect(lab.server.snapshot(0).connections).toBe(0);
});

test("the snapshot says who was heard when", () => {
  const lab = new Lab();
  const client = new TestClient(lab, 1);
  client.join();
  lab.sleep(1500);
  const snapshot = lab.server.snapshot(lab.now + 250);
  expect(snapshot.clusters[0]).toMatchObject({
    summary: "No connected node has the vote.",
    nodes: [
      {
        heardMsAgo: 1750,
        connectedForMs: 1750,
        vote: undefined,
        why: "Node 1 has no answer yet: it has not asked for a vote yet.",
      },
    ],
  });
});

describe("anything as input", () => {
  const number = fc.integer({ min: 1, max: 4 });
  const ring = fc.record({ rep: number, seq: fc.nat(3) });
  const nodes = fc.array(fc.record({ nodeId: number }), { maxLength: 4 });
  const listType = fc.constantFrom("initialConfig", "changedConfig", "membership", "quorum");
  const message = fc.oneof(
    fc.record({ kind: fc.constant("preinit"), clusterName: fc.constantFrom("a", "b") }),
    fc.record({
      kind: fc.constant("init"),
      nodeId: number,
      algorithm: fc.nat(algorithms.length),
      heartbeatMs: fc.constantFrom(1000, 8000),
      tieBreaker: fc.constant({ mode: "lowest" }),
      ring,
    }),
    fc.record(
      {
        kind: fc.constant("nodeList"),
        nodeListType: listType,
        nodes,
        ring,
        isQuorate: fc.boolean(),
        heuristics: fc.constantFrom("pass", "fail"),
      },
      { requiredKeys: ["kind", "nodeListType", "nodes"] },
    ),
    fc.record({ kind: fc.constant("heuristicsChange"), heuristics: fc.constant("pass") }),
    fc.record({ kind: fc.constantFrom("askForVote", "echoRequest", "startTls", "voteInfo") }),
    fc.record({ kind: fc.constant("voteInfoReply"), seq: fc.nat(6) }),
  ) as fc.Arbitrary<Message>;
  const bytes = fc.oneof(
    { weight: 8, arbitrary: message.map((one) => encodeMessage({ seq: 1, ...one })) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  );
  const connection = number;
  const event = fc.oneof(
    fc.record({
      kind: fc.constant("connected"),
      connection,
      address: fc.constant("x"),
      port: fc.constant(1),
    }),
    { weight: 9, arbitrary: fc.record({ kind: fc.constant("received"), connection, bytes }) },
    fc.record({
      kind: fc.constant("tlsDone"),
      connection,
      certificate: fc.constantFrom(undefined, { commonName: "a", alternativeNames: [] }),
    }),
    fc.record({ kind: fc.constant("congested"), connection, queued: fc.nat(40) }),
    fc.record({ kind: fc.constant("closed"), connection, isPeerAware: fc.boolean() }),
    fc.record({
      kind: fc.constant("timedOut"),
      timer: fc
        .tuple(fc.constantFrom("dead", "retry", "outstanding"), number)
        .map(([name, id]) => `${name}:${id}`),
    }),
  ) as fc.Arbitrary<VoteServerEvent>;

  test.each(["off", "on", "required"] as const)("TLS %s: no step throws", (tls) => {
    const survives = fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const server = new VoteServer({
        configuration: { ...defaultConfiguration, tls },
        startedAt: 0,
      });
      const open = new Set<number>();
      for (const [now, one] of events.entries()) {
        // The one thing a host promises: a connection's number is not in use.
        if (one.kind === "connected" && open.has(one.connection)) continue;
        if (one.kind === "connected") open.add(one.connection);
        if (one.kind === "closed") open.delete(one.connection);
        const out: VoteServerAction[] = [];
        server.step(one, now * 100, out);
        for (const action of out) {
          if (action.kind === "send") expect(open.has(action.connection)).toBe(true);
          if (action.kind === "close") open.delete(action.connection);
        }
        expect(server.snapshot(now * 100).connections).toBe(open.size);
      }
    });
    fc.assert(survives, { numRuns: 400 });
  });
});
