import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeMessage, type Message } from "../../qnetd/session/message.ts";
import { refusedRetryMs } from "./client.ts";
import {
  initReply,
  nodeSettings,
  servedDevice,
  settingsOf,
  TestDevice,
} from "../../../test/double/device-client.ts";

const two = { nodeid: 1, nodes: 2 } as const;
const ring = { rep: 1, seq: 9 };
const ack = (seq: number, of = ring, vote: Message["vote"] = "ack"): Message => ({
  kind: "voteInfo",
  seq,
  ...(vote === undefined ? {} : { vote }),
  ring: of,
});

function begun(options: Parameters<typeof settingsOf>[0] = two, pauseMs?: number): TestDevice {
  const device = new TestDevice(settingsOf(options), pauseMs);
  device.nodeList(ring, [1, 2]);
  device.quorum(ring, [1, 2], true, 2);
  return device;
}

describe("voting", () => {
  test("registers first, polls nothing before the server's vote", () => {
    const device = servedDevice(two);
    expect(device.asked).toEqual(["register"]);
    expect(device.timers.has("castVote")).toBe(false);
    device.hear(ack(1));
    expect(device.lastPoll).toMatchObject({ ring, castsVote: true, name: "Qdevice" });
    expect(device.take().at(-1)).toEqual({ kind: "voteInfoReply", seq: 1 });
    device.fire("castVote");
    expect(device.polls).toHaveLength(2);
    expect(device.now).toBe(5000);
  });

  test("an ACK is never polled for another ring", () => {
    const device = servedDevice({
      ...two,
      options: { "heuristics.mode": "on", "heuristics.exec_a": "/bin/a" },
    });
    device.heuristics("pass");
    device.hear(ack(1));
    expect(device.polls).toHaveLength(1);
    const next = { rep: 1, seq: 13 };
    device.nodeList(next, [1]);
    // Commands run: ticks and late votes do nothing.
    device.fire("castVote");
    device.hear(ack(2));
    expect(device.polls).toHaveLength(1);
    device.take();
    device.heuristics("pass");
    expect(device.take()[0]).toMatchObject({ nodeListType: "membership", heuristics: "pass" });
    // The server knows the new ring now; its answer for the old one is still confirmed, but does not count.
    device.hear(ack(3));
    expect(device.polls).toHaveLength(1);
    expect(device.take()).toEqual([{ kind: "voteInfoReply", seq: 3 }]);
    device.hear(ack(4, next));
    expect(device.lastPoll).toMatchObject({ ring: next, castsVote: true });
  });

  test("a vote before our lists are out is confirmed and does not count", () => {
    const options = { "heuristics.mode": "on", "heuristics.exec_a": "/bin/a" };
    const device = servedDevice({ ...two, options });
    device.take();
    device.hear(ack(1));
    expect(device.take()).toEqual([{ kind: "voteInfoReply", seq: 1 }]);
    expect(device.polls.filter(({ castsVote }) => castsVote)).toEqual([]);
    device.heuristics("pass");
    device.hear(ack(2));
    expect(device.lastPoll).toMatchObject({ ring, castsVote: true });
  });

  test("wait for reply stops the polls, no change does not", () => {
    const device = servedDevice(two);
    device.hear(ack(1));
    const reply = { kind: "nodeListReply", seq: 6, ring: { rep: 1, seq: 9 } } as const;
    device.hear({ ...reply, vote: "noChange" });
    expect(device.timers.has("castVote")).toBe(true);
    device.hear({ ...reply, vote: "waitForReply" });
    expect(device.timers.has("castVote")).toBe(false);
  });

  test("without a server a new ring gets a NACK at once: nobody waits for us", () => {
    const device = servedDevice(two);
    device.hear(ack(1));
    device.closed();
    expect(device.lastPoll).toMatchObject({ ring, castsVote: false });
    const next = { rep: 1, seq: 13 };
    device.nodeList(next, [1]);
    expect(device.lastPoll).toMatchObject({ ring: next, castsVote: false });
  });

  test("lms with wait_for_all keeps its vote while quorate, and loses it with the next change", () => {
    const options = { nodeid: 1, nodes: 3, waitForAll: true, options: { "net.algorithm": "lms" } };
    const device = servedDevice(options);
    device.hear(ack(1));
    device.fire("heartbeat");
    expect(device.isConnecting).toBe(true);
    device.fire("heartbeat");
    expect(device.isConnecting).toBe(false);
    expect(device.lastPoll?.castsVote).toBe(true);
    device.quorum({ rep: 1, seq: 13 }, [1, 2], true, 3);
    expect(device.lastPoll?.castsVote).toBe(false);
  });

  test("2nodelms has no vote without the server, which may give it to the other node meanwhile", () => {
    const device = servedDevice({ ...two, options: { "net.algorithm": "2nodelms" } });
    device.hear(ack(1));
    expect(device.lastPoll?.castsVote).toBe(true);
    device.closed();
    expect(device.lastPoll).toMatchObject({ ring, castsVote: false });
  });

  test("another name and master wins, as an operator asks", () => {
    const advanced = "votequorum_device_name=arbiter,master_wins=on";
    const device = servedDevice({ ...two, advanced });
    expect(device.asked).toEqual(["register", "masterWins"]);
    device.hear(ack(1));
    expect(device.lastPoll?.name).toBe("arbiter");
  });

  test("data centers are told, and a node that moves is news", () => {
    const device = servedDevice({ ...two, dataCenterId: 7 });
    const lists = device.take().filter((message) => message.nodeListType === "initialConfig");
    expect(lists[0]?.nodes).toEqual([{ nodeId: 1, dataCenterId: 7 }, { nodeId: 2 }]);
    device.step({ kind: "reconfigured", settings: nodeSettings({ ...two, dataCenterId: 7 }) });
    expect(device.take()).toEqual([]);
    device.step({ kind: "reconfigured", settings: nodeSettings({ ...two, dataCenterId: 8 }) });
    expect(device.take()).toMatchObject([{ nodeListType: "changedConfig" }]);
  });

  test("stopping unregisters and is final", () => {
    const device = servedDevice(two);
    device.step({ kind: "stopped" });
    expect(device.asked.at(-1)).toBe("unregister");
    expect(device.isConnecting).toBe(false);
    expect([...device.timers]).toEqual([]);
    device.nodeList({ rep: 1, seq: 13 }, [1]);
    expect(device.polls).toEqual([]);
  });

  test("a foreign device's name is told, and tried again later", () => {
    const device = new TestDevice(settingsOf(two));
    device.answer = "otherName";
    device.nodeList(ring, [1, 2]);
    expect(device.client.snapshot(0).problem).toContain("another quorum device");
    device.answer = "ok";
    device.fire("reconnect");
    expect(device.now).toBe(refusedRetryMs);
    expect(device.isConnecting).toBe(true);
  });
});

describe("connecting", () => {
  test("a refused connection is tried again when the connect time is over", () => {
    const device = begun();
    device.closed("connection refused");
    expect(device.timers.has("reconnect")).toBe(false);
    expect(device.lastPoll?.castsVote).toBe(false);
    device.fire("connect");
    expect(device.now).toBe(8000);
    expect(device.isConnecting).toBe(true);
    expect(device.client.snapshot(device.now)).toMatchObject({ state: "Connecting" });
  });

  test("a lost connection is tried again after a random pause, with running sequence numbers", () => {
    const device = servedDevice(two, 2386);
    device.take();
    device.closed();
    device.fire("reconnect");
    expect(device.now).toBe(2386);
    device.connected();
    expect(device.take()).toEqual([{ kind: "preinit", seq: 6, clusterName: "lab" }]);
  });

  test("the pause is shorter than 0.9 of the interval between polls", () => {
    const device = servedDevice(two, 1_000_000);
    device.closed();
    device.fire("reconnect");
    expect(device.now).toBe(4499);
  });

  test("no answer to a heartbeat until the next one ends the connection", () => {
    const device = servedDevice(two);
    device.take();
    device.fire("heartbeat");
    expect(device.take()).toEqual([{ kind: "echoRequest", seq: 1 }]);
    device.hear({ kind: "echoReply", seq: 1 });
    device.fire("heartbeat");
    device.fire("heartbeat");
    expect(device.isConnecting).toBe(false);
    expect(device.client.snapshot(device.now).problem).toContain("heartbeat");
  });

  const refusals: readonly (readonly [string, Partial<Message>, number])[] = [
    ["our node is connected already", { errorCode: 17 }, 1000],
    ["another tie-breaker", { errorCode: 15 }, 1000],
    ["another algorithm", { errorCode: 16 }, 1000],
    ["an internal error", { errorCode: 10 }, refusedRetryMs],
    ["no place for our requests", { requestBytesMax: 32_767 }, refusedRetryMs],
    ["replies without bound", { replyBytesMax: 16_777_217 }, refusedRetryMs],
    ["an unknown algorithm", { supportedAlgorithms: [0, 3] }, refusedRetryMs],
    ["another sequence number", { seq: 99 }, refusedRetryMs],
  ];
  for (const [what, changes, pauseMs] of refusals) {
    test(`init refused: ${what}`, () => {
      const device = begun();
      device.connected();
      device.hear({
        kind: "preinitReply",
        seq: 1,
        tlsSupport: "unsupported",
        clientCertificateRequired: true,
      });
      device.hear(initReply(2, changes));
      expect(device.isConnecting).toBe(false);
      expect(device.logs.at(-1)).toStartWith("error");
      device.fire("reconnect");
      expect(device.now).toBe(pauseMs);
    });
  }

  test("every error of a server is a sentence of its own, with its number", () => {
    const told = new Set<string>();
    for (const [code] of Array.from({ length: 21 }).entries()) {
      const device = servedDevice(two);
      device.hear({ kind: "serverError", errorCode: code });
      expect(device.isConnecting).toBe(false);
      const { problem } = device.client.snapshot(0);
      expect(problem).toContain(`(error ${code})`);
      told.add(problem.replace(/\(error \d+\)/, ""));
    }
    expect(told.size).toBe(21);
  });

  test("the limits that an operator set are used", () => {
    const device = begun({ ...two, advanced: "net_min_msg_send_size=40000" });
    device.connected();
    const reply = { tlsSupport: "unsupported", clientCertificateRequired: true } as const;
    device.hear({ kind: "preinitReply", seq: 1, ...reply });
    device.hear(initReply(2));
    expect(device.client.snapshot(0).problem).toContain("40000 are needed");
    const short = begun({ ...two, advanced: "net_initial_msg_receive_size=16" });
    short.connected();
    short.hear({ kind: "preinitReply", seq: 1, ...reply });
    expect(short.client.snapshot(0).problem).toContain("16 are allowed");
  });

  const modes = ["unsupported", "supported", "required"] as const;
  const table = {
    off: ["plain", "plain", "never"],
    on: ["plain", "tls", "tls"],
    required: ["never", "tls", "tls"],
  } as const;
  for (const tls of ["off", "on", "required"] as const) {
    modes.forEach((server, at) => {
      test(`TLS: the server says ${server}, we ${tls}`, () => {
        const device = begun({ ...two, options: { "net.tls": tls } });
        device.connected();
        device.hear({
          kind: "preinitReply",
          seq: 1,
          tlsSupport: server,
          clientCertificateRequired: true,
        });
        const outcome = device.hasTls ? "tls" : device.isConnecting ? "plain" : "never";
        expect(outcome).toBe(table[tls][at]!);
      });
    });
  }

  test("TLS: a node with a certificate takes no plain vote server for its own, unless it is told to", () => {
    const met = (options: Record<string, string>, advanced = ""): TestDevice => {
      const device = begun({ ...two, options, advanced });
      device.connected(true);
      const reply = { tlsSupport: "unsupported", clientCertificateRequired: true } as const;
      device.hear({ kind: "preinitReply", seq: 1, ...reply });
      return device;
    };
    const refused = met({ "net.tls": "on" });
    expect([refused.isConnecting, refused.hasTls]).toEqual([false, false]);
    const { problem } = refused.client.snapshot(0);
    expect(problem).toMatch(
      /it offers no TLS, .*start it with TLS, or, .*set "tls: off" in quorum\.device\.net/,
    );
    expect(refused.logs.at(-1)).toBe(`error ${problem}`);
    refused.fire("reconnect");
    expect(refused.isConnecting).toBe(true);
    expect(met({}).isConnecting).toBe(false);
    expect(met({ "net.tls": "off" }).isConnecting).toBe(true);
    expect(met({}, "net_allow_plaintext=on").isConnecting).toBe(true);
  });

  test("without KAP on the server nothing is set", () => {
    const device = begun();
    device.connected();
    device.hear({
      kind: "preinitReply",
      seq: 1,
      tlsSupport: "unsupported",
      clientCertificateRequired: true,
    });
    device.take();
    device.hear(initReply(2, { supportedOptions: [0, 1, 22] }));
    expect(device.take().map((message) => message.nodeListType)).toEqual([
      "initialConfig",
      "membership",
      "quorum",
    ]);
    expect(device.client.snapshot(0).keepActivePartition).toBe("Unsupported by QNetd");
  });

  test("other settings for the server need another connection; one that allows no device ends it", () => {
    const device = servedDevice(two);
    device.hear(ack(1));
    device.step({
      kind: "reconfigured",
      settings: nodeSettings({ ...two, options: { "net.tie_breaker": "highest" } }),
    });
    expect(device.isConnecting).toBe(false);
    device.fire("reconnect");
    device.handshake();
    device.step({ kind: "reconfigured", settings: nodeSettings({ ...two, nodes: 3 }) });
    expect(device.client.snapshot(0).problem).toContain("quorum.device.votes");
    device.fire("reconnect");
    expect(device.isConnecting).toBe(false);
    device.step({ kind: "reconfigured", settings: nodeSettings({ ...two, nodes: 3, votes: 1 }) });
    device.fire("reconnect");
    expect(device.isConnecting).toBe(true);
  });
});

describe("heuristics", () => {
  const options = { "heuristics.mode": "on", "heuristics.exec_a": "/bin/a b" };
  test("a connect that is overtaken by a new ring waits for fresh results", () => {
    const device = servedDevice({ ...two, options });
    expect(device.take()).toEqual([]);
    const [first] = device.runs;
    const next = { rep: 1, seq: 13 };
    device.nodeList(next, [1]);
    device.step({ kind: "heuristicsDone", run: first?.run ?? 0, result: "fail" });
    expect(device.take()).toEqual([]);
    device.heuristics("pass");
    const lists = device.take();
    expect(lists.map((message) => message.nodeListType)).toEqual([
      undefined,
      "initialConfig",
      "membership",
      "quorum",
    ]);
    expect(lists[2]).toMatchObject({ ring: { rep: 1, seq: 13 }, heuristics: "pass" });
  });

  test("regular results are told when they are news", () => {
    const device = servedDevice({ ...two, options });
    device.heuristics("pass");
    device.take();
    device.fire("heuristics");
    device.heuristics("pass");
    expect(device.take()).toEqual([]);
    device.fire("heuristics");
    device.heuristics("fail");
    expect(device.take()).toMatchObject([{ kind: "heuristicsChange", heuristics: "fail" }]);
  });

  test("with mode sync nothing is run in between", () => {
    const device = servedDevice({ ...two, options: { ...options, "heuristics.mode": "sync" } });
    device.heuristics("pass");
    expect(device.timers.has("heuristics")).toBe(false);
  });
});

describe("a hostile server", () => {
  test("any bytes end in a closed connection or are waited for; memory is bounded, nothing is polled", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
        const device = begun();
        device.connected();
        for (const chunk of chunks) if (device.isConnecting) device.hearBytes(chunk);
        expect(device.polls.filter((poll) => poll.castsVote)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test("messages in any order never make us vote for a ring that is not ours", () => {
    const message = fc.record({
      kind: fc.constantFrom(
        "voteInfo",
        "nodeListReply",
        "askForVoteReply",
        "setOptionReply",
        "echoReply",
        "heuristicsChangeReply",
      ),
      seq: fc.nat(20),
      vote: fc.constantFrom("ack", "nack", "waitForReply", "noChange", "askLater"),
      ring: fc.record({ rep: fc.integer({ min: 1, max: 2 }), seq: fc.constantFrom(9, 13, 17) }),
    });
    const act = fc.oneof(message, fc.constantFrom("ring 13", "ring 17", "tick"));
    fc.assert(
      fc.property(fc.array(act, { maxLength: 30 }), (acts) => {
        const device = servedDevice(two);
        let current = ring;
        for (const each of acts) {
          const before = device.polls.length;
          if (each === "tick") {
            if (device.timers.has("castVote")) device.fire("castVote");
          } else if (typeof each === "string") {
            current = { rep: 1, seq: Number(each.slice(5)) };
            device.nodeList(current, [1]);
          } else if (device.isConnecting) {
            device.hearBytes(encodeMessage(each));
            const isForUs =
              each.ring.rep === 1 && each.ring.seq === current.seq && each.vote === "ack";
            const cast = device.polls.slice(before).filter((poll) => poll.castsVote);
            if (!isForUs) expect(cast).toEqual([]);
          }
          for (const poll of device.polls.slice(before)) expect(poll.ring).toEqual(current);
        }
      }),
      { numRuns: 200 },
    );
  });
});
