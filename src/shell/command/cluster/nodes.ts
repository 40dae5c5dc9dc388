// `quorate nodes`: who is in the nodelist and in the ring, with votes and addresses.
import { NodeClient } from "../../api/client.ts";
import type { NodeStatus } from "../../api/status.ts";
import { table } from "../../cli/text-table.ts";
import { exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";

export interface NodesOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

export async function nodesCommand({ root, json, write }: NodesOptions): Promise<number> {
  const status = await new NodeClient(nodePaths(root).socket).status();
  if (json) write(`${JSON.stringify(status.nodes, undefined, 2)}\n`);
  else write(`${nodeLines(status).join("\n")}\n`);
  return exitOk;
}

function nodeLines(status: NodeStatus): string[] {
  if (status.mode === "standalone") {
    return [`${status.node.name} is standalone: it is in no cluster`];
  }
  return table(
    [
      { title: "NODEID", right: true },
      { title: "NAME" },
      { title: "VOTES", right: true },
      { title: "STATE" },
      { title: "ADDRESSES" },
    ],
    status.nodes.map(({ nodeid, name, votes, local, member, reachable, addresses }) => [
      String(nodeid),
      `${name}${local ? " (local)" : ""}`,
      String(votes),
      member ? "online" : reachable ? "reachable, not in the ring" : "offline",
      addresses.join(" "),
    ]),
  );
}
