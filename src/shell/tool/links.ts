// Called by the name of an original program: its options, output and exit codes (design.md, decision 7). A name whose program is not
// written yet says so.
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
    case "pvecm": {
      const { pvecm } = await import("./pvecm/pvecm.ts");
      return pvecm({ root: "/", args, write, writeError: note });
    }
    default:
      return notYet(name);
  }
}

/** What quorate has in place of a program that it does not answer for yet. */
const instead: Readonly<Record<string, string>> = {
  "corosync-quorumtool": 'use "quorate status": votes, quorum and nodes',
  "corosync-cfgtool": 'use "quorate status" for the links (-s) and "quorate reload" for -R',
  "corosync-cmapctl": 'use "quorate status --json"',
  "corosync-keygen":
    "make the key of a new cluster with: (umask 077; head -c 256 /dev/urandom > /etc/corosync/authkey)",
};

function notYet(name: string): number {
  const hint = instead[name] ?? "see `quorate --help`";
  note(`quorate: ${name} is not a part of quorate ${identity.version} yet; ${hint}\n`);
  return exitUsage;
}
