// Another name for a node (pain point 11): in the nodelist of all nodes, and of its directory in the tree with everything in it, guests too. What the
// machine itself is called is its own business: it must answer to the new name at its next start.
import * as v from "valibot";
import { readClusterConf } from "../conf/cluster-conf.ts";
import { withName } from "../conf/nodes.ts";
import { CommandFailure } from "../exit.ts";
import type { Plan } from "../operation/plan.ts";
import { moveConf, moveConfBack, treeConfPath, untilForm } from "./conf-stage.ts";
import type { Planned } from "./links.ts";
import type { ChangePorts } from "./ports.ts";
import { checkAllOnline, membersOf, situation, valueOrFail } from "./situation.ts";

const schema = v.object({
  name: v.string(),
  newName: v.string(),
  before: v.string(),
  after: v.string(),
  members: v.array(v.number()),
  log: v.string(),
});
export type RenameFacts = v.InferOutput<typeof schema>;

export const renamePlan: Plan<RenameFacts, ChangePorts> = {
  kind: "rename",
  facts: schema,
  timeMsMax: 300_000,
  steps: [
    {
      name: "conf",
      text: ({ name, newName }) => `call node ${name} ${newName} in the nodelist of all nodes`,
      run: async ({ before, after, members }, ports, context) => {
        await moveConf(ports, before, after, context);
        await untilForm(ports, after, { members, links: [] }, context);
      },
      undo: async ({ before, after }, ports, context) =>
        moveConfBack(ports, before, after, context),
      changes: ({ before, after }) => [{ path: treeConfPath, before, after }],
    },
    {
      name: "directory",
      text: ({ name, newName }) => `move nodes/${name} to nodes/${newName} in the tree`,
      run: async ({ name, newName }, ports, { tell }) => {
        // What was interrupted may go on days later, when another machine has the name, and guests.
        const { nodes } = valueOrFail(readClusterConf(await ports.cluster.conf()));
        if (!nodes.some((node) => node.name === name)) {
          return moveDirectory(ports, `nodes/${name}`, `nodes/${newName}`);
        }
        tell(`corosync.conf names ${name} again: what is in nodes/${name} stays there`);
      },
      undo: async ({ name, newName }, ports) =>
        moveDirectory(ports, `nodes/${newName}`, `nodes/${name}`),
      byHand: ({ name, newName }) =>
        `what is left in /etc/pve/nodes/${name} belongs into /etc/pve/nodes/${newName}`,
      commits: true,
    },
    {
      name: "log",
      text: () => "note it in the cluster log",
      run: async ({ log }, { cluster }) => cluster.log(log),
    },
  ],
};

/** Undefined: it is called so already. */
export async function planRename(
  ports: ChangePorts,
  request: { readonly node: string; readonly newName: string },
  user: string,
): Promise<Planned<RenameFacts> | undefined> {
  const { node: name, newName } = request;
  const now = await situation(ports);
  const { nodes } = now.conf;
  const isOldGone = nodes.every((node) => node.name !== name);
  if (isOldGone && nodes.some((node) => node.name === newName)) return undefined;
  const edit = valueOrFail(withName(now.text, name, newName));
  checkAllOnline(now);
  const there = await ports.tree.list(`nodes/${newName}`);
  if (await holdsFiles(ports, `nodes/${newName}`)) {
    throw new CommandFailure(
      `/etc/pve/nodes/${newName} is there already and holds ${there.join(", ")}: it is left of another node; remove it first`,
    );
  }
  return {
    facts: {
      ...{ name, newName },
      ...{ before: now.text, after: edit.text, members: membersOf(now) },
      log: `${user}: node ${name} is called ${newName} now`,
    },
    notes: [
      "Quorum stays: votes, nodeids and addresses are as before.",
      `Then, on ${name} itself: give the machine the name ${newName} (hostnamectl set-hostname ${newName}, and its line in /etc/hosts), and start its node again. Until then /etc/pve/local there points to the old name.`,
      ...edit.notes,
    ],
  };
}

async function holdsFiles(ports: ChangePorts, path: string): Promise<boolean> {
  for (const name of await ports.tree.list(path)) {
    if (!name.endsWith("/")) return true;
    if (await holdsFiles(ports, `${path}/${name.slice(0, -1)}`)) return true;
  }
  return false;
}

/** File by file: the tree moves only empty directories. What was moved already is not there any more. */
export async function moveDirectory(ports: ChangePorts, from: string, to: string): Promise<void> {
  const { tree } = ports;
  const names = await tree.list(from);
  if (names.length > 0) await tree.makeDirectory(to);
  for (const name of names) {
    if (!name.endsWith("/")) {
      await tree.move(`${from}/${name}`, `${to}/${name}`);
      continue;
    }
    const inner = name.slice(0, -1);
    await tree.makeDirectory(`${to}/${inner}`);
    await moveDirectory(ports, `${from}/${inner}`, `${to}/${inner}`);
  }
  await tree.remove(from);
}
