// The routes that change a running cluster: a node removed, links, addresses, names. Each is planned first, answers the plan with `dry-run`, else
// starts a task and answers its UPID. Proxmox's own DELETE /cluster/config/nodes/{node} answers when all is done (pvecm.md §4.2).
import { type ChangeAnswer, changeAnswer } from "../answers/change.ts";
import { isGoodEnd } from "../answers/task-end.ts";
import { removalReport } from "../answers/removal.ts";
import type { Staged } from "./conf-stage.ts";
import { linkPlan, planLink, type LinkRequest, type Planned } from "./links.ts";
import type { ChangePorts } from "./ports.ts";
import { planReaddress, readdressByWayPlan, readdressPlan } from "./readdress.ts";
import { planRemove, removedAlready, removePlan, type RemoveRequest } from "./remove.ts";
import { reportRemoval } from "./removal-report.ts";
import { planRename, renamePlan } from "./rename.ts";
import { planVotes, votesPlan } from "./votes.ts";
import * as v from "valibot";
import { linksMax } from "../conf/cluster-conf.ts";
import { CommandFailure } from "../exit.ts";
import { dryRun, dryRunText } from "../operation/dry-run.ts";
import type { Plan } from "../operation/plan.ts";
import type { Result } from "../../result.ts";
import * as parameter from "../api/parameters.ts";
import { ApiError, type Caller, onlyRoot, type Route, route } from "../api/route.ts";

/** What is asked for, planned: it can be shown or carried out. */
export interface Change<Facts> {
  readonly plan: Plan<Facts, ChangePorts>;
  readonly facts: Facts;
  readonly notes: readonly string[];
  /** Before it is begun: what cannot be taken back; absent: nothing. */
  readonly question?: string;
  /** The task's type and what it is about. */
  readonly type: string;
  readonly id: string;
}

export interface ChangeRoutesSource {
  /** As who asks. */
  readonly ports: (user: string) => ChangePorts;
  /** The task's UPID. */
  readonly start: <Facts>(change: Change<Facts>, user: string) => Result<string>;
  /** Resolves with the status of a task's end: "OK", "WARNINGS: 1", or why it failed. */
  readonly ended: (upid: string) => Promise<string>;
  /** Unix seconds. */
  readonly wallS: () => number;
}

const dry = { "dry-run": parameter.optional(parameter.boolean()) };
const number = { link: parameter.integer({ min: 0, max: linksMax - 1 }) };
const node = { node: parameter.text({ min: 1, max: 255 }) };
const priority = parameter.integer({ min: 0, max: 255 });
const address = parameter.text({ min: 1, max: 255 });
const flag = parameter.optional(parameter.boolean());

export function changeRoutes(source: ChangeRoutesSource): readonly Route[] {
  return [...removalRoutes(source), ...nodeRoutes(source), ...linkRoutes(source)];
}

function removalRoutes(source: ChangeRoutesSource): readonly Route[] {
  return [
    route({
      method: "DELETE",
      path: "/cluster/config/nodes/{node}",
      description: "Removes a node from the cluster configuration.",
      permission: onlyRoot,
      needsQuorum: true,
      returns: v.null(),
      parameters: node,
      handle: async ({ parameters, caller }) => {
        const change = await removal(source, { node: parameters.node }, caller);
        const upid = started(source.start(change, caller.user));
        const status = await source.ended(upid);
        if (!isGoodEnd(status)) throw new ApiError(500, status);
        return null;
      },
    }),
    route({
      method: "DELETE",
      path: "/cluster/nodes/{node}",
      isOurs: true,
      description: "Removes a node from the cluster, with purge also what it leaves in the tree.",
      permission: onlyRoot,
      needsQuorum: true,
      returns: changeAnswer,
      parameters: { ...node, purge: flag, "with-guests": flag, ...dry },
      handle: async ({ parameters, caller }) => {
        const request = {
          node: parameters.node,
          purge: parameters.purge === true,
          withGuests: parameters["with-guests"] === true,
        };
        const already = await refusing(removedAlready(source.ports(caller.user), request));
        if (already !== undefined) return doneAlready(already);
        const change = await removal(source, request, caller);
        return answer(source, change, parameters["dry-run"] === true, caller);
      },
    }),
    route({
      method: "GET",
      path: "/cluster/nodes/{node}/removal",
      isOurs: true,
      description:
        "What the removal of a node would mean: votes before and after, what of it is in the tree, why it cannot be now.",
      permission: onlyRoot,
      returns: removalReport,
      parameters: node,
      handle: async ({ parameters, caller }) =>
        refusing(reportRemoval(source.ports(caller.user), parameters.node)),
    }),
  ];
}

function nodeRoutes(source: ChangeRoutesSource): readonly Route[] {
  return [
    route({
      method: "PUT",
      path: "/cluster/nodes/{node}/name",
      isOurs: true,
      description: "Gives a node another name, in the nodelist and in the tree.",
      permission: onlyRoot,
      needsQuorum: true,
      returns: changeAnswer,
      parameters: { ...node, name: parameter.nodeName(), ...dry },
      handle: async ({ parameters, caller }) => {
        const request = { node: parameters.node, newName: parameters.name };
        const planned = await refusing(planRename(source.ports(caller.user), request, caller.user));
        const change = changeOf(renamePlan, planned, "clusterrename", parameters.node);
        return answer(source, change, parameters["dry-run"] === true, caller);
      },
    }),
    route({
      method: "PUT",
      path: "/cluster/nodes/{node}/votes",
      isOurs: true,
      description: "Gives a node another number of votes, in corosync.conf of all nodes.",
      permission: onlyRoot,
      needsQuorum: true,
      returns: changeAnswer,
      parameters: { ...node, votes: parameter.integer({ min: 0, max: 255 }), ...dry },
      handle: async ({ parameters, caller }) => {
        const request = { node: parameters.node, votes: parameters.votes };
        const planned = await refusing(planVotes(source.ports(caller.user), request, caller.user));
        const change = changeOf(votesPlan, planned, "clustervotes", parameters.node);
        return answer(source, change, parameters["dry-run"] === true, caller);
      },
    }),
    route({
      method: "PUT",
      path: "/cluster/nodes/{node}/addresses",
      isOurs: true,
      description: "Gives links of a node other addresses.",
      permission: onlyRoot,
      needsQuorum: true,
      returns: changeAnswer,
      parameters: { ...node, ...linkParameters(), ...dry },
      handle: async ({ parameters, caller }) => {
        const given: Readonly<Record<string, unknown>> = parameters;
        const links = new Map<number, string>();
        for (let link = 0; link < linksMax; link += 1) {
          const word = given[`link${link}`];
          if (typeof word === "string") links.set(link, word);
        }
        const request = { node: parameters.node, links };
        const planned = await refusing(
          planReaddress(source.ports(caller.user), request, caller.user),
        );
        const isByWay = planned?.facts.stages.length === 4;
        const plan = isByWay ? readdressByWayPlan : readdressPlan;
        const change = changeOf(plan, planned, "clusterreaddress", parameters.node);
        return answer(source, change, parameters["dry-run"] === true, caller);
      },
    }),
  ];
}

function linkParameters() {
  return Object.fromEntries(
    Array.from({ length: linksMax }, (_, link) => [`link${link}`, parameter.optional(address)]),
  );
}

function linkRoutes(source: ChangeRoutesSource): readonly Route[] {
  const act = async (request: LinkRequest, isDry: boolean, caller: Caller) => {
    const planned = await refusing(planLink(source.ports(caller.user), request, caller.user));
    const change = changeOf<Staged>(linkPlan, planned, "clusterlink", String(request.number));
    return answer(source, change, isDry, caller);
  };
  return [
    route({
      method: "POST",
      path: "/cluster/links/{link}",
      isOurs: true,
      description: "Adds a link to all nodes. addresses: NODE=ADDRESS,NODE=ADDRESS.",
      permission: onlyRoot,
      needsQuorum: true,
      returns: changeAnswer,
      parameters: {
        ...{ ...number, addresses: parameter.text({ min: 1, max: 16_384 }) },
        ...{ priority: parameter.optional(priority), ...dry },
      },
      handle: async ({ parameters, caller }) => {
        const addresses = new Map<string, string>();
        for (const word of parameters.addresses.split(",")) {
          const [, name = "", value = ""] = /^([^=]+)=(.+)$/.exec(word.trim()) ?? [];
          if (name === "") {
            const errors = { addresses: "invalid format - must be NODE=ADDRESS,NODE=ADDRESS" };
            throw new ApiError(400, "Parameter verification failed.", { errors });
          }
          addresses.set(name, value);
        }
        const request = {
          ...({ kind: "add", number: parameters.link, addresses } as const),
          priority: parameters.priority ?? 0,
        };
        return act(request, parameters["dry-run"] === true, caller);
      },
    }),
    route({
      method: "PUT",
      path: "/cluster/links/{link}",
      isOurs: true,
      description: "Gives a link another priority; the larger one wins, 0 is none.",
      permission: onlyRoot,
      needsQuorum: true,
      returns: changeAnswer,
      parameters: { ...number, priority, ...dry },
      handle: ({ parameters, caller }) => {
        const { link, priority: wanted } = parameters;
        const request = { kind: "set", number: link, priority: wanted } as const;
        return act(request, parameters["dry-run"] === true, caller);
      },
    }),
    route({
      method: "DELETE",
      path: "/cluster/links/{link}",
      isOurs: true,
      description: "Takes a link from all nodes.",
      permission: onlyRoot,
      needsQuorum: true,
      returns: changeAnswer,
      parameters: { ...number, ...dry },
      handle: ({ parameters, caller }) =>
        act({ kind: "remove", number: parameters.link }, parameters["dry-run"] === true, caller),
    }),
  ];
}

async function removal(
  source: ChangeRoutesSource,
  { node: name, purge = false, withGuests = false }: Partial<RemoveRequest> & { node: string },
  { user }: Caller,
) {
  const asked = { node: name, purge, withGuests, by: user, at: source.wallS() };
  const planned = await refusing(planRemove(source.ports(user), asked));
  return {
    ...{ plan: removePlan, ...planned },
    ...{ type: "clusterremove", id: planned.facts.name },
  };
}

function changeOf<Facts>(
  plan: Plan<Facts, ChangePorts>,
  planned: Planned<Facts> | undefined,
  type: string,
  id: string,
): Change<Facts> | undefined {
  return planned === undefined ? undefined : { plan, ...planned, type, id };
}

/** `notes`: why there is nothing to do. */
export function doneAlready(notes: readonly string[]): ChangeAnswer {
  return { isDone: true, plan: "", steps: [], changes: [], notes };
}

/** Undefined: it is so already. */
function answer<Facts>(
  source: ChangeRoutesSource,
  change: Change<Facts> | undefined,
  isDry: boolean,
  { user }: Caller,
): ChangeAnswer {
  if (change === undefined) return doneAlready(["It is so already."]);
  const shown = dryRun(change.plan, change.facts);
  const { notes, question } = change;
  const asked = question === undefined ? {} : { question };
  const facts = { isDone: false, plan: dryRunText(shown), ...shown, notes, ...asked };
  return isDry ? facts : { upid: started(source.start(change, user)), ...facts };
}

export function started(outcome: Result<string>): string {
  if (outcome.ok) return outcome.value;
  throw new ApiError(409, outcome.reason);
}

/** What the plan refuses is the caller's to hear. */
export async function refusing<T>(planned: Promise<T>): Promise<T> {
  try {
    return await planned;
  } catch (error) {
    if (error instanceof CommandFailure) throw new ApiError(400, error.message);
    throw error;
  }
}
