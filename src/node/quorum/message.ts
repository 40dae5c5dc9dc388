// votequorum on the wire (services.md §1.6): a node's votes, changes by the operator, the name of the quorum device. Pure.
// Tail padding is sent as zero and never read.
import { byteString, bytesOf, decoded, malformed, Reader, type Decoded } from "../../bytes.ts";
import { openMessage, readHeader, serviceIds } from "../member/service.ts";

/** Flag bits of a nodeinfo. */
export const voterFlags = {
  quorate: 1,
  leaving: 2,
  waitForAll: 4,
  first: 8,
  deviceRegistered: 16,
  deviceAlive: 32,
  deviceCastVote: 64,
  deviceMasterWins: 128,
} as const;

/** Bytes of a device name, its NUL included. */
export const deviceNameBytesMax = 255;
const nodeInfoBytes = 32;
const reconfigureBytes = 32;
const registerBytes = 280;
const renameBytes = 528;

const functions = { nodeInfo: 0, reconfigure: 1, deviceRegister: 2, deviceRename: 3 } as const;

/** What a `reconfigure` changes: 1 expected votes, 2 votes of a node, 3 cancels wait_for_all. */
export const reconfigureParams = { expectedVotes: 1, votes: 2, cancelWaitForAll: 3 } as const;

export interface NodeInfo {
  readonly kind: "nodeInfo";
  /** 0: the record of the quorum device. */
  readonly nodeid: number;
  readonly votes: number;
  readonly expectedVotes: number;
  readonly flags: number;
}

export type VoteMessage =
  | NodeInfo
  | {
      readonly kind: "reconfigure";
      readonly nodeid: number;
      readonly value: number;
      readonly param: number;
    }
  | {
      readonly kind: "deviceRegister";
      readonly isRegistered: boolean;
      /** A byte string without NUL. */
      readonly name: string;
    }
  | { readonly kind: "deviceRename"; readonly oldName: string; readonly newName: string };

export function encodeVoteMessage(message: VoteMessage): Uint8Array {
  const open = (fn: number, size: number) => openMessage(serviceIds.votequorum, fn, size);
  switch (message.kind) {
    case "nodeInfo":
      return open(functions.nodeInfo, nodeInfoBytes)
        .u32(message.nodeid)
        .u32(message.votes)
        .u32(message.expectedVotes)
        .u32(message.flags)
        .finish();
    case "reconfigure":
      return open(functions.reconfigure, reconfigureBytes)
        .u32(message.nodeid)
        .u32(message.value)
        .u8(message.param)
        .zeros(7)
        .finish();
    case "deviceRegister":
      return open(functions.deviceRegister, registerBytes)
        .u32(message.isRegistered ? 1 : 0)
        .put(nameField(message.name))
        .zeros(5)
        .finish();
    case "deviceRename":
      return open(functions.deviceRename, renameBytes)
        .put(nameField(message.oldName))
        .put(nameField(message.newName))
        .zeros(2)
        .finish();
  }
  message satisfies never;
}

function nameField(name: string): Uint8Array {
  const field = new Uint8Array(deviceNameBytesMax);
  field.set(bytesOf(name.slice(0, deviceNameBytesMax - 1)));
  return field;
}

/** A function that we do not know is malformed, as corosync discards it (services.md §9). */
export function decodeVoteMessage(bytes: Uint8Array): Decoded<VoteMessage> {
  const reader = new Reader(bytes);
  const header = readHeader(reader);
  if (!header.ok) return header;
  switch (header.value.fn) {
    case functions.nodeInfo: {
      if (bytes.length !== nodeInfoBytes) return malformed("nodeinfo: length");
      const nodeid = reader.u32();
      const votes = reader.u32();
      const expectedVotes = reader.u32();
      return decoded({ kind: "nodeInfo", nodeid, votes, expectedVotes, flags: reader.u32() });
    }
    case functions.reconfigure: {
      if (bytes.length !== reconfigureBytes) return malformed("reconfigure: length");
      const nodeid = reader.u32();
      const value = reader.u32();
      return decoded({ kind: "reconfigure", nodeid, value, param: reader.u8() });
    }
    case functions.deviceRegister: {
      if (bytes.length !== registerBytes) return malformed("qdevice register: length");
      const operation = reader.u32();
      if (operation > 1) return malformed("qdevice register: operation");
      return decoded({
        kind: "deviceRegister",
        isRegistered: operation === 1,
        name: readName(reader),
      });
    }
    case functions.deviceRename: {
      if (bytes.length !== renameBytes) return malformed("qdevice rename: length");
      const oldName = readName(reader);
      return decoded({ kind: "deviceRename", oldName, newName: readName(reader) });
    }
    default:
      return malformed(`votequorum: unknown message ${header.value.fn}`);
  }
}

function readName(reader: Reader): string {
  const field = reader.take(deviceNameBytesMax);
  const end = field.indexOf(0);
  return byteString(end < 0 ? field.subarray(0, deviceNameBytesMax - 1) : field.subarray(0, end));
}
