// The tools that ask for a node's maps and groups, under their original names, on this machine's node and standard streams.
import { MapClient } from "../api/cmap-client.ts";
import { NodeClient } from "../api/client.ts";
import { note, write } from "../cli/output.ts";
import { nodePaths } from "../paths.ts";
import { cmapctl } from "./cmapctl.ts";
import { cpgtool } from "./cpgtool.ts";

export type MapLink = "corosync-cmapctl" | "corosync-cpgtool";

/** Answers the exit code. */
export async function runMapLink(name: MapLink, args: readonly string[]): Promise<number> {
  const map = new MapClient(new NodeClient(nodePaths("/").socket));
  if (name === "corosync-cpgtool") {
    return cpgtool({ args, groups: () => map.groups(), write, writeError: note });
  }
  const readFile = async (path: string): Promise<Uint8Array> =>
    Bun.file(path === "-" ? "/dev/stdin" : path).bytes();
  try {
    return await cmapctl({ args, map, readFile, untilQuit, write, writeError: note });
  } finally {
    // Else a tracker whose node is gone would wait for the operator.
    process.stdin.pause();
  }
}

/** Until standard input has a line that begins with "q", or ends. */
function untilQuit(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.stdin.on("data", (bytes: Buffer) => {
    if (/(?:^|\n)q/.test(bytes.toString("latin1"))) resolve();
  });
  process.stdin.once("end", resolve);
  process.stdin.once("error", () => resolve());
  return promise;
}
