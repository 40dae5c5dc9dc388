// Everything the laboratory assumes about quorate's command line and its local API, in one place: how a node is started,
// asked for its view, and written to. Change it here only.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { reasonOf } from "../../src/result.ts";
import { NodeClient } from "../../src/shell/api/client.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { ringText } from "../../src/world.ts";
import type { View } from "./tools.ts";
import { pending, type Progress, ready } from "./wait.ts";

const projectDir = join(import.meta.dir, "../..");

/** The words that start quorate: a built file, or the pinned Bun on the source. */
export function quorateProgram(binary: string | undefined): readonly string[] {
  if (binary === undefined) return [process.execPath, join(projectDir, "src/main.ts")];
  if (!existsSync(binary)) {
    throw new Error(`there is no file ${binary}; build it first or leave --binary out`);
  }
  // In a node's namespaces it is started from their root.
  return [resolve(binary)];
}

/** A whole node; configuration and state live below `root` (design.md, decision 6). */
export function nodeCommand(
  program: readonly string[],
  node: { readonly root: string; readonly name: string },
  hasApi = false,
): string[] {
  const words = [...program, "node", "--root", node.root, "--name", node.name, "--no-mount"];
  return hasApi ? words : [...words, "--no-api"];
}

/** Asks the running node of `root` for its view, as an operator would. */
export function statusCommand(program: readonly string[], root: string): string[] {
  return [...program, "status", "--json", "--root", root];
}

/** The local API of the node of `root`; a Unix socket is reached from outside the node's namespaces too. */
export function nodeClient(root: string): NodeClient {
  return new NodeClient(nodePaths(root).socket);
}

/** The view of the node of `root` by its local API, or a sentence why there is none. */
export async function quorateView(root: string): Promise<View | string> {
  try {
    return viewOf(await nodeClient(root).status());
  } catch (error) {
    return reasonOf(error);
  }
}

/** Reads what `quorate status --json` prints. */
export function parseQuorateStatus(text: string): View | string {
  try {
    return viewOf(JSON.parse(text));
  } catch (error) {
    return `${String(error)}: ${text.slice(0, 300)}`;
  }
}

function viewOf({ node, quorum, nodes }: NodeStatus): View {
  const names = new Map(nodes.map(({ nodeid, name }) => [nodeid, name]));
  const votes = new Map(quorum.voters.map((voter) => [voter.nodeid, voter.votes]));
  return {
    nodeid: node.nodeid,
    ring: ringText(quorum.ring),
    quorate: quorum.quorate,
    members: quorum.members.map((nodeid) => ({
      nodeid,
      votes: votes.get(nodeid) ?? 0,
      name: names.get(nodeid) ?? `node ${nodeid}`,
    })),
  };
}

/** All of these are members of one ring, and their trees can be changed. */
export async function areWritable(
  nodes: readonly { readonly root: string }[],
): Promise<Progress<void>> {
  const all = await Promise.all(
    nodes.map(async ({ root }) => {
      try {
        return await nodeClient(root).status();
      } catch {
        // It is still starting.
        return undefined;
      }
    }),
  );
  const isGood = all.every(
    (status) => status?.tree.writable === true && status.ring.members.length === nodes.length,
  );
  return isGood ? ready(undefined) : pending(JSON.stringify(all.map((status) => status?.tree)));
}
