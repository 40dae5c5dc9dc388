// `pvecm qdevice setup|remove` with the original's words, order of checks and exit codes (pvecm.md §1.0, §1.11, §1.12). The address may
// also be the token of an invitation: then nobody needs root's ssh to the vote server. What is done is `device-setup.ts`.
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { looksLikeToken } from "../../qnetd/enrol/enrolment-token.ts";
import { NodeClient } from "../api/client.ts";
import {
  clusterState,
  type ClusterState,
  install,
  type Obstacle,
  removalObstacles,
  sectionFor,
  setupObstacles,
  storedIdentity,
  takeBack,
  uninstall,
  untilGone,
  untilVotes,
} from "../qdevice/device-setup.ts";
import { checkedIdentity } from "../qdevice/device-identity.ts";
import { enrolBySsh, type SshOrder } from "../qdevice/enrol-ssh.ts";
import { CommandFailure, exitOk } from "../exit.ts";
import { nodePaths } from "../paths.ts";
import { probeVoteServer } from "../qdevice/probe.ts";
import { handText, targetOfToken, type Target, targetWord } from "../command/qdevice.ts";

const exitDied = 255;
const portDefault = 5403;
const noConf =
  "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?";
const usages = {
  setup: "pvecm qdevice setup <address> [OPTIONS]",
  remove: "pvecm qdevice remove",
} as const;

export interface PvecmQdeviceOptions {
  readonly root: string;
  /** Behind `pvecm qdevice`. */
  readonly args: readonly string[];
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly programs?: SshOrder["programs"];
}

/** The command line is wrong: what is printed. */
class BadArguments extends Error {}

interface Words {
  readonly address: string;
  readonly force: boolean;
}

export async function pvecmQdevice(options: PvecmQdeviceOptions): Promise<number> {
  const [verb = "", ...rest] = options.args;
  const command = (["setup", "remove"] as const).filter(
    (name) => verb !== "" && name.startsWith(verb),
  )[0];
  if (command === undefined) {
    const complaint =
      verb === "" ? "no command specified" : `unknown command 'pvecm qdevice ${verb}'`;
    options.writeError(
      `ERROR: ${complaint}\nUSAGE: pvecm qdevice <COMMAND> [ARGS] [OPTIONS]\n       ${usages.remove}\n       ${usages.setup}\n`,
    );
    return exitDied;
  }
  try {
    const client = new NodeClient(nodePaths(options.root).socket);
    if (command === "remove") {
      if (rest.length > 0) throw new BadArguments("400 too many arguments");
      await remove(client, options);
    } else await setUp(client, options, words(rest));
    return exitOk;
  } catch (error) {
    if (error instanceof BadArguments) {
      options.writeError(`${error.message}\n${usages[command]}\n`);
      return exitDied;
    }
    if (!(error instanceof CommandFailure)) throw error; // A bug: the runtime prints it with its place.
    options.writeError(`${error.message}\n`);
    return exitDied;
  }
}

async function setUp(
  client: NodeClient,
  options: PvecmQdeviceOptions,
  { address, force }: Words,
): Promise<void> {
  const { write } = options;
  const note = options.writeError;
  const state = await stateOf(client);
  await checkSetup(client, options, state, force);
  const say = (line: string): void => write(`${line}\n`);
  const target = await targetOf(options, state, await targetWord(address), say);
  const { host, port, tls, identity } = target;
  const { clusterName, nodes } = state.facts;
  const probed = await probeVoteServer({ host, port, cluster: clusterName, tls, identity });
  if (!probed.ok) throw new CommandFailure(probed.reason);
  say("INFO: import certificate");
  say("INFO: copy and import pk12 cert to all nodes");
  say("INFO: add QDevice to cluster configuration");
  const device = sectionFor(nodes.length, { host, port, tls });
  const installed = await install({ client, device, identity, note });
  for (const sentence of installed.edit.notes) note(`NOTE: ${sentence}\n`);
  for (const name of nodes.map((node) => node.name).toSorted()) {
    say(`\nINFO: start and enable corosync qdevice daemon on node '${name}'...`);
  }
  say("Reloading corosync.conf...");
  const outcome = await untilVotes(client, installed.edit.version);
  const own = outcome.nodes.find(({ nodeid }) => nodeid === outcome.status.node.nodeid);
  if (own?.hasVote !== true) {
    const done = await takeBack({ client, note }, installed);
    throw new CommandFailure(`the device does not vote: ${outcome.problem}; ${done}`);
  }
  const byHand = outcome.nodes.filter(({ hasVote }) => !hasVote);
  if (byHand.length > 0)
    throw new CommandFailure(handText(byHand, identity !== undefined).trimEnd());
  say("Done");
}

async function checkSetup(
  client: NodeClient,
  { root }: PvecmQdeviceOptions,
  state: ClusterState,
  force: boolean,
): Promise<void> {
  for (const obstacle of setupObstacles(state, force)) {
    const isConfigured = obstacle.kind === "configured";
    throw new CommandFailure(
      isConfigured && force
        ? "Qdevice already configured, must be removed before setting up new one!"
        : obstacleWords(obstacle),
    );
  }
  if (force) return;
  const isInitialised =
    existsSync(`${nodePaths(root).deviceDir}/nssdb`) ||
    (await storedIdentity(client)) !== undefined;
  if (isInitialised) {
    throw new CommandFailure("QDevice certificate store already initialised, set force to delete!");
  }
}

async function targetOf(
  options: PvecmQdeviceOptions,
  { facts }: ClusterState,
  address: string,
  say: (line: string) => void,
): Promise<Target> {
  if (looksLikeToken(address)) {
    say("INFO: generating cert request");
    const note = (): void => undefined;
    const target = await targetOfToken(
      { tls: undefined, port: undefined, note },
      address,
      facts.clusterName,
    );
    say("INFO: sign and export cluster cert");
    return target;
  }
  const enrolled = await enrolBySsh({
    address,
    cluster: facts.clusterName,
    step: say,
    ...(options.programs === undefined ? {} : { programs: options.programs }),
  });
  if (!enrolled.ok) {
    throw new CommandFailure(
      `${enrolled.reason}\nWithout root's ssh: run "quorate qnetd invite ${facts.clusterName}" on the vote server and give its token in place of the address.`,
    );
  }
  const identity = checkedIdentity(enrolled.value, facts.clusterName);
  if (!identity.ok) throw new CommandFailure(identity.reason);
  // As the original writes it.
  return { host: address, port: portDefault, tls: "on", identity: identity.value };
}

async function remove(client: NodeClient, options: PvecmQdeviceOptions): Promise<void> {
  const { write, writeError: note } = options;
  for (const obstacle of removalObstacles(await stateOf(client))) {
    throw new CommandFailure(obstacleWords(obstacle));
  }
  const { version } = await uninstall({ client, note });
  write("Reloading corosync.conf...\n");
  const { problem } = await untilGone(client, version);
  if (problem !== "") throw new CommandFailure(problem);
  write("Done\n\nRemoved Qdevice.\n");
}

async function stateOf(client: NodeClient): Promise<ClusterState> {
  try {
    return await clusterState(client);
  } catch (error) {
    const isMissing = error instanceof CommandFailure && error.message.includes("ENOENT");
    throw isMissing ? new CommandFailure(noConf) : error;
  }
}

function obstacleWords(obstacle: Obstacle): string {
  switch (obstacle.kind) {
    case "offline":
      return `All nodes must be online! Node ${obstacle.node} is offline, aborting.`;
    case "configured":
      return "QDevice already configured!";
    case "notConfigured":
      return "No QDevice configured!";
    case "odd":
      return "Clusters with an odd node count are not officially supported!";
    case "other":
      return obstacle.reason;
  }
  return obstacle satisfies never;
}

/** Options as Proxmox's tools take them: one or two dashes, unique beginnings, `=` or a following word. */
function words(args: readonly string[]): Words {
  const names = ["address", "network", "force"] as const;
  const given = new Map<(typeof names)[number], string>();
  const positional: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? "";
    const option = /^--?([a-z][\w-]*)(?:=(.*))?$/s.exec(word);
    if (option === null) {
      positional.push(word);
      continue;
    }
    const [, beginning = "", attached] = option;
    const fitting = names.filter((name) => name.startsWith(beginning));
    const [name] = fitting;
    if (name === undefined || fitting.length > 1) {
      throw new BadArguments(`Unknown option: ${beginning}\n400 unable to parse option`);
    }
    const next = args[at + 1];
    if (attached !== undefined) given.set(name, attached);
    else if (name === "force") {
      const isValue = next !== undefined && booleanOf(next) !== undefined;
      given.set(name, isValue ? next : "1");
      if (isValue) at += 1;
    } else if (next === undefined) {
      throw new BadArguments(`Option ${name} requires an argument\n400 unable to parse option`);
    } else {
      given.set(name, next);
      at += 1;
    }
  }
  if (positional.length > 1) throw new BadArguments("400 too many arguments");
  const address = positional[0] ?? given.get("address");
  if (address === undefined) throw new BadArguments("400 not enough arguments");
  return { address, force: checkedWords(address, given.get("network"), given.get("force")) };
}

/** Answers force; throws what is wrong with each parameter. */
function checkedWords(
  address: string,
  network: string | undefined,
  force: string | undefined,
): boolean {
  const faults: string[] = [];
  if (isIP(address) === 0 && !looksLikeToken(address) && address !== "-") {
    faults.push("address: value does not look like a valid IP address");
  }
  if (network !== undefined && !isCidr(network)) {
    faults.push("network: value does not look like a valid CIDR network");
  }
  const isForced = booleanOf(force ?? "0");
  if (isForced === undefined) {
    faults.push(`force: type check ('boolean') failed - got '${force}'`);
  }
  if (faults.length === 0) return isForced === true;
  throw new BadArguments(["400 Parameter verification failed.", ...faults].join("\n"));
}

function isCidr(text: string): boolean {
  const [, address = "", bits = ""] = /^(.*)\/(\d{1,3})$/.exec(text) ?? [];
  const family = isIP(address);
  return family !== 0 && Number(bits) <= (family === 4 ? 32 : 128);
}

function booleanOf(word: string): boolean | undefined {
  if (/^(?:1|on|yes|true)$/i.test(word)) return true;
  return /^(?:0|off|no|false)$/i.test(word) ? false : undefined;
}
