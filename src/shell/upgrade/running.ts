// Facts about the services of quorate on this machine, from their local sockets (U5). Who does not answer has none.
import * as v from "valibot";
import { askTool } from "../../qnetd/tool/tool-socket.ts";
import { NodeClient } from "../api/client.ts";
import { nodePaths } from "../paths.ts";
import type { NodeStatus } from "../api/status.ts";
import type { Facts, NodeFacts, Role, ServerFacts } from "./events.ts";
import type { ServedCluster, VotesAtStake } from "./health.ts";

const askMsMax = 10_000;

export interface RunningNode {
  readonly facts: NodeFacts;
  readonly votes: VotesAtStake;
}

export interface RunningServer {
  readonly facts: ServerFacts;
  readonly clusters: readonly ServedCluster[];
}

export interface Sockets {
  readonly node: string;
  readonly qnetd: string;
}

export function socketsBelow(root: string): Sockets {
  const paths = nodePaths(root);
  const base = paths.root === "/" ? "" : paths.root;
  return { node: paths.socket, qnetd: `${base}/var/run/corosync-qnetd/corosync-qnetd.sock` };
}

export async function factsOf(role: Role, sockets: Sockets): Promise<Facts | undefined> {
  return role === "node"
    ? (await runningNode(sockets.node))?.facts
    : (await runningServer(sockets.qnetd))?.facts;
}

/** Undefined: no node answers there in time. */
export async function runningNode(socket: string): Promise<RunningNode | undefined> {
  let status: NodeStatus;
  try {
    status = await inTime(new NodeClient(socket).status());
  } catch {
    return undefined; // Not there, starting, or hanging: all the same to who asks.
  }
  const { version, ring, quorum, tree, nodes } = status;
  const own = nodes.find(({ local }) => local);
  return {
    facts: {
      role: "node",
      version,
      ringState: ring.state,
      isSynchronising: ring.synchronising,
      members: ring.members,
      isQuorate: quorum.quorate,
      treeMode: tree.mode,
      treeVersion: tree.version,
      treeMembers: tree.members,
      isTreeDifferent: tree.verified?.equal === false,
    },
    votes: {
      isQuorate: quorum.quorate,
      totalVotes: quorum.totalVotes,
      ownVotes:
        quorum.voters.find(({ nodeid }) => nodeid === own?.nodeid)?.votes ?? own?.votes ?? 1,
      quorum: quorum.quorum,
      members: ring.members,
    },
  };
}

const snapshotSchema = v.object({
  version: v.string(),
  clusters: v.array(
    v.object({
      name: v.string(),
      nodes: v.array(
        v.object({
          nodeId: v.number(),
          configured: v.array(v.object({ nodeId: v.number() })),
        }),
      ),
    }),
  ),
});

/** Undefined: no vote server of ours answers there in time. */
export async function runningServer(socket: string): Promise<RunningServer | undefined> {
  let text = "";
  try {
    const question = { command: "snapshot", isVerbose: false, cluster: undefined } as const;
    const answer = await inTime(askTool(socket, question));
    if (answer.kind !== "ok") return undefined;
    text = new TextDecoder().decode(answer.text);
  } catch {
    return undefined; // Hanging.
  }
  const read = v.safeParse(v.pipe(v.string(), v.parseJson(), snapshotSchema), text);
  if (!read.success) return undefined;
  const { version, clusters } = read.output;
  return {
    facts: {
      role: "qnetd",
      version,
      clusters: clusters.map(({ name, nodes }) => ({
        name,
        nodes: nodes.map(({ nodeId }) => nodeId),
      })),
    },
    clusters: clusters.map(({ name, nodes }) => ({
      name,
      configured: [
        ...new Set(nodes.flatMap(({ configured }) => configured.map(({ nodeId }) => nodeId))),
      ],
      connected: nodes.map(({ nodeId }) => nodeId),
    })),
  };
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("no answer in time")), askMsMax);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
