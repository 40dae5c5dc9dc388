// Changes of a running cluster with a SIGKILL at each of their steps, once of the node that carries it out and once of another: afterwards the
// change is complete or taken back, on all nodes alike, and nothing is left to do by hand. Nodes on loopback addresses of their own. One line a
// case, then "N passed, N failed".
//   bun test/interop/change-kills.ts [--short] [--only WORD]
// --short: the step at which each change is decided.
import { parseArgs } from "node:util";
import { reasonOf } from "../../src/result.ts";
import { changeCommand } from "../../src/shell/command/cluster/change.ts";
import { CommandFailure, exitNotRunning } from "../../src/shell/exit.ts";
import { OperationFiles } from "../../src/shell/operation/operation-store.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { stepReached } from "../node/operation-step.ts";
import { ReloadCluster } from "../node/reload-cluster.ts";
import { pending, ready, until } from "./wait.ts";

const settleMsMax = 300_000;
const nodes = [1, 2, 3] as const;
/** Of them 1 carries the change out, 3 is the one that is changed. */
const [executor, bystander] = nodes;

interface Change {
  readonly name: string;
  readonly method: "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly words: (cluster: ReloadCluster) => Readonly<Record<string, string | boolean>>;
  readonly steps: readonly string[];
  /** The step whose record is on disk before anything has changed, and after which nothing is taken back. */
  readonly decidedAt: string;
  /** Who is in the nodelist when it is complete. */
  readonly members: readonly number[];
  /** Whether corosync.conf is that of the completed change. */
  readonly isComplete: (conf: string, cluster: ReloadCluster) => boolean;
}

const changes: readonly Change[] = [
  {
    name: "link add",
    ...{ method: "POST", path: "/cluster/links/1" },
    words: (cluster) => ({
      addresses: nodes.map((id) => `n${id}=${cluster.address(id + 100)}`).join(","),
    }),
    ...{ steps: ["stage-1", "log"], decidedAt: "stage-1", members: nodes },
    isComplete: (conf) => conf.includes("ring1_addr"),
  },
  {
    name: "readdress",
    ...{ method: "PUT", path: "/cluster/nodes/n3/addresses" },
    words: (cluster) => ({ link0: cluster.address(203) }),
    steps: ["stage-1", "stage-2", "stage-3", "stage-4", "log"],
    ...{ decidedAt: "stage-4", members: nodes },
    isComplete: (conf, cluster) => conf.includes(cluster.address(203)),
  },
  {
    name: "rename",
    ...{ method: "PUT", path: "/cluster/nodes/n3/name" },
    words: () => ({ name: "gamma" }),
    ...{ steps: ["conf", "directory", "log"], decidedAt: "conf", members: nodes },
    isComplete: (conf) => conf.includes("name: gamma"),
  },
  {
    name: "remove",
    ...{ method: "DELETE", path: "/cluster/nodes/n3" },
    words: () => ({ purge: true }),
    ...{ steps: ["log", "conf", "purge"], decidedAt: "conf", members: [1, 2] },
    isComplete: (conf) => !conf.includes("name: n3"),
  },
];

async function killed(change: Change, step: string, victim: number): Promise<string> {
  const cluster = new ReloadCluster();
  let isJudged = false;
  try {
    const conf = cluster.conf({ version: 1, nodes });
    for (const nodeid of nodes) cluster.start(nodeid, conf);
    await cluster.all(nodes, (s) => s.ring.members.length === nodes.length && s.tree.writable);
    await withGuest(cluster);
    const at = stepReached(nodePaths(cluster.root(executor)).operationDir, step);
    const begun = run(cluster, change);
    await at;
    await cluster.kill(victim);
    cluster.startAgain(victim);
    const outcome = await begun;
    await ended(cluster);
    const remark = await judged(cluster, change, outcome);
    isJudged = true;
    return remark;
  } finally {
    if (!isJudged) for (const nodeid of nodes) console.log(logEnd(cluster, nodeid));
    await cluster.close();
  }
}

/** For whoever reads of a failure. */
function logEnd(cluster: ReloadCluster, nodeid: number): string {
  return `--- node ${nodeid}\n${cluster.log(nodeid).split("\n").slice(-40).join("\n")}`;
}

async function withGuest(cluster: ReloadCluster): Promise<void> {
  const client = cluster.client(executor);
  for (const path of ["nodes", "nodes/n3"]) {
    // There already where a node itself has made them.
    await client.mkdir(path).catch((error: unknown) => {
      if (!reasonOf(error).includes("EEXIST")) throw error;
    });
  }
  await client.put("nodes/n3/config", new TextEncoder().encode("x"));
}

interface Outcome {
  readonly code: number;
  readonly text: string;
}

async function run(cluster: ReloadCluster, change: Change): Promise<Outcome> {
  let text = "";
  const { method, path } = change;
  try {
    const code = await changeCommand(
      {
        ...{ root: cluster.root(executor), json: false, dryRun: false, isYes: true },
        write: (more) => void (text += more),
        note: () => undefined,
      },
      { method, path, words: change.words(cluster), question: "", done: "Done." },
    );
    return { code, text };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    return { code: error.code, text: `${text}${error.message}` };
  }
}

async function ended(cluster: ReloadCluster): Promise<void> {
  const files = new OperationFiles(nodePaths(cluster.root(executor)).operationDir);
  await until(
    () => {
      const found = files.record();
      if (!found.ok) return pending(found.reason);
      return found.value === undefined ? ready(undefined) : pending(JSON.stringify(found.value));
    },
    settleMsMax,
    "the operation has ended",
  );
  const leftover = files.leftover();
  if (!leftover.ok || leftover.value !== undefined) {
    throw new Error(`left to do by hand: ${JSON.stringify(leftover)}`);
  }
}

/** Throws with what does not fit together. */
async function judged(
  cluster: ReloadCluster,
  change: Change,
  { code, text }: Outcome,
): Promise<string> {
  const conf = await confOf(cluster, executor);
  const isComplete = change.isComplete(conf, cluster);
  const members = isComplete ? change.members : nodes;
  const version = Number(/config_version: (\d+)/.exec(conf)?.[1]);
  await cluster.all(
    members,
    ({ cluster: { configVersion }, quorum, ring, tree }) =>
      configVersion === version &&
      ring.members.join() === members.join() &&
      quorum.quorate &&
      tree.writable,
  );
  for (const nodeid of members) {
    const other = await confOf(cluster, nodeid);
    if (other !== conf) throw new Error(`node ${nodeid} has another corosync.conf:\n${other}`);
  }
  // Not running: killed before the command was told which task it is.
  if (isComplete === (code !== 0) && code !== exitNotRunning) {
    throw new Error(
      `${isComplete ? "complete" : "taken back"}, and the command said ${code}: ${text}`,
    );
  }
  const guest = { rename: "nodes/gamma/config", remove: undefined }[change.name];
  const where = isComplete && guest !== undefined ? guest : "nodes/n3/config";
  const hasGuest = await cluster
    .client(bystander)
    .read(where)
    .then(
      () => true,
      () => false,
    );
  if (hasGuest === (isComplete && change.name === "remove")) {
    throw new Error(`/etc/pve/${where} is ${hasGuest ? "still" : "not"} there`);
  }
  return isComplete ? "complete" : "taken back";
}

async function confOf(cluster: ReloadCluster, nodeid: number): Promise<string> {
  return Buffer.from(await cluster.client(nodeid).read("corosync.conf")).toString();
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { short: { type: "boolean", default: false }, only: { type: "string", default: "" } },
  });
  let [passed, failed] = [0, 0];
  for (const change of changes) {
    for (const step of change.steps) {
      if (values.short && step !== change.decidedAt) continue;
      for (const victim of [executor, bystander]) {
        const name = `${change.name}: ${victim === executor ? "the node that carries it out" : "another"} killed at ${step}`;
        if (!name.includes(values.only)) continue;
        const begun = performance.now();
        const spent = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
        try {
          const remark = await killed(change, step, victim);
          passed += 1;
          console.log(`ok    ${name}: ${remark} (${spent()})`);
        } catch (error) {
          failed += 1;
          console.log(`FAIL  ${name}: ${reasonOf(error)} (${spent()})`);
        }
      }
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
