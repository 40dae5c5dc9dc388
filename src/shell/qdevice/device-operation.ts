// The device's plans in a command's own process, against the node on this machine. The command is killed with its terminal, and the node
// lives on: so the record lies beside the node's, and the next call of any of these commands resumes first, as the node does at its start.
import { CommandFailure } from "../exit.ts";
import { NodeClient } from "../api/client.ts";
import { ClusterLock, corosyncConfLock, realClock } from "../operation/cluster-lock.ts";
import { OperationFiles } from "../operation/operation-store.ts";
import type { Leftover } from "../operation/operation-record.ts";
import { type OperationEnd, Operations } from "../operation/operations.ts";
import { type BoundPlan, bindPlan } from "../operation/plan.ts";
import { nodePaths } from "../paths.ts";
import {
  changedByOthers,
  DeviceFailure,
  type DevicePorts,
  deviceRemovalPlan,
  type DeviceSetupFacts,
  deviceSetupPlan,
} from "./device-plan.ts";
import { probeVoteServer } from "./probe.ts";

export interface DeviceSurroundings {
  readonly root: string;
  /** Progress and warnings, whole lines. */
  readonly note: (text: string) => void;
  readonly report?: Partial<DevicePorts["report"]>;
}

export function devicePorts({ root, note, report }: DeviceSurroundings): DevicePorts {
  const client = new NodeClient(nodePaths(root).socket);
  return {
    client,
    lock: new ClusterLock({ client, name: corosyncConfLock, note }),
    probe: probeVoteServer,
    clock: realClock,
    report: {
      probed: () => undefined,
      configured: () => undefined,
      restored: () => undefined,
      ...report,
    },
  };
}

/** Both, for who resumes. */
export function devicePlans(ports: DevicePorts): BoundPlan[] {
  return [bindPlan(deviceSetupPlan, ports), bindPlan(deviceRemovalPlan, ports)];
}

/** Why a command would do something else first, a sentence; "": nothing was interrupted here. */
export function interruptedText({ root }: Pick<DeviceSurroundings, "root">): string {
  const underway = operationsOf(root).underway();
  if (!underway.ok) return underway.reason;
  if (underway.value === undefined) return "";
  return `the operation ${underway.value.kind} is under way here, or was interrupted: it is completed or undone first`;
}

/** Completes or takes back what a killed command left, and says so. Throws when that is not ours to do, or cannot be done. */
export async function resumeDevice({ root, note }: DeviceSurroundings): Promise<void> {
  const operations = operationsOf(root);
  const underway = operations.underway();
  if (underway.ok && underway.value === undefined) return;
  const ports = devicePorts({ root, note });
  const { quorum, tree } = await ports.client.status();
  if (!quorum.quorate || !tree.writable) {
    throw new CommandFailure(
      `an operation was interrupted here, and can be completed or undone only with quorum (${quorum.meaning})`,
    );
  }
  let head = "An operation was interrupted here before; it is completed or undone first:\n";
  const tell = (text: string): void => {
    note(`${head}${text}\n`);
    head = "";
  };
  const end = await operations.resume(devicePlans(ports), { tell });
  switch (end?.kind) {
    case "undone":
      return note(`It is undone: ${end.reason}.\n`);
    case "byHand":
      throw new CommandFailure(leftText(end.leftover));
    case "refused":
      throw new CommandFailure(end.reason);
    case "completed":
    case "suspended":
    case undefined:
  }
}

/** Resolves when the device votes on this node. Rejects with the sentence for the operator; everything is then as it says. */
export async function setUpDevice(
  surroundings: DeviceSurroundings,
  facts: DeviceSetupFacts,
): Promise<void> {
  let restored: number | undefined;
  const report = {
    ...surroundings.report,
    restored: (version: number) => void (restored = version),
  };
  const ports = devicePorts({ ...surroundings, report });
  const end = await operationsOf(surroundings.root).run(deviceSetupPlan, ports, facts, {
    tell: silent,
  });
  if (end.kind === "completed") return;
  const { cause, sentence } = failureOf(end);
  if (!(cause instanceof DeviceFailure) || cause.part === "probe") {
    throw end.kind === "undone" && cause instanceof CommandFailure
      ? cause
      : new CommandFailure(sentence);
  }
  const done =
    end.kind === "byHand"
      ? end.leftover.obstacle === changedByOthers
        ? changedByOthers
        : `corosync.conf could not be set back (${end.leftover.obstacle}): it still has the device; remove it with \`quorate qdevice remove\``
      : `corosync.conf is as before again, without the device (version ${restored})`;
  throw new DeviceFailure("votes", `the device does not vote: ${cause.message}; ${done}`);
}

/** Answers the version of corosync.conf without the device. */
export async function removeDevice(surroundings: DeviceSurroundings): Promise<number> {
  const ports = devicePorts(surroundings);
  const end = await operationsOf(surroundings.root).run(
    deviceRemovalPlan,
    ports,
    {},
    {
      tell: silent,
    },
  );
  if (end.kind === "completed") return end.facts.version ?? 0;
  const { cause, sentence } = failureOf(end);
  throw end.kind === "undone" && cause instanceof CommandFailure
    ? cause
    : new CommandFailure(sentence);
}

/** The steps are not shown: what they do has its own lines. */
function silent(): void {}

function operationsOf(root: string): Operations {
  return new Operations({ store: new OperationFiles(nodePaths(root).operationDir) });
}

function failureOf(end: Exclude<OperationEnd<unknown>, { kind: "completed" }>): {
  readonly cause: unknown;
  readonly sentence: string;
} {
  switch (end.kind) {
    case "undone":
      return { cause: end.cause, sentence: end.reason };
    case "byHand":
      return { cause: end.cause, sentence: leftText(end.leftover) };
    case "refused":
      return { cause: undefined, sentence: end.reason };
    case "suspended":
      throw new Error("invariant broken: nothing suspends a command");
  }
  return end satisfies never;
}

function leftText({ reason, obstacle, left }: Leftover): string {
  return [reason, obstacle, ...left].filter((text) => text !== "").join("; ");
}
