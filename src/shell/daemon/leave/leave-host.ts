// How this node leaves its cluster (shell/leave): its ports, its route, its plan for what an earlier daemon left.
import { readFileSync } from "node:fs";
import { textOfByteString } from "../../../bytes.ts";
import { failure, fileReasonOf, type Result, success } from "../../../result.ts";
import { membershipRoute } from "../../leave/membership-route.ts";
import { leaveRoute } from "../../leave/leave-route.ts";
import { leavePlan, type LeavePorts } from "../../leave/leave-plan.ts";
import { bindPlan, type BoundPlan } from "../../operation/plan.ts";
import type { Route } from "../../api/route.ts";
import { Leaving } from "./leaving.ts";
import { changePorts } from "../node/change-ports.ts";
import { superuser, whenWritable } from "../node/changes.ts";
import type { NodeParts } from "../node/parts.ts";

export function leaveRoutes(parts: NodeParts): readonly Route[] {
  const ports = (user: string) => leavePorts(parts, user);
  return [
    leaveRoute({
      ports,
      isAlone: () => parts.mode === "standalone" && parts.startFault === "",
      wallS: () => Math.floor(Date.now() / 1000),
      start: (facts, user) =>
        parts.operations.start(
          { type: "clusterleave", id: facts.name, user },
          leavePlan,
          ports(user),
          facts,
        ),
    }),
    membershipRoute({
      files: parts.tree,
      nodeName: textOfByteString(parts.directoryName),
      isCertain: () =>
        parts.tree.isWritable && parts.tree.synced.includes(parts.cluster.settings.nodeid),
      readKey: () => readKey(parts.options.paths.authkey),
    }),
  ];
}

function readKey(path: string): Result<Uint8Array> {
  try {
    return success(new Uint8Array(readFileSync(path)));
  } catch (error) {
    return failure(fileReasonOf(error));
  }
}

export function leavePlans(parts: NodeParts): readonly BoundPlan[] {
  return [whenWritable(bindPlan(leavePlan, leavePorts(parts, superuser)), parts)];
}

function leavePorts(parts: NodeParts, user: string): LeavePorts {
  const { options, mode, tree, cluster, restart, ending } = parts;
  const leaving = new Leaving(options.paths);
  return {
    // The others can use a corosync.conf that does not name this node; it cannot, and need not.
    ...changePorts({ tree, cluster, user, confProblem: async () => "" }),
    leaving: {
      order: async (leave) => leaving.order(leave),
      go: async () => leaving.go(),
      cancel: async () => leaving.cancel(),
      backup: async () => leaving.backup(),
      settle: async () => leaving.settle(),
      isAlone: async () => mode === "standalone",
    },
    restart: (reason) =>
      new Promise((_resolve, reject) => {
        // The step is left to the next process.
        ending.addEventListener("abort", () => reject(new Error(reason)), { once: true });
        restart(reason);
      }),
  };
}
