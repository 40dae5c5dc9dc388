// The metrics of a node, read by a little parser that is written from the format's description alone.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { StandaloneCluster } from "../daemon/node/standalone.ts";
import { expositionText, familiesOf, known } from "./exposition.ts";
import { type MetricsSource, nodeMetrics } from "./node-metrics.ts";
import { parseExposition } from "../../../test/double/exposition.ts";

const cluster = new StandaloneCluster("pve1", () => 0);

async function source(): Promise<MetricsSource> {
  const { settings } = cluster;
  const snapshot = await cluster.snapshot();
  const none = { packets: 0, bytes: 0 };
  const traffic = { data: none, ping: none, pong: none, pmtu: none };
  return {
    version: "1.2.3",
    mode: "cluster",
    settings: {
      ...settings,
      nodes: [
        { nodeid: 1, name: "pve1", votes: 1, addresses: ["10.0.0.1"] },
        { nodeid: 2, name: 'p"\n\\', votes: 2, addresses: ["10.0.0.2"] },
      ],
    },
    snapshot: {
      ...snapshot,
      rotationUs: { p50: 250, p99: 4000 },
      links: [
        {
          ...{ nodeid: 2, link: 1, localAddress: "10.0.0.1", remoteAddress: "10.0.0.2" },
          ...{ enabled: true, connected: true, mtu: 1400, latencyUs: 5, latencySamples: 4 },
          ...{ downCount: 3, upCount: 4, packetsSent: 7, packetsReceived: 8 },
          ...{ sent: traffic, received: traffic, changes: [] },
          recent: { pings: 100, lost: 25, latencyUs: { min: 100, p50: 1500, max: 9000 } },
          path: { state: "measured", mtu: 1500 },
        },
      ],
    },
    tree: {
      ...{ mode: "synced", writable: true, reason: "", version: 17, entries: 3, bytes: 99 },
      ...{ writes: 5, members: [1], verified: { at: 1, equal: true, digest: "" } },
    },
    journal: { commits: 4, totalMs: 20, longestMs: 9, waiting: 0 },
    certificates: [{ file: "nodes/pve1/pve-ssl.pem", daysLeft: 700.123 }],
    door: {
      connections: 2,
      counters: { connections: 9, requests: 8, refused: 7, evicted: 6, timedOut: 5, limited: 4 },
    },
    streams: { open: 1, dropped: 2 },
    alerts: {
      open: ["node", "node", "link"],
      isSending: true,
      channels: [{ name: "webhook", sent: 3, failed: 1 }],
    },
    process: { uptimeS: 60, residentBytes: 1000, cpuS: 1.5 },
  };
}

test("every line is of the format, and says what was given", async () => {
  const metrics = parseExposition(expositionText(nodeMetrics(await source())));
  const value = (name: string, labels: Record<string, string> = {}) =>
    metrics.find(
      (each) =>
        each.name === name &&
        Object.entries(labels).every(([label, wanted]) => each.labels[label] === wanted),
    )?.value;
  expect(value("quorate_info", { version: "1.2.3", node: "pve1" })).toBe(1);
  expect(value("quorate_quorate")).toBe(1);
  expect(value("quorate_node_votes", { node: 'p"\n\\', nodeid: "2" })).toBe(2);
  expect(value("quorate_link_latency_seconds", { nodeid: "2", link: "1" })).toBe(0.0015);
  expect(value("quorate_link_loss_ratio", { nodeid: "2" })).toBe(0.25);
  expect(value("quorate_token_rotation_seconds", { quantile: "0.99" })).toBe(0.004);
  expect(value("quorate_tree_version")).toBe(17);
  expect(value("quorate_journal_commit_seconds_total")).toBe(0.02);
  expect(value("quorate_certificate_days_left", { file: "nodes/pve1/pve-ssl.pem" })).toBe(700.12);
  expect(value("quorate_api_refusals_total", { limit: "evicted" })).toBe(6);
  expect(value("quorate_alerts_open", { kind: "node" })).toBe(2);
  expect(value("quorate_alerts_open", { kind: "quorum" })).toBe(0);
  expect(value("quorate_alert_sender")).toBe(1);
  expect(value("quorate_alert_failures_total", { channel: "webhook" })).toBe(1);
  expect(value("quorate_process_cpu_seconds_total")).toBe(1.5);
  expect(value("quorate_device_connected")).toBeUndefined();
});

test("without API, device, rotations and comparison there are no such families", async () => {
  const given = await source();
  const { verified: _, ...tree } = given.tree;
  const snapshot = { ...given.snapshot, rotationUs: { p50: 0, p99: 0 } };
  const text = expositionText(nodeMetrics({ ...given, snapshot, tree, door: undefined }));
  const names = new Set(parseExposition(text).map(({ name }) => name));
  for (const absent of ["api_connections", "device_vote", "token_rotation_seconds", "tree_equal"]) {
    expect(names.has(`quorate_${absent}`)).toBe(false);
  }
});

test("property: whatever a label is, the parser reads it back, cut and without what steers", () => {
  const family = familiesOf("x_");
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 140 }), fc.double(), (label, number) => {
      const value = Number.isFinite(number) ? number + 0 : 0;
      const [read, ...rest] = parseExposition(
        expositionText([family("y", "gauge", "Help.", [[{ label }, value]])]),
      );
      expect(rest).toEqual([]);
      expect(read?.value).toBe(value);
      const expected = label
        .slice(0, 128)
        .toWellFormed()
        .replace(/[^\P{Cc}\n]/gu, "\u{fffd}");
      expect(read?.labels).toEqual({ label: expected });
    }),
  );
});

test("what is not known is no sample", () => {
  expect(known(undefined)).toEqual([]);
  expect(known(Number.NaN)).toEqual([]);
  expect(known(0)).toEqual([[{}, 0]]);
});
