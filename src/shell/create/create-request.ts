// What is asked of a new cluster, checked against this node before anything is changed (pvecm.md §1.1, §2.2): names, numbers, links that are
// this machine's, nothing in the way. Where the original does not check (its addresses, its key), we do.
import { type ClusterConf, readClusterConf } from "../conf/cluster-conf.ts";
import { freshConf } from "../conf/fresh.ts";
import { CommandFailure } from "../exit.ts";
import type { Result } from "../../result.ts";
import { type CreateFacts, existsText } from "./create-plan.ts";

/** Bytes: 1024 bits, as corosync's. */
const keyBytesMin = 128;
const basePort = 5405;

export interface CreateRequest {
  readonly clusterName: string;
  /** Empty: the node's own address is link 0. */
  readonly links: readonly {
    readonly number: number;
    /** An address, or a name. */
    readonly address: string;
    readonly priority: number;
  }[];
  readonly nodeid: number | undefined;
  readonly votes: number | undefined;
  /** Milliseconds. */
  readonly tokenCoefficient: number | undefined;
}

/** What a node knows of itself for these checks. Text holds one character a byte. */
export interface CreateSurroundings {
  readonly nodeName: string;
  readonly mode: "standalone" | "cluster";
  /** corosync.conf of the tree. */
  readonly conf: () => string | undefined;
  /** Of the key on disk; undefined: there is none. Throws when it cannot be read. */
  readonly keyBytes: () => number | undefined;
  readonly ownAddress: () => Promise<Result<string>>;
  /** IP addresses of an address or a name, or why there is none. */
  readonly resolve: (address: string) => Promise<Result<readonly string[]>>;
  readonly isLocal: (address: string) => boolean;
  /** Why the port cannot be bound at the address, a clause; "": it can. */
  readonly portFault: (address: string, port: number) => Promise<string>;
  /** Daemons of the original that run and would use the same ports and files. */
  readonly others: () => readonly string[];
  /** Why no node could start with this corosync.conf; "": it could. */
  readonly confProblem: (conf: string) => Promise<string>;
}

export interface PlannedCreation {
  readonly facts: CreateFacts;
  /** What happens to quorum, and what else is to be known, in sentences. */
  readonly notes: readonly string[];
}

/** Undefined: this node is in just such a cluster. Throws CommandFailure with why it cannot be. */
export async function planCreation(
  request: CreateRequest,
  surroundings: CreateSurroundings,
  user: string,
): Promise<PlannedCreation | undefined> {
  const { nodeName, mode } = surroundings;
  const present = surroundings.conf();
  if (present !== undefined || mode === "cluster") {
    const read = present === undefined ? undefined : readClusterConf(present);
    if (read?.ok === true && isSo(read.value, request, nodeName)) return undefined;
    throw new CommandFailure(existsText);
  }
  const links = await checkedLinks(request, surroundings);
  const loopback = await loopbackNotes(links, surroundings);
  const { clusterName, nodeid, votes, tokenCoefficient } = request;
  const node = { name: nodeName, nodeid, votes };
  const fresh = freshConf({ clusterName, node, links, tokenCoefficient });
  if (!fresh.ok) throw new CommandFailure(fresh.reason);
  const problem = await surroundings.confProblem(fresh.value);
  if (problem !== "") throw new CommandFailure(problem);
  checkOthers(surroundings);
  const isKeyNew = checkedKey(surroundings);
  const count = votes ?? 1;
  return {
    facts: { clusterName, nodeName, conf: fresh.value, isKeyNew, user },
    notes: [
      count === 1
        ? "This node is quorate alone, with the 1 vote of 1. With a second node of 1 vote both are needed, until there is a third or a vote server."
        : `This node is quorate alone, with its ${count} votes. Nodes of fewer votes cannot be quorate without it.`,
      ...loopback,
      "No ssh keys are made or exchanged: quorate's nodes need none.",
    ],
  };
}

async function checkedLinks(
  { links }: CreateRequest,
  surroundings: CreateSurroundings,
): Promise<CreateRequest["links"]> {
  const wanted = links.length > 0 ? links : [await ownLink(surroundings)];
  const seen = new Map<string, number>();
  for (const { number, address } of wanted) {
    const found = await surroundings.resolve(address);
    if (!found.ok) {
      throw new CommandFailure(`link${number}: cannot use '${address}': ${found.reason}`);
    }
    const local = found.value.find((each) => surroundings.isLocal(each));
    if (local === undefined) {
      throw new CommandFailure(
        `link${number}: cannot use IP '${found.value[0] ?? address}', not found on local node!`,
      );
    }
    const twin = seen.get(local);
    if (twin !== undefined) {
      throw new CommandFailure(`link${number}: address '${local}' is that of link${twin} already`);
    }
    seen.set(local, number);
    const fault = await surroundings.portFault(local, basePort + number);
    if (fault !== "") {
      throw new CommandFailure(
        `link${number}: ${local} port ${basePort + number}/udp cannot be used: ${fault}. Is a corosync running here?`,
      );
    }
  }
  return wanted;
}

/** No fault: several nodes on one machine are a cluster to try things with. */
async function loopbackNotes(
  links: CreateRequest["links"],
  { resolve }: CreateSurroundings,
): Promise<readonly string[]> {
  const notes: string[] = [];
  for (const { number, address } of links) {
    const found = await resolve(address);
    if (!found.ok || !found.value.some((each) => each.startsWith("127.") || each === "::1")) {
      continue;
    }
    notes.push(
      `Link ${number} is at ${address}, which only nodes on this very machine reach: for a node on another machine leave this cluster (quorate leave), and create it with --link${number} ADDRESS of the network between them.`,
    );
  }
  return notes;
}

async function ownLink(surroundings: CreateSurroundings) {
  const own = await surroundings.ownAddress();
  if (!own.ok) throw new CommandFailure(own.reason);
  return { number: 0, address: own.value, priority: 0 };
}

function checkOthers({ others }: CreateSurroundings): void {
  const running = others();
  if (running.length === 0) return;
  const verb = running.length === 1 ? "runs" : "run";
  throw new CommandFailure(
    `${running.join(" and ")} ${verb} on this machine and would use the same ports and files: stop it first`,
  );
}

/** True when there is none yet. One that is there is used, as the original does. */
function checkedKey({ keyBytes }: CreateSurroundings): boolean {
  const length = keyBytes();
  if (length === undefined) return true;
  if (length >= keyBytesMin) return false;
  throw new CommandFailure(
    `/etc/corosync/authkey has ${length * 8} bits, the minimum is ${keyBytesMin * 8}: remove it, and a new one is made`,
  );
}

/** What was given is as it is; what was not given does not matter. */
function isSo(conf: ClusterConf, request: CreateRequest, nodeName: string): boolean {
  const node = conf.nodes.find(({ name }) => name === nodeName);
  if (node === undefined || conf.clusterName !== request.clusterName) return false;
  return (
    (request.nodeid ?? node.nodeid) === node.nodeid &&
    (request.votes ?? node.votes) === node.votes &&
    request.links.every(
      ({ number, address, priority }) =>
        node.addresses.get(number) === address &&
        conf.links.some((link) => link.number === number && link.priority === priority),
    )
  );
}
