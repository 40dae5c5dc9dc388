// What `corosync-qdevice-tool -s` prints (qnetd.md §5.3), byte for byte: Proxmox and scripts read it. Built from the device client's
// snapshot. And the requests of its local socket (§6), whose words know no quotes. Pure.
import type { DeviceSnapshot } from "../../node/device/events.ts";
import type { Heuristics } from "../../qnetd/session/message.ts";
import type { ToolRequest } from "../../qnetd/tool/tool-socket-request.ts";
import { ringText } from "../../world.ts";

/** What a line asks for; `line` is a byte string without its end. Words behind the second are ignored. */
export function readQdeviceRequest(line: string): ToolRequest {
  const [command = "", option = ""] = line.split(/[ \t\v\f\r\n]+/).filter((word) => word !== "");
  switch (command.toLowerCase()) {
    case "":
      return { kind: "error", reason: "No command specified" };
    case "status":
      return { kind: "status", isVerbose: option.toLowerCase() === "verbose" };
    case "shutdown":
      return { kind: "shutdown" };
    default:
      return { kind: "error", reason: `Unknown command '${command}'` };
  }
}

export interface StatusTextOptions {
  readonly isVerbose: boolean;
  /** Of the wall clock, milliseconds since 1970. */
  readonly now: number;
}

/** Times are local ones. */
export function qdeviceStatusText(device: DeviceSnapshot, options: StatusTextOptions): string {
  return [...clientLines(device, options), "", ...netLines(device, options), ""].join("\n");
}

const modeTexts = { off: "Disabled", on: "Enabled", sync: "Enabled only on sync" } as const;

function clientLines(device: DeviceSnapshot, { isVerbose, now }: StatusTextOptions): string[] {
  const { cluster, lastPoll } = device;
  const verbose = (...lines: string[]): string[] => (isVerbose ? lines : []);
  return [
    "Qdevice information",
    "-------------------",
    "Model:\t\t\tNet",
    `Node ID:\t\t${cluster.nodeid}`,
    ...verbose(
      `HB interval:\t\t${device.timeoutMs}ms`,
      `Sync HB interval:\t${device.syncTimeoutMs}ms`,
    ),
    ...(cluster.configVersion > 0 ? [`Configuration version:\t${cluster.configVersion}`] : []),
    "Configured node list:",
    ...cluster.nodes.map(({ nodeid, dataCenterId }, at) => {
      const center = dataCenterId > 0 ? `, Data center ID = ${dataCenterId}` : "";
      return `    ${at}\tNode ID = ${nodeid}${center}`;
    }),
    ...verbose(`Heuristics:\t\t${modeTexts[device.heuristics.mode]}`),
    ...(cluster.ring === undefined ? [] : verbose(`Ring ID:\t\t${ringText(cluster.ring)}`)),
    `Membership node list:\t${cluster.members.join(", ")}`,
    ...verbose(
      `Quorate:\t\t${cluster.quorate === true ? "Yes" : "No"}`,
      "Quorum node list:",
      ...cluster.voters.map(
        ({ nodeid, state }, at) => `    ${at}\tNode ID = ${nodeid}, State = ${state}`,
      ),
      `Expected votes:\t\t${cluster.expectedVotes ?? 0}`,
      `Last poll call:\t\t${
        lastPoll === undefined
          ? "Never"
          : `${localTime(now - lastPoll.agoMs)}${lastPoll.castsVote ? " (cast vote)" : ""}`
      }`,
    ),
  ];
}

const algorithmTexts: Readonly<Record<string, string>> = {
  test: "Test",
  ffsplit: "Fifty-Fifty split",
  "2nodelms": "2 Node LMS",
  lms: "LMS",
};
const tlsTexts: Readonly<Record<string, string>> = {
  off: "Unsupported",
  on: "Supported",
  required: "Required",
};

function netLines(device: DeviceSnapshot, { isVerbose, now }: StatusTextOptions): string[] {
  const { algorithm, vote, tls, connectedForMs, lastEchoAgoMs } = device;
  const verbose = (...lines: string[]): string[] => (isVerbose ? lines : []);
  return [
    "Qdevice-net information",
    // Of the original: one dash less than the title has letters.
    "----------------------",
    `Cluster name:\t\t${device.cluster.name}`,
    `QNetd host:\t\t${device.host}:${device.port}`,
    ...(device.ipVersion === 0 ? [] : verbose(`Force IP version:\t${device.ipVersion}`)),
    ...verbose(
      `Connect timeout:\t${device.connectMs}ms`,
      `HB interval:\t\t${device.heartbeatMs}ms`,
      `VQ vote timer interval:\t${device.castVoteMs}ms`,
      `TLS:\t\t\t${tlsTexts[tls.mode] ?? tls.mode}`,
    ),
    `Algorithm:\t\t${algorithmTexts[algorithm] ?? algorithm}`,
    `Tie-breaker:\t\t${tieBreakerText(device.tieBreaker)}`,
    ...verbose(
      `KAP Tie-breaker:\t${device.keepActivePartition}`,
      `Poll timer running:\t${vote === undefined ? "No" : vote === "ack" ? "Yes (cast vote)" : "Yes"}`,
    ),
    `State:\t\t\t${device.state}`,
    ...(device.heuristics.mode === "off" ? [] : [heuristicsLine(device, isVerbose)]),
    ...(connectedForMs === undefined
      ? []
      : verbose(
          `TLS active:\t\t${tls.active ? `Yes${tls.sentCertificate ? " (client certificate sent)" : ""}` : "No"}`,
          `Connected since:\t${localTime(now - connectedForMs)}`,
          ...(lastEchoAgoMs === undefined
            ? []
            : [`Echo reply received:\t${localTime(now - lastEchoAgoMs)}`]),
        )),
  ];
}

function tieBreakerText(tieBreaker: string): string {
  const isWord = tieBreaker === "lowest" || tieBreaker === "highest";
  return isWord ? `Node with ${tieBreaker} node ID` : `Node with node ID ${tieBreaker}`;
}

function heuristicsLine({ heuristics }: DeviceSnapshot, isVerbose: boolean): string {
  const line = `Heuristics result:\t${resultText(heuristics.last)}`;
  if (!isVerbose) return line;
  const { regular, membership, connect } = heuristics;
  return `${line} (regular: ${resultText(regular)}, membership: ${resultText(membership)}, connect: ${resultText(connect)})`;
}

function resultText(result: Heuristics | undefined): string {
  if (result === undefined) return "Undefined";
  return result === "pass" ? "Pass" : "Fail";
}

function localTime(ms: number): string {
  const at = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${date}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
