import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { comparable, omitted, omittedStats } from "./cmap-lines.ts";

const recorded = (name: string): string =>
  readFileSync(join(import.meta.dir, "tools", `3n-healthy.n1.${name}.txt`), "utf8");

test("whatever is left out was recorded", () => {
  const lines = `${recorded("cmapctl")}${recorded("cmapctl-m-stats")}`.split("\n");
  const unused = [...omitted, ...omittedStats].filter(
    ([pattern]) => !lines.some((line) => pattern.test(line)),
  );
  // The recorded node was scheduled at all times.
  expect(unused.map(([pattern]) => pattern.source)).toEqual(["^stats\\.schedmiss\\."]);
});

test("states and configuration are compared as they are", () => {
  const kept = comparable(recorded("cmapctl") + recorded("cmapctl-m-stats"));
  for (const line of [
    "runtime.members.2.status (str) = joined",
    "runtime.members.3.join_count (u32) = 1",
    "runtime.votequorum.ev_barrier (u32) = 3",
    "stats.knet.node2.link0.connected (u8) = 1",
    "stats.knet.node2.link0.mtu (u32) = 64946",
    "stats.srp.firewall_enabled_or_nic_failure (u8) = 0",
    "stats.srp.mcast_tx (u64) = <n>",
  ]) {
    expect(kept).toContain(`${line}\n`);
  }
});
