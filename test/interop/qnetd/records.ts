// What the original's tools print on every machine of a laboratory, in a form in which two laboratories can be compared: without
// times, ring ids and port numbers. Pure but for asking the tools.
import type { VoteLab, VoteNode } from "./vote-lab.ts";
import { originalProgram } from "./server-program.ts";

/** Title to text. */
export type TextRecord = ReadonlyMap<string, string>;

/** `corosync-quorumtool -s` and `corosync-qdevice-tool -s -v` of every running node, `corosync-qnetd-tool` of the server. */
export async function textsOf(votes: VoteLab): Promise<TextRecord> {
  const onNode = async (node: VoteNode, command: readonly string[]): Promise<[string, string]> => {
    const { code, stdout, stderr } = await node.machine.exec(command);
    const name = `${command.join(" ")} on ${node.machine.name}`;
    return [name, `exit ${code}\n${comparable(stdout + stderr)}`];
  };
  const onServer = async (...args: readonly string[]): Promise<[string, string]> => [
    `corosync-qnetd-tool ${args.join(" ")}`,
    sortedClusters(comparable(await votes.tool(originalProgram, ...args))),
  ];
  const running = votes.nodes.filter(({ machine }) => machine.running);
  return new Map(
    await Promise.all([
      ...running.map((node) => onNode(node, ["corosync-quorumtool", "-s"])),
      ...running.map((node) => onNode(node, ["corosync-qdevice-tool", "-s", "-v"])),
      onServer("-s", "-v"),
      onServer("-l"),
      onServer("-l", "-v"),
      onServer("-l", "-c", votes.cluster.name),
    ]),
  );
}

/** The first text in which two records differ, with the lines that only one has, then both versions; undefined: they are the same. */
export function difference(ours: TextRecord, theirs: TextRecord): string | undefined {
  for (const title of new Set([...ours.keys(), ...theirs.keys()])) {
    const [mine, other] = [ours.get(title), theirs.get(title)];
    if (mine === other) continue;
    const versions = `--- with our server\n${mine ?? "not asked"}\n--- with the original\n${other ?? "not asked"}`;
    return [
      title,
      ...onlyIn(mine, other, "ours"),
      ...onlyIn(other, mine, "original"),
      versions,
    ].join("\n");
  }
  return undefined;
}

function onlyIn(
  text: string | undefined,
  other: string | undefined,
  whose: string,
): readonly string[] {
  const known = new Set(other?.split("\n"));
  return (text ?? "")
    .split("\n")
    .filter((line) => !known.has(line))
    .map((line) => `${whose}: ${line}`);
}

/** Times, ring ids and ports are another one in every laboratory. */
export function comparable(text: string): string {
  return text
    .replaceAll(/^Date: .*$/gm, "Date: (then)")
    .replaceAll(/^(\s*Ring ID:\s+)\S+$/gm, "$1(ring)")
    .replaceAll(/^(Last poll call:\s+)\d\S+/gm, "$1(then)")
    .replaceAll(/^(Connected since:\s+).*$/gm, "$1(then)")
    .replaceAll(/^Echo reply received:.*\n/gm, "") // Missing until the first heartbeat.
    .replaceAll(/^(\s+Client address:\s+\S+):\d+$/gm, "$1:(port)")
    .replaceAll(deviceExpectedVotes, "$1(its last)")
    .replaceAll(lastVote, "$1$2");
}

/**
 * corosync-qdevice shows what votequorum last told it, and on a node that has just come back that is 2 or 3 by chance, with either
 * server. What votequorum itself expects is in the text of corosync-quorumtool and stays.
 */
const deviceExpectedVotes = /^(Expected votes:\t\t)\d+$/gm;

/**
 * The last message's vote is a matter of which node's list came last; the one in parentheses counts (qnetd.md §5.2). Two runs of
 * the original differ in it too.
 */
const lastVote = /^(\s+Vote:\s+)(?:ACK|NACK|No change) (\(N?ACK\))$/gm;

/** The list has them in the order in which they came, which after a restart of the server is chance. */
function sortedClusters(text: string): string {
  const [head = "", ...clusters] = text.split(/^(?=Cluster ")/m);
  return head + clusters.toSorted().join("");
}
