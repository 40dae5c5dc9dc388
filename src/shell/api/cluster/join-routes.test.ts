// The routes by which a node joins, over a tree in memory: the original's answers to its own joiner, and ours by login and by token.
import { beforeEach, describe, expect, test } from "bun:test";
import { TestingFiles } from "../../../../test/double/fuse-files.ts";
import { success } from "../../../result.ts";
import { freshConf } from "../../conf/fresh.ts";
import { encodeTokenRecord, tokenPath } from "../../join/token-record.ts";
import { Places, secretHash } from "../../join/places.ts";
import { ProbeServer } from "../../join/probe-server.ts";
import { buildApi2 } from "../api2.ts";
import { joinRoutes } from "./join-routes.ts";
import { rootCaller } from "../route.ts";

const key = Uint8Array.from({ length: 256 }, (_, at) => at);
const secret = "0a".repeat(16);
const tokenSecret = "0b".repeat(16);
const wallMs = 1_800_000_000_000;

let files: TestingFiles;
let waited = 0;

function api(isRoot = true) {
  const members = { isQuorate: true, members: [1], synced: [1] };
  const places = new Places({
    files,
    nodeid: 1,
    ring: () => members,
    untilInForce: async () => "",
    resolve: async () => undefined,
    readKey: () => success(key),
    wallS: () => wallMs / 1000,
    nowMs: () => wallMs,
    grantVotes: async () => undefined,
    logToCluster: () => undefined,
    warn: () => undefined,
  });
  return buildApi2({
    routes: joinRoutes({
      files,
      places,
      probes: new ProbeServer(() => new Map()),
      nodeName: "pve1",
      version: "1",
      linkPort: (link) => 5405 + link,
      untilFree: async () => void (waited += 1),
      wallMs: () => wallMs + waited * 10_000,
    }),
    authenticate: async () =>
      isRoot ? { ok: true, caller: rootCaller } : { ok: false, reason: "No ticket" },
  });
}

interface Answer {
  readonly status: number;
  readonly data: Record<string, unknown>;
  readonly message: string;
  readonly errors?: Record<string, string>;
  readonly code?: string;
}

async function post(path: string, words: Record<string, string>, isRoot = true): Promise<Answer> {
  const response = await api(isRoot).fetch(
    new Request(`https://pve1:8006${path}`, { method: "POST", body: new URLSearchParams(words) }),
    {},
  );
  const text = await response.text();
  return {
    status: response.status,
    data: {},
    message: response.statusText,
    ...(text === "" ? {} : JSON.parse(text)),
  };
}

async function put(path: string, content: Uint8Array): Promise<void> {
  await files.create(path);
  await files.write(path, 0, content);
}

beforeEach(async () => {
  files = new TestingFiles();
  waited = 0;
  await files.mkdir("priv");
  const links = [{ number: 0, address: "10.0.0.1", priority: 0 }];
  const fresh = freshConf({ clusterName: "prod", node: { name: "pve1" }, links });
  if (!fresh.ok) throw new Error(fresh.reason);
  await put("corosync.conf", Buffer.from(fresh.value));
  for (const path of ["priv/quorate", "priv/quorate/join-tokens"]) await files.mkdir(path);
  const hash = secretHash(Buffer.from(tokenSecret, "hex"));
  const record = { hash, createdAt: 1, expiresAt: wallMs / 1000 + 60, by: "root@pam" };
  await put(tokenPath(hash), encodeTokenRecord(record));
});

const original = "/api2/json/cluster/config/nodes/pve2";

describe("an original's joiner", () => {
  test("gets the key as a text of 256 characters, and corosync.conf with itself", async () => {
    const { status, data } = await post(original, {
      apiversion: "1",
      link0: "address=10.0.0.2,priority=5",
    });
    expect(status).toBe(200);
    expect(Buffer.from(String(data["corosync_authkey"]), "latin1")).toEqual(Buffer.from(key));
    expect(String(data["corosync_conf"])).toContain(
      "name: pve2\n    nodeid: 2\n    quorum_votes: 0\n    ring0_addr: 10.0.0.2",
    );
    expect(data["warnings"]).toEqual([]);
  });

  test("may give no link in a cluster of one", async () => {
    const { data } = await post(original, { apiversion: "1", new_node_ip: "10.0.0.2" });
    expect(String(data["corosync_conf"])).toContain("ring0_addr: 10.0.0.2");
  });

  test("is kept waiting while another node joins, then refused with who it is", async () => {
    await post(original, { apiversion: "1", link0: "10.0.0.2" });
    const other = await post("/api2/json/cluster/config/nodes/pve3", { link0: "10.0.0.3" });
    expect(waited).toBe(3);
    expect(other).toMatchObject({ status: 503, code: "queued" });
    expect(other.message).toContain("node 'pve2' is joining this cluster now");
  });

  test.each<[Record<string, string>, number, RegExp]>([
    [
      { link0: "10.0.0.1" },
      500,
      /^corosync: address '10.0.0.1' already used on link ring0_addr by node 'pve1'/,
    ],
    [{ link1: "10.1.0.2" }, 500, /^corosync: link 0 exists in cluster config but wasn't specified/],
    [{ link0: "10.0.0.2", nodeid: "1" }, 500, /^nodeid 1 already used by node 'pve1'/],
    [{ link0: "10.0.0.2", nodeid: "0" }, 400, /^Parameter verification failed/],
    [{ link0: "a b" }, 400, /^Parameter verification failed/],
    [{ link0: "10.0.0.2", what: "1" }, 400, /^Parameter verification failed/],
  ])("is refused for %p", async (words, status, message) => {
    const answer = await post(original, words);
    expect(answer.status).toBe(status);
    expect(answer.message).toMatch(message);
  });

  test("gets nothing without a login, and nothing from a node in no cluster", async () => {
    expect((await post(original, { link0: "10.0.0.2" }, false)).status).toBe(401);
    await files.remove("corosync.conf");
    expect(await post(original, { link0: "10.0.0.2" })).toMatchObject({
      status: 424,
      code: "standalone",
    });
  });
});

describe("a joiner of ours", () => {
  const place = { node: "pve2", link0: "10.0.0.2", apiversion: "1" };

  test("looks first: who is there, what would be, and nothing is changed", async () => {
    const { data } = await post("/api/v1/join/check", place);
    expect(data).toMatchObject({
      cluster: "prod",
      node: "pve1",
      nodes: [{ name: "pve1", nodeid: 1, votes: 1, addresses: { "0": "10.0.0.1" } }],
      links: [{ number: 0, port: 5405 }],
    });
    expect(data["effect"]).toContain("none of them may fail");
    expect(data["after"]).toContain("quorum_votes: 0");
    expect(files.stat("priv/quorate/join-reservation").ok).toBe(false);
    const clash = await post("/api/v1/join/check", { ...place, link0: "10.0.0.1" });
    expect(clash.data["fault"]).toContain("already used");
  });

  test("comes by a token without any login, once, and gives its place back with its own secret", async () => {
    const wish = { ...place, token: tokenSecret, secret };
    const granted = await post("/api/v1/join/token/reserve", wish, false);
    expect(granted.status).toBe(200);
    expect(Buffer.from(String(granted.data["key"]), "base64")).toEqual(Buffer.from(key));
    expect(granted.data).toMatchObject({ nodeid: 2, leftS: 300 });
    const own = { node: "pve2", nodeid: "2", secret };
    expect((await post("/api/v1/join/state", own, false)).data["state"]).toBe("reserved");
    const wrong = { ...own, secret: "0c".repeat(16) };
    expect((await post("/api/v1/join/cancel", wrong, false)).data["state"]).toBe("none");
    expect((await post("/api/v1/join/state", own, false)).data["state"]).toBe("reserved");
    expect((await post("/api/v1/join/cancel", own, false)).data["state"]).toBe("none");
    const other = { ...wish, node: "pve3", link0: "10.0.0.3" };
    expect(await post("/api/v1/join/token/reserve", other, false)).toMatchObject({
      status: 401,
      code: "token",
    });
  });

  test("with a token that nobody made learns nothing", async () => {
    for (const what of ["check", "probe", "reserve"]) {
      const words = {
        ...(what === "probe" ? { node: "pve2", link0: "10.0.0.2" } : place),
        token: "0d".repeat(16),
      };
      const given = what === "reserve" ? { ...words, secret } : words;
      const answer = await post(`/api/v1/join/token/${what}`, given, false);
      expect(answer.status).toBe(401);
      expect(answer.message).toContain("does not know the join token");
    }
  });

  test("needs a login on the routes without a token", async () => {
    expect((await post("/api/v1/join/reserve", { ...place, secret }, false)).status).toBe(401);
  });
});
