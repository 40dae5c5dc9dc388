// The synthetic scenarios that were played against real corosync-qnetd 3.0.3 (qnetd/replay/scen.ts), in the same order and with
// the same steps, for our core without sockets or waiting. Each step gives one line as in qnetd-sim.jsonl.
import { encodeMessage } from "../../src/qnetd/session/message.ts";
import { Lab, TestClient, type ClientOptions, type Receipt } from "../double/qnetd-host.ts";

export interface StepRecord {
  readonly scenario: string;
  readonly step: string;
  readonly received: Readonly<Record<string, readonly string[]>>;
  readonly effective: Readonly<Record<string, string>>;
}

type Step = (name: string, action: () => void, waitMs?: number) => void;

const records: StepRecord[] = [];

function snake(word: string): string {
  return word.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function receiptText(receipt: Receipt): string {
  if (receipt === "closed") return "CLOSED";
  const { kind, vote, nodeListType, errorCode, seq } = receipt;
  const name = snake(kind);
  if (kind === "voteInfo") return `vote_info:${snake(vote ?? "")}`;
  if (kind === "serverError" || kind === "initReply") {
    const noLists = kind === "initReply" && receipt.supportedMessages === undefined;
    const unnumbered = seq === undefined ? "(no seq)" : "";
    return `${name}:err${errorCode}${unnumbered}${noLists ? "(no supported lists)" : ""}`;
  }
  const list = nodeListType === undefined ? "" : `(${snake(nodeListType)})`;
  return vote === undefined ? name : `${name}${list}:${snake(vote)}`;
}

function effectiveText(client: TestClient): string {
  if (client.isClosed) return "(disconnected)";
  const { vote } = client;
  return vote === "askLater" || vote === "waitForReply" ? `none(${snake(vote)})` : vote;
}

function scenario(
  name: string,
  make: (lab: Lab) => TestClient[],
  play: (clients: TestClient[], step: Step) => void,
): void {
  const lab = new Lab();
  const clients = make(lab);
  play(clients, (step, action, waitMs = 130) => {
    for (const client of clients) client.receipts = [];
    action();
    lab.sleep(waitMs);
    const received: Record<string, string[]> = {};
    const effective: Record<string, string> = {};
    for (const client of clients) {
      received[`n${client.nodeId}`] = client.receipts.map(receiptText);
      effective[`n${client.nodeId}`] = effectiveText(client);
    }
    records.push({ scenario: name, step, received, effective });
  });
}

type Nodes = (count: number, options?: ClientOptions) => (lab: Lab) => TestClient[];
const nodes: Nodes = (count, options) => (lab) =>
  Array.from({ length: count }, (_, i) => new TestClient(lab, i + 1, options));

function ring(nodeId: number, seq: number): { rep: number; seq: number } {
  return { rep: nodeId, seq };
}

function connect(client: TestClient, on = ring(client.nodeId, 1)): void {
  client.open();
  client.preinit();
  client.lab.sleep(15);
  client.init(on);
  client.lab.sleep(30);
}

function up(clients: readonly TestClient[], step: Step, heuristics?: "pass"): void {
  const ids = clients.map(({ nodeId }) => nodeId);
  const on = ring(ids[0]!, 10);
  const action = (): void => {
    for (const client of clients) connect(client, on);
    for (const client of clients) client.config(ids);
    clients[0]!.lab.sleep(60);
    for (const client of clients) client.membership(on, ids, heuristics);
  };
  step("all connect, one ring, full membership", action, 300);
}

function split2(clients: readonly TestClient[]): void {
  clients[0]!.membership(ring(1, 11), [1]);
  clients[1]!.membership(ring(2, 11), [2]);
}
function split22(clients: readonly TestClient[]): void {
  clients[0]!.membership(ring(1, 11), [1, 2]);
  clients[1]!.membership(ring(1, 11), [1, 2]);
  clients[2]!.membership(ring(3, 11), [3, 4]);
  clients[3]!.membership(ring(3, 11), [3, 4]);
}

const lms: ClientOptions = { algorithm: "lms", heartbeatMs: 4000 };
const noKap: ClientOptions = { keepActivePartition: false };

function ffsplitScenarios(): void {
  scenario("F1 ffsplit 2 nodes, lowest, KAP on: split then heal", nodes(2), (c, step) => {
    up(c, step);
    step("n1 alone (1,11)", () => c[0]!.membership(ring(1, 11), [1]));
    step("n2 alone (2,11)", () => c[1]!.membership(ring(2, 11), [2]));
    step("heal: both in (1,12)", () => {
      for (const client of c) client.membership(ring(1, 12), [1, 2]);
    });
  });
  const two = (name: string, options: ClientOptions): void =>
    scenario(name, nodes(2, { ...options, ...noKap }), (c, step) => {
      up(c, step);
      step("split", () => split2(c));
    });
  two("F2 ffsplit 2 nodes, highest, KAP off: split", { tieBreaker: { mode: "highest" } });
  two("F3 ffsplit 2 nodes, node id 2, KAP off: split", {
    tieBreaker: { mode: "nodeId", nodeId: 2 },
  });
  scenario("F5 ffsplit KAP off: same as F4", nodes(2, noKap), (c, step) => {
    up(c, step);
    step("n1 disconnects", () => c[0]!.close());
    step("n2 alone (2,11)", () => c[1]!.membership(ring(2, 11), [2]));
    step("n1 reconnects alone (1,20)", () => aloneAgain(c[0]!), 250);
  });
  scenario("F6 ffsplit 4 nodes 2:2 split, lowest", nodes(4, noKap), (c, step) => {
    up(c, step);
    step("split {1,2} {3,4}", () => split22(c));
  });
  scenario("F8 ffsplit 4 nodes 3:1 split", nodes(4), (c, step) => {
    up(c, step);
    step("split {1} {2,3,4}", () => {
      c[0]!.membership(ring(1, 11), [1]);
      for (const client of c.slice(1)) client.membership(ring(2, 11), [2, 3, 4]);
    });
  });
  const f9 = "F9 ffsplit 4 nodes, one disconnected from qnetd but still member; then 2 nodes die";
  scenario(f9, nodes(4), (c, step) => {
    up(c, step);
    step("n4 loses qnetd only", () => c[3]!.close());
    step("n3,n4 die: {1,2}; n3 connection closes", () => {
      c[2]!.close();
      for (const client of c.slice(0, 2)) client.membership(ring(1, 11), [1, 2]);
    });
  });
  scenario("F10 ffsplit 3 nodes (odd) split 1:2", nodes(3), (c, step) => {
    up(c, step);
    step("split {1} {2,3}", () => {
      c[0]!.membership(ring(1, 11), [1]);
      for (const client of c.slice(1)) client.membership(ring(2, 11), [2, 3]);
    });
    step("n3 dies too: {2}", () => {
      c[2]!.close();
      c[0]!.lab.sleep(50);
      c[1]!.membership(ring(2, 12), [2]);
    });
  });
  const f11 = "F11 ffsplit 2 nodes heuristics: n1 fail n2 pass, split";
  scenario(f11, nodes(2, noKap), (c, step) => {
    up(c, step, "pass");
    step("n1 heuristics -> fail", () => c[0]!.heuristics("fail"));
    step("split n1 fail, n2 pass", () => {
      c[0]!.membership(ring(1, 11), [1], "fail");
      c[1]!.membership(ring(2, 11), [2], "pass");
    });
  });
  const f13 = "F13 ffsplit membership not stable: only one side reported";
  scenario(f13, nodes(2), (c, step) => {
    up(c, step);
    step("n1 reports (1,11)[1]; n2 silent", () => c[0]!.membership(ring(1, 11), [1]));
    step("n2 closes (dpd/dead)", () => c[1]!.close());
  });
  scenario("F14 ffsplit NACK must be confirmed before ACK is sent", nodes(2), (c, step) => {
    up(c, step);
    c[1]!.isHolding = true;
    step("split, n2 does not confirm NACK", () => split2(c), 400);
    step("n2 confirms", () => c[1]!.release());
  });
  staleReply();
  const f16 = "F16 ffsplit config lists differ (node added on one node only) -> wait";
  scenario(f16, nodes(2), (c, step) => {
    up(c, step);
    step("n1 changed config [1,2,3]", () => c[0]!.config([1, 2, 3], true));
    step("n2 changed config [1,2,3]", () => c[1]!.config([1, 2, 3], true));
  });
  const f17 = "F17 ffsplit 2 nodes only one ever connected to qnetd";
  scenario(
    f17,
    (lab) => [new TestClient(lab, 2)],
    ([n2], step) => {
      const action = (): void => {
        connect(n2!, ring(1, 10));
        n2!.config([1, 2]);
        n2!.membership(ring(1, 10), [1, 2]);
      };
      step("n2 connects, membership [1,2]", action, 250);
      step("n1 lost: n2 alone", () => n2!.membership(ring(2, 11), [2]));
    },
  );
  two("F18 ffsplit tie-breaker node not in any connected partition (node id 9)", {
    tieBreaker: { mode: "nodeId", nodeId: 9 },
  });
  scenario("F19 ffsplit ask_for_vote unsupported", nodes(1), (c, step) => {
    step("connect", () => connect(c[0]!));
    step("ask_for_vote", () => c[0]!.ask());
  });
}

function aloneAgain(client: TestClient): void {
  connect(client, ring(1, 20));
  client.config([1, 2]);
  client.membership(ring(1, 20), [1]);
}

function staleReply(): void {
  const name = "F15 ffsplit race: stale vote_info_reply cancels the pending ACK (both stay NACK)";
  scenario(name, nodes(2), (c, step) => {
    up(c, step, "pass");
    step("split, n1 fail n2 pass", () => {
      c[0]!.membership(ring(1, 11), [1], "fail");
      c[1]!.membership(ring(2, 11), [2], "pass");
    });
    c[0]!.isHolding = true;
    step("n1 -> pass (n1 NACK outstanding)", () => c[0]!.heuristics("pass"));
    c[1]!.isHolding = true;
    step("n2 -> fail (n1 should win), n2 NACK unconfirmed", () => c[1]!.heuristics("fail"));
    step("n1 confirms its OLD NACK", () => c[0]!.release(), 200);
    step("n2 confirms its NACK", () => c[1]!.release(), 300);
    const again = (): void => c[0]!.membership(ring(1, 11), [1], "pass");
    step("new event: n1 sends the same membership again", again, 300);
  });
}

function lmsScenarios(): void {
  scenario("L1 lms 3 nodes split {1}{2,3}", nodes(3, lms), (c, step) => {
    up(c, step);
    step("split reported", () => {
      c[0]!.membership(ring(1, 11), [1]);
      for (const client of c.slice(1)) client.membership(ring(2, 11), [2, 3]);
    });
    step("after hb/4", () => undefined, 1200);
  });
  scenario("L2 lms 3 nodes split into three, lowest", nodes(3, lms), (c, step) => {
    up(c, step);
    step("three singles", () => {
      for (const client of c) client.membership(ring(client.nodeId, 11), [client.nodeId]);
    });
    step("after hb/4", () => undefined, 1300);
  });
  const highest: ClientOptions = { ...lms, tieBreaker: { mode: "highest" } };
  const l3b = "L3b lms 4 nodes 2:2 split, tie-breaker highest";
  scenario(l3b, nodes(4, highest), (c, step) => {
    up(c, step);
    step("split {1,2}{3,4}", () => split22(c));
    step("after hb/4", () => undefined, 1300);
  });
  scenario("L4 lms last man standing", nodes(3, lms), (c, step) => {
    up(c, step);
    step("n2,n3 close", () => {
      for (const client of c.slice(1)) client.close();
    });
    step("n1 alone", () => c[0]!.membership(ring(1, 11), [1]));
  });
  const l5 = "L5 lms newcomer partition is NACKed while another partition has ACK";
  scenario(
    l5,
    (lab) => [2, 1].map((id) => new TestClient(lab, id, lms)),
    (c, step) => {
      const alone = (client: TestClient): void => {
        const on = ring(client.nodeId, 11);
        connect(client, on);
        client.config([1, 2]);
        client.membership(on, [client.nodeId]);
      };
      step("n2 connects alone (2,11)", () => alone(c[0]!), 200);
      step("n1 connects alone (1,11)", () => alone(c[1]!), 200);
      step("n1 sends quorum list", () => c[1]!.quorum(false, [1]));
    },
  );
}

function otherScenarios(): void {
  const pair = nodes(2, { algorithm: "2nodelms" });
  scenario("T1 2nodelms split lowest", pair, (c, step) => {
    up(c, step);
    step("n1 alone", () => c[0]!.membership(ring(1, 11), [1]));
    step("n2 alone", () => c[1]!.membership(ring(2, 11), [2]));
  });
  scenario("T2 2nodelms partner gone", pair, (c, step) => {
    up(c, step);
    step("n1 closes", () => c[0]!.close());
    step("n2 alone", () => c[1]!.membership(ring(2, 11), [2]));
    step("n2 ask_for_vote", () => c[1]!.ask());
  });
  const single = nodes(1, { algorithm: "2nodelms" });
  scenario("T4 2nodelms with 3 configured nodes", single, (c, step) => {
    step("connect", () => connect(c[0]!));
    step("config [1,2,3]", () => c[0]!.config([1, 2, 3]));
  });
  scenario("X1 test algorithm always ACK", nodes(2, { algorithm: "test" }), (c, step) => {
    up(c, step);
    step("split", () => split2(c));
    step("ask", () => c[0]!.ask());
  });
  const both = (c: readonly TestClient[]) => (): void => {
    for (const client of c) connect(client);
  };
  const same = (lab: Lab): TestClient[] => [1, 1].map((id) => new TestClient(lab, id));
  scenario("E1 duplicate node id", same, (c, step) => step("both connect as 1", both(c)));
  const mixed = (lab: Lab): TestClient[] => [
    new TestClient(lab, 1),
    new TestClient(lab, 2, { algorithm: "lms" }),
  ];
  scenario("E3 algorithm differs", mixed, (c, step) => step("connect", both(c)));
  const odd = (lab: Lab): TestClient[] => [
    new TestClient(lab, 1, { heartbeatMs: 999 }),
    new TestClient(lab, 2, { heartbeatMs: 120_001 }),
  ];
  scenario("E4 heartbeat out of range", odd, (c, step) => step("connect", both(c)));
  scenario("E5 ffsplit config list without own node / empty", nodes(1), (c, step) => {
    step("connect", () => connect(c[0]!));
    step("config [2,3]", () => c[0]!.config([2, 3]));
    step("config []", () => c[0]!.config([]));
    step("membership [2]", () => c[0]!.membership(ring(2, 1), [2]));
  });
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A message of options given as [type, hex of the value]. */
function raw(type: number, ...options: readonly (readonly [number, string])[]): Uint8Array {
  const number = (value: number, size: number): string =>
    value.toString(16).padStart(size * 2, "0");
  const body = options
    .map(([option, value]) => number(option, 2) + number(value.length / 2, 2) + value)
    .join("");
  return Uint8Array.fromHex(number(type, 2) + number(body.length / 2, 4) + body);
}

type Before = "tcp" | "preinit" | "init";

function rawScenario(name: string, before: Before, bytes: Uint8Array, waitMs = 150): void {
  scenario(name, nodes(1), ([client], step) => {
    step(`setup: ${before}`, () => {
      if (before === "init") return connect(client!);
      client!.open();
      if (before === "preinit") client!.preinit();
    });
    const hex = hexOf(bytes);
    const shown = bytes.length > 60 ? `${hex.slice(0, 40)}... (${bytes.length} bytes)` : hex;
    step(`send ${shown}`, () => client!.write(bytes), waitMs);
    const echo = encodeMessage({ kind: "echoRequest", seq: 7 });
    step("then echo_request seq 7", () => client!.write(echo), waitMs);
  });
}

const seq5 = [0, "00000005"] as const;
const initOptions = {
  nodeId: [9, "00000001"],
  ffsplit: [11, "0001"],
  heartbeat: [12, "00001f40"],
  lowest: [21, "0100000000"],
  ring: [13, "000000010000000000000001"],
} as const satisfies Record<string, readonly [number, string]>;
const { nodeId, ffsplit, heartbeat, lowest, ring: ringOption } = initOptions;
const plainInit = raw(3, seq5, nodeId, ffsplit, heartbeat, lowest, ringOption);
const heuristicsName = "heuristics change";

function framingScenarios(): void {
  rawScenario("R1 unknown message type 18", "init", raw(18, seq5));
  const unknown = Uint8Array.fromHex("ffff000000050000000000");
  rawScenario("R2 unknown message type 65535 with 5 byte body", "init", unknown);
  const long = new Uint8Array(32769);
  long.set(Uint8Array.fromHex("000800007ffb0000000400000005"));
  rawScenario("R3 message longer than max (32769 incl header)", "init", long, 400);
  const filler = [999, "00".repeat(32768 - 6 - 8 - 4)] as const;
  const r4 = "R4 message exactly max 32768 (one unknown option 999)";
  rawScenario(r4, "init", raw(8, seq5, filler), 400);
  const cut = Uint8Array.fromHex("0008000000080000000900000001");
  rawScenario("R5 option length past end", "init", cut);
  rawScenario("R6 seq option with wrong length 3", "init", raw(8, [0, "000000"]));
  rawScenario("R7 unknown option ignored", "init", raw(8, seq5, [200, "7a7a"]));
  rawScenario("R8 echo request without seq", "init", raw(8));
  rawScenario("R9 echo request before init", "preinit", raw(8, seq5));
}

function messageScenarios(): void {
  rawScenario("R10 init before preinit", "tcp", plainInit);
  const nameless = raw(3, seq5, ffsplit, heartbeat, lowest, ringOption);
  rawScenario("R11 init without node id", "preinit", nameless);
  const nine = raw(3, seq5, nodeId, [11, "0009"], heartbeat, lowest, ringOption);
  rawScenario("R13 init algorithm 9", "preinit", nine);
  rawScenario("R14 init without supported lists", "preinit", plainInit);
  rawScenario("R15 preinit without cluster name", "tcp", raw(0, [0, "00000001"]));
  rawScenario("R16 preinit with empty cluster name", "tcp", raw(0, [0, "00000001"], [1, ""]));
  const other = raw(0, [0, "00000009"], [1, "6f74686572"]);
  rawScenario("R17 second preinit with other cluster after init", "init", other);
  rawScenario("R18 second init", "init", plainInit);
  const info = raw(14, seq5, [19, "01"], ringOption);
  rawScenario("R19 server message from client: vote_info", "init", info);
  rawScenario("R20 node list without type", "init", raw(10, seq5));
  const one = [17, "0009000400000001"] as const;
  rawScenario("R21 node list without seq", "init", raw(10, [18, "00"], one));
  rawScenario("R22 node list type 7", "init", raw(10, seq5, [18, "07"]));
  rawScenario("R24 quorum list without quorate", "init", raw(10, seq5, [18, "03"], one));
  const zero = [17, "0009000400000000"] as const;
  rawScenario("R25 node info with node id 0", "init", raw(10, seq5, [18, "00"], zero));
  rawScenario(`R26 ${heuristicsName} without heuristics`, "init", raw(16, seq5));
  rawScenario(`R27 ${heuristicsName} value 0`, "init", raw(16, seq5, [22, "00"]));
  rawScenario("R28 set option heartbeat 500", "init", raw(6, seq5, [12, "000001f4"]));
  rawScenario("R29 set option heartbeat 2000", "init", raw(6, seq5, [12, "000007d0"]));
  rawScenario("R30 set option empty", "init", raw(6, seq5));
  const startTls = raw(2, [0, "00000002"]);
  rawScenario("R31 starttls with server TLS off", "preinit", startTls);
  rawScenario("R32 starttls before preinit", "tcp", startTls);
  rawScenario("R33 zero length echo after zero header", "tcp", new Uint8Array(6));
  rawScenario(`R34 ${heuristicsName} before lists`, "init", raw(16, seq5, [22, "01"]));
}

function lateScenarios(): void {
  for (const keepActivePartition of [false, true]) {
    const f20 =
      "F20 ffsplit 4 nodes split {1,2}{3,4}, then n1 loses qnetd only; " +
      `KAP ${keepActivePartition}`;
    scenario(f20, nodes(4, { keepActivePartition }), (c, step) => {
      up(c, step);
      step("split", () => split22(c));
      step("n1 disconnects from qnetd", () => c[0]!.close());
      step("n3 repeats its membership", () => c[2]!.membership(ring(3, 11), [3, 4]));
    });
  }
  const f21 = "F21 ffsplit 4 nodes, n4 connected but no config list yet blocks decisions";
  scenario(f21, nodes(4), (c, step) => {
    const [first, all] = [ring(1, 10), [1, 2, 3, 4]];
    const three = (): void => {
      for (const client of c) connect(client, first);
      for (const client of c.slice(0, 3)) client.config(all);
      c[0]!.lab.sleep(60);
      for (const client of c.slice(0, 3)) client.membership(first, all);
    };
    step("n1..n3 up, n4 only init", three, 300);
    const fourth = (): void => {
      c[3]!.config(all);
      c[3]!.lab.sleep(30);
      c[3]!.membership(first, all);
    };
    step("n4 sends lists", fourth, 300);
  });
  scenario("F23 ffsplit all clients leave: KAP memory is lost", nodes(2), (c, step) => {
    up(c, step);
    step("n1 disconnects, n2 alone", () => {
      c[0]!.close();
      c[0]!.lab.sleep(50);
      c[1]!.membership(ring(2, 11), [2]);
    });
    const back = (): void => {
      c[1]!.close();
      c[1]!.lab.sleep(100);
      connect(c[1]!, ring(2, 11));
      c[1]!.config([1, 2]);
      c[1]!.membership(ring(2, 11), [2]);
    };
    step("n2 reconnects (memory gone)", back, 250);
    step("n1 connects alone (1,20)", () => aloneAgain(c[0]!), 250);
  });
  const l7 = "L7 lms wait: member with another ring id, then agrees";
  scenario(l7, nodes(2, lms), (c, step) => {
    up(c, step);
    step("n1 new ring (1,11)[1,2], n2 old", () => c[0]!.membership(ring(1, 11), [1, 2]));
    step("n2 new ring too", () => c[1]!.membership(ring(1, 11), [1, 2]));
    step("after hb/4", () => undefined, 1200);
  });
}

/** All steps of all scenarios, in the order of qnetd-sim.jsonl. */
export function playScenarios(): readonly StepRecord[] {
  records.length = 0;
  ffsplitScenarios();
  lmsScenarios();
  otherScenarios();
  framingScenarios();
  messageScenarios();
  lateScenarios();
  return [...records];
}
