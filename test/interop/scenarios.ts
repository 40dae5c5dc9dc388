// What must hold for a ring of quorate and Debian nodes in any mixture (engineering.md §8 "Interop"; issue 2, "Done when").
// Each scenario starts with all nodes in one ring and leaves them so; a broken one throws one sentence.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cutsUnderLoad } from "./cuts.ts";
import type { Lab, LabNode } from "./lab.ts";
import { compareOrders, type OrderRecord, planWords } from "./order.ts";
import { parseQuorateStatus, statusCommand } from "./quorate.ts";
import { lossMs } from "./ring-conf.ts";
import { parseLinkStatus, type View } from "./tools.ts";
import { askToolsAgainMs, holds, pending, type Progress, ready, until } from "./wait.ts";

export interface Trial {
  readonly lab: Lab;
  /** Full amounts instead of the short ones for CI. */
  readonly long: boolean;
  readonly seed: number;
  /** That each member sends in `sameOrder`; default 500, or 10,000 when long. */
  readonly messages?: number;
}

export interface Scenario {
  readonly name: string;
  /** Answers what was measured, for the runner's line. */
  run(trial: Trial): Promise<string>;
}

/** For rings that have a Debian node. */
export const mixedScenarios: readonly Scenario[] = [
  { name: "formed", run: formed },
  { name: "sameOrder", run: sameOrder },
  { name: "killAndRestartEach", run: killAndRestartEach },
  { name: "partitionAndMerge", run: partitionAndMerge },
  { name: "gracefulStop", run: gracefulStop },
  { name: "idle", run: idle },
];

/** For rings of quorate nodes alone: what only their tree can show. */
export const treeScenarios: readonly Scenario[] = [
  { name: "formed", run: formed },
  {
    name: "cutsUnderLoad",
    run: ({ lab, long, seed }) => {
      const amounts = long ? { cuts: 10, cutMs: 30_000 } : { cuts: 3, cutMs: 8000 };
      return cutsUnderLoad(lab, { ...amounts, seed }, () => wholeRing(lab));
    },
  },
];

const formMsMax = 30_000;
/** Less than the token of three nodes takes to be missed, 1650 ms. */
const gracefulMsMax = 1500;
/** A LEAVE passes through three nodes and this process: each may have waited for a processor as long as this one did. */
const nodesPerStall = 4;
const idleTriesAgain = 2;
const membershipLine = /A new membership/g;
/**
 * A node that prints one of these was told something it should never hear. "Invalid MTU" is no such line: libknet prints it
 * when a peer is killed, or is not scheduled, between two probes of the MTU.
 */
const complaint =
  /FAILED TO RECEIVE|bad magic|unsupported version|too short|Assert|Unknown node|Exiting|invalid|Invalid (?!MTU detected)/;
/** What the others must not print when a node leaves in peace. */
const lossLine =
  /token timed out|A processor failed|Token has not been received|Failed to receive the leave message/;

/** Waits until all nodes of the laboratory are in one quorate ring; answers its id. */
export async function wholeRing(lab: Lab): Promise<string> {
  return oneRing(lab.nodes, true, formMsMax, "all nodes form one quorate ring");
}

/** The complaints of Debian's nodes about their peers, one sentence each. */
export function complaints(lab: Lab): readonly string[] {
  return lab.nodes
    .filter((node) => node.kind === "corosync")
    .flatMap((node) => {
      const line = node
        .log()
        .split("\n")
        .find((text) => complaint.test(text));
      return line === undefined ? [] : [`${node.name} complains: ${line.trim()}`];
    });
}

async function formed({ lab }: Trial): Promise<string> {
  const ring = await wholeRing(lab);
  const names = lab.nodes.map((node) => node.name).join(" ");
  for (const node of lab.nodes) {
    const view = await node.view();
    if (typeof view === "string") throw new Error(view);
    const seen = view.members.map((member) => member.name).join(" ");
    if (seen !== names) throw new Error(`${node.name} names the members ${seen}, not ${names}`);
    if (node.kind === "corosync") await until(() => linksUp(lab, node), formMsMax, "links are up");
    else await expectStatus(lab, node, ring);
  }
  return `ring ${ring}`;
}

/** What an operator sees with `quorate status --json` is the same ring. */
async function expectStatus(lab: Lab, node: LabNode, ring: string): Promise<void> {
  const answer = await node.exec(statusCommand(lab.options.quorate, node.root));
  const view = parseQuorateStatus(answer.stdout);
  if (typeof view === "string") throw new Error(`${node.name}: ${answer.stderr || view}`);
  if (view.ring !== ring || !view.quorate) throw new Error(viewText(node, view));
}

/** A Debian node's corosync-cfgtool must show a link to everybody. */
async function linksUp(lab: Lab, node: LabNode): Promise<Progress<void>> {
  const { stdout, stderr } = await node.exec(["corosync-cfgtool", "-s"]);
  const link = parseLinkStatus(stdout)?.links[0];
  if (link === undefined) return pending(`${node.name}: ${stderr || stdout}`);
  const down = lab.nodes.filter((other) => {
    const state = other === node ? "localhost" : "connected";
    return link.nodes.get(other.nodeid) !== state;
  });
  if (down.length === 0) return ready(undefined);
  return pending(`${node.name} has no link to ${down.map((other) => other.name).join(" ")}`);
}

async function killAndRestartEach({ lab }: Trial): Promise<string> {
  const remarks: string[] = [];
  const lossMsMax = 2 * lossMs(lab.options.tokenMs, lab.nodes.length) + 5000;
  for (const victim of lab.nodes) {
    await wholeRing(lab);
    const others = lab.nodes.filter((node) => node !== victim);
    await victim.kill();
    const lost = stopwatch();
    await oneRing(others, true, lossMsMax, `the others go on without ${victim.name}`);
    const lostMs = lost();
    victim.start();
    const back = stopwatch();
    await wholeRing(lab);
    remarks.push(`${victim.name} out ${seconds(lostMs)} back ${seconds(back())}`);
  }
  return remarks.join(", ");
}

async function partitionAndMerge({ lab, long }: Trial): Promise<string> {
  const remarks: string[] = [];
  const lossMsMax = 2 * lossMs(lab.options.tokenMs, lab.nodes.length) + 5000;
  for (const alone of long ? lab.nodes : lab.nodes.slice(0, 1)) {
    await wholeRing(lab);
    const others = lab.nodes.filter((node) => node !== alone);
    await lab.cut([alone], others);
    const split = stopwatch();
    await Promise.all([
      oneRing([alone], false, lossMsMax, `${alone.name} alone is without quorum`),
      oneRing(others, true, lossMsMax, `the others of ${alone.name} stay quorate`),
    ]);
    const splitMs = split();
    await lab.heal();
    const merge = stopwatch();
    await wholeRing(lab);
    remarks.push(`${alone.name} split ${seconds(splitMs)} merged ${seconds(merge())}`);
  }
  return remarks.join(", ");
}

async function gracefulStop({ lab }: Trial): Promise<string> {
  const remarks: string[] = [];
  for (const leaver of lab.nodes) {
    await wholeRing(lab);
    const others = lab.nodes.filter((node) => node !== leaver);
    const logs = others.map((node) => ({ node, since: node.logFromHere() }));
    const left = stopwatch();
    const stall = longestStall();
    // The log tells the moment: asking the tools again and again would itself delay a small machine.
    const reformed = until(
      () => {
        const late = logs.find(({ since }) => !/A new membership/.test(since()));
        return late === undefined ? ready(left()) : pending(`${late.node.name} has no new ring`);
      },
      formMsMax,
      `the others form a ring without ${leaver.name}`,
    );
    const [code, leftMs] = await Promise.all([leaver.stop(), reformed]);
    await oneRing(others, true, formMsMax, `the others are quorate without ${leaver.name}`);
    // On a busy machine a node may hear the JOIN of the other before the LEAVE itself: one of them shows that it was sent.
    const losses = logs.flatMap(({ node, since }) => {
      const line = since()
        .split("\n")
        .find((text) => lossLine.test(text));
      return line === undefined ? [] : [`${node.name} prints: ${line.trim()}`];
    });
    if (losses.length === logs.length) {
      throw new Error(`${leaver.name} sent no LEAVE message; ${losses.join("; ")}`);
    }
    if (code !== 0) throw new Error(`${leaver.name} ended with ${code ?? "a signal"}, not 0`);
    const stalledMs = stall.ms();
    stall.end();
    if (leftMs > gracefulMsMax + nodesPerStall * stalledMs) {
      throw new Error(`without ${leaver.name} only after ${Math.round(leftMs)} ms`);
    }
    leaver.start();
    remarks.push(`${leaver.name} ${Math.round(leftMs)} ms`);
  }
  await wholeRing(lab);
  return remarks.join(", ");
}

async function idle({ lab, long }: Trial): Promise<string> {
  const durationMs = long ? 600_000 : 10_000;
  const stalls: string[] = [];
  for (;;) {
    const stall = longestStall();
    try {
      const remark = await staysIdle(lab, durationMs);
      return [remark, ...stalls].join(", ");
    } catch (error) {
      // A machine that stood still for a good part of the token is no idle one: Debian's nodes lose their ring as well.
      const stalledMs = stall.ms();
      if (stalledMs < lab.options.tokenMs / 4 || stalls.length === idleTriesAgain) throw error;
      stalls.push(`once more after ${Math.round(stalledMs)} ms not scheduled`);
    } finally {
      stall.end();
    }
  }
}

async function staysIdle(lab: Lab, durationMs: number): Promise<string> {
  const ring = await wholeRing(lab);
  const logs = lab.nodes.map((node) => ({ node, since: node.logFromHere() }));
  const quiet = (): Progress<void> => {
    for (const { node, since } of logs) {
      if (!node.running) return pending(`${node.name} does not run`);
      const line = since()
        .split("\n")
        .find((text) => /A new membership/.test(text));
      if (line !== undefined) return pending(`${node.name} prints: ${line.trim()}`);
    }
    return ready(undefined);
  };
  await holds(quiet, durationMs, "an idle ring keeps its membership");
  const after = await wholeRing(lab);
  if (after !== ring) throw new Error(`the ring ${ring} became ${after} while idle`);
  const count = lab.nodes.reduce(
    (sum, node) => sum + (node.log().match(membershipLine)?.length ?? 0),
    0,
  );
  return `${seconds(durationMs)}, ring ${ring}, ${count} memberships logged in all before`;
}

async function sameOrder({ lab, long, seed, messages }: Trial): Promise<string> {
  await wholeRing(lab);
  const plan = {
    group: "quorate-interop",
    seed,
    members: lab.nodes.length,
    count: messages ?? (long ? 10_000 : 500),
    deadlineMs: long ? 900_000 : 240_000,
  };
  // The program of a quorate node brings its own ring, so the daemon makes room for it.
  const quorate = lab.nodes.filter((node) => node.kind === "quorate");
  await Promise.all(quorate.map((node) => node.stop()));
  const here = (name: string): string => join(import.meta.dir, name);
  const programs = lab.nodes.map((node) => {
    const out = lab.file(`order-${node.name}`);
    const words = planWords({ ...plan, out });
    const command =
      node.kind === "corosync"
        ? [process.execPath, here("cpg-client.ts"), ...words]
        : [process.execPath, here("group-peer.ts"), node.root, node.name, ...words];
    return { node, out, child: node.spawn(command, node.logPath) };
  });
  await until(
    () => {
      const broken = programs.find(({ child }) => (child.exitCode ?? 0) !== 0 || child.signalCode);
      if (broken !== undefined) throw new Error(whyBroken(broken));
      const going = programs.filter(({ child }) => child.exitCode === null);
      return going.length === 0
        ? ready(undefined)
        : pending(`${going.map(({ node }) => node.name).join(" ")} still at it`);
    },
    plan.deadlineMs + formMsMax,
    "every member has seen all messages",
  );
  for (const node of quorate) node.start();
  const records = programs.map(({ node, out }) => readRecord(node.name, out));
  const problems = compareOrders(plan, records);
  if (problems.length > 0) throw new Error(problems.join("; "));
  await wholeRing(lab);
  return orderRemark(records);
}

function whyBroken({ node, out }: { readonly node: LabNode; readonly out: string }): string {
  const { summary } = readRecord(node.name, out);
  return `${node.name} gave up with ${summary.delivered} messages seen: ${summary.ended}`;
}

function readRecord(name: string, out: string): OrderRecord {
  try {
    return {
      name,
      summary: JSON.parse(readFileSync(`${out}.json`, "utf8")),
      log: readFileSync(`${out}.log`, "utf8"),
    };
  } catch {
    throw new Error(`${name} left no record; its log tells why`);
  }
}

function orderRemark(records: readonly OrderRecord[]): string {
  const [first] = records;
  if (first === undefined) return "";
  const slowestMs = Math.max(...records.map(({ summary }) => summary.elapsedMs));
  const retries = records.reduce((sum, { summary }) => sum + summary.retries, 0);
  const megabytes = first.summary.bytes / 1e6;
  return (
    `${first.summary.delivered} messages, ${megabytes.toFixed(1)} MB in ${seconds(slowestMs)}, ` +
    `${retries} tried again, hash ${first.summary.hash.slice(0, 12)}`
  );
}

/** Waits until exactly `nodes` are members of one ring in the eyes of each of them; answers the ring id. */
export async function oneRing(
  nodes: readonly LabNode[],
  quorate: boolean,
  deadlineMs: number,
  what: string,
): Promise<string> {
  return until(async () => agreement(nodes, quorate), deadlineMs, what, askToolsAgainMs);
}

async function agreement(nodes: readonly LabNode[], quorate: boolean): Promise<Progress<string>> {
  const expected = nodes.map((node) => node.nodeid).join(" ");
  let ring: string | undefined;
  for (const node of nodes) {
    if (!node.running) throw new Error(`${node.name} ended by itself; its log tells why`);
    const view = await node.view();
    if (typeof view === "string") return pending(view.trim());
    const members = view.members.map((member) => member.nodeid).join(" ");
    ring ??= view.ring;
    if (members !== expected || view.ring !== ring || view.quorate !== quorate) {
      return pending(viewText(node, view));
    }
  }
  return ring === undefined ? pending("no nodes") : ready(ring);
}

function viewText(node: LabNode, view: View): string {
  const members = view.members.map((member) => member.nodeid).join(" ");
  const quorum = view.quorate ? "quorate" : "not quorate";
  return `${node.name} sees ring ${view.ring}, members ${members}, ${quorum}`;
}

/** For how long at most this process was not scheduled since it was asked to look: a measure of the machine, not of a node. */
function longestStall(): { readonly ms: () => number; readonly end: () => void } {
  const everyMs = 20;
  let [last, longestMs] = [performance.now(), 0];
  const look = (): void => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last - everyMs);
    last = now;
  };
  const timer = setInterval(look, everyMs);
  timer.unref();
  return {
    ms: () => {
      look();
      return longestMs;
    },
    end: () => clearInterval(timer),
  };
}

/** Milliseconds since it was made. */
function stopwatch(): () => number {
  const begun = performance.now();
  return () => performance.now() - begun;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
