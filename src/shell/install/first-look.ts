// What an installation must have seen before it says that all is well: what the service that it started says of itself.
import * as v from "valibot";
import { askTool } from "../../qnetd/tool/tool-socket.ts";
import { NodeClient } from "../api/client.ts";
import { CommandFailure } from "../exit.ts";
import type { Role } from "../upgrade/events.ts";

const snapshotSchema = v.object({ warnings: v.array(v.string()) });

export interface FirstLook {
  /** What is wrong, in sentences. */
  readonly faults: readonly string[];
  /** What the operator chose and should know. */
  readonly remarks: readonly string[];
  /** A node that is in no cluster. */
  readonly isStandalone: boolean;
}

/** Asks the running service at its local socket. A node without quorum waits for others: that is well. */
export async function firstLook(role: Role, socket: string): Promise<FirstLook> {
  if (role === "node") return nodeLook(socket);
  return { faults: await serverFaults(socket), remarks: [], isStandalone: false };
}

async function nodeLook(socket: string): Promise<FirstLook> {
  try {
    const { mode, mount, warnings = [] } = await new NodeClient(socket).status();
    const faults = mount.target === "" ? [`the tree is not mounted: ${mount.reason}`] : [];
    return { faults, remarks: warnings, isStandalone: mode === "standalone" };
  } catch (error) {
    if (error instanceof CommandFailure)
      return { faults: [error.message], remarks: [], isStandalone: false };
    throw error;
  }
}

async function serverFaults(socket: string): Promise<readonly string[]> {
  const question = { command: "snapshot", isVerbose: false, cluster: undefined } as const;
  const answer = await askTool(socket, question);
  switch (answer.kind) {
    case "ok": {
      const text = new TextDecoder().decode(answer.text);
      const read = v.safeParse(v.pipe(v.string(), v.parseJson(), snapshotSchema), text);
      return read.success ? read.output.warnings : ["its status cannot be read"];
    }
    case "error":
      return ["who answers is not quorate's vote server"];
    case "unreachable":
      return [`it cannot be asked: ${answer.errno}`];
    case "unknown":
      return [`it cannot be asked: ${answer.reason}`];
  }
  return answer satisfies never;
}
