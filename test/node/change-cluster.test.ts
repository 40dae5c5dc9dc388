// Changes of a running cluster by the commands that make them: links, addresses, a name, a node removed.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { changeCommand, type ChangeCall } from "../../src/shell/command/cluster/change.ts";
import { ReloadCluster } from "./reload-cluster.ts";

let cluster: ReloadCluster;
beforeEach(() => {
  cluster = new ReloadCluster();
});
afterEach(() => cluster.close());

async function change(
  nodeid: number,
  call: Omit<ChangeCall, "question" | "done">,
  more: { readonly dryRun?: boolean } = {},
) {
  let [out, error] = ["", ""];
  const options = { root: cluster.root(nodeid), json: false, dryRun: false, isYes: true, ...more };
  const code = await changeCommand(
    {
      ...options,
      write: (text) => void (out += text),
      note: () => undefined,
    },
    { ...call, question: "", done: "Done." },
  ).catch((reason: unknown) => {
    error = String(reason);
    return 1;
  });
  return { code, out, error };
}

async function started(...nodes: readonly number[]): Promise<void> {
  // A busy machine carries out a change on one node seconds after the other: no reason to lose the ring.
  const conf = cluster.conf({ version: 1, nodes, tokenMs: 3000 });
  for (const nodeid of nodes) cluster.start(nodeid, conf);
  await cluster.all(nodes, (s) => s.ring.members.length === nodes.length && s.tree.writable);
}

/** A change waits for the links of the node that carries it out only; the next one may be asked of another. */
async function linked(): Promise<void> {
  await cluster.all([1, 2, 3], (s) => s.links.every((link) => link.connected));
}

const confOf = async (nodeid: number): Promise<string> =>
  Buffer.from(await cluster.client(nodeid).read("corosync.conf")).toString();

test("links come and go, a node gets another address, all without losing the ring", async () => {
  await started(1, 2, 3);
  const addresses = [1, 2, 3].map((id) => `n${id}=${cluster.address(id + 100)}`).join(",");
  const shown = await change(
    1,
    { method: "POST", path: "/cluster/links/1", words: { addresses } },
    { dryRun: true },
  );
  expect(shown.out).toStartWith("1. add link 1 to all nodes");
  expect(shown.out).toContain(`+    ring1_addr: ${cluster.address(101)}\n`);
  expect(await confOf(1)).not.toContain("ring1_addr");

  const added = await change(1, { method: "POST", path: "/cluster/links/1", words: { addresses } });
  expect(added.error).toBe("");
  expect(added.out).toEndWith("Done.\n");
  const joined = await cluster.all([1, 2, 3], (s) => s.cluster.configVersion === 2);
  expect(joined.map((s) => s.ring.members.length)).toEqual([3, 3, 3]);
  const again = await change(2, { method: "POST", path: "/cluster/links/1", words: { addresses } });
  expect(again).toEqual({ code: 0, out: "It is so already.\n", error: "" });

  await linked();
  const moved = await change(2, {
    method: "PUT",
    path: "/cluster/nodes/n3/addresses",
    words: { link0: cluster.address(203) },
  });
  expect(moved.error).toBe("");
  await cluster.all([1, 2, 3], (s) =>
    s.nodes.some((node) => node.addresses.includes(cluster.address(203))),
  );
  await linked();
  const removed = await change(3, { method: "DELETE", path: "/cluster/links/1", words: {} });
  expect(removed.error).toBe("");
  await linked();
  const byWay = await change(1, {
    method: "PUT",
    path: "/cluster/nodes/n2/addresses",
    words: { link0: cluster.address(202) },
  });
  expect(byWay.error).toBe("");
  expect(byWay.out).toContain("lay link 1 for the time");
  const last = await cluster.all([1, 2, 3], (s) => s.cluster.configVersion === 9);
  expect(last.map((s) => s.ring.members.length)).toEqual([3, 3, 3]);
  expect(await confOf(3)).not.toContain("ring1_addr");
  // Since the first ring of three: nobody was lost in between.
  expect(last.map((s) => s.ring.id)).toEqual(joined.map((s) => s.ring.id));
}, 240_000);

test("a link that does not come up is taken back, and said why; an unknown node is refused", async () => {
  await started(1, 2);
  const addresses = `n1=${cluster.address(101)},n2=192.0.2.9`;
  const outcome = await change(1, {
    method: "POST",
    path: "/cluster/links/1",
    words: { addresses },
  });
  expect(outcome.error).toContain("link 1 to n2 (192.0.2.9) does not come up");
  const [status] = await cluster.all([1, 2], (s) => s.cluster.configVersion === 3);
  expect(status?.quorum.quorate).toBe(true);
  expect(await confOf(2)).not.toContain("ring1_addr");
  const unknown = await change(1, { method: "DELETE", path: "/cluster/nodes/x", words: {} });
  expect(unknown.error).toContain("x is no member of this cluster");
  const self = await change(1, { method: "DELETE", path: "/cluster/nodes/n1", words: {} });
  expect(self.error).toContain(
    "Cannot delete myself from cluster! Type it on another node, or take this one out with `quorate leave`",
  );
}, 240_000);

test("a node is renamed, then removed with all that it leaves; it cannot come back", async () => {
  await started(1, 2, 3);
  for (const path of ["nodes", "nodes/n3"]) {
    // There already where the node itself has made them.
    await cluster
      .client(1)
      .mkdir(path)
      .catch(() => undefined);
  }
  await cluster.client(1).put("nodes/n3/config", new TextEncoder().encode("x"));
  const renamed = await change(1, {
    method: "PUT",
    path: "/cluster/nodes/n3/name",
    words: { name: "gamma" },
  });
  expect(renamed.error).toBe("");
  expect(await cluster.client(2).read("nodes/gamma/config")).toHaveLength(1);
  const removed = await change(1, {
    method: "DELETE",
    path: "/cluster/nodes/gamma",
    words: { purge: true },
  });
  expect(removed.error).toBe("");
  expect(removed.out).toContain("Killing node 3");
  expect(await cluster.ended(3)).not.toBe(0);
  const rest = await cluster.all([1, 2], (s) => s.nodes.length === 2 && s.quorum.quorate);
  expect(rest.map((s) => s.ring.members)).toEqual([
    [1, 2],
    [1, 2],
  ]);
  const left = (await cluster.client(2).dump()).map(({ path }) => path);
  expect(left.filter((path) => /gamma|n3/.test(path))).toEqual([]);
}, 240_000);
