// A process that is killed on a machine that lives: the others need not wait for the token's timeout. Rounds by hand:
// `QUORATE_DEATHS=20 node build/ensure.mjs test test/node/death.test.ts`.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { ReloadCluster } from "./reload-cluster.ts";

const rounds = Number(process.env["QUORATE_DEATHS"] ?? "3");
const restMsMax = 1000;
const lookMs = 10;
const lookMsMax = 20_000;

let cluster: ReloadCluster;
beforeEach(() => {
  cluster = new ReloadCluster();
});
afterEach(() => cluster.close());

/** Milliseconds until both are quorate in a ring of two. */
async function quorateRest(rest: readonly number[]): Promise<number> {
  const beganAt = performance.now();
  for (;;) {
    const statuses = await Promise.all(rest.map((nodeid) => cluster.client(nodeid).status()));
    const tookMs = performance.now() - beganAt;
    const isRest = statuses.every(
      ({ quorum, ring }) => quorum.quorate && ring.members.length === rest.length,
    );
    if (isRest || tookMs > lookMsMax) return tookMs;
    await Bun.sleep(lookMs);
  }
}

test(
  "SIGKILL of a member: the rest is quorate within a second",
  async () => {
    const conf = cluster.conf({ version: 1, nodes: [1, 2, 3] });
    for (const nodeid of [1, 2, 3]) cluster.start(nodeid, conf);
    const took: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await cluster.all([1, 2, 3], (s) => s.ring.members.length === 3 && s.tree.writable);
      const dead = 1 + (round % 3);
      const rest = [1, 2, 3].filter((nodeid) => nodeid !== dead);
      await cluster.kill(dead);
      took.push(await quorateRest(rest));
      const said = rest.some((nodeid) =>
        cluster.log(nodeid).includes(`The process of node ${dead} has ended: its machine refuses`),
      );
      expect(said).toBe(true);
      cluster.startAgain(dead);
    }
    console.log(`    quorate after ${took.map((ms) => Math.round(ms)).join(", ")} ms`);
    expect(Math.max(...took)).toBeLessThan(restMsMax);
    for (const nodeid of [1, 2, 3]) expect(cluster.log(nodeid)).not.toContain("lives, though");
  },
  60_000 + rounds * 30_000,
);
