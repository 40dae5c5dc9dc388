// `pvecm qdevice` on a running cluster: the original's words and exit codes, root's ssh to the server as it was, or a token instead; and
// what it refuses. The ssh of this test runs its commands on this machine, in the server's own directories.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pvecm as runPvecm } from "../../src/shell/tool/pvecm/pvecm.ts";
import { inviteCommand } from "../../src/shell/command/qnetd-invite.ts";
import { decodeToken } from "../../src/qnetd/enrol/enrolment-token.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const program = join(import.meta.dir, "../interop/qnetd/program.ts");
const setupUsage = "pvecm qdevice setup <address> [OPTIONS]\n";
let cluster: ReloadCluster;

beforeEach(() => {
  cluster = new ReloadCluster();
});
afterEach(() => cluster.close());

async function pvecm(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  let out = "";
  let error = "";
  const script = join(cluster.folder, "ssh");
  const keyFile = join(cluster.folder, "id_rsa.pub");
  writeFileSync(
    script,
    `root="${cluster.serverRoot}"\nline=$(printf %s "$2" | sed -e "s#/etc/corosync/qnetd#$root/etc/corosync/qnetd#g" -e "s#corosync-qnetd-certutil#${process.execPath} ${program} --root $root corosync-qnetd-certutil#")\nexec sh -c "$line"\n`,
  );
  const code = await runPvecm({
    root: cluster.root(1),
    args: ["qdevice", ...args],
    write: (text) => void (out += text),
    writeError: (text) => void (error += text),
    programs: {
      ...{ ssh: ["sh", script], copyId: ["sh", "-c", 'test -e "$1"', "sh", keyFile] },
      ...{ keyFile, makeKey: ["sh", "-c", 'echo key >>"$1"', "sh", keyFile] },
    },
  });
  return { code, out, error };
}

test("setup by address and by token, remove, and every refusal in the original's words", async () => {
  const address = cluster.address(200);
  await cluster.startServer("on", 5403);
  const conf = cluster.conf({ version: 1, nodes: [1, 2] });
  for (const nodeid of [1, 2]) cluster.start(nodeid, conf);
  await cluster.all([1, 2], (s) => s.ring.members.length === 2 && s.tree.writable);

  expect(await pvecm("remove")).toEqual({ code: 255, out: "", error: "No QDevice configured!\n" });
  const done = await pvecm("setup", address, "--network", "10.0.0.0/8");
  expect(done).toEqual({
    code: 0,
    out: [
      "INFO: initializing qnetd server",
      "INFO: copying CA cert and initializing on all nodes",
      "INFO: generating cert request",
      "INFO: copying exported cert request to qnetd server",
      "INFO: sign and export cluster cert",
      "INFO: copy exported CRT",
      "INFO: import certificate",
      "INFO: copy and import pk12 cert to all nodes",
      "INFO: add QDevice to cluster configuration",
      ...["", "INFO: start and enable corosync qdevice daemon on node 'n1'..."],
      ...["", "INFO: start and enable corosync qdevice daemon on node 'n2'..."],
      ...["Reloading corosync.conf...", "Done", ""],
    ].join("\n"),
    error: "",
  });
  const written = Buffer.from(await cluster.client(2).read("corosync.conf")).toString();
  expect(written).toContain(
    `  device {\n    model: net\n    net {\n      algorithm: ffsplit\n      host: ${address}\n      tls: on\n    }\n    votes: 1\n  }\n`,
  );
  await cluster.all([1, 2], (s) => s.quorum.totalVotes === 3 && s.device?.tls.active === true);

  expect(await pvecm("setup", address)).toMatchObject({
    code: 255,
    error: "QDevice already configured!\n",
  });
  expect(await pvecm("setup", address, "-force")).toMatchObject({
    code: 255,
    error: "Qdevice already configured, must be removed before setting up new one!\n",
  });
  expect(await pvecm("rem")).toEqual({
    code: 0,
    out: "Reloading corosync.conf...\nDone\n\nRemoved Qdevice.\n",
    error: "",
  });

  mkdirSync(`${nodePaths(cluster.root(1)).deviceDir}/nssdb`, { recursive: true });
  expect(await pvecm("setup", address)).toMatchObject({
    code: 255,
    error: "QDevice certificate store already initialised, set force to delete!\n",
  });
  const token = await invitation(address);
  const again = await pvecm("setup", token, "--force");
  expect(again).toMatchObject({ code: 0, error: "" });
  expect(again.out).toStartWith("INFO: generating cert request\nINFO: sign and export");
  await cluster.all([1, 2], (s) => s.quorum.totalVotes === 3);
  expect(await pvecm("setup", token, "--force=0")).toMatchObject({ code: 255 });
  expect((await pvecm("remove")).code).toBe(0);

  await cluster.stop(2);
  await cluster.status(1, (s) => s.ring.members.length === 1);
  expect(await pvecm("setup", address)).toMatchObject({
    code: 255,
    error: "All nodes must be online! Node n2 is offline, aborting.\n",
  });
}, 150_000);

test("what is wrong with the command line", async () => {
  const verified = "400 Parameter verification failed.\n";
  expect(await pvecm("setup")).toEqual({
    code: 255,
    out: "",
    error: `400 not enough arguments\n${setupUsage}`,
  });
  expect((await pvecm("setup", "a", "b")).error).toBe(`400 too many arguments\n${setupUsage}`);
  expect((await pvecm("remove", "x")).error).toBe("400 too many arguments\npvecm qdevice remove\n");
  expect((await pvecm("setup", "host.example")).error).toBe(
    `${verified}address: invalid format - value does not look like a valid IP address\n${setupUsage}`,
  );
  expect((await pvecm("setup", "10.0.0.1", "--network=10.0.0.0", "-f=x")).error).toBe(
    `${verified}force: type check ('boolean') failed - got 'x'\nnetwork: invalid format - value does not look like a valid CIDR network\n${setupUsage}`,
  );
  expect((await pvecm("setup", "10.0.0.1", "--bogus")).error).toBe(
    `Unknown option: bogus\n400 unable to parse option\n${setupUsage}`,
  );
  expect((await pvecm("setup", "--address", "10.0.0.1")).error).toContain("no node answers");
  expect((await pvecm()).error).toStartWith("ERROR: no command specified\nUSAGE: pvecm qdevice");
  expect((await pvecm("frob")).error).toStartWith("ERROR: unknown command 'pvecm qdevice frob'\n");
});

async function invitation(address: string): Promise<string> {
  let text = "";
  await inviteCommand({
    directory: join(cluster.serverRoot, "etc/corosync/qnetd/nssdb"),
    server: { address, port: 5403, tls: "on", uid: undefined },
    verb: { kind: "invite", cluster: "reload" },
    ...{ addresses: [], port: undefined, lifetimeMs: undefined, json: false, letServerSign: false },
    write: (piece) => void (text += piece),
    note: () => undefined,
    now: () => Date.now(),
  });
  const token = text.trim().split(" ").at(-1) ?? "";
  expect(decodeToken(token).ok).toBe(true);
  return token;
}
