// A cluster created on a real node: from the command line to a member with its own key, refused where it cannot be, killed at each step.
import { afterEach, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { readClusterConf } from "../../src/shell/conf/cluster-conf.ts";
import { createPlan } from "../../src/shell/create/create-plan.ts";
import { pvecmCreate } from "../../src/shell/command/cluster/create.ts";
import { OperationFiles } from "../../src/shell/operation/operation-store.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { LoneNode } from "./lone-node.ts";
import { stepReached } from "./operation-step.ts";

const nodes: LoneNode[] = [];

async function standalone(name: string): Promise<LoneNode> {
  const node = new LoneNode(name);
  nodes.push(node);
  node.start();
  await node.statusWhen(({ mode }) => mode === "standalone", "standalone");
  return node;
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

const isMember = ({ mode, tree }: { mode: string; tree: { mode: string; writable: boolean } }) =>
  mode === "cluster" && tree.mode === "synced" && tree.writable;

test("create: what is planned, then a member in the same process; again is nothing to do, another is refused", async () => {
  const node = await standalone("crea1");
  await node.client.put("kept", new TextEncoder().encode("kept\n"));
  const { pid } = node;
  const words = ["create", "prod", "--link0", `${node.address},priority=7`, "--votes", "2"];
  const dry = await node.run(...words, "--dry-run");
  expect(dry.error).toBe("");
  expect(dry.out).toContain("3. Writing corosync config to /etc/pve/corosync.conf");
  expect(dry.out).toContain(`+    ring0_addr: ${node.address}\n`);
  expect(dry.out).toContain("quorate alone, with its 2 votes");
  expect(existsSync(node.paths.authkey)).toBe(false);

  const made = await node.run(...words);
  expect([made.code, made.error]).toEqual([0, ""]);
  expect(made.out).toContain("Writing corosync key to /etc/corosync/authkey.\n");
  expect(made.out).toEndWith("The cluster prod is there, with this node as its first.\n");
  const status = await node.statusWhen(isMember, "a member");
  expect(status.node.pid).toBe(pid);
  expect(status.cluster).toMatchObject({ name: "prod", configVersion: 1, encrypted: true });
  const conf = readClusterConf(new TextDecoder().decode(await node.client.read("corosync.conf")));
  expect(conf.ok && conf.value).toMatchObject({
    links: [{ number: 0, priority: 7 }],
    nodes: [{ name: "crea1", nodeid: 1, votes: 2 }],
  });
  expect(statSync(node.paths.authkey)).toMatchObject({ size: 256 });
  expect(statSync(node.paths.authkey).mode & 0o777).toBe(0o400);
  expect(new TextDecoder().decode(await node.client.read("kept"))).toBe("kept\n");
  expect(await node.client.typeOf("nodes/crea1/qemu-server")).toBe("directory");
  expect(await node.client.typeOf("nodes/crea1/pve-ssl.pem")).toBe("file");
  const log = new TextDecoder().decode(await node.client.read(".clusterlog"));
  expect(log).toContain("created cluster prod with node crea1");
  expect(log).toMatch(/end task UPID:crea1:[0-9A-F:]+:clustercreate:prod:root@pam: OK/);

  const again = await node.run(...words);
  expect([again.code, again.out]).toEqual([0, "It is so already.\n"]);
  const other = await node.run("create", "other");
  expect(other.code).toBe(1);
  expect(other.error).toContain("cluster config '/etc/pve/corosync.conf' already exists");
  expect(await node.stop()).toBe(0);
}, 180_000);

test("pvecm create prints the original's lines, each once; bad requests change nothing", async () => {
  const node = await standalone("crea2");
  for (const [words, reason] of [
    [["a_b"], "clustername: invalid format - value does not look like a valid node name"],
    [["a".repeat(16)], "value may only be 15 characters long"],
    [["p", "--link1", "192.0.2.1"], "link1: cannot use IP '192.0.2.1', not found on local node!"],
    [["p", "--link0", `${node.address},prio=1`], "link0: invalid format"],
  ] as const) {
    const refused = await node.run("create", ...words);
    expect([words, refused.code]).toEqual([words, 1]);
    expect(refused.error).toContain(reason);
  }
  expect(existsSync(node.paths.authkey)).toBe(false);
  let out = "";
  const write = (text: string): void => void (out += text);
  await pvecmCreate({ root: node.root, write }, { clustername: "p", link0: node.address });
  expect(out).toBe(
    [
      "Corosync Cluster Engine Authentication key generator.",
      "Gathering 2048 bits for key from /dev/urandom.",
      "Writing corosync key to /etc/corosync/authkey.",
      "Writing corosync config to /etc/pve/corosync.conf",
      "Restart corosync and cluster filesystem",
      "",
    ].join("\n"),
  );
  await expect(
    pvecmCreate({ root: node.root, write }, { clustername: "p", link0: node.address }),
  ).rejects.toThrow("already exists");
}, 120_000);

test("a node that cannot start as a member takes the creation back, and says why", async () => {
  const node = await standalone("crea3");
  const killed = stepReached(node.paths.operationDir, "conf").then(() => node.signal("SIGKILL"));
  const creating = node.run("create", "prod", "--link0", node.address);
  await killed;
  await node.ended();
  const taken = createSocket("udp4");
  taken.bind({ address: node.address, port: 5405, exclusive: true });
  await once(taken, "listening");
  node.start();
  const outcome = await creating;
  taken.close();
  expect(outcome.code).toBe(1);
  expect(outcome.error).toContain("this node could not start as a member");
  expect(outcome.error).toContain(`${node.address} port 5405/udp (link 0) is used`);
  const status = await node.statusWhen(({ mode }) => mode === "standalone", "standalone again");
  expect(status.tree.writable).toBe(true);
  expect(existsSync(node.paths.authkey)).toBe(false);
  expect(existsSync(node.paths.conf)).toBe(false);
  await expect(node.client.read("corosync.conf")).rejects.toThrow("ENOENT");
  expect(await node.stop()).toBe(0);
  node.start();
  await node.statusWhen(({ mode }) => mode === "standalone", "standalone at its next start, too");
}, 180_000);

test.each(createPlan.steps.map(({ name }) => [name] as const))(
  "killed at the step %s: a member, or standalone as before",
  async (step) => {
    const node = await standalone(`cre-${step}`);
    const killed = stepReached(node.paths.operationDir, step).then(() => node.signal("SIGKILL"));
    // Follows until the end, over the kill and the start.
    const creating = node.run("create", "prod", "--link0", node.address);
    await killed;
    await node.ended();
    node.start();
    await node.statusWhen(() => true, "started again");
    const outcome = await creating;
    const files = new OperationFiles(node.paths.operationDir);
    await until(
      () => {
        const found = files.record();
        return found.ok && found.value === undefined ? ready(true) : pending("still a record");
      },
      60_000,
      "the operation has ended",
    );
    const status = await node.statusWhen(({ tree }) => tree.writable, "writable");
    if (status.mode === "cluster") {
      // 3: killed before it was told which task it is.
      const codes = ["choose", "key"].includes(step) ? [0, 3] : [0];
      expect([outcome, codes.includes(outcome.code)]).toEqual([outcome, true]);
      expect(status.cluster.name).toBe("prod");
      expect(existsSync(node.paths.authkey)).toBe(true);
    } else {
      expect(step === "choose" ? [1, 3] : [1]).toContain(outcome.code);
      expect(existsSync(node.paths.authkey)).toBe(false);
      expect(existsSync(node.paths.conf)).toBe(false);
      await expect(node.client.read("corosync.conf")).rejects.toThrow("ENOENT");
    }
    expect(readFileSync(`${node.root}/log`, "utf8")).not.toContain("by hand");
    await node.stop();
  },
  180_000,
);
