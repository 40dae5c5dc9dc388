// The QDevice net protocol on the wire (qnetd.md §1.1–1.5): every message and option, both ways, big-endian throughout.
// Shared by the vote server and the node's device client. A decoder must never throw on outside bytes.
import { byteString, bytesOf, Reader, Writer } from "../../bytes.ts";
import { ringText, type RingId } from "../../world.ts";

/** In wire order: the index is the message type. */
export const messageKinds = [
  "preinit",
  "preinitReply",
  "startTls",
  "init",
  "initReply",
  "serverError",
  "setOption",
  "setOptionReply",
  "echoRequest",
  "echoReply",
  "nodeList",
  "nodeListReply",
  "askForVote",
  "askForVoteReply",
  "voteInfo",
  "voteInfoReply",
  "heuristicsChange",
  "heuristicsChangeReply",
] as const;
export type MessageKind = (typeof messageKinds)[number];

/** Names of the messages as `corosync-qnetd -v` prints them, by message type. */
export const messageNames = [
  "Preinit",
  "Preinit reply",
  "StartTLS",
  "Init",
  "Init reply",
  "Server error",
  "Set option",
  "Set option reply",
  "Echo request",
  "Echo reply",
  "Node list",
  "Node list reply",
  "Ask for vote",
  "Ask for vote reply",
  "Vote info",
  "Vote info reply",
  "Heuristics change",
  "Heuristics change reply",
] as const;

/** Error codes (§1.5), of server errors and init replies. */
export const errorCodes = {
  none: 0,
  unsupportedNeededMessage: 1,
  unsupportedNeededOption: 2,
  tlsRequired: 3,
  unsupportedMessage: 4,
  messageTooLong: 5,
  preinitRequired: 6,
  requiredOptionMissing: 7,
  unexpectedMessage: 8,
  undecodable: 9,
  internal: 10,
  initRequired: 11,
  unsupportedAlgorithm: 12,
  invalidHeartbeat: 13,
  unsupportedAlgorithmMessage: 14,
  tieBreakerDiffers: 15,
  algorithmDiffers: 16,
  duplicateNodeId: 17,
  invalidConfigList: 18,
  invalidMembershipList: 19,
} as const;
export type ErrorName = keyof typeof errorCodes;

/** In wire order: the index is the value on the wire; "" stands for a value that is an error there. */
const tlsModes = ["unsupported", "supported", "required"] as const;
const nodeListTypes = ["initialConfig", "changedConfig", "membership", "quorum"] as const;
const votes = ["", "ack", "nack", "askLater", "waitForReply", "noChange"] as const;
const heuristicsResults = ["", "pass", "fail"] as const;
const nodeStates = ["", "member", "dead", "leaving"] as const;
const tieBreakerModes = ["", "lowest", "highest", "nodeId"] as const;

export type TlsSupport = (typeof tlsModes)[number];
export type NodeListType = (typeof nodeListTypes)[number];
export type Vote = Exclude<(typeof votes)[number], "">;
/** Undefined everywhere means "no result": the option is left out. */
export type Heuristics = Exclude<(typeof heuristicsResults)[number], "">;
export type NodeState = Exclude<(typeof nodeStates)[number], "">;

export type TieBreaker =
  | { readonly mode: "lowest" }
  | { readonly mode: "highest" }
  | { readonly mode: "nodeId"; readonly nodeId: number };

export interface NodeInfo {
  /** Never 0. */
  readonly nodeId: number;
  /** Left out on the wire when 0. */
  readonly dataCenterId?: number;
  readonly state?: NodeState;
}

/** Decision algorithms (§1.3, option 11): the index is the number on the wire. */
export const algorithms = ["test", "ffsplit", "2nodelms", "lms"] as const;
export type AlgorithmName = (typeof algorithms)[number];

/** What a message may carry. Which of them a message needs is for the receiver to say (error 7). */
export interface Options {
  readonly seq?: number;
  /** A byte string without NUL. */
  readonly clusterName?: string;
  readonly tlsSupport?: TlsSupport;
  readonly clientCertificateRequired?: boolean;
  readonly supportedMessages?: readonly number[];
  readonly supportedOptions?: readonly number[];
  readonly errorCode?: number;
  readonly requestBytesMax?: number;
  readonly replyBytesMax?: number;
  readonly nodeId?: number;
  readonly supportedAlgorithms?: readonly number[];
  /** A number, for an unknown one is answered and not a fault of the bytes. */
  readonly algorithm?: number;
  readonly heartbeatMs?: number;
  readonly ring?: RingId;
  readonly configVersion?: number;
  readonly nodes?: readonly NodeInfo[];
  readonly nodeListType?: NodeListType;
  readonly vote?: Vote;
  readonly isQuorate?: boolean;
  readonly tieBreaker?: TieBreaker;
  readonly heuristics?: Heuristics;
  readonly keepActivePartition?: boolean;
}

export interface Message extends Options {
  readonly kind: MessageKind;
}

/** Header: type u16, body length u32. */
export const headerBytes = 6;
/** Larger node lists are undecodable: corosync itself stops at 384 nodes, and votes are computed over pairs of nodes. */
export const nodesMax = 1024;
/** Message types and options that both sides announce (§1.3). */
export const supportedMessages: readonly number[] = messageKinds.map((_, type) => type);
export const supportedOptions: readonly number[] = Array.from({ length: 24 }, (_, type) => type);
export const supportedAlgorithms: readonly number[] = algorithms.map((_, number) => number);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Draft = Mutable<Omit<Options, "nodes">> & { nodes: NodeInfo[] };
type Field = Exclude<keyof Options, "nodes">;

/** One option: its number, its field, how its value is written, and how it is read (false: not a value of this option). */
interface OptionCodec {
  readonly type: number;
  /** Length of the value, when it is fixed. */
  readonly size?: number;
  write(options: Options, out: Writer): boolean;
  read(value: Reader, draft: Draft): boolean;
}

function option<K extends Field>(
  type: number,
  key: K,
  codec: {
    readonly size?: number;
    write(value: NonNullable<Options[K]>, out: Writer): void;
    read(value: Reader): Options[K] | undefined;
  },
): OptionCodec {
  return {
    type,
    ...(codec.size === undefined ? {} : { size: codec.size }),
    write(options, out) {
      const value = options[key];
      if (value === undefined || value === null) return false;
      codec.write(value, out);
      return true;
    },
    read(value, draft) {
      const read = codec.read(value);
      if (read === undefined) return false;
      const fields: Mutable<Omit<Options, "nodes">> = draft;
      fields[key] = read;
      return true;
    },
  };
}

const u16 = {
  size: 2,
  write: (value: number, out: Writer): unknown => out.u16be(value),
  read: (value: Reader): number => value.u16be(),
};
const u32 = {
  size: 4,
  write: (value: number, out: Writer): unknown => out.u32be(value),
  read: (value: Reader): number => value.u32be(),
};
const u16List = {
  write(list: readonly number[], out: Writer): void {
    for (const item of list) out.u16be(item);
  },
  read(value: Reader): number[] | undefined {
    if (value.remaining % 2 !== 0) return undefined;
    const list: number[] = [];
    while (value.remaining > 0) list.push(value.u16be());
    return list;
  },
};

/** A byte that names one of `names`; "" is not a value. */
function choice<T extends string>(names: readonly (T | "")[]) {
  return {
    size: 1,
    write: (value: T, out: Writer): unknown => out.u8(names.indexOf(value)),
    read(value: Reader): T | undefined {
      const name = names[value.u8()];
      return name === undefined || name === "" ? undefined : name;
    },
  };
}

/** `isStrict`: any byte but 0 and 1 is an error. */
function flag(isStrict: boolean) {
  return {
    size: 1,
    write: (value: boolean, out: Writer): unknown => out.u8(value ? 1 : 0),
    read(value: Reader): boolean | undefined {
      const byte = value.u8();
      return isStrict && byte > 1 ? undefined : byte !== 0;
    },
  };
}

const optionCodecs = {
  seq: option(0, "seq", u32),
  clusterName: option(1, "clusterName", {
    write: (name, out) => out.put(bytesOf(name)),
    read(value) {
      const name = value.rest();
      return name.includes(0) ? undefined : byteString(name);
    },
  }),
  tlsSupport: option(2, "tlsSupport", choice<TlsSupport>(tlsModes)),
  clientCertificateRequired: option(3, "clientCertificateRequired", flag(false)),
  supportedMessages: option(4, "supportedMessages", u16List),
  supportedOptions: option(5, "supportedOptions", u16List),
  errorCode: option(6, "errorCode", u16),
  requestBytesMax: option(7, "requestBytesMax", u32),
  replyBytesMax: option(8, "replyBytesMax", u32),
  nodeId: option(9, "nodeId", u32),
  supportedAlgorithms: option(10, "supportedAlgorithms", u16List),
  algorithm: option(11, "algorithm", u16),
  heartbeatMs: option(12, "heartbeatMs", u32),
  ring: option(13, "ring", {
    size: 12,
    write: (ring, out) => out.u32be(ring.rep).u64be(ring.seq),
    read: (value) => ({ rep: value.u32be(), seq: value.u64be() }),
  }),
  configVersion: option(14, "configVersion", {
    size: 8,
    write: (version, out) => out.u64be(version),
    read: (value) => value.u64be(),
  }),
  // Options 15 and 16 stand only inside node information: outside they mean nothing, but their form is checked.
  nodeListType: option(18, "nodeListType", choice<NodeListType>(nodeListTypes)),
  vote: option(19, "vote", choice<Vote>(votes)),
  isQuorate: option(20, "isQuorate", flag(true)),
  tieBreaker: option(21, "tieBreaker", {
    size: 5,
    write(tieBreaker, out) {
      out.u8(tieBreakerModes.indexOf(tieBreaker.mode));
      out.u32be(tieBreaker.mode === "nodeId" ? tieBreaker.nodeId : 0);
    },
    read(value): TieBreaker | undefined {
      const mode = tieBreakerModes[value.u8()];
      const nodeId = value.u32be();
      if (mode === undefined || mode === "") return undefined;
      return mode === "nodeId" ? { mode, nodeId } : { mode };
    },
  }),
  heuristics: option(22, "heuristics", choice<Heuristics>(heuristicsResults)),
  keepActivePartition: option(23, "keepActivePartition", flag(true)),
} as const satisfies Record<Field, OptionCodec>;

const codecByType: ReadonlyMap<number, OptionCodec> = new Map(
  Object.values(optionCodecs).map((codec) => [codec.type, codec]),
);
const optionTypes = { dataCenterId: 15, nodeState: 16, nodeInfo: 17 } as const;
const nodeStateCodec = choice<NodeState>(nodeStates);

/** The order in which the original programs emit the options of each message (§1.4); "nodes" are the node infos. */
const optionOrder: Readonly<Record<MessageKind, readonly (keyof Options)[]>> = {
  preinit: ["seq", "clusterName"],
  preinitReply: ["seq", "tlsSupport", "clientCertificateRequired"],
  startTls: ["seq"],
  init: [
    "seq",
    "supportedMessages",
    "supportedOptions",
    "nodeId",
    "algorithm",
    "heartbeatMs",
    "tieBreaker",
    "ring",
  ],
  initReply: [
    "errorCode",
    "supportedMessages",
    "supportedOptions",
    "seq",
    "requestBytesMax",
    "replyBytesMax",
    "supportedAlgorithms",
  ],
  serverError: ["seq", "errorCode"],
  setOption: ["seq", "heartbeatMs", "keepActivePartition"],
  setOptionReply: ["seq", "heartbeatMs", "keepActivePartition"],
  echoRequest: ["seq"],
  echoReply: ["seq"],
  nodeList: ["seq", "nodeListType", "ring", "configVersion", "isQuorate", "nodes", "heuristics"],
  nodeListReply: ["seq", "nodeListType", "ring", "vote"],
  askForVote: ["seq"],
  askForVoteReply: ["seq", "vote", "ring"],
  voteInfo: ["seq", "vote", "ring"],
  voteInfoReply: ["seq"],
  heuristicsChange: ["seq", "heuristics"],
  heuristicsChangeReply: ["seq", "vote", "ring", "heuristics"],
};

/** One whole message with its header. Options that the kind does not have (§1.4) are not written. */
export function encodeMessage(message: Message): Uint8Array {
  const body = new Writer(128);
  for (const key of optionOrder[message.kind]) {
    if (key === "nodes") writeNodes(message.nodes ?? [], body);
    else writeOption(optionCodecs[key], message, body);
  }
  const value = body.finish();
  const out = new Writer(headerBytes + value.length);
  return out.u16be(messageKinds.indexOf(message.kind)).u32be(value.length).put(value).finish();
}

function writeOption(codec: OptionCodec, options: Options, out: Writer): void {
  const value = new Writer(64);
  if (!codec.write(options, value)) return;
  const bytes = value.finish();
  out.u16be(codec.type).u16be(bytes.length).put(bytes);
}

function writeNodes(nodes: readonly NodeInfo[], out: Writer): void {
  for (const { nodeId, dataCenterId, state } of nodes) {
    const info = new Writer(32).u16be(optionCodecs.nodeId.type).u16be(4).u32be(nodeId);
    if (dataCenterId) info.u16be(optionTypes.dataCenterId).u16be(4).u32be(dataCenterId);
    if (state !== undefined) {
      info.u16be(optionTypes.nodeState).u16be(1);
      nodeStateCodec.write(state, info);
    }
    const bytes = info.finish();
    out.u16be(optionTypes.nodeInfo).u16be(bytes.length).put(bytes);
  }
}

/** What a message is, or why it is none; `seq`: the sequence number, if it stood before the fault. */
export type DecodedMessage =
  | { readonly ok: true; readonly value: Message }
  | { readonly ok: false; readonly reason: string; readonly seq: number | undefined };

/** Decodes one whole message with its header (§1.1, rules 1–3). Unknown options are skipped; of repeated ones the last counts. */
export function decodeMessage(bytes: Uint8Array): DecodedMessage {
  const reader = new Reader(bytes);
  const type = reader.u16be();
  const length = reader.u32be();
  const kind = messageKinds[type];
  const fault = (reason: string, seq?: number): DecodedMessage => ({ ok: false, reason, seq });
  if (reader.failed || length !== reader.remaining) return fault("header and length disagree");
  if (kind === undefined) return fault(`unknown message type ${type}`);
  if (length === 0) return fault("no options");
  const draft: Draft = { nodes: [] };
  while (reader.remaining > 0) {
    const reason = readOption(reader, draft);
    if (reason !== undefined) return fault(reason, draft.seq);
  }
  const { nodes, ...fields } = draft;
  return { ok: true, value: { kind, ...fields, ...(nodes.length > 0 ? { nodes } : {}) } };
}

/** Reads the next option into `draft`; a reason when it is malformed. */
function readOption(reader: Reader, draft: Draft): string | undefined {
  const type = reader.u16be();
  const length = reader.u16be();
  const bytes = reader.take(length);
  if (reader.failed) return `option ${type} runs over the end of the message`;
  if (type === optionTypes.nodeInfo) return readNode(bytes, draft.nodes);
  if (type === optionTypes.dataCenterId) return sizeFault(type, length, 4);
  if (type === optionTypes.nodeState) return readState(bytes) ?? undefined;
  const codec = codecByType.get(type);
  if (codec === undefined) return undefined;
  const fault = codec.size === undefined ? undefined : sizeFault(type, length, codec.size);
  if (fault !== undefined) return fault;
  const value = new Reader(bytes);
  return codec.read(value, draft) && !value.failed
    ? undefined
    : `option ${type} has a value that it cannot have`;
}

function sizeFault(type: number, length: number, size: number): string | undefined {
  return length === size ? undefined : `option ${type} has ${length} bytes instead of ${size}`;
}

function readState(bytes: Uint8Array): string | undefined {
  const fault = sizeFault(optionTypes.nodeState, bytes.length, nodeStateCodec.size);
  if (fault !== undefined) return fault;
  const isState = nodeStateCodec.read(new Reader(bytes)) !== undefined;
  return isState ? undefined : `option ${optionTypes.nodeState} has a value that it cannot have`;
}

function readNode(bytes: Uint8Array, nodes: NodeInfo[]): string | undefined {
  if (nodes.length >= nodesMax) return `more than ${nodesMax} nodes`;
  const reader = new Reader(bytes);
  const info: Mutable<NodeInfo> = { nodeId: 0 };
  while (reader.remaining > 0) {
    const type = reader.u16be();
    const length = reader.u16be();
    const value = new Reader(reader.take(length));
    if (reader.failed) return `option ${type} runs over the end of the node information`;
    if (type === optionCodecs.nodeId.type || type === optionTypes.dataCenterId) {
      const fault = sizeFault(type, length, 4);
      if (fault !== undefined) return fault;
      if (type === optionTypes.dataCenterId) info.dataCenterId = value.u32be();
      else info.nodeId = value.u32be();
    } else if (type === optionTypes.nodeState) {
      const fault = readState(value.bytes);
      if (fault !== undefined) return fault;
      const state = nodeStateCodec.read(value);
      if (state !== undefined) info.state = state;
    }
  }
  if (info.nodeId === 0) return "node information without a node id";
  nodes.push(info);
  return undefined;
}

/** Which of two nodes is behind the other, for people. */
export function ringsText(
  a: { readonly nodeId: number; readonly ring: RingId },
  b: { readonly nodeId: number; readonly ring: RingId },
): string {
  const [older, newer] = a.ring.seq < b.ring.seq ? [a, b] : [b, a];
  return (
    `node ${older.nodeId} still reports ring ${ringText(older.ring)}, ` +
    `while node ${newer.nodeId} is on ring ${ringText(newer.ring)}`
  );
}
