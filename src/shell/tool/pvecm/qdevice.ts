// `pvecm qdevice setup|remove` with the original's words, order of checks and exit codes (pvecm.md §1.0, §1.11, §1.12). The address may
// also be the token of an invitation: then nobody needs root's ssh to the vote server. What is done is `device-plan.ts`.
import { existsSync } from "node:fs";
import { looksLikeToken } from "../../../qnetd/enrol/enrolment-token.ts";
import { NodeClient } from "../../api/client.ts";
import {
  clusterState,
  type ClusterState,
  nodeVotes,
  type Obstacle,
  removalObstacles,
  sectionFor,
  setupObstacles,
  untilGone,
  votesMsMax,
} from "../../qdevice/device-setup.ts";
import { checkedIdentity } from "../../qdevice/device-identity.ts";
import { enrolBySsh, type SshOrder } from "../../qdevice/enrol-ssh.ts";
import { CommandFailure } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { notClusteredText } from "../../change/ports.ts";
import { deviceSetupFacts } from "../../qdevice/device-plan.ts";
import { removeDevice, resumeDevice, setUpDevice } from "../../qdevice/device-operation.ts";
import { storedFiles } from "../../qdevice/device-tree.ts";
import { targetOfToken, type Target, targetWord } from "../../command/qdevice.ts";
import { handText } from "../../qdevice/device-text.ts";

const portDefault = 5403;

export interface PvecmQdeviceOptions {
  readonly root: string;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly programs?: SshOrder["programs"] | undefined;
}

/** Failures are CommandFailures with the original's sentence. */
export async function qdeviceSetup(
  options: PvecmQdeviceOptions,
  given: { readonly address: string; readonly force: boolean },
): Promise<void> {
  await setUp(new NodeClient(nodePaths(options.root).socket), options, given);
}

export async function qdeviceRemove(options: PvecmQdeviceOptions): Promise<void> {
  await remove(new NodeClient(nodePaths(options.root).socket), options);
}

async function setUp(
  client: NodeClient,
  options: PvecmQdeviceOptions,
  { address, force }: { readonly address: string; readonly force: boolean },
): Promise<void> {
  const { write } = options;
  const note = options.writeError;
  await resumeDevice({ root: options.root, note });
  const state = await stateOf(client);
  await checkSetup(client, options, state, force);
  const say = (line: string): void => write(`${line}\n`);
  const target = await targetOf(options, state, await targetWord(address), say);
  const { host, port, tls, identity } = target;
  const { clusterName, nodes } = state.facts;
  const probed = (): void => {
    say("INFO: import certificate");
    say("INFO: copy and import pk12 cert to all nodes");
    say("INFO: add QDevice to cluster configuration");
  };
  const configured = (_version: number, notes: readonly string[]): void => {
    for (const sentence of notes) note(`NOTE: ${sentence}\n`);
    for (const name of nodes.map((node) => node.name).toSorted()) {
      say(`\nINFO: start and enable corosync qdevice daemon on node '${name}'...`);
    }
    say("Reloading corosync.conf...");
  };
  const device = sectionFor(nodes.length, { host, port, tls });
  const facts = await deviceSetupFacts(
    { cluster: clusterName, device, waitMs: votesMsMax },
    identity,
  );
  await setUpDevice({ root: options.root, note, report: { probed, configured } }, facts);
  const byHand = nodeVotes(await client.status()).filter(({ hasVote }) => !hasVote);
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
    (await storedFiles(client)).identity !== undefined;
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
  await resumeDevice({ root: options.root, note });
  for (const obstacle of removalObstacles(await stateOf(client))) {
    throw new CommandFailure(obstacleWords(obstacle));
  }
  const version = await removeDevice({ root: options.root, note });
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
    throw isMissing ? new CommandFailure(notClusteredText) : error;
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
