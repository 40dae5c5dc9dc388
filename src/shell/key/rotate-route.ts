// POST /cluster/key: another key for the ring. Answers the plan with `dry-run`, else starts a task and answers its UPID.
import { changeAnswer } from "../answers/change.ts";
import * as parameter from "../api/parameters.ts";
import { onlyRoot, type Route, route } from "../api/route.ts";
import { refusing, started } from "../change/change-routes.ts";
import type { ChangePorts } from "../change/ports.ts";
import { dryRun, dryRunText } from "../operation/dry-run.ts";
import type { Result } from "../../result.ts";
import {
  planRotate,
  type RotateFacts,
  rotateKeyPlan,
  type RotateSurroundings,
} from "./rotate-plan.ts";

export interface RotateSource {
  /** As who asks. */
  readonly ports: (user: string) => ChangePorts;
  readonly surroundings: () => RotateSurroundings;
  /** The task's UPID. */
  readonly start: (facts: RotateFacts, user: string) => Result<string>;
}

export function rotateRoute({ ports, surroundings, start }: RotateSource): Route {
  return route({
    method: "POST",
    path: "/cluster/key",
    isOurs: true,
    description: "Gives the ring another key, on all nodes.",
    permission: onlyRoot,
    needsQuorum: true,
    returns: changeAnswer,
    parameters: { "dry-run": parameter.optional(parameter.boolean()) },
    handle: async ({ parameters, caller: { user } }) => {
      const { facts, notes } = await refusing(planRotate(ports(user), surroundings(), user));
      const shown = dryRun(rotateKeyPlan, facts);
      const answer = { isDone: false, plan: dryRunText(shown), ...shown, notes };
      return parameters["dry-run"] === true
        ? answer
        : { upid: started(start(facts, user)), ...answer };
    },
  });
}
