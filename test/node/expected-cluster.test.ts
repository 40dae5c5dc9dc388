// Quorum by decree: asked for, loud in status and log, refused while another node still answers, and over when votes return.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { setTimeout as wait } from "node:timers/promises";
import { votesEffectAnswer } from "../../src/shell/answers/change.ts";
import { LocalApi } from "../../src/shell/command/cluster/local-api.ts";
import { expectedCommand } from "../../src/shell/command/cluster/expected.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { hostNameOf } from "../../src/shell/tool/node-tool.ts";
import { expected as pvecmExpected } from "../../src/shell/tool/pvecm/cluster.ts";
import { quorumTool } from "../../src/shell/tool/quorumtool.ts";
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

/** Runs of node 1's tools: exit code and what they said. */
async function tool(
  run: (surroundings: {
    readonly root: string;
    readonly write: (text: string) => void;
    readonly writeError: (text: string) => void;
  }) => Promise<number>,
) {
  let [out, error] = ["", ""];
  const code = await run({
    root: cluster.root(1),
    write: (text) => void (out += text),
    writeError: (text) => void (error += text),
  });
  return { code, out, error };
}

const quorumtool = (...args: string[]) =>
  tool(({ write, writeError }) =>
    quorumTool({
      ...{ args, write, writeError, hostName: hostNameOf, now: () => new Date() },
      node: cluster.client(1),
      again: () => wait(1000, true),
    }),
  );

test("with a vote server that is away no override helps: all say so, and what they name does", async () => {
  const port = await cluster.startServer();
  const quorum = cluster.device(port, "lms");
  const conf = cluster.conf({ version: 1, nodes: [1, 2, 3], quorum });
  for (const nodeid of [1, 2, 3]) cluster.start(nodeid, conf);
  await cluster.all([1, 2, 3], (s) => s.quorum.totalVotes === 5 && s.tree.writable);
  cluster.endServer();
  for (const nodeid of [2, 3]) await cluster.kill(nodeid);
  await cluster.status(
    1,
    (s) => s.quorum.totalVotes === 1 && s.nodes.every((n) => n.local || !n.reachable),
  );
  for (const more of [{}, { dryRun: true }]) {
    const refused = await expected(1, more);
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.error).toContain("so nothing was changed. 1 vote is here, 5 are expected");
    expect(refused.error).toContain("with 1 expected 2 are needed: not quorate.");
    expect(refused.error).toContain("`corosync-quorumtool -v 3` on this node");
  }
  const api = new LocalApi(nodePaths(cluster.root(1)).socket);
  const asked = { votes: 1, "dry-run": true };
  const plan = await api.call(votesEffectAnswer, "PUT", "/expected", asked);
  expect(plan).toMatchObject({ isChanged: false, isQuorate: false, notes: { length: 4 } });
  expect(plan.notes[0]).toContain("and 3 count all the same: quorum would be 2 instead of 3");
  // The API and the tools under corosync's names do it all the same, as the original.
  const put = await api.call(votesEffectAnswer, "PUT", "/expected", { votes: 1 });
  expect(put).toMatchObject({ isChanged: true, isQuorate: false, notes: { length: 4 } });
  expect(put.notes[0]).toContain("not quorate: 1 of 3 votes present, 2 needed; 1 more is needed");
  const original = await tool((surroundings) => pvecmExpected(surroundings, "1"));
  expect(original).toMatchObject({ code: 0, out: "" });
  expect(original.error).toStartWith("expected votes set, but this part is not quorate: 1 of 3");
  expect(original.error).toContain("`corosync-quorumtool -v 3` on this node");

  // What is named works, is told of, and ends with a restart.
  expect(await quorumtool("-v", "3")).toEqual({ code: 0, out: "", error: "" });
  const alone = await cluster.status(1, (s) => s.quorum.quorate && s.tree.writable);
  expect(alone.warnings?.join()).toContain("n1 (node 1) has 3 votes instead of the 1 of corosync");
  await cluster.client(1).put("alone", new TextEncoder().encode("x"));
  expect(await quorumtool("-e", "3")).toEqual({ code: 0, out: "", error: "" });

  // The way back, once all are there.
  for (const nodeid of [2, 3]) cluster.startAgain(nodeid);
  await cluster.startServer("off", port);
  await cluster.all([1, 2, 3], (s) => s.quorum.totalVotes === 7 && s.tree.writable);
  expect(await quorumtool("-v", "1")).toEqual({ code: 0, out: "", error: "" });
  expect(await expected(5)).toMatchObject({ code: 0, error: "" });
  const all = await cluster.all([1, 2, 3], ({ quorum: { totalVotes, expectedVotes } }) => {
    return totalVotes === 5 && expectedVotes === 5;
  });
  for (const { warnings } of all) expect(warnings?.join() ?? "").not.toMatch(/votes instead|expec/);
  expect(Buffer.from(await cluster.client(2).read("alone")).toString()).toBe("x");
  // A restart ends it as well.
  expect(await quorumtool("-v", "3")).toMatchObject({ code: 0 });
  await cluster.stop(1);
  cluster.startAgain(1);
  await cluster.all([1, 2, 3], (s) => s.quorum.totalVotes === 5 && s.quorum.quorate);
}, 200_000);

test("with a vote server that comes back the part that is left is quorate without an override", async () => {
  const port = await cluster.startServer();
  const quorum = cluster.device(port, "lms");
  const conf = cluster.conf({ version: 1, nodes: [1, 2, 3], quorum });
  for (const nodeid of [1, 2, 3]) cluster.start(nodeid, conf);
  await cluster.all([1, 2, 3], (s) => s.quorum.totalVotes === 5 && s.tree.writable);
  cluster.endServer();
  for (const nodeid of [2, 3]) await cluster.kill(nodeid);
  await cluster.status(1, (s) => s.quorum.totalVotes === 1);
  expect((await expected(1, { dryRun: true })).error).toContain("is quorate without an override");
  await cluster.startServer("off", port);
  await cluster.status(1, (s) => s.quorum.quorate && s.quorum.totalVotes === 3 && s.tree.writable);
}, 200_000);
