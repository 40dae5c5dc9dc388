// What `corosync-qnetd-tool` and `corosync-qdevice-tool` share (qnetd.md §5.2, §5.3, §6): one request to a local socket, its answer as
// the originals print it, their exit codes.
import { askTool } from "../../qnetd/tool/tool-socket.ts";
import type { ToolCommand } from "../../qnetd/tool/tool-socket-request.ts";

const exits = { done: 0, usage: 1, unreachable: 3, refused: 4 } as const;

export interface ToolOptions {
  readonly args: readonly string[];
  /** Where the daemon listens unless `-p` says otherwise. */
  readonly socket: string;
  readonly write: (bytes: string | Uint8Array) => void;
  readonly writeError: (bytes: string | Uint8Array) => void;
}

export interface ToolWords {
  readonly socket: string;
  readonly command: ToolCommand;
}

export interface Tool {
  readonly name: string;
  readonly usage: string;
  /** Said before the errno's text. */
  readonly unreachable: string;
  /** A complaint, perhaps empty, comes before the usage. */
  readonly words: (
    args: readonly string[],
    socket: string,
  ) => ToolWords | { readonly complaint: string };
}

/** Runs one call; answers the exit code. */
export async function callTool(options: ToolOptions, tool: Tool): Promise<number> {
  const { write, writeError } = options;
  const words = tool.words(options.args, options.socket);
  if ("complaint" in words) {
    writeError(words.complaint);
    write(tool.usage);
    return exits.usage;
  }
  const answer = await askTool(words.socket, words.command);
  switch (answer.kind) {
    case "ok":
      if (answer.text.length > 0) write(answer.text);
      return exits.done;
    case "error":
      writeError("Error: ");
      writeError(answer.text);
      return exits.refused;
    case "unreachable":
      writeError(`${tool.name}: ${tool.unreachable}: ${errnoText(answer.errno)}\n`);
      return exits.unreachable;
    case "unknown":
      writeError(`${tool.name}: ${answer.reason}\n`);
      return exits.unreachable;
  }
  return answer satisfies never;
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
    EISDIR: "Is a directory",
  };
  return texts[errno] ?? errno;
}
