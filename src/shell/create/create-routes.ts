// The routes that create a cluster: Proxmox's own, which answers a task's UPID (pvecm.md §4.2), and quorate's, which also shows the plan and says
// when it is so already.
import * as v from "valibot";
import { changeAnswer } from "../answers/change.ts";
import * as parameter from "../api/parameters.ts";
import { ApiError, type Caller, onlyRoot, type Route, route } from "../api/route.ts";
import { linksMax } from "../conf/cluster-conf.ts";
import { clusterNameLengthMax } from "../conf/fresh.ts";
import { CommandFailure } from "../exit.ts";
import { dryRun, dryRunText } from "../operation/dry-run.ts";
import type { Result } from "../../result.ts";
import { type CreateFacts, createPlan, existsText } from "./create-plan.ts";
import {
  type CreateRequest,
  type CreateSurroundings,
  type PlannedCreation,
  planCreation,
} from "./create-request.ts";

export interface CreateRoutesSource {
  readonly surroundings: () => CreateSurroundings;
  /** The task's UPID. */
  readonly start: (facts: CreateFacts, user: string) => Result<string>;
}

const addressLengthMax = 255;
const parameters = {
  clustername: parameter.formatted(
    clusterNameLengthMax,
    /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/,
    "invalid format - value does not look like a valid node name",
  ),
  nodeid: parameter.optional(parameter.integer({ min: 1 })),
  votes: parameter.optional(parameter.integer({ min: 1 })),
  "token-coefficient": parameter.optional(parameter.integer({ min: 0 })),
  ...Object.fromEntries(
    Array.from({ length: linksMax }, (_, number) => [
      `link${number}`,
      parameter.optional(parameter.text({ min: 1, max: addressLengthMax })),
    ]),
  ),
};

export function createRoutes(source: CreateRoutesSource): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/cluster/config",
      description: "Creates a cluster of this node, and answers the UPID of the task.",
      permission: onlyRoot,
      returns: v.string(),
      parameters,
      handle: async ({ parameters: given, caller }) => {
        const planned = await planFor(source, given, caller);
        if (planned === undefined) throw new ApiError(400, existsText);
        return started(source, planned, caller);
      },
    }),
    route({
      method: "POST",
      path: "/cluster",
      isOurs: true,
      description: "Creates a cluster of this node, or with dry-run shows how.",
      permission: onlyRoot,
      returns: changeAnswer,
      parameters: { ...parameters, "dry-run": parameter.optional(parameter.boolean()) },
      handle: async ({ parameters: given, caller }) => {
        const planned = await planFor(source, given, caller);
        if (planned === undefined) {
          const notes = ["It is so already."];
          return { isDone: true, plan: "", steps: [], changes: [], notes };
        }
        const shown = dryRun(createPlan, planned.facts);
        const facts = { isDone: false, plan: dryRunText(shown), ...shown, notes: planned.notes };
        const isDry = given["dry-run"] === true;
        return isDry ? facts : { upid: started(source, planned, caller), ...facts };
      },
    }),
  ];
}

/** What the checks refuse is the caller's to hear. */
async function planFor(
  source: CreateRoutesSource,
  given: Readonly<Record<string, unknown>> & { readonly clustername: string },
  { user }: Caller,
): Promise<PlannedCreation | undefined> {
  try {
    return await planCreation(requestOf(given), source.surroundings(), user);
  } catch (error) {
    if (error instanceof CommandFailure) throw new ApiError(400, error.message);
    throw error;
  }
}

function started({ start }: CreateRoutesSource, { facts }: PlannedCreation, { user }: Caller) {
  const task = start(facts, user);
  if (task.ok) return task.value;
  throw new ApiError(409, task.reason);
}

function requestOf(
  given: Readonly<Record<string, unknown>> & { readonly clustername: string },
): CreateRequest {
  const number = (name: string): number | undefined => {
    const value = given[name];
    return typeof value === "number" ? value : undefined;
  };
  const links: CreateRequest["links"][number][] = [];
  const errors: Record<string, string> = {};
  for (let link = 0; link < linksMax; link += 1) {
    const word = given[`link${link}`];
    if (typeof word !== "string") continue;
    const read = linkOf(word);
    if (read === undefined) {
      errors[`link${link}`] =
        "invalid format - it must be ADDRESS, or ADDRESS,priority=N with N from 0 to 255";
    } else links.push({ number: link, ...read });
  }
  if (Object.keys(errors).length > 0) {
    throw new ApiError(400, "Parameter verification failed.", { errors });
  }
  return {
    clusterName: given.clustername,
    links,
    nodeid: number("nodeid"),
    votes: number("votes"),
    tokenCoefficient: number("token-coefficient"),
  };
}

/** "[address=]ADDRESS[,priority=N]" in either order. */
function linkOf(word: string): { readonly address: string; readonly priority: number } | undefined {
  let address = "";
  let priority = 0;
  for (const part of word.split(",")) {
    const [, key = "address", value = ""] = /^(?:(address|priority)=)?([^=\s]+)$/.exec(part) ?? [];
    if (value === "") return undefined;
    if (key === "address") {
      if (address !== "") return undefined;
      address = value;
    } else {
      if (!/^\d{1,3}$/.test(value) || Number(value) > 255) return undefined;
      priority = Number(value);
    }
  }
  return address === "" ? undefined : { address, priority };
}
