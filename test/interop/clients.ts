// Clients of Proxmox's API that were not written here, unmodified, against three quorate nodes: the npm package proxmox-api under Node, and Debian's
// python3-proxmoxer. Each logs in and is refused, reads the cluster, follows a task on another node, makes a user with a right and a
// token, uses both at other nodes, and takes them back. One line a client, then "N passed, N failed".
//   bun test/interop/clients.ts [--binary FILE]
// Without root or python3-proxmoxer it says "skipped: …" and exits 0; with QUORATE_CI=1 that is a failure.
import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { reasonOf } from "../../src/result.ts";
import { Lab, type LabNode, runLabs, showLogs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { pending, ready, until } from "./wait.ts";

const password = "secret";
/** Of it. */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
const readyMs = 120_000;
const clientMs = 300_000;
/** Debian's own: the package is there for no other. */
const python = "/usr/bin/python3";
const scripts = join(import.meta.dir, "clients");

const rows = v.array(v.record(v.string(), v.unknown()));
const fields = v.record(v.string(), v.unknown());
/** What both scripts print. */
const saidSchema = v.object({
  ...{ wrongPassword: v.string(), wrongParameter: v.string(), unknownPath: v.string() },
  ...{ version: fields, status: rows, resources: rows, nodes: rows, join: fields, options: fields },
  ...{ nodeStatus: v.record(v.string(), fields), configNodes: rows },
  ...{ task: fields, taskLog: rows, tasks: rows, nodeTasks: rows, log: rows },
  ...{ users: rows, tokens: rows, roles: rows, ownPermissions: v.record(v.string(), fields) },
  ...{ ownForbidden: v.string(), tokenStatus: rows, tokenForbidden: v.string() },
  ...{ tokenRevoked: v.string(), userGone: v.string() },
});
type Said = v.InferOutput<typeof saidSchema>;

interface Client {
  readonly name: string;
  readonly user: string;
  readonly command: (authority: string, addresses: readonly string[]) => readonly string[];
}

const clients: readonly Client[] = [
  {
    name: "proxmox-api (npm)",
    user: "node@pve",
    command: (authority, addresses) => [
      ...["env", `NODE_EXTRA_CA_CERTS=${authority}`, "node"],
      ...[join(scripts, "proxmox-api-client.mjs"), password, ...addresses],
    ],
  },
  {
    name: "python3-proxmoxer (Debian)",
    user: "snake@pve",
    command: (authority, addresses) => [
      ...[python, join(scripts, "proxmoxer-client.py"), authority, password, ...addresses],
    ],
  },
];

/** All nodes are one cluster and show a certificate of its authority, whose file this answers. */
async function started(lab: Lab): Promise<string> {
  for (const node of lab.nodes) {
    writeFileSync(join(node.root, "etc/shadow"), `root:${hash}:19000:0:99999:7:::\n`);
  }
  lab.startAll();
  const [first] = lab.nodes;
  if (first === undefined) throw new Error("a laboratory has a node");
  const authority = lab.file("authority.pem");
  await until(
    async () => {
      const text = await nodeClient(first.root)
        .read("pve-root-ca.pem")
        .catch((error: unknown) => reasonOf(error));
      if (typeof text === "string") return pending(text);
      writeFileSync(authority, text);
      return ready(undefined);
    },
    readyMs,
    "the cluster has an authority",
  );
  for (const node of lab.nodes)
    await until(() => answers(first, node, authority), readyMs, node.name);
  return authority;
}

/** Its certificate is judged: the one of the beginning is its own. */
async function answers(from: LabNode, node: LabNode, authority: string) {
  const url = `https://${node.address}:8006/api2/json/access/ticket`;
  const asked = await from.exec(["curl", "--silent", "--show-error", "--cacert", authority, url]);
  return asked.code === 0
    ? ready(undefined)
    : pending(`${asked.stderr}\n${node.log().slice(-500)}`);
}

async function played(lab: Lab, authority: string, client: Client): Promise<void> {
  const [first] = lab.nodes;
  if (first === undefined) throw new Error("a laboratory has a node");
  const command = client.command(
    authority,
    lab.nodes.map(({ address }) => address),
  );
  const { code, stdout, stderr } = await first.exec(command, { deadlineMs: clientMs });
  if (code !== 0) throw new Error(`it ended with ${code}:\n${stdout}${stderr}`);
  const said = v.parse(saidSchema, JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
  checkReads(lab, said);
  checkTask(said);
  checkUsers(said, client.user);
}

const named = (all: Said["nodes"], key: string): readonly unknown[] =>
  all.map((row) => row[key]).toSorted();

function checkReads(lab: Lab, said: Said): void {
  const names = lab.nodes.map(({ name }) => name);
  match(said.wrongPassword, /authentic/i);
  match(String(said.version["version"]), /^9\.\d/);
  const cluster = said.status.find(({ type }) => type === "cluster");
  equal([cluster?.["nodes"], cluster?.["quorate"]], [3, 1]);
  const members = said.status.filter(({ type }) => type === "node");
  equal(named(members, "name"), names);
  ok(members.every(({ online }) => online === 1));
  equal(named(said.nodes, "node"), names);
  ok(said.nodes.every(({ status }) => status === "online"));
  equal(named(said.resources, "node"), names);
  ok(said.resources.every(({ type }) => type === "node"));
  equal(named(said.configNodes, "node"), names);
  for (const status of Object.values(said.nodeStatus)) ok(Number(status["uptime"]) > 0);
  equal(named(v.parse(rows, said.join["nodelist"]), "name"), names);
  ok(!JSON.stringify(said.join).includes("PRIVATE"));
  match(said.wrongParameter, /400.*Parameter verification failed/s);
  match(said.unknownPath, /501/);
}

function checkTask({ task, taskLog, tasks, nodeTasks, log }: Said): void {
  equal([task["status"], task["exitstatus"], task["node"]], ["stopped", "OK", "n2"]);
  match(JSON.stringify(taskLog), /TASK OK/);
  for (const list of [tasks, nodeTasks]) {
    ok(list.some(({ upid }) => upid === task["upid"]));
  }
  ok(log.some(({ msg }) => /successful auth for user 'root@pam'/.test(String(msg))));
}

function checkUsers(said: Said, user: string): void {
  ok(said.users.some(({ userid }) => userid === "root@pam"));
  ok(
    said.users.some(({ userid, comment }) => userid === user && comment === "of a foreign client"),
  );
  equal(named(said.tokens, "tokenid"), ["ci"]);
  equal(said.tokens[0]?.["comment"], "for scripts");
  ok(said.roles.some(({ roleid }) => roleid === "PVEAuditor"));
  equal(said.ownPermissions["/"]?.["Sys.Audit"], 1);
  match(said.ownForbidden, /403/);
  ok(said.tokenStatus.some(({ type }) => type === "cluster"));
  match(said.tokenForbidden, /403/);
  match(said.tokenRevoked, /401/);
  match(said.userGone, /401/);
}

async function main(words: readonly string[]): Promise<number> {
  const obstacle = obstacleTo(["curl", "node"]);
  if (obstacle !== undefined) return skipped(obstacle);
  for (const name of ["proxmoxer", "requests"]) {
    const isThere = existsSync(`/usr/lib/python3/dist-packages/${name}`);
    if (!isThere) return skipped(`python3-${name} not installed`);
  }
  const at = words.indexOf("--binary");
  const lab = await Lab.create({
    kinds: ["quorate", "quorate", "quorate"],
    ...{ crypto: "aes", tokenMs: 10_000, hasApi: true },
    quorate: quorateProgram(at < 0 ? undefined : words[at + 1]),
  });
  const count = { passed: 0, failed: 0 };
  try {
    const authority = await started(lab);
    for (const client of clients) {
      const begun = performance.now();
      try {
        await played(lab, authority, client);
        count.passed += 1;
        console.log(`ok   ${client.name} ${Math.round(performance.now() - begun)} ms`);
      } catch (error) {
        count.failed += 1;
        console.log(`FAIL ${client.name}: ${error instanceof Error ? error.stack : String(error)}`);
        showLogs(lab);
      }
    }
  } finally {
    await lab.close();
  }
  console.log(`${count.passed} passed, ${count.failed} failed`);
  return count.failed === 0 && count.passed > 0 ? 0 : 1;
}

await runLabs(() => main(process.argv.slice(2)));
