import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  kindOfStatus,
  oneLine,
  readActive,
  readIndex,
  selectTasks,
  statusOfLastLine,
  type TaskEntry,
  writeActive,
  writeIndexLine,
} from "./task-list.ts";
import { formatUpid } from "./upid.ts";

function entry(startTime: number, status?: string, more: object = {}): TaskEntry {
  const parts = {
    node: "pve1",
    pid: 7,
    pstart: 9,
    startTime,
    type: "clusterjoin",
    id: "",
    user: "root@pam",
    ...more,
  };
  const upid = formatUpid(parts) ?? "";
  return { upid, parts, ...(status === undefined ? {} : { endTime: startTime + 5, status }) };
}

test("lines as Proxmox writes them", () => {
  const upid = "UPID:pve1:0001A2B3:00C0FFEE:67E0A1B2:vzdump:100:root@pam:";
  const index = `${upid} 67E0A1C0 job errors: 2\n${upid} 67E0A1C1 OK\nnonsense\n${upid} 67E0A1C2\n`;
  expect(readIndex(index).map(({ endTime, status }) => [endTime, status])).toEqual([
    [0x67e0a1c0, "job errors: 2"],
    [0x67e0a1c1, "OK"],
    [0x67e0a1c2, "unexpected status"],
  ]);
  const active = `${upid} 0\n${upid} 1 67E0A1C1 OK\n`;
  expect(writeActive(readActive(active))).toBe(active);
  expect(readActive(active).map(({ endTime }) => endTime)).toEqual([undefined, 0x67e0a1c1]);
});

test("the last line decides", () => {
  const lines: readonly [string, string, string][] = [
    ["TASK OK", "OK", "ok"],
    ["TASK WARNINGS: 3", "WARNINGS: 3", "warning"],
    ["TASK ERROR: no quorum", "no quorum", "error"],
    ["TASK ERROR: ", "unexpected status", "unknown"],
    ["TASK OK?", "unexpected status", "unknown"],
    ["", "unexpected status", "unknown"],
  ];
  for (const [line, status, kind] of lines) {
    expect(statusOfLastLine(line)).toBe(status);
    expect(kindOfStatus(status)).toBe(kind as ReturnType<typeof kindOfStatus>);
  }
});

test("what a caller asks for, newest first, with the number of all", () => {
  const all = [
    entry(100, "OK"),
    entry(300, "no quorum", { user: "Eve@pve" }),
    entry(200, "WARNINGS: 1", { type: "clustercreate", id: "100" }),
    entry(400),
  ];
  const starts = (filter: object): number[] =>
    selectTasks(all, { start: 0, limit: 50, source: "all", ...filter }).entries.map(
      ({ parts }) => parts.startTime,
    );
  expect(starts({})).toEqual([400, 300, 200, 100]);
  expect(starts({ start: 1, limit: 2 })).toEqual([300, 200]);
  expect(selectTasks(all, { start: 3, limit: 1, source: "all" }).total).toBe(4);
  expect(starts({ user: "eve" })).toEqual([300]);
  expect(starts({ type: "clustercreate" })).toEqual([200]);
  expect(starts({ id: "100" })).toEqual([200]);
  expect(starts({ onlyErrors: true })).toEqual([400, 300, 200]);
  expect(starts({ since: 200, until: 300 })).toEqual([300, 200]);
  expect(starts({ kinds: ["ok", "warning"] })).toEqual([200, 100]);
});

test("property: any status comes back from the index as one line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 3000 }), (status) => {
      const line = writeIndexLine(entry(1, status));
      expect(line.split("\n")).toHaveLength(2);
      expect(readIndex(line)[0]?.status).toBe(oneLine(status).trim() || "unexpected status");
    }),
  );
});

test("property: no list throws", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 500 }), (text) => {
      readIndex(text);
      readActive(text);
      statusOfLastLine(text);
    }),
  );
});
