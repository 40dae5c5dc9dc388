// How many votes are needed, and how many are expected at the least (services.md §4.2): for the ledger, and for whoever says beforehand what it will
// decide. Pure, and without what a browser would have to load.

/** Votes that a quorum needs, of `expected` votes while `total` are here. */
export function neededVotes(expected: number, total: number): number {
  return Math.max(half(expected), half(total));
}

/** votequorum expects the votes of all members and of a configured device, whether or not the device gives them: nobody can set less. */
export function expectedAtLeast(expected: number, ofMembers: number, ofDevice: number): number {
  return Math.max(expected, ofMembers + ofDevice);
}

/** Votes that must be here so that a device that gives none cannot keep this part from quorum, whatever is expected now. */
export function votesDespiteDevice(expected: number, ofDevice: number): number {
  return Math.max(half(expected), ofDevice + 1);
}

function half(votes: number): number {
  return Math.floor(votes / 2) + 1;
}
