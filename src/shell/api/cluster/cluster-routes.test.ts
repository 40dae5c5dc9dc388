// What the routes about the cluster answer (pvecm.md §4.2), over a tree in memory, and calls that are another node's (§4.1).
import { afterAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { TestingFiles } from "../../../../test/double/fuse-files.ts";
import { ensureCertificates } from "../../certificates/cluster-certificates.ts";
import { presentedIdentity } from "../../certificates/presented-identity.ts";
import { Door } from "../../door/door.ts";
import { buildApi2 } from "../api2.ts";
import { clusterRoutes } from "./cluster-routes.ts";
import { forwarding } from "../../door/forwarding.ts";
import * as parameter from "../parameters.ts";
import { type Authenticate, privileged, rootCaller, route } from "../route.ts";

const conf = `logging {
  debug: off
}

nodelist {
  node {
    name: pve1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 127.0.0.1
    ring1_addr: 10.1.0.1
  }
  node {
    name: pve2
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 127.0.0.1
  }
}

quorum {
  provider: corosync_votequorum
}

totem {
  cluster_name: prod
  config_version: 3
  interface {
    linknumber: 0
  }
  interface {
    linknumber: 1
  }
  ip_version: ipv4-6
  version: 2
}
`;
const members = JSON.stringify({
  nodename: "pve1",
  version: 7,
  cluster: { name: "prod", version: 3, nodes: 2, quorate: 1 },
  nodelist: { pve1: { id: 1, online: 1, ip: "127.0.0.1" }, pve2: { id: 2, online: 0 } },
});

async function put(files: TestingFiles, path: string, text: string): Promise<void> {
  await files.create(path);
  await files.write(path, 0, new TextEncoder().encode(text));
}

async function cluster(nodes: readonly string[]): Promise<TestingFiles> {
  const files = new TestingFiles();
  files.generated.set(".members", () => members);
  files.generated.set(".rrd", () => "pve-node-9.0/pve1:5::0:0.1:4:0.25:0:100:40:0:0:900:300\n");
  await put(files, "corosync.conf", conf);
  for (const nodeName of nodes) {
    const facts = { domain: "", address: "127.0.0.1", now: () => Date.now() };
    const done = await ensureCertificates({ files, nodeName, ...facts });
    if (!done.ok) throw new Error(done.reason);
  }
  return files;
}
const both = await cluster(["pve1", "pve2"]);
const fingerprint = (node: string) => {
  const read = both.read(`nodes/${node}/pve-ssl.pem`);
  return read.ok ? new X509Certificate(read.value).fingerprint256 : "";
};

function appOf(files: TestingFiles, device = "") {
  const source = { files, version: "0.2.0", commit: "0123456", nodeName: "pve1" };
  const deviceText = () => Promise.resolve(device);
  const routes = clusterRoutes({
    ...source,
    address: () => "192.0.2.1",
    deviceText,
    logged: () => [],
  });
  return buildApi2({ routes, authenticate: async () => ({ ok: true, caller: rootCaller }) });
}

async function get(files: TestingFiles, path: string): Promise<{ status: number; body: unknown }> {
  const response = await appOf(files).fetch(new Request(`https://node/api2/json${path}`), {});
  return { status: response.status, body: await response.json() };
}

test("in a cluster: the original's samples", async () => {
  expect(await get(both, "/version")).toEqual({
    status: 200,
    body: { data: { version: "9.1.0", release: "9.1", repoid: "01234560", quorate: "0.2.0" } },
  });
  const node = { type: "node", level: "" };
  expect((await get(both, "/cluster/status")).body).toEqual({
    data: [
      { type: "cluster", id: "cluster", name: "prod", nodes: 2, version: 3, quorate: 1 },
      { ...node, id: "node/pve1", name: "pve1", nodeid: 1, ip: "127.0.0.1", local: 1, online: 1 },
      { ...node, id: "node/pve2", name: "pve2", nodeid: 2, local: 0, online: 0 },
    ],
  });
  const one = {
    name: "pve1",
    nodeid: "1",
    quorum_votes: "1",
    ring0_addr: "127.0.0.1",
    ring1_addr: "10.1.0.1",
  };
  const two = { name: "pve2", nodeid: "2", quorum_votes: "1", ring0_addr: "127.0.0.1" };
  expect((await get(both, "/cluster/config/nodes")).body).toEqual({
    data: [
      { node: "pve1", ...one },
      { node: "pve2", ...two },
    ],
  });
  const totem = {
    cluster_name: "prod",
    config_version: "3",
    interface: { 0: { linknumber: "0" }, 1: { linknumber: "1" } },
    ip_version: "ipv4-6",
    version: "2",
  };
  expect((await get(both, "/cluster/config/totem")).body).toEqual({ data: totem });
  expect((await get(both, "/cluster/config/apiversion")).body).toEqual({ data: 1 });
  expect((await get(both, "/cluster/config/join?node=pve2")).body).toEqual({
    data: {
      preferred_node: "pve2",
      config_digest: new Bun.CryptoHasher("sha1").update(conf).digest("hex"),
      nodelist: [
        { ...one, pve_addr: "127.0.0.1", pve_fp: fingerprint("pve1") },
        { ...two, pve_addr: "127.0.0.1", pve_fp: fingerprint("pve2") },
      ],
      totem,
    },
  });
  expect((await get(both, "/nodes")).body).toMatchObject({
    data: [
      {
        node: "pve1",
        status: "online",
        ssl_fingerprint: fingerprint("pve1"),
        ...{ maxcpu: 4, cpu: 0.25, mem: 40, maxmem: 100, disk: 300, maxdisk: 900, uptime: 5 },
      },
      { node: "pve2", status: "offline", ssl_fingerprint: fingerprint("pve2") },
    ],
  });
});

test("join information is refused with the reason: no cluster, no such node, no certificate", async () => {
  expect(await get(both, "/cluster/config/join?node=pve9")).toEqual({
    status: 500,
    body: { data: null, message: "unknown node 'pve9'\n" },
  });
  const bare = new TestingFiles();
  bare.generated.set(".members", () => '{"nodename":"pve1","version":0}');
  const message = "node is not in a cluster, no join info available!\n";
  expect(await get(bare, "/cluster/config/join")).toMatchObject({ status: 424, body: { message } });
  await put(bare, "corosync.conf", conf);
  expect(await get(bare, "/cluster/config/join")).toMatchObject({
    status: 500,
    body: { message: "node 'pve1' has no certificate yet\n", code: "noCertificate" },
  });
});

test("the quorum device: what the original passes on of its client's status", async () => {
  const text = [
    "Qdevice information\n-------------------\nModel:\t\t\tNet\nNode ID:\t\t1\nMembership node list:\t1, 2",
    "Last poll call:\t\t2026-03-09T10:00:03 (cast vote)\n\nQdevice-net information\nCluster name:\t\tprod",
    "QNetd host:\t\t192.168.22.5:5403\nAlgorithm:\t\tFifty-Fifty split",
    "Tie-breaker:\t\tNode with lowest node ID\nState:\t\t\tConnected\nEcho reply received:\t2026-03-09T10:00:05\n",
  ].join("\n");
  const request = new Request("https://node/api2/json/cluster/config/qdevice");
  expect(await (await appOf(both, text).fetch(request, {})).json()).toEqual({
    data: {
      Model: "Net",
      "QNetd host": "192.168.22.5:5403",
      Algorithm: "Fifty-Fifty split",
      "Tie-breaker": "Node with lowest node ID",
      State: "Connected",
      "Last poll call": "2026-03-09T10:00:03 (cast vote)",
      "Echo reply": "2026-03-09T10:00:05",
    },
  });
  expect((await get(both, "/cluster/config/qdevice")).body).toEqual({ data: {} });
});

test("standalone: one node with the id 0, no configuration, and no cluster entry", async () => {
  const alone = new TestingFiles();
  alone.generated.set(".members", () => '{"nodename":"pve1","version":0}');
  const own = { type: "node", id: "node/pve1", name: "pve1", nodeid: 0, ip: "192.0.2.1", local: 1 };
  expect((await get(alone, "/cluster/status")).body).toEqual({
    data: [{ ...own, online: 1, level: "" }],
  });
  expect((await get(alone, "/cluster/config/nodes")).body).toEqual({ data: [] });
  expect((await get(alone, "/cluster/config/totem")).body).toEqual({ data: null });
  expect((await get(alone, "/nodes")).body).toMatchObject({
    data: [{ node: "pve1", status: "online" }],
  });
});

// pve2 has a way in of its own; pve1 sends on what is pve2's.
const who: Authenticate = async ({ headers }) => {
  const isKnown = headers.get("cookie") === "PVEAuthCookie=ticket";
  return isKnown ? { ok: true, caller: rootCaller } : { ok: false, reason: "No ticket" };
};
const nodeRoutes = (own: string) => [
  route({
    method: "POST",
    path: "/nodes/{node}/echo",
    description: "Who answers, and what came.",
    permission: privileged("/nodes/{node}", "Sys.Audit"),
    parameters: { node: parameter.nodeName(), text: parameter.text({ max: 20 }) },
    handle: ({ parameters }) => ({ own, ...parameters }),
  }),
];
const second = presentedIdentity(both, "pve2").identity;
if (second === undefined) throw new Error("pve2 has no certificate");
const app2 = buildApi2({ routes: nodeRoutes("pve2"), authenticate: who });
const door2 = await Door.open({
  host: "127.0.0.1",
  port: 0,
  identity: second,
  fetch: (request, facts) => app2.fetch(request, facts),
  log: () => undefined,
});
afterAll(() => door2.close());

function firstNode(files: TestingFiles, port: number) {
  const forward = forwarding({
    files,
    nodeName: "pve1",
    port,
    credentials: async () => ({ cookie: "PVEAuthCookie=ticket" }),
  });
  return buildApi2({ routes: nodeRoutes("pve1"), authenticate: who, forward });
}

async function send(
  app: ReturnType<typeof firstNode>,
  node: string,
  headers: Readonly<Record<string, string>> = {},
  words = "a%20b",
) {
  const response = await app.fetch(
    new Request(`https://pve1/api2/json/nodes/${node}/echo?text=${words}`, {
      method: "POST",
      headers: { cookie: "PVEAuthCookie=ticket", ...headers },
    }),
    { address: "192.0.2.1" },
  );
  const text = await response.text();
  return `${response.status} ${response.statusText} ${text}`;
}

test("a call that is another member's is answered by that member, over its own certificate only", async () => {
  const first = firstNode(both, door2.port);
  const data = (own: string) => JSON.stringify({ data: { own, node: own, text: "a b" } });
  expect(await send(first, "pve1")).toEndWith(data("pve1"));
  expect(await send(first, "pve2")).toEndWith(data("pve2"));
  expect(await send(first, "pve3")).toMatch(/^500 unknown node 'pve3' /);
  expect(await send(first, "pve2", { pvedisableproxy: "true" })).toMatch(
    /^500 'pve2' is not this node/,
  );
  // Its own refusals come back as they are.
  const refused = await send(first, "pve2", {}, "x".repeat(21));
  expect(refused).toMatch(
    /^400 Parameter verification failed\. .*"value may only be 20 characters long"/,
  );
});

test("who came over the local socket without a ticket is proved to the other member", async () => {
  const credentials = async (user: string) => ({
    cookie: user === "root@pam" ? "PVEAuthCookie=ticket" : "",
  });
  const local = buildApi2({
    routes: nodeRoutes("pve1"),
    authenticate: async () => ({ ok: true, caller: rootCaller }),
    forward: forwarding({ files: both, nodeName: "pve1", port: door2.port, credentials }),
  });
  const request = new Request("http://local/api2/json/nodes/pve2/echo?text=a", { method: "POST" });
  const response = await local.fetch(request, {});
  expect(await response.json()).toEqual({ data: { own: "pve2", node: "pve2", text: "a" } });
});

test("a member that does not answer is 595, one with another certificate 596", async () => {
  expect(await send(firstNode(both, 1), "pve2")).toMatch(
    /^595 the node pve2 cannot be reached: .* $/,
  );
  // Where no phrase can be sent, the body says it.
  const local = await firstNode(both, 1).fetch(
    new Request("http://local/api2/json/nodes/pve2/echo?text=a", {
      method: "POST",
      headers: { cookie: "PVEAuthCookie=ticket" },
    }),
    {},
  );
  expect(await local.json()).toMatchObject({
    message: expect.stringContaining("cannot be reached"),
  });
  const other = await cluster(["pve1"]);
  await other.mkdir("nodes/pve2");
  const wrong = both.read("nodes/pve1/pve-ssl.pem");
  await put(other, "nodes/pve2/pve-ssl.pem", wrong.ok ? Buffer.from(wrong.value).toString() : "");
  expect(await send(firstNode(other, door2.port), "pve2")).toMatch(
    /^596 the node pve2 is not trusted/,
  );
  const none = new TestingFiles();
  none.generated.set(".members", () => members);
  await put(none, "corosync.conf", conf);
  expect(await send(firstNode(none, door2.port), "pve2")).toMatch(
    /^596 node 'pve2' has no certificate/,
  );
});
