// system{} of corosync.conf as far as it is about the ring thread's share of the processor (services.md §5.2). Pure.
import type { Conf } from "../../conf.ts";
import { textAt } from "./conf-value.ts";
import type { NodeSettings } from "./settings.ts";

export const niceBest = -20;
const niceWorst = 19;

/** `sched_rr` (default yes); `priority` counts without it: a nice value, or max and min for its best and worst. */
export function readScheduling(conf: Conf): NodeSettings["scheduling"] {
  const isRoundRobin = textAt(conf, ["system", "sched_rr"]) !== "no";
  const text = textAt(conf, ["system", "priority"]);
  if (text === "max") return { isRoundRobin, nice: niceBest };
  if (text === "min") return { isRoundRobin, nice: niceWorst };
  const nice = text !== undefined && /^-?\d{1,3}$/.test(text) ? Number(text) : 0;
  return { isRoundRobin, nice: Math.min(niceWorst, Math.max(niceBest, nice)) };
}
