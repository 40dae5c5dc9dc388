// POST /cluster/leave: this node leaves its cluster. Answers the plan with `dry-run`, else starts a task and answers its UPID.
import { changeAnswer } from "../answers/change.ts";
import * as parameter from "../api/parameters.ts";
import { onlyRoot, type Route, route } from "../api/route.ts";
import { doneAlready, refusing, started } from "../change/change-routes.ts";
import type { ChangePorts } from "../change/ports.ts";
import { dryRun, dryRunText } from "../operation/dry-run.ts";
import type { Result } from "../../result.ts";
import { type LeaveFacts, leavePlan, planLeave } from "./leave-plan.ts";

export interface LeaveSource {
  /** As who asks. */
  readonly ports: (user: string) => ChangePorts;
  /** This node is in no cluster, nor configured to be in one. */
  readonly isAlone: () => boolean;
  /** Unix seconds. */
  readonly wallS: () => number;
  /** The task's UPID. */
  readonly start: (facts: LeaveFacts, user: string) => Result<string>;
}

export function leaveRoute({ ports, isAlone, wallS, start }: LeaveSource): Route {
  return route({
    method: "POST",
    path: "/cluster/leave",
    isOurs: true,
    description: "Takes this node out of its cluster: it becomes standalone, with its tree.",
    permission: onlyRoot,
    needsQuorum: true,
    returns: changeAnswer,
    parameters: { "dry-run": parameter.optional(parameter.boolean()) },
    handle: async ({ parameters, caller: { user } }) => {
      if (isAlone()) return doneAlready(["This node is standalone already: it is in no cluster."]);
      const { facts, notes } = await refusing(planLeave(ports(user), wallS(), user));
      const shown = dryRun(leavePlan, facts);
      const answer = { isDone: false, plan: dryRunText(shown), ...shown, notes };
      return parameters["dry-run"] === true
        ? answer
        : { upid: started(start(facts, user)), ...answer };
    },
  });
}
