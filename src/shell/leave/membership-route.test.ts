import { beforeEach, expect, test } from "bun:test";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { failure, success } from "../../result.ts";
import { buildApi2 } from "../api/api2.ts";
import { formerMembersPath, withFormer } from "../change/former-members.ts";
import { freshConf } from "../conf/fresh.ts";
import { withNode } from "../conf/nodes.ts";
import { membershipProof, membershipRoute } from "./membership-route.ts";

const key = new Uint8Array(256).fill(7);
let files: TestingFiles;
let hasKey = true;

async function put(path: string, text: string): Promise<void> {
  await files.create(path);
  await files.write(path, 0, new TextEncoder().encode(text));
}

beforeEach(async () => {
  files = new TestingFiles();
  hasKey = true;
  for (const path of ["priv", "priv/quorate"]) await files.mkdir(path);
  const fresh = freshConf({
    clusterName: "prod",
    node: { name: "pve1" },
    links: [{ number: 0, address: "10.0.0.1", priority: 0 }],
  });
  const two = fresh.ok
    ? withNode(fresh.value, { name: "pve2", links: new Map([[0, "10.0.0.2"]]) })
    : fresh;
  if (!two.ok) throw new Error(two.reason);
  await put("corosync.conf", two.value.text);
  const entry = { name: "pve3", nodeid: 3, addresses: ["10.0.0.3"], at: 5, by: "root@pam" };
  await put(formerMembersPath, withFormer(undefined, { ...entry, how: "removed" }));
});

async function ask(node: string, nodeid: number, proof = membershipProof(key, node, nodeid)) {
  const app = buildApi2({
    routes: [
      membershipRoute({
        ...{ files, nodeName: "pve1", isCertain: () => files.isQuorate },
        readKey: () => (hasKey ? success(key) : failure("no key")),
      }),
    ],
    authenticate: async () => ({ ok: false, reason: "No ticket" }),
  });
  const response = await app.fetch(
    new Request("http://x/api/v1/cluster/membership", {
      method: "POST",
      body: new URLSearchParams({ node, nodeid: String(nodeid), proof }),
    }),
  );
  const body = (await response.json()) as { data?: unknown };
  return body.data ?? response.status;
}

test("a member is one, by name and nodeid", async () => {
  const certain = { node: "pve1", isCertain: true };
  expect(await ask("pve2", 2)).toEqual({ ...certain, isMember: true });
  expect(await ask("pve2", 9)).toEqual({ ...certain, isMember: false });
  files.isQuorate = false;
  expect(await ask("pve2", 2)).toEqual({ node: "pve1", isCertain: false, isMember: true });
});

test("who has the cluster's key is told when it was removed, and by whom; nobody else is", async () => {
  const known = { node: "pve1", isCertain: true, isMember: false };
  const former = { at: 5, by: "root@pam", how: "removed" };
  expect(await ask("pve3", 3)).toEqual({ ...known, former });
  expect(await ask("pve3", 3, "0".repeat(64))).toEqual(known);
  expect(await ask("pve3", 3, membershipProof(key, "pve2", 3))).toEqual(known);
  expect(await ask("pve4", 4)).toEqual(known);
  hasKey = false;
  expect(await ask("pve3", 3)).toEqual(known);
});

test("a standalone node knows of no cluster, and nonsense is refused", async () => {
  expect(await ask("pve3", 3, "zz")).toBe(400);
  await files.remove("corosync.conf");
  expect(await ask("pve3", 3)).toBe(424);
});
