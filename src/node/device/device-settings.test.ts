import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { deviceAdvice, deviceWarning } from "./advice.ts";
import { defaultAdvanced } from "./advanced.ts";
import { splitCommand } from "./command-line.ts";
import { deviceSettings } from "./device-settings.ts";
import { nodeSettings, settingsOf } from "../../../test/double/device-client.ts";

const two = { nodeid: 1, nodes: 2 } as const;

function refusal(options: Readonly<Record<string, string>>, nodes = 2, votes?: number): string {
  const read = deviceSettings(
    nodeSettings({ nodeid: 1, nodes, options, ...(votes === undefined ? {} : { votes }) }),
  );
  return read === undefined ? "no device" : read.ok ? "accepted" : read.reason;
}

describe("quorum.device of corosync.conf", () => {
  test("defaults and derived timers", () => {
    expect(settingsOf(two)).toEqual({
      clusterName: "lab",
      nodeid: 1,
      configVersion: 1,
      nodes: [
        { nodeid: 1, dataCenterId: 0 },
        { nodeid: 2, dataCenterId: 0 },
      ],
      host: "192.0.2.1",
      port: 5403,
      ipVersion: 0,
      tls: "on",
      algorithm: "ffsplit",
      tieBreaker: { mode: "lowest" },
      keepActivePartition: true,
      connectMs: 8000,
      heartbeatMs: 8000,
      castVoteMs: 5000,
      timeoutMs: 10_000,
      syncTimeoutMs: 30_000,
      waitForAll: false,
      votes: 1,
      heuristics: {
        mode: "off",
        timeoutMs: 5000,
        syncTimeoutMs: 15_000,
        intervalMs: 30_000,
        commands: [],
      },
      advanced: defaultAdvanced,
      remarks: [],
    });
  });

  test("every key", () => {
    const options = {
      "net.host": "q.example",
      "net.port": "5500",
      "net.force_ip_version": "6",
      "net.tls": "no",
      "net.algorithm": "lms",
      "net.tie_breaker": "2",
      "net.keep_active_partition_tie_breaker": "off",
      "net.connect_timeout": "3000",
      "heuristics.mode": "sync",
      "heuristics.timeout": "1000",
      "heuristics.sync_timeout": "2000",
      "heuristics.interval": "4000",
      "heuristics.exec_ping": '/bin/ping -c 1 "a b" c\\ d',
    };
    expect(settingsOf({ nodeid: 1, nodes: 3, options })).toMatchObject({
      host: "q.example",
      port: 5500,
      ipVersion: 6,
      tls: "off",
      tieBreaker: { mode: "nodeId", nodeId: 2 },
      keepActivePartition: false,
      connectMs: 3000,
      votes: 2,
      heuristics: {
        mode: "sync",
        timeoutMs: 1000,
        syncTimeoutMs: 2000,
        intervalMs: 4000,
        commands: [{ name: "ping", words: ["/bin/ping", "-c", "1", "a b", "c d"] }],
      },
    });
  });

  const wrong: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [{ "net.host": "" }, "quorum.device.net.host is missing"],
    [{ "net.port": "0" }, "quorum.device.net.port"],
    [{ "net.port": "1e3" }, "quorum.device.net.port"],
    [{ "net.tls": "maybe" }, "quorum.device.net.tls"],
    [{ "net.algorithm": "FFSplit" }, "quorum.device.net.algorithm"],
    [{ "net.tie_breaker": "0" }, "quorum.device.net.tie_breaker"],
    [{ "net.tie_breaker": "4294967296" }, "quorum.device.net.tie_breaker"],
    [{ "net.algorithm": "test" }, "for developers"],
    [{ "net.force_ip_version": "5" }, "quorum.device.net.force_ip_version"],
    [
      { "net.keep_active_partition_tie_breaker": "On" },
      "quorum.device.net.keep_active_partition_tie_breaker",
    ],
    [{ "heuristics.mode": "auto" }, "quorum.device.heuristics.mode"],
    [{ "heuristics.timeout": "120001" }, "quorum.device.heuristics.timeout"],
    [{ "heuristics.sync_timeout": "999" }, "quorum.device.heuristics.sync_timeout"],
    [{ "heuristics.interval": "3600001" }, "quorum.device.heuristics.interval"],
    [{ "net.connect_timeout": "999" }, "quorum.device.net.connect_timeout"],
    [{ "heuristics.mode": "on", "heuristics.exec_a": "ping x" }, "heuristics.exec_a"],
  ];
  for (const [options, named] of wrong) {
    test(`refused: ${JSON.stringify(options)}`, () => expect(refusal(options)).toContain(named));
  }

  test("ffsplit wants one vote of the device and of every node", () => {
    expect(refusal({}, 4)).toContain("quorum.device.votes");
    expect(refusal({}, 4, 1)).toBe("accepted");
    expect(refusal({ "net.algorithm": "lms" }, 4)).toBe("accepted");
  });

  test("without a valid command, or with more than 32, heuristics are off", () => {
    const many = Object.fromEntries(
      Array.from({ length: 33 }, (_, at) => [`heuristics.exec_${at}`, "/bin/true"]),
    );
    const mode = (options: Record<string, string>): string =>
      settingsOf({ ...two, options: { "heuristics.mode": "on", ...options } }).heuristics.mode;
    expect(mode({})).toBe("off");
    expect(mode(many)).toBe("off");
    expect(mode({ "heuristics.exec_1": "/bin/true" })).toBe("on");
  });
});

describe("command lines", () => {
  test("words, quotes, backslashes", () => {
    expect(splitCommand('  /a  "b \\" c" d\\ e "" ')).toEqual(["/a", 'b " c', "d e", ""]);
    expect(splitCommand('/a "b')).toBeUndefined();
    expect(splitCommand("  ")).toBeUndefined();
  });

  test("quoted words come back whole", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (words) => {
        const line = words.map((word) => `"${word.replaceAll(/["\\]/g, "\\$&")}"`).join(" ");
        expect(splitCommand(line)).toEqual(words);
      }),
    );
  });
});

describe("how many votes a device should have", () => {
  test("one; N - 1 only when asked", () => {
    expect(deviceAdvice(2, false)).toEqual({ votes: 1, algorithm: "ffsplit", warning: undefined });
    expect(deviceAdvice(4, false)).toEqual({ votes: 1, algorithm: "ffsplit", warning: undefined });
    expect(deviceAdvice(3, false).votes).toBe(1);
    expect(deviceAdvice(3, true)).toMatchObject({ votes: 2, algorithm: "lms" });
  });

  test("warnings: odd clusters, N - 1 votes, more votes than nodes, no vote", () => {
    expect(deviceAdvice(3, false).warning).toContain(
      "bears the loss of no node, without a device it would bear 1",
    );
    expect(deviceAdvice(5, false).warning).toContain("one node");
    expect(deviceAdvice(3, true).warning).toContain("point of failure");
    expect(deviceWarning(2, 3)).toContain("never quorate");
    expect(deviceWarning(2, 0)).toContain("no vote");
    for (const nodes of [2, 4, 6, 8]) expect(deviceWarning(nodes, 1)).toBeUndefined();
  });
});
