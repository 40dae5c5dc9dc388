// All plans that a node can carry out, with the ports it has for them: what a daemon before this one left is resumed by these.
import type { BoundPlan } from "../../operation/plan.ts";
import type { NodeParts } from "./parts.ts";

export function plansOf(_parts: NodeParts): readonly BoundPlan[] {
  return [];
}
