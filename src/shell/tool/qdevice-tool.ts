// `corosync-qdevice-tool` (qnetd.md §5.3): options, texts and exit codes of the original, towards our node or the original's daemon.
import { getopt } from "./getopt.ts";
import { callTool, type ToolOptions, type ToolWords } from "./tool-call.ts";

const name = "corosync-qdevice-tool";
const usage = `usage: ${name} [-Hhsv] [-p qdevice_ipc_socket_path]\n`;

/** Runs one call; answers the exit code. */
export function qdeviceTool(options: ToolOptions): Promise<number> {
  return callTool(options, {
    name,
    usage,
    unreachable: "Can't connect to QDevice socket (is QDevice running?)",
    words: qdeviceToolWords,
  });
}

/** The last of -s and -H counts. A complaint, perhaps empty, comes before the usage. */
function qdeviceToolWords(
  args: readonly string[],
  socket: string,
): ToolWords | { readonly complaint: string } {
  let command: "status" | "shutdown" | undefined;
  let isVerbose = false;
  let path = socket;
  for (const option of getopt(args, "Hhsvp:")) {
    if (typeof option === "string") return { complaint: `${name}: ${option}\n` };
    if (option.letter === "h") return { complaint: "" };
    if (option.letter === "s") command = "status";
    else if (option.letter === "H") command = "shutdown";
    else if (option.letter === "v") isVerbose = true;
    else path = option.value;
  }
  if (command === undefined) return { complaint: "" };
  return { socket: path, command: { command, isVerbose, cluster: undefined } };
}
