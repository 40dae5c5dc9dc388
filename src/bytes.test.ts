import { expect, test } from "bun:test";
import { ownBytes } from "./bytes.ts";

test("what is kept keeps no more than twice its bytes alive", () => {
  const packet = new Uint8Array(1000).map((_, at) => at);
  for (const from of [0, 499, 500])
    expect(ownBytes(packet.subarray(from)).buffer).toBe(packet.buffer);
  for (const bytes of [packet.subarray(501), Buffer.from(packet.buffer, 10, 20)]) {
    const own = ownBytes(bytes);
    expect([...own]).toEqual([...bytes]);
    expect(own.buffer.byteLength).toBe(bytes.length);
  }
  expect(ownBytes(packet.subarray(3, 3)).buffer.byteLength).toBe(0);
});
