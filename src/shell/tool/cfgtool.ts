// `corosync-cfgtool` (services.md §7.2): options, texts and exit codes of the original's 3.1.7, towards our node.
import { NodeRefusal } from "../api/client.ts";
import type { RingNode, RingReport } from "../api/ring-report.ts";
import { CommandFailure, exitConfiguration } from "../exit.ts";
import { getoptLong } from "./getopt.ts";
import { exits, type NodeToolOptions, sayUnreachable, wholeNumber } from "./node-tool.ts";

const name = "corosync-cfgtool";
/** corosync's CS_ERR_INVALID_PARAM, which is the exit code too. */
const invalidParameter = 7;
const nodeidMax = 0xffff_ffff;

const usage = `${name} [[-i <interface ip>] [-b] -s] [-R] [-L] [-k nodeid] [-a nodeid] [-h] [-H]

A tool for displaying and configuring active parameters within corosync.
options:
	-i	Finds only information about the specified interface IP address or link id when used with -s..
	-s	Displays the status of the current links on this node.
	-n	Displays the status of the connected nodes and their links.
	-b	Displays the brief status of the current links on this node when used with -s.
	-R	Tell all instances of corosync in this cluster to reload corosync.conf.
	-L	Tell corosync to reopen all logging files.
	-k	Kill a node identified by node id.
	-a	Display the IP address(es) of a node
	-h	Print basic usage.
	-H	Shutdown corosync cleanly on this node.
		--force will shut down corosync regardless of daemon vetos
`;

type Action = "links" | "nodes" | "reload" | "reopen" | "kill" | "addresses" | "shutdown";
const actions: Readonly<Record<string, Action>> = {
  ...{ s: "links", n: "nodes", R: "reload", L: "reopen", k: "kill", a: "addresses", H: "shutdown" },
};

/** Runs one call; answers the exit code. */
export async function cfgTool(options: NodeToolOptions): Promise<number> {
  let action: Action | undefined;
  let isBrief = false;
  let nodeid = 0;
  for (const option of getoptLong(options.args, "i:snbrRLk:a:hH", { force: "f" })) {
    if (typeof option === "string") {
      options.writeError(`${name}: ${option}\n`);
      return exits.failure;
    }
    const { letter, value } = option;
    // The last action counts. What -i names, the original does not look for.
    action = actions[letter] ?? action;
    if (letter === "b") isBrief = true;
    if (letter !== "k" && letter !== "a") continue;
    const read = wholeNumber(value, 1, nodeidMax);
    if (read === undefined) {
      options.writeError("The nodeid was not valid, try a positive number\n");
      return exits.failure;
    }
    nodeid = read;
  }
  if (action === undefined) {
    options.write(usage);
    return exits.success;
  }
  return carryOut(action, { isBrief, nodeid }, options);
}

async function carryOut(
  action: Action,
  { isBrief, nodeid }: { readonly isBrief: boolean; readonly nodeid: number },
  options: NodeToolOptions,
): Promise<number> {
  const { node, write, writeError } = options;
  try {
    switch (action) {
      case "links":
        write(linksText(await node.ring(), isBrief));
        return exits.success;
      case "nodes":
        write(nodesText(await node.ring()));
        return exits.success;
      case "addresses":
        return await showAddresses(nodeid, options);
      case "reload":
        write("Reloading corosync.conf...\n");
        await node.reload();
        write("Done\n");
        return exits.success;
      case "reopen":
        // Our node writes to its standard error: there is no file to open again. That it runs is asked all the same.
        await node.ring();
        return exits.success;
      case "kill":
        write(`Killing node ${nodeid}\n`);
        await node.killNode(nodeid, `Killed by ${name}`);
        return exits.success;
      case "shutdown":
        await node.ring();
        write("Shutting down corosync\n");
        await node.shutdown(`${name} -H: stopping`);
        return exits.success;
    }
    return action satisfies never;
  } catch (error) {
    return failed(action, error, writeError);
  }
}

function failed(action: Action, error: unknown, writeError: (text: string) => void): number {
  const isUnusable = error instanceof CommandFailure && error.code === exitConfiguration;
  if (action === "reload" && (isUnusable || error instanceof NodeRefusal)) {
    writeError("Could not reload configuration. Error CS_ERR_INVALID_PARAM\n");
    return invalidParameter;
  }
  if (action === "kill" && error instanceof NodeRefusal) {
    writeError("Could not kill node (error = CS_ERR_NOT_EXIST)\n");
    return exits.failure;
  }
  const code = action === "reload" || action === "reopen" ? "CS_ERR_LIBRARY" : "2";
  const words = `Could not initialize corosync configuration API error ${code}`;
  sayUnreachable(error, words, writeError);
  return exits.failure;
}

async function showAddresses(
  nodeid: number,
  { node, write, writeError }: NodeToolOptions,
): Promise<number> {
  const report = await node.ring();
  const found = report.nodes.find((entry) => entry.nodeid === nodeid);
  if (found === undefined) {
    writeError(`Could not get node address for nodeid ${nodeid}\n`);
    return exits.failure;
  }
  write(`${found.addresses.filter((address) => address !== null).join(" ")}\n`);
  return exits.success;
}

function headLine({ nodeid, transport }: RingReport): string {
  return `Local node ID ${nodeid}, transport ${transport}\n`;
}

/** The protocol below a link, as the original names it. */
function protocol({ transport }: RingReport): string {
  return transport === "knet" ? "udp" : "";
}

/** `-s`: by link, what every node's is like. */
function linksText(report: RingReport, isBrief: boolean): string {
  const own = report.nodes.find(({ isLocal }) => isLocal)?.addresses ?? [];
  let text = headLine(report);
  for (const [link, address] of own.entries()) {
    if (address === null) continue;
    text += `LINK ID ${link} ${protocol(report)}\n\taddr\t= ${address}\n`;
    const nodes = report.nodes.filter(({ addresses }) => typeof addresses[link] === "string");
    if (isBrief) {
      text += `\tstatus\t= ${nodes.map((node) => digit(report, node, link)).join("")}\n`;
      continue;
    }
    text += "\tstatus:\n";
    for (const node of nodes) {
      text += `\t\tnodeid: ${`${node.nodeid}`.padStart(10)}:\t${word(report, node, link)}\n`;
    }
  }
  return text;
}

function linkTo(report: RingReport, nodeid: number, link: number) {
  return report.links.find((one) => one.nodeid === nodeid && one.link === link);
}

function word(report: RingReport, node: RingNode, link: number): string {
  if (node.isLocal) return "localhost";
  const isConnected = linkTo(report, node.nodeid, link)?.connected === true;
  return isConnected ? "connected" : "disconnected";
}

/** enabled + 2 × connected. */
function digit(report: RingReport, node: RingNode, link: number): string {
  if (node.isLocal) return "n";
  const found = linkTo(report, node.nodeid, link);
  return `${(found?.enabled === true ? 1 : 0) + (found?.connected === true ? 2 : 0)}`;
}

/** `-n`: by node that can be reached, what its links are like. */
function nodesText(report: RingReport): string {
  let text = headLine(report);
  for (const { nodeid, isLocal, isReachable } of report.nodes) {
    if (isLocal || !isReachable) continue;
    text += `nodeid: ${nodeid} reachable\n`;
    for (const link of report.links) {
      if (link.nodeid !== nodeid) continue;
      const { localAddress, remoteAddress, enabled, connected, mtu } = link;
      const pair =
        report.transport === "knet" ? `${localAddress}->${remoteAddress}` : remoteAddress;
      const state = `${enabled ? "enabled " : ""}${connected ? "connected " : ""}`;
      text += `   LINK: ${link.link} ${protocol(report)} (${pair}) ${state}mtu: ${mtu}\n`;
    }
    text += "\n";
  }
  return text;
}
