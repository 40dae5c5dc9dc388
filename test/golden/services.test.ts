// Every service message of the captures of real corosync 3.1.7 daemons decodes, means what the capture says, and encodes back
// to the same bytes. The only bytes that may differ are those the spec calls uninitialised, listed here one by one.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import {
  decodeGroupMessage,
  encodeGroupMessage,
  type GroupMessage,
} from "../../src/node/group/message.ts";
import { decodeCfgMessage, encodeCfgMessage, type CfgMessage } from "../../src/node/quorum/cfg.ts";
import {
  configVersionOf,
  decodeMapMessage,
  encodeMapMessage,
  type MapMessage,
} from "../../src/node/quorum/config-version-message.ts";
import {
  decodeVoteMessage,
  encodeVoteMessage,
  type VoteMessage,
} from "../../src/node/quorum/message.ts";
import {
  decodeSyncMessage,
  encodeSyncMessage,
  type SyncMessage,
} from "../../src/node/quorum/sync-message.ts";
import { decodePrefix, withPrefix } from "../../src/node/member/service.ts";
import type { Decoded } from "../../src/bytes.ts";

type Range = readonly [from: number, to: number];

/** The alignment gaps of the request header: zero in the other kinds, in every capture. */
const headerPad: readonly Range[] = [
  [4, 8],
  [12, 16],
];

/**
 * Bytes that a sender leaves as they were on its stack, or that mean something to the sender alone (services.md §1.5, §1.6).
 * Offsets from the start of the service message.
 */
const uninitialised: Readonly<Record<string, (bytes: Uint8Array) => readonly Range[]>> = {
  shutdown: () => headerPad,
  // The asker's connection, an address in its own memory.
  reload_config: () => [...headerPad, [20, 32]],
  crypto_reconfig: () => [...headerPad, [20, 24]],
  reconfigure: () => [...headerPad, [28, 32]],
  // Behind the NUL of the name, and the tail padding.
  qdevice_reg: (bytes) => [...headerPad, [20 + nameBytes(bytes, 20), 280]],
  qdevice_reconfigure: (bytes) => [
    ...headerPad,
    [16 + nameBytes(bytes, 16), 271],
    [271 + nameBytes(bytes, 271), 528],
  ],
  // The sender's connection.
  mcast: () => [[176, 184]],
  partial_mcast: () => [...headerPad, [156, 160], [164, 168], [172, 176], [180, 184], [188, 200]],
  // Node ids of an earlier round behind the valid ones.
  downlist: (bytes) => [[32 + 4 * new DataView(bytes.buffer).getUint32(24, true), 1568]],
};

function nameBytes(bytes: Uint8Array, at: number): number {
  return bytes.indexOf(0, at) - at + 1;
}

interface Line {
  readonly group: "a" | "sync";
  readonly kind: string;
  readonly hex: string;
  readonly truncated_from?: number;
  readonly decoded: Captured;
}

interface CapturedName {
  readonly length: number;
  readonly value: string;
}

/** The fields of the capture's own decoder that this test reads. */
interface Captured {
  readonly ring_id?: { readonly nodeid: number; readonly seq: number };
  readonly list?: readonly (number | { readonly pid: number; readonly group: CapturedName })[];
  readonly group_name?: CapturedName;
  readonly [field: string]: unknown;
}

const folder = import.meta.dir;
const files = readdirSync(folder).filter((name) => /^services-.*\.jsonl$/.test(name));

function linesOf(file: string): Line[] {
  return readFileSync(`${folder}/${file}`, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

/** The message's bytes. Long payloads were cut in the capture: the text "ABC…Z" repeats, so the rest is known. */
function bytesOf(line: Line): Uint8Array {
  const known = Uint8Array.from(Buffer.from(line.hex, "hex"));
  if (line.truncated_from === undefined) return known;
  const head = line.kind === "mcast" ? 184 : 200;
  const whole = new Uint8Array(line.truncated_from);
  whole.set(known);
  for (let at = known.length; at < whole.length; at += 1) whole[at] = 65 + ((at - head) % 26);
  return whole;
}

function valueOf<T>(result: Decoded<T>): T {
  if (!result.ok) throw new Error(result.reason);
  return result.value;
}

/** Decodes and encodes with the codec of the message's service. */
function bothWays(
  line: Line,
  bytes: Uint8Array,
): {
  meaning: GroupMessage | CfgMessage | VoteMessage | SyncMessage | MapMessage;
  again: Uint8Array;
} {
  if (line.group === "sync") {
    const meaning = valueOf(decodeSyncMessage(bytes));
    return { meaning, again: encodeSyncMessage(meaning) };
  }
  const service = bytes[2]! + bytes[3]! * 256;
  if (service === 0) {
    const meaning = valueOf(decodeMapMessage(bytes));
    return { meaning, again: encodeMapMessage(meaning) };
  }
  if (service === 1) {
    const meaning = valueOf(decodeCfgMessage(bytes));
    return { meaning, again: encodeCfgMessage(meaning) };
  }
  if (service === 2) {
    const meaning = valueOf(decodeGroupMessage(bytes));
    return { meaning, again: encodeGroupMessage(meaning) };
  }
  const meaning = valueOf(decodeVoteMessage(bytes));
  return { meaning, again: encodeVoteMessage(meaning) };
}

function masked(bytes: Uint8Array, ranges: readonly Range[]): string {
  const copy = bytes.slice();
  for (const [from, to] of ranges) copy.fill(0, from, to);
  return Buffer.from(copy).toString("hex");
}

/** What the capture's own decoder read, in our words. */
function meaningOf(line: Line): Record<string, unknown> {
  const { decoded: d } = line;
  const name = ({ value, length }: CapturedName): string => value.slice(0, length);
  const ring = d.ring_id && { rep: d.ring_id.nodeid, seq: d.ring_id.seq };
  switch (line.kind) {
    case "barrier":
      return { kind: "barrier", ring };
    case "service_build":
      return { kind: "serviceBuild", ring, services: d.list };
    case "cmap_mcast":
      return { reason: d["reason"] === 0 ? "sync" : "newConfigVersion" };
    case "procjoin":
      return { kind: "join", group: name(d.group_name!), pid: d["pid"] };
    case "procleave":
      return {
        kind: "leave",
        group: name(d.group_name!),
        pid: d["pid"],
        reason: d["reason"],
      };
    case "joinlist":
      return {
        kind: "joinlist",
        entries: d.list!.map((entry) =>
          typeof entry === "number" ? entry : { group: name(entry.group), pid: entry.pid },
        ),
      };
    case "downlist":
      return { kind: "downlist", oldMembers: d["old_members"], left: d["nodeids"] };
    case "mcast":
      return {
        kind: "mcast",
        group: name(d.group_name!),
        pid: d["pid"],
        nodeid: d["source_nodeid"],
      };
    case "partial_mcast":
      return {
        kind: "partial",
        group: name(d.group_name!),
        pid: d["pid"],
        nodeid: d["source_nodeid"],
        total: d["msglen"],
        type: ["first", "continued", "last"][Number(d["type"]) - 1],
      };
    case "nodeinfo":
      return {
        kind: "nodeInfo",
        nodeid: d["nodeid"],
        votes: d["votes"],
        expectedVotes: d["expected_votes"],
        flags: d["flags"],
      };
    case "reconfigure":
      return { kind: "reconfigure", nodeid: d["nodeid"], value: d["value"], param: d["param"] };
    case "qdevice_reg":
      return { kind: "deviceRegister", isRegistered: d["operation"] === 1, name: d["name"] };
    case "qdevice_reconfigure":
      return { kind: "deviceRename", oldName: d["oldname"], newName: d["newname"] };
    case "shutdown":
      return { kind: "shutdown" };
    case "reload_config":
      return { kind: "reload", nodeid: d["source_nodeid"] };
    case "crypto_reconfig":
      return { kind: "cryptoReconfig", phase: d["phase"] };
    default:
      throw new Error(`the capture has a kind this test does not know: ${line.kind}`);
  }
}

describe("captured service messages", () => {
  for (const file of files) {
    test(file, () => {
      const lines = linesOf(file);
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) {
        const bytes = bytesOf(line);
        const { meaning, again } = bothWays(line, bytes);
        const ranges = uninitialised[line.kind]?.(bytes) ?? [];
        if (masked(again, ranges) !== masked(bytes, ranges)) {
          expect({ kind: line.kind, hex: masked(again, ranges) }).toEqual({
            kind: line.kind,
            hex: masked(bytes, ranges),
          });
        }
        expect(meaning).toMatchObject(meaningOf(line));
        if (line.kind === "cmap_mcast") {
          expect(configVersionOf(meaning as MapMessage)).toBe(Number(line.decoded["value"] ?? 0));
        }
        const framed = valueOf(decodePrefix(withPrefix(line.group, bytes)));
        expect(framed.group).toBe(line.group);
        expect(Buffer.compare(framed.message, bytes)).toBe(0);
      }
    });
  }

  test("every kind of the catalogue that a 3.1.7 sends in these scenes is there", () => {
    const kinds = new Set(files.flatMap((file) => linesOf(file).map((line) => line.kind)));
    expect(kinds.size).toBe(16);
  });
});
