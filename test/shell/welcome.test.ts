// `quorate` alone: what it sees of a machine (a root of its own, real sockets), what it says, and that the commands it names exist.
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { nodeStatus } from "../../src/shell/api/status.ts";
import { commandTable } from "../../src/shell/cli/verbs.ts";
import { welcomeCommand } from "../../src/shell/welcome/welcome.ts";
import { machineFacts, type MachineFacts, originalsIn } from "../../src/shell/welcome/facts.ts";
import { nextSteps, welcomeText } from "../../src/shell/welcome/text.ts";
import { healthyCluster } from "../double/map-cluster.ts";

const identity = {
  version: "1.2.3",
  commit: "abc",
  target: "linux-x64",
  bun: "1",
  releaseKeys: [],
  isDevelopment: false,
};
const base = mkdtempSync(join(tmpdir(), "quorate-welcome-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const bare: MachineFacts = {
  host: "box",
  node: { kind: "absent" },
  server: { kind: "absent" },
  originals: [],
  hasConf: false,
  cluster: "",
  isProxmox: false,
  manager: "none",
  services: [],
};
const node: MachineFacts["node"] = {
  kind: "runs",
  name: "pve1",
  isStandalone: false,
  cluster: "home",
  isQuorate: true,
  quorumMeaning: "quorate: 3 of 3 votes present, 2 needed; 1 more may be lost",
  nodeCount: 3,
  hasDevice: false,
};
const server: MachineFacts["server"] = {
  kind: "runs",
  address: "*",
  port: 5403,
  clusterCount: 1,
  nodeCount: 2,
  warningCount: 0,
};

const situations: readonly (readonly [string, Partial<MachineFacts>, readonly string[]])[] = [
  ["nothing", {}, ["quorate qnetd", "quorate qnetd invite CLUSTER", "quorate node"]],
  [
    "the service of a vote server, stopped",
    { manager: "systemd", services: ["quorate-qnetd"] },
    ["systemctl start quorate-qnetd", "quorate qnetd invite CLUSTER", "quorate install node"],
  ],
  [
    "the service of a node under OpenRC, stopped",
    { manager: "openrc", services: ["quorate-node"], hasConf: true, cluster: "home" },
    ["rc-service quorate-node start", "quorate status", "quorate install qnetd"],
  ],
  [
    "nothing, but systemd",
    { manager: "systemd" },
    ["quorate install qnetd", "quorate qnetd invite CLUSTER", "quorate install node"],
  ],
  [
    "a configuration",
    { hasConf: true, cluster: "home" },
    ["quorate node", "quorate status", "quorate qnetd"],
  ],
  [
    "a standalone node",
    { node: { ...node, cluster: "", isStandalone: true, nodeCount: 1 } },
    ["quorate create NAME", "quorate join TOKEN", "quorate status"],
  ],
  ["a node of three", { node }, ["quorate status --watch", "quorate fs ls", "quorate reload"]],
  [
    "a node of two",
    { node: { ...node, nodeCount: 2 } },
    ["quorate qdevice setup TOKEN", "quorate status --watch", "quorate fs ls"],
  ],
  [
    "a node of two with a vote server",
    { node: { ...node, nodeCount: 2, hasDevice: true } },
    ["quorate status --watch", "quorate fs ls", "quorate reload"],
  ],
  [
    "a node that is not quorate",
    { node: { ...node, isQuorate: false } },
    ["quorate status", "quorate fs ls", "quorate reload"],
  ],
  [
    "a node of another user",
    { node: { kind: "forbidden" }, manager: "systemd", services: ["quorate-node"] },
    ["sudo quorate status", "journalctl -u quorate-node", "quorate man"],
  ],
  [
    "a vote server",
    { server },
    ["quorate qnetd status", "quorate node", "quorate qnetd invite CLUSTER"],
  ],
  [
    "a vote server that nobody uses",
    { server: { ...server, clusterCount: 0, nodeCount: 0 } },
    ["quorate qnetd status", "quorate qnetd invite CLUSTER", "quorate node"],
  ],
  [
    "a Proxmox node",
    { originals: ["corosync", "pmxcfs"], hasConf: true, cluster: "home", isProxmox: true },
    ["quorate qnetd", "pvecm qdevice setup ADDRESS", "pvecm status"],
  ],
  [
    "corosync alone",
    { originals: ["corosync"], hasConf: true, cluster: "home" },
    [
      "quorate qnetd",
      "corosync-qdevice-net-certutil -Q -n CLUSTER ADDRESS NODE...",
      "corosync-quorumtool -s",
    ],
  ],
  [
    "an original vote server",
    { server: { kind: "original" }, originals: ["corosync-qnetd"], manager: "systemd" },
    ["corosync-qnetd-tool -l", "systemctl disable --now corosync-qnetd", "quorate qnetd"],
  ],
];

describe("the three likely next commands", () => {
  test.each(situations)("%s", (_, facts, commands) => {
    expect(nextSteps({ ...bare, ...facts }).map(({ command }) => command)).toEqual([...commands]);
  });

  const kinds = ["absent", "forbidden", "silent"] as const;
  const anyFacts: fc.Arbitrary<MachineFacts> = fc.record({
    host: fc.string(),
    node: fc.oneof(
      fc.record({ kind: fc.constantFrom(...kinds) }),
      fc.record({
        kind: fc.constant("runs" as const),
        name: fc.string(),
        isStandalone: fc.boolean(),
        cluster: fc.string(),
        isQuorate: fc.boolean(),
        quorumMeaning: fc.constant("quorate"),
        nodeCount: fc.integer({ min: 1, max: 9 }),
        hasDevice: fc.boolean(),
      }),
    ),
    server: fc.oneof(
      fc.record({ kind: fc.constantFrom(...kinds, "original" as const) }),
      fc.record({
        kind: fc.constant("runs" as const),
        address: fc.constant("*"),
        port: fc.nat(),
        clusterCount: fc.nat(3),
        nodeCount: fc.nat(3),
        warningCount: fc.nat(3),
      }),
    ),
    originals: fc.subarray(["corosync", "pmxcfs", "corosync-qdevice", "corosync-qnetd"]),
    hasConf: fc.boolean(),
    cluster: fc.string(),
    isProxmox: fc.boolean(),
    manager: fc.constantFrom("systemd", "openrc", "none"),
    services: fc.subarray(["quorate-node", "quorate-qnetd"]),
  });

  test("are three at most, no two alike, and those of quorate are in its table", () => {
    const commands = commandTable().commands.map(({ name }) => name);
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const steps = nextSteps(facts);
        expect(steps.length).toBeGreaterThan(0);
        expect(steps.length).toBeLessThanOrEqual(3);
        expect(new Set(steps.map(({ command }) => command)).size).toBe(steps.length);
        for (const { command, why } of steps) {
          expect(why).not.toBe("");
          const [, name] = /^(?:sudo )?quorate (\S+)/.exec(command) ?? [];
          if (name !== undefined) expect(commands).toContain(name);
        }
        // A node beside corosync would fight with it.
        if (facts.originals.includes("corosync")) {
          expect(steps.map(({ command }) => command)).not.toContain("quorate node");
        }
      }),
    );
  });

  test("no name from outside steers the terminal", () => {
    const text = welcomeText(identity, {
      ...bare,
      hasConf: true,
      cluster: "a\u001b[2Jb\n\u202ec",
    });
    expect(text).toContain('cluster "a?[2Jb??c"');
    expect(text).not.toContain("\u001b");
  });
});

test("the whole text", () => {
  const facts: MachineFacts = {
    ...bare,
    server,
    originals: ["corosync"],
    isProxmox: true,
    hasConf: true,
    cluster: "home",
  };
  expect(welcomeText(identity, facts))
    .toBe(`quorate 1.2.3 (linux-x64): a Proxmox-style cluster in one file.

On box:
  Node         does not run; corosync.conf of cluster "home" is here
  Vote server  runs on *:5403: 1 cluster, 2 nodes connected
  Originals    corosync runs; \`quorate node\` would use the same ports and files: not beside them

Next:
  quorate qnetd status         who is connected, and why each vote
  pvecm qdevice setup ADDRESS  then here, with that machine's address (package corosync-qdevice)
  pvecm status                 the votes, a Qdevice among them

\`quorate --help\` lists all commands.
`);
});

describe("what it sees", () => {
  let count = 0;
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  function machine(): {
    readonly root: string;
    readonly proc: string;
    readonly patienceMs: number;
  } {
    count += 1;
    const root = join(base, String(count));
    mkdirSync(join(root, "proc", "self", "ns"), { recursive: true });
    return { root, proc: join(root, "proc"), patienceMs: 500 };
  }

  function write(root: string, path: string, text = ""): void {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }

  async function serveTool(root: string, answer: (question: string) => string): Promise<void> {
    const path = join(root, "var/run/corosync-qnetd/corosync-qnetd.sock");
    mkdirSync(dirname(path), { recursive: true });
    const { promise, resolve } = Promise.withResolvers<void>();
    const listener: Server = createServer((socket) =>
      socket.once("data", (bytes) => socket.end(answer(bytes.toString()))),
    );
    listener.listen(path, resolve);
    await promise;
    closing.push(() => listener.close());
  }

  function serveNode(root: string, told: unknown): void {
    mkdirSync(join(root, "run"), { recursive: true });
    const listener = Bun.serve({
      unix: join(root, "run/quorate.sock"),
      fetch: () => Response.json(told),
    });
    closing.push(() => listener.stop(true));
  }

  const status = nodeStatus({
    ...{ version: "1.2.3", mode: "cluster", cluster: healthyCluster(), pid: 7, startedAt: 1 },
    tree: () => ({
      ...{ mode: "synced", writable: true, reason: "", version: 1, entries: 1, bytes: 0 },
      ...{ digest: "", writes: 0, members: [1, 2, 3] },
    }),
    confWarning: async () => "",
    networkFaults: () => [],
    membershipFault: () => "",
    upgrade: () => undefined,
    mount: () => ({ target: "", reason: "" }),
    operations: () => ({ faults: [] }),
  });

  test("an empty machine", async () => {
    const { host, ...facts } = await machineFacts(machine());
    const { host: _, ...expected } = bare;
    expect(host).not.toBe("");
    expect(facts).toEqual(expected);
  });

  test("a node and a vote server that answer", async () => {
    const here = machine();
    const told = await status;
    serveNode(here.root, told);
    await serveTool(here.root, (question) => {
      expect(question).toContain("snapshot");
      return `OK\n${JSON.stringify({
        clusters: [{}, {}],
        clustersLeftOut: 3,
        clients: 10,
        warnings: ["one"],
        server: { address: "*", port: 5403 },
      })}\n`;
    });
    const facts = await machineFacts(here);
    expect(facts.node).toEqual({
      kind: "runs",
      name: told.node.name,
      isStandalone: false,
      cluster: told.cluster.name,
      isQuorate: true,
      quorumMeaning: told.quorum.meaning,
      nodeCount: 3,
      hasDevice: false,
    });
    expect(facts.server).toEqual({
      kind: "runs",
      address: "*",
      port: 5403,
      clusterCount: 5,
      nodeCount: 10,
      warningCount: 1,
    });
  });

  test("an original vote server does not know the question", async () => {
    const here = machine();
    await serveTool(here.root, () => "Error\nUnknown command 'snapshot'\n");
    expect((await machineFacts(here)).server).toEqual({ kind: "original" });
  });

  test("who accepts and says nothing, or nonsense, is silent", async () => {
    const here = machine();
    serveNode(here.root, { hello: 1 });
    await serveTool(here.root, () => "OK\nnonsense");
    const facts = await machineFacts(here);
    expect([facts.node.kind, facts.server.kind]).toEqual(["silent", "silent"]);
  });

  test("who hangs costs no more than the patience", async () => {
    const here = machine();
    mkdirSync(join(here.root, "run"), { recursive: true });
    const open = Promise.withResolvers<void>();
    const listener = createServer(() => undefined);
    listener.listen(join(here.root, "run/quorate.sock"), open.resolve);
    await open.promise;
    closing.push(() => listener.close());
    const startMs = performance.now();
    expect((await machineFacts(here)).node).toEqual({ kind: "silent" });
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  test.skipIf(process.geteuid?.() !== 0)("what belongs to another user is not absent", async () => {
    const here = machine();
    serveNode(here.root, await status);
    await serveTool(here.root, () => "OK\n");
    chmodSync(join(here.root, "run/quorate.sock"), 0o600);
    chmodSync(join(here.root, "var/run/corosync-qnetd/corosync-qnetd.sock"), 0o600);
    chmodSync(base, 0o755);
    const nobody = 65_534;
    process.seteuid?.(nobody);
    try {
      const facts = await machineFacts(here);
      expect([facts.node.kind, facts.server.kind]).toEqual(["forbidden", "forbidden"]);
    } finally {
      process.seteuid?.(0);
    }
  });

  test("the configuration, Proxmox, the service manager and its services", async () => {
    const here = machine();
    write(here.root, "etc/corosync/corosync.conf", "totem {\n  cluster_name: home\n}\n");
    write(here.root, "usr/share/perl5/PVE/CLI/pvecm.pm");
    write(here.root, "run/systemd/system/x");
    write(here.root, "etc/systemd/system/quorate-node.service");
    expect(await machineFacts(here)).toMatchObject({
      hasConf: true,
      cluster: "home",
      isProxmox: true,
      manager: "systemd",
      services: ["quorate-node"],
    });
    const broken = machine();
    write(broken.root, "etc/corosync/corosync.conf", "totem {\n");
    write(broken.root, "run/openrc/softlevel");
    write(broken.root, "etc/init.d/quorate-qnetd");
    expect(await machineFacts(broken)).toMatchObject({
      hasConf: true,
      cluster: "",
      manager: "openrc",
      services: ["quorate-qnetd"],
    });
  });

  test("the original daemons of this machine, not those of its containers, and not ourselves", () => {
    const { proc } = machine();
    const namespace = "pid:[1]";
    symlinkSync(namespace, join(proc, "self/ns/pid"));
    const process = (pid: number, comm: string, exe: string, other = namespace): void => {
      mkdirSync(join(proc, String(pid), "ns"), { recursive: true });
      writeFileSync(join(proc, String(pid), "comm"), `${comm}\n`);
      if (exe !== "") symlinkSync(exe, join(proc, String(pid), "exe"));
      symlinkSync(other, join(proc, String(pid), "ns/pid"));
    };
    process(10, "corosync", "/usr/sbin/corosync");
    process(11, "corosync", "/usr/sbin/corosync");
    process(12, "corosync-qnetd", "/usr/local/bin/quorate");
    process(13, "corosync-qdevic", "/usr/sbin/corosync-qdevice");
    process(14, "pmxcfs", "/usr/bin/pmxcfs", "pid:[2]");
    process(15, "corosync-qnetd-", "/usr/bin/other");
    expect(originalsIn(proc)).toEqual(["corosync", "corosync-qdevice"]);
    process(16, "corosync-qnetd", ""); // Of another user: its program cannot be read.
    process(17, "pmxcfs", "/usr/bin/pmxcfs (deleted)");
    expect(originalsIn(proc)).toEqual(["corosync", "pmxcfs", "corosync-qdevice", "corosync-qnetd"]);
    expect(originalsIn(join(proc, "none"))).toEqual([]);
  });

  test("it ends with 0 and changes nothing", async () => {
    let text = "";
    const here = machine();
    const code = await welcomeCommand({ identity, machine: here, write: (each) => (text += each) });
    expect(code).toBe(0);
    expect(text).toStartWith("quorate 1.2.3 (linux-x64): a Proxmox-style cluster in one file.\n");
    expect([...new Bun.Glob("**").scanSync({ cwd: here.root, onlyFiles: true })]).toEqual([]);
  });
});
