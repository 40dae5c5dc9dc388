import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FrameReader } from "./frames.ts";
import { encodeMessage, type Message } from "./message.ts";

const echo = (seq: number): Message => ({ kind: "echoRequest", seq });

/** All frames as words, the stream cut at the given places. */
function read(reader: FrameReader, chunks: readonly Uint8Array[]): string[] {
  const frames: string[] = [];
  for (const chunk of chunks) {
    reader.push(chunk.slice());
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.kind === "message") frames.push(frame.bytes.toHex());
      else frames.push(`${frame.kind} ${frame.kind === "tooLong" ? frame.bytes : frame.type}`);
    }
  }
  return frames;
}

describe("a stream", () => {
  const unknown = Uint8Array.fromHex("0012000000020102");
  const long = new Uint8Array(41);
  long.set(Uint8Array.fromHex("000800000023"));
  const pieces = [encodeMessage(echo(1)), unknown, long, encodeMessage(echo(2))];
  const stream = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
  const expected = [
    encodeMessage(echo(1)).toHex(),
    "unknownType 18",
    "tooLong 41",
    encodeMessage(echo(2)).toHex(),
  ];

  test("in one piece, and byte by byte", () => {
    expect(read(new FrameReader({ bytesMax: 40 }), [stream])).toEqual(expected);
    const bytes = [...stream].map((byte) => Uint8Array.of(byte));
    expect(read(new FrameReader({ bytesMax: 40 }), bytes)).toEqual(expected);
  });

  test("cut anywhere", () => {
    const cuts = fc.array(fc.nat(stream.length), { maxLength: 12 });
    const same = fc.property(cuts, (places) => {
      const at = [0, ...places.toSorted((a, b) => a - b), stream.length];
      const chunks = at.slice(1).map((end, i) => stream.subarray(at[i], end));
      expect(read(new FrameReader({ bytesMax: 40 }), chunks)).toEqual(expected);
    });
    fc.assert(same, { numRuns: 500 });
  });
});

test("memory grows with what has come, never with what a header announces", () => {
  const reader = new FrameReader({ bytesMax: 32768 });
  expect(read(reader, [Uint8Array.fromHex("000800007ffa00")])).toEqual([]);
  expect(reader.bufferedBytes).toBeLessThan(16);
  // 4 GiB are announced and thrown away as they come.
  const endless = new FrameReader({ bytesMax: 32768 });
  const chunk = new Uint8Array(65536);
  expect(read(endless, [Uint8Array.fromHex("0008ffffffff"), chunk, chunk, chunk])).toEqual([]);
  expect(endless.bufferedBytes).toBe(0);
});

test("what follows a frame can be taken away: it belongs to TLS", () => {
  const reader = new FrameReader({ bytesMax: 100 });
  const startTls = encodeMessage({ kind: "startTls", seq: 1 });
  reader.push(Uint8Array.of(...startTls, 0x16, 3, 1));
  expect(reader.next()?.kind).toBe("message");
  expect([...reader.rest()]).toEqual([0x16, 3, 1]);
  expect(reader.next()).toBeUndefined();
});
