// A login over the network at a real node, from a password's hash to a change; its tasks; what a restart leaves of both.
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { success } from "../../src/result.ts";
import { RemoteNode } from "../../src/shell/remote/remote-node.ts";
import { writeActive } from "../../src/shell/task/task-list.ts";
import { formatUpid, logPathOf } from "../../src/shell/task/upid.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { LoneNode } from "./lone-node.ts";

const nodes: LoneNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

const port = 18_006;
/** Of "secret". */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";

async function lone(name: string): Promise<LoneNode> {
  const node = new LoneNode(name);
  nodes.push(node);
  mkdirSync(dirname(node.paths.shadow), { recursive: true });
  writeFileSync(node.paths.shadow, `root:${hash}:19000:0:99999:7:::\n`);
  await started(node);
  return node;
}

const listenings = (node: LoneNode) => node.log().split("the HTTPS API listens on").length;

async function started(node: LoneNode): Promise<void> {
  const before = existsSync(join(node.root, "log")) ? listenings(node) : 1;
  node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  await node.statusWhen(({ mode }) => mode === "standalone", "standalone");
  await until(
    async () => (listenings(node) > before ? ready(true) : pending(node.log())),
    30_000,
    "HTTPS",
  );
}

/** What is trusted is another test's matter. */
function remote(node: LoneNode): RemoteNode {
  return new RemoteNode({ host: node.address, port, trust: () => success(undefined) });
}

const anything = v.unknown();
const upidOf = (node: LoneNode, id: string) => {
  const parts = { node: node.name, pid: 1, pstart: 1, startTime: 0x67e0a1b2 };
  const upid = formatUpid({ ...parts, type: "clusterjoin", id, user: "root@pam" }) ?? "";
  return { upid, parts: { ...parts, type: "clusterjoin", id, user: "root@pam" } };
};

test("from a password to a change, and a wrong password to a line in the log", async () => {
  const node = await lone("door1");
  const client = remote(node);
  const version = "/api2/json/version";
  expect(await client.get(version, {}, anything)).toMatchObject({ status: 401 });
  const begunAt = performance.now();
  const refused = await client.login({ user: "root@pam", password: "hunter2" });
  expect(refused).toMatchObject({ ok: false, kind: "unauthorized" });
  expect(performance.now() - begunAt).toBeGreaterThan(2900);
  expect(node.log()).toContain(
    "authentication failure; rhost=127.0.0.1 user=root@pam msg=a wrong password",
  );
  expect(await client.login({ user: "root@pam", password: "secret" })).toEqual({
    ok: true,
    value: {},
  });
  expect(await client.get(version, {}, v.looseObject({ release: v.string() }))).toMatchObject({
    ok: true,
  });
  const log = new TextDecoder().decode(await node.client.read(".clusterlog"));
  expect(log).toContain("successful auth for user 'root@pam'");
  const { upid } = upidOf(node, "none");
  const stopped = await client.delete(`/api2/json/nodes/door1/tasks/${upid}`, {}, anything);
  expect(stopped).toMatchObject({
    ...{ ok: false, status: 400 },
    errors: { upid: "no such task" },
  });
  // The key lives in the tree: the ticket outlives the process.
  await node.stop();
  await started(node);
  expect(await client.get(version, {}, anything)).toMatchObject({ ok: true });
  expect(node.log()).not.toContain("hunter2");
  expect(node.log()).not.toContain("secret");
});

test("tasks of an earlier daemon are found, with their log and their end", async () => {
  const node = new LoneNode("door2");
  nodes.push(node);
  const { upid, parts } = upidOf(node, "");
  const path = join(node.paths.taskDir, logPathOf(upid, parts));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "Login succeeded.\nhalf a li");
  writeFileSync(join(node.paths.taskDir, "active"), writeActive([{ upid, parts }]));
  mkdirSync(dirname(node.paths.shadow), { recursive: true });
  writeFileSync(node.paths.shadow, `root:${hash}:19000:0:99999:7:::\n`);
  await started(node);
  const client = remote(node);
  await client.login({ user: "root@pam", password: "secret" });
  const row = { upid, type: "clusterjoin", status: "unexpected status" };
  const tasks = await client.get("/api2/json/nodes/door2/tasks", {}, v.array(anything));
  expect(tasks).toMatchObject({ ok: true, value: [row] });
  const all = await client.get("/api2/json/cluster/tasks", {}, v.array(anything));
  expect(all).toMatchObject({ ok: true, value: [{ ...row, saved: "1" }] });
  const base = `/api2/json/nodes/localhost/tasks/${upid}`;
  expect(await client.get(`${base}/status`, {}, anything)).toMatchObject({
    value: { status: "stopped", exitstatus: "unexpected status" },
  });
  expect(await client.get(`${base}/log`, { limit: 1 }, anything)).toEqual({
    ok: true,
    value: [{ n: 1, t: "Login succeeded." }],
  });
  const bad = await client.get("/api2/json/nodes/door2/tasks/UPID:x/log", {}, anything);
  expect(bad).toMatchObject({ status: 400, errors: { upid: "unable to parse worker upid" } });

  const listed = await node.run("task", "list");
  expect(listed.out.split("\n")[1]).toBe(
    `2025-03-24 00:05:06  door2  clusterjoin      root@pam  unexpected status  ${upid}`,
  );
  expect(listed.code).toBe(0);
  const json = await node.run("task", "list", "--all", "--json");
  expect(JSON.parse(json.out)).toMatchObject([{ upid, status: "unexpected status" }]);
  expect(await node.run("task", "log")).toMatchObject({
    code: 1,
    out: "Login succeeded.\nhalf a li\n",
  });
  expect(await node.run("task", "log", upid, "--follow")).toMatchObject({
    code: 1,
    out: "Login succeeded.\nhalf a li\nTASK ERROR: unexpected status\n",
  });
  const status = await node.run("task", "status", upid);
  expect(status).toMatchObject({ code: 1 });
  expect(status.out).toStartWith("clusterjoin on door2, by root@pam, since 2025-03-24 00:05:06: ");
  expect((await node.run("task", "stop", upid)).out).toContain("has ended already");
  const unknown = await node.run("task", "status", upid.replace("clusterjoin", "other"));
  expect(unknown.code).toBe(1);
  expect(unknown.error).toContain("upid: no such task");
  const nonsense = await node.run("task", "log", "nonsense");
  expect(nonsense.error).toContain('"nonsense" is no UPID');
});
