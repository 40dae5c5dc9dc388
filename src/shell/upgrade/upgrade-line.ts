// An event of an upgrade as a line of a log: this machine's, and the cluster's (U13).
import type { LogAction } from "../../world.ts";
import type { UpgradeEvent } from "./events.ts";

const levels = {
  staged: "notice",
  swapped: "notice",
  probation: "notice",
  kept: "notice",
  "rolled back": "error",
  abandoned: "warning",
  failed: "error",
} as const satisfies Readonly<Record<UpgradeEvent, LogAction["level"]>>;

export interface UpgradeLine extends LogAction {
  readonly level: (typeof levels)[UpgradeEvent];
}

export function upgradeLine(event: UpgradeEvent, text: string): UpgradeLine {
  return {
    kind: "log",
    level: levels[event],
    subsystem: "UPGRAD",
    text: `upgrade ${event}: ${text}`,
  };
}
