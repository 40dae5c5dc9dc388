// Called by the name of an original program: its options, output and exit codes (design.md, decision 7). A name whose program is not
// written yet says so.
import { identity } from "../version.ts";
import { note, write } from "./cli-words.ts";
import { exitUsage } from "./exit.ts";
import { nodePaths } from "./paths.ts";

/** `name` is one of `linkNames`. */
export async function runLink(name: string, args: readonly string[]): Promise<number> {
  switch (name) {
    case "corosync-qnetd":
    case "corosync-qnetd-tool":
    case "corosync-qnetd-certutil": {
      const { runQnetdLink } = await import("./command/qnetd-links.ts");
      return runQnetdLink(name, args, { calledAs: process.argv0, version: identity.version });
    }
    case "corosync-qdevice-tool": {
      const { qdeviceTool } = await import("./command/qdevice-tool.ts");
      return qdeviceTool({ args, socket: nodePaths("/").deviceSocket, write, writeError: note });
    }
    case "pvecm":
      if (args[0] === "qdevice") {
        const { pvecmQdevice } = await import("./command/pvecm-qdevice.ts");
        return pvecmQdevice({ root: "/", args: args.slice(1), write, writeError: note });
      }
      note(
        `quorate: of pvecm only "pvecm qdevice setup|remove" is part of quorate ${identity.version} yet; see \`quorate --help\`.\n`,
      );
      return exitUsage;
    default:
      note(
        `quorate: ${name} is not part of quorate ${identity.version} yet; see \`quorate --help\`.\n`,
      );
      return exitUsage;
  }
}
