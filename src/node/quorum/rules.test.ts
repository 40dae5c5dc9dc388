import { describe, expect, test } from "bun:test";
import { busSettings } from "../../../test/double/service-bus.ts";
import type { QuorumSettings } from "../settings/settings.ts";
import { evaluate, parseTieBreaker } from "./rules.ts";

type Nodes = number | Readonly<Record<number, number>>;
const at = (nodes: Nodes, quorum: Partial<QuorumSettings> = {}) =>
  evaluate(busSettings({ nodeid: 1, nodes, quorum }), undefined);
const device = {
  model: "net",
  votes: undefined,
  timeoutMs: 10_000,
  syncTimeoutMs: 30_000,
  options: {},
};

describe("rules of corosync.conf", () => {
  test("votes and expected votes", () => {
    expect(at(3).rules).toMatchObject({ votes: 1, expectedVotes: 3, deviceVotes: 0 });
    expect(at({ 1: 4, 2: 1 }).rules).toMatchObject({ votes: 4, expectedVotes: 5 });
    expect(at(3, { expectedVotes: 9 }).rules).toMatchObject({ votes: 1, expectedVotes: 9 });
    const unlisted = { expectedVotes: 4, votes: 2 };
    expect(at({ 2: 1 }, unlisted).rules).toMatchObject({ votes: 2, expectedVotes: 4 });
  });

  test("a device without votes gets one less than there are nodes", () => {
    expect(at(4, { device }).rules).toMatchObject({
      expectedVotes: 7,
      deviceVotes: 3,
      isDeviceAllowed: true,
    });
    expect(at({ 1: 2, 2: 1 }, { device }).rules.isDeviceAllowed).toBe(false);
    expect(at(3, { device, lastManStanding: true }).rules.isDeviceAllowed).toBe(false);
    expect(at(3, { device: { ...device, votes: 1 }, expectedVotes: 2 }).rules).toMatchObject({
      isDeviceAllowed: false,
    });
  });

  test("two_node implies wait_for_all unless that is given", () => {
    expect(at(2, { twoNode: true }).rules).toMatchObject({ twoNode: true, waitForAll: true });
    expect(at(2, { twoNode: true, waitForAll: false }).rules.waitForAll).toBe(false);
    const both = at(2, { twoNode: true, autoTieBreaker: true });
    expect(both.rules).toMatchObject({ twoNode: false, waitForAll: true });
    expect(both.notices.map((notice) => notice.text)).toContain(
      "two_node has been disabled, please fix your corosync.conf",
    );
  });

  test("the tie breaker needs an even cluster or wait_for_all", () => {
    expect(at(3, { autoTieBreaker: true }).rules.tieBreaker).toBeUndefined();
    expect(at(4, { autoTieBreaker: true }).rules.tieBreaker).toEqual({ kind: "lowest" });
    const odd = at(3, { autoTieBreaker: true, waitForAll: true });
    expect(odd.rules.tieBreaker).toEqual({ kind: "lowest" });
    const wrong = at(4, { autoTieBreaker: true, autoTieBreakerNode: "first" });
    expect(wrong.rules.tieBreaker).toBeUndefined();
    expect(wrong.notices).toHaveLength(1);
  });

  test("auto_tie_breaker_node", () => {
    expect(parseTieBreaker("highest")).toEqual({ kind: "highest" });
    expect(parseTieBreaker(" 3  1 ")).toEqual({ kind: "list", nodes: [3, 1] });
    expect(parseTieBreaker("")).toEqual({ kind: "lowest" });
    expect(parseTieBreaker("1,2")).toBeUndefined();
    expect(parseTieBreaker("0")).toBeUndefined();
  });

  test("what needs a restart keeps its value at run time, the rest follows the file", () => {
    const { rules } = at(4, { waitForAll: true, lastManStanding: true });
    const settings = busSettings({
      nodeid: 1,
      nodes: 5,
      quorum: { waitForAll: false, autoTieBreaker: true, allowDownscale: true, twoNode: true },
    });
    const next = evaluate(settings, { rules, isDeviceRegistered: false }).rules;
    expect(next).toMatchObject({
      waitForAll: true,
      lastManStanding: true,
      tieBreaker: undefined,
      allowDownscale: false,
      twoNode: true,
      expectedVotes: 5,
    });
  });

  test("two_node against a device that is in use", () => {
    const { rules } = at(2, { device });
    const settings = busSettings({ nodeid: 1, nodes: 2, quorum: { device, twoNode: true } });
    const used = evaluate(settings, { rules, isDeviceRegistered: true }).rules;
    expect(used).toMatchObject({ twoNode: false, isDeviceAllowed: true });
    const idle = evaluate(settings, { rules, isDeviceRegistered: false }).rules;
    expect(idle).toMatchObject({ twoNode: true, isDeviceAllowed: false });
  });
});
