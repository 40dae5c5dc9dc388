// All plans that a node can carry out, with the ports it has for them: what a daemon before this one left is resumed by these.
import { joinPlan } from "../../join/join-plan.ts";
import { type BoundPlan, bindPlan } from "../../operation/plan.ts";
import { changePlans } from "./changes.ts";
import { creationPlan } from "./creation.ts";
import { resumedJoinPorts } from "./join-host.ts";
import { keyPlans } from "../key/key-host.ts";
import { leavePlans } from "../leave/leave-host.ts";
import { quorumDevicePlans } from "../qdevice/device-host.ts";
import type { NodeParts } from "./parts.ts";

export function plansOf(parts: NodeParts): readonly BoundPlan[] {
  return [
    // Not when the tree can be written: a member that never becomes so is taken back.
    creationPlan(parts),
    ...changePlans(parts),
    ...leavePlans(parts),
    ...keyPlans(parts),
    ...quorumDevicePlans(parts),
    // At once: whether the tree can be written ever again is what it finds out.
    bindPlan(joinPlan, resumedJoinPorts(parts)),
  ];
}
