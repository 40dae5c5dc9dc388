// Links of a running cluster: put in, taken out, given a priority (pain point 30). All nodes get each at once; what does not come up is taken back.
import { withLink, withLinkPriority, withoutLink, type NewLink } from "../conf/links.ts";
import { twinProblem } from "../conf/nodes.ts";
import { CommandFailure } from "../exit.ts";
import { type Staged, stagedPlan } from "./conf-stage.ts";
import type { ChangePorts } from "./ports.ts";
import { checkAllOnline, membersOf, situation, type Situation, valueOrFail } from "./situation.ts";

export const linkPlan = stagedPlan("link", 1);

export type LinkRequest =
  | ({ readonly kind: "add" } & NewLink)
  | { readonly kind: "set"; readonly number: number; readonly priority: number }
  | { readonly kind: "remove"; readonly number: number };

export interface Planned<Facts> {
  readonly facts: Facts;
  /** What happens to quorum, and what else is to be known, in sentences. */
  readonly notes: readonly string[];
}

/** Undefined: it is so already. Rejects with why it cannot be. */
export async function planLink(
  ports: ChangePorts,
  request: LinkRequest,
  user: string,
): Promise<Planned<Staged> | undefined> {
  const now = await situation(ports);
  if (isSo(now, request)) return undefined;
  const { number } = request;
  const edit = valueOrFail(edited(now, request));
  if (request.kind === "add") checkTwins(now, request);
  checkAllOnline(now);
  const kept = now.conf.links.map((link) => link.number).filter((link) => link !== number);
  if (request.kind === "remove") checkCarried(now, kept);
  const links = request.kind === "add" ? [number] : request.kind === "remove" ? kept : [];
  const titles = {
    add: `add link ${number} to all nodes, and wait until it is connected`,
    set: `give link ${number} another priority on all nodes`,
    remove: `take link ${number} from all nodes`,
  };
  const done = { add: "added", set: "changed", remove: "removed" };
  return {
    facts: {
      before: now.text,
      stages: [{ title: titles[request.kind], after: edit.text, links }],
      members: membersOf(now),
      log: `${user}: link ${number} ${done[request.kind]}`,
    },
    notes: [
      request.kind === "remove"
        ? `Quorum stays: the ring goes on over link ${kept.join(", ")}. If a node does not stay in it, the link comes back.`
        : "Quorum stays: the links that there are carry the ring meanwhile. If the ring does not form, all is taken back.",
      ...edit.notes,
    ],
  };
}

function checkTwins({ conf }: Situation, { number, addresses }: NewLink): void {
  for (const node of conf.nodes) {
    const address = addresses.get(node.name);
    if (address === undefined) continue;
    const problem = twinProblem(node.name, new Map([...node.addresses, [number, address]]));
    if (problem !== "") throw new CommandFailure(problem);
  }
}

function edited({ text }: Situation, request: LinkRequest) {
  switch (request.kind) {
    case "add":
      return withLink(text, request);
    case "set":
      return withLinkPriority(text, request.number, request.priority);
    case "remove":
      return withoutLink(text, request.number);
  }
  return request satisfies never;
}

/** The same command twice is fine. */
function isSo({ conf }: Situation, request: LinkRequest): boolean {
  const present = conf.links.find(({ number }) => number === request.number);
  switch (request.kind) {
    case "add":
      return (
        present?.priority === (request.priority ?? 0) &&
        conf.nodes.every(
          ({ name, addresses }) => addresses.get(request.number) === request.addresses.get(name),
        )
      );
    case "set":
      return present?.priority === request.priority;
    case "remove":
      // One that never was cannot be told from one that is gone.
      return present === undefined && request.number >= 0 && request.number < 8;
  }
  return request satisfies never;
}

/** Rejects unless every other node is reached over one of `links`. */
export function checkCarried({ view, conf }: Situation, links: readonly number[]): void {
  for (const nodeid of view.members) {
    if (nodeid === view.self) continue;
    const isReached = view.links.some(
      (each) => each.nodeid === nodeid && links.includes(each.link) && each.isConnected,
    );
    if (isReached || links.length === 0) continue;
    const name = conf.nodes.find((node) => node.nodeid === nodeid)?.name ?? String(nodeid);
    throw new CommandFailure(
      `link ${links.join(", ")} to ${name} is not connected: without the other one ${name} would leave the ring. Look at \`quorate status\` first`,
    );
  }
}
