// What `quorate links`, `quorum` and `ring` say of simulated nodes.
import { expect, test } from "bun:test";
import * as v from "valibot";
import { ringAnswer } from "../../src/shell/answers/status.ts";
import { linksCommand, quorumCommand, ringCommand } from "../../src/shell/command/ring.ts";
import { ToolWorld } from "../golden/tool-world.ts";

const shown = { watch: false, isTerminal: false };

async function see(
  world: ToolWorld,
  nodeid: number,
  command: typeof linksCommand,
): Promise<{ readonly code: number; readonly text: string; readonly facts: unknown }> {
  let text = "";
  const node = world.client(nodeid);
  const write = (more: string): void => void (text += more);
  const code = await world.finished(command({ ...shown, json: false, node, write }));
  let json = "";
  const writeJson = (more: string): void => void (json += more);
  await world.finished(command({ ...shown, json: true, node, write: writeJson }));
  return { code, text, facts: JSON.parse(json) };
}

test("links: well, cut, flapping", async () => {
  const world = new ToolWorld({ nodes: 3, links: 2 });
  await world.start(1, 2, 3);
  await world.pass(30);
  const well = await see(world, 1, linksCommand);
  expect(well.code).toBe(0);
  expect(well.text).toMatch(
    /^NODE {2}LINK {2}STATE {6}LATENCY +LOSS +MTU {2}LAST CHANGE {2}ADDRESSES\nn2 {7}0 {2}connected {2}0\.\d\d ms \(0\.\d\d to 0\.\d\d\) +0% {2}65000 {2}up \d+ s ago +10\.96\.0\.1 -> 10\.96\.0\.2\n/,
  );
  expect(well.facts).toMatchObject({
    nodeid: 1,
    links: [
      { name: "n2", link: 0, connected: true, path: { state: "measured", mtu: 65_000 } },
      { name: "n2", link: 1, recent: { lost: 0 }, changes: [{ isUp: true }], faults: [] },
      { name: "n3", link: 0 },
      { name: "n3", link: 1 },
    ],
  });
  await world.cutLink(3, 1);
  const cut = await see(world, 1, linksCommand);
  expect(cut.code).toBe(1);
  expect(cut.text).toMatch(/\nn3 {7}1 {2}down {7}.*down \d+ s ago/);
  expect(cut.text).toMatch(
    /\nlink 1 to n3 \(node 3\) at 10\.96\.1\.3 is down since \d+ s: no answer/,
  );
  for (let times = 0; times < 2; times += 1) {
    await world.heal();
    await world.cutLink(3, 1);
  }
  await world.heal();
  const flapping = await see(world, 1, linksCommand);
  expect(flapping.code).toBe(1);
  expect(flapping.text).toContain(
    "link 1 to n3 (node 3) at 10.96.1.3 is flapping: it went down 3 times in the last ten minutes",
  );
  expect(flapping.text).not.toContain("is down");
}, 60_000);

test("quorum: who votes, who was not seen, the device, an overridden number", async () => {
  const world = new ToolWorld({ nodes: 3 });
  await world.start(1, 2);
  const two = await see(world, 1, quorumCommand);
  expect(two.code).toBe(0);
  expect(two.text).toMatch(
    /^quorate: 2 of 3 votes present, 2 needed; no further vote may be lost.*\nflags: Quorate; ring 1\.[0-9a-f]+\n\nNODEID {2}NAME {2}VOTES {2}EXPECTED {2}STATE\n {5}1 {2}n1 {8}1 {9}3 {2}member\n/,
  );
  expect(two.text).toEndWith("\n\nnot seen since this node began: n3\n");
  expect(two.facts).toMatchObject({ nodeid: 1, quorate: true, voters: [{ name: "n1" }, {}] });
  const client = world.device(1);
  client.register();
  await world.pass(1);
  client.vote(true);
  await world.pass(1);
  const device = await see(world, 1, quorumCommand);
  expect(device.text).toContain("\nquorum device SvDev: 0 votes where it gives them\n");
  expect(device.text).toMatch(/n1 {8}1 {9}3 {2}member {2}gives its votes\n.*member {2}none\n/);
  client.unregister();
  await world.kill(2);
  const one = await see(world, 1, quorumCommand);
  expect(one.code).toBe(1);
  expect(one.text).toStartWith("not quorate: 1 of 3 votes present, 2 needed");
  expect(one.text).toMatch(/\n {5}2 {2}n2 {8}1 {9}3 {2}absent\n/);
  // Taken out of corosync.conf: votequorum still knows its votes.
  world.edit({ nodes: 1, version: 2 }, [1]);
  await world.finished(world.client(1).reload());
  await world.pass(1);
  const gone = await see(world, 1, quorumCommand);
  expect(gone.text).toMatch(/\n {5}2 {2}node 2 {2}.* {2}not configured\n/);
}, 60_000);

test("ring: members, token and versions that differ; a node in no ring yet", async () => {
  const world = new ToolWorld({ nodes: 2 });
  await world.start(1, 2);
  await world.pass(10);
  const well = await see(world, 2, ringCommand);
  expect(well.code).toBe(0);
  expect(well.text).toMatch(
    /^ring 1\.[0-9a-f]+ over knet: operational\nmembers: n1, n2\ntoken: rotation .*; received \d+, lost 0\nmessages: sent \d+, .*\nmemberships: \d+ since .*\nconfiguration: version 1 on all members\n$/,
  );
  expect(well.facts).toMatchObject({ nodeid: 2, state: "operational", members: [1, 2] });
  world.edit({ version: 2 }, [1]);
  const node = world.client(1);
  await world.finished(node.reload());
  await world.pass(1);
  const differing = await see(world, 2, ringCommand);
  expect(differing.text).toContain("configuration: DIFFERENT versions: n1 2, n2 1;");
}, 60_000);

test("what a node tells of its ring has a place in the schema, all of it", async () => {
  const world = new ToolWorld({ nodes: 3, links: 2 });
  await world.start(1, 2, 3);
  await world.pass(30);
  const told = await world.finished(world.client(1).ring());
  expect(told.links).toHaveLength(4);
  // What the schema does not name is not in what it has read.
  const read: unknown = v.parse(ringAnswer, told);
  expect(read).toEqual(told);
}, 60_000);

test("a node that is down is said to be", async () => {
  const world = new ToolWorld({ nodes: 2 });
  expect(see(world, 1, linksCommand)).rejects.toThrow("no node answers");
});
