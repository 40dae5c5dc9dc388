// A node that was off while the cluster's corosync.conf rose comes back by itself: the tree brings it the newer file.
import { afterAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const clusters: ReloadCluster[] = [];
const [stays, alsoStays, isOff] = [1, 2, 3];
const nodes = [stays, alsoStays, isOff] as const;

afterAll(async () => {
  await Promise.all(clusters.map((cluster) => cluster.close()));
});

/** Of three nodes with configuration 3 the last was stopped. */
async function withOneOff(): Promise<ReloadCluster> {
  const cluster = new ReloadCluster();
  clusters.push(cluster);
  const conf = cluster.conf({ version: 3, nodes });
  for (const nodeid of nodes) cluster.start(nodeid, conf);
  await cluster.all(nodes, ({ ring, tree }) => ring.members.length === 3 && tree.writable);
  await cluster.write(stays, conf);
  await cluster.untilConf(isOff, "config_version: 3");
  expect(await cluster.stop(isOff)).toBe(0);
  return cluster;
}

test("off while config_version rose twice, it takes the tree's corosync.conf and stays", async () => {
  const cluster = await withOneOff();
  await cluster.all(
    [stays, alsoStays],
    ({ ring, tree }) => ring.members.length === 2 && tree.writable,
  );
  for (const version of [4, 5]) {
    await cluster.write(
      alsoStays,
      cluster.conf({ version, nodes, totem: ["token_retransmits_before_loss_const: 5"] }),
    );
    await cluster.all([stays, alsoStays], (status) => status.cluster.configVersion === version);
  }
  cluster.startAgain(isOff);
  await cluster.all(
    nodes,
    (status) =>
      status.cluster.configVersion === 5 &&
      status.ring.members.length === 3 &&
      status.quorum.quorate &&
      status.tree.writable,
  );
  expect(cluster.log(isOff)).toContain(
    "Received config version (5) is different than my config version (3): the tree is expected to bring the cluster's corosync.conf within 30 s",
  );
  expect(readFileSync(cluster.confPath(isOff), "utf8")).toContain("config_version: 5");
}, 240_000);

test("with another file of the same version, as when two parts wrote one each, it takes the cluster's and reloads", async () => {
  const cluster = await withOneOff();
  const theirs = cluster.conf({ version: 4, nodes, totem: ["join: 60"] });
  await cluster.write(stays, theirs);
  await cluster.all([stays, alsoStays], (status) => status.cluster.configVersion === 4);
  writeFileSync(cluster.confPath(isOff), cluster.conf({ version: 4, nodes, totem: ["join: 70"] }));
  cluster.startAgain(isOff);
  await cluster.all(nodes, ({ ring, tree }) => ring.members.length === 3 && tree.writable);
  await until(
    () =>
      cluster.log(isOff).includes("configuration 4 is in force")
        ? ready(undefined)
        : pending(cluster.log(isOff)),
    60_000,
    "the file of the cluster is in force",
  );
  expect(readFileSync(cluster.confPath(isOff), "utf8")).toBe(theirs);
}, 240_000);
