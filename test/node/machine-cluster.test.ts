// The routes about a node's machine on two real nodes: asked at one of them they are answered by the other, load is told to all, a restart that was
// asked for goes through with its task, and a node that is away is said to be so.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodePaths } from "../../src/shell/paths.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const port = 18_406;
const waitMs = 60_000;
const cluster = new ReloadCluster(port);
afterAll(() => cluster.close());

/** Whatever the node said. */
type Json = ReturnType<typeof JSON.parse>;

/** As root, over the local socket of node 1. */
async function ask(line: string, body?: Readonly<Record<string, string>>) {
  const [method = "", path = ""] = line.split(" ");
  const response = await fetch(`http://n1/api2/json${path}`, {
    method,
    unix: nodePaths(cluster.root(1)).socket,
    ...(body === undefined ? {} : { body: new URLSearchParams(body) }),
  });
  const text = await response.text();
  const json: Json = text === "" ? {} : JSON.parse(text);
  return { status: response.status, data: json.data, message: String(json.message) };
}

async function ok(line: string, body?: Readonly<Record<string, string>>): Promise<Json> {
  const { status, data, message } = await ask(line, body);
  if (status !== 200) throw new Error(`${line}: ${status} ${message}`);
  return data;
}

test("a node answers for another, tells its load, restarts when asked, and is missed when it is away", async () => {
  const conf = cluster.conf({ version: 1, nodes: [1, 2] });
  for (const nodeid of [1, 2]) {
    cluster.start(nodeid, conf);
    mkdirSync(join(cluster.root(nodeid), "etc"), { recursive: true });
    writeFileSync(join(cluster.root(nodeid), "etc/hosts"), `127.0.0.1 localhost\n`);
  }
  await cluster.all([1, 2], (s) => s.ring.members.length === 2 && s.tree.writable);
  // Sent on is only what can be sent to the certificate of the tree.
  await until(
    async () => {
      const nodes = await ok("GET /nodes");
      const isWhole = nodes.every(
        (each: Json) => each.ssl_fingerprint !== undefined && each.uptime > 0,
      );
      return nodes.length === 2 && isWhole ? ready(true) : pending(JSON.stringify(nodes));
    },
    waitMs,
    "both nodes with certificate and load",
  );
  const resources = await ok("GET /cluster/resources?type=node");
  for (const each of resources) {
    expect(each).toMatchObject({ status: "online", maxcpu: expect.any(Number) });
    expect(each.mem).toBeGreaterThan(0);
    expect(each.maxmem).toBeGreaterThan(each.mem);
  }

  const status = await ok("GET /nodes/n2/status");
  expect(status).toMatchObject({ "current-kernel": { sysname: "Linux" } });
  expect(status.uptime).toBeGreaterThan(0);
  const { digest } = await ok("GET /nodes/n2/hosts");
  expect(await ok("POST /nodes/n2/hosts", { digest, data: "127.0.0.1 changed\n" })).toBeNull();
  const hosts = (nodeid: number) => readFileSync(join(cluster.root(nodeid), "etc/hosts"), "utf8");
  expect([hosts(1), hosts(2)]).toEqual(["127.0.0.1 localhost\n", "127.0.0.1 changed\n"]);
  expect((await ask("POST /nodes/n2/hosts", { digest, data: "x\n" })).message).toContain(
    "detected modified configuration",
  );
  const report = await ok("GET /nodes/n2/report");
  expect(report).toContain("127.0.0.1 changed\n");
  expect(report).toContain("cluster_name: reload\n");
  // Directories are answered by whoever is asked.
  expect(await ok("GET /nodes/n9")).toContainEqual({ name: "status" });

  const before = (await cluster.client(2).status()).node;
  const upid = await ok("POST /nodes/n2/services/quorate-node/restart", {});
  expect(upid).toStartWith("UPID:n2:");
  const after = await until(
    async () => {
      const now = await cluster
        .client(2)
        .status()
        .catch(() => undefined);
      const isBack = now !== undefined && now.tree.writable && now.ring.members.length === 2;
      const isAnew = cluster.log(2).split("is running, version").length > 2;
      return isBack && isAnew ? ready(now.node) : pending("not back yet");
    },
    waitMs,
    "node 2 after its restart",
  );
  expect(after.pid).toBe(before.pid);
  const task = await until(
    async () => {
      const { status: code, data } = await ask(`GET /nodes/n2/tasks/${upid}/status`);
      return code === 200 ? ready(data) : pending(String(code));
    },
    waitMs,
    "the task's last state",
  );
  expect(task).toMatchObject({ status: "stopped", exitstatus: "OK", type: "srvrestart" });
  const listed = (await ok("GET /cluster/tasks")).map((each: Json) => each.upid);
  expect(listed).toContain(upid);

  await cluster.kill(2);
  await until(
    async () => {
      const nodes = await ok("GET /cluster/resources?type=node");
      const state = nodes.find((each: Json) => each.node === "n2")?.status;
      return state === "offline" ? ready(true) : pending(String(state));
    },
    waitMs,
    "node 2 away",
  );
  expect(await ask("GET /nodes/n2/status")).toMatchObject({
    ...{ status: 595, message: expect.stringContaining("the node n2 cannot be reached") },
  });
  // Half of two votes is no quorum: what is in the tree stays.
  expect((await ask("PUT /cluster/options", { keyboard: "de" })).message).toContain(
    "cluster not ready - no quorum?",
  );
}, 180_000);
