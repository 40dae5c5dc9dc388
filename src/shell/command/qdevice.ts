// `quorate qdevice`: set up the cluster's quorum device with an invitation or with certificates, remove it, say how it stands. One
// node is asked; all nodes follow. Nothing is changed before every check is good.
import { createRequest } from "../../qnetd/pki/issue.ts";
import {
  cutTokenText,
  decodeToken,
  isAddress,
  looksLikeToken,
} from "../../qnetd/enrol/enrolment-token.ts";
import type { Result } from "../../result.ts";
import { deviceWarning } from "../../node/device/advice.ts";
import { NodeClient } from "../api/client.ts";
import {
  clusterState,
  type ClusterState,
  type NodeVote,
  nodeVotes,
  type Obstacle,
  removalObstacles,
  sectionFor,
  setupObstacles,
  untilGone,
  votesMsMax,
} from "../qdevice/device-setup.ts";
import { handText, obstacleText, serverHint } from "../qdevice/device-text.ts";
import {
  checkedIdentity,
  type ClusterIdentity,
  type IdentityFiles,
  identityOfFiles,
} from "../qdevice/device-identity.ts";
import { enrol } from "../qdevice/enrol.ts";
import { CommandFailure, exitFailed, exitOk, exitUsage } from "../exit.ts";
import { nodePaths } from "../paths.ts";
import { DeviceFailure, deviceSetupFacts } from "../qdevice/device-plan.ts";
import {
  interruptedText,
  removeDevice,
  resumeDevice,
  setUpDevice,
} from "../qdevice/device-operation.ts";
import { removalPreview, setupPreview } from "../qdevice/device-preview.ts";
import { type DryRun, dryRunText } from "../operation/dry-run.ts";
import { readSecret } from "../cli/secret.ts";
import type { NodeStatus } from "../api/status.ts";
import { table } from "../cli/text-table.ts";
import { deviceTlsText } from "./status.ts";

const portDefault = 5403;

export interface QdeviceOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
  /** Progress and warnings, not for scripts. */
  readonly note: (text: string) => void;
  /** Show what would be done, and do nothing. */
  readonly dryRun?: boolean;
}

export interface QdeviceSetupOptions extends QdeviceOptions {
  /** A token, "-" or a file for one, or an address. */
  readonly target: string;
  /** A device for an odd number of nodes too. */
  readonly force: boolean;
  /** Undefined: required. */
  readonly tls: Tls | undefined;
  /** Undefined: the token's, or 5403. */
  readonly port: number | undefined;
  readonly files: IdentityFiles;
  /** For the votes of all nodes; undefined: a minute. */
  readonly waitMs?: number;
}

type Tls = "off" | "on" | "required";

/** Where the device shall be, and what proves that we may use it. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly tls: Tls;
  readonly identity: ClusterIdentity | undefined;
}

/** "-" or a path stands for a token elsewhere (no token or address holds a slash); the line that `invite` prints will do too. */
export async function targetWord(word: string): Promise<string> {
  if (word !== "-" && !word.includes("/")) return word;
  const line = await readSecret(word, "token");
  const token = line.split(/\s+/).find((each) => looksLikeToken(each));
  if (token !== undefined) return token;
  const where = word === "-" ? "on standard input" : `in ${word}`;
  throw new CommandFailure(
    `what stands ${where} is no token: one begins with "quorate1.", and \`quorate qnetd invite\` on the vote server makes it`,
  );
}

/** Exit code 0: the device votes on every node. */
export async function qdeviceSetup(options: QdeviceSetupOptions): Promise<number> {
  const word = await targetWord(options.target);
  const client = clientOf(options);
  if (options.dryRun !== true) await resumeDevice(options);
  const state = await clusterState(client);
  failOn(setupObstacles(state, options.force), "setup");
  if (options.dryRun === true) return previewSetup(options, word, state);
  const target = await targetOf(options, word, state);
  const { note } = options;
  const { host, port, tls, identity } = target;
  const { clusterName, nodes } = state.facts;
  note(`Asking the vote server at ${host} port ${port} ...\n`);
  const device = sectionFor(nodes.length, { host, port, tls });
  const waitMs = options.waitMs ?? votesMsMax;
  const configured = (version: number, notes: readonly string[]): void => {
    note(`corosync.conf version ${version} is in force; waiting for the votes ...\n`);
    for (const sentence of notes) note(`Note: ${sentence}.\n`);
  };
  const surroundings = { root: options.root, note, report: { configured } };
  const facts = await deviceSetupFacts({ cluster: clusterName, device, waitMs }, identity);
  await setUpDevice(surroundings, facts).catch((error: unknown) => {
    throw error instanceof DeviceFailure ? worded(error, word) : error;
  });
  const status = await client.status();
  report(options, status);
  const byHand = nodeVotes(status).filter(({ hasVote }) => !hasVote);
  if (byHand.length === 0) return exitOk;
  note(handText(byHand, identity !== undefined));
  return exitFailed;
}

/** An invitation is read, not used: with it the certificate and the address that answers are known only when it is. */
async function previewSetup(
  options: QdeviceSetupOptions,
  word: string,
  state: ClusterState,
): Promise<number> {
  const { clusterName: cluster, nodes } = state.facts;
  const notes: string[] = [];
  let target: Target;
  if (looksLikeToken(word)) {
    const { addresses, port, tls } = checkedToken(options, word, cluster);
    const [host = ""] = addresses;
    target = { host, port, tls, identity: undefined };
    notes.push(
      `The vote server is asked at ${addresses.join(", ")}, and the first that answers gives the certificate; the token is not used up by this.`,
    );
  } else target = await targetOf(options, word, state);
  const { identity, ...where } = target;
  const device = sectionFor(nodes.length, where);
  const facts = await deviceSetupFacts({ cluster, device, waitMs: 0 }, identity);
  return preview(options, await setupPreview(clientOf(options), facts, state.text), notes);
}

function preview(options: QdeviceOptions, shown: DryRun, notes: readonly string[]): number {
  const interrupted = interruptedText(options);
  const all = [...notes, ...(interrupted === "" ? [] : [`First, ${interrupted}.`])];
  options.write(
    options.json
      ? `${JSON.stringify({ isDone: false, ...shown, notes: all }, undefined, 2)}\n`
      : [dryRunText(shown), ...all.map((text) => `${text}\n`)].join("\n"),
  );
  return exitOk;
}

function worded({ part, message }: DeviceFailure, word: string): CommandFailure {
  if (part === "probe") return new CommandFailure(`${message}. Nothing was changed`);
  const used = looksLikeToken(word)
    ? ". The invitation is used up: the next try needs another"
    : "";
  return new CommandFailure(`${message}${used}`);
}

function clientOf({ root }: QdeviceOptions): NodeClient {
  return new NodeClient(nodePaths(root).socket);
}

async function targetOf(
  options: QdeviceSetupOptions,
  word: string,
  { facts }: ClusterState,
): Promise<Target> {
  if (looksLikeToken(word)) return targetOfToken(options, word, facts.clusterName);
  const cut = cutTokenText(word);
  if (cut !== "") throw new CommandFailure(cut, exitUsage);
  if (!isAddress(word))
    throw new CommandFailure(`"${word}" is neither token nor address`, exitUsage);
  const { files } = options;
  const { tls = "required" } = options;
  const host = word;
  const port = options.port ?? portDefault;
  if (tls === "off") return { host, port, tls, identity: undefined };
  const hasFiles = [files.p12, files.certificate, files.key].some((file) => file !== undefined);
  if (!hasFiles) {
    throw new CommandFailure(
      `for ${host} there is no certificate. On a vote server of quorate run "quorate qnetd invite ${facts.clusterName}" and give its token here; ` +
        "for an original one give the cluster's certificate with --p12 FILE, or --cert FILE --key FILE --ca FILE; without TLS give --tls off",
      exitUsage,
    );
  }
  const read = orFail(await identityOfFiles(files), "the certificate cannot be used");
  const identity = orFail(
    checkedIdentity(read, facts.clusterName),
    "the certificate cannot be used",
  );
  return { host, port, tls, identity };
}

/** Gets the certificate for an invitation. The key is made here and leaves this cluster never. */
export async function targetOfToken(
  options: Pick<QdeviceSetupOptions, "tls" | "port" | "note">,
  word: string,
  cluster: string,
): Promise<Target> {
  const { tls, port, ...token } = checkedToken(options, word, cluster);
  options.note(`Making a key and asking ${token.addresses.join(", ")} for the certificate ...\n`);
  const { key, request } = await createRequest(cluster);
  const enrolled = orFail(await enrol({ ...token, port }, request), "no certificate was given");
  const { certificate, authority, address } = enrolled;
  const identity = orFail(
    checkedIdentity({ key, certificate, authority }, cluster),
    "the vote server's answer cannot be used",
  );
  return { host: address, port, tls, identity };
}

/** A token for this cluster, with what was given beside it. */
function checkedToken(
  options: Pick<QdeviceSetupOptions, "tls" | "port">,
  word: string,
  cluster: string,
) {
  const token = orFail(decodeToken(word), "the token cannot be used");
  if (token.cluster !== cluster) {
    throw new CommandFailure(
      `the token is for the cluster "${token.cluster}", this is "${cluster}"`,
    );
  }
  const { tls = "required" } = options;
  if (tls === "off") {
    throw new CommandFailure(
      "a token brings certificates for TLS: leave --tls off away",
      exitUsage,
    );
  }
  return { ...token, port: options.port ?? token.port, tls };
}

/** Exit code 0: the device is gone from every node, now or already. */
export async function qdeviceRemove(options: QdeviceOptions): Promise<number> {
  const { note } = options;
  const client = clientOf(options);
  if (options.dryRun !== true) await resumeDevice(options);
  const state = await clusterState(client);
  const obstacles = removalObstacles(state);
  if (obstacles.some(({ kind }) => kind === "notConfigured")) return removedAlready(options, state);
  failOn(obstacles, "remove");
  if (options.dryRun === true) {
    const left = "The cluster's certificate stays on the vote server.";
    return preview(options, await removalPreview(client, state.text), [left]);
  }
  const version = await removeDevice({ root: options.root, note });
  note(`corosync.conf version ${version} is in force; waiting for all nodes ...\n`);
  const outcome = await untilGone(client, version);
  const cluster = state.facts.clusterName;
  if (options.json) options.write(`${JSON.stringify(jsonOf(outcome.status), undefined, 2)}\n`);
  else if (outcome.problem === "") {
    options.write(
      `The quorum device is removed from all nodes of "${cluster}". ${outcome.status.quorum.meaning}.\n`,
    );
  }
  if (outcome.problem === "") {
    note(serverHint(state.status));
    return exitOk;
  }
  const names = outcome.nodes.filter(({ hasDevice }) => hasDevice).map(({ name }) => name);
  note(
    `Warning: ${outcome.problem} (${names.join(", ") || "this one"}). On a node with corosync run: systemctl disable --now corosync-qdevice\n`,
  );
  return exitFailed;
}

function removedAlready({ json, write, dryRun }: QdeviceOptions, state: ClusterState): number {
  const notes = [`"${state.facts.clusterName}" has no quorum device: it is so already.`];
  const facts = dryRun === true ? { isDone: true, steps: [], changes: [] } : jsonOf(state.status);
  write(json ? `${JSON.stringify({ ...facts, notes }, undefined, 2)}\n` : `${notes.join("\n")}\n`);
  return exitOk;
}

/** Exit code 0: the device votes on every node. */
export async function qdeviceStatus(options: QdeviceOptions): Promise<number> {
  const status = await clientOf(options).status();
  report(options, status);
  return nodeVotes(status).every(({ hasVote, isMember }) => hasVote || !isMember)
    ? exitOk
    : exitFailed;
}

function report({ json, write }: QdeviceOptions, status: NodeStatus): void {
  write(json ? `${JSON.stringify(jsonOf(status), undefined, 2)}\n` : qdeviceText(status));
}

function jsonOf(status: NodeStatus): Readonly<Record<string, unknown>> {
  const { device, cluster, quorum } = status;
  return {
    cluster: cluster.name,
    configVersion: cluster.configVersion,
    device: device ?? null,
    nodes: nodeVotes(status),
    quorum: {
      quorate: quorum.quorate,
      totalVotes: quorum.totalVotes,
      expectedVotes: quorum.expectedVotes,
      quorum: quorum.quorum,
    },
    warnings: warningsOf(status),
  };
}

function qdeviceText(status: NodeStatus): string {
  const { device, cluster, quorum } = status;
  const nodes = nodeVotes(status);
  const lines =
    device === undefined
      ? [
          status.mode === "standalone"
            ? "This node is standalone, and has no quorum device."
            : `Cluster "${cluster.name}" has no quorum device on this node.`,
        ]
      : [
          `Cluster "${cluster.name}": quorum device at ${device.host} port ${device.port}, ${device.algorithm}, ${device.votes} ${device.votes === 1 ? "vote" : "votes"}, ${deviceTlsText(device)}`,
          ...(device.problem === "" ? [] : [`Problem: ${device.problem}`]),
        ];
  lines.push(`Quorum: ${quorum.meaning}`, "");
  lines.push(
    ...table(
      [{ title: "NODEID", right: true }, { title: "NAME" }, { title: "DEVICE" }],
      nodes.map((node) => [String(node.nodeid), node.name, voteWord(node)]),
    ),
  );
  for (const warning of warningsOf(status)) lines.push("", `Warning: ${warning}`);
  return `${lines.join("\n")}\n`;
}

function voteWord({ isMember, hasDevice, hasVote }: NodeVote): string {
  if (!isMember) return "offline";
  if (!hasDevice) return "not running";
  return hasVote ? "votes" : "runs, without the vote";
}

function warningsOf({ device, nodes }: NodeStatus): string[] {
  const warning = device === undefined ? undefined : deviceWarning(nodes.length, device.votes);
  return warning === undefined ? [] : [warning];
}

function failOn(obstacles: readonly Obstacle[], verb: "setup" | "remove"): void {
  if (obstacles.length === 0) return;
  throw new CommandFailure(obstacles.map((each) => obstacleText(each, verb)).join("; "));
}

function orFail<T>(outcome: Result<T>, what: string): T {
  if (outcome.ok) return outcome.value;
  throw new CommandFailure(`${what}: ${outcome.reason}`);
}
