// How a task ended, as its status says it (pvecm.md §4.6): for the node that writes it and for whoever follows one.

/** Of a task that was asked to stop, and of whose work nothing is left. */
export const interruptedStatus = "received interrupt";

export function isGoodEnd(status: string): boolean {
  return status === "OK" || status.startsWith("WARNINGS: ");
}
