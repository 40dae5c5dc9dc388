// Server-sent events, however the bytes are cut.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { SseReader } from "./sse-reader.ts";

const text =
  ': a comment\nretry: 5\n\nid: r-1\nevent: link\ndata: {"a":1}\n\ndata: b\r\ndata:c ä\r\n\r\nevent: x\n\ndata\n\n';
const expected = [
  { event: "link", data: '{"a":1}', id: "r-1" },
  { event: "message", data: "b\nc ä", id: "r-1" },
  { event: "message", data: "", id: "r-1" },
];

test("property: the same events wherever the pieces end", () => {
  const bytes = new TextEncoder().encode(text);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 20 }), (cuts) => {
      const reader = new SseReader();
      const ends = [...cuts, bytes.length].toSorted((a, b) => a - b);
      let from = 0;
      const messages = ends.flatMap((end) => {
        const piece = bytes.subarray(from, end);
        from = end;
        return [...reader.take(piece)];
      });
      expect(messages).toEqual(expected);
    }),
  );
});

test("property: whatever comes, nothing is thrown and no endless line is kept", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (pieces) => {
      const reader = new SseReader();
      for (const piece of pieces) reader.take(piece);
    }),
  );
  const reader = new SseReader();
  for (let count = 0; count < 40; count += 1) reader.take(new Uint8Array(65_536).fill(0x61));
  expect(reader.take(new TextEncoder().encode("\ndata: 1\n\n"))).toMatchObject([{ data: "1" }]);
});
