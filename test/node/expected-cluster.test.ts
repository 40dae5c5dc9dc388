// Quorum by decree: asked for, loud in status and log, refused while another node still answers, and over when votes return.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { expectedCommand } from "../../src/shell/command/cluster/expected.ts";
import { ReloadCluster } from "./reload-cluster.ts";

let cluster: ReloadCluster;
beforeEach(() => {
  cluster = new ReloadCluster();
});
afterEach(() => cluster.close());

async function expected(votes: number, more: { readonly dryRun?: boolean } = {}) {
  let [out, error] = ["", ""];
  const options = { root: cluster.root(1), json: false, dryRun: false, isYes: true, ...more };
  const code = await expectedCommand({
    ...{ ...options, votes, force: false },
    write: (text) => void (out += text),
  }).catch((reason: unknown) => {
    error = String(reason);
    return 1;
  });
  return { code, out, error };
}

test("one of three goes on alone, and gives the override up when the others come back", async () => {
  const conf = cluster.conf({ version: 1, nodes: [1, 2, 3] });
  for (const nodeid of [1, 2, 3]) cluster.start(nodeid, conf);
  await cluster.all([1, 2, 3], (s) => s.ring.members.length === 3 && s.tree.writable);
  // Said before anything is shown or asked about.
  for (const more of [{}, { dryRun: true }]) {
    const refused = await expected(2, more);
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.error).toContain("3 votes are present already, use at least 3");
  }
  expect(await expected(3)).toMatchObject({ code: 0, error: "" });
  const raised = await expected(5);
  expect(raised).toMatchObject({ code: 0, error: "" });
  expect(raised.out).toContain("That is more than the 3 of corosync.conf");
  const warned = await cluster.status(2, (s) => s.quorum.expectedVotes === 5);
  expect(warned.warnings?.join()).toContain("`quorate expected 3` sets them back");
  expect(await expected(3)).toMatchObject({ code: 0, error: "" });
  const lowered = await cluster.status(2, (s) => s.quorum.expectedVotes === 3);
  expect(lowered.warnings?.join() ?? "").not.toContain("expected votes");
  await cluster.stop(2);
  await cluster.kill(3);
  await cluster.status(
    1,
    (s) => !s.quorum.quorate && s.nodes.every((n) => n.local || !n.reachable),
  );
  const shown = await expected(1, { dryRun: true });
  expect(shown.out).toContain("with 1 expected 1 are needed: quorate.\n");
  expect(shown.out).toContain(
    "This overrides quorum. If n2, n3 run on, apart from here, both sides",
  );
  await cluster.status(1, (s) => !s.quorum.quorate);
  expect(await expected(1)).toMatchObject({ code: 0, error: "" });
  const alone = await cluster.status(1, (s) => s.quorum.quorate && s.tree.writable);
  expect(alone.warnings?.join()).toContain("the expected votes are overridden: 1 instead of the 3");
  await cluster.client(1).put("alone", new TextEncoder().encode("x"));
  for (const nodeid of [2, 3]) cluster.startAgain(nodeid);
  const back = await cluster.status(1, (s) => s.quorum.expectedVotes === 3 && s.quorum.quorate);
  expect(back.warnings?.join() ?? "").not.toContain("overridden");
}, 200_000);

test("with one of three left, dead nodes leave corosync.conf in one change, which the override covers", async () => {
  const conf = cluster.conf({ version: 1, nodes: [1, 2, 3] });
  for (const nodeid of [1, 2, 3]) cluster.start(nodeid, conf);
  await cluster.all([1, 2, 3], (s) => s.ring.members.length === 3 && s.tree.writable);
  for (const nodeid of [2, 3]) await cluster.kill(nodeid);
  await cluster.status(
    1,
    (s) => !s.quorum.quorate && s.nodes.every((n) => n.local || !n.reachable),
  );
  expect(await expected(1)).toMatchObject({ code: 0, error: "" });
  await cluster.status(1, (s) => s.quorum.quorate && s.tree.writable);
  await cluster.write(1, cluster.conf({ version: 2, nodes: [1] }));
  const done = await cluster.status(1, (s) => s.cluster.configVersion === 2 && s.tree.writable);
  expect(done.quorum).toMatchObject({ quorate: true, expectedVotes: 1, quorum: 1 });
  expect(done.warnings?.join() ?? "").not.toContain("overridden");
}, 200_000);
