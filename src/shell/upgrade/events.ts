// Events and actions of an upgrade (engineering.md §14), and what is stored of it on disk. Actions are carried
// out one after another, each durable before the next begins.

export const roles = ["node", "qnetd"] as const;
export type Role = (typeof roles)[number];

/** A node as its status shows it. */
export interface NodeFacts {
  readonly role: "node";
  readonly version: string;
  readonly ringState: string;
  readonly isSynchronising: boolean;
  readonly members: readonly number[];
  readonly isQuorate: boolean;
  readonly treeMode: string;
  readonly treeVersion: number;
  readonly treeMembers: readonly number[];
  /** Its tree was compared with another node's and differed, the last time. */
  readonly isTreeDifferent: boolean;
}

/** A vote server as its status shows it. */
export interface ServerFacts {
  readonly role: "qnetd";
  readonly version: string;
  readonly clusters: readonly { readonly name: string; readonly nodes: readonly number[] }[];
}

export type Facts = NodeFacts | ServerFacts;

/** What the service manager says of a service. "unknown": it cannot be asked. */
export type ServiceState = "running" | "starting" | "failed" | "stopped" | "unknown";

export interface Observation {
  readonly role: Role;
  readonly service: ServiceState;
  /** Undefined: the service gave no answer. */
  readonly facts: Facts | undefined;
}

export interface Build {
  readonly version: string;
  /** Of the executable, hexadecimal. */
  readonly sha256: string;
}

/** How long things may take, milliseconds. */
export interface Patience {
  /** Healthy for so long without a break: kept. */
  readonly healthyMs: number;
  /** No answer at all for so long: it does not start. */
  readonly silentMsMax: number;
  /** Not healthy after so long: rolled back. */
  readonly unhealthyMsMax: number;
}

/** Rolled back within 90 s when it does not start, within 180 s when it never becomes healthy: the rest is for the restart. */
export const defaultPatience: Patience = {
  healthyMs: 60_000,
  silentMsMax: 60_000,
  unhealthyMsMax: 150_000,
};

/** What is on disk while an upgrade is under way. */
export interface UpgradeRecord {
  readonly format: 1;
  readonly from: Build;
  readonly to: Build;
  /** staged: the new file is beside the old; probation: it has the name; rollingBack: it has to go. */
  readonly phase: "staged" | "probation" | "rollingBack";
  /** Services that ran before, as they were. They are restarted and observed. */
  readonly before: readonly Facts[];
  /** The services were restarted on the new file. */
  readonly isRestarted: boolean;
  /** How often somebody began or resumed this. */
  readonly attempts: number;
  /** Why it is rolled back; "" while it is not. */
  readonly reason: string;
  readonly patience: Patience;
}

/** Which program has the name now, and whether the new one lies beside it, whole. */
export interface Disk {
  readonly current: "from" | "to" | "other";
  readonly hasNext: boolean;
  /** The file of before, whole, under its second name. */
  readonly hasPrevious: boolean;
}

export type Outcome = "kept" | "rolledBack" | "abandoned" | "failed";

/** One line of the upgrade's log. */
export type UpgradeEvent =
  "staged" | "swapped" | "probation" | "kept" | "rolled back" | "abandoned" | "failed";

export type Event =
  /** Somebody holds the lock and begins, or goes on where another was killed. */
  | { readonly kind: "began"; readonly record: UpgradeRecord; readonly disk: Disk }
  | { readonly kind: "observed"; readonly observations: readonly Observation[] }
  /** An action could not be carried out; those after it were not tried. */
  | {
      readonly kind: "failed";
      readonly action: Action["kind"];
      readonly reason: string;
      readonly disk: Disk;
    };

export type Action =
  | { readonly kind: "persist"; readonly record: UpgradeRecord }
  /** The new file gets the name; the old one keeps its second name. */
  | { readonly kind: "swapIn" }
  /** The old file gets the name again. */
  | { readonly kind: "swapBack" }
  | { readonly kind: "restart"; readonly role: Role }
  | { readonly kind: "markBad"; readonly build: Build; readonly reason: string }
  /** Removes the record, and a new file that is not wanted any more. */
  | { readonly kind: "forget" }
  | { readonly kind: "tell"; readonly event: UpgradeEvent; readonly text: string }
  /** Ask the services, after so many milliseconds. */
  | { readonly kind: "observe"; readonly afterMs: number }
  | { readonly kind: "finish"; readonly outcome: Outcome; readonly reason: string };
