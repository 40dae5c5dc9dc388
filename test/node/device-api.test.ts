// The quorum device by the API of a running cluster: planned, set up by an invitation as a task, tried from each node, taken away; refusals change nothing.
import { afterAll, expect, test } from "bun:test";
import type * as v from "valibot";
import { changeAnswer } from "../../src/shell/answers/change.ts";
import { deviceChecks } from "../../src/shell/answers/device.ts";
import { deviceAnswer } from "../../src/shell/answers/ring.ts";
import { LocalApi, type Words } from "../../src/shell/command/cluster/local-api.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { reasonOf } from "../../src/result.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const cluster = new ReloadCluster();
afterAll(() => cluster.close());

let port = 0;

const invite = (name: string): Promise<string> => cluster.invitation(port, name);

const api = () => new LocalApi(nodePaths(cluster.root(1)).socket);
const conf = async (): Promise<string> =>
  Buffer.from(await cluster.client(1).read("corosync.conf")).toString();
const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "it was not refused", reasonOf);
const setUp = (words: Words): Promise<v.InferOutput<typeof changeAnswer>> =>
  api().call(changeAnswer, "POST", "/device", words);

async function followed(upid: string | undefined): Promise<readonly string[]> {
  const lines: string[] = [];
  const status = await api().follow(upid ?? "", (line) => lines.push(line));
  return [...lines, status];
}

test("an arbiter by the API: planned, set up, tried, taken away", async () => {
  port = await cluster.startServer("on");
  const first = cluster.conf({ version: 1, nodes: [1, 2], quorum: ["two_node: 1"] });
  for (const nodeid of [1, 2]) cluster.start(nodeid, first);
  await cluster.all([1, 2], ({ ring, tree }) => ring.members.length === 2 && tree.writable);
  const before = await conf();

  // What cannot be is said by its name, and nothing is changed.
  expect(await refusal(setUp({}))).toContain("give either the token of an invitation, or the host");
  expect(await refusal(setUp({ token: "quorate1.x", "dry-run": true }))).toContain("token is cut");
  const other = await invite("other");
  expect(await refusal(setUp({ token: other, "dry-run": true }))).toContain(
    'the invitation is for the cluster "other", this is "reload"',
  );
  const without = api().call(changeAnswer, "DELETE", "/device", { "dry-run": true });
  expect(await without).toMatchObject({ isDone: true, changes: [] });
  const nobody = api().call(deviceChecks, "POST", "/nodes/n1/device/check", {});
  expect(await refusal(nobody)).toContain("no quorum device is configured");

  const token = await invite("reload");
  const planned = await setUp({ token, "dry-run": true });
  expect(planned.upid).toBeUndefined();
  expect(planned.steps.slice(0, 3)).toEqual([
    'make a key for the cluster "reload"',
    `get its certificate with the invitation of the vote server at ${cluster.address(200)}`,
    `ask the vote server at ${cluster.address(200)} port ${port}`,
  ]);
  expect(planned.plan).toMatch(/^\+ {6}algorithm: ffsplit$/m);
  expect(planned.notes).toEqual([
    "Then the cluster has 3 votes, 1 of them the arbiter's; 2 are needed instead of 2 of 2.",
    `The vote server of the invitation answers at ${cluster.address(200)} port ${port}.`,
  ]);
  expect(await conf()).toBe(before);

  const begun = await setUp({ token });
  const lines = await followed(begun.upid);
  expect(lines.at(-1)).toBe("OK");
  for (const step of begun.steps) expect(lines).toContain(step);
  await cluster.all([1, 2], ({ quorum }) => quorum.deviceVotes === 1 && quorum.totalVotes === 3);
  const again = setUp({ token: await invite("reload"), "dry-run": true });
  expect(await refusal(again)).toContain("a quorum device is configured already");

  const seen = await api().call(deviceAnswer, "GET", "/nodes/n1/device", {});
  expect(seen.device).toMatchObject({ state: "Connected", vote: "ack", algorithm: "ffsplit" });
  const tried = await api().call(deviceChecks, "POST", "/nodes/n1/device/check", {});
  expect(tried.where).toBe(`${cluster.address(200)} port ${port}`);
  expect(tried.checks.map(({ name, state }) => `${name} ${state}`)).toEqual([
    ...["reach good", "server good", "tls good", "vote good"],
  ]);
  expect(tried.checks[2]?.text).toContain(
    "TLSv1.3; its certificate is of this cluster's authority",
  );

  const removal = await api().call(changeAnswer, "DELETE", "/device", { "dry-run": true });
  expect(removal.notes).toEqual([
    "Then the nodes have 2 votes, 2 of them needed; 2 are here.",
    expect.stringContaining(
      `on the vote server ${cluster.address(200)} the cluster's certificate is`,
    ),
  ]);
  expect(removal.plan).toMatch(/^- {4}model: net$/m);
  const removed = await api().call(changeAnswer, "DELETE", "/device", {});
  expect((await followed(removed.upid)).at(-1)).toBe("OK");
  // The client ends first, then its votes are expected no more.
  await cluster.all(
    [1, 2],
    ({ device, quorum }) => device === undefined && quorum.expectedVotes === 2,
  );
}, 240_000);

test("a vote server that is gone is said to be, before anything is changed", async () => {
  const token = await invite("reload");
  cluster.endServer();
  const before = await conf();
  const why = await refusal(setUp({ token, "dry-run": true }));
  expect(why).toContain("no vote server could be reached at port");
  expect(why).toContain("is it running, and is that TCP port open on the way?");
  // Begun all the same: its task says the same, and all is as before.
  const lines = await followed((await setUp({ token })).upid);
  expect(lines.at(-1)).toContain("no certificate was given: no vote server could be reached");
  expect(await conf()).toBe(before);
  const { leftover } = await cluster.client(1).status();
  expect(leftover).toBeUndefined();
}, 240_000);
