// A running cluster gets a quorum device from our vote server by an invitation, without a restart, and loses it again: real nodes, real
// server, every byte over loopback. Refusals change nothing.
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { equalBytes } from "../../src/bytes.ts";
import { reasonOf } from "../../src/result.ts";
import {
  qdeviceRemove,
  qdeviceSetup,
  type QdeviceSetupOptions,
  qdeviceStatus,
} from "../../src/shell/command/qdevice.ts";
import { localIdentity } from "../../src/shell/daemon/device-files.ts";
import { treeAuthority, treeIdentity } from "../../src/shell/qdevice/device-identity.ts";
import { corosyncConfLock } from "../../src/shell/operation/cluster-lock.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

let cluster: ReloadCluster;
let port = 0;
let output = "";
let notes = "";

beforeEach(() => {
  cluster = new ReloadCluster();
  output = "";
  notes = "";
});
afterEach(() => cluster.close());
afterAll(() => expect(existsSync(cluster.folder)).toBe(false));

async function form(nodes: readonly number[], quorum: readonly string[] = []): Promise<void> {
  const conf = cluster.conf({ version: 1, nodes, quorum });
  for (const nodeid of nodes) cluster.start(nodeid, conf);
  await cluster.all(
    nodes,
    (status) => status.ring.members.length === nodes.length && status.tree.writable,
  );
}

const token = (name?: string): Promise<string> => cluster.invitation(port, name);

const noFiles: QdeviceSetupOptions["files"] = {
  ...{ p12: undefined, password: "", certificate: undefined, key: undefined, authority: undefined },
};

async function run(
  nodeid: number,
  verb: "setup" | "remove" | "status",
  [target = ""]: readonly string[],
  more: Partial<QdeviceSetupOptions> = {},
): Promise<number> {
  output = "";
  notes = "";
  const commands = { setup: qdeviceSetup, remove: qdeviceRemove, status: qdeviceStatus };
  return commands[verb]({
    root: cluster.root(nodeid),
    target,
    ...{ force: false, tls: undefined, port: undefined, files: noFiles, json: false },
    write: (text) => void (output += text),
    note: (text) => void (notes += text),
    ...more,
  });
}

const failure = async (promise: Promise<number>): Promise<string> =>
  promise.then(
    (code) => `no failure, code ${code}: ${output}${notes}`,
    (error: unknown) => reasonOf(error),
  );

const conf = async (nodeid: number): Promise<string> =>
  Buffer.from(await cluster.client(nodeid).read("corosync.conf")).toString();

const identityPath = (nodeid: number): string =>
  `${nodePaths(cluster.root(nodeid)).deviceDir}/${localIdentity}`;

/** A set-up on node 1 whose process is killed while it waits for the votes; answers where its record is. */
async function killedSetup(): Promise<string> {
  const main = join(import.meta.dir, "../../src/main.ts");
  const words = ["--root", cluster.root(1), "--tls", "off", "--port", String(port)];
  const child = Bun.spawn(
    [process.execPath, main, "qdevice", "setup", cluster.address(200), ...words],
    { stdout: "ignore", stderr: "pipe" },
  );
  let said = "";
  const decoder = new TextDecoder();
  for await (const piece of child.stderr) {
    said += decoder.decode(piece);
    if (said.includes("waiting for the votes")) child.kill("SIGKILL");
  }
  expect(await child.exited).not.toBe(0);
  const record = join(nodePaths(cluster.root(1)).operationDir, "operation.json");
  expect(JSON.parse(readFileSync(record, "utf8"))).toMatchObject({ at: "votes" });
  expect(statSync(record).mode & 0o777).toBe(0o600);
  return record;
}

describe("two nodes", () => {
  test("by an invitation: certificate, configuration and vote on both, and away again", async () => {
    port = await cluster.startServer("on");
    await form([1, 2], ["two_node: 1"]);
    const ring = (await cluster.client(1).status()).ring.id;
    const invitation = await token();
    // Shown first: nothing is changed, and the invitation is good for the set-up after it.
    const confBefore = await conf(1);
    expect(await run(1, "setup", [invitation], { dryRun: true })).toBe(0);
    expect(output).toStartWith("1. ask the vote server at ");
    expect(output).toContain("--- a/etc/pve/corosync.conf\n+++ b/etc/pve/corosync.conf\n");
    expect(output).toMatch(/^\+ {6}algorithm: ffsplit$/m);
    expect(output).toContain("the token is not used up by this.");
    expect(await conf(1)).toBe(confBefore);
    expect(await run(1, "setup", [invitation])).toBe(0);
    expect(output).toContain(
      `quorum device at ${cluster.address(200)} port ${port}, ffsplit, 1 vote, TLS`,
    );
    expect(output).toMatch(/ 1 {2}n1 {4}votes\n +2 {2}n2 {4}votes\n/);
    expect(notes).toContain("two_node is removed");
    const statuses = await cluster.all([1, 2], ({ quorum }) => quorum.totalVotes === 3);
    for (const { device, quorum, ring: now, cluster: its } of statuses) {
      expect(device).toMatchObject({ state: "Connected", tls: { active: true, mode: "required" } });
      expect(quorum).toMatchObject({ quorate: true, expectedVotes: 3, deviceVotes: 1 });
      expect(now.id).toBe(ring);
      expect(its.configVersion).toBe(2);
    }
    const stored = await cluster.client(2).read(treeIdentity);
    for (const nodeid of [1, 2]) {
      expect(statSync(identityPath(nodeid)).mode & 0o777).toBe(0o600);
      expect(equalBytes(readFileSync(identityPath(nodeid)), stored)).toBe(true);
    }
    expect(await run(2, "status", [], { json: true })).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      cluster: "reload",
      device: { port, vote: "ack" },
      nodes: [
        { name: "n1", hasVote: true },
        { name: "n2", hasVote: true },
      ],
      warnings: [],
    });
    expect(await failure(run(2, "setup", [await token()]))).toContain("is configured already");
    expect(await run(2, "remove", [], { dryRun: true, json: true })).toBe(0);
    const shown = JSON.parse(output) as { changes: { path: string; after?: string }[] };
    expect(shown).toMatchObject({ isDone: false, steps: { length: 3 } });
    expect(shown.changes.map(({ path, after }) => [path, after?.includes("device")])).toEqual([
      ["/etc/pve/corosync.conf", false],
      [`/etc/pve/${treeAuthority}`, undefined],
    ]);
    expect(await run(2, "remove", [])).toBe(0);
    expect(output).toContain('removed from all nodes of "reload"');
    expect(notes).toContain("remove /etc/corosync/qnetd/nssdb/cluster-reload.crt there");
    expect(await conf(1)).not.toContain("device");
    for (const { quorum, device } of await cluster.all([1, 2], (s) => s.quorum.totalVotes === 2)) {
      expect(quorum.flags).not.toContain("Qdevice");
      expect(device).toBeUndefined();
    }
    await until(
      () => {
        const left = [1, 2].filter((nodeid) => existsSync(identityPath(nodeid)));
        return left.length === 0 ? ready(undefined) : pending(`still on ${left.join(", ")}`);
      },
      20_000,
      "the local certificates go",
    );
    expect(
      await failure(
        cluster
          .client(1)
          .read(treeAuthority)
          .then(() => 0),
      ),
    ).toContain("ENOENT");
    // The same command twice is fine.
    expect(await run(1, "remove", [])).toBe(0);
    expect(output).toBe('"reload" has no quorum device: it is so already.\n');
    expect(await run(2, "remove", [], { json: true })).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      device: null,
      notes: ['"reload" has no quorum device: it is so already.'],
    });
  }, 120_000);

  test("nothing is changed when the server is away, the token is wrong, the lock is held, or a node is offline", async () => {
    port = await cluster.startServer("on");
    await form([1, 2]);
    const before = await conf(1);
    const other = await token("another");
    expect(await failure(run(1, "setup", [other]))).toContain('for the cluster "another"');
    const good = await token();
    expect(await failure(run(1, "setup", [`${good.slice(0, -3)}AAA`]))).toContain("is damaged");
    expect(await failure(run(1, "setup", [good], { port: 1 }))).toContain(
      "no vote server could be reached at port 1",
    );
    expect(await failure(run(1, "setup", [cluster.address(200)]))).toContain(
      "quorate qnetd invite reload",
    );
    expect(
      await failure(run(1, "setup", [cluster.address(200)], { tls: "off", port: 1 })),
    ).toContain("no vote server answers");
    const lock = `priv/lock/${corosyncConfLock}`;
    await cluster
      .client(2)
      .mkdir("priv")
      .catch(() => undefined);
    await cluster
      .client(2)
      .mkdir("priv/lock")
      .catch(() => undefined);
    await cluster.client(2).mkdir(lock);
    expect(await failure(run(1, "setup", [good]))).toBe(
      "cfs-lock 'file-corosync_conf' error: got lock request timeout",
    );
    expect(notes).toContain("trying to acquire cfs lock 'file-corosync_conf' ...");
    // Asking for the release of a lock that is not old enough is refused, and harms nothing.
    const asked = cluster.client(1).setMtime(lock, 0);
    expect(await failure(asked.then(() => 0))).toContain("EACCES");
    expect((await cluster.client(2).list("priv/lock")).map(({ name }) => name)).toEqual([
      corosyncConfLock,
    ]);
    await cluster.client(2).remove(lock);
    await cluster.stop(2);
    await cluster.status(1, (status) => status.ring.members.length === 1);
    expect(await failure(run(1, "setup", [good]))).toContain("node n2 is offline");
    expect(await conf(1)).toBe(before);
    expect(existsSync(identityPath(1))).toBe(false);
  }, 120_000);

  test("a set-up that is killed while it waits for the votes: the next command resumes it first", async () => {
    port = await cluster.startServer("off");
    await form([1, 2]);
    const record = await killedSetup();
    const sentence = await failure(
      run(1, "setup", [cluster.address(200)], {
        tls: "off",
        port,
        note: (text) => void (notes += text),
      }),
    );
    expect(sentence).toContain("is configured already");
    expect(notes).toContain("interrupted here before");
    expect(existsSync(record)).toBe(false);
    expect(await run(2, "status", [])).toBe(0);
  }, 120_000);

  test("a set-up that is killed: the node completes it at its next start", async () => {
    port = await cluster.startServer("off");
    await form([1, 2]);
    const record = await killedSetup();
    await cluster.stop(1);
    cluster.start(1, readFileSync(cluster.confPath(1), "utf8"));
    await until(
      () => (existsSync(record) ? pending("the record is there") : ready(undefined)),
      60_000,
      "the node completes the set-up",
    );
    await cluster.all([1, 2], ({ quorum }) => quorum.totalVotes === 3);
    expect(await cluster.client(1).list("priv/lock")).toEqual([]);
  }, 120_000);

  test("with a node that is dead for good: what is advised works, that node and the device out of corosync.conf at once", async () => {
    port = await cluster.startServer("off");
    await form([1, 2]);
    expect(await run(1, "setup", [cluster.address(200)], { tls: "off", port })).toBe(0);
    await cluster.stop(2);
    await cluster.status(1, ({ ring, quorum }) => ring.members.length === 1 && quorum.quorate);
    expect(await failure(run(1, "remove", []))).toMatch(/n2 is offline: .*dead for good.*nodelist/);
    const text = (await conf(1))
      .replace(/\n\s*node \{[^}]*nodeid: 2\b[^}]*\}/, "")
      .replace(/\n\s*device \{[^{}]*(\{[^{}]*\}[^{}]*)*\}/, "")
      .replace("config_version: 2", "config_version: 3");
    expect(text).not.toMatch(/nodeid: 2|device/);
    await cluster.client(1).put("corosync.conf", Buffer.from(text));
    const { quorum } = await cluster.status(1, (status) => status.device === undefined);
    expect(quorum).toMatchObject({ quorate: true, expectedVotes: 1 });
  }, 120_000);

  test("a server that answers but gives no vote: corosync.conf is as before, and the reason is said", async () => {
    port = await cluster.startServer("off");
    await form([1, 2]);
    const before = await conf(1);
    // Taken away between the check and the vote.
    const done = failure(
      run(1, "setup", [cluster.address(200)], {
        tls: "off",
        port,
        waitMs: 8000,
        note: (text) => {
          notes += text;
          if (text.includes("waiting for the votes")) cluster.endServer();
        },
      }),
    );
    const sentence = await done;
    expect(sentence).toContain("the device does not vote:");
    expect(sentence).toContain("corosync.conf is as before again, without the device (version 3)");
    const lines = (text: string): string[] => text.split("\n").map((line) => line.trim());
    expect(lines(await conf(2))).toEqual(
      lines(before.replace("config_version: 1", "config_version: 3")),
    );
  }, 150_000);
});

describe("three nodes", () => {
  test("only when it is wanted: lms with two votes and a warning; without TLS by address", async () => {
    port = await cluster.startServer("off");
    await form([1, 2, 3]);
    const address = cluster.address(200);
    const plain = { tls: "off" as const, port };
    expect(await failure(run(3, "setup", [address], plain))).toContain("this cluster has 3 nodes");
    expect(await run(3, "setup", [address], { ...plain, force: true })).toBe(0);
    expect(output).toContain("lms, 2 votes, without TLS");
    expect(output).toContain("Warning: while its vote server is away");
    await cluster.all([1, 2, 3], ({ quorum }) => quorum.totalVotes === 5);
    expect(await run(1, "remove", [], { json: true })).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ device: null, quorum: { totalVotes: 3 } });
  }, 120_000);
});
