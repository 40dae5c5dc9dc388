// `quorate expected N`: quorum by decree (pvecm.md §1.7, pain point 9). It lasts until votes return, a reload or a restart; until then status says so.
import { NodeClient, NodeRefusal } from "../../api/client.ts";
import type { NodeStatus } from "../../api/status.ts";
import { type ExpectedEffect, expectedEffect } from "../../api/v1/expected-effect.ts";
import { plural } from "../../cli/text-table.ts";
import { standaloneText } from "../../change/ports.ts";
import { CommandFailure, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { askOnTerminal } from "../ask.ts";
import type { ChangeOptions } from "./change.ts";

export interface ExpectedOptions extends Omit<ChangeOptions, "note"> {
  /** 1 to 255. */
  readonly votes: number;
  /** Also when a node that is not in the ring still answers. */
  readonly force: boolean;
}

export async function expectedCommand(options: ExpectedOptions): Promise<number> {
  const { root, json, dryRun, isYes, votes, force, write } = options;
  const client = new NodeClient(nodePaths(root).socket);
  const status = await client.status();
  if (status.mode === "standalone") throw new CommandFailure(standaloneText);
  const { totalVotes } = status.quorum;
  if (votes < totalVotes) {
    throw new CommandFailure(
      `Unable to set expected votes: expected votes ${votes} refused: ${totalVotes} votes are present already, use at least ${totalVotes}`,
    );
  }
  const { advice, ...effect } = effectOf(status, votes);
  checkHelps(status, { advice, ...effect });
  const isSo = status.quorum.expectedVotes === votes;
  const risk = riskOf(status, effect);
  const say = (facts: object): void => {
    if (json) write(`${JSON.stringify({ votes, ...effect, risk, ...facts }, undefined, 2)}\n`);
  };
  if (!json) write(`${effect.text}\n${risk === "" || isSo ? "" : `${risk}\n`}`);
  if (isSo || dryRun) {
    say({ isDone: isSo });
    return exitOk;
  }
  checkReachable(status, force);
  if (risk !== "" && !isYes) askOnTerminal(risk);
  await client.setExpectedVotes(votes).catch((error: unknown) => {
    if (!(error instanceof NodeRefusal)) throw error;
    throw new CommandFailure(
      `Unable to set expected votes: ${error.reason}. It must be from ${status.quorum.totalVotes}, the votes that are here, to what keeps this partition quorate`,
    );
  });
  const message = `expected votes set to ${votes} by hand: ${effect.text}`;
  await client.log({ tag: "quorate", priority: risk === "" ? 5 : 4, message });
  const { quorum } = await client.status();
  if (!quorum.quorate) {
    throw new CommandFailure(
      `The expected votes were set to ${votes}, but this part is ${quorum.meaning}. \`quorate status\` shows who is here`,
    );
  }
  if (!json) write("Done.\n");
  say({ isDone: true });
  return exitOk;
}

interface Effect {
  /** Needed then. */
  readonly quorum: number;
  readonly isQuorate: boolean;
  readonly text: string;
}

function effectOf(status: NodeStatus, votes: number): Effect & Pick<ExpectedEffect, "advice"> {
  const { quorum: now, nodes, device } = status;
  const nodeid = nodes.find(({ local }) => local)?.nodeid ?? 0;
  const { quorum, isQuorate, advice } = expectedEffect(now, { nodeid, votes });
  const here = plural(now.totalVotes, "vote is", "votes are");
  const text = `${here} here, ${now.expectedVotes} are expected and ${now.quorum} needed; with ${votes} expected ${quorum} are needed: ${isQuorate ? "quorate" : "not quorate"}.`;
  const configured = nodes.reduce((sum, each) => sum + each.votes, device?.votes ?? 0);
  const raised =
    votes > configured && votes > now.totalVotes
      ? ` That is more than the ${configured} of corosync.conf, and nothing lowers them by itself: \`quorate expected ${Math.max(configured, now.totalVotes)}\` sets them back.`
      : "";
  return { quorum, isQuorate, text: `${text}${raised}`, advice };
}

/** Neither before nor after it this part is quorate: then it would only look as if something had been done. */
function checkHelps(
  { quorum }: NodeStatus,
  { isQuorate, text, advice }: ReturnType<typeof effectOf>,
) {
  if (quorum.quorate || isQuorate) return;
  const lines = [text, ...advice.map((line) => `${line}.`)].join("\n");
  throw new CommandFailure(
    `This would not make this part quorate, so nothing was changed. ${lines}`,
  );
}

/** "" when nothing is at risk: no node is away, this part stays without quorum, or it was quorate before. */
function riskOf({ quorum, nodes }: NodeStatus, { isQuorate }: Effect): string {
  if (quorum.quorate || !isQuorate) return "";
  const away = nodes.filter(({ member }) => !member).map(({ name }) => name);
  if (away.length === 0) return "";
  return `This overrides quorum. If ${away.join(", ")} ${away.length === 1 ? "runs" : "run"} on, apart from here, both sides change the tree and start guests at the same time: data are lost. Be sure that they are off, and stay off until they can reach this node. The override ends by itself when their votes return, at the next change of corosync.conf, or when this node restarts.`;
}

/** A node that answers on some way is no dead one. */
function checkReachable({ quorum, nodes }: NodeStatus, force: boolean): void {
  const alive = nodes.filter(({ member, reachable }) => !member && reachable);
  if (quorum.quorate || alive.length === 0 || force) return;
  throw new CommandFailure(
    `${alive.map(({ name }) => name).join(", ")} still answers on a link: with an override both sides may write. Look why it is not in the ring (quorate status), or give --force`,
  );
}
