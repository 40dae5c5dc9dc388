// `pvecm add`: this machine joins the cluster of a member, over its API (pvecm.md §1.2, §3.3).
import { joinCommand } from "../../command/cluster/join.ts";
import { CommandFailure } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import type { PvecmSurroundings } from "./cluster.ts";

/** `words`: as on the command line, links without their priorities. */
export async function add(
  { root, write, writeError }: PvecmSurroundings,
  words: Readonly<Record<string, string>>,
): Promise<number> {
  const { mount } = nodePaths(root);
  if (`${process.cwd()}/`.startsWith(`${mount}/`)) {
    throw new CommandFailure(
      `Navigate out of ${mount} before running 'pvecm add', for example by running 'cd'.`,
    );
  }
  if (words["use_ssh"] === "1") {
    throw new CommandFailure(
      "a join over ssh is not a part of quorate: leave --use_ssh out to join over the member's API, or use a join token (quorate join)",
    );
  }
  const links = Object.entries(words).flatMap(([key, address]) => {
    const link = /^link(\d)$/.exec(key)?.[1];
    return link === undefined ? [] : [[Number(link), address] as const];
  });
  const { nodeid, votes } = words;
  return joinCommand({
    root,
    target: words["hostname"] ?? "",
    fingerprint: words["fingerprint"],
    passwordFile: undefined,
    port: undefined,
    links: new Map(links),
    nodeid: nodeid === undefined ? undefined : Number(nodeid),
    votes: votes === undefined ? undefined : Number(votes),
    force: words["force"] === "1",
    ...{ dryRun: false, json: false, write, note: writeError },
  });
}
