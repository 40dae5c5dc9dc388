// The demo's live view: one screen of plain text from three status objects.
import { relative } from "node:path";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { table } from "../../src/shell/cli/text-table.ts";
import type { DemoNode } from "./cluster.ts";

export interface View {
  readonly nodes: readonly DemoNode[];
  readonly statuses: readonly (NodeStatus | undefined)[];
  readonly before: readonly (NodeStatus | undefined)[];
  readonly elapsedS: number;
  readonly mount: boolean;
  readonly binary: string;
  /** The directory of the person who reads: paths are shown from there. */
  readonly from: string;
}

export function view(screen: View): string {
  const rows = screen.nodes.map((node, at) => row(screen, node, at));
  const heading = [
    "NODE",
    "PID",
    "QUORATE",
    "VOTES",
    "RING",
    "MEMBERS",
    "TOKENS/S",
    "WRITES",
    "TREE",
  ];
  const right = new Set(["PID", "VOTES", "TOKENS/S", "WRITES"]);
  const lines = table(
    heading.map((title) => ({ title, right: right.has(title) })),
    rows,
  );
  return `\u001b[H\u001b[2Jquorate demo: three nodes of one cluster on this machine (Ctrl-C stops them)\n\n${lines.join("\n")}\n\n${hints(screen)}`;
}

function row(screen: View, node: DemoNode, at: number): string[] {
  const status = screen.statuses[at];
  if (status === undefined) return [node.name, "-", node.fate === "" ? "starting" : "stopped"];
  const earlier = screen.before[at];
  const tokens =
    earlier === undefined || screen.elapsedS === 0
      ? 0
      : (status.ring.counters.tokensReceived - earlier.ring.counters.tokensReceived) /
        screen.elapsedS;
  return [
    node.name,
    String(status.node.pid),
    status.quorum.quorate ? "yes" : "NO",
    `${status.quorum.totalVotes}/${status.quorum.expectedVotes}`,
    status.ring.id,
    status.ring.members.map((nodeid) => `pve${nodeid}`).join(" "),
    tokens.toFixed(0),
    String(status.tree.writes),
    `v${status.tree.version} ${status.tree.digest.slice(0, 8)}`,
  ];
}

function hints(screen: View): string {
  const here = (path: string): string => relative(screen.from, path) || ".";
  const program = here(screen.binary);
  const first = screen.nodes[0];
  const third = screen.nodes[2];
  if (first === undefined || third === undefined) return "";
  const root = here(first.paths.root);
  const viaMount = screen.mount
    ? [
        `  echo 'memory: 2048' > ${root}/etc/pve/nodes/pve1/qemu-server/999.conf`,
        `  cat ${here(third.paths.root)}/etc/pve/nodes/pve1/qemu-server/999.conf`,
      ]
    : ["  (no mounts: not root, or no /dev/fuse; quorate fs works everywhere)"];
  return [
    "Try, in another terminal, from this directory:",
    `  ${program} status --root ${root}`,
    `  echo 'memory: 2048' | ${program} fs put nodes/pve1/qemu-server/998.conf --root ${root}`,
    `  ${program} fs cat nodes/pve1/qemu-server/998.conf --root ${here(third.paths.root)}`,
    ...viaMount,
    ...killing(screen),
    ...screen.nodes.flatMap((node, at) => stopped(screen, node, at)),
  ].join("\n");
}

function killing({ nodes, statuses }: View): string[] {
  const pid = statuses[2]?.node.pid;
  if (pid === undefined) return [];
  return [
    `  kill -9 ${pid}        (${nodes[2]?.name} dies: the others stay quorate after about 8 s)`,
  ];
}

/** Why a node is not there, and how it comes back. */
function stopped(screen: View, node: DemoNode, at: number): string[] {
  if (screen.statuses[at] !== undefined || node.fate === "") return [];
  const here = (word: string): string =>
    word.startsWith("/") ? relative(screen.from, word) || "." : word;
  const words = [screen.binary, ...node.words].map(here).join(" ");
  const log = here(node.log);
  return ["", `${node.name} ${node.fate}`, `  ${words} >> ${log} 2>&1 &        (starts it again)`];
}
