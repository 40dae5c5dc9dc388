// How each situation of the recordings comes about (services.md §4.12), in the order in which they were made. A story returns its world, with
// what the tools printed on the way.
import { ToolWorld } from "./tool-world.ts";

const votequorum = "provider: corosync_votequorum";

export const toolStories: Readonly<Record<string, () => Promise<ToolWorld>>> = {
  "three nodes: healthy, one killed, expected and node votes, a device without a vote": threeNodes,
  "three nodes: split, stops, overrides, a device that blocks, reloads": threeNodesAgain,
  "two nodes with two_node": twoNodes,
  "two nodes without, and what a reload makes of them": plainTwoNodes,
  wait_for_all: waitForAll,
  auto_tie_breaker: tieBreaker,
  last_man_standing: lastManStanding,
  "allow_downscale and expected_votes_tracking": downscale,
  "a quorum device": device,
  "two links": twoLinks,
  "no quorum provider, no daemon": nothing,
};

async function threeNodes(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 3 });
  await world.start(1, 2, 3);
  await world.look("3n-healthy");
  await world.act("3n-healthy.n1.quorumtool-f");
  world.edit({ version: 2 });
  await world.act("3n-healthy.n1.cfgtool-R");
  await world.pass(1);
  await world.kill(3);
  await world.look("3n-one-killed");
  await world.act("3n-one-killed.n1.quorumtool-e1");
  await world.act("3n-one-killed.n1.quorumtool-e2");
  await world.pass(1);
  await world.look("3n-one-killed-after-e2");
  await world.start(3);
  await world.look("3n-rejoined-after-e2");
  await world.act("3n-healthy.n1.quorumtool-e5");
  await world.pass(1);
  await world.look("3n-after-e5");
  await world.act("3n-healthy.n1.quorumtool-e9");
  await world.act("3n-healthy.n1.quorumtool-e3");
  await world.pass(1);
  await world.look("3n-after-e3");
  await world.act("3n-healthy.n1.quorumtool-v2-n2");
  await world.pass(1);
  await world.look("3n-after-v2-on-n2");
  await world.act("3n-healthy.n1.quorumtool-v1-n2");
  await world.pass(1);
  await world.look("3n-after-v1-on-n2");
  await world.act("3n-healthy.n1.quorumtool-v0-n2");
  await world.act("3n-healthy.n1.quorumtool-v9-n9");
  await world.pass(1);
  await world.look("3n-after-v0-on-n2");
  await world.act("3n-healthy.n1.cmapctl-s-ro");
  await world.act("3n-healthy.n1.cmapctl-cancel-wfa");
  const client = world.device(1);
  client.register();
  await world.pass(1);
  client.vote(true);
  await world.pass(1);
  await world.look("3n-qdevice-fake-cast");
  client.masterWins();
  client.vote(false);
  await world.pass(1);
  await world.look("3n-qdevice-fake-nocast-mw");
  client.vote(undefined);
  await world.pass(11);
  await world.look("3n-qdevice-fake-timeout");
  return world;
}

async function threeNodesAgain(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 3, isVerbose: true });
  await world.start(1, 2, 3);
  await world.act("3n-cfgtool-k9.n1.cfgtool-k");
  await world.act("3n-cfgtool-k3.n1.cfgtool-k");
  await world.look("3n-cfgtool-k3");
  await world.pass(15);
  await world.start(3);
  await world.cut([1, 2], [3]);
  await world.look("3n-partition-majority");
  await world.look("3n-partition-minority");
  await world.heal();
  await world.look("3n-partition-healed");
  await world.act("3n-clean-shutdown.n3.cfgtool-H");
  await world.pass(15);
  await world.look("3n-one-clean-shutdown");
  await world.kill(2);
  await world.look("3n-minority-1of3");
  await world.act("3n-minority-1of3.n1.quorumtool-e1");
  await world.pass(1);
  await world.look("3n-minority-1of3-after-e1");
  await world.start(2, 3);
  await world.look("3n-recovered-after-e1");
  const client = world.device(1);
  client.register();
  await world.pass(1);
  client.vote(true);
  await world.pass(3);
  client.vote(undefined);
  await world.kill(3);
  await world.look("3n-sync-blocked-by-qdevice");
  client.vote(true);
  await world.start(3);
  await world.look("3n-sync-unblocked");
  client.unregister();
  await world.pass(1);
  await world.look("3n-qdevice-unregistered");
  world.printed.push(...(await reloads()).printed);
  return world;
}

async function reloads(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 3 });
  await world.start(1, 2, 3);
  world.edit({ isUnreadable: true }, [2]);
  await world.act("3n-reload-parse-error.n2.cfgtool-R");
  world.edit({ isUnreadable: false });
  world.edit({ version: 2 }, [1]);
  await world.act("3n-configversion-changed-on-one.n1.cfgtool-R");
  await world.pass(1);
  await world.look("3n-configversion-changed-on-one");
  world.edit({ version: 2 });
  await world.act("3n-configversion-synced.n1.cfgtool-R");
  await world.pass(1);
  world.edit({ isEncrypted: true, version: 3 });
  await world.act("3n-reload-crypto-on.n1.cfgtool-R");
  await world.pass(5);
  await world.look("3n-reload-crypto-on");
  return world;
}

async function twoNodes(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 2, quorum: [votequorum, "two_node: 1"] });
  await world.start(1);
  await world.look("2n-two_node-wfa-waiting");
  await world.start(2);
  await world.look("2n-two_node-healthy");
  await world.kill(2);
  await world.look("2n-two_node-one-killed");
  await world.kill(1);
  await world.start(1);
  await world.look("2n-two_node-survivor-restarted-alone");
  await world.act("2n-two_node-survivor-restarted-alone.n1.cancel-wfa");
  await world.pass(1);
  await world.look("2n-two_node-wfa-cancelled");
  const other = new ToolWorld({
    nodes: 2,
    quorum: [votequorum, "two_node: 1", "wait_for_all: 0"],
  });
  await other.start(1);
  await other.look("2n-two_node-nowfa-alone");
  world.printed.push(...other.printed);
  return world;
}

async function plainTwoNodes(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 2 }, 3);
  await world.start(1, 2);
  await world.look("2n-plain-healthy");
  await world.kill(2);
  await world.look("2n-plain-one-killed");
  await world.start(2);
  world.edit({ quorum: [votequorum, "two_node: 1"], version: 2 });
  await world.act("2n-reload-two_node-on.n1.cfgtool-R");
  await world.pass(1);
  await world.look("2n-reload-two_node-on");
  world.edit({ nodes: 3, quorum: [votequorum], version: 3 });
  await world.act("2n-reload-to-3n.n1.cfgtool-R");
  await world.pass(1);
  await world.look("2n-reload-to-3n");
  await world.start(3);
  await world.look("3n-after-reload-join");
  return world;
}

async function waitForAll(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 3, quorum: [votequorum, "wait_for_all: 1"] });
  await world.start(1, 2);
  await world.look("3n-wfa-2of3-waiting");
  await world.start(3);
  await world.look("3n-wfa-all");
  await world.kill(3);
  await world.look("3n-wfa-one-killed");
  await world.start(3);
  await world.kill(2, 3);
  await world.look("3n-wfa-minority");
  await world.start(2);
  await world.look("3n-wfa-2of3-after-quorum-loss");
  return world;
}

async function tieBreaker(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 4, quorum: [votequorum, "auto_tie_breaker: 1"] });
  await world.start(1, 2, 3, 4);
  await world.look("4n-atb-healthy");
  await world.kill(3, 4);
  await world.look("4n-atb-lowhalf");
  // The other half is started as such, and was never quorate.
  await world.kill(1, 2);
  await world.start(3, 4);
  await world.look("4n-atb-highhalf");
  const list = new ToolWorld({
    nodes: 4,
    quorum: [votequorum, "auto_tie_breaker: 1", "auto_tie_breaker_node: 3 1"],
  });
  await list.start(1, 2, 3, 4);
  await list.kill(1, 2);
  await list.look("4n-atblist31-half34");
  await list.start(1, 2);
  await list.kill(3, 4);
  await list.look("4n-atblist31-half12");
  const odd = new ToolWorld({ nodes: 3, quorum: [votequorum, "auto_tie_breaker: 1"] });
  await odd.start(1, 2, 3);
  await odd.look("3n-atb-nowfa");
  const waiting = new ToolWorld({
    nodes: 3,
    quorum: [votequorum, "auto_tie_breaker: 1", "wait_for_all: 1"],
  });
  await waiting.start(1, 2, 3);
  await waiting.kill(2, 3);
  await waiting.look("3n-atb-wfa-node1-alone");
  for (const other of [list, odd, waiting]) world.printed.push(...other.printed);
  return world;
}

async function lastManStanding(): Promise<ToolWorld> {
  const world = new ToolWorld({
    nodes: 4,
    quorum: [votequorum, "wait_for_all: 1", "last_man_standing: 1"],
  });
  await world.start(1, 2, 3, 4);
  await world.look("4n-lms-healthy");
  await world.kill(4);
  await world.pass(5);
  await world.look("4n-lms-3left-before-or-after-window");
  await world.look("4n-lms-3left");
  await world.kill(3);
  await world.pass(5);
  await world.look("4n-lms-2left");
  await world.kill(2);
  await world.pass(5);
  await world.look("4n-lms-1left");
  return world;
}

async function downscale(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 4, quorum: [votequorum, "allow_downscale: 1"] });
  await world.start(1, 2, 3, 4);
  await world.look("4n-downscale-healthy");
  await world.leave(4);
  await world.look("4n-downscale-one-left-cleanly");
  await world.leave(3);
  await world.look("4n-downscale-two-left-cleanly");
  await world.leave(2);
  await world.look("4n-downscale-three-left-cleanly");
  const tracking = new ToolWorld({
    nodes: 3,
    quorum: [votequorum, "expected_votes_tracking: 1"],
  });
  await tracking.start(1, 2, 3);
  await tracking.look("3n-evtracking-healthy");
  await tracking.kill(1, 2, 3);
  tracking.edit({ nodes: 2 });
  await tracking.start(1, 2);
  await tracking.look("3n-evtracking-restarted-with-2-node-config");
  world.printed.push(...tracking.printed);
  return world;
}

async function device(): Promise<ToolWorld> {
  const net = ["net {", "host: 10.96.0.99", "algorithm: ffsplit", "}"];
  const world = new ToolWorld({
    nodes: 4,
    quorum: [votequorum, "device {", "model: net", "votes: 3", ...net, "}"],
  });
  await world.start(1, 2, 3, 4);
  await world.look("4n-qdevice-configured-absent");
  const client = world.device(1);
  client.register();
  await world.pass(1);
  await world.look("4n-qdevice-registered-noncast");
  client.vote(true);
  await world.pass(1);
  await world.look("4n-qdevice-alive-cast");
  client.masterWins();
  await world.pass(1);
  await world.look("4n-qdevice-masterwins");
  await world.kill(2, 3, 4);
  await world.look("4n-qdevice-masterwins-alone");
  client.vote(undefined);
  await world.pass(11);
  await world.look("4n-qdevice-masterwins-timeout");
  return world;
}

async function twoLinks(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 3, links: 2 });
  await world.start(1, 2, 3);
  await world.look("3n-2links-healthy");
  await world.cutLink(3, 1);
  await world.look("3n-2links-link1-down-on-n3");
  return world;
}

async function nothing(): Promise<ToolWorld> {
  const world = new ToolWorld({ nodes: 3, quorum: [] });
  await world.start(1, 2, 3);
  await world.look("3n-no-quorum-provider");
  await world.act("3n-no-quorum-provider.n1.quorumtool-e3");
  await world.look("daemon-down");
  await world.act("daemon-down.cfgtool-R");
  return world;
}
