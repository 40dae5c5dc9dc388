// Nodes, guests, storages and pools of the cluster, the next number for a guest, the cluster log and the directories (pvecm.md §4.2), each reply held
// against what its route says.
import { describe, expect, test } from "bun:test";
import { byteStringOfText } from "../../../bytes.ts";
import type { LogLine } from "../../../fs/plugin/clusterlog.ts";
import { makeLogEntry } from "../../../fs/replica/log-entry.ts";
import { callerWith, repliesOf } from "../../../../test/double/api-replies.ts";
import { TestingFiles } from "../../../../test/double/fuse-files.ts";
import { type Caller, rootCaller } from "../route.ts";
import { clusterLogRoute as ownLogRoute } from "../v1/cluster-log.ts";
import { indexRoutes } from "./index-routes.ts";
import { clusterLogRoute } from "./log-route.ts";
import { nodeLoadValue } from "./measured.ts";
import { resourcesRoutes } from "./resources-routes.ts";
import { knownStorages } from "./storage-config.ts";

const files = new TestingFiles();
async function put(path: string, text: string): Promise<void> {
  for (const at of [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index))) {
    if (!files.stat(at).ok) await files.mkdir(at);
  }
  if (files.stat(path).ok) await files.remove(path);
  await files.create(path);
  await files.write(path, 0, new TextEncoder().encode(text));
}

const load = {
  ...{ uptime: 77, averages: ["0.1", "0.2", "0.3"] as const, shares: { cpu: 0.5, wait: 0 } },
  ...{ processors: 8, traffic: { received: 1, sent: 2 } },
  memory: { total: 1000, free: 1, available: 600, used: 400, swapTotal: 0, swapFree: 0 },
  space: { total: 5000, free: 3000, available: 2900, used: 2000 },
};
const told = nodeLoadValue("pve1", load, 1_795_225_068);
const rrd = [
  `${told.key.slice("rrd/".length)}:${new TextDecoder().decode(told.value).replace("\0", "")}`,
  // A Proxmox node beside us, of before.
  "pve2-node/pve2:99:c:1:0.1:4:0.25:0:800:200:0:0:900:300:0:0",
  "pve-vm-9.0/100:60:web:running:0:1:2:0.1:512:128:30:0:5:6:7:8:200:U",
  "pve-storage-9.0/pve1/local:1:1000:250",
];
files.generated.set(".rrd", () => `${rrd.join("\n")}\n`);
files.generated.set(".members", () =>
  JSON.stringify({
    ...{ nodename: "pve1", version: 7 },
    cluster: { name: "prod", version: 3, nodes: 3, quorate: 1 },
    nodelist: {
      pve1: { id: 1, online: 1 },
      pve2: { id: 2, online: 0 },
      pve3: { id: 3, online: 1 },
    },
  }),
);
let ids: Record<string, object> = {
  101: { node: "pve2", type: "lxc", version: 2 },
  100: { node: "pve1", type: "qemu", version: 1 },
};
files.generated.set(".vmlist", () => JSON.stringify({ version: 1, ids }));
await put(
  "nodes/pve1/qemu-server/100.conf",
  "name: other\ntags: b;a\nlock: backup\n[snap]\nlock: no\n",
);
await put("nodes/pve2/lxc/101.conf", "hostname: box\ntemplate: 1\n");
await put("user.cfg", "pool:web:notes:100:local:\npool:empty::::\n");
await put(
  "storage.cfg",
  "dir: local\n\tpath /var/lib/vz\n\tcontent iso,backup\n\tshared 0\n\nnfs: share\n\tserver 192.0.2.1\n\texport /x\n\tnodes pve1,pve3\n\ndir: off\n\tdisable\n\tpath /off\n",
);

const get = async (
  path: string,
  parameters: Record<string, string> = {},
  caller: Caller = rootCaller,
) =>
  (await repliesOf(resourcesRoutes({ files, nodeName: "pve1" }), caller)("GET", path, parameters))
    .data;

const node1 = {
  ...{ id: "node/pve1", type: "node", node: "pve1", status: "online", level: "" },
  ...{ uptime: 77, cpu: 0.5, maxcpu: 8, mem: 400, maxmem: 1000, disk: 2000, maxdisk: 5000 },
};
const bare = (name: string, status: string) => ({
  ...{ id: `node/${name}`, type: "node", node: name, status, level: "" },
});
const web = {
  ...{ id: "qemu/100", type: "qemu", vmid: 100, node: "pve1", name: "web", status: "running" },
  ...{ uptime: 60, cpu: 0.1, maxcpu: 2, mem: 128, maxmem: 512, disk: 0, maxdisk: 30 },
  ...{ netin: 5, netout: 6, diskread: 7, diskwrite: 8, template: 0, lock: "backup", tags: "b;a" },
};

describe("resources", () => {
  test("nodes: what they tell of themselves; of one that is away what stays so", async () => {
    expect(await get("/cluster/resources", { type: "node" })).toEqual([
      node1,
      { ...bare("pve2", "offline"), level: "c", maxcpu: 4, maxmem: 800, maxdisk: 900 },
      bare("pve3", "online"),
    ]);
    expect(await get("/nodes")).toMatchObject([{ cpu: 0.5 }, { status: "offline" }, {}]);
  });

  test("guests: as the tree knows them, with what their nodes tell", async () => {
    expect(await get("/cluster/resources", { type: "vm" })).toEqual([
      { ...web, pool: "web" },
      {
        ...{ id: "lxc/101", type: "lxc", vmid: 101, node: "pve2", name: "box" },
        ...{ status: "unknown", template: 1 },
      },
    ]);
  });

  test("storages: those that storage.cfg names, on their nodes", async () => {
    const local = { type: "storage", storage: "local", plugintype: "dir", shared: 0 };
    const share = { type: "storage", storage: "share", plugintype: "nfs", shared: 1 };
    const unknown = { status: "unknown" };
    const content = "iso,backup";
    expect(await get("/cluster/resources", { type: "storage" })).toEqual([
      {
        ...{ ...local, content, id: "storage/pve1/local", node: "pve1" },
        ...{ status: "available", disk: 250, maxdisk: 1000 },
      },
      { ...local, ...unknown, content, id: "storage/pve2/local", node: "pve2" },
      { ...local, ...unknown, content, id: "storage/pve3/local", node: "pve3" },
      { ...share, ...unknown, id: "storage/pve1/share", node: "pve1" },
      { ...share, ...unknown, id: "storage/pve3/share", node: "pve3" },
    ]);
    expect(await get("/cluster/resources", { type: "sdn" })).toEqual([]);
  });

  test("everything, with the pools first; each caller sees what it may audit", async () => {
    const all = (await get("/cluster/resources")) as readonly { readonly id: string }[];
    expect(all.map(({ id }) => id).slice(0, 3)).toEqual(["/pool/empty", "/pool/web", "qemu/100"]);
    expect(all).toHaveLength(2 + 2 + 3 + 5);
    const joe = callerWith("joe@pve", { "/vms/100": ["VM.Audit"], "/nodes/pve2": ["Sys.Audit"] });
    expect(await get("/cluster/resources", {}, joe)).toEqual([
      web,
      bare("pve1", "online"),
      { ...bare("pve2", "offline"), level: "c", maxcpu: 4, maxmem: 800, maxdisk: 900 },
      bare("pve3", "online"),
    ]);
  });

  test("a type that there is not is refused by its name", async () => {
    const ask = repliesOf(resourcesRoutes({ files, nodeName: "pve1" }));
    expect((await ask("GET", "/cluster/resources", { type: "pool" })).errors).toEqual({
      type: "value does not have a value in the enumeration 'vm, storage, node, sdn'",
    });
  });
});

test("storage.cfg: options may stand alone, and what is no section is nothing", () => {
  expect(knownStorages("")).toEqual([]);
  expect(knownStorages("# x\nlvm: a\n\tshared\n\nnonsense\n\tdisable\n")).toEqual([
    { id: "a", type: "lvm", content: "", isShared: true, nodes: [] },
  ]);
});

test("the next number: the lowest that is free, in the range that is set", async () => {
  expect(await get("/cluster/nextid")).toBe(102);
  expect(await get("/cluster/nextid", { vmid: "500" })).toBe(500);
  const ask = repliesOf(resourcesRoutes({ files, nodeName: "pve1" }));
  const reply = await ask("GET", "/cluster/nextid", { vmid: "100" });
  expect(reply).toMatchObject({ status: 400, errors: { vmid: "VM 100 already exists" } });
  expect((await ask("GET", "/cluster/nextid", { vmid: "99" })).errors).toHaveProperty("vmid");
  await put("datacenter.cfg", "next-id: lower=100,upper=102\n");
  expect(await ask("GET", "/cluster/nextid")).toMatchObject({
    ...{ status: 500, message: "unable to get any free VMID in range [100, 102]\n" },
  });
  await put("datacenter.cfg", "next-id: lower=5000\n");
  expect(await get("/cluster/nextid")).toBe(5000);
  ids = {};
  await files.remove("datacenter.cfg");
  expect(await get("/cluster/nextid")).toBe(100);
});

describe("the cluster log", () => {
  const entry = (uid: number, ident: string, message = "said"): LogLine => ({
    ...{ uid, time: 1_772_967_600, priority: 6, tag: "pvedaemon", pid: 1277, node: "pve1" },
    ...{ ident, message },
  });
  const entries = [
    entry(9, "root@pam", String.raw`say \"hi\" \u00fc c:\new`),
    entry(8, "joe@pve"),
    ...Array.from({ length: 60 }, (_, at) => entry(at, "root@pam")),
  ];
  const log = async (caller: Caller, parameters = {}) =>
    (await repliesOf([clusterLogRoute(() => entries)], caller)("GET", "/cluster/log", parameters))
      .data as readonly object[];

  test("newest first, fifty of them, as the original's sample", async () => {
    const all = await log(rootCaller);
    expect(all).toHaveLength(50);
    expect(all[0]).toEqual({
      ...{ id: "9:pve1", uid: 9, time: 1_772_967_600, pri: 6, tag: "pvedaemon", pid: 1277 },
      ...{ node: "pve1", user: "root@pam", msg: 'say "hi" ü c:\\new' },
    });
    expect(await log(rootCaller, { max: "2" })).toHaveLength(2);
    expect(await log(rootCaller, { max: "1000" })).toHaveLength(62);
  });

  test("without Sys.Syslog on / only a caller's own", async () => {
    expect(await log(callerWith("joe@pve", {}))).toMatchObject([{ uid: 8 }]);
    expect(await log(callerWith("joe@pve", { "/nodes": ["Sys.Syslog"] }))).toHaveLength(1);
    expect(await log(callerWith("joe@pve", { "/": ["Sys.Syslog"] }))).toHaveLength(50);
    expect(await log(callerWith("eve@pve", {}))).toEqual([]);
  });
});

test("both logs of the cluster read the same from what pmxcfs stores", async () => {
  const message = new TextEncoder().encode(String.raw`Grüße an "C:\new", 100 € für \\host`);
  const fields = { time: 1_772_967_600, pid: 7, priority: 6, node: byteStringOfText("pvé") };
  const stored = (ident: string): LogLine =>
    makeLogEntry(1, { ...fields, ident, tag: byteStringOfText("küche"), message });
  const said = { node: "pvé", user: "jürgen@pve", tag: "küche" };
  const entries = [byteStringOfText("jürgen@pve"), "j\xffrgen@pve"].map(stored);
  const routes = [clusterLogRoute(() => entries), ownLogRoute(() => entries)];
  const words = String.raw`Grüße an "C:\new", 100 € für \\host`;
  const logs = async (caller: Caller) => [
    (await repliesOf(routes, caller)("GET", "/cluster/log")).data,
    (await repliesOf(routes, caller)("GET", "/api/v1/cluster-log")).data,
  ];
  const [theirs, ours] = await logs(callerWith("jürgen@pve", {}));
  expect(theirs).toMatchObject([{ id: "1:pvé", ...said, msg: words }]);
  expect(ours).toMatchObject([{ ...said, message: words }]);
  // Both may see all; what is no UTF-8 is nobody's, though it shows alike.
  const [all] = await logs(rootCaller);
  expect(all).toMatchObject([{ user: "jürgen@pve" }, { user: "j\ufffdrgen@pve" }]);
  expect(await logs(callerWith("j\ufffdrgen@pve", {}))).toEqual([[], []]);
});

test("directories list what there is below them, and no more", async () => {
  const routes = resourcesRoutes({ files, nodeName: "pve1" });
  const ask = repliesOf(indexRoutes(routes), callerWith("u@pve", {}));
  expect((await ask("GET", "/")).data).toEqual([{ subdir: "cluster" }, { subdir: "nodes" }]);
  expect((await ask("GET", "/cluster")).data).toEqual([{ name: "nextid" }, { name: "resources" }]);
  expect((await ask("GET", "/nodes/pve9")).data).toEqual([]);
  expect((await ask("GET", "/nodes/pve1/services/sshd")).status).toBe(403);
});
