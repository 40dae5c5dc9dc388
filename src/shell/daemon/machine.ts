// This machine for the routes below /nodes/{node}, and what a node tells the others of its load, as Proxmox's pvestatd does (pmxcfs.md §3.4): lists of
// nodes on any of them, theirs too, show it.
import { reasonOf } from "../../result.ts";
import { nodeLoadValue } from "../api/cluster/measured.ts";
import type { NodeSource } from "../api/nodes/node-source.ts";
import { nodeStatus } from "../api/status.ts";
import { MachineFacts, type MachinePlaces } from "../machine/machine-facts.ts";
import { programRunner } from "../machine/programs.ts";
import { systemLog } from "../machine/system-log.ts";
import { identity } from "../version.ts";
import type { NodeParts, Stop } from "./node/parts.ts";

/** As pvestatd; what is older than five minutes is forgotten. */
const tellEveryMs = 10_000;

function placesOf({ options }: NodeParts): MachinePlaces {
  return { proc: "/proc", sys: "/sys", root: options.paths.root };
}

export function nodeSource(parts: NodeParts): NodeSource {
  const { tree, tasks, directoryName: nodeName } = parts;
  const { version, commit } = identity;
  const places = placesOf(parts);
  const run = programRunner();
  return {
    ...{ files: tree, nodeName, version, commit, places, run },
    machine: new MachineFacts(places),
    log: () => systemLog(places.root, run),
    start: (spec, work) => tasks.start(spec, work),
    restart: parts.restart,
    statusText: async () => JSON.stringify(await statusOf(parts), undefined, 2),
  };
}

function statusOf({ mode, cluster, tree, mount, startedAt }: NodeParts): Promise<object> {
  return nodeStatus({
    ...{ version: identity.version, mode, cluster, mount, startedAt, pid: process.pid },
    tree: () => tree.status(),
    // What is to be done is told by `quorate status` on that node.
    confWarning: async () => "",
    networkFaults: () => [],
    membershipFault: () => "",
    operations: () => ({ faults: [] }),
    upgrade: () => undefined,
  });
}

/** At once, then every ten seconds. */
export function tellLoad(parts: NodeParts): Stop {
  const { tree, directoryName, log } = parts;
  const facts = new MachineFacts(placesOf(parts));
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  let fault = "";
  const tell = async (): Promise<void> => {
    const load = await facts.load();
    if (isStopped) return;
    const { key, value } = nodeLoadValue(directoryName, load, Math.floor(Date.now() / 1000));
    const told = tree.statusStore.set(key, value);
    if (!told.ok) throw new Error(told.reason);
  };
  const again = async (): Promise<void> => {
    let now = "";
    try {
      await tell();
    } catch (error) {
      now = reasonOf(error);
    }
    if (now !== "" && now !== fault) log("warning", `this node's load is not told: ${now}`, "API");
    fault = now;
    if (!isStopped) timer = setTimeout(() => void again(), tellEveryMs);
  };
  const first = again();
  return async () => {
    isStopped = true;
    await first;
    clearTimeout(timer);
  };
}
