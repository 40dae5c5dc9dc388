// corosync.conf changed on a running cluster of three real nodes: by a write into the tree, and by the operator. No node is
// restarted, the ring stays (services.md §5.4, pmxcfs.md §2.8).
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { present } from "../../src/assert.ts";
import { reloadCommand } from "../../src/shell/command/reload.ts";
import { exitConfiguration } from "../../src/shell/exit.ts";
import { statusText } from "../../src/shell/command/status.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const trio = [1, 2, 3];
const cluster = new ReloadCluster();
let port = 0;
let ring = "";

beforeAll(async () => {
  port = await cluster.startServer();
  for (const nodeid of trio) cluster.start(nodeid, cluster.conf({ version: 1, nodes: trio }));
  const [first] = await cluster.all(
    trio,
    ({ quorum, tree }) => quorum.members.length === 3 && tree.writable,
  );
  ring = first?.ring.id ?? "";
}, 90_000);

afterAll(() => cluster.close());

test("a quorum device written into the tree runs on all nodes", async () => {
  const quorum = cluster.device(port, "lms");
  await cluster.write(2, cluster.conf({ version: 2, nodes: trio, quorum }));
  const states = await cluster.all(
    trio,
    ({ device, quorum: view }) =>
      device?.state === "Connected" && device.vote === "ack" && view.totalVotes === 5,
  );
  for (const { quorum: view, cluster: settings, ring: now } of states) {
    expect(view).toMatchObject({ quorate: true, expectedVotes: 5, quorum: 3, deviceVotes: 2 });
    expect(view.flags).toContain("Qdevice");
    expect(settings).toMatchObject({
      configVersion: 2,
      reload: { ok: true, changes: ["quorum device added"], needsRestart: [] },
    });
    expect(now.id).toBe(ring);
  }
}, 90_000);

test("and taken out of it, stops on all nodes", async () => {
  await cluster.write(3, cluster.conf({ version: 3, nodes: trio }));
  const states = await cluster.all(
    trio,
    ({ device, quorum: view, cluster: settings }) =>
      device === undefined && settings.configVersion === 3 && view.expectedVotes === 3,
  );
  for (const { quorum: view, ring: now } of states) {
    expect(view).toMatchObject({ quorate: true, totalVotes: 3, quorum: 2, deviceVotes: 0 });
    expect(view.flags).not.toContain("Qdevice");
    expect(now.id).toBe(ring);
  }
}, 90_000);

test("a token timeout, by the operator's word on one node", async () => {
  const conf = cluster.conf({ version: 4, nodes: trio, totem: ["token_coefficient: 100"] });
  for (const nodeid of trio) writeFileSync(cluster.confPath(nodeid), conf);
  expect(await cluster.client(1).reload()).toEqual({
    configVersion: 4,
    changes: ["token timeout (ms) 3650 -> 3100"],
    needsRestart: [],
  });
  await cluster.all(trio, ({ cluster: { reload } }) => reload?.configVersion === 4);
  expect(cluster.log(2)).toContain("Config reload requested by node 1");
  let text = "";
  const write = (piece: string): void => void (text += piece);
  expect(await reloadCommand({ root: cluster.root(3), json: false, write })).toBe(0);
  expect(text).toStartWith("Configuration 4 is in force on this node, nothing changed.\n");
}, 90_000);

test("what only a restart brings is named and not taken", async () => {
  const quorum = ["wait_for_all: 1"];
  const conf = cluster.conf({ version: 5, nodes: trio, quorum, totem: ["netmtu: 1400"] });
  await cluster.write(1, conf.replace("cluster_name: reload", "cluster_name: other"));
  const states = await cluster.all(trio, ({ cluster: { reload } }) => reload?.configVersion === 5);
  for (const { cluster: settings, quorum: view } of states) {
    expect(settings.name).toBe("reload");
    expect(settings.reload?.needsRestart).toEqual([
      "totem.cluster_name",
      "totem.netmtu",
      "quorum.wait_for_all",
    ]);
    expect(view.flags).not.toContain("WaitForAll");
  }
  const [first] = states;
  expect(statusText(present(first, "three states"))).toContain(
    "Reload  restart this node for the new totem.cluster_name, totem.netmtu, quorum.wait_for_all",
  );
}, 90_000);

test("a faulty file changes nothing, and everybody says why", async () => {
  const conf = cluster.conf({ version: 6, nodes: trio, totem: ["join: 20"] });
  for (const [faulty, why] of [
    [conf, /corosync\.conf(:\d+)?: .*The join timeout parameter \(20 ms\).*insist with --force/],
    [conf.replace("join: 20\n", "join: 20\n}\n}\n"), /corosync\.conf:\d+: /],
    [
      cluster.conf({ version: 4, nodes: trio }),
      /config_version is 4, and another corosync\.conf with 5 is here already/,
    ],
    [cluster.conf({ version: 6, nodes: [1, 3] }), /nothing was changed, for the cluster could not/],
  ] as const) {
    const put = cluster.client(2).put("corosync.conf", new TextEncoder().encode(faulty));
    expect(String(await put.catch((error: unknown) => error))).toMatch(why);
  }
  await cluster.write(2, conf);
  const states = await cluster.all(trio, ({ cluster: { reload } }) => reload?.ok === false);
  for (const { cluster: settings } of states) {
    expect(settings.configVersion).toBe(5);
    expect(settings.reload?.reason).toContain("The join timeout parameter (20 ms)");
  }
  const refusal = await cluster
    .client(3)
    .reload()
    .catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: exitConfiguration });
  expect(String(refusal)).toContain("The join timeout parameter (20 ms)");
  await cluster.write(2, cluster.conf({ version: 7, nodes: trio }));
  await cluster.all(trio, ({ cluster: { reload } }) => reload?.configVersion === 7);
}, 90_000);

test("a corosync.conf of the tree that is no good, or gone, is a warning on every node until there is a good one", async () => {
  const own = readFileSync(cluster.confPath(1));
  const warned = (part: string) =>
    cluster.all(trio, ({ warnings = [] }) => warnings.some((line) => line.includes(part)));
  const isWell = () =>
    cluster.all(trio, ({ warnings = [] }) => !warnings.some((line) => /\btree\b/.test(line)));
  await isWell();
  await cluster.write(2, "nonsense {\n");
  await warned("cannot be used, and this node goes on with configuration 7 (corosync.conf:");
  await warned("with config_version 8 (quorate fs put corosync.conf FILE)");
  await cluster.client(1).put("corosync.conf", own);
  await isWell();
  await cluster.client(3).remove("corosync.conf", true);
  await warned("the tree has no corosync.conf");
  await cluster.client(1).put("corosync.conf", own);
  await isWell();
}, 90_000);

test("a moved address is refused as a whole", async () => {
  const conf = cluster.conf({ version: 8, nodes: trio, totem: ["token_coefficient: 0"] });
  await cluster.write(1, conf.replaceAll(cluster.address(3), cluster.address(33)));
  const states = await cluster.all(trio, ({ cluster: { reload } }) => reload?.ok === false);
  for (const { cluster: settings } of states) {
    expect(settings.reload?.reason).toContain("node 3 has another address for link 0");
  }
}, 90_000);

test("another key on all nodes: the ring stays and the old key is forgotten", async () => {
  const before = await cluster.status(1, () => true);
  cluster.rekey();
  await cluster.write(1, cluster.conf({ version: 9, nodes: trio }));
  await cluster.all(trio, ({ node }) =>
    cluster.log(node.nodeid).includes("old ones are forgotten"),
  );
  const states = await cluster.all(trio, ({ cluster: { reload } }) => reload?.configVersion === 9);
  for (const { ring: now, cluster: settings } of states) {
    expect(now.id).toBe(before.ring.id);
    expect(settings.reload?.changes).toContain("key or crypto");
  }
  // Across the new key: a write is agreed by all.
  await cluster.client(2).put("after-the-key", new Uint8Array([1]));
}, 90_000);

test("six new keys, each before the one before is done: one ring, and only the last key is left", async () => {
  const before = await cluster.status(1, () => true);
  for (let change = 0; change < 6; change += 1) {
    cluster.rekey();
    const conf = cluster.conf({ version: 10 + change, nodes: trio });
    for (const nodeid of trio) writeFileSync(cluster.confPath(nodeid), conf);
    await cluster.client(1 + (change % 3)).reload();
  }
  // A slow node may say twice that the last file is in force: it has read that for the reload before.
  const isDone = (nodeid: number): boolean =>
    /configuration 15 is in force[^]*old ones are forgotten/.test(cluster.log(nodeid));
  const states = await cluster.all(
    trio,
    ({ node, cluster: { reload } }) => reload?.configVersion === 15 && isDone(node.nodeid),
  );
  for (const { ring: now } of states) expect(now.id).toBe(before.ring.id);
  await cluster.client(3).put("after-six-keys", new Uint8Array([1]));
}, 90_000);

test("a fourth node is added and joins; the others keep their ring until it does", async () => {
  const conf = cluster.conf({ version: 16, nodes: [1, 2, 3, 4] });
  await cluster.write(1, conf);
  // The votes of others may be heard before this node has read the file itself.
  const three = await cluster.all(
    trio,
    ({ quorum: view, cluster: { configVersion } }) =>
      view.expectedVotes === 4 && configVersion === 16,
  );
  for (const { quorum: view, ring: now, nodes } of three) {
    expect(now.id).toBe(ring);
    expect(view).toMatchObject({ quorate: true, totalVotes: 3, quorum: 3 });
    expect(nodes.map(({ nodeid, member }) => [nodeid, member])).toContainEqual([4, false]);
  }
  const members = await cluster.client(1).read(".members");
  expect(new TextDecoder().decode(members)).toContain('"n4": { "id": 4, "online": 0');
  cluster.start(4, conf);
  const digest = (await cluster.status(1, ({ tree }) => tree.members.length === 4)).tree.digest;
  await cluster.all(
    [1, 2, 3, 4],
    ({ quorum: view, tree }) => view.totalVotes === 4 && tree.writable && tree.digest === digest,
  );
}, 90_000);

test("and is removed again", async () => {
  expect(await cluster.stop(4)).toBe(0);
  await cluster.all(trio, ({ quorum: view }) => view.members.length === 3);
  await cluster.write(3, cluster.conf({ version: 17, nodes: trio }));
  const states = await cluster.all(
    trio,
    ({ quorum: view, cluster: { configVersion } }) =>
      view.expectedVotes === 3 && configVersion === 17,
  );
  for (const { quorum: view, nodes, links } of states) {
    expect(view).toMatchObject({ quorate: true, quorum: 2 });
    expect(nodes.map(({ nodeid }) => nodeid)).toEqual(trio);
    expect(links.map(({ nodeid }) => nodeid)).not.toContain(4);
  }
  const members = await cluster.client(1).read(".members");
  expect(new TextDecoder().decode(members)).not.toContain("n4");
}, 90_000);

test("a node that was away gets the file with the tree, and takes it by itself", async () => {
  cluster.freeze(3);
  await cluster.all([1, 2], ({ quorum: view }) => view.members.length === 2);
  const quorum = cluster.device(port);
  await cluster.write(1, cluster.conf({ version: 18, nodes: trio, quorum }));
  await cluster.all([1, 2], ({ cluster: settings }) => settings.configVersion === 18);
  cluster.thaw(3);
  const state = await cluster.status(
    3,
    ({ cluster: settings, device, quorum: view }) =>
      settings.configVersion === 18 && device?.vote === "ack" && view.totalVotes === 4,
  );
  expect(state.quorum).toMatchObject({ quorate: true, expectedVotes: 4 });
  expect(cluster.log(3).match(/Config reload requested/g)?.length).toBe(
    (cluster.log(1).match(/Config reload requested/g)?.length ?? 0) - 1,
  );
}, 120_000);
