// Changes of the running cluster as this node carries them out: their ports, their routes, and their plans for what an earlier daemon left.
import { setTimeout as wait } from "node:timers/promises";
import { changeRoutes } from "../../change/change-routes.ts";
import { linkPlan } from "../../change/links.ts";
import type { ChangePorts } from "../../change/ports.ts";
import { readdressByWayPlan, readdressPlan } from "../../change/readdress.ts";
import { removePlan } from "../../change/remove.ts";
import { renamePlan } from "../../change/rename.ts";
import { votesPlan } from "../../change/votes.ts";
import { bindPlan, type BoundPlan, type StepContext } from "../../operation/plan.ts";
import type { Route } from "../../api/route.ts";
import { unexpectedStatus } from "../../task/task-list.ts";
import { changePorts } from "./change-ports.ts";
import { treeConfProblem } from "./conf-checks.ts";
import type { NodeParts } from "./parts.ts";

/** Who the cluster log names for what an earlier daemon began: its task knows. */
export const superuser = "root@pam";
/** Between two looks whether the tree can be written. */
const lookMs = 1000;

function portsOf(parts: NodeParts, user: string): ChangePorts {
  const { tree, cluster } = parts;
  const confProblem = (content: Uint8Array) => treeConfProblem(parts, content, true);
  return changePorts({ tree, cluster, user, confProblem });
}

export function operationRoutes(parts: NodeParts): readonly Route[] {
  const { operations, tasks } = parts;
  return changeRoutes({
    ports: (user) => portsOf(parts, user),
    start: ({ plan, facts, type, id }, user) =>
      operations.start({ type, id, user }, plan, portsOf(parts, user), facts),
    ended: async (upid) => (await tasks.ended(upid)) ?? unexpectedStatus,
    wallS: () => Math.floor(Date.now() / 1000),
  });
}

/** For what a daemon before this one left: each step waits until the tree can be written. */
export function changePlans(parts: NodeParts): readonly BoundPlan[] {
  const ports = portsOf(parts, superuser);
  return [linkPlan, readdressPlan, readdressByWayPlan, votesPlan]
    .map((plan) => bindPlan(plan, ports))
    .concat([bindPlan(removePlan, ports), bindPlan(renamePlan, ports)])
    .map((plan) => whenWritable(plan, parts));
}

export function whenWritable(plan: BoundPlan, { tree }: Pick<NodeParts, "tree">): BoundPlan {
  const writable = async ({ signal }: StepContext): Promise<void> => {
    while (!tree.status().writable) await wait(lookMs, undefined, { signal });
  };
  return {
    ...plan,
    steps: plan.steps.map(({ run, undo, ...step }) => ({
      ...step,
      run: async (facts, context) => {
        await writable(context);
        return run(facts, context);
      },
      undo:
        undo &&
        (async (facts, context) => {
          await writable(context);
          await undo(facts, context);
        }),
    })),
  };
}
