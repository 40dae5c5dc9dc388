// pvecm on a running cluster: the texts and exit codes of the original (pvecm.md §1.15), towards our nodes; and what it refuses.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { pvecm as runPvecm } from "../../src/shell/tool/pvecm/pvecm.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const died = 255;
const notClustered =
  "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?\n";
let cluster: ReloadCluster;
beforeEach(() => {
  cluster = new ReloadCluster();
});
afterEach(() => cluster.close());

async function pvecm(nodeid: number, line: string, input: readonly string[] = []) {
  let [out, error] = ["", ""];
  const code = await runPvecm({
    root: cluster.root(nodeid),
    args: line.split(" "),
    write: (text) => void (out += text),
    writeError: (text) => void (error += text),
    now: () => new Date(2026, 2, 9, 10, 0, 0),
    input: pieces(input),
  });
  return { code, out, error };
}

async function* pieces(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

async function started(...nodes: readonly number[]): Promise<void> {
  const conf = cluster.conf({ version: 3, nodes });
  for (const nodeid of nodes) cluster.start(nodeid, conf);
  await cluster.all(nodes, (s) => s.ring.members.length === nodes.length && s.tree.writable);
}

test("status, nodes, expected and delnode of three nodes, as the original prints them", async () => {
  await started(1, 2, 3);
  const ring = (await cluster.client(1).status()).ring.id;
  const status = await pvecm(1, "status");
  const address = (nodeid: number): string => cluster.address(nodeid);
  expect(status).toEqual({
    code: 0,
    error: "",
    out: `Cluster information
-------------------
Name:             reload
Config Version:   3
Transport:        knet
Secure auth:      on

Quorum information
------------------
Date:             Mon Mar  9 10:00:00 2026
Quorum provider:  corosync_votequorum
Nodes:            3
Node ID:          0x00000001
Ring ID:          ${ring}
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   3
Highest expected: 3
Total votes:      3
Quorum:           2${"  "}
Flags:            Quorate${" "}

Membership information
----------------------
    Nodeid      Votes Name
0x00000001          1 ${address(1)} (local)
0x00000002          1 ${address(2)}
0x00000003          1 ${address(3)}
`,
  });
  expect(await pvecm(1, "nodes")).toEqual({
    code: 0,
    error: "",
    out: `
Membership information
----------------------
    Nodeid      Votes Name
         1          1 n1 (local)
         2          1 n2
         3          1 n3
`,
  });
  expect(await pvecm(1, "expected 9")).toMatchObject({ code: 1 });
  expect(await pvecm(1, "expected 3")).toEqual({ code: 0, out: "", error: "" });
  expect(await pvecm(1, "delnode n1")).toEqual({
    ...{ code: died, out: "", error: "Cannot delete myself from cluster!\n" },
  });
  expect(await pvecm(1, "delnode x")).toEqual({
    ...{ code: died, out: "", error: "Node/IP: x is not a known host of the cluster.\n" },
  });
  await cluster.stop(3);
  await cluster.status(1, (s) => s.ring.members.length === 2);
  expect(await pvecm(1, `delnode ${address(3)}`)).toEqual({
    code: 0,
    out: "Killing node 3\n",
    error: "Could not kill node (error = CS_ERR_NOT_EXIST)\n",
  });
  await cluster.stop(2);
  const alone = await pvecm(1, "stat");
  expect(alone.code).toBe(2);
  expect(alone.out).toContain("Quorum:           2 Activity blocked\nFlags:            \n");
  expect(await pvecm(1, "delnode n2")).toEqual({
    ...{ code: died, out: "", error: "cluster not ready - no quorum?\n" },
  });
  expect(await pvecm(1, "mtunnel")).toEqual({ code: 0, out: "no quorum\n", error: "" });
  await cluster.stop(1);
  const gone = await pvecm(1, "status");
  expect(gone).toMatchObject({ code: 1, error: "Cannot initialize CMAP service\n" });
  expect(gone.out).toStartWith("Cluster information\n");
}, 200_000);

test("a node that is in no cluster; keygen, updatecerts, mtunnel", async () => {
  for (const command of ["status", "nodes", "expected 1"]) {
    expect(await pvecm(1, command)).toEqual({ code: died, out: "", error: notClustered });
  }
  expect((await pvecm(1, "delnode n2")).error).toContain("no node answers");
  const path = join(cluster.root(1), "new/dir/authkey");
  mkdirSync(cluster.root(1), { recursive: true });
  if (process.getuid?.() === 0) {
    const made = await pvecm(1, `keygen ${path}`);
    expect(made.code).toBe(0);
    expect(made.out).toContain(`Writing corosync key to ${path}.\n`);
    expect([readFileSync(path).length, statSync(path).mode & 0o777]).toEqual([256, 0o400]);
    expect(await pvecm(1, `keygen ${path}`)).toMatchObject({
      ...{ code: died, error: `key file '${path}' already exists\n` },
    });
  }

  await started(1);
  const certificate = (): Promise<Uint8Array> => cluster.client(1).read("nodes/n1/pve-ssl.pem");
  expect((await pvecm(1, "updatecerts")).code).toBe(0);
  const before = await certificate();
  const forced = await pvecm(1, "updatecerts --force");
  expect(forced.out).toContain("generate new node certificate\n");
  expect(Buffer.from(await certificate()).equals(before)).toBe(false);

  expect(await pvecm(1, "mtunnel", ["he", "llo\nqu", "it\n"])).toEqual({
    ...{ code: 0, out: "tunnel online\n", error: "" },
  });
  expect((await pvecm(1, "mtunnel --get_migration_ip")).out).toBe("no ip\n");
  const local = await pvecm(1, "mtunnel --get_migration_ip --migration_network 127.0.0.0/8");
  expect(local.out).toBe("ip: '127.0.0.1'\n");
  await cluster
    .client(1)
    .put("datacenter.cfg", new TextEncoder().encode("migration: secure,network=203.0.113.0/24\n"));
  expect(await pvecm(1, "mtunnel --get_migration_ip")).toMatchObject({
    ...{
      code: died,
      error:
        "could not get migration ip: no IP address configured on local node for network '203.0.113.0/24'\n",
    },
  });
  expect(await pvecm(1, "mtunnel --get_migration_ip --run-command")).toMatchObject({
    ...{ code: died, error: "cannot use --run-command with --get_migration_ip\n" },
  });
  expect(await pvecm(1, "mtunnel --run-command")).toMatchObject({
    code: died,
    error: "missing command\n",
  });

  const file = join(cluster.root(1), "received");
  writeFileSync(join(cluster.root(1), "take.sh"), `cat > ${file}\n`);
  let printed = "";
  const running = runPvecm({
    root: cluster.root(1),
    args: `mtunnel --run-command --migration_network 127.0.0.0/8 -- sh ${join(cluster.root(1), "take.sh")}`.split(
      " ",
    ),
    write: (text) => {
      printed += text;
      const [address = "", port = ""] = printed.split("\n");
      const socket = connect({ host: address, port: Number(port) }, () => socket.end("state"));
    },
    writeError: () => undefined,
  });
  expect(await running).toBe(0);
  expect(readFileSync(file, "utf8")).toBe("state");
  expect(existsSync(nodePaths(cluster.root(1)).conf)).toBe(true);
}, 120_000);
