// Exit codes of `quorate upgrade`: install.sh's own, and one more.

export const upgradeExits = {
  done: 0,
  /** This machine, or a state of it in which nobody should upgrade. */
  machine: 1,
  /** The command line; nothing was touched. */
  usage: 2,
  download: 3,
  verification: 4,
  service: 5,
  rolledBack: 6,
} as const;
