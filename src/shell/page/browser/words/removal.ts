// What the wizard that removes a node says.

export const removal = {
  text: "A node that works can leave by itself and stays usable: type quorate leave on it. This is for a node that is broken, or goes for good.",
  node: "The node",
  choose: "Which node",
  chooseNone: "Choose a node",
  chooseHint: "This node cannot remove itself: do it on another node, or type quorate leave here",
  noOther: "There is no other node.",
  option: (name: string, isMember: boolean) => `${name} (${isMember ? "runs" : "is off or away"})`,

  // 1: does it run?
  runs: "Does it run?",
  isOff: "It is not in the cluster. Never start it again with its old configuration.",
  isOn: (name: string) =>
    `${name} runs. Switch it off first, or have it removed as it runs; this page sees it go.`,
  asItRuns: "Remove it as it runs",
  asItRunsEnded:
    "Its daemon is ended at once, and starts as a member no more. Its guests run on, without /etc/pve.",
  asItRunsAlone:
    "The others have no quorum without it, so its daemon is not ended: it runs on alone, without quorum.",

  // 2: what it means.
  means: "What it means",
  now: "Now",
  afterwards: "Then",
  votes: (present: number, all: number, needed: number) =>
    `${present} of ${all} votes, ${needed} needed.`,
  mayFail: (votes: number) =>
    votes === 0 ? "No vote more may be lost." : `${votes} more may be lost.`,
  losesQuorum:
    "The votes that are here would not be enough: nothing can be changed until more nodes are up.",
  even: "An even number of nodes is left: an arbiter gives one half its vote.",

  // 3: what is left behind.
  left: "What it leaves",
  guests: (count: number) =>
    `${count === 1 ? "One guest has its" : `${count} guests have their`} configuration there. Move them to another node first, or they are lost with a complete clean-up:`,
  noGuests: "No guest has its configuration there.",
  files: (count: number) =>
    count === 1
      ? "1 file of its directory below /etc/pve/nodes"
      : `${count} files of its directory below /etc/pve/nodes`,
  lines: (path: string) => `its keys in /etc/pve/${path}`,
  naming: (path: string) =>
    `/etc/pve/${path} names it: look at it afterwards, it is not changed here`,
  keyStays:
    "It still has the cluster's key, until the others get another one: that is offered afterwards.",
  purge: "Clean up completely",
  purgeHint: "Removes for good what it has in the tree: its directory, certificate and keys",
  withGuests: "The configuration of its guests, too",

  // 4: sure?
  typeName: "Type the node's name",
  typeHint: (name: string) => `To be sure that it is ${name}`,
  remove: (name: string) => `Remove ${name}`,
  title: (name: string) => `${name} is being removed`,

  // 5: afterwards.
  goes: (name: string) => `${name} is being removed: its steps are above.`,
  done: (name: string) => `${name} is removed.`,
  failed: (name: string) =>
    `${name} could not be removed: the log of the task says why, and whether anything is left to be done.`,
  next: "What is next",
  machine: (name: string) =>
    `On ${name}: leave it off, or install it anew. To make a standalone node of it, stop its service, and type there as root, which needs a shell of that machine:`,
  machineCommand: "Command for the removed machine",
  several:
    "Never start several removed nodes at once: together they may take themselves for the cluster.",
  again: "It may join again afterwards like any machine: Join information.",
  key: "Another key for the cluster",
  keyText:
    "The removed machine, and whoever copies its disk, can talk to the ring until the key is another one. All nodes must be on.",
  keyCheck: "Show what it would do",
  keyNow: "Change the key on all nodes",
  keyTitle: "All nodes get another key",
  keyGoes: "The key is being changed: its steps are above.",
  keyDone: "All nodes use the new key: the removed machine's opens nothing any more.",
  another: "Remove another node",
} as const;
