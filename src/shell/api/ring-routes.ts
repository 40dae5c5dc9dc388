// Routes about ring, votes and links: what a node says of them, and what an operator may ask of the ring (services.md §4.11, §7).
import type { Hono } from "hono";
import * as v from "valibot";
import type { ReloadOutcome } from "../../node/thread/reloader.ts";
import { checked, Refusal, settled } from "./refusal.ts";
import type { RingReport } from "./ring-report.ts";

type Settled = Promise<{ readonly ok: boolean; readonly reason: string }>;

export interface RingSource {
  readonly ring: () => Promise<RingReport>;
  readonly setExpectedVotes: (votes: number) => Settled;
  readonly setVotes: (nodeid: number, votes: number) => Settled;
  readonly cancelWaitForAll: () => Settled;
  /** The quorum device's client gives back its vote and ends. */
  readonly stopDevice: () => Settled;
  readonly killNode: (nodeid: number, reason: string) => Settled;
  /** All nodes read corosync.conf again; the answer is this node's. */
  readonly reload: () => Promise<ReloadOutcome>;
  /** This node leaves the ring and its program ends. `reason`: for its log. */
  readonly shutdown: (reason: string) => void;
}

/** Votes as the API takes them; what the cluster refuses is refused by votequorum. */
const votesMax = 0xffff;
const expectedBody = v.object({
  votes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(votesMax)),
});
const nodeid = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffff_ffff));
const votesBody = v.object({
  nodeid,
  votes: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(votesMax)),
});
const reason = v.pipe(
  v.string(),
  v.regex(/^[\x20-\x7e]{0,200}$/, "a reason has up to 200 printable ASCII characters"),
);
const killBody = v.object({ nodeid, reason });
const shutdownBody = v.object({ reason });

export function ringRoutes(app: Hono, source: RingSource): void {
  app.get("/v1/ring", async (c) => c.json(await source.ring()));
  app.post("/v1/quorum/expected", async (c) => {
    const { votes } = checked(expectedBody, await c.req.json().catch(() => undefined));
    settled(await source.setExpectedVotes(votes));
    return c.body(null, 204);
  });
  app.post("/v1/quorum/votes", async (c) => {
    const wanted = checked(votesBody, await c.req.json().catch(() => undefined));
    settled(await source.setVotes(wanted.nodeid, wanted.votes));
    return c.body(null, 204);
  });
  app.post("/v1/quorum/cancel-wait-for-all", async (c) => {
    settled(await source.cancelWaitForAll());
    return c.body(null, 204);
  });
  app.post("/v1/quorum/stop-device", async (c) => {
    settled(await source.stopDevice());
    return c.body(null, 204);
  });
  app.post("/v1/ring/kill", async (c) => {
    const wanted = checked(killBody, await c.req.json().catch(() => undefined));
    settled(await source.killNode(wanted.nodeid, wanted.reason));
    return c.body(null, 204);
  });
  app.post("/v1/reload", async (c) => {
    const outcome = await source.reload();
    if (outcome.isFileRefused) {
      throw new Refusal({ errno: "ECONFIG", reason: outcome.reason }, 400);
    }
    settled(outcome);
    return c.json(outcome);
  });
  app.post("/v1/shutdown", async (c) => {
    const wanted = checked(shutdownBody, await c.req.json().catch(() => undefined));
    // The answer goes out first: this socket closes with the node.
    setImmediate(() => source.shutdown(wanted.reason));
    return c.body(null, 202);
  });
}
