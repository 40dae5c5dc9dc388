// The time line: one order of what three sources say, and what a filter leaves of it.
import { expect, test } from "bun:test";
import { exported, filtered, type Sources, timeline } from "./timeline.ts";

const line = {
  uid: 1,
  node: "pve2",
  time: 100,
  priority: 6,
  tag: "cluster",
  pid: 1,
  user: "root@pam",
};
const task = {
  ...{ upid: "UPID:pve1:1", node: "pve1", pid: 1, pstart: 1, starttime: 101, type: "clusterjoin" },
  ...{ id: "", user: "root@pam" },
};
const sources: Sources = {
  log: [
    { ...line, message: "first" },
    { ...line, uid: 2, time: 105, priority: 3, message: "disk\tis full" },
  ],
  tasks: [
    { ...task, status: "RUNNING" },
    { ...task, upid: "UPID:pve1:2", endtime: 103, status: "no quorum" },
  ],
  events: [
    {
      ...{ id: "7", at: 104_500, kind: "link", text: "link 0 to pve2 is down" },
      facts: { nodeid: 2, link: 0, isUp: false, reason: "no answer" },
    },
  ],
  node: "pve1",
};
const all = { node: "", kind: "", onlyTrouble: false, text: "" } as const;

test("newest first, each with what it means", () => {
  expect(timeline(sources).map(({ text, mood }) => [text, mood])).toEqual([
    ["disk\tis full", "bad"],
    ["link 0 to pve2 is down", "warn"],
    ["clusterjoin: no quorum", "bad"],
    ["clusterjoin: runs", "calm"],
    ["first", "calm"],
  ]);
});

test("filters, each alone and together", () => {
  const texts = (filter: object) =>
    filtered(timeline(sources), { ...all, ...filter }).map(({ text }) => text);
  expect(texts({ node: "pve2" })).toEqual(["disk\tis full", "first"]);
  expect(texts({ kind: "event" })).toEqual(["link 0 to pve2 is down"]);
  expect(texts({ onlyTrouble: true })).toHaveLength(3);
  expect(texts({ text: " FULL " })).toEqual(["disk\tis full"]);
  expect(texts({ text: "root@pam", kind: "task", onlyTrouble: true })).toEqual([
    "clusterjoin: no quorum",
  ]);
  expect(texts({ text: "nothing" })).toEqual([]);
});

test("a file of it has one line each, whatever is in it", () => {
  const text = exported(timeline(sources));
  expect(text.split("\n")).toHaveLength(6);
  expect(text).toStartWith("1970-01-01T00:01:45.000Z\tpve2\tlog\troot@pam cluster\tdisk is full\n");
});
