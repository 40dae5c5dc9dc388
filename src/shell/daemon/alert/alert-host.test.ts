// The alerts of a node with a real tree, status store, disk and webhook; its ring is of paper.
import { afterAll, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { openApiNode } from "../../../../test/double/api-app.ts";
import { pending, ready, until } from "../../../../test/interop/wait.ts";
import type { Alerting } from "../../alert/alerting.ts";
import { openAlerting } from "./alert-host.ts";

const bodies: string[] = [];
const webhook = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: async (request) => {
    bodies.push(await request.text());
    return new Response(null, { status: 204 });
  },
});
const node = await openApiNode("standalone", {
  "quorate.cfg": "alert-delay: 1\nalert-clear: 1\n",
  "priv/note": "",
});
afterAll(async () => {
  await node.close();
  await webhook.stop(true);
});

let daysLeft = 3;
const open: Alerting[] = [];
async function started(): Promise<Alerting> {
  const { parts } = node;
  const alerting = openAlerting({
    parts,
    monitor: { look: () => parts.cluster.snapshot() },
    certificates: () => [{ file: "nodes/n1/pve-ssl.pem", daysLeft }],
  });
  open.push(alerting);
  await alerting.start();
  return alerting;
}
afterAll(() => {
  for (const alerting of open) alerting.stop();
});

test("a certificate that ends soon is told by the webhook of the tree, is remembered on disk, and not told again after a restart", async () => {
  const { tree, options } = node.parts;
  await tree.mkdir("priv/quorate");
  const secret = new TextEncoder().encode(`webhook: http://127.0.0.1:${webhook.port}/\n`);
  await tree.create("priv/quorate/alert.cfg");
  await tree.write("priv/quorate/alert.cfg", 0, secret);
  const first = await started();
  await until(
    async () => (bodies.length > 0 ? ready(true) : pending(JSON.stringify(first.report()))),
    60_000,
    "the webhook is called",
    50,
  );
  expect(JSON.parse(bodies[0] ?? "")).toMatchObject({
    source: "quorate",
    sentBy: "n1",
    alerts: [{ id: "certificate/0/pve-ssl.pem", state: "open" }],
  });
  // What is told is known to the group, and on disk, once the answer has come.
  await until(
    async () => {
      const [alert] = first.report().alerts;
      return alert?.sentBy === "n1" ? ready(true) : pending(JSON.stringify(alert));
    },
    60_000,
    "it is known that it was told",
    50,
  );
  const told = tree.statusStore.store.get(node.parts.cluster.settings.nodeid, "quorate-alert-told");
  expect(Buffer.from(told ?? []).toString()).toContain("certificate/0/pve-ssl.pem");
  await until(
    async () => {
      const text = readFileSync(options.paths.alerts, "utf8");
      return text.includes('\\"by\\":\\"n1\\"') ? ready(true) : pending(text);
    },
    60_000,
    "it is on disk",
    50,
  );
  expect(statSync(options.paths.alerts).mode & 0o777).toBe(0o640);
  first.stop();
  daysLeft = 100;
  // The next one knows it, and tells its end alone.
  const next = await started();
  await until(
    async () => (bodies.length > 1 ? ready(true) : pending(JSON.stringify(next.report()))),
    60_000,
    "its end is told",
    50,
  );
  expect(JSON.parse(bodies[1] ?? "")).toMatchObject({
    alerts: [{ id: "certificate/0/pve-ssl.pem", state: "over" }],
  });
  expect(bodies).toHaveLength(2);
}, 200_000);
