// corosync-qdevice-tool and its socket (qnetd.md §5.3, §6) against recordings of the original: every recorded situation is read
// back into the state that it tells of and must be printed again byte for byte; requests are answered as they were recorded.
import { afterAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { present } from "../../src/assert.ts";
import { bytesOf } from "../../src/bytes.ts";
import type { RingSnapshot } from "../../src/node/thread/bridge.ts";
import type { DeviceSnapshot } from "../../src/node/device/events.ts";
import { nodeSettings } from "../double/device-client.ts";
import { ToolRequestReader } from "../../src/qnetd/tool/tool-socket-request.ts";
import { statusText } from "../../src/shell/command/status.ts";
import { qdeviceTool } from "../../src/shell/tool/qdevice-tool.ts";
import { QdeviceSocket } from "../../src/shell/daemon/qdevice-socket.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { qdeviceStatusText, readQdeviceRequest } from "../../src/shell/tool/qdevice-socket-text.ts";

const folder = join(import.meta.dir, "qnetd");
const golden = (name: string): string => readFileSync(join(folder, name), "utf8");
const now = Date.parse("2026-11-21T12:00:00");

/** Reads what the original printed with -s -v. */
function stateOf(text: string): DeviceSnapshot {
  const [clientPart = "", netPart = ""] = text.split("\n\n");
  const valueIn = (part: string, label: string): string | undefined =>
    part
      .split("\n")
      .find((line) => line.startsWith(`${label}:`))
      ?.slice(label.length + 1)
      .trim();
  const client = (label: string): string | undefined => valueIn(clientPart, label);
  const net = (label: string): string | undefined => valueIn(netPart, label);
  const number = (value: string | undefined): number => Number.parseInt(value ?? "", 10);
  const ago = (value: string | undefined): number | undefined =>
    value === undefined ? undefined : now - Date.parse(value.split(" ")[0] ?? "");
  const [rep, seq] = (client("Ring ID") ?? "").split(".");
  const tie = present(net("Tie-breaker"), "a tie-breaker");
  const results = /: (\w+), membership: (\w+), connect: (\w+)/.exec(net("Heuristics result") ?? "");
  const result = (word: string | undefined): "pass" | "fail" | undefined =>
    word === "Pass" ? "pass" : word === "Fail" ? "fail" : undefined;
  const [host = "", port] = (net("QNetd host") ?? "").split(":");
  const poll = present(client("Last poll call"), "a poll");
  const state = net("State");
  const running = net("Poll timer running");
  const modes = { Disabled: "off", Enabled: "on", "Enabled only on sync": "sync" } as const;
  const algorithms: Record<string, string> = { "Fifty-Fifty split": "ffsplit", LMS: "lms" };
  const keep = net("KAP Tie-breaker");
  return {
    model: "net",
    host,
    port: Number(port),
    ipVersion: 0,
    algorithm: present(algorithms[net("Algorithm") ?? ""], "a known algorithm"),
    tieBreaker: tie.replace(/^Node with /, "").replace(/ node ID$/, ""),
    votes: 1,
    isRegistered: true,
    state: state === "Connected" || state === "Connecting" ? state : "Connect failed",
    problem: "",
    tls: {
      mode: net("TLS") === "Required" ? "required" : "off",
      active: net("TLS active")?.startsWith("Yes") === true,
      sentCertificate: net("TLS active")?.includes("sent") === true,
    },
    keepActivePartition: keep === "Enabled" ? keep : "Algorithm hard-coded",
    vote: running === "No" ? undefined : running === "Yes" ? "nack" : "ack",
    heuristics: {
      mode: modes[client("Heuristics") === "Enabled" ? "Enabled" : "Disabled"],
      last: result(net("Heuristics result")?.split(" ")[0]),
      regular: result(results?.[1]),
      membership: result(results?.[2]),
      connect: result(results?.[3]),
    },
    heartbeatMs: number(net("HB interval")),
    connectMs: number(net("Connect timeout")),
    castVoteMs: number(net("VQ vote timer interval")),
    timeoutMs: number(client("HB interval")),
    syncTimeoutMs: number(client("Sync HB interval")),
    cluster: {
      name: net("Cluster name") ?? "",
      nodeid: number(client("Node ID")),
      configVersion: number(client("Configuration version")),
      nodes: [...clientPart.matchAll(/^ {4}\d+\tNode ID = (\d+)$/gm)].map((line) => ({
        nodeid: Number(line[1]),
        dataCenterId: 0,
      })),
      ring: { rep: Number(rep), seq: Number.parseInt(seq ?? "", 16) },
      members: (client("Membership node list") ?? "").split(", ").map(Number),
      quorate: client("Quorate") === "Yes",
      voters: [...clientPart.matchAll(/^ {4}\d+\tNode ID = (\d+), State = (\w+)$/gm)].map(
        (line) => ({ nodeid: Number(line[1]), state: line[2] === "dead" ? "dead" : "member" }),
      ),
      expectedVotes: number(client("Expected votes")),
    },
    connectedForMs: ago(net("Connected since")),
    lastEchoAgoMs: ago(net("Echo reply received")),
    lastPoll: { agoMs: ago(poll) ?? 0, castsVote: poll.includes("cast vote") },
  };
}

const situations = readdirSync(folder)
  .filter((name) => name.endsWith(".qdevice-tool-s-v.txt"))
  .filter((name) => golden(name).startsWith("Qdevice information"))
  .map((name) => name.replace(/-v\.txt$/, ""));

describe("status", () => {
  test("there are recordings", () => expect(situations.length).toBe(44));

  test.each(situations)("%s", (situation) => {
    const verbose = golden(`${situation}-v.txt`);
    const device = stateOf(verbose);
    expect(qdeviceStatusText(device, { isVerbose: true, now })).toBe(verbose);
    const short = join(folder, `${situation}.txt`);
    if (!existsSync(short)) return;
    expect(qdeviceStatusText(device, { isVerbose: false, now })).toBe(readFileSync(short, "utf8"));
  });

  test("what no recording shows", () => {
    const device = stateOf(golden("ffsplit2-connected.n1.qdevice-tool-s-v.txt"));
    const { cluster } = device;
    const odd: DeviceSnapshot = {
      ...device,
      ipVersion: 4,
      tieBreaker: "3",
      tls: { mode: "on", active: true, sentCertificate: false },
      vote: undefined,
      heuristics: { ...device.heuristics, mode: "sync" },
      cluster: { ...cluster, nodes: [{ nodeid: 1, dataCenterId: 7 }] },
      lastPoll: undefined,
    };
    const lines = qdeviceStatusText(odd, { isVerbose: true, now }).split("\n");
    for (const line of [
      "    0\tNode ID = 1, Data center ID = 7",
      "Heuristics:\t\tEnabled only on sync",
      "Last poll call:\t\tNever",
      "Force IP version:\t4",
      "TLS:\t\t\tSupported",
      "Tie-breaker:\t\tNode with node ID 3",
      "Poll timer running:\tNo",
      "Heuristics result:\tUndefined (regular: Undefined, membership: Undefined, connect: Undefined)",
      "TLS active:\t\tYes",
    ]) {
      expect(lines).toContain(line);
    }
  });
});

describe("quorate status", () => {
  const text = (part: Partial<NodeStatus>): string => {
    const status = {
      node: { name: "n1", nodeid: 1 },
      cluster: { name: "lab", configVersion: 1, encrypted: true },
      quorum: { meaning: "quorate", flags: ["Quorate", "Qdevice"] },
      ring: { id: "1.9", state: "operational", rotationUs: { p50: 0, p99: 0 }, counters: {} },
      nodes: [],
      links: [],
      tree: { writable: true, digest: "" },
      mount: { target: "", reason: "" },
      ...part,
    };
    return statusText(status as unknown as NodeStatus);
  };

  test("says what the device does and what speaks against it", () => {
    const device = stateOf(golden("ffsplit2-connected.n1.qdevice-tool-s-v.txt"));
    expect(text({ device })).toContain(
      "Device  10.95.1.254:5403, ffsplit, votes 1: connected, ACK, without TLS\nRing",
    );
    const warned = text({ device: { ...device, problem: "it refuses us", warning: "odd" } });
    expect(warned).toContain("ACK, without TLS\n        it refuses us\n        odd\nRing");
    expect(text({ deviceFault: "net.host is missing" })).toContain(
      "Device  not used: net.host is missing\n",
    );
    expect(text({})).not.toContain("Device");
  });
});

describe("requests", () => {
  const raw = golden("ipc-raw.qdevice.txt").trimEnd().split("\n");
  const python = (text: string): string =>
    text.slice(1, -1).replaceAll("\\n", "\n").replaceAll("\\t", "\t");

  test("are answered as recorded", () => {
    let compared = 0;
    for (let at = 0; at < raw.length; at += 2) {
      const request = python(raw[at]?.slice(4) ?? "");
      const reply = python(raw[at + 1]?.slice(4) ?? "");
      const reader = new ToolRequestReader({ bytesMax: 4096, read: readQdeviceRequest });
      const read = reader.push(bytesOf(request));
      if (read === undefined || read === "tooLong") throw new Error(request);
      if (read.kind === "error") expect(`Error\n${read.reason}\n`).toBe(reply);
      else {
        expect(read).toEqual({ kind: "status", isVerbose: reply.includes("Sync HB interval") });
        expect(reply).toStartWith("OK\nQdevice information\n");
      }
      compared += 1;
    }
    expect(compared).toBe(5);
  });

  test("any line is read", () => {
    fc.assert(fc.property(fc.string(), (line) => void readQdeviceRequest(line)));
    expect(readQdeviceRequest("  STATUS\tVerbose x")).toEqual({ kind: "status", isVerbose: true });
    expect(readQdeviceRequest("shutdown now")).toEqual({ kind: "shutdown" });
  });
});

describe("the tool and the socket", () => {
  const directory = mkdtempSync(join(tmpdir(), "quorate-qdevice-"));
  const path = join(directory, "run", "corosync-qdevice.sock");
  afterAll(() => rmSync(directory, { recursive: true }));

  async function tool(
    ...args: string[]
  ): Promise<{ readonly code: number; readonly text: string }> {
    let text = "";
    const write = (bytes: string | Uint8Array): void => {
      text += typeof bytes === "string" ? bytes : new TextDecoder().decode(bytes);
    };
    return { code: await qdeviceTool({ args, socket: path, write, writeError: write }), text };
  }

  test("usage and no daemon, as the original", async () => {
    const sessions = golden("cli-help.txt").split(/^\$ /m);
    const recorded = sessions.filter((part) => part.startsWith("corosync-qdevice-tool "));
    expect(recorded).toHaveLength(2);
    for (const part of recorded) {
      const [command = "", ...output] = part.split("\n");
      const { code, text } = await tool(...command.split(" ").slice(1));
      expect(`${text}rc=${code}\n`).toBe(output.join("\n"));
    }
    expect(await tool("-s")).toEqual({
      code: 3,
      text: golden("not-running.n2.qdevice-tool-s.txt").replace("rc=3\n", ""),
    });
    expect((await tool("-x")).text).toStartWith("corosync-qdevice-tool: invalid option -- 'x'\n");
    expect((await tool()).code).toBe(1);
  });

  test("there while the device is used, gone when it was shut down", async () => {
    const snapshot = stateOf(golden("ffsplit2-connected.n1.qdevice-tool-s-v.txt"));
    let device: DeviceSnapshot | undefined = snapshot;
    let stops = 0;
    const stopped = Promise.withResolvers<void>();
    const lines: string[] = [];
    const socket = new QdeviceSocket({
      cluster: {
        settings: nodeSettings({ nodeid: 1, nodes: 2 }),
        snapshot: async () => ({ device }) as RingSnapshot,
        stopDevice: async () => {
          device = undefined;
          stops += 1;
          return { ok: true, reason: "" };
        },
      },
      path,
      log: (_level, text) => {
        lines.push(text);
        if (text.includes("-H")) stopped.resolve();
      },
    });
    await socket.update();
    const first = await tool("-s");
    expect(first.code).toBe(0);
    expect(first.text).toContain("Qdevice-net information\n----------------------\n");
    expect((await tool("-s", "-v")).text).toContain("Sync HB interval:\t30000ms\n");
    // Another daemon does not lose its socket to us.
    const second = new QdeviceSocket({
      cluster: {
        settings: nodeSettings({ nodeid: 1, nodes: 2 }),
        snapshot: async () => ({ device: snapshot }) as RingSnapshot,
        stopDevice: async () => ({ ok: true, reason: "" }),
      },
      path,
      log: (_level, text) => void lines.push(text),
    });
    await second.update();
    expect(lines.join()).toContain("another corosync-qdevice answers");
    await second.close();
    expect(await tool("-H")).toEqual({ code: 0, text: "" });
    await stopped.promise;
    await socket.update();
    expect(stops).toBe(1);
    expect((await tool("-s")).code).toBe(3);
    device = snapshot;
    await socket.update();
    expect((await tool("-s")).code).toBe(0);
    await socket.close();
    expect(existsSync(path)).toBe(false);
  });
});
