// How the ring thread asks the machine for its share (services.md §5.2, system{}): as corosync, in turns (SCHED_RR) before everything that
// is not real time, else a better nice value. Without it a busy machine delays the token, and that costs all nodes of the ring.
// Host code: it acts on the calling thread alone.
import { errnoName, setNiceOfThread, setRoundRobinOfThread } from "../../libc.ts";
import type { Level } from "../../world.ts";
import { niceBest } from "../settings/scheduling-settings.ts";
import type { NodeSettings } from "../settings/settings.ts";

/** What corosync asks for. */
const priorityMax = 99;

/** Sets the calling thread as `scheduling` asks. Returns what the operator should know of it; undefined: nothing. */
export function scheduleThisThread(
  scheduling: NodeSettings["scheduling"],
): { readonly level: Level; readonly text: string } | undefined {
  if (!scheduling.isRoundRobin) {
    if (scheduling.nice === 0) return undefined;
    const errno = setNiceOfThread(scheduling.nice);
    if (errno === 0) return undefined;
    const text = `the ring thread cannot have nice value ${scheduling.nice} (${errnoName(errno)}): set system.priority to 0, or run this node as root`;
    return { level: "warning", text };
  }
  const errno = setRoundRobinOfThread(priorityMax);
  if (errno === 0) return undefined;
  const isNicer = setNiceOfThread(niceBest) === 0;
  const instead = isNicer ? "it has the best nice value instead" : "a busy machine may delay it";
  return {
    level: "warning",
    text: `the ring thread has no real-time scheduling (${errnoName(errno)}): ${instead}. Run this node as root, or give it CAP_SYS_NICE`,
  };
}
