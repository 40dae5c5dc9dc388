// `corosync-qdevice-tool` (qnetd.md §5.3): options, texts and exit codes of the original, towards our node or the original's daemon.
import { askTool } from "../../qnetd/tool-socket.ts";
import type { ToolCommand } from "../../qnetd/tool-socket-request.ts";
import { getopt } from "./getopt.ts";
import { errnoText, toolExits } from "./qnetd-tool.ts";

const name = "corosync-qdevice-tool";
const usage = `usage: ${name} [-Hhsv] [-p qdevice_ipc_socket_path]\n`;

export interface QdeviceToolOptions {
  readonly args: readonly string[];
  /** Where the node listens unless `-p` says otherwise. */
  readonly socket: string;
  readonly write: (bytes: string | Uint8Array) => void;
  readonly writeError: (bytes: string | Uint8Array) => void;
}

/** Runs one call; answers the exit code. */
export async function qdeviceTool(options: QdeviceToolOptions): Promise<number> {
  const { write, writeError } = options;
  const words = qdeviceToolWords(options.args, options.socket);
  if ("complaint" in words) {
    writeError(words.complaint);
    write(usage);
    return toolExits.usage;
  }
  const answer = await askTool(words.socket, words.command);
  switch (answer.kind) {
    case "ok":
      if (answer.text.length > 0) write(answer.text);
      return toolExits.done;
    case "error":
      writeError("Error: ");
      writeError(answer.text);
      return toolExits.refused;
    case "unreachable":
      writeError(
        `${name}: Can't connect to QDevice socket (is QDevice running?): ${errnoText(answer.errno)}\n`,
      );
      return toolExits.unreachable;
    case "unknown":
      writeError(`${name}: ${answer.reason}\n`);
      return toolExits.unreachable;
  }
  return answer satisfies never;
}

export interface QdeviceToolWords {
  readonly socket: string;
  readonly command: ToolCommand;
}

/** The last of -s and -H counts. A complaint, perhaps empty, comes before the usage. */
export function qdeviceToolWords(
  args: readonly string[],
  socket: string,
): QdeviceToolWords | { readonly complaint: string } {
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
