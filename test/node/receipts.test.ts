// Real ring threads: what comes from another node is counted, and what waits for it is withdrawn, while the main thread does nothing at all.
import { afterAll, expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { present } from "../../src/assert.ts";
import { loadSettings } from "../../src/node/settings/load-settings.ts";
import type { RingCluster } from "../../src/node/thread/cluster.ts";
import { RingThreadClient } from "../../src/node/thread/client.ts";
import { withdrawalBytes } from "../../src/node/thread/receipts.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import type { PortEvent } from "../../src/world.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const waitMsMax = 60_000;
const group = "watched\0";
const files = new ReloadCluster();
const running: RingCluster[] = [];

afterAll(async () => {
  await Promise.all(running.map((cluster) => cluster.stop()));
  rmSync(files.folder, { recursive: true, force: true });
});

/** A node in this process, and what its listener got. */
async function start(nodeid: number) {
  for (const part of ["etc/corosync", "var/lib/corosync"]) {
    mkdirSync(`${files.root(nodeid)}/${part}`, { recursive: true });
  }
  const { conf, authkey, stateDir, deviceDir } = nodePaths(files.root(nodeid));
  writeFileSync(conf, files.conf({ version: 1, nodes: [1, 2] }));
  writeFileSync(authkey, new Uint8Array(256).fill(1));
  const settings = await loadSettings({ conf, authkey }, `n${nodeid}`);
  if (!settings.ok) throw new Error(settings.reason);
  const cluster = new RingThreadClient({
    ...{ settings: settings.value, stateDir, deviceDir, pid: 1000 + nodeid, receiptsOf: group },
    log: () => undefined,
  });
  const events: PortEvent[] = [];
  cluster.groups.listen((some) => void events.push(...some));
  cluster.groups.request({ kind: "join", group });
  const reason = await cluster.start(settings.value);
  if (reason !== "") throw new Error(reason);
  running.push(cluster);
  return { groups: cluster.groups, events, receipts: present(cluster.groups.receipts, "wanted") };
}

test("a message is counted and withdraws what waits before the main thread hears of it", async () => {
  const [one, two] = [await start(1), await start(2)];
  const areTogether = () =>
    [one, two].every(({ events }) =>
      events.some((event) => event.kind === "configured" && event.members.length === 2),
    );
  await until(
    () => (areTogether() ? ready(undefined) : pending("not yet")),
    waitMsMax,
    "both are in the group",
  );
  const { receipts, events } = two;
  await until(
    () => (receipts.hasPassed(receipts.mark()) ? ready(undefined) : pending("it is behind")),
    waitMsMax,
    "all that was counted has come",
  );
  const path = `${files.folder}/device`;
  const fd = openSync(path, "w");
  receipts.device(fd);
  const withdrawal = present(receipts.withdraw(new Uint8Array(withdrawalBytes).fill(9)), "room");
  const before = receipts.mark();
  const heard = events.length;
  one.groups.request({ kind: "send", group, message: new Uint8Array(100) });
  await Promise.resolve(); // It is posted; from here on this thread hears nothing.
  const giveUpAt = performance.now() + waitMsMax;
  while (receipts.mark() === before && performance.now() < giveUpAt);
  // Its quorum may be told just now, and counts the same.
  const mark = receipts.mark();
  expect(mark).toBeGreaterThan(before);
  while (receipts.isWaiting(withdrawal) && performance.now() < giveUpAt);
  expect([...readFileSync(path)]).toEqual(Array.from({ length: withdrawalBytes }, () => 9));
  expect(receipts.hasPassed(mark)).toBe(false);
  expect(events.length).toBe(heard);
  const isDelivered = () => events.slice(heard).some(({ kind }) => kind === "delivered");
  await until(
    () => (isDelivered() ? ready(undefined) : pending("it is behind")),
    waitMsMax,
    "the listener has it",
  );
  expect(receipts.hasPassed(mark)).toBe(true);
  receipts.device(undefined);
  closeSync(fd);
}, 120_000);
