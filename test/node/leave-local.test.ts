// A node that was removed while it was off does not start as a member; `quorate leave --local` makes it standalone, without an installation anew.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { leaveLocalCommand } from "../../src/shell/command/cluster/leave-local.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { ReloadCluster } from "./reload-cluster.ts";

let cluster: ReloadCluster;
beforeEach(() => {
  cluster = new ReloadCluster();
});
afterEach(() => cluster.close());

async function leave(nodeid: number): Promise<{ readonly out: string; readonly error: string }> {
  let [out, error] = ["", ""];
  await leaveLocalCommand({
    ...{ root: cluster.root(nodeid), json: false, dryRun: false, isYes: true, name: `n${nodeid}` },
    write: (text) => void (out += text),
  }).catch((reason: unknown) => void (error = String(reason)));
  return { out, error };
}

test("removed while it was off", async () => {
  const conf = cluster.conf({ version: 1, nodes: [1, 2, 3] });
  for (const nodeid of [1, 2, 3]) cluster.start(nodeid, conf);
  await cluster.all([1, 2, 3], (s) => s.ring.members.length === 3 && s.tree.writable);
  await cluster.client(1).put("kept", new TextEncoder().encode("x"));
  expect((await leave(3)).error).toContain("a node runs here");
  await cluster.stop(3);
  await cluster.status(1, (s) => s.ring.members.length === 2 && s.tree.writable);
  await cluster.write(1, cluster.conf({ version: 2, nodes: [1, 2] }));
  await cluster.all([1, 2], (s) => s.nodes.length === 2);

  for (let again = 0; again < 2; again += 1) {
    expect(await leave(3)).toMatchObject({
      error: "",
      out: expect.stringContaining("At its next start this node is standalone"),
    });
  }
  cluster.startAgain(3);
  await cluster.status(3, (s) => s.mode === "standalone" && s.tree.writable);
  const { conf: path, authkey, treeDir, operationDir } = nodePaths(cluster.root(3));
  expect([existsSync(path), existsSync(authkey)]).toEqual([false, false]);
  expect(readdirSync(join(treeDir, "backup"))).toHaveLength(1);
  await cluster.status(3, () => !existsSync(join(operationDir, "operation.json")));
  const paths = (await cluster.client(3).dump()).map((entry) => entry.path);
  expect(paths).toContain("kept");
  expect(paths.filter((each) => /^nodes\/n[12]/.test(each) || each === "corosync.conf")).toEqual(
    [],
  );
  expect((await leave(3)).error).toContain("a node runs here");
}, 200_000);
