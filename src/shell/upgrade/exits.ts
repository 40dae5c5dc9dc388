// Exit codes of `quorate upgrade`: install.sh's own, and one more.

export const upgradeExits = {
  done: 0,
  /** The command line, or a state of this machine in which nobody should upgrade. */
  usage: 1,
  machine: 2,
  download: 3,
  verification: 4,
  service: 5,
  rolledBack: 6,
} as const;
