// `corosync-qnetd-tool` (qnetd.md §5.2): options, texts and exit codes of the original, towards our daemon or the original's.
import { byteStringOfText } from "../../bytes.ts";
import type { ToolCommand } from "../../qnetd/tool/tool-socket-request.ts";
import { getopt } from "./getopt.ts";
import { callTool, type ToolOptions, type ToolWords } from "./tool-call.ts";

const name = "corosync-qnetd-tool";
const usage = `usage: ${name} [-Hhlsv] [-c cluster_name] [-p qnetd_ipc_socket_path]\n`;

/** Runs one call; answers the exit code. */
export function qnetdTool(options: ToolOptions): Promise<number> {
  return callTool(options, {
    name,
    usage,
    unreachable: "Can't connect to qnetd socket (is QNetd running?)",
    words: toolWords,
  });
}

/** The last of -s, -l and -H counts. A complaint, perhaps empty, comes before the usage. */
export function toolWords(
  args: readonly string[],
  socket: string,
): ToolWords | { readonly complaint: string } {
  let command: ToolCommand["command"] | undefined;
  let isVerbose = false;
  let cluster: string | undefined;
  let path = socket;
  for (const option of getopt(args, "Hhlsvc:p:")) {
    if (typeof option === "string") return { complaint: `${name}: ${option}\n` };
    if (option.letter === "h") return { complaint: "" };
    if (option.letter === "s") command = "status";
    else if (option.letter === "l") command = "list";
    else if (option.letter === "H") command = "shutdown";
    else if (option.letter === "v") isVerbose = true;
    else if (option.letter === "c") cluster = byteStringOfText(option.value);
    else path = option.value;
  }
  if (command === undefined) return { complaint: "" };
  return { socket: path, command: { command, isVerbose, cluster } };
}
