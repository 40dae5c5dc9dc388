// `pvecm add`: this machine joins the cluster of a member, over its API (pvecm.md §1.2, §3.3).
import { joinCommand } from "../../command/cluster/join.ts";
import { CommandFailure } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { looksLikeJoinToken } from "../../join/join-token.ts";
import type { SshOrder } from "../../qdevice/enrol-ssh.ts";
import { tokenBySsh } from "./add-ssh.ts";
import type { PvecmSurroundings } from "./cluster.ts";

/** `words`: as on the command line, links without their priorities. */
export async function add(
  {
    root,
    write,
    writeError,
    programs,
  }: PvecmSurroundings & { readonly programs?: SshOrder["programs"] },
  words: Readonly<Record<string, string>>,
): Promise<number> {
  const { mount } = nodePaths(root);
  if (`${process.cwd()}/`.startsWith(`${mount}/`)) {
    throw new CommandFailure(
      `Navigate out of ${mount} before running 'pvecm add', for example by running 'cd'.`,
    );
  }
  const hostname = words["hostname"] ?? "";
  let target = hostname;
  if (words["use_ssh"] === "1" && !looksLikeJoinToken(hostname)) {
    write(`asking '${hostname}' for a join token over ssh\n`);
    target = await tokenBySsh(hostname, programs?.ssh);
  }
  const links = Object.entries(words).flatMap(([key, address]) => {
    const link = /^link(\d)$/.exec(key)?.[1];
    return link === undefined ? [] : [[Number(link), address] as const];
  });
  const { nodeid, votes } = words;
  return joinCommand({
    root,
    target,
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
