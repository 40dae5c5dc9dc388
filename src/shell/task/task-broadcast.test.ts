import { expect, test } from "bun:test";
import fc from "fast-check";
import { readBroadcast, writeBroadcast } from "./task-broadcast.ts";
import type { TaskEntry } from "./task-list.ts";
import { formatUpid } from "./upid.ts";

function entry(startTime: number, status?: string): TaskEntry {
  const parts = {
    node: "pve1",
    pid: 7,
    pstart: 9,
    startTime,
    type: "clusterjoin",
    id: "",
    user: "root@pam",
  };
  const upid = formatUpid(parts) ?? "";
  return { upid, parts, ...(status === undefined ? {} : { endTime: startTime + 5, status }) };
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("newest first, in the original's form with a NUL, and back", () => {
  const bytes = writeBroadcast([entry(1, "OK"), entry(2)]);
  expect(text(bytes)).toBe(
    '[{"upid":"UPID:pve1:00000007:00000009:00000002:clusterjoin::root@pam:","node":"pve1","pid":7,"pstart":9,"type":"clusterjoin","id":"","user":"root@pam","starttime":2},' +
      '{"upid":"UPID:pve1:00000007:00000009:00000001:clusterjoin::root@pam:","node":"pve1","pid":7,"pstart":9,"type":"clusterjoin","id":"","user":"root@pam","starttime":1,"endtime":6,"status":"OK","saved":"1"}]\0',
  );
  expect(readBroadcast(bytes).map(({ starttime, saved }) => [starttime, saved])).toEqual([
    [2, undefined],
    [1, "1"],
  ]);
});

test("numbers may come as text, as Perl sends them", () => {
  const [row] = readBroadcast(
    new TextEncoder().encode(
      '[{"upid":"UPID:pve2:0001A2B3:00C0FFEE:67E0A1B2:vzdump:100:a@pve:","endtime":"1742774719","status":"OK","saved":"1"}]\0',
    ),
  );
  expect(row).toMatchObject({ node: "pve2", type: "vzdump", endtime: 1742774719, status: "OK" });
});

test("too many are cut from the oldest on", () => {
  const many = Array.from({ length: 500 }, (_, at) => entry(at, "x".repeat(400)));
  const bytes = writeBroadcast(many);
  expect(bytes.length).toBeLessThan(32 * 1024);
  const rows = readBroadcast(bytes);
  expect(rows.length).toBeGreaterThan(30);
  expect(rows[0]?.starttime).toBe(499);
});

test("property: whatever a node tells is rows or nothing", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((json) => new TextEncoder().encode(json)),
      ),
      (bytes) => {
        for (const { upid } of readBroadcast(bytes)) expect(upid).toStartWith("UPID:");
      },
    ),
  );
});
