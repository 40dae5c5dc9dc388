import { expect, test } from "bun:test";
import type { LinkSnapshot } from "../../node/link/events.ts";
import { ageText, downWarning, linkFaults } from "./link-faults.ts";

const none = { packets: 0, bytes: 0 };
const traffic = { data: none, ping: none, pong: none, pmtu: none };
const good: LinkSnapshot = {
  ...{ nodeid: 2, link: 1, localAddress: "10.0.1.1", remoteAddress: "10.0.1.2" },
  ...{ enabled: true, connected: true, mtu: 1397, latencyUs: 300, latencySamples: 30 },
  ...{ downCount: 1, upCount: 1, packetsSent: 0, packetsReceived: 0 },
  ...{ sent: traffic, received: traffic },
  recent: { pings: 100, lost: 4 },
  changes: [{ agoMs: 90_000, isUp: true, reason: "" }],
  path: { state: "measured", mtu: 1500 },
};
const of = (change: Partial<LinkSnapshot>) => linkFaults({ ...good, ...change }, "pve2 (node 2)");
const where = "link 1 to pve2 (node 2) at 10.0.1.2";

test("a link that is well has no faults", () => {
  expect(of({})).toEqual([]);
  expect(of({ recent: { pings: 19, lost: 19 } })).toEqual([]);
});

test("down, with the reason; never up", () => {
  const changes = [{ agoMs: 5000, isUp: false, reason: "no answer" }, ...good.changes];
  expect(of({ connected: false, changes })).toEqual([`${where} is down since 5 s: no answer`]);
  const [never] = of({ connected: false, changes: [], upCount: 0 });
  expect(never).toContain(`${where} has not been up`);
});

test("the warning of a link that is down says the same as long as it is down", () => {
  const warning = (agoMs: number) => {
    const changes = [{ agoMs, isUp: false, reason: "no answer; check that node" }, ...good.changes];
    return downWarning({ ...good, connected: false, changes }, "pve2 (node 2)");
  };
  expect(downWarning(good, "pve2 (node 2)")).toBe("");
  expect(warning(5000)).toStartWith(`${where} is down: no answer; check that node. `);
  expect(warning(90_000)).toBe(warning(5000));
  const never = { ...good, connected: false, changes: [], upCount: 0 };
  expect(downWarning(never, "pve2 (node 2)")).toStartWith(`${where} is down: check both ends`);
});

test("flapping from the third time within ten minutes", () => {
  const down = (agoMs: number) => ({ agoMs, isUp: false, reason: "no answer" });
  const up = (agoMs: number) => ({ agoMs, isUp: true, reason: "" });
  const twice = [up(1000), down(3000), up(60_000), down(599_000)];
  expect(of({ changes: [...twice, up(600_000), down(600_001)] })).toEqual([]);
  const [flapping, ...others] = of({ changes: [...twice, up(599_500), down(600_000)] });
  expect(flapping).toStartWith(
    `${where} is flapping: it went down 3 times in the last ten minutes, the last time 3 s ago (no answer)`,
  );
  expect(others).toEqual([]);
});

test("a peer that never answers full-size probes is named, with the size that is used instead", () => {
  const [narrow] = of({ path: { state: "measured", mtu: 1420, unanswered: 1436 } });
  expect(narrow).toStartWith(`${where} never answers packets of 1436 bytes`);
  expect(narrow).toContain("1420 are used");
  const [failed] = of({ path: { state: "failed", mtu: 576, unanswered: 100 } });
  expect(failed).toStartWith(`${where} answers pings, but never a full-size probe`);
});

test("losses", () => {
  const [losing] = of({ recent: { pings: 100, lost: 5 } });
  expect(losing).toStartWith(`${where} loses packets: 5 of the last 100 pings`);
});

test("ages", () => {
  expect(
    [0, 119_000, 120_000, 7_199_000, 7_200_000, 172_799_000, 172_800_000].map(ageText),
  ).toEqual(["0 s", "119 s", "2 min", "120 min", "2 h", "48 h", "2 d"]);
});
