// The vote server's programs beside the originals' (qnetd.md §4.3, §5, §6): what corosync-qnetd-tool printed in every recorded
// situation, what its daemon answered to odd requests, what it made of odd answers, and what the programs say to wrong command lines.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { byteString, bytesOf } from "../../src/bytes.ts";
import { certutil } from "../../src/qnetd/tool/certutil.ts";
import type {
  AlgorithmName,
  Heuristics,
  TieBreaker,
  Vote,
} from "../../src/qnetd/session/message.ts";
import type {
  ClusterSnapshot,
  NodeSnapshot,
  ServerSnapshot,
} from "../../src/qnetd/session/snapshot.ts";
import {
  encodeToolCommand,
  readToolReply,
  ToolRequestReader,
} from "../../src/qnetd/tool/tool-socket-request.ts";
import { listText, type ServerFacts, statusText } from "../../src/qnetd/tool/tool-socket-text.ts";
import { qnetdWords } from "../../src/shell/command/qnetd-options.ts";
import { qnetdTool, toolWords } from "../../src/shell/tool/qnetd-tool.ts";

const folder = join(import.meta.dir, "qnetd");
const golden = (name: string): string => readFileSync(join(folder, name), "utf8");
const jsonLines = <T>(name: string): T[] =>
  golden(name)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as T);

const facts: ServerFacts = {
  address: "*",
  port: 5403,
  tls: "off",
  isClientCertificateRequired: true,
  clientsMax: 0,
  receiveBytesMax: 32768,
  sendBytesMax: 32768,
};
const nobody: ServerSnapshot = { connections: 0, clients: 0, clusters: [], absent: [] };

/** A snapshot that says what a recorded `-l -v` says. */
function snapshotOf(text: string): ServerSnapshot {
  const clusters = text.split(/^(?=Cluster )/m).filter((part) => part !== "");
  const all = clusters.map(clusterOf);
  const clients = all.reduce((sum, { nodes }) => sum + nodes.length, 0);
  return { connections: clients, clients, clusters: all, absent: [] };
}

function clusterOf(text: string): ClusterSnapshot {
  const field = (label: string): string => new RegExp(`${label}:\t+(.*)`).exec(text)?.[1] ?? "";
  const algorithms: Record<string, AlgorithmName> = {
    Test: "test",
    "Fifty-Fifty split": "ffsplit",
    "2 Node LMS": "2nodelms",
    LMS: "lms",
  };
  const kap = " (KAP Tie-breaker)";
  const mode = /lowest|highest/.exec(field("Tie-breaker"))?.[0] as "lowest" | "highest" | undefined;
  const tieBreaker: TieBreaker =
    mode === undefined
      ? { mode: "nodeId", nodeId: Number(field("Tie-breaker").split(" ").at(-1)) }
      : { mode };
  return {
    name: /^Cluster "(.*)":/.exec(text)?.[1] ?? "",
    algorithm: algorithms[field("Algorithm").replace(kap, "")]!,
    isKeepingActivePartition: field("Algorithm").endsWith(kap),
    tieBreaker,
    summary: "",
    nodes: text
      .split(/^ {4}(?=Node ID )/m)
      .slice(1)
      .map(nodeOf),
    absent: [],
    concerns: [],
    isCertified: false,
  };
}

function nodeOf(text: string): NodeSnapshot {
  const field = (label: string): string | undefined =>
    new RegExp(`^ +${label}:\t+(.*)`, "m").exec(text)?.[1];
  const list = (label: string): number[] => (field(label) ?? "").split(", ").map(Number);
  const result = (word: string | undefined): Heuristics | undefined =>
    ({ Pass: "pass" as const, Fail: "fail" as const })[word ?? ""];
  const votes: Record<string, Vote> = {
    ACK: "ack",
    NACK: "nack",
    "Ask later": "askLater",
    "Wait for reply": "waitForReply",
    "No change": "noChange",
  };
  const address = /^(.*):(\d+)$/.exec(field("Client address") ?? "");
  const vote = /^([^(]*?)(?: \((.*)\))?$/.exec(field("Vote") ?? "");
  const heuristics = /^(\w+) \(membership: (\w+), regular: (\w+)\)$/.exec(field("Heuristics")!);
  const ring = field("Ring ID")!.split(".");
  return {
    nodeId: Number(/^Node ID (\d+)/.exec(text)?.[1]),
    address: address?.[1] ?? "",
    port: Number(address?.[2]),
    connectedForMs: 0,
    heardMsAgo: 0,
    heartbeatMs: Number.parseInt(field("HB interval")!, 10),
    configVersion: Number(field("Configuration version")),
    configured: list("Configured node list").map((nodeId) => ({ nodeId })),
    ring: { nodeId: Number.parseInt(ring[0]!, 16), seq: Number.parseInt(ring[1]!, 16) },
    members: list("Membership node list"),
    isQuorate: undefined,
    heuristics: result(heuristics?.[1]),
    membershipHeuristics: result(heuristics?.[2]),
    regularHeuristics: result(heuristics?.[3]),
    isTlsActive: field("TLS active")!.startsWith("Yes"),
    isCertificateVerified: field("TLS active")!.includes("verified"),
    vote: votes[vote?.[1] ?? ""],
    ackOrNack: votes[vote?.[2] ?? ""] as "ack" | "nack" | undefined,
    standing: "no",
    why: "",
  };
}

describe("what corosync-qnetd-tool prints", () => {
  const situations = readdirSync(folder)
    .filter((name) => name.endsWith(".qnetd-tool-l-v.txt"))
    .map((name) => name.slice(0, -".qnetd-tool-l-v.txt".length))
    .toSorted();

  test("there are all recorded situations", () => expect(situations.length).toBe(22));

  test.each(situations)("%s", (situation) => {
    const verbose = golden(`${situation}.qnetd-tool-l-v.txt`);
    const snapshot = snapshotOf(verbose);
    expect(listText(snapshot, { isVerbose: true, cluster: undefined })).toBe(verbose);
    const short = golden(`${situation}.qnetd-tool-l.txt`);
    expect(listText(snapshot, { isVerbose: false, cluster: undefined })).toBe(short);
    expect(listText(snapshot, { isVerbose: false, cluster: "lab" })).toBe(
      golden(`${situation}.qnetd-tool-l-clab.txt`),
    );
    expect(listText(snapshot, { isVerbose: true, cluster: "nosuch" })).toBe("");
    const mode = situation.startsWith("tls-required") ? ("required" as const) : ("off" as const);
    const withMode = { ...facts, tls: mode };
    for (const [name, isVerbose] of [
      ["s", false],
      ["s-v", true],
    ] as const) {
      expect(statusText(withMode, snapshot, isVerbose)).toBe(
        golden(`${situation}.qnetd-tool-${name}.txt`),
      );
    }
  });

  test("what no recording shows: data centers, other tie-breakers, limits, TLS without certificates", () => {
    const [cluster] = snapshotOf(golden("ffsplit2-connected.qnetd-tool-l-v.txt")).clusters;
    const node = { ...cluster!.nodes[0]!, configured: [{ nodeId: 1, dataCenterId: 7 }] };
    const other = {
      ...cluster!,
      name: "a\u001bb",
      algorithm: "2nodelms" as const,
      isKeepingActivePartition: false,
      tieBreaker: { mode: "nodeId", nodeId: 3 } as const,
      nodes: [{ ...node, isTlsActive: true, isCertificateVerified: false }],
    };
    const text = listText(
      { ...nobody, clusters: [other] },
      { isVerbose: true, cluster: undefined },
    );
    expect(text.split("\n").slice(0, 3)).toEqual([
      'Cluster "a?b":',
      "    Algorithm:\t\t2 Node LMS",
      "    Tie-breaker:\tNode with node ID 3",
    ]);
    expect(text).toContain("        Configured node list:\t1 (7)\n");
    expect(text).toContain("        TLS active:\t\tYes\n");
    const limited = {
      ...facts,
      clientsMax: 9,
      tls: "on",
      isClientCertificateRequired: false,
    } as const;
    expect(statusText(limited, nobody, true)).toBe(
      "QNetd address:\t\t\t*:5403\nTLS:\t\t\t\tSupported\nConnected clients:\t\t0\nConnected clusters:\t\t0\n" +
        "Maximum allowed clients:\t9\nMaximum send/receive size:\t32768/32768 bytes\n",
    );
  });
});

describe("the local socket", () => {
  const lines = jsonLines<{ readonly request: string; readonly reply: string }>(
    "ipc-odd.qnetd.jsonl",
  );

  test("odd requests are answered as the original answers them", () => {
    expect(lines.length).toBe(37);
    for (const { request, reply } of lines) {
      for (const pieces of [[request], request.split("")]) {
        const reader = new ToolRequestReader({ bytesMax: 1024 });
        const read = pieces
          .map((piece) => reader.push(bytesOf(piece)))
          .find((found) => found !== undefined);
        expect({ request, reply: answerTo(read) }).toEqual({ request, reply });
      }
    }
  });

  function answerTo(request: ReturnType<ToolRequestReader["push"]>): string | undefined {
    if (request === undefined) return undefined;
    if (request === "tooLong") return "";
    switch (request.kind) {
      case "error":
        return `Error\n${request.reason}\n`;
      case "status":
        return `OK\n${statusText({ ...facts, port: 15403 }, nobody, request.isVerbose)}`;
      case "list":
        return `OK\n${listText(nobody, request)}`;
      default:
        return request.kind;
    }
  }

  test("requests go there and back, and no bytes are too odd", () => {
    const name = fc.string({
      unit: fc.constantFrom("a", '"', "\\", " ", "\t", "\u00ff"),
      minLength: 1,
    });
    fc.assert(
      fc.property(name, fc.boolean(), (cluster, isVerbose) => {
        const reader = new ToolRequestReader({ bytesMax: 4096 });
        const line = encodeToolCommand({ command: "list", isVerbose, cluster });
        expect(reader.push(line)).toEqual({ kind: "list", isVerbose, cluster });
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
        const reader = new ToolRequestReader({ bytesMax: 100 });
        const answers = pieces
          .map((piece) => reader.push(piece))
          .filter((one) => one !== undefined);
        const all = pieces.flatMap((piece) => [...piece]);
        const end = all.findIndex((byte) => byte === 10 || byte === 13);
        const isWhole = end >= 0 && end < 100;
        expect(answers.length).toBe(isWhole || all.length >= 100 ? 1 : 0);
        expect(answers[0] === "tooLong").toBe(!isWhole && all.length >= 100);
        readToolReply(Uint8Array.from(all));
      }),
    );
  });

  interface ToolRun {
    readonly args: readonly string[];
    readonly reply: string;
    readonly sent: string;
    readonly stdout: string;
    readonly stderr: string;
    readonly code: number;
  }
  const runs = jsonLines<ToolRun>("ipc-client.qnetd-tool.jsonl");

  test("our tool sends what the original's sends", () => {
    expect(runs.length).toBe(26);
    for (const { args, sent } of runs) {
      const words = toolWords(args, "/none");
      if (!("command" in words)) throw new Error(`${args.join(" ")}: no command`);
      expect(byteString(encodeToolCommand(words.command))).toBe(sent);
    }
  });

  test("our tool understands the answers that the original's understands", () => {
    const seen = runs.map(({ reply }) => {
      const answer = readToolReply(bytesOf(reply));
      if (answer.kind === "ok") return { stdout: byteString(answer.text), stderr: "", code: 0 };
      if (answer.kind === "error") {
        return { stdout: "", stderr: `Error: ${byteString(answer.text)}`, code: 4 };
      }
      if (answer.kind === "cut") return answer.kind;
      return {
        stdout: "",
        stderr: "corosync-qnetd-tool: Unknown status line returned by IPC server\n",
        code: 3,
      };
    });
    // Corrected: an answer without a whole first line is no answer; the original prints nothing and ends with 0.
    const wanted = runs.map(({ reply, stdout, stderr, code }) =>
      reply.includes("\n") ? { stdout, stderr, code } : "cut",
    );
    expect(seen).toEqual(wanted);
    expect(wanted.filter((one) => one === "cut").length).toBe(2);
  });
});

/** "$ command", its output, "rc=N", and so on. */
function sessions(text: string): { readonly command: string; readonly output: string }[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return { command: part.slice(0, end), output: part.slice(end + 1) };
    });
}

describe("command lines", () => {
  test("corosync-qnetd: help, version and complaints", () => {
    const recorded = [
      ...sessions(golden("cli-help.txt")),
      ...sessions(golden("qnetd-cli-errors.txt")),
    ].filter(({ command }) => command.startsWith("corosync-qnetd "));
    expect(recorded.length).toBe(12);
    // Both are wider than the recorded version: `-s required` is what the manual says, local_socket_gid came later.
    const wider = ["-s required -f", "-S local_socket_gid=0 -h"];
    for (const { command, output } of recorded) {
      const args = command.split(" ").slice(1);
      if (wider.includes(args.join(" "))) continue;
      const words = qnetdWords(args, "0");
      const printed = "code" in words ? `${words.error}${words.output}rc=${words.code}\n` : "";
      expect({ command, printed }).toEqual({
        command,
        printed: output.replace("version '3.0.3'", "version '3.0.3' (quorate 0)"),
      });
    }
    expect(qnetdWords(["-s", "required", "-f"], "0")).toMatchObject({ tls: "required" });
  });

  test("corosync-qnetd: what is accepted", () => {
    const words = qnetdWords(
      [
        "-6ddf",
        "-p",
        "99",
        "-l",
        "::1",
        "-s",
        "OFF",
        "-cno",
        "-m5",
        "-S",
        "listen_backlog=3,dpd_enabled=off",
        "-S=,",
      ],
      "0",
    );
    expect(words).toMatchObject({
      family: 6,
      debug: 2,
      isForeground: true,
      address: "::1",
      port: 99,
      tls: "off",
      isClientCertificateRequired: false,
      clientsMax: 5,
      settings: { listenBacklog: 3, dpdEnabled: false },
    });
  });

  test("corosync-qnetd-tool: help and complaints", async () => {
    const recorded = sessions(golden("cli-help.txt")).filter(({ command }) =>
      command.startsWith("corosync-qnetd-tool"),
    );
    expect(recorded.length).toBe(4);
    for (const { command, output } of recorded) {
      let printed = "";
      const write = (text: string | Uint8Array): void => void (printed += String(text));
      const code = await qnetdTool({
        args: command.split(" ").slice(1),
        socket: "/nonexist",
        write,
        writeError: write,
      });
      expect({ command, printed: `${printed}rc=${code}\n` }).toEqual({ command, printed: output });
    }
  });

  test("corosync-qnetd-certutil: usage and complaints", async () => {
    const run = async (...args: string[]): Promise<string> => {
      let printed = "";
      const write = (text: string): void => void (printed += text);
      const code = await certutil({
        name: "/usr/bin/corosync-qnetd-certutil",
        args,
        directory: "/nonexist/nssdb",
        nickname: "QNetd Cert",
        write,
        writeError: write,
        now: () => 0,
      });
      return `${printed}rc=${code}\n`;
    };
    const request = join(folder, "nss-node.crq");
    const printed = [
      await run("-s", "-c", "/nonexist", "-n", "lab"),
      await run("-s", "-c", request),
      await run("-h"),
      await run("-x"),
      await run("-c"),
    ];
    expect(printed.join("")).toBe(golden("certutil-errors.txt"));
    expect(await run()).toBe(await run("-h"));
    expect(await run("-is", "-n", "lab")).toBe("Can't open certificate file \nrc=2\n");
    expect(await run("-s", "-n", "lab", "-c", request)).toBe(
      "Certificate database doesn't exists. Use /usr/bin/corosync-qnetd-certutil -i to create it\nrc=1\n",
    );
  });
});
