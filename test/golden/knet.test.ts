// All captured packets of two real daemons: open, decode, encode and seal again to the same bytes. Spec: knet.md §1, §3, §10.
import { describe, expect, test } from "bun:test";
import { encodePacket, decodePacket, pongOf, probeReplyOf } from "../../src/node/link/packet.ts";
import { inflate } from "../../src/node/compression/inflate.ts";
import { firstIv, Seal } from "../../src/node/thread/seal.ts";
import type { CipherName, HashName } from "../../src/node/settings/settings.ts";
import golden from "./knet-vectors.json";

const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");
const bytes = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const kinds: Readonly<Record<string, string>> = {
  DATA: "data",
  PING: "ping",
  PONG: "pong",
  PMTUD: "pmtud",
  PMTUD_REPLY: "pmtudReply",
};

interface Fields {
  readonly type: string;
  readonly node: number;
  readonly seq?: number;
  readonly link?: number;
  readonly timed?: number;
  readonly sec?: string;
  readonly nsec?: string;
  readonly sizeLE?: number;
  readonly rest?: number;
  readonly compress?: number;
  readonly bcast?: number;
  readonly fnum?: number;
  readonly fseq?: number;
  readonly ch?: number;
  readonly ulen?: number;
}

const keys: Readonly<Record<string, { readonly hex: string }>> = golden.keys;
const vectors = golden.vectors.map((vector) => ({
  name: vector.name,
  wire: bytes(vector.wire),
  plain: "plaintext" in vector && vector.plaintext ? bytes(vector.plaintext) : bytes(vector.wire),
  cipher: vector.crypto.cipher as CipherName,
  hash: vector.crypto.hash as HashName,
  key: vector.crypto.key === null ? new Uint8Array(0) : bytes(keys[vector.crypto.key]!.hex),
  fields: vector.fields as Fields,
  inflated: "decompressedUserData" in vector ? vector.decompressedUserData : undefined,
}));

const sealed = vectors.filter(({ hash }) => hash !== "none");

test("nothing is missing", () => {
  expect(vectors.length).toBe(29);
  expect(sealed.length).toBe(12);
});

describe.each(vectors)("$name", ({ wire, plain, cipher, hash, key, fields, inflated }) => {
  const seal = new Seal({ cipher, hash, key });

  test("opens to the recorded clear packet", () => {
    expect(hex(seal.open(wire))).toBe(hex(plain));
  });

  test("decodes to the recorded fields and encodes to the same bytes", () => {
    const packet = decodePacket(plain);
    if (!packet.ok) throw new Error(packet.reason);
    const { value } = packet;
    expect<string>(value.kind).toBe(kinds[fields.type]!);
    expect(value.nodeid).toBe(fields.node);
    if (value.kind === "data") {
      const { seq, method, multicast, fragments, fragment, channel, data } = value;
      expect([seq, method, multicast ? 1 : 0, fragments, fragment, channel, data.length]).toEqual([
        fields.seq!,
        fields.compress!,
        fields.bcast!,
        fields.fnum!,
        fields.fseq!,
        fields.ch!,
        fields.ulen!,
      ]);
    } else if ("time" in value) {
      const time = new DataView(value.time.slice().buffer);
      expect([value.link, value.seq, value.timed ? 1 : 0]).toEqual([
        fields.link!,
        fields.seq!,
        fields.timed!,
      ]);
      expect([time.getBigUint64(0, true), time.getBigUint64(8, true)].map(String)).toEqual([
        fields.sec!,
        fields.nsec!,
      ]);
    } else {
      expect([value.link, value.size, value.fill]).toEqual([
        fields.link!,
        fields.sizeLE!,
        fields.rest!,
      ]);
    }
    expect(hex(encodePacket(value))).toBe(hex(plain));
    if (inflated === undefined || value.kind !== "data") return;
    const opened = inflate(value.method, value.data);
    expect(typeof opened === "string" ? opened : hex(opened).slice(0, inflated.length)).toBe(
      inflated,
    );
  });
});

test.each(sealed)("$name: sealed again with the recorded IV, it is the same datagram", (vector) => {
  const { wire, plain, cipher, hash, key } = vector;
  const settings = { cipher, hash, key };
  const seal = new Seal(settings, firstIv(settings, wire.subarray(0, 16)));
  expect(hex(seal.seal(plain))).toBe(hex(wire));
});

test("answers: each recorded ping and probe with its recorded pong and reply", () => {
  const pairs = [
    ["clear-ping-link0", "clear-pong-link0"],
    ["clear-ping-untimed", "clear-pong-untimed"],
    ["clear-pmtud", "clear-pmtud-reply"],
    ["aes256-sha256-ping", "aes256-sha256-pong"],
    ["aes256-sha256-pmtud", "aes256-sha256-pmtud-reply"],
  ] as const;
  const plainOf = (name: string) => vectors.find((vector) => vector.name === name)!.plain;
  for (const [asked, answered] of pairs) {
    const answer = plainOf(answered);
    const node = (answer[2]! << 8) | answer[3]!;
    const reply = asked.includes("ping") ? pongOf : probeReplyOf;
    expect(hex(reply(plainOf(asked), node))).toBe(hex(answer));
  }
});
