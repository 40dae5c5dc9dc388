// One connection: TLS and certificates, error codes that the recorded scenarios do not show, and what a second preinit or init
// must not do (qnetd.md §1.4-1.6).
import { describe, expect, test } from "bun:test";
import type { CertificateNames } from "../pki/certificate-name.ts";
import { encodeMessage, errorCodes, type ErrorName, type Message } from "./message.ts";
import { bringUp, Lab, TestClient } from "../../../test/double/qnetd-host.ts";

/** The error codes of all replies since the last call, by name. */
function errors(client: TestClient): string[] {
  client.lab.settle();
  const names = Object.keys(errorCodes) as ErrorName[];
  const found = client.receipts.flatMap((receipt) =>
    receipt === "closed" || receipt.errorCode === undefined
      ? []
      : [names.find((name) => errorCodes[name] === receipt.errorCode)!],
  );
  client.receipts = [];
  return found;
}

function joined(lab = new Lab()): TestClient {
  const client = new TestClient(lab, 1);
  client.join();
  client.receipts = [];
  return client;
}

describe("TLS", () => {
  const lab = (certificate: "required" | "none" = "required"): Lab =>
    new Lab({ tls: "required", isClientCertificateRequired: certificate === "required" });
  const named = (commonName: string): CertificateNames => ({ commonName, alternativeNames: [] });

  function secured(at: Lab, certificate: CertificateNames | undefined): TestClient {
    const client = new TestClient(at, 1);
    client.open();
    client.preinit();
    client.send({ kind: "startTls" });
    at.settle();
    expect(at.handshakes).toEqual([client.connection]);
    at.step({ kind: "tlsDone", connection: client.connection, certificate });
    client.receipts = [];
    return client;
  }

  test("required: nothing but preinit and StartTLS in plain text", () => {
    const client = new TestClient(lab(), 1);
    client.open();
    client.preinit();
    client.init();
    client.send({ kind: "echoRequest" });
    expect(errors(client)).toEqual(["tlsRequired", "tlsRequired", "tlsRequired"]);
    expect(client.isClosed).toBe(false);
  });

  test("a certificate of the cluster's name, in any case", () => {
    const client = secured(lab(), named("SIM"));
    client.init();
    expect(errors(client)).toEqual(["none"]);
    const node = client.lab.server.snapshot(0).clusters[0]!.nodes[0]!;
    expect([node.isTlsActive, node.isCertificateVerified]).toEqual([true, true]);
  });

  test("another name, or none: closed without a word", () => {
    const client = secured(lab(), named("other"));
    client.init();
    client.lab.settle();
    expect(client.receipts).toEqual(["closed"]);
    const anonymous = secured(lab(), undefined);
    expect(anonymous.isClosed).toBe(true);
  });

  test("no certificate is asked for when none is required", () => {
    const client = secured(lab("none"), undefined);
    client.init();
    expect(errors(client)).toEqual(["none"]);
  });

  test("the name is compared again when it changes before init", () => {
    const client = secured(lab(), named("sim"));
    client.send({ kind: "init" });
    expect(errors(client)).toEqual(["requiredOptionMissing"]);
    client.send({ kind: "preinit", clusterName: "victim" });
    client.init();
    client.lab.settle();
    expect(client.isClosed).toBe(true);
  });

  test("bytes behind StartTLS go to the handshake", () => {
    const at = lab();
    const client = new TestClient(at, 1);
    client.open();
    client.preinit();
    at.settle();
    const hello = Uint8Array.of(0x16, 3, 1, 0);
    const startTls = encodeMessage({ kind: "startTls", seq: 2 });
    const out = at.step({
      kind: "received",
      connection: client.connection,
      bytes: Uint8Array.of(...startTls, ...hello),
    });
    expect(out).toContainEqual({ kind: "startTls", connection: client.connection, rest: hello });
  });

  test("a second StartTLS is refused, and plain data during the handshake ends the connection", () => {
    const client = secured(lab(), named("sim"));
    client.send({ kind: "startTls" });
    expect(errors(client)).toEqual(["unexpectedMessage"]);
    const at = lab();
    const other = new TestClient(at, 1);
    other.open();
    other.preinit();
    other.send({ kind: "startTls" });
    other.send({ kind: "echoRequest" });
    at.settle();
    expect(other.isClosed).toBe(true);
  });

  test("on: allowed, not needed", () => {
    const client = joined(new Lab({ tls: "on" }));
    expect(client.lab.server.snapshot(0).clients).toBe(1);
  });
});

describe("init", () => {
  const init: Message = {
    kind: "init",
    seq: 1,
    nodeId: 1,
    algorithm: 1,
    heartbeatMs: 8000,
    tieBreaker: { mode: "lowest" },
    ring: { rep: 1, seq: 1 },
  };
  const without = (key: keyof Message): Message => {
    const { [key]: _, ...rest } = init;
    return rest as Message;
  };

  test.each([
    ["nodeId", without("nodeId")],
    ["a node id of 0", { ...init, nodeId: 0 }],
    ["ring", without("ring")],
    ["heartbeat", without("heartbeatMs")],
    ["tie-breaker", without("tieBreaker")],
    ["algorithm", without("algorithm")],
  ] as [string, Message][])("without %s", (_, message) => {
    const client = new TestClient(new Lab(), 1);
    client.open();
    client.preinit();
    client.lab.settle();
    client.receipts = [];
    client.send(message);
    client.lab.settle();
    expect(client.receipts).toMatchObject([
      {
        kind: "initReply",
        errorCode: errorCodes.requiredOptionMissing,
        requestBytesMax: 32768,
        replyBytesMax: 32768,
        supportedAlgorithms: [0, 1, 2, 3],
      },
    ]);
  });

  test("a second one is refused and changes nothing", () => {
    const client = joined();
    client.write(encodeMessage({ ...init, nodeId: 7, heartbeatMs: 2000, algorithm: 3 }));
    expect(errors(client)).toEqual(["duplicateNodeId"]);
    const { clusters } = client.lab.server.snapshot(0);
    expect(clusters).toHaveLength(1);
    expect(clusters[0]).toMatchObject({ algorithm: "ffsplit" });
    expect(clusters[0]!.nodes).toMatchObject([{ nodeId: 1, heartbeatMs: 8000 }]);
  });

  test("a preinit after init is answered and changes nothing", () => {
    const client = joined();
    client.send({ kind: "preinit", clusterName: "other" });
    client.lab.settle();
    expect(client.receipts).toMatchObject([{ kind: "preinitReply" }]);
    expect(client.lab.server.snapshot(0).clusters.map(({ name }) => name)).toEqual(["sim"]);
  });

  test("a tie-breaker other than the cluster's", () => {
    const lab = new Lab();
    joined(lab);
    const by = (nodeId: number, id: number): TestClient =>
      new TestClient(lab, nodeId, { tieBreaker: { mode: "nodeId", nodeId: id }, cluster: "t" });
    const clients = [
      new TestClient(lab, 2, { tieBreaker: { mode: "highest" } }),
      by(1, 1),
      by(2, 1),
      by(3, 2),
    ];
    for (const client of clients) client.join();
    expect(clients.map((client) => errors(client)[0])).toEqual([
      "tieBreakerDiffers",
      "none",
      "none",
      "tieBreakerDiffers",
    ]);
  });

  test("equal node ids in different clusters, names that differ in case", () => {
    const lab = new Lab();
    for (const name of ["lab", "LAB", ""]) new TestClient(lab, 1, { cluster: name }).join();
    expect(lab.server.snapshot(0).clusters.map(({ name }) => name)).toEqual(["lab", "LAB", ""]);
  });
});

describe("requests", () => {
  test("what each needs", () => {
    const client = joined();
    const raw = (message: Message): void => client.write(encodeMessage(message));
    client.send({ kind: "nodeList", nodeListType: "membership", nodes: [{ nodeId: 1 }] });
    client.send({ kind: "nodeList", nodeListType: "quorum", nodes: [{ nodeId: 1 }] });
    raw({ kind: "heuristicsChange", heuristics: "pass" });
    expect(errors(client)).toEqual(Array(3).fill("requiredOptionMissing"));
    // Only an unknown option: the body is not empty, the sequence number is missing.
    for (const type of [6, 12, 15]) {
      client.write(Uint8Array.of(0, type, 0, 0, 0, 4, 0, 200, 0, 0));
    }
    expect(errors(client)).toEqual(Array(3).fill("requiredOptionMissing"));
  });

  test("the heartbeat of a set option counts at once, and is answered with what was asked", () => {
    const client = joined();
    client.send({ kind: "setOption", heartbeatMs: 2000 });
    client.lab.settle();
    expect(client.receipts).toEqual([
      { kind: "setOptionReply", seq: client.seq, heartbeatMs: 2000 },
    ]);
    expect(client.lab.timers.get(`dead:${client.connection}`)).toBe(3000);
  });

  test("an echo longer than a reply may be ends the connection", () => {
    const client = joined(new Lab({ sendBytesMax: 160 }));
    client.write(Uint8Array.of(0, 8, 0, 0, 0, 164, 0, 200, 0, 160, ...new Uint8Array(160)));
    client.lab.settle();
    expect(client.isClosed).toBe(true);
  });

  test("a rejected list leaves the old one", () => {
    const clients = [1, 2].map((id) => new TestClient(client0.lab, id, { cluster: "kept" }));
    bringUp(clients);
    clients[0]!.receipts = [];
    clients[0]!.config([2, 3], true);
    expect(errors(clients[0]!)).toEqual(["invalidConfigList"]);
    const kept = client0.lab.server.snapshot(0).clusters.find(({ name }) => name === "kept")!;
    expect(kept.nodes[0]!.configured.map(({ nodeId }) => nodeId)).toEqual([1, 2]);
  });
  const client0 = joined();

  test("complaints of one client fill no log", () => {
    const client = joined();
    for (let i = 0; i < 100; i += 1) client.send({ kind: "voteInfo" });
    client.lab.settle();
    expect(client.lab.log.filter((line) => line.includes("unexpectedMessage")).length).toBe(8);
    expect(errors(client).length).toBe(100);
  });
});
