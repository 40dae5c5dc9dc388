// Tells all nodes which tasks run here, and knows what they tell (task/task-broadcast.ts), by the tree's status store.
import { membersOf } from "../../api/cluster-facts.ts";
import { writeBroadcast } from "../../task/task-broadcast.ts";
import type { NodeParts } from "./parts.ts";

const key = "tasklist";

/** At once, and whenever a task begins or ends. */
export function tellTasks({ tasks, tree, log }: NodeParts): void {
  const tell = (): void => {
    const told = tree.statusStore.set(key, writeBroadcast(tasks.active()));
    if (!told.ok) log("warning", `the tasks cannot be told to the other nodes: ${told.reason}`);
  };
  tasks.onChanged(tell);
  tell();
}

/** Of nodes that are there and have told something. */
export function toldByOthers({ tree, directoryName }: NodeParts): readonly Uint8Array[] {
  const { nodelist = {} } = membersOf(tree);
  return Object.entries(nodelist).flatMap(([name, { id }]) => {
    const told = name === directoryName ? undefined : tree.statusStore.store.get(id, key);
    return told === undefined ? [] : [told];
  });
}
