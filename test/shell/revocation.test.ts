// What was taken away in the tree is refused at once: streams that are open, and a node under its other name.
import { afterAll, beforeEach, expect, test } from "bun:test";
import { openApiNode } from "../double/api-app.ts";

const node = await openApiNode("cluster");
afterAll(() => node.close());
const { tree } = node.parts;
const app = node.appFor(node.authenticate);
const secret = "0f8fad5b-d9cb-469f-a165-70867728950e";
const authorization = `PVEAPIToken=ann@pve!mon=${secret}`;

async function put(path: string, content: string): Promise<void> {
  await tree.mkdir("priv");
  const done = await tree.replace(path, new TextEncoder().encode(content));
  if (!done.ok) throw new Error(done.reason);
}

const usersWith = (acl: string, enable = 1) =>
  `user:ann@pve:${enable}:0::::::\ntoken:ann@pve!mon:0:0::\n\n\n\n\n${acl}`;
const auditor = "acl:1:/:ann@pve:PVEAuditor:\n";

const get = (path: string) =>
  app.fetch(new Request(`https://node${path}`, { headers: { authorization } }), {
    address: "10.0.0.9",
  });

beforeEach(async () => {
  await put("priv/token.cfg", `ann@pve!mon ${secret}\n`);
  await put("user.cfg", usersWith(auditor));
});

test.each<[string, () => Promise<void>]>([
  ["its token is gone", () => put("priv/token.cfg", "")],
  ["its user is disabled", () => put("user.cfg", usersWith(auditor, 0))],
  ["its right is gone", () => put("user.cfg", usersWith(""))],
])(
  "a stream ends without waiting for its next look when %s",
  async (_, revoke) => {
    const response = await get("/api/v1/events?kinds=quorum");
    expect(response.status).toBe(200);
    if (response.body === null) throw new Error("there is no stream");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toContain("event: ready");
    // A change that takes nothing away ends nothing.
    await put("user.cfg", usersWith(`${auditor}acl:1:/vms:ann@pve:PVEVMUser:\n`));
    await revoke();
    const pieces: string[] = [];
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      pieces.push(read.value);
    }
    // The look of every ten seconds says first that it is still here.
    expect(pieces).toEqual([expect.stringContaining("log in again")]);
  },
  60_000,
);

test("who may nothing on a node may nothing on it as localhost", async () => {
  const paths = ["status", "version", "tasks", "services", "dns"];
  await put("user.cfg", usersWith(`${auditor}acl:1:/nodes/n1:ann@pve:NoAccess:\n`));
  for (const name of ["n1", "localhost", "local%68ost"]) {
    for (const path of ["status", "services", "dns"]) {
      const { status, statusText } = await get(`/api2/json/nodes/${name}/${path}`);
      expect([name, path, status]).toEqual([name, path, 403]);
      expect(statusText).toContain("/nodes/n1");
    }
  }
  await put("user.cfg", usersWith(auditor));
  for (const path of paths) {
    const [own, other] = [
      await get(`/api2/json/nodes/n1/${path}`),
      await get(`/api2/json/nodes/localhost/${path}`),
    ];
    expect([path, other.status]).toEqual([path, own.status]);
    await Promise.all([own.text(), other.text()]);
  }
  expect((await get("/api2/json/nodes/localhost/version")).status).toBe(200);
});
