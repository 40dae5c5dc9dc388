// Called by the name of an original program: its options, output and exit codes (design.md, decision 7).
import { setTimeout as wait } from "node:timers/promises";
import type { NodeToolOptions } from "./node-tool.ts";
import { identity } from "../version.ts";
import { note, write } from "../cli/output.ts";
import { exitUsage } from "../exit.ts";
import { nodePaths } from "../paths.ts";

/** `name` is one of `linkNames`. */
export async function runLink(name: string, args: readonly string[]): Promise<number> {
  switch (name) {
    case "corosync-qnetd":
    case "corosync-qnetd-tool":
    case "corosync-qnetd-certutil": {
      const { runQnetdLink } = await import("./qnetd-links.ts");
      return runQnetdLink(name, args, { calledAs: process.argv0, version: identity.version });
    }
    case "corosync-qdevice-tool": {
      const { qdeviceTool } = await import("./qdevice-tool.ts");
      return qdeviceTool({ args, socket: nodePaths("/").deviceSocket, write, writeError: note });
    }
    case "corosync-quorumtool": {
      const { quorumTool } = await import("./quorumtool.ts");
      return quorumTool(await nodeToolOptions(args));
    }
    case "corosync-cfgtool": {
      const { cfgTool } = await import("./cfgtool.ts");
      return cfgTool(await nodeToolOptions(args));
    }
    case "corosync-keygen": {
      const { keygen } = await import("./keygen.ts");
      return keygen({ args, keyFile: nodePaths("/").authkey, write, writeError: note });
    }
    case "corosync-cmapctl":
    case "corosync-cpgtool": {
      const { runMapLink } = await import("./map-links.ts");
      return runMapLink(name, args);
    }
    case "pvecm": {
      const { pvecm } = await import("./pvecm/pvecm.ts");
      return pvecm({ root: "/", args, write, writeError: note });
    }
    default:
      note(`quorate: ${name} is no name that quorate ${identity.version} answers for\n`);
      return exitUsage;
  }
}

/** How long a monitoring tool waits before it looks again. */
const againMs = 1000;

/** For a tool that asks the node of this machine. */
async function nodeToolOptions(args: readonly string[]): Promise<NodeToolOptions> {
  const { NodeClient } = await import("../api/client.ts");
  const { hostNameOf } = await import("./node-tool.ts");
  return {
    args,
    node: new NodeClient(nodePaths("/").socket),
    write,
    writeError: note,
    now: () => new Date(),
    hostName: hostNameOf,
    again: () => wait(againMs, true),
  };
}
