// Who has shown a certificate once must always show it (issue 8, A.1): names with a certificate are refused in plain text, and a
// verified node's place goes to a verified one only.
import { describe, expect, test } from "bun:test";
import type { CertificateNames } from "../pki/certificate-name.ts";
import { CertifiedNames } from "./certified-names.ts";
import type { VoteServerConfiguration } from "../server/configuration.ts";
import { errorCodes } from "./message.ts";
import { bringUp, Lab, TestClient } from "../../../test/double/qnetd-host.ts";

const named = (commonName: string, ...alternativeNames: string[]): CertificateNames => ({
  commonName,
  alternativeNames,
});
const refusedPlain = { kind: "serverError", errorCode: errorCodes.tlsRequired };
const isIn = { kind: "initReply", errorCode: 0 };
const isDuplicate = { kind: "initReply", errorCode: errorCodes.duplicateNodeId };
const heartbeatMs = 8000;

/** A client that does its init after a handshake with the certificate of the name. */
class SecureClient extends TestClient {
  override open(): void {
    super.open();
    this.preinit();
    this.send({ kind: "startTls" });
    this.lab.settle();
    const certificate = named(this.options.cluster ?? "sim");
    this.lab.step({ kind: "tlsDone", connection: this.connection, certificate });
  }
  override join(): void {
    this.open();
    this.receipts = [];
    this.init({ rep: 1, seq: 10 });
    this.lab.settle();
  }
}

function labOf(configuration: Partial<VoteServerConfiguration> = {}, issued = ["sim"]): Lab {
  const lab = new Lab({ tls: "on", ...configuration });
  lab.step({ kind: "certified", names: issued.map((name) => named(name)) });
  return lab;
}

function plain(lab: Lab, nodeId: number, cluster = "sim"): TestClient {
  const client = new TestClient(lab, nodeId, { cluster });
  client.open();
  client.preinit();
  lab.settle();
  expect(client.receipts).toMatchObject([{ kind: "preinitReply", tlsSupport: "supported" }]);
  client.receipts = [];
  client.init({ rep: 1, seq: 10 });
  lab.settle();
  return client;
}

const nodesOf = (lab: Lab) => lab.server.snapshot(lab.now).clusters.flatMap(({ nodes }) => nodes);

describe("plain text", () => {
  test.each(["sim", "SIM"])(
    "is refused for %s, which has a certificate, with the way back",
    (name) => {
      const lab = labOf();
      const stranger = plain(lab, 1, name);
      expect(stranger.receipts[0]).toMatchObject(refusedPlain);
      expect(nodesOf(lab)).toEqual([]);
      expect(lab.log.join("\n")).toMatch(/"tls: on".*--allow-plaintext.*allow_plaintext=on/);
    },
  );

  test("is good for other names, without client certificates, and where the operator allows it", () => {
    expect(plain(labOf(), 1, "never enrolled").receipts[0]).toMatchObject(isIn);
    const lenient = { isPlaintextAllowed: true };
    expect(plain(labOf(lenient), 1).receipts[0]).toMatchObject(isIn);
    const anonymous = { isClientCertificateRequired: false };
    expect(plain(labOf(anonymous), 1).receipts[0]).toMatchObject(isIn);
  });

  test("a certificate that is taken back frees the name, one that was shown never does", () => {
    const lab = labOf();
    lab.step({ kind: "certified", names: [] });
    const before = plain(lab, 1);
    expect(before.receipts[0]).toMatchObject(isIn);
    const verified = new SecureClient(lab, 2);
    verified.join();
    expect(verified.receipts[0]).toMatchObject(isIn);
    // Who was there without a certificate has gone for it.
    expect(before.isClosed).toBe(true);
    verified.close();
    lab.settle();
    expect(plain(lab, 1).receipts[0]).toMatchObject(refusedPlain);
  });
});

describe("a place", () => {
  test("of a node that is down is no stranger's: the other keeps the vote, and the node comes back", () => {
    const lab = labOf();
    const [one, two] = [new SecureClient(lab, 1), new SecureClient(lab, 2)];
    bringUp([one, two]);
    one.close();
    lab.settle();
    two.membership({ rep: 2, seq: 14 }, [2]);
    lab.settle();
    expect(two.vote).toBe("ack");
    const stranger = plain(lab, 1);
    stranger.config([1, 2]);
    stranger.membership({ rep: 1, seq: 14 }, [1]);
    lab.settle();
    expect([stranger.vote, two.vote]).toEqual(["none", "ack"]);
    one.join();
    expect(one.receipts[0]).toMatchObject(isIn);
  });

  test("goes from one without a certificate to a verified node, whatever the other has set", () => {
    const lab = labOf({ isPlaintextAllowed: true });
    const stranger = plain(lab, 1);
    const bystander = plain(lab, 3);
    const node = new SecureClient(lab, 1);
    node.join();
    expect(node.receipts[0]).toMatchObject(isIn);
    expect([stranger.isClosed, bystander.isClosed]).toEqual([true, false]);
    expect(plain(lab, 1).receipts[0]).toMatchObject(isDuplicate);
    expect(nodesOf(lab).map(({ nodeId }) => nodeId)).toEqual([1, 3]);
  });

  test("a stranger's algorithm and tie-breaker refuse no verified node", () => {
    const lab = labOf({}, []);
    const stranger = new TestClient(lab, 7, { algorithm: "lms", tieBreaker: { mode: "highest" } });
    stranger.join();
    const node = new SecureClient(lab, 1);
    node.join();
    expect(node.receipts[0]).toMatchObject(isIn);
    expect(nodesOf(lab).map(({ nodeId }) => nodeId)).toEqual([1]);
  });

  test("of a verified node that is silent is taken by its new connection, of one that speaks never", () => {
    const lab = labOf();
    const first = new SecureClient(lab, 1);
    first.join();
    lab.sleep(heartbeatMs);
    const early = new SecureClient(lab, 1);
    early.join();
    expect(early.receipts[0]).toMatchObject(isDuplicate);
    lab.sleep(heartbeatMs / 4);
    const second = new SecureClient(lab, 1);
    second.join();
    expect(second.receipts[0]).toMatchObject(isIn);
    expect(first.isClosed).toBe(true);
    expect(nodesOf(lab).map(({ nodeId }) => nodeId)).toEqual([1]);
  });
});

test("a verified node finds room where introduced strangers have taken all of it, a further stranger does not", () => {
  const lab = labOf({ connectionsMax: 6 });
  const strangers = [1, 2, 3, 4, 5, 6].map((id) => plain(lab, id, `stranger ${id}`));
  const late = new TestClient(lab, 7, { cluster: "late" });
  late.join();
  expect(late.receipts).toMatchObject([{ kind: "preinitReply" }, "closed"]);
  expect(lab.log.join("\n")).toContain("finds no room: 6 clients are connected");
  // Nothing is kept for a name that found no room.
  expect(lab.server.clusters).toBe(6);
  const nodes = [new SecureClient(lab, 1), new SecureClient(lab, 2)];
  for (const node of nodes) node.join();
  expect(nodesOf(lab).map(({ isCertificateVerified }) => isCertificateVerified)).toEqual([
    ...[false, false, false, false],
    ...[true, true],
  ]);
  expect(strangers.map(({ isClosed }) => isClosed).lastIndexOf(false)).toBe(3);
  expect(lab.server.snapshot(0).connections).toBe(6);
});

test("wildcards and alternative names count as in the comparison with a certificate", () => {
  const names = new CertifiedNames();
  names.issued([named("*.lab.example"), named("ignored", "Other", "third")]);
  const asked = ["one.lab.example", "lab.example", "ignored", "other", "THIRD", ""];
  expect(asked.map((name) => names.has(name))).toEqual([true, false, false, true, true, false]);
});

describe("strangers without a certificate make the server forget no vote of a cluster that has one", () => {
  /** Node 2 has left, node 1 has gone silent with the vote; node 2 comes back after `between`. */
  function votesAfter(lab: Lab, between: () => void): readonly string[] {
    const [one, two] = [new SecureClient(lab, 1), new SecureClient(lab, 2)];
    bringUp([one, two]);
    two.close();
    lab.settle();
    one.membership({ rep: 1, seq: 14 }, [1]);
    lab.settle();
    expect(one.vote).toBe("ack");
    lab.end(one.connection, false);
    lab.settle();
    between();
    // Node 1 may count on its vote for two heartbeats.
    lab.sleep(1.9 * heartbeatMs);
    two.join();
    two.config([1, 2]);
    two.membership({ rep: 2, seq: 14 }, [2]);
    lab.settle();
    expect(two.receipts).toContainEqual(expect.objectContaining(isIn));
    const early = two.vote;
    lab.sleep(heartbeatMs);
    return [early, two.vote];
  }

  /** One of no certificate that has a vote and goes silent. */
  function loseInSilence(lab: Lab, cluster: string, members: readonly number[]): void {
    const stranger = new TestClient(lab, 1, { cluster, algorithm: "test" });
    stranger.join();
    stranger.membership({ rep: 1, seq: 1 }, members);
    lab.settle();
    lab.end(stranger.connection, false);
    lab.settle();
  }

  test("with many clusters of their own", () => {
    const lab = labOf();
    const votes = votesAfter(lab, () => {
      for (let i = 0; i < 1200; i += 1) loseInSilence(lab, `stranger ${i}`, [1]);
    });
    expect(votes).toEqual([expect.not.stringMatching("ack"), "ack"]);
  });

  test("nor under the lost node's name, where the operator allows plain text", () => {
    const lab = labOf({ isPlaintextAllowed: true });
    const votes = votesAfter(lab, () => loseInSilence(lab, "sim", [1, 2]));
    expect(votes).toEqual([expect.not.stringMatching("ack"), "ack"]);
  });
});
