// What the routes below /nodes/{node} are made of: the tree, this machine's facts and programs, and what this node can do to itself.
import type { Files } from "../../../fs/tree/files.ts";
import type { Result } from "../../../result.ts";
import type { SystemLog } from "../../machine/log-range.ts";
import type { MachineFacts, MachinePlaces } from "../../machine/machine-facts.ts";
import type { RunProgram } from "../../machine/programs.ts";
import type { TaskSpec, TaskWork } from "../../task/tasks.ts";
import * as parameter from "../parameters.ts";
import { ApiError, privileged } from "../route.ts";

export interface NodeSource {
  readonly files: Files;
  /** Of this node in the tree. */
  readonly nodeName: string;
  /** Of this program: "0.1.0", and its commit, hex or a word. */
  readonly version: string;
  readonly commit: string;
  readonly places: MachinePlaces;
  readonly machine: MachineFacts;
  readonly run: RunProgram;
  /** Now: a journal may come to be while the node runs. */
  readonly log: () => SystemLog;
  /** Starts a task; its UPID. */
  readonly start: (spec: TaskSpec, work: TaskWork) => Result<string>;
  /** The node leaves and begins anew as the same process; returns before it does. */
  readonly restart: (reason: string) => void;
  /** What `pvecm status` prints of this node. */
  readonly statusText: () => Promise<string>;
}

export const node = { node: parameter.nodeName() };
export const mayAudit = privileged("/nodes/{node}", "Sys.Audit");
export const mayModify = privileged("/nodes/{node}", "Sys.Modify");
export const maySeeLog = privileged("/nodes/{node}", "Sys.Syslog");

/** The refusal of one parameter. */
export function wrong(name: string, words: string): ApiError {
  return new ApiError(400, "Parameter verification failed.", { errors: { [name]: words } });
}
