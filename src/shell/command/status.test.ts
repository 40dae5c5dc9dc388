import { expect, test } from "bun:test";
import { comparedText, deviceTlsText, operationLines, promiseLines } from "./status.ts";

const digest = "ab".repeat(32);
const at = 1_800_000_000;
const verified = { at, equal: true, digest };
const members = [2, 3, 5];

test("the digest is called compared only when it was, and by whom it was", () => {
  const when = "2027-01-15T08:00:00.000Z";
  expect(comparedText({ verified, members, digest }, 3)).toBe(
    `, the same as that of node 2 at ${when}`,
  );
  expect(comparedText({ verified, members, digest }, 2)).toBe(
    `, which the others compared theirs with at ${when}`,
  );
  // A write since: the digest that is shown was compared with nothing.
  expect(comparedText({ verified, members, digest: "cd".repeat(32) }, 3)).toBe(
    `, not compared yet (changed since ${when})`,
  );
  const differed = { ...verified, equal: false };
  expect(comparedText({ verified: differed, members, digest }, 3)).toContain("DIFFERED");
  expect(comparedText({ verified, members: [3], digest }, 3)).toBe("");
  expect(comparedText({ members, digest }, 3)).toBe("");
});

test("TLS to the vote server: as it is, and as configured while there is no connection", () => {
  const tls = { mode: "required", active: false, sentCertificate: false };
  expect(deviceTlsText({ state: "Connect failed", tls })).toBe("TLS required");
  expect(deviceTlsText({ state: "Connecting", tls: { ...tls, mode: "off" } })).toBe("without TLS");
  expect(deviceTlsText({ state: "Connected", tls: { ...tls, mode: "on" } })).toBe("without TLS");
  expect(deviceTlsText({ state: "Connected", tls: { ...tls, active: true } })).toBe("TLS");
});

test("a change that runs, and what one left to be done by hand, with the next step", () => {
  const operation = {
    ...{ kind: "remove", id: "UPID:x", beganAtMs: at * 1000, step: "conf", isGoingBack: true },
  };
  const leftover = {
    ...{ kind: "leave", id: "", endedAtMs: at * 1000, reason: "", obstacle: "no quorum" },
    left: ["remove /etc/pve/nodes/n2 on this node"],
    file: "/var/lib/quorate/operation-by-hand.json",
  };
  expect(operationLines({ operation, leftover })).toEqual([
    'Change  remove since 2027-01-15T08:00:00.000Z, undoing "conf" (quorate task log UPID:x)',
    "By hand leave of 2027-01-15T08:00:00.000Z could be neither completed nor undone: no quorum",
    "        to be done: remove /etc/pve/nodes/n2 on this node",
    "        then: rm /var/lib/quorate/operation-by-hand.json",
  ]);
  expect(operationLines({})).toEqual([]);
});

test("what an answered change may count on", () => {
  const promise = { epoch: 7, isAgreed: true, silent: [] };
  expect(promiseLines({ promise, writable: true })).toEqual([
    "        epoch 7: renamed, removed and synced files are on a majority's disks",
  ]);
  expect(promiseLines({ promise: { ...promise, silent: [3] }, writable: true })[0]).toBe(
    "        epoch 7: node 3 does not say what its disk has (an original, or --durability normal):",
  );
  expect(promiseLines({ promise: { ...promise, isAgreed: false }, writable: true })[0]).toContain(
    "writes wait for that",
  );
  // Not writable: the line above says why.
  expect(promiseLines({ promise, writable: false })).toEqual([]);
});
