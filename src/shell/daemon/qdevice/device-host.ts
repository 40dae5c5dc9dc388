// How a node carries out what its API is told of the quorum device (shell/qdevice): its ports, its routes, its plans for what an earlier daemon left.
import { deviceFacts } from "../../api/v1/ring.ts";
import type { Route } from "../../api/route.ts";
import { NodeClient } from "../../api/client.ts";
import { type BoundPlan, bindPlan } from "../../operation/plan.ts";
import { devicePlans, devicePorts } from "../../qdevice/device-operation.ts";
import { deviceRoutes } from "../../qdevice/device-routes.ts";
import { knock } from "../../qdevice/enrol.ts";
import { deviceInvitedPlan, enrolment, type InvitedPorts } from "../../qdevice/invited-plan.ts";
import { whenWritable } from "../node/changes.ts";
import type { NodeParts } from "../node/parts.ts";

export function quorumDeviceRoutes(parts: NodeParts): readonly Route[] {
  const { cluster, operations, options } = parts;
  return deviceRoutes({
    client: new NodeClient(options.paths.socket),
    start: (plan, facts, { id, user }) =>
      operations.start({ type: "clusterdevice", id, user }, plan, portsOf(parts), facts),
    knock,
    device: async () => deviceFacts(cluster, await cluster.snapshot()),
    wallMs: () => Date.now(),
  });
}

export function quorumDevicePlans(parts: NodeParts): readonly BoundPlan[] {
  const ports = portsOf(parts);
  return [...devicePlans(ports), bindPlan(deviceInvitedPlan, ports)].map((plan) =>
    whenWritable(plan, parts),
  );
}

function portsOf({ options, log }: NodeParts): InvitedPorts {
  const note = (line: string): void => log("notice", line.trimEnd(), "QDEVICE");
  return { ...devicePorts({ root: options.paths.root, note }), enrol: enrolment };
}
