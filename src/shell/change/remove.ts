// A node out of the cluster (pvecm.md §1.4, §3.6), and with `purge` what it leaves in the tree. First its entry in corosync.conf, then its daemon
// through the ring: so it learns from its own copy why it is out, and no other reads its packets any more.
import * as v from "valibot";
import { isNodeName, nodeOf, readClusterConf, type ClusterNode } from "../conf/cluster-conf.ts";
import { withoutNode } from "../conf/nodes.ts";
import { CommandFailure } from "../exit.ts";
import type { FileChange, Plan } from "../operation/plan.ts";
import { moveConf, moveConfBack, treeConfPath, untilForm } from "./conf-stage.ts";
import {
  type FormerMember,
  forgetFormer,
  formerMemberSchema,
  formerMembersPath,
  formerOf,
  formerText,
  rememberFormer,
  withFormer,
} from "./former-members.ts";
import type { Planned } from "./links.ts";
import { type ChangePorts, deletesItselfText } from "./ports.ts";
import { membersOf, situation, type Situation, valueOrFail } from "./situation.ts";

const schema = v.object({
  name: v.string(),
  nodeid: v.number(),
  addresses: v.array(v.string()),
  /** It is in the ring, and the others are quorate without it. */
  isKilled: v.boolean(),
  before: v.string(),
  after: v.string(),
  /** nodeids that must be in the ring afterwards. */
  members: v.array(v.number()),
  /** What it leaves in the tree goes, too. */
  purges: v.boolean(),
  /** Files of the tree that go with it. */
  purge: v.array(v.string()),
  /** Files in which its lines go: as they were, for the preview. */
  lines: v.array(v.object({ path: v.string(), before: v.string() })),
  /** What the tree keeps of it, and that file as it was, for the preview. Absent in records of earlier versions, and of a node that was out. */
  former: v.optional(v.object({ entry: formerMemberSchema, before: v.optional(v.string()) })),
});
export type RemoveFacts = v.InferOutput<typeof schema>;

/** In which other nodes' lines stand beside this one's. */
const sharedFiles = ["priv/authorized_keys", "priv/known_hosts"];
const guestDirectories = ["qemu-server", "lxc", "openvz"];
/** Where a node's name may stand, and is to be looked at by somebody who knows what is meant. */
const namingFiles = [
  ...["replication.cfg", "storage.cfg", "jobs.cfg", "vzdump.cron", "firewall/cluster.fw"],
  ...["ha/resources.cfg", "ha/groups.cfg", "ha/rules.cfg"],
];

export const removePlan: Plan<RemoveFacts, ChangePorts> = {
  kind: "remove",
  facts: schema,
  timeMsMax: 180_000,
  steps: [
    {
      name: "log",
      text: ({ name }) => `note in the cluster log that node ${name} is deleted`,
      // Before its daemon is ended: so its own copy of the tree says what became of it, too.
      run: async ({ name, former }, ports) => {
        await ports.cluster.log(`deleting node ${name} from cluster`);
        if (former !== undefined) await rememberFormer(ports, former.entry);
      },
      undo: async ({ name, former }, ports) => {
        if (former !== undefined) await forgetFormer(ports, name);
      },
      byHand: () => "",
      changes: ({ former }) =>
        former === undefined
          ? []
          : [
              {
                path: `/etc/pve/${formerMembersPath}`,
                before: former.before,
                after: withFormer(former.before, former.entry),
              },
            ],
    },
    {
      name: "conf",
      text: ({ name, isKilled, before, after }) =>
        before === after
          ? `see that all nodes run without ${name}`
          : `take ${name} out of corosync.conf on all nodes${isKilled ? ", and end its daemon" : ""}`,
      run: async ({ name, nodeid, isKilled, before, after, members }, ports, context) => {
        await moveConf(ports, before, after, context);
        const { members: inRing } = await ports.cluster.view();
        if (isKilled && inRing.includes(nodeid)) {
          context.tell(`Killing node ${nodeid}`);
          await kill(ports, nodeid, name, context.tell);
        }
        await untilForm(ports, after, { members, links: [] }, context);
      },
      undo: async ({ before, after }, ports, context) =>
        moveConfBack(ports, before, after, context),
      byHand: ({ name }) => `look whether ${name} is in ${treeConfPath} as it should be`,
      changes: ({ before, after }) => [{ path: treeConfPath, before, after }],
      commits: true,
    },
    {
      name: "purge",
      text: ({ name, purges, purge, lines }) =>
        purges
          ? `remove what ${name} has in the tree: ${[...purge, `the directory nodes/${name}`, ...lines.map(({ path }) => `its lines in ${path}`)].join(", ")}`
          : `leave what ${name} has in the tree`,
      run: async (facts, ports, { tell }) => {
        if (!(await isBack(facts, ports))) return purgeNode(facts, ports);
        tell(`corosync.conf names ${facts.name} again: what it has in the tree stays`);
      },
      byHand: ({ name }) =>
        `remove /etc/pve/nodes/${name} and the keys of ${name} in /etc/pve/priv`,
      changes: (facts) => facts.lines.map((file) => lineChange(facts, file)),
    },
  ],
};

/** One that is going already, or a ring that is just forming, is no reason to take the removal back. */
async function kill(
  { cluster }: ChangePorts,
  nodeid: number,
  name: string,
  tell: (text: string) => void,
): Promise<void> {
  const reason = `${name} was removed from the cluster`;
  await cluster.kill(nodeid, reason).catch((error: unknown) => {
    tell(`Could not kill node (${error instanceof Error ? error.message : String(error)})`);
  });
}

export interface RemoveRequest {
  /** Its name, or the address of one of its links. */
  readonly node: string;
  readonly purge: boolean;
  /** Guests' configurations of the node go, too. */
  readonly withGuests: boolean;
  /** Who asks, and when (Unix seconds). */
  readonly by: string;
  readonly at: number;
}

/**
 * Why there is nothing to do, in sentences: the node is out already. Undefined: it is a member, or left something that is to go.
 * Rejects with a name that no trace is found of: it was never right.
 */
export async function removedAlready(
  ports: ChangePorts,
  { node: name, purge }: Pick<RemoveRequest, "node" | "purge">,
): Promise<readonly string[] | undefined> {
  const { conf } = await situation(ports, { word: name });
  if (nodeOf(conf, name) !== undefined) return undefined;
  const former = formerOf(await ports.tree.read(formerMembersPath), name);
  const hasLeft = isNodeName(name) && (await isInTree(ports, name));
  if (hasLeft && purge) return undefined;
  if (former === undefined && !hasLeft) {
    throw new CommandFailure(
      `${name} is no member of this cluster, and nothing shows that it ever was one: its members are ${conf.nodes.map((node) => node.name).join(", ")}`,
    );
  }
  const how = former === undefined ? "" : `: ${formerText(former)}`;
  return [
    `${former?.name ?? name} is out of the cluster already${how}.`,
    ...(hasLeft
      ? [
          `What it had in the tree is there still (/etc/pve/nodes/${name}, its keys): --purge removes it.`,
        ]
      : []),
  ];
}

export interface PlannedRemoval extends Planned<RemoveFacts> {
  /** What a person is asked before it is begun; absent: nothing. */
  readonly question?: string;
}

export async function planRemove(
  ports: ChangePorts,
  request: RemoveRequest,
): Promise<PlannedRemoval> {
  const now = await situation(ports, { word: request.node });
  const node = nodeOf(now.conf, request.node);
  if (node === undefined) {
    const left =
      request.purge && isNodeName(request.node) ? await goneNode(ports, now, request) : undefined;
    if (left !== undefined) return left;
    throw new CommandFailure(`Node/IP: ${request.node} is not a known host of the cluster.`);
  }
  if (node.nodeid === now.view.self) {
    throw new CommandFailure(deletesItselfText);
  }
  const edit = valueOrFail(withoutNode(now.text, node.name));
  const isMember = now.view.members.includes(node.nodeid);
  const isQuorate = now.view.totalVotes - (isMember ? node.votes : 0) >= now.view.quorum;
  if (!isMember) checkStays(now, node, edit.text);
  const leftovers = request.purge ? await leftoversOf(ports, node, request.withGuests) : [];
  const lines = request.purge ? await linesOf(ports, node) : [];
  const former = formerFacts(node, request, await ports.tree.read(formerMembersPath));
  const naming = request.purge ? await namingOf(ports, node.name) : [];
  const isKilled = isMember && isQuorate;
  const questions = [
    ...(isMember ? [runningQuestion(node.name, isKilled)] : []),
    ...(request.purge ? [purgeQuestion(node.name)] : []),
  ];
  return {
    ...(questions.length === 0 ? {} : { question: questions.join(" ") }),
    facts: {
      ...{ name: node.name, nodeid: node.nodeid, addresses: [...node.addresses.values()] },
      isKilled,
      ...{ before: now.text, after: edit.text },
      members: membersOf(now).filter((nodeid) => nodeid !== node.nodeid),
      ...{ purges: request.purge, purge: leftovers, lines, former },
    },
    notes: [
      isMember ? runningNote(node.name, isKilled) : `${node.name} is offline.`,
      quorumNote(now, node, edit.text),
      ...edit.notes,
      ...(request.purge
        ? []
        : [
            `What ${node.name} has in the tree stays (/etc/pve/nodes/${node.name}, its keys): --purge removes it.`,
          ]),
      `${node.name} still has the cluster's key: \`quorate rotate-key\` changes it on all nodes.`,
      ...naming.map(
        (path) => `/etc/pve/${path} names ${node.name}: look at it, it is not changed here.`,
      ),
    ],
  };
}

function formerFacts(
  { name, nodeid, addresses }: ClusterNode,
  { by, at }: RemoveRequest,
  before: string | undefined,
): RemoveFacts["former"] {
  const entry: FormerMember = {
    ...{ name, nodeid, addresses: [...addresses.values()] },
    ...{ at, by, how: "removed" },
  };
  return before === undefined ? { entry } : { entry, before };
}

async function isInTree(ports: ChangePorts, name: string): Promise<boolean> {
  const node = { name, nodeid: 0, votes: 0, addresses: new Map<number, string>() };
  const names = await ports.tree.list("nodes");
  return names.includes(`${name}/`) || (await linesOf(ports, node)).length > 0;
}

/** One that is out of corosync.conf already: what it left in the tree. Undefined: nothing. */
async function goneNode(
  ports: ChangePorts,
  now: Situation,
  { node: name, withGuests }: RemoveRequest,
): Promise<PlannedRemoval | undefined> {
  const node = { name, nodeid: 0, votes: 0, addresses: new Map<number, string>() };
  if (!(await isInTree(ports, name))) return undefined;
  const lines = await linesOf(ports, node);
  return {
    facts: {
      ...{ name, nodeid: 0, addresses: [], isKilled: false, before: now.text, after: now.text },
      ...{ members: membersOf(now), purges: true, lines },
      purge: await leftoversOf(ports, node, withGuests),
    },
    notes: [`${name} is out of corosync.conf already: what it left in the tree goes.`],
    question: purgeQuestion(name),
  };
}

const runningQuestion = (name: string, isKilled: boolean): string =>
  isKilled
    ? `${name} runs, and its daemon is ended at once.`
    : `${name} runs, and is left alone without quorum.`;

const purgeQuestion = (name: string): string =>
  `This removes for good what ${name} has in the tree.`;

function runningNote(name: string, isKilled: boolean): string {
  return isKilled
    ? `${name} runs. Its daemon is ended at once and starts as a member no more; its guests run on, without /etc/pve. For a standalone node type \`quorate leave\` on it now instead, or \`quorate leave --local\` once it has ended.`
    : `${name} runs. Its daemon is not ended, for the others have no quorum without it: it runs on alone, without quorum. For a standalone node type \`quorate leave\` on it now instead, or stop it afterwards and type \`quorate leave --local\`.`;
}

/** An override of the expected votes ends with the change: what was left quorate by it alone would wait for a ring with quorum, in vain. */
function checkStays({ view, conf }: Situation, node: ClusterNode, after: string): void {
  if (hasDevice(after)) return;
  const votes = conf.nodes.reduce((sum, each) => sum + each.votes, 0) - node.votes;
  const needed = Math.floor(votes / 2) + 1;
  if (view.totalVotes >= needed) return;
  const away = conf.nodes.filter(({ nodeid }) => !view.members.includes(nodeid));
  throw new CommandFailure(
    `without ${node.name} the nodes have ${votes} votes, ${needed} of them needed, and ${view.totalVotes} ${view.totalVotes === 1 ? "is" : "are"} here: the override of the expected votes ends with any change of corosync.conf, so quorum would be lost. Start enough of ${away.map(({ name }) => name).join(", ")}; if they are dead for good, take all of them out of corosync.conf in one change, by hand (see docs/emergency-override.md)`,
  );
}

function hasDevice(text: string): boolean {
  return /\bdevice\s*\{/.test(text);
}

function quorumNote({ view, conf }: Situation, node: ClusterNode, after: string): string {
  const votes = conf.nodes.reduce((sum, each) => sum + each.votes, 0) - node.votes;
  const needed = Math.floor(votes / 2) + 1;
  const present = view.totalVotes - (view.members.includes(node.nodeid) ? node.votes : 0);
  const device = hasDevice(after) ? ", and those of the quorum device" : "";
  return `Then the nodes have ${votes} vote${votes === 1 ? "" : "s"}${device}, ${needed} of them needed; ${present} are here.`;
}

/** All files below its directory, and the directory. Rejects when there are guests. */
async function leftoversOf(
  ports: ChangePorts,
  { name }: ClusterNode,
  withGuests: boolean,
): Promise<string[]> {
  const files = await filesBelow(ports, `nodes/${name}`);
  const guests = files.filter((path) => isGuestFile(name, path));
  if (guests.length > 0 && !withGuests) {
    throw new CommandFailure(
      `${name} has guests, whose configuration would be lost: ${guests.map((path) => path.split("/").at(-1)).join(", ")}. Move them to another node first (mv /etc/pve/nodes/${name}/qemu-server/ID.conf /etc/pve/nodes/OTHER/qemu-server/), or give --with-guests`,
    );
  }
  return files;
}

/** The configuration of a guest of this node. */
export function isGuestFile(name: string, path: string): boolean {
  return guestDirectories.some((directory) => path.startsWith(`nodes/${name}/${directory}/`));
}

/** Sorted. */
export async function filesBelow({ tree }: ChangePorts, path: string): Promise<string[]> {
  const files: string[] = [];
  const folders = [path];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of await tree.list(folder)) {
      if (name.endsWith("/")) folders.push(`${folder}/${name.slice(0, -1)}`);
      else files.push(`${folder}/${name}`);
    }
  }
  return files.toSorted();
}

export async function linesOf(
  ports: ChangePorts,
  node: ClusterNode,
): Promise<RemoveFacts["lines"]> {
  const found: RemoveFacts["lines"] = [];
  for (const path of sharedFiles) {
    const before = await ports.tree.read(path);
    const facts = { name: node.name, addresses: [...node.addresses.values()] };
    if (before !== undefined && withoutLines(facts, path, before) !== before) {
      found.push({ path, before });
    }
  }
  return found;
}

export async function namingOf({ tree }: ChangePorts, name: string): Promise<string[]> {
  const found: string[] = [];
  for (const path of namingFiles) {
    const text = await tree.read(path);
    // Names have no characters with a meaning in patterns.
    if (text !== undefined && new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(text))
      found.push(path);
  }
  return found;
}

function lineChange(
  facts: RemoveFacts,
  { path, before }: RemoveFacts["lines"][number],
): FileChange {
  return { path: `/etc/pve/${path}`, before, after: withoutLines(facts, path, before) };
}

/** Keys of root at the node; host keys under its name or an address. */
function withoutLines(
  { name, addresses }: Pick<RemoveFacts, "name" | "addresses">,
  path: string,
  text: string,
): string {
  const isOurs = (line: string): boolean => {
    const words = line.trim().split(/\s+/);
    if (path.endsWith("authorized_keys")) return words.at(-1) === `root@${name}`;
    return (words[0] ?? "").split(",").some((host) => host === name || addresses.includes(host));
  };
  return text
    .split("\n")
    .filter((line) => line.startsWith("#") || !isOurs(line))
    .join("\n");
}

/** An interrupted removal may go on days later: the node may have been added anew, and have guests. */
async function isBack({ name, purges }: RemoveFacts, { cluster }: ChangePorts): Promise<boolean> {
  return purges && nodeOf(valueOrFail(readClusterConf(await cluster.conf())), name) !== undefined;
}

async function purgeNode(facts: RemoveFacts, ports: ChangePorts): Promise<void> {
  const { tree } = ports;
  const { name, purges, purge, lines } = facts;
  for (const path of purge) await tree.remove(path);
  if (purges) await removeDirectories(ports, `nodes/${name}`);
  for (const { path } of lines) {
    const text = await tree.read(path);
    const kept = text === undefined ? undefined : withoutLines(facts, path, text);
    if (kept !== undefined && kept !== text) await tree.put(path, kept);
  }
}

/** Those that are empty now; a file that came meanwhile keeps its own. */
async function removeDirectories(ports: ChangePorts, path: string): Promise<boolean> {
  let isEmpty = true;
  for (const name of await ports.tree.list(path)) {
    if (!name.endsWith("/")) isEmpty = false;
    else if (!(await removeDirectories(ports, `${path}/${name.slice(0, -1)}`))) isEmpty = false;
  }
  if (isEmpty) await ports.tree.remove(path);
  return isEmpty;
}
