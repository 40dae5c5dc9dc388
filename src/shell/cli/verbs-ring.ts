// The commands that show ring, votes and links of a running node.
import type { RingOptions } from "../command/ring.ts";
import { exitFailed, exitOk } from "../exit.ts";
import { nodePaths } from "../paths.ts";
import { write } from "./output.ts";
import { json, notRunning, root, socketFile, watch, wrongLine } from "./shared.ts";
import { command } from "./table.ts";

interface Given {
  readonly root: string;
  readonly json: boolean;
  readonly watch: boolean;
}

async function asked(given: Given): Promise<RingOptions> {
  const { NodeClient } = await import("../api/client.ts");
  const node = new NodeClient(nodePaths(given.root).socket);
  return { ...given, node, isTerminal: process.stdout.isTTY, write };
}

export const links = command("links", {
  description: "Every link to every node: state, latency, losses, MTU, last changes",
  takes: { root, json, watch },
  examples: ["quorate links", "quorate links --watch", "quorate links --json"],
  manual: [
    "A line a link, as this node sees it. LATENCY is the middle of the last hundred answered pings since the link came up, with the fastest and the slowest; LOSS the share of these pings that had no answer in time; MTU the largest IP packet that the other end answers, with a question mark until it is measured.",
    "Below, what is wrong, with what to do: a link that is down and why, one that is flapping (three times down within ten minutes), one whose other end never answers packets of the size that this machine's interface takes, one that loses a twentieth of its pings or more.",
    "The other end may see a link differently: look on both. --json has the last changes of every link with their times.",
  ],
  files: [socketFile],
  exits: [
    [exitOk, "every link is up and nothing is wrong with any"],
    [exitFailed, "something is wrong with a link; the text says what, and what to do"],
    wrongLine,
    notRunning,
  ],
  run: async (given) => {
    const { linksCommand } = await import("../command/ring.ts");
    return linksCommand(await asked(given));
  },
});

export const quorum = command("quorum", {
  description: "The votes of every node, what they mean, and the quorum device's",
  takes: { root, json, watch },
  examples: ["quorate quorum", "quorate quorum --watch", "quorate quorum --json"],
  manual: [
    "What corosync-quorumtool -s prints, with its meaning in a sentence. EXPECTED is how many votes a node believes the whole cluster to have: where they differ, the most of the members' counts. A node that has left keeps the votes that it stated last, and counts no more.",
  ],
  files: [socketFile],
  exits: [
    [exitOk, "this node is quorate"],
    [exitFailed, "it is not, or the text says why not"],
    wrongLine,
    notRunning,
  ],
  run: async (given) => {
    const { quorumCommand } = await import("../command/ring.ts");
    return quorumCommand(await asked(given));
  },
});

export const ring = command("ring", {
  description: "The ring: members, token, messages, configuration versions",
  takes: { root, json, watch },
  examples: ["quorate ring", "quorate ring --json"],
  manual: [
    "The Totem ring as this node sees it: its identifier, the members, how long a round of the token takes (times in which an idle token is held are left out), how often the token was lost, messages sent and repeated, and which version of corosync.conf each member runs with.",
  ],
  files: [socketFile],
  exits: [
    [exitOk, "the ring is operational and the services have agreed in it"],
    [exitFailed, "it is being formed, or the services are still agreeing"],
    wrongLine,
    notRunning,
  ],
  run: async (given) => {
    const { ringCommand } = await import("../command/ring.ts");
    return ringCommand(await asked(given));
  },
});
