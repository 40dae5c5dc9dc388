// `corosync-quorumtool` (services.md §7.1): options, texts and exit codes of the original's 3.1.7, towards our node.
import { voterFlags } from "../../node/quorum/message.ts";
import { NodeRefusal } from "../api/client.ts";
import type { RingReport } from "../api/ring-report.ts";
import { expectedEffect } from "../api/v1/expected-effect.ts";
import { getopt } from "./getopt.ts";
import { exits, type NodeToolOptions, sayUnreachable, wholeNumber } from "./node-tool.ts";

const name = "corosync-quorumtool";
/** Whose texts these are. */
const originalVersion = "3.1.7";
const intMax = 0x7fff_ffff;
const nodeidMax = 0xffff_ffff;
const unreachable = "Cannot initialize CMAP service";

const usage = `usage: 
${name} <options>

  options:

  -s             show quorum status
  -m             constantly monitor quorum status
  -l             list nodes
  -a             show all names or addresses for each node
  -p             when used with -s or -l, generates machine parsable output
  -v <votes>     change the number of votes for a node (*)
  -n <nodeid>    optional nodeid of node for -v
  -e <expected>  change expected votes for the cluster (*)
  -H             show nodeids in hexadecimal rather than decimal
  -i             show node IP addresses instead of the resolved name
  -o <a|n|i>     order by [a] IP address (default), [n] name, [i] nodeid
  -f             forcefully unregister a quorum device *DANGEROUS* (*)
  -h             show this help text
  -V             show version and exit

  (*) Starred items only work if votequorum is the quorum provider for corosync

`;

type Change = "votes" | "expected" | "unregister";
type Action = "status" | "monitor" | "list" | Change;

const changeTexts: Readonly<Record<Change, string>> = {
  votes: "change node votes",
  expected: "change expected votes",
  unregister: "unregister quorum device",
};

type Order = "address" | "name" | "nodeid";
const orders: ReadonlyMap<string, Order> = new Map([
  ["a", "address"],
  ["n", "name"],
  ["i", "nodeid"],
]);

interface Words {
  action: Action;
  isHexadecimal: boolean;
  showsAddresses: boolean;
  showsAll: boolean;
  showsDevice: boolean;
  order: Order;
  nodeid: number | undefined;
  votes: number;
  expected: number;
}

/** What ends the call before anything is asked. */
interface Early {
  readonly text: string;
  readonly complaint: string;
  readonly code: number;
}

/** Runs one call; answers the exit code. */
export async function quorumTool(options: NodeToolOptions): Promise<number> {
  const { write, writeError, node } = options;
  const words = wordsOf(options.args);
  if ("code" in words) {
    writeError(words.complaint);
    write(words.text);
    return words.code;
  }
  let report: RingReport;
  try {
    report = await node.ring();
  } catch (error) {
    sayUnreachable(error, unreachable, writeError);
    return exits.failure;
  }
  switch (words.action) {
    case "list":
      write(await membershipText(report, words, options));
      return exits.success;
    case "status":
      return showStatus(report, words, options);
    case "monitor":
      return monitor(report, words, options);
    default:
      return change(report, words.action, words, options);
  }
}

/** The last of several actions counts. */
function wordsOf(args: readonly string[]): Words | Early {
  const words: Words = {
    action: "status",
    ...{ isHexadecimal: false, showsAddresses: false, showsAll: false, showsDevice: false },
    ...{ order: "address", nodeid: undefined, votes: 0, expected: 0 },
  };
  for (const option of getopt(args, "VHaslpmfe:v:hin:o:")) {
    if (typeof option === "string") {
      return { text: usage, complaint: `${name}: ${option}\n`, code: exits.failure };
    }
    const early = take(words, option.letter, option.value);
    if (early !== undefined) return early;
  }
  return words;
}

/** One option; what ends the call, if it does. */
function take(words: Words, letter: string, value: string): Early | undefined {
  const wrong = (complaint: string): Early => ({
    ...{ text: "", complaint: `${complaint}\n`, code: exits.failure },
  });
  switch (letter) {
    case "h":
      return { text: usage, complaint: "", code: exits.success };
    case "V":
      return {
        ...{ text: `${name} version: ${originalVersion}\n`, complaint: "", code: exits.success },
      };
    case "H":
      words.isHexadecimal = true;
      return undefined;
    case "a":
      words.showsAll = true;
      return undefined;
    case "i":
      words.showsAddresses = true;
      return undefined;
    case "p":
      words.showsDevice = true;
      return undefined;
    case "s":
      words.action = "status";
      return undefined;
    case "m":
      words.action = "monitor";
      return undefined;
    case "l":
      words.action = "list";
      return undefined;
    case "f":
      words.action = "unregister";
      return undefined;
    case "o": {
      const order = orders.get(value);
      if (order === undefined) {
        return wrong("Invalid ordering option. valid orders are a(address), i(node ID) or n(name)");
      }
      words.order = order;
      return undefined;
    }
    case "n": {
      const nodeid = wholeNumber(value, 1, nodeidMax);
      if (nodeid === undefined) return wrong("The nodeid was not valid, try a positive number");
      words.nodeid = nodeid;
      return undefined;
    }
    case "v": {
      const votes = wholeNumber(value, 0, intMax);
      if (votes === undefined) {
        return wrong("New votes value was not valid, try a positive number or zero");
      }
      words.action = "votes";
      words.votes = votes;
      return undefined;
    }
    default: {
      const expected = wholeNumber(value, 1, intMax);
      if (expected === undefined) {
        return wrong("New expected votes value was not valid, try a positive number");
      }
      words.action = "expected";
      words.expected = expected;
      return undefined;
    }
  }
}

/** Prints nothing when it is done. */
async function change(
  report: RingReport,
  action: Change,
  words: Words,
  options: NodeToolOptions,
): Promise<number> {
  const { node, writeError } = options;
  const nodeid = words.nodeid ?? report.nodeid;
  const fail = (text: string): number => {
    writeError(`${text}\n`);
    return exits.failure;
  };
  if (report.quorum.provider === "") {
    return fail(`You cannot ${changeTexts[action]}, corosync is not using votequorum`);
  }
  const failure = failureText(action, words, nodeid);
  try {
    switch (action) {
      case "unregister":
        await node.stopDevice();
        break;
      case "expected":
        await node.setExpectedVotes(words.expected);
        break;
      case "votes": {
        const isKnown = report.quorum.voters.some((voter) => voter.nodeid === nodeid);
        if (!isKnown) return fail(`${failure}: CS_ERR_NAME_NOT_FOUND`);
        await node.setVotes(nodeid, words.votes);
        break;
      }
    }
  } catch (error) {
    if (error instanceof NodeRefusal) return fail(`${failure}: CS_ERR_INVALID_PARAM`);
    sayUnreachable(error, `${failure}: CS_ERR_LIBRARY`, writeError);
    return exits.failure;
  }
  if (action === "expected") await warnInquorate(words.expected, options);
  return exits.success;
}

/** The original is silent and exits 0 also where the votes do not suffice; ours says so beside the same code, for whoever reads it. */
async function warnInquorate(votes: number, { node, writeError }: NodeToolOptions): Promise<void> {
  const after = await node.ring().catch((error: unknown) => {
    sayUnreachable(
      error,
      "The expected votes are set; what became of it cannot be seen",
      writeError,
    );
  });
  if (after === undefined || after.quorum.quorate) return;
  const { quorum, nodeid } = after;
  const { advice } = expectedEffect(quorum, { nodeid, votes });
  const lines = [`expected votes set, but this part is ${quorum.meaning}`, ...advice];
  for (const line of lines) writeError(`${line}.\n`);
}

function failureText(action: Change, words: Words, nodeid: number): string {
  switch (action) {
    case "unregister":
      return "Unable to unregister quorum device";
    case "expected":
      return "Unable to set expected votes";
    case "votes":
      return `Unable to set votes ${words.votes} for nodeid: ${nodeid}`;
  }
  return action satisfies never;
}

async function monitor(first: RingReport, words: Words, options: NodeToolOptions): Promise<number> {
  let shown: string | undefined;
  let report = first;
  for (;;) {
    const { quorum, nodes } = report;
    const facts = JSON.stringify([quorum, nodes]);
    if (facts !== shown) {
      const code = await showStatus(report, words, options);
      if (code === exits.failure) return code;
      options.write("\n");
      shown = facts;
    }
    if (!(await options.again())) return exits.success;
    try {
      report = await options.node.ring();
    } catch (error) {
      sayUnreachable(error, unreachable, options.writeError);
      return exits.failure;
    }
  }
}

/** Answers 0 when quorate, 2 when not, 1 without votes. */
async function showStatus(
  report: RingReport,
  words: Words,
  options: NodeToolOptions,
): Promise<number> {
  const { quorum } = report;
  if (quorum.provider === "") {
    options.writeError("Unable to start votequorum status tracking: CS_ERR_BAD_HANDLE\n");
    return exits.failure;
  }
  const { nodeid } = report;
  const lines = [
    "Quorum information",
    "------------------",
    `Date:             ${ctime(options.now())}`,
    `Quorum provider:  ${quorum.provider}`,
    `Nodes:            ${quorum.members.length}`,
    `Node ID:          ${words.isHexadecimal ? hexadecimal(nodeid) : nodeid}`,
    `Ring ID:          ${quorum.ring}`,
    `Quorate:          ${quorum.quorate ? "Yes" : "No"}`,
    "",
    "Votequorum information",
    "----------------------",
    `Expected votes:   ${quorum.expectedVotes}`,
    `Highest expected: ${quorum.highestExpected}`,
    `Total votes:      ${quorum.totalVotes}`,
    `Quorum:           ${quorum.quorum} ${quorum.quorate ? " " : "Activity blocked"}`,
    `Flags:            ${quorum.flags.map((flag) => `${flag} `).join("")}`,
    "",
  ];
  options.write(lines.join("\n") + (await membershipText(report, words, options)));
  return quorum.quorate ? exits.success : exits.notQuorate;
}

async function membershipText(
  report: RingReport,
  words: Words,
  options: NodeToolOptions,
): Promise<string> {
  const { quorum, nodeid: local } = report;
  const hasVotes = quorum.provider !== "";
  const flagsOf = (nodeid: number): number =>
    quorum.voters.find((voter) => voter.nodeid === nodeid)?.flags ?? 0;
  const hasDevice = quorum.members.some(
    (nodeid) => (flagsOf(nodeid) & voterFlags.deviceRegistered) !== 0,
  );
  const titles = [
    "Nodeid",
    ...(hasVotes ? ["Votes"] : []),
    ...(hasVotes && (hasDevice || words.showsDevice) ? ["Qdevice"] : []),
  ];
  const lines = ["", "Membership information", "----------------------", `${row(titles)}Name`];
  // Without votes the original knows of no members.
  const members = hasVotes ? quorum.members : [];
  const named = await Promise.all(
    members.map(async (nodeid) => ({ nodeid, text: await nameOf(report, nodeid, words, options) })),
  );
  if (words.order === "name") named.sort((a, b) => (a.text < b.text ? -1 : 1));
  const idText = (nodeid: number) => (words.isHexadecimal ? hexadecimal(nodeid) : `${nodeid}`);
  for (const { nodeid, text } of named) {
    const votes = quorum.voters.find((voter) => voter.nodeid === nodeid)?.votes ?? 0;
    const cells = [idText(nodeid), `${votes}`, deviceText(flagsOf(nodeid))];
    const mark = nodeid === local ? " (local)" : "";
    lines.push(`${row(cells.slice(0, titles.length))}${text}${mark}`);
  }
  if (hasVotes && hasDevice) {
    const casts = (flagsOf(local) & voterFlags.deviceCastVote) !== 0;
    const cells = [idText(0), `${casts ? quorum.deviceVotes : 0}`, ""];
    const rest = casts ? "" : ` (votes ${quorum.deviceVotes})`;
    lines.push(`${row(cells)}${quorum.deviceName}${rest}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Columns of ten characters with one blank behind each. */
function row(cells: readonly string[]): string {
  return cells.map((cell) => `${cell.padStart(10)} `).join("");
}

/** The quorum device as one node states it; cut at nine characters. */
function deviceText(flags: number): string {
  const has = (flag: number) => (flags & flag) !== 0;
  if (!has(voterFlags.deviceRegistered)) return "NR";
  const parts = [
    has(voterFlags.deviceAlive) ? "A" : "NA",
    has(voterFlags.deviceCastVote) ? "V" : "NV",
    has(voterFlags.deviceMasterWins) ? "MW" : "NMW",
  ];
  return parts.join(",").slice(0, 9);
}

async function nameOf(
  report: RingReport,
  nodeid: number,
  { showsAddresses, showsAll }: Words,
  { hostName }: NodeToolOptions,
): Promise<string> {
  const node = report.nodes.find((entry) => entry.nodeid === nodeid);
  const all = (node?.addresses ?? []).filter((address) => address !== null);
  const addresses = showsAll ? all : all.slice(0, 1);
  if (showsAddresses) return addresses.join(", ");
  if (node !== undefined && node.name !== "") return node.name;
  return (await Promise.all(addresses.map(hostName))).join(", ");
}

function hexadecimal(nodeid: number): string {
  return `0x${nodeid.toString(16).padStart(8, "0")}`;
}

/** Local time as C's ctime writes it. */
function ctime(date: Date): string {
  const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const two = (value: number) => `${value}`.padStart(2, "0");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  const day = `${date.getDate()}`.padStart(2);
  return `${days[date.getDay()]} ${months[date.getMonth()]} ${day} ${time} ${date.getFullYear()}`;
}
