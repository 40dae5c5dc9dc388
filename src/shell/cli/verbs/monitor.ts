// `quorate events`, `metrics` and `report`: what a running node tells of itself over time, and what somebody needs who helps.
import { exitFailed, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { write } from "../output.ts";
import { done, json, notRunning, root, socketFile, wrongLine } from "../shared.ts";
import { command, flag, option } from "../table.ts";
import { eventKinds } from "../../monitor/event-kinds.ts";
import { anyWord, parsed } from "../values.ts";

const kindList = parsed(
  "kind,…",
  `kinds with commas between them, of ${eventKinds.join(", ")}`,
  (word) => {
    const isKind = (part: string): boolean => eventKinds.some((kind) => kind === part);
    return word.split(",").every(isKind) ? word : undefined;
  },
);

export const events = command("events", {
  description: "What happened on the node lately: members, quorum, links, device, tree, upgrades",
  takes: {
    root,
    isFollowed: flag("follow", "Until Ctrl-C, also over a restart of the node", { short: "f" }),
    kinds: option("kinds", kindList, "Only these"),
    since: option("since", anyWord("id"), "Only what came after that event"),
    json,
  },
  examples: [
    "quorate events",
    "quorate events --follow",
    "quorate events --follow --kinds quorum,link --json",
  ],
  manual: [
    "A line an event, oldest first: when, its kind, and what it means. The kinds are membership, quorum, link, device, tree and upgrade. The node keeps the last thousand in memory, and of changes of the tree the last five hundred; a restart forgets them.",
    "With --json a line is an object with the event's id, which --since takes: whoever remembers the last one misses nothing. Where events are gone, or the node has begun anew, a line says so: read the state anew then.",
  ],
  files: [socketFile],
  exits: [
    done,
    [exitFailed, "the node ended the stream; the text says why"],
    wrongLine,
    notRunning,
  ],
  run: async (given) => {
    const { eventsCommand } = await import("../../command/monitor/events.ts");
    return eventsCommand({ ...given, write });
  },
});

export const metrics = command("metrics", {
  description: "Numbers of the running node for a monitoring system, in the format of Prometheus",
  takes: { root, json },
  examples: ["quorate metrics", "quorate metrics --json", "quorate metrics | grep link_loss"],
  manual: [
    'Quorum, votes, members, links with latency and loss, token, tree, journal, quorum device, certificates, API and process. The same is served at https://NODE:8006/metrics, to whoever comes with an API token that has Sys.Audit on /, or from an address that the line "metrics-from: ADDRESS, NETWORK/LENGTH" in the tree\'s quorate.cfg names.',
  ],
  files: [socketFile, [`${nodePaths("/").mount}/quorate.cfg`, "who may read them without a login"]],
  exits: [done, [exitFailed, "the node could not tell; the text says why"], wrongLine, notRunning],
  run: async (given) => {
    const { metricsCommand } = await import("../../command/monitor/metrics.ts");
    return metricsCommand({ ...given, write });
  },
});

export const report = command("report", {
  description: "Everything that somebody needs who helps: configuration, state, events, log",
  takes: { root, json },
  examples: ["quorate report > report.txt", "quorate report --json"],
  manual: [
    "Prints in sections: version, machine, state, corosync.conf and other settings, the objects of the tree with their digests, what happened lately, the last day in points of half an hour, metrics, tasks, the cluster log and the last lines of the node's own log. Values of keys that name a secret, private keys, tickets, tokens and passwords in addresses are taken out; names and addresses of machines and users stay, so read it before you hand it on.",
    "Where no node answers it says so, and prints what there is without one.",
  ],
  files: [socketFile, [nodePaths("/").conf, "read when no node answers"]],
  exits: [
    [exitOk, "the node has told everything"],
    wrongLine,
    [notRunning[0], "no node answers; what there is without one was printed"],
  ],
  run: async (given) => {
    const { reportCommand } = await import("../../command/monitor/report.ts");
    return reportCommand({ ...given, write });
  },
});
