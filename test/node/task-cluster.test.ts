// What one node does, as the others see it: its task in their lists, who began it in their cluster log.
import { expect, test } from "bun:test";
import * as v from "valibot";
import { LocalApi } from "../../src/shell/command/cluster/local-api.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const rows = v.array(v.looseObject({ upid: v.string(), status: v.optional(v.string()) }));

test("a task of one node is in the lists and logs of the others, also of one that comes later", async () => {
  await using cleanup = new AsyncDisposableStack();
  const cluster = new ReloadCluster();
  cleanup.defer(() => cluster.close());
  const conf = cluster.conf({ version: 1, nodes: [1, 2] });
  for (const nodeid of [1, 2]) cluster.start(nodeid, conf);
  const isWhole = (members: readonly number[]) => members.length === 2;
  await cluster.all([1, 2], (s) => isWhole(s.ring.members) && s.tree.writable);
  const api = (nodeid: number) => new LocalApi(nodePaths(cluster.root(nodeid)).socket);
  const begun = await api(1).call(
    v.looseObject({ upid: v.string() }),
    "PUT",
    "/cluster/nodes/n2/name",
    { name: "beta" },
  );
  const status = await api(1).follow(begun.upid, () => undefined);
  expect(status).toBe("OK");
  const seen = (nodeid: number) =>
    until(
      async () => {
        const all = await api(nodeid).original(rows, "GET", "/cluster/tasks");
        const row = all.find(({ upid }) => upid === begun.upid);
        return row?.status === "OK" ? ready(row) : pending(JSON.stringify(all));
      },
      30_000,
      `the task at node ${nodeid}`,
    );
  expect(await seen(2)).toMatchObject({ node: "n1", user: "root@pam", saved: "1" });
  const log = new TextDecoder().decode(await cluster.client(2).read(".clusterlog"));
  expect(log).toContain(`starting task ${begun.upid}`);
  expect(log).toContain(`end task ${begun.upid} OK`);
  // What was told before is part of what a newcomer gets.
  await cluster.stop(2);
  cluster.startAgain(2, "beta");
  await cluster.status(2, (s) => isWhole(s.ring.members) && s.tree.writable);
  expect(await seen(2)).toMatchObject({ node: "n1" });
}, 120_000);
