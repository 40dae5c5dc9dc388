// The members as a joining node finds them: addresses that are silent or foreign are passed over, and cost no time that the clocks would be blamed for.
import { afterEach, beforeAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createServer as createPlain, type Server } from "node:net";
import { createServer } from "node:https";
import { createAuthority, createIdentity } from "../../qnetd/pki/issue.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import { fingerprintOf } from "../remote/trust.ts";
import { ClusterSide } from "./cluster-side.ts";

let authority: { certificate: Uint8Array; key: Uint8Array };
let server: { certificate: Uint8Array; key: Uint8Array };
const open: Server[] = [];

beforeAll(async () => {
  authority = await createAuthority(1, new Date());
  server = await createIdentity({ authority, commonName: "pve1", serial: 3, from: new Date() });
});
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const situation = {
  ...{ cluster: "lab", node: "pve1", version: "1", nodes: [], links: [], effect: "one more vote" },
};

function listening(listener: Server, port: number, host: string): Promise<number> {
  open.push(listener);
  const { promise, resolve } = Promise.withResolvers<number>();
  listener.listen(port, host, () => {
    const address = listener.address();
    resolve(typeof address === "object" && address !== null ? address.port : 0);
  });
  return promise;
}

/** A member at 127.0.0.1 whose clock is as said; the paths that were posted to it. */
async function member(aheadMs: number): Promise<{ port: number; posted: string[] }> {
  const posted: string[] = [];
  const chain = [server.certificate, authority.certificate];
  const listener = createServer(
    {
      key: pem("PRIVATE KEY", server.key),
      cert: chain.map((der) => pem("CERTIFICATE", der)).join(""),
    },
    (request, response) => {
      if (request.method === "POST") posted.push(request.url ?? "");
      response.end(JSON.stringify({ data: { ...situation, wallMs: Date.now() + aheadMs } }));
    },
  );
  return { port: await listening(listener, 0, "127.0.0.1"), posted };
}

function side(hosts: readonly string[], port: number): ClusterSide {
  const fingerprint = fingerprintOf(new X509Certificate(authority.certificate));
  return new ClusterSide({ hosts, port, trust: { kind: "authority", fingerprint }, token: "00" });
}

const wish = { node: "pve2", votes: 1, isForced: false, links: new Map() };

test("a first address that is silent delays nothing, and its silence is no difference of clocks", async () => {
  const { port, posted } = await member(60_000);
  const silent: unknown[] = [];
  // Takes connections, and never says a word, as long as the test runs.
  await listening(
    createPlain((socket) => {
      silent.push(socket);
      socket.on("error", () => undefined);
    }),
    port,
    "127.0.0.2",
  );
  const cluster = side(["127.0.0.2", "127.0.0.3", "127.0.0.1"], port);
  const begun = performance.now();
  const answer = await cluster.check(wish);
  const tookMs = performance.now() - begun;
  expect(answer).toMatchObject({ ok: true, value: { node: "pve1" } });
  const offsetMs = answer.ok ? answer.value.offsetMs : 0;
  expect(Math.abs(offsetMs - 60_000)).toBeLessThan(3000);
  // The silent one would have had 30 s.
  expect(tookMs).toBeLessThan(25_000);
  expect(silent.length).toBeGreaterThan(0);
  // Only the member that was found is asked for more.
  await cluster.check(wish);
  expect(posted).toEqual(["/api/v1/join/token/check", "/api/v1/join/token/check"]);
});

test("when no address answers, each says why", async () => {
  const { port } = await member(0);
  const answer = await side(["127.0.0.2", "127.0.0.3"], port).check(wish);
  expect(answer).toMatchObject({ ok: false, kind: "unreachable" });
  const reason = answer.ok ? "" : answer.reason;
  for (const host of ["127.0.0.2", "127.0.0.3"]) expect(reason).toContain(`the node at ${host}`);
});
