// A node without a cluster, as a process: what it serves, what it binds, and how it becomes a member when a corosync.conf is there.
import { afterEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Database } from "bun:sqlite";
import { LoneNode } from "./lone-node.ts";

const nodes: LoneNode[] = [];

function lone(name: string): LoneNode {
  const node = new LoneNode(name);
  nodes.push(node);
  return node;
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

const conf = (node: LoneNode): string =>
  `totem {\nversion: 2\ncluster_name: t\nconfig_version: 1\nsecauth: on\n}\nquorum {\nprovider: corosync_votequorum\n}\nnodelist {\nnode {\nname: ${node.name}\nnodeid: 1\nring0_addr: ${node.address}\n}\n}\n`;

const writeKey = ({ paths }: LoneNode): void => {
  mkdirSync(dirname(paths.authkey), { recursive: true });
  writeFileSync(paths.authkey, crypto.getRandomValues(new Uint8Array(256)), { mode: 0o400 });
};

const isStandalone = ({ mode }: { mode: string }): boolean => mode === "standalone";
const text = async (node: LoneNode, path: string): Promise<string> =>
  new TextDecoder().decode(await node.client.read(path));

/** Local ports of the UDP sockets that a process has. */
function udpPorts(pid: number): number[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // Closed meanwhile.
      }
    }),
  );
  return ["udp", "udp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "latin1")
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => own.has(words[9] ?? ""))
      .map((words) => Number.parseInt(words[1]?.split(":")[1] ?? "", 16)),
  );
}

test("from an empty root: standalone, writable, with its own directories and no ring", async () => {
  const node = lone("solo1");
  node.start();
  const status = await node.statusWhen(isStandalone, "standalone");
  expect(status).toMatchObject({
    mode: "standalone",
    node: { name: "solo1", nodeid: 0 },
    cluster: { name: "", configVersion: 0 },
    quorum: { quorate: true },
    tree: { mode: "local", writable: true },
    nodes: [{ name: "solo1", local: true, member: true }],
  });
  expect(udpPorts(node.pid)).toEqual([]);

  const members = JSON.parse(await text(node, ".members"));
  expect(Object.keys(members)).toEqual(["nodename", "version"]);
  expect(members.nodename).toBe("solo1");
  await node.client.put("nodes/solo1/qemu-server/100.conf", new TextEncoder().encode("a: b\n"));
  expect(JSON.parse(await text(node, ".vmlist")).ids["100"].node).toBe("solo1");
  for (const each of ["lxc", "qemu-server", "openvz", "priv"]) {
    expect(await node.client.typeOf(`nodes/solo1/${each}`)).toBe("directory");
  }
  await node.client.log({ tag: "test", priority: 6, message: "alone" });
  expect(await text(node, ".clusterlog")).toContain("alone");

  const shown = await node.run("status");
  expect(shown.code).toBe(0);
  expect(shown.out).toStartWith("solo1, standalone (in no cluster)\n");
  expect(shown.out).not.toContain("Ring");
  const reload = await node.run("reload");
  expect(reload.code).toBe(1);
  expect(reload.error).toContain("this node is standalone: it is in no cluster");
  // What changes a cluster says the same, and what to do.
  for (const line of ["expected 1 --yes", "remove pve2 --yes", "qdevice remove"]) {
    expect({ line, ...(await node.run(...line.split(" "))) }).toEqual({
      line,
      code: 1,
      out: "",
      error:
        "quorate: this node is standalone: it is in no cluster. Create one (quorate create NAME), or join one (quorate join TOKEN)\n",
    });
  }
  expect(await node.stop()).toBe(0);
  const database = new Database(join(node.paths.treeDir, "config.db"), { readonly: true });
  const writers = database.query("SELECT DISTINCT writer FROM tree").values();
  database.close();
  expect(writers).toEqual([[0]]);
}, 120_000);

test("a corosync.conf in the tree makes it a member at its next start, never without a key", async () => {
  const node = lone("solo2");
  node.start();
  await node.statusWhen(isStandalone, "standalone");
  await node.client.put("precious", new TextEncoder().encode("kept\n"));
  const content = new TextEncoder().encode(conf(node));
  await expect(node.client.put("corosync.conf", content)).rejects.toThrow(
    "the key could not be read",
  );
  await node.client.put("corosync.conf", content, true);
  await node.stop();

  node.start();
  expect(await node.ended()).toBe(8);
  expect(node.log()).toContain("has the corosync.conf of a cluster");
  expect(node.log().trim().split("\n").at(-1)).toContain("the key could not be read");
  expect(existsSync(node.paths.conf)).toBe(false);

  writeKey(node);
  node.start();
  const member = await node.statusWhen(
    ({ tree }) => tree.mode === "synced" && tree.writable,
    "a member",
  );
  expect(member).toMatchObject({ mode: "cluster", cluster: { name: "t" }, node: { nodeid: 1 } });
  expect(readFileSync(node.paths.conf, "utf8")).toBe(conf(node));
  expect(await text(node, "precious")).toBe("kept\n");
  expect(await node.stop()).toBe(0);
}, 120_000);

test("files of a cluster that are laid beside an unused standalone node make it a member", async () => {
  const node = lone("solo3");
  node.start();
  await node.statusWhen(isStandalone, "standalone");
  await node.stop();
  writeKey(node);
  writeFileSync(node.paths.conf, conf(node));
  node.start();
  await node.statusWhen(({ tree }) => tree.mode === "synced" && tree.writable, "a member");
  expect(await text(node, "corosync.conf")).toBe(conf(node));
  expect(await node.stop()).toBe(0);
}, 120_000);
