import { expect, test } from "bun:test";
import { KeyWatch, type FailureFacts } from "./key-watch.ts";

const peers = new Map([
  ["10.0.0.2", { nodeid: 2, name: "n2" }],
  ["10.1.0.2", { nodeid: 2, name: "n2" }],
  ["10.0.0.3", { nodeid: 3, name: "n3" }],
]);
const absent: FailureFacts = { why: () => "it has another authkey", isReachable: () => false };
const heard: FailureFacts = { why: () => "never asked", isReachable: (nodeid) => nodeid === 2 };

/** The lines of one packet a second from `address`. */
function lines(watch: KeyWatch, address: string, seconds: number, from = 0, facts = absent) {
  const said: string[] = [];
  for (let at = 0; at < seconds; at += 1) {
    const line = watch.failed(address, (from + at) * 1000, facts);
    if (line !== undefined) said.push(line);
  }
  return said;
}

test("five packets over five seconds: node, address, reason and what to do; then one line in ten minutes, over both links", () => {
  const watch = new KeyWatch(peers);
  expect(lines(watch, "10.0.0.2", 5)).toEqual([]);
  expect(watch.faults(5000)).toEqual([]);
  const [line, ...more] = lines(watch, "10.1.0.2", 595, 5);
  expect(line).toContain(
    "n2 (10.1.0.2): none of its packets can be opened: it has another authkey",
  );
  expect(more).toEqual([]);
  expect(watch.faults(600_000)).toEqual([{ nodeid: 2, reason: line! }]);
  expect(lines(watch, "10.0.0.2", 100, 600)).toHaveLength(1);
});

test("it is over after a minute of silence", () => {
  const watch = new KeyWatch(peers);
  expect(lines(watch, "10.0.0.2", 6)).toHaveLength(1);
  expect(watch.faults(65_000)).toHaveLength(1);
  expect(watch.faults(65_001)).toEqual([]);
  expect(lines(watch, "10.0.0.2", 4, 66)).toEqual([]);
});

test("it is over as soon as the peer is heard, and told anew when it fails again", () => {
  const watch = new KeyWatch(peers);
  expect(lines(watch, "10.0.0.2", 8)).toHaveLength(1);
  watch.heard(() => [3]);
  expect(watch.faults(8000)).toHaveLength(1);
  watch.heard(() => [2, 3]);
  expect(watch.faults(8000)).toEqual([]);
  expect(lines(watch, "10.0.0.2", 5, 8)).toEqual([]);
  expect(lines(watch, "10.0.0.2", 5, 13)).toHaveLength(1);
});

test("junk beside good packets is somebody else's; strangers are nobody", () => {
  const watch = new KeyWatch(peers);
  expect(lines(watch, "10.0.0.2", 6, 0, heard)[0]).toContain("somebody else sends");
  watch.heard(() => [2, 3]);
  expect(lines(watch, "10.9.9.9", 100)).toEqual([]);
  expect(watch.faults(6000).map(({ nodeid }) => nodeid)).toEqual([2]);
});

test("a peer that is heard no more while it fails is told of anew, with its reason", () => {
  const watch = new KeyWatch(peers);
  expect(lines(watch, "10.0.0.2", 8, 0, heard)).toHaveLength(1);
  const [line, ...more] = lines(watch, "10.0.0.2", 60, 8);
  expect(line).toContain("it has another authkey");
  expect(more).toEqual([]);
  expect(watch.faults(60_000)).toEqual([{ nodeid: 2, reason: line! }]);
});

test("a node that is taken off the list is forgotten", () => {
  const watch = new KeyWatch(peers);
  lines(watch, "10.0.0.3", 6);
  watch.reconfigured(new Map([["10.0.0.2", { nodeid: 2, name: "n2" }]]));
  expect(watch.faults(6000)).toEqual([]);
});
