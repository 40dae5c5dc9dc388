// Changes of the running cluster as this node carries them out: their ports, their routes, and those that an earlier daemon left.
import { changeRoutes } from "../../change/change-routes.ts";
import type { Route } from "../../api/route.ts";
import { linkPlan } from "../../change/links.ts";
import { readdressByWayPlan, readdressPlan } from "../../change/readdress.ts";
import { removePlan } from "../../change/remove.ts";
import { renamePlan } from "../../change/rename.ts";
import { bindPlan } from "../../operation/plan.ts";
import { devicePlans, devicePorts } from "../../qdevice/device-operation.ts";
import { changePorts, type ChangeSource } from "./change-ports.ts";
import type { NodeOperations } from "./operations.ts";

const superuser = "root@pam";

export function operationRoutes(
  source: Omit<ChangeSource, "user">,
  operations: NodeOperations,
): readonly Route[] {
  const ports = (user: string) => changePorts({ ...source, user });
  return changeRoutes({
    ports,
    start: ({ plan, facts, type, id }, user) =>
      operations.start({ type, id, user }, { plan, facts, ports: () => ports(user) }),
    ended: (upid) => operations.ended(upid),
  });
}

/** Goes on with what a daemon before this one left, or a command that set a quorum device up. */
export function resumeChanges(
  source: Omit<ChangeSource, "user">,
  operations: NodeOperations,
  root: string,
): void {
  operations.resume((tell) => {
    const ports = changePorts({ ...source, user: superuser });
    return [linkPlan, readdressPlan, readdressByWayPlan]
      .map((plan) => bindPlan(plan, ports))
      .concat([bindPlan(removePlan, ports), bindPlan(renamePlan, ports)])
      .concat(devicePlans(devicePorts({ root, note: (line) => tell(line.trimEnd()) })));
  });
}
