// `quorate task`: what takes longer than an answer, followed and stopped.
import { exitFailed, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { write } from "../output.ts";
import { json, notRunning, root, socketFile, wrongLine } from "../shared.ts";
import { commandOfVerbs, flag, optional, option, verb } from "../table.ts";
import { anyWord, number } from "../values.ts";

const upid = optional(anyWord("upid"));

const list = verb("list", "tasks that run or have ended, newest first", {
  takes: {
    root,
    isOfAll: flag("all", "Of all nodes: those that run or ended lately"),
    isOfErrors: flag("errors", "Only what did not end well"),
    limit: option("limit", number("count", 1, 10_000), "At most so many (default: 20)"),
    json,
  },
  run: async ({ limit = 20, ...given }) => {
    const { taskList } = await import("../../command/task.ts");
    return taskList({ ...given, limit, write });
  },
});

const log = verb("log", "the log of a task, of the newest where none is named", {
  takes: { root, upid, isFollowed: flag("follow", "Until the task ends", { short: "f" }), json },
  run: async (given) => {
    const { taskLog } = await import("../../command/task.ts");
    return taskLog({ ...given, write });
  },
});

const status = verb("status", "whether a task runs, and how it ended", {
  takes: { root, upid, json },
  run: async (given) => {
    const { taskStatus } = await import("../../command/task.ts");
    return taskStatus({ ...given, write });
  },
});

const stop = verb("stop", "ask a task to stop where it can", {
  takes: { root, upid, json },
  run: async (given) => {
    const { taskStop } = await import("../../command/task.ts");
    return taskStop({ ...given, write });
  },
});

export const task = commandOfVerbs("task", {
  description: "What the node does that takes its time: list, log, stop",
  verbs: [list, log, status, stop],
  examples: [
    "quorate task list",
    "quorate task log --follow",
    "quorate task status UPID:pve1:0001A2B3:00C0FFEE:67E0A1B2:clusterjoin::root@pam:",
    "quorate task list --all --errors --json",
  ],
  manual: [
    "Whatever changes a cluster in several steps runs in the node's daemon as a task with a name, its UPID, as Proxmox has it. It goes on when the command that began it ends, and after a restart of the daemon under the same name. Its log can be read while it runs.",
    "stop asks: a task that cannot be left half done takes back what it did, or goes on to where it may end.",
  ],
  files: [
    [nodePaths("/").taskDir, "logs of the tasks, with an index; old ones go by themselves"],
    socketFile,
  ],
  exits: [
    [exitOk, "done; of a task that is named: it runs, or ended well"],
    [exitFailed, "the task failed, or could not be found; the text says why"],
    wrongLine,
    notRunning,
  ],
});
