// `corosync-qnetd-tool` (qnetd.md §5.2): options, texts and exit codes of the original, towards our daemon or the original's.
import { byteStringOfText } from "../../bytes.ts";
import { askTool } from "../../qnetd/tool-socket.ts";
import type { ToolCommand } from "../../qnetd/tool-socket-request.ts";
import { getopt } from "./getopt.ts";

const name = "corosync-qnetd-tool";
const usage = `usage: ${name} [-Hhlsv] [-c cluster_name] [-p qnetd_ipc_socket_path]\n`;
export const toolExits = { done: 0, usage: 1, unreachable: 3, refused: 4 } as const;

export interface QnetdToolOptions {
  readonly args: readonly string[];
  /** Where the daemon listens unless `-p` says otherwise. */
  readonly socket: string;
  readonly write: (bytes: string | Uint8Array) => void;
  readonly writeError: (bytes: string | Uint8Array) => void;
}

/** Runs one call; answers the exit code. */
export async function qnetdTool(options: QnetdToolOptions): Promise<number> {
  const { write, writeError } = options;
  const words = toolWords(options.args, options.socket);
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
        `${name}: Can't connect to qnetd socket (is QNetd running?): ${errnoText(answer.errno)}\n`,
      );
      return toolExits.unreachable;
    case "unknown":
      writeError(`${name}: ${answer.reason}\n`);
      return toolExits.unreachable;
  }
  return answer satisfies never;
}

export interface ToolWords {
  readonly socket: string;
  readonly command: ToolCommand;
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

/** The C library's words for what may happen at a local socket. */
export function errnoText(errno: string): string {
  const texts: Readonly<Record<string, string>> = {
    ENOENT: "No such file or directory",
    ECONNREFUSED: "Connection refused",
    EACCES: "Permission denied",
    ENAMETOOLONG: "File name too long",
    EINVAL: "File name too long",
    ENOTSOCK: "Connection refused",
    EAGAIN: "Resource temporarily unavailable",
  };
  return texts[errno] ?? errno;
}
