// A cluster is created by the node that runs here, as a task that is followed over its restart: `quorate create`, and the work of `pvecm create`.
import { changeAnswer } from "../../answers/change.ts";
import { isGoodEnd } from "../../answers/task-end.ts";
import { CommandFailure } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { type ChangeOptions, changeCommand } from "./change.ts";
import { LocalApi, type Words } from "./local-api.ts";

export interface CreateOptions extends Omit<ChangeOptions, "isYes"> {
  readonly clusterName: string;
  /** "link0" … "link7": ADDRESS[,priority=N]; "nodeid", "votes", "token-coefficient". */
  readonly words: Words;
}

/** 0: done, or so already; a CommandFailure says why not. */
export function createCommand({ clusterName, words, ...options }: CreateOptions): Promise<number> {
  return changeCommand(
    { ...options, isYes: true },
    {
      method: "POST",
      path: "/cluster",
      words: { clustername: clusterName, ...words },
      question: "",
      done: `The cluster ${clusterName} is there, with this node as its first.`,
    },
  );
}

/** What the original prints. */
const originalLines: readonly RegExp[] = [
  /^Corosync Cluster Engine Authentication key generator\.$/,
  /^Gathering \d+ bits for key from \/dev\/urandom\.$/,
  /^Writing corosync (?:key|config) to /,
  /^Restart corosync and cluster filesystem$/,
];

/**
 * `pvecm create`: the original's lines, each once, to `write`. `words` as above, with "clustername". Rejects with a CommandFailure: the
 * original's sentence where it has one, also when there is just such a cluster.
 */
export async function pvecmCreate(
  { root, write }: Pick<CreateOptions, "root" | "write">,
  words: Words,
): Promise<void> {
  const api = new LocalApi(nodePaths(root).socket);
  const { upid } = await api.call(changeAnswer, "POST", "/cluster", words);
  if (upid === undefined) {
    throw new CommandFailure("cluster config '/etc/pve/corosync.conf' already exists");
  }
  const written = new Set<string>();
  const status = await api.follow(upid, (line) => {
    if (written.has(line) || !originalLines.some((pattern) => pattern.test(line))) return;
    written.add(line);
    write(`${line}\n`);
  });
  if (!isGoodEnd(status)) throw new CommandFailure(status);
}
