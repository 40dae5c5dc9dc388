import { ringText } from "../../world.ts";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  algorithms,
  decodeMessage,
  encodeMessage,
  errorCodes,
  messageKinds,
  messageNames,
  nodesMax,
  type Message,
  type MessageKind,
  type NodeInfo,
} from "./message.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u53 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const u16s = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 });
const ring = fc.record({ rep: u32, seq: u53 });
const node: fc.Arbitrary<NodeInfo> = fc.record(
  {
    nodeId: fc.integer({ min: 1, max: 0xffff_ffff }),
    dataCenterId: fc.integer({ min: 1, max: 0xffff_ffff }),
    state: fc.constantFrom("member", "dead", "leaving"),
  },
  { requiredKeys: ["nodeId"] },
);
const vote = fc.constantFrom("ack", "nack", "askLater", "waitForReply", "noChange");
const heuristics = fc.constantFrom("pass", "fail");
const seq = u32;

const fields: Record<MessageKind, Record<string, fc.Arbitrary<unknown>>> = {
  preinit: { seq, clusterName: fc.string({ unit: fc.constantFrom("a", "Z", "\u00ff", " ") }) },
  preinitReply: {
    seq,
    tlsSupport: fc.constantFrom("unsupported", "supported", "required"),
    clientCertificateRequired: fc.boolean(),
  },
  startTls: { seq },
  init: {
    seq,
    supportedMessages: u16s,
    supportedOptions: u16s,
    nodeId: u32,
    algorithm: fc.integer({ min: 0, max: 0xffff }),
    heartbeatMs: u32,
    tieBreaker: fc.oneof(
      fc.constantFrom({ mode: "lowest" }, { mode: "highest" }),
      u32.map((nodeId) => ({ mode: "nodeId", nodeId })),
    ),
    ring,
  },
  initReply: {
    errorCode: fc.integer({ min: 0, max: 0xffff }),
    supportedMessages: u16s,
    supportedOptions: u16s,
    seq,
    requestBytesMax: u32,
    replyBytesMax: u32,
    supportedAlgorithms: u16s,
  },
  serverError: { seq, errorCode: fc.integer({ min: 0, max: 0xffff }) },
  setOption: { seq, heartbeatMs: u32, keepActivePartition: fc.boolean() },
  setOptionReply: { seq, heartbeatMs: u32, keepActivePartition: fc.boolean() },
  echoRequest: { seq },
  echoReply: { seq },
  nodeList: {
    seq,
    nodeListType: fc.constantFrom("initialConfig", "changedConfig", "membership", "quorum"),
    ring,
    configVersion: u53,
    isQuorate: fc.boolean(),
    nodes: fc.array(node, { minLength: 1, maxLength: 40 }),
    heuristics,
  },
  nodeListReply: {
    seq,
    nodeListType: fc.constantFrom("initialConfig", "changedConfig", "membership", "quorum"),
    ring,
    vote,
  },
  askForVote: { seq },
  askForVoteReply: { seq, vote, ring },
  voteInfo: { seq, vote, ring },
  voteInfoReply: { seq },
  heuristicsChange: { seq, heuristics },
  heuristicsChangeReply: { seq, vote, ring, heuristics },
};

const message: fc.Arbitrary<Message> = fc.constantFrom(...messageKinds).chain((kind) =>
  fc
    .record(fields[kind], { requiredKeys: [] })
    .filter((options) => Object.keys(options).length > 0)
    .map((options) => ({ kind, ...options })),
);

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

describe("the codec", () => {
  test("the example of the spec", () => {
    const bytes = hex("0000 0000000f 0000 0004 00000001 0001 0003 6c6162");
    const preinit: Message = { kind: "preinit", seq: 1, clusterName: "lab" };
    expect(decodeMessage(bytes)).toEqual({ ok: true, value: preinit });
    expect(encodeMessage(preinit)).toEqual(bytes);
  });

  test("what is encoded is decoded", () => {
    const back = fc.property(message, (one) => {
      expect(decodeMessage(encodeMessage(one))).toEqual({ ok: true, value: one });
    });
    fc.assert(back, { numRuns: 2000 });
  });

  test("spoiled messages are refused with a reason or read, never more", () => {
    const spoiled = fc.property(
      message,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      fc.nat(),
      (one, changes, cut) => {
        const bytes = encodeMessage(one);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const result = decodeMessage(bytes.subarray(0, cut % (bytes.length + 1)));
        if (!result.ok) expect(result.reason).not.toBe("");
      },
    );
    fc.assert(spoiled, { numRuns: 3000 });
    const noise = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeMessage(bytes);
    });
    fc.assert(noise, { numRuns: 2000 });
  });

  test("options may come in any order and twice: the last counts, but nodes add up", () => {
    const bytes = hex(
      "000a 00000028" +
        "0011 0008 0009 0004 00000001" +
        "0000 0004 00000001" +
        "0011 0008 0009 0004 00000002" +
        "0000 0004 00000002",
    );
    const value: Message = { kind: "nodeList", seq: 2, nodes: [{ nodeId: 1 }, { nodeId: 2 }] };
    expect(decodeMessage(bytes)).toEqual({ ok: true, value });
  });

  test("unknown options are skipped, in nodes too", () => {
    const bytes = hex(
      "000a 0000001a 00c8 0002 7a7a 0011 0010 00c8 0004 00000000 0009 0004 00000001",
    );
    const value: Message = { kind: "nodeList", nodes: [{ nodeId: 1 }] };
    expect(decodeMessage(bytes)).toEqual({ ok: true, value });
  });
});

describe("faults of the bytes", () => {
  const faults: readonly (readonly [string, string, number | undefined])[] = [
    ["no options", "0008 00000000", undefined],
    ["a stray byte", "0008 00000009 0000 0004 00000001 00", 1],
    ["a value over the end", "0008 00000008 0000 0009 00000001", undefined],
    ["a short number", "0008 00000007 0000 0003 000000", undefined],
    ["a vote of 0", "000e 0000000d 0000 0004 00000005 0013 0001 00", 5],
    ["a vote of 6", "000e 0000000d 0000 0004 00000005 0013 0001 06", 5],
    ["heuristics of 3", "0010 0000000d 0000 0004 00000005 0016 0001 03", 5],
    ["a tie-breaker mode of 4", "0003 00000011 0000 0004 00000005 0015 0005 0400000000", 5],
    ["a list of one byte", "0003 0000000d 0000 0004 00000005 0004 0001 01", 5],
    ["a name with NUL", "0000 0000000e 0000 0004 00000005 0001 0002 6100", 5],
    ["node id 0", "000a 00000014 0000 0004 00000005 0011 0008 0009 0004 00000000", 5],
    ["a node without id", "000a 0000000c 0000 0004 00000005 0011 0000", 5],
    [
      "a node state of 0",
      "000a 00000019 0000 0004 00000005 0011 000d 0009 0004 00000001 0010 0001 00",
      5,
    ],
    ["a node state of 0 outside of a node", "000a 0000000d 0000 0004 00000005 0010 0001 00", 5],
    [
      "a ring id over 2^53",
      "000e 00000018 0000 0004 00000005 000d 000c 00000001 0020000000000000",
      5,
    ],
  ];
  test.each(faults)("%s", (_, text, number) => {
    const result = decodeMessage(hex(text));
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.seq).toBe(number as number);
  });

  test("a header that does not fit its bytes", () => {
    expect(decodeMessage(hex("0008 00000009 0000 0004 00000001")).ok).toBe(false);
    expect(decodeMessage(hex("0008 0000")).ok).toBe(false);
    expect(decodeMessage(hex("0012 00000008 0000 0004 00000001")).ok).toBe(false);
  });

  test("a node list of more than the allowed nodes", () => {
    const list = (count: number): Message => ({
      kind: "nodeList",
      nodes: Array.from({ length: count }, (_, i) => ({ nodeId: i + 1 })),
    });
    expect(decodeMessage(encodeMessage(list(nodesMax))).ok).toBe(true);
    expect(decodeMessage(encodeMessage(list(nodesMax + 1))).ok).toBe(false);
  });
});

test("names and numbers of the protocol", () => {
  expect(messageKinds.length).toBe(18);
  expect(messageNames.length).toBe(18);
  expect(algorithms.indexOf("lms")).toBe(3);
  expect(errorCodes.invalidMembershipList).toBe(19);
  expect(ringText({ rep: 1, seq: 47 })).toBe("1.2f");
});
